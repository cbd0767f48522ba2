//! Atomic replacement of files and folders: after a crash or a power failure at any moment, the old
//! content is there whole or the new content is.
//!
//! New content is written to a draft on the same file system, synced, given its name, and the folder
//! that holds the name is synced. Drafts that a crash leaves behind have hidden names and only cost space.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileAccess {
    Owner,
    /// As far as the umask permits.
    Everyone,
}

impl FileAccess {
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everyone => 0o644,
        }
    }
}

/// Replaces `path` with `bytes`, or creates it.
pub fn replace_file(path: &Path, bytes: &[u8], readers: FileAccess) -> io::Result<()> {
    replace_file_from(parent(path), path, bytes, readers)
}

/// The same with the draft in `staging`, a folder of the same file system, for folders in which no
/// other file may ever be seen.
pub fn replace_file_from(
    staging: &Path,
    path: &Path,
    bytes: &[u8],
    readers: FileAccess,
) -> io::Result<()> {
    let draft = file_draft(staging, bytes, readers)?;
    draft.persist(path).map_err(|error| error.error)?;
    sync_folder(parent(path))
}

/// Creates a file that only its owner can read.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when something has the name; it stays as it is.
pub fn create_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = file_draft(parent(path), bytes, FileAccess::Owner)?;
    draft.persist_noclobber(path).map_err(|error| error.error)?;
    sync_folder(parent(path))
}

fn file_draft(
    staging: &Path,
    bytes: &[u8],
    readers: FileAccess,
) -> io::Result<tempfile::NamedTempFile> {
    let mut draft = tempfile::Builder::new()
        .permissions(Permissions::from_mode(readers.mode()))
        .tempfile_in(staging)?;
    draft.write_all(bytes)?;
    draft.as_file().sync_all()?;
    Ok(draft)
}

const DRAFT: &str = ".openlora-draft-";
const ASIDE: &str = ".replaced";

/// A folder that is being filled, removed when dropped unless it took its place.
#[derive(Debug)]
pub struct FolderDraft {
    path: PathBuf,
}

impl FolderDraft {
    /// An empty draft in `staging`, a folder of the file system that the result is to be on. The folder
    /// is created when it is missing.
    pub fn in_folder(staging: &Path) -> io::Result<Self> {
        fs::create_dir_all(staging)?;
        let path = staging.join(format!("{DRAFT}{:016x}", rand::random::<u64>()));
        fs::create_dir(&path)?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file `name`, which may be below folders of the draft, and syncs it.
    pub fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        fs::create_dir_all(parent(&path))?;
        let mut file = File::create_new(&path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Lets everyone read the folder, whatever the umask is.
    pub fn open_to_everyone(&self) -> io::Result<()> {
        fs::set_permissions(&self.path, Permissions::from_mode(0o755))
    }

    /// Gives the draft the name `dir`. A folder that has the name is exchanged with it in one step and
    /// then removed; where the file system cannot exchange, it is renamed away first, and
    /// [`recover_folder`] brings it back after a crash between the two steps.
    pub fn replace(self, dir: &Path) -> io::Result<()> {
        sync_tree(&self.path)?;
        recover_folder(dir)?;
        match exchange(&self.path, dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(&self.path, dir)?,
            Err(error) if cannot_exchange(&error) => rename_in_two_steps(&self.path, dir)?,
            exchanged => exchanged?,
        }
        sync_folder(parent(dir))
    }
}

impl Drop for FolderDraft {
    fn drop(&mut self) {
        // The unfinished draft, or the content that it replaced. A leftover only costs space.
        let _ = remove_folder(&self.path);
    }
}

/// Exchanges two names in one step.
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// Whether the kernel or the file system does not know how to exchange names.
fn cannot_exchange(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::NOSYS, Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn rename_in_two_steps(fresh: &Path, dir: &Path) -> io::Result<()> {
    let old = aside(dir);
    remove_folder(&old)?;
    fs::rename(dir, &old)?;
    if let Err(error) = fs::rename(fresh, dir) {
        // The error above is what counts; if this fails too, the next open recovers the old folder.
        let _ = fs::rename(&old, dir);
        return Err(error);
    }
    sync_folder(parent(dir))?;
    remove_folder(&old)
}

/// Where [`FolderDraft::replace`] puts the old folder when it cannot exchange.
fn aside(dir: &Path) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!(".{name}{ASIDE}"))
}

/// Brings back a folder that a crash left renamed away. To be called before a folder that is written
/// with [`FolderDraft::replace`] is read.
pub fn recover_folder(dir: &Path) -> io::Result<()> {
    let is_missing = |path: &Path| {
        let found = path.symlink_metadata();
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let old = aside(dir);
    if dir.file_name().is_none() || !is_missing(dir) || is_missing(&old) {
        return Ok(());
    }
    fs::rename(old, dir)?;
    sync_folder(parent(dir))
}

/// Finishes in `folder` what a crash interrupted: folders that were renamed away come back, drafts are
/// removed. Nobody else may be writing there.
pub fn recover_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(DRAFT) {
            remove_folder(&entry.path())?;
        } else if let Some(name) = name.strip_prefix('.').and_then(|it| it.strip_suffix(ASIDE)) {
            recover_folder(&folder.join(name))?;
            remove_folder(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a folder; none being there is fine.
pub fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A new name lasts only once the folder that holds it is on disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_folder(folder)
}

/// The folder that holds `path`; the working directory for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
