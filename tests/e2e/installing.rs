//! What `scripts/release` packs, and the installer that comes with it, down to the installed binary.
//!
//! Needs python3, cargo, curl, strip of binutils, and on Linux dpkg-deb (the package dpkg).

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::paths::repository;
use crate::support::{Run, binary};
use crate::waiting;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const EPOCH: &str = "1700000000";

/// This machine as Rust names it, with the C library `libc` where it is Linux.
fn triple(libc: &str) -> String {
    let processor = std::env::consts::ARCH;
    match std::env::consts::OS {
        "macos" => format!("{processor}-apple-darwin"),
        system => format!("{processor}-unknown-{system}-{libc}"),
    }
}

fn ran(command: &mut Command) -> Run {
    let output = waiting::output(command);
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A shell script, which may run: it stands for a binary where only the packing matters.
fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn sha256(path: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(path).unwrap()))
}

/// Packs `binary` into `folder`, and returns the digests of the files there by their names: those that
/// SHA256SUMS lists.
fn pack(folder: &Path, binary: &Path, options: &[&str]) -> BTreeMap<String, String> {
    let release = repository().join("scripts/release");
    let mut command = Command::new(release);
    command
        .arg(folder)
        .arg("--binary")
        .arg(binary)
        .args(options)
        .env("SOURCE_DATE_EPOCH", EPOCH);
    let run = ran(&mut command).succeeds();
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    assert_eq!(run.stdout, sums);
    let listed: BTreeMap<String, String> = sums
        .lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(digest, name)| (name.to_owned(), digest.to_owned()))
        .collect();
    let mut there = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name != "SHA256SUMS" {
            there.insert(name, sha256(&path));
        }
    }
    assert_eq!(listed, there);
    listed
}

/// Every file below `dir` with its mode.
fn modes(dir: &Path) -> BTreeMap<String, u32> {
    let mut pending = vec![dir.to_path_buf()];
    let mut found = BTreeMap::new();
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let mode = fs::metadata(&path).unwrap().permissions().mode();
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap();
                found.insert(name.to_owned(), mode & 0o7777);
            }
        }
    }
    found
}

/// Unpacks a tar into a new folder beside it.
fn unpacked(archive: &Path, name: &str) -> PathBuf {
    let dir = archive.with_file_name(name);
    fs::create_dir(&dir).unwrap();
    let mut tar = Command::new("tar");
    ran(tar.arg("-xpf").arg(archive).arg("-C").arg(&dir)).succeeds();
    dir
}

fn installer(script: &Path, home: &Path, options: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .arg(script)
        .args(options)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home);
    command
}

/// What is in the folder that the installer would put the binary into.
fn installed(home: &Path) -> Vec<String> {
    let entries = fs::read_dir(home.join(".local/bin"));
    entries
        .map(|it| it.map(|entry| entry.unwrap().file_name().into_string().unwrap()))
        .map_or_else(|_| Vec::new(), Iterator::collect)
}

/// The archive holds the binary, the completions, the manual and the documents.
fn check_archive(archive: &Path, stripped: &Path) {
    let name = format!("openlora-{VERSION}-{}", triple("gnu"));
    let mut wanted: BTreeMap<String, u32> = [
        "CHANGELOG.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "SECURITY.md",
        "THIRD-PARTY.txt",
        "completions/openlora.1",
        "completions/openlora.bash",
        "completions/openlora.elvish",
        "completions/openlora.fish",
        "completions/openlora.powershell",
        "completions/openlora.zsh",
    ]
    .map(|it| (format!("{name}/{it}"), 0o644))
    .into();
    wanted.insert(format!("{name}/openlora"), 0o755);
    let dir = unpacked(archive, "archive");
    assert_eq!(modes(&dir), wanted);
    assert_eq!(sha256(&dir.join(&name).join("openlora")), sha256(stripped));
    let notices = fs::read_to_string(dir.join(&name).join("THIRD-PARTY.txt")).unwrap();
    for crate_name in ["mistralrs-core", "candle-core", "rusqlite", "tokio"] {
        let start = format!("\n{crate_name} ");
        assert!(notices.contains(&start), "no licence of {crate_name}");
    }
    assert!(!notices.contains("\ncriterion "), "criterion only tests");
    let manual = Path::new("completions/openlora.1");
    assert_eq!(
        sha256(&dir.join(&name).join(manual)),
        sha256(&repository().join(manual))
    );
}

