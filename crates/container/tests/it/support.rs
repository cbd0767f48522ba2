//! Starts the probe in a jail. Needs permission to make user namespaces.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use openlora_container::{
    ContainerError, PROGRAM, SOCKET_DIR, elf,
    image::{ImageParts, WrittenImage, libraries, write_image},
    inside::JailedProgram,
    jail::{self, BindMount, JailExit, JailSpec},
    limits::{CONTAINER_USER, LimitName, ResourceLimits},
    report::LimitsReport,
};
use openlora_model::{BaseModel, adapter};
use openlora_package::{
    BaseFacts,
    build::{PackageMetadata, PackageParts, draft},
    write,
};
use tempfile::TempDir;

use crate::golden;

pub fn probe() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_openlora-jail-probe"))
}

pub fn limits() -> ResourceLimits {
    ResourceLimits {
        memory: "128MiB".parse().unwrap(),
        cpus: "1".parse().unwrap(),
        pids: 16,
        open_files: 64,
    }
}

/// What a jail said and how it ended.
pub struct Jailed {
    pub report: LimitsReport,
    /// Lines of the probe.
    pub lines: Vec<String>,
    pub exit: JailExit,
}

/// A root for the probe, and the folder that it shares.
pub struct Place {
    pub dir: TempDir,
    pub spec: JailSpec,
}

pub fn place(attacks: &[&str]) -> Place {
    let dir = tempfile::tempdir().unwrap();
    let (root, shared) = (dir.path().join("root"), dir.path().join("shared"));
    for folder in [&root, &shared] {
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // Only root may give a folder away; another user is the user of the inside.
    let _ = chown(&shared, Some(CONTAINER_USER), Some(CONTAINER_USER));
    let program = probe();
    let elf = elf::read(&program, &fs::read(&program).unwrap()).unwrap();
    let mut binds = vec![
        bind(&shared, SOCKET_DIR, true),
        bind(&program, PROGRAM, false),
    ];
    for (target, source) in libraries(&program, &elf).unwrap() {
        let source = fs::canonicalize(source).unwrap();
        binds.push(bind(&source, target.to_str().unwrap(), false));
    }
    let spec = JailSpec {
        root,
        binds,
        program: JailedProgram {
            program: PROGRAM.to_owned(),
            arguments: attacks.iter().map(|it| (*it).to_owned()).collect(),
            environment: Vec::new(),
        },
        limits: limits(),
        waived: Vec::new(),
        scratch: 1 << 20,
        capture_errors: true,
    };
    Place { dir, spec }
}

pub fn bind(source: &Path, target: &str, writable: bool) -> BindMount {
    BindMount {
        source: source.to_owned(),
        target: target.into(),
        writable,
    }
}

impl Place {
    pub fn waive(mut self, limit: LimitName) -> Self {
        self.spec.waived.push(limit);
        self
    }

    #[track_caller]
    pub fn run(&self) -> Jailed {
        match self.try_run() {
            Ok(jailed) => jailed,
            Err(error) => panic!(
                "{error}\nthe tests make user namespaces: permit them with \
                 sysctl kernel.unprivileged_userns_clone=1"
            ),
        }
    }

    pub fn try_run(&self) -> Result<Jailed, ContainerError> {
        let mut process = jail::start(&self.spec, &probe())?;
        let report = process.report.clone();
        let mut text = String::new();
        process
            .output
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        let exit = process.wait()?;
        Ok(Jailed {
            report,
            lines: text.lines().map(str::to_owned).collect(),
            exit,
        })
    }
}

/// An unsigned package of a small adapter in `dir`.
pub fn package(dir: &Path) -> PathBuf {
    let base = BaseModel::open_dir("tiny-base", &golden::dir("llama")).unwrap();
    let about = PackageMetadata {
        name: "tone".to_owned(),
        version: "1.0.0".to_owned(),
        license: Some("CC-BY-4.0".to_owned()),
        created_at: 1_700_000_000,
        ..PackageMetadata::default()
    };
    let draft = draft(&PackageParts {
        about: &about,
        adapter: &adapter::read(&golden::dir("llama.qv")).unwrap(),
        base: &BaseFacts::from_base(&base).unwrap(),
        run: None,
    });
    let package = dir.join("package");
    write(&package, &draft.unwrap(), None).unwrap().dir
}

/// An image of that package with the probe as its program.
pub fn image(dir: &Path) -> WrittenImage {
    image_of(&package(dir), dir)
}

/// An image of a package in `dir` with the probe as its program.
pub fn image_of(package: &Path, dir: &Path) -> WrittenImage {
    let package = openlora_package::read(package).unwrap();
    let parts = ImageParts {
        package: &package,
        program: &probe(),
        created: 1_700_000_000,
        arguments: vec!["thread".to_owned()],
        labels: BTreeMap::from([("name".to_owned(), "tone".to_owned())]),
    };
    write_image(&dir.join("image"), &parts).unwrap()
}

/// Unpacks Debian packages below a folder, without installing them.
pub fn debian(folder: &Path, packages: &[&str]) {
    let run = |command: &mut Command| {
        let done = command.current_dir(folder).output();
        let done = done.unwrap_or_else(|error| {
            panic!("{error}: this test needs apt-get and dpkg-deb of Debian")
        });
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{said}");
    };
    run(Command::new("apt-get").arg("download").args(packages));
    let files = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let is_archive = |it: &PathBuf| it.extension().is_some_and(|it| it == "deb");
    let archives: Vec<PathBuf> = files.filter(is_archive).collect();
    assert_eq!(archives.len(), packages.len());
    for archive in archives {
        run(Command::new("dpkg-deb").arg("-x").arg(archive).arg("."));
    }
}
