//! Atomic replacement of files and folders. After a crash or a power failure at any moment, either
//! the old or the new content is complete.
//!
//! New content is written to a draft on the same file system, synced and renamed; then the folder
//! that holds the name is synced. Drafts left by a crash have hidden names and only cost space.

use std::{
    collections::BTreeSet,
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

/// Like [`replace_file`], with the draft in `staging`, a folder of the same file system. For
/// folders in which no other file may ever be visible.
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

/// Files that are replaced together: their syncs run at the same time, which many file systems
/// commit as one.
#[derive(Debug, Default)]
pub struct FileBatch {
    drafts: Vec<BatchDraft>,
    folders: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct BatchDraft {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

/// Syncs that wait at the same time.
const SYNCS: usize = 8;

impl FileBatch {
    /// Writes what is to replace `path`. Until [`Self::sync`], the old content stays.
    pub fn replace(&mut self, path: &Path, bytes: &[u8], readers: FileAccess) -> io::Result<()> {
        let mut file = new_draft(parent(path), readers)?;
        file.write_all(bytes)?;
        let path = path.to_owned();
        self.add_folder(parent(&path));
        self.drafts.push(BatchDraft { file, path });
        Ok(())
    }

    /// Makes what was created in a folder durable as well.
    pub fn add_folder(&mut self, folder: &Path) {
        self.folders.insert(folder.to_owned());
    }

    /// Replaces the files, each in one step. On an error, some of them may be replaced.
    pub fn sync(self) -> io::Result<()> {
        at_once(&self.drafts, |draft| draft.file.as_file().sync_all())?;
        for BatchDraft { file, path } in self.drafts {
            file.persist(path).map_err(|error| error.error)?;
        }
        let folders: Vec<PathBuf> = self.folders.into_iter().collect();
        at_once(&folders, |folder| sync_folder(folder))
    }
}

fn at_once<T: Sync>(items: &[T], work: impl Fn(&T) -> io::Result<()> + Sync) -> io::Result<()> {
    let share = items.len().div_ceil(SYNCS).max(1);
    std::thread::scope(|scope| {
        let parts = items.chunks(share);
        let running: Vec<_> = parts
            .map(|part| scope.spawn(|| part.iter().try_for_each(&work)))
            .collect();
        running.into_iter().try_for_each(|thread| {
            let stopped = |_| Err(io::Error::other("a sync stopped"));
            thread.join().unwrap_or_else(stopped)
        })
    })
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
    let mut draft = new_draft(staging, readers)?;
    draft.write_all(bytes)?;
    draft.as_file().sync_all()?;
    Ok(draft)
}

fn new_draft(staging: &Path, readers: FileAccess) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(readers.mode()))
        .tempfile_in(staging)
}

const DRAFT: &str = ".openlora-draft-";
const ASIDE: &str = ".replaced";

/// A folder that is being filled. It is removed on drop unless it was moved into place.
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

    /// Creates the file `name` for content that is written in pieces. The caller syncs it.
    pub fn new_file(&self, name: &str) -> io::Result<File> {
        File::create_new(self.path.join(name))
    }

    /// Lets everyone read the folder, whatever the umask is.
    pub fn open_to_everyone(&self) -> io::Result<()> {
        fs::set_permissions(&self.path, Permissions::from_mode(0o755))
    }

    /// Renames the draft to `dir`. If a folder of that name exists, the two are exchanged in one
    /// step and the old one is removed. Where the file system cannot exchange, the old folder is
    /// renamed first, and [`recover_folder`] restores it after a crash between the two steps.
    pub fn replace(self, dir: &Path) -> io::Result<()> {
        replace_folder(&self.path, dir)
    }
}

impl Drop for FolderDraft {
    fn drop(&mut self) {
        // The unfinished draft, or the content it replaced. A leftover only costs space.
        let _ = remove_folder(&self.path);
    }
}

/// Moves the folder `fresh` to `dir`, in the steps of [`FolderDraft::replace`], but keeps what it
/// replaced: where the names can be exchanged, that is under `fresh` afterwards.
pub fn replace_folder(fresh: &Path, dir: &Path) -> io::Result<()> {
    sync_tree(fresh)?;
    recover_folder(dir)?;
    match exchange(fresh, dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(fresh, dir)?,
        Err(error) if cannot_exchange(&error) => rename_in_two_steps(fresh, dir)?,
        exchanged => exchanged?,
    }
    sync_folder(parent(dir))
}

/// Exchanges two names in one step.
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// Whether the kernel or the file system does not support exchanging names.
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
        // The first error is the one to report; if this fails too, the next open restores the old
        // folder.
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

/// Restores a folder that a crash left renamed. Call this before reading a folder written with
/// [`FolderDraft::replace`].
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

/// Completes what a crash interrupted in `folder`: restores renamed folders and removes drafts. No
/// other process may write to the folder at the same time.
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

/// Removes a folder; a missing folder is not an error.
pub fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Checks that something can be written at `path`, which need not be there, by making a draft beside
/// it. Nothing is left: missing parents are not created.
pub fn probe(path: &Path) -> io::Result<()> {
    let mut place = parent(path);
    let found = loop {
        match place.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => place = parent(place),
            found => break found?,
        }
    };
    if !found.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    FolderDraft::in_folder(place).map(drop)
}

/// A new name survives a crash only once the folder that holds it is on disk.
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