/// Its control fields, its files, and the binary from it running.
#[cfg(target_os = "linux")]
fn check_debian_package(package: &Path, processor: &str) {
    let field = |name: &str| {
        let mut command = Command::new("dpkg-deb");
        let run = ran(command.arg("--field").arg(package).arg(name)).succeeds();
        run.stdout.trim_end().to_owned()
    };
    assert_eq!(field("Package"), "openlora");
    assert_eq!(field("Version"), VERSION);
    assert_eq!(field("Architecture"), processor);
    let depends = field("Depends");
    let rest = depends.strip_prefix("libc6 (>= 2.");
    let (minor, rest) = rest.unwrap_or(&depends).split_once(')').unwrap();
    assert!(minor.parse::<u32>().is_ok(), "{depends}");
    assert_eq!(rest, ", libgcc-s1, ca-certificates");

    let dir = package.with_file_name("debian");
    let mut command = Command::new("dpkg-deb");
    ran(command.arg("--extract").arg(package).arg(&dir)).succeeds();
    let mut wanted: BTreeMap<String, u32> = [
        "bash-completion/completions/openlora",
        "doc/openlora/CHANGELOG.md",
        "doc/openlora/LICENSE-APACHE",
        "doc/openlora/LICENSE-MIT",
        "doc/openlora/README.md",
        "doc/openlora/SECURITY.md",
        "doc/openlora/THIRD-PARTY.txt",
        "doc/openlora/copyright",
        "fish/vendor_completions.d/openlora.fish",
        "man/man1/openlora.1.gz",
        "zsh/vendor-completions/_openlora",
    ]
    .map(|it| (format!("usr/share/{it}"), 0o644))
    .into();
    wanted.insert("usr/bin/openlora".to_owned(), 0o755);
    assert_eq!(modes(&dir), wanted);
    let said = ran(Command::new(dir.join("usr/bin/openlora")).arg("--version")).succeeds();
    assert_eq!(said.stdout, format!("openlora {VERSION}\n"));
}

/// A blob of an image layout, after its digest and size were compared with what names it.
#[cfg(target_os = "linux")]
fn blob(layout: &Path, descriptor: &serde_json::Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap();
    let digest = digest.strip_prefix("sha256:").unwrap();
    let path = layout.join("blobs/sha256").join(digest);
    assert_eq!(sha256(&path), digest);
    assert_eq!(fs::metadata(&path).unwrap().len(), descriptor["size"]);
    path
}

/// The image is a valid layout, and its one layer is a root folder in which the binary runs.
#[cfg(target_os = "linux")]
fn check_image(image: &Path, processor: &str) {
    let layout = unpacked(image, "layout");
    let json = |path: &Path| -> serde_json::Value {
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    };
    let index = json(&layout.join("index.json"));
    let manifest = json(&blob(&layout, &index["manifests"][0]));
    let config = json(&blob(&layout, &manifest["config"]));
    assert_eq!(config["architecture"], processor);
    assert_eq!(config["os"], "linux");
    assert_eq!(config["created"], "2023-11-14T22:13:20Z");
    let runs = &config["config"];
    assert_eq!(runs["User"], "65532:65532");
    assert_eq!(runs["WorkingDir"], "/work");
    assert_eq!(runs["Entrypoint"], serde_json::json!(["/usr/bin/openlora"]));
    let layer = blob(&layout, &manifest["layers"][0]);
    let bare = ran(Command::new("sh")
        .args(["-c", "gzip -dc \"$0\" > layer.tar"])
        .arg(&layer)
        .current_dir(&layout));
    bare.succeeds();
    assert_eq!(
        config["rootfs"]["diff_ids"],
        serde_json::json!([format!("sha256:{}", sha256(&layout.join("layer.tar")))])
    );
    let loaded = json(&layout.join("manifest.json"));
    assert_eq!(
        loaded[0]["RepoTags"],
        serde_json::json!([format!("openlora:{VERSION}")])
    );
    assert_eq!(layout.join(loaded[0]["Layers"][0].as_str().unwrap()), layer);

    let root = unpacked(&layer, "root");
    let own = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(own("home/openlora"), 0o700);
    assert_eq!(own("tmp"), 0o1777);
    assert_eq!(own("etc/ssl/certs/ca-certificates.crt"), 0o644);
    let inside = "PATH=\"$PATH:/usr/sbin:/sbin\" exec chroot \"$0\" /usr/bin/openlora --version";
    let mut command = crate::small_disk::unshared(image.parent().unwrap(), inside);
    let said = ran(command.arg(&root)).succeeds();
    assert_eq!(said.stdout, format!("openlora {VERSION}\n"));
}

/// Serves a folder on this machine, until it is dropped.
struct FileServer {
    child: Child,
    url: String,
}

