//! What a container is started from: the root with the program and the package, the base, the folder
//! of its socket.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{ContainerRequest, server_arguments};
use crate::commands::{
    CommandContext,
    jail_parts::{program_binds, share},
    named_paths,
    serve::as_model_id,
    verify,
};
use openlora_container::{
    BASE, PACKAGE, PROGRAM, SOCKET, SOCKET_DIR,
    folders::open_folder,
    image,
    inside::JailedProgram,
    jail::{BindMount, JailSpec},
    limits::ResourceLimits,
    unpack::{is_layout, unpack},
};
use openlora_core::{
    error::{ExitClass, Failure},
    private::files,
};
use openlora_package::{ENVELOPE_FILE, MANIFEST_FILE, MODEL_SIGNATURE_FILE, Package};

/// The embedded base, which needs no folder.
const EMBEDDED: &str = "nano";

/// Most bytes that an image may unpack to.
const LARGEST_IMAGE: u64 = 16 << 30;

/// Temporary memory of each writable folder: the journal, the embedded base and the engine's files.
const SCRATCH: u64 = 256 << 20;

/// A container ready to start. Its files go with it.
pub(super) struct ContainerParts {
    pub spec: JailSpec,
    /// This program, which prepares the inside.
    pub program: PathBuf,
    /// The socket of the server inside, as it is seen here.
    pub socket: PathBuf,
    pub adapter: String,
    /// Digest of the image's manifest.
    pub image: Option<String>,
    _files: TempDir,
}

pub(super) fn gather(
    context: &CommandContext,
    request: &ContainerRequest,
    limits: ResourceLimits,
) -> Result<ContainerParts, Failure> {
    let target = named_paths::folder(context, &request.target, "an image layout or a package")?;
    let cache = &context.dirs.cache;
    files::new_folder(cache).map_err(|error| Failure::io("create the folder", cache, &error))?;
    let failed = |error| Failure::io("write in", cache, &error);
    let staging = tempfile::Builder::new()
        .prefix("container-")
        .tempdir_in(cache)
        .map_err(failed)?;
    let folder = |name| open_folder(staging.path(), Path::new(name)).map_err(failed);
    let (root, sockets) = (folder("root")?, folder("socket")?);
    let own = std::env::current_exe().map_err(failed)?;
    share(&sockets)?;
    let mut binds = vec![BindMount {
        source: sockets.clone(),
        target: SOCKET_DIR.into(),
        writable: true,
    }];
    let (image, mut arguments) = if is_layout(&target) {
        let unpacked = unpack(&target, &root, LARGEST_IMAGE)?;
        let entry = unpacked.config.config.entrypoint;
        (Some(unpacked.digest), program_arguments(&target, entry)?)
    } else {
        let package = openlora_package::read(&target)?;
        copy_package(&package, &root)?;
        binds.extend(program_binds(&own)?);
        (None, server_arguments(&as_model_id(&package.manifest.name)))
    };
    let inside = root.join(&PACKAGE[1..]);
    verify::require_loadable(&inside)?;
    let package = openlora_package::read(&inside)?;
    if let Some((bind, argument)) = base(context, request, &package)? {
        binds.push(bind);
        arguments.extend(["--base".to_owned(), argument]);
    }
    arguments.push("--json".to_owned());
    let environment = image::environment().into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    Ok(ContainerParts {
        spec: JailSpec {
            root,
            binds,
            program: JailedProgram {
                program: PROGRAM.to_owned(),
                arguments,
                environment: environment.collect(),
            },
            limits,
            waived: request.waived.clone(),
            scratch: SCRATCH,
            capture_errors: true,
        },
        program: own,
        socket: sockets.join(
            SOCKET
                .trim_start_matches(SOCKET_DIR)
                .trim_start_matches('/'),
        ),
        adapter: as_model_id(&package.manifest.name),
        image,
        _files: staging,
    })
}

/// What the image starts, which is the program with arguments.
fn program_arguments(layout: &Path, entrypoint: Vec<String>) -> Result<Vec<String>, Failure> {
    let mut parts = entrypoint.into_iter();
    match parts.next() {
        Some(program) if program == PROGRAM => Ok(parts.collect()),
        found => {
            let found = found.unwrap_or_else(|| "nothing".to_owned());
            let message = format!(
                "{}: the image starts {found}, expected {PROGRAM}",
                layout.display()
            );
            Err(Failure::new(ExitClass::BadInput, message)
                .with_hint("`openlora package --image` makes such an image"))
        }
    }
}

/// The files of a package that is checked where it lies afterwards, so that nothing can change in
/// between.
fn copy_package(package: &Package, root: &Path) -> Result<(), Failure> {
    let to = root.join(&PACKAGE[1..]);
    let signatures = [ENVELOPE_FILE, MODEL_SIGNATURE_FILE];
    let present = signatures
        .into_iter()
        .filter(|name| package.dir.join(name).is_file());
    let named = package.manifest.files.iter().map(|it| it.path.as_str());
    for name in named.chain([MANIFEST_FILE]).chain(present) {
        let (source, target) = (package.dir.join(name), to.join(name));
        let failed = |error| Failure::io("copy", &source, &error);
        let parent = Path::new(name).parent().unwrap_or(Path::new(""));
        open_folder(root, &Path::new(PACKAGE).join(parent)).map_err(failed)?;
        fs::copy(&source, &target).map_err(failed)?;
        fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).map_err(failed)?;
    }
    Ok(())
}

/// The base of the machine, where the package is not for the embedded one.
fn base(
    context: &CommandContext,
    request: &ContainerRequest,
    package: &Package,
) -> Result<Option<(BindMount, String)>, Failure> {
    let id = &package.manifest.base.id;
    let Some(base) = &request.base else {
        if id == EMBEDDED {
            return Ok(None);
        }
        let message = format!("the adapter is for the base {id}, which is not in the container");
        return Err(Failure::new(ExitClass::Usage, message)
            .with_hint("name its folder or GGUF file on this machine: --base PATH"));
    };
    let source = named_paths::existing(context, base, "a base model")?;
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    let target = match source.is_dir() {
        true => BASE.to_owned(),
        false => format!("{BASE}/{name}"),
    };
    let source = fs::canonicalize(&source).unwrap_or(source);
    let bind = BindMount {
        source,
        target: PathBuf::from(&target),
        writable: false,
    };
    Ok(Some((bind, target)))
}