impl FileServer {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        // Serving HTTP on 127.0.0.1 port 41234 (http://127.0.0.1:41234/) ...
        let url = line.split(['(', ')']).nth(1).unwrap();
        let url = url.trim_end_matches('/').to_owned();
        Self { child, url }
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        waiting::end(&mut self.child);
    }
}

#[test]
fn this_binary_is_packed_installed_and_runs() {
    let dir = TempDir::new().unwrap();
    let stripped = dir.path().join("stripped");
    ran(Command::new("strip").arg("-o").arg(&stripped).arg(binary())).succeeds();
    let folder = dir.path().join("release");
    fs::create_dir(&folder).unwrap();
    let server = FileServer::start(&folder);
    let made = pack(&folder, &stripped, &["--from", &server.url]);

    let name = format!("openlora-{VERSION}-{}", triple("gnu"));
    let archive = format!("{name}.tar.gz");
    let mut wanted = vec!["install.sh".to_owned(), archive.clone()];
    #[cfg(target_os = "linux")]
    {
        let processor = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            _ => "arm64",
        };
        let package = format!("openlora_{VERSION}_{processor}.deb");
        check_debian_package(&folder.join(&package), processor);
        let image = format!("{name}.oci.tar");
        check_image(&folder.join(&image), processor);
        wanted.extend([package, image]);
    }
    wanted.sort_unstable();
    assert_eq!(made.into_keys().collect::<Vec<_>>(), wanted);
    check_archive(&folder.join(archive), &stripped);

    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    let script = folder.join("install.sh");
    let run = ran(&mut installer(&script, &home, &[])).succeeds();
    let bin = home.join(".local/bin");
    let shown = bin.display();
    assert_eq!(
        run.stdout,
        format!(
            "openlora {VERSION} is installed: {shown}/openlora\n\
             Its folder is not on PATH. Add it: export PATH=\"{shown}:$PATH\"\n\
             Try it: openlora demo\n"
        )
    );
    assert_eq!(run.stderr, "");
    assert_eq!(installed(&home), ["openlora"]);
    let mut command = Command::new(bin.join("openlora"));
    command
        .args(["init", "my-model", "--template", "blank"])
        .current_dir(&home)
        .env_clear()
        .env("HOME", &home);
    ran(&mut command).succeeds();
    assert!(home.join("my-model/openlora.toml").is_file());

    // A second time it replaces the binary, and PATH needs no advice.
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(
        [bin.clone()]
            .into_iter()
            .chain(std::env::split_paths(&path)),
    );
    let mut again = installer(&script, &home, &[]);
    let run = ran(again.env("PATH", path.unwrap())).succeeds();
    assert_eq!(
        run.stdout,
        format!("openlora {VERSION} is installed: {shown}/openlora\nTry it: openlora demo\n")
    );
    assert_eq!(installed(&home), ["openlora"]);
}

/// Members hold files from outside of their own folders, so that none could be taken from crates.io.
#[test]
fn no_member_of_the_workspace_is_published() {
    let mut command = Command::new("cargo");
    command
        .args(["metadata", "--no-deps", "--locked", "--offline"])
        .args(["--format-version", "1"])
        .current_dir(repository());
    let said = ran(&mut command).succeeds();
    let known: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let packages = known["packages"].as_array().unwrap();
    assert!(packages.len() > 20, "{} packages", packages.len());
    for package in packages {
        assert_eq!(
            package["publish"],
            serde_json::json!([]),
            "{}",
            package["name"]
        );
    }
}

#[test]
fn the_same_binary_is_packed_to_the_same_bytes() {
    let dir = TempDir::new().unwrap();
    let once = pack(&dir.path().join("once"), Path::new("/bin/sh"), &[]);
    let release = repository().join("scripts/release");
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 077; exec \"$0\" twice --binary /bin/sh"])
        .arg(release)
        .current_dir(dir.path())
        .env("SOURCE_DATE_EPOCH", EPOCH)
        .env("TZ", "Pacific/Auckland");
    ran(&mut command).succeeds();
    let files = if cfg!(target_os = "linux") { 4 } else { 2 };
    assert_eq!(once.len(), files);
    for (name, digest) in once {
        assert_eq!(
            sha256(&dir.path().join("twice").join(&name)),
            digest,
            "{name}"
        );
    }
}

/// A release with an archive for musl that holds a script in place of the binary.
#[cfg(target_os = "linux")]
struct SmallRelease {
    dir: TempDir,
    folder: PathBuf,
    url: String,
    archive: String,
}

#[cfg(target_os = "linux")]
impl SmallRelease {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let program = dir.path().join("program");
        script(&program, &format!("#!/bin/sh\necho openlora {VERSION}\n"));
        let folder = dir.path().join("release");
        let url = format!("file://{}", folder.display());
        let target = triple("musl");
        let options = ["--target", &target, "--from", &url];
        let archive = format!("openlora-{VERSION}-{target}.tar.gz");
        let made = pack(&folder, &program, &options);
        assert_eq!(
            made.into_keys().collect::<Vec<_>>(),
            ["install.sh", &archive]
        );
        Self {
            dir,
            folder,
            url,
            archive,
        }
    }

    fn installer(&self, options: &[&str]) -> Command {
        installer(&self.folder.join("install.sh"), self.dir.path(), options)
    }

    /// The installer says why and leaves nothing behind.
    #[track_caller]
    fn refuses(&self, options: &[&str], code: i32, why: &str) {
        ran(&mut self.installer(options)).fails(code, &format!("install.sh: {why}\n"));
        assert_eq!(installed(self.dir.path()), Vec::<String>::new());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_archive_with_another_digest_is_not_installed() {
    let release = SmallRelease::new();
    let path = release.folder.join(&release.archive);
    let expected = sha256(&path);
    let mut bytes = fs::read(&path).unwrap();
    bytes.push(0);
    fs::write(&path, bytes).unwrap();
    let why = format!(
        "{} is not what SHA256SUMS says: expected {expected}, found {}. Nothing was installed.",
        release.archive,
        sha256(&path)
    );
    release.refuses(&[], 1, &why);
}

#[cfg(target_os = "linux")]
#[test]
fn the_installer_refuses_what_it_does_not_know() {
    let release = SmallRelease::new();
    let usage = "unknown argument --sudo; usage: sh install.sh [--from URL] [--to FOLDER]";
    release.refuses(&["--sudo"], 2, usage);
    release.refuses(&["--to"], 2, "--to needs a value");
    let open = "http://example.com/SHA256SUMS is no https:// or file:/// address";
    release.refuses(&["--from", "http://example.com"], 2, open);
    let login = "http://127.0.0.1:80@example.com/SHA256SUMS is no https:// or file:/// address";
    release.refuses(&["--from", "http://127.0.0.1:80@example.com"], 2, login);

    let tools = release.dir.path().join("tools");
    fs::create_dir(&tools).unwrap();
    script(&tools.join("uname"), "#!/bin/sh\necho Plan9\n");
    let mut path = tools.into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    ran(release.installer(&[]).env("PATH", path)).fails(
        4,
        "install.sh: there is no archive for Plan9 Plan9: build from source, see README.md\n",
    );

    fs::write(release.folder.join("SHA256SUMS"), "").unwrap();
    let none = format!(
        "{}/SHA256SUMS lists none of: {} {}",
        release.url,
        triple("gnu"),
        triple("musl")
    );
    release.refuses(&[], 1, &none);

    // The installer of the sources knows no release.
    let source = repository().join("scripts/install.sh");
    ran(&mut installer(&source, release.dir.path(), &[])).fails(
        2,
        "install.sh: this is the source of the installer: take install.sh of a release\n",
    );
}

#[cfg(target_os = "linux")]
#[test]
fn where_the_binary_for_glibc_does_not_run_the_one_for_musl_is_installed() {
    let release = SmallRelease::new();
    // A second target joins the same folder. It is no openlora, like one whose glibc is missing.
    let made = pack(
        &release.folder,
        Path::new("/bin/sh"),
        &["--from", &release.url],
    );
    assert_eq!(made.len(), 5);
    let run = ran(&mut release.installer(&[])).succeeds();
    let bin = release.dir.path().join(".local/bin/openlora");
    let first = format!("openlora {VERSION} is installed: {}\n", bin.display());
    assert!(run.stdout.starts_with(&first), "{}", run.stdout);
    assert_eq!(sha256(&bin), sha256(&release.dir.path().join("program")));

    // Without the one for musl, the failure of the other is told.
    fs::remove_file(&bin).unwrap();
    let sums = release.folder.join("SHA256SUMS");
    let listed = fs::read_to_string(&sums).unwrap();
    let listed: Vec<&str> = listed.lines().filter(|it| !it.contains("musl")).collect();
    fs::write(&sums, listed.join("\n") + "\n").unwrap();
    let run = ran(&mut release.installer(&[]));
    let why = format!(
        "install.sh: the binary for {} does not run here: ",
        triple("gnu")
    );
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.starts_with(&why), "{}", run.stderr);
    assert_eq!(installed(release.dir.path()), Vec::<String>::new());
}
