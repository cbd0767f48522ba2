//! `store`: the packages that were pulled.

use serde::Serialize;

use super::{CommandContext, distribution};
use openlora_core::{
    calendar::moment,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_distribution::{PackageStore, StoredPackage};

/// A package of the store, as `store list --json` prints it.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct StoredPackageReport {
    /// SHA-256 of `openlora.json`, hex.
    pub manifest_sha256: String,
    /// Null if the package is damaged.
    pub name: Option<String>,
    pub version: Option<String>,
    pub dir: String,
    pub bytes: u64,
    /// Unix time in seconds.
    pub last_used: u64,
    /// It stays, whatever room is needed.
    pub kept: bool,
    /// A running process uses it.
    pub in_use: bool,
}

impl StoredPackageReport {
    fn from_package(package: &StoredPackage) -> Self {
        let manifest = package.manifest.as_ref();
        Self {
            manifest_sha256: package.manifest_sha256.to_string(),
            name: manifest.map(|it| it.name.clone()),
            version: manifest.map(|it| it.version.clone()),
            dir: package.dir.display().to_string(),
            bytes: package.bytes,
            last_used: package.last_used,
            kept: package.is_kept,
            in_use: package.is_held,
        }
    }

    fn line(&self) -> String {
        let digest = self.manifest_sha256.get(..16).unwrap_or_default();
        let name = self.name.as_deref().unwrap_or("(damaged)");
        let version = self.version.as_deref().unwrap_or("-");
        let state = match (self.in_use, self.kept) {
            (true, _) => ", in use",
            (false, true) => ", kept",
            (false, false) => "",
        };
        let used = moment(self.last_used);
        format!(
            "{digest}  {name} {version}  {} bytes  used {used}{state}",
            self.bytes
        )
    }
}

/// Lists the packages of the store, the one that was used last first.
pub fn list(context: &CommandContext) -> Result<ExitStatus, Failure> {
    let store = distribution::store(context)?;
    let packages = store.packages()?;
    let packages: Vec<_> = packages
        .iter()
        .map(StoredPackageReport::from_package)
        .collect();
    report(context, &packages);
    let sum: u64 = packages.iter().map(|it| it.bytes).sum();
    let most = context.settings.store.max_bytes;
    context
        .printer
        .note(format!("{sum} bytes of at most {most}"));
    Ok(ExitStatus::Success)
}

/// Removes packages.
pub fn remove(context: &CommandContext, wanted: &[String]) -> Result<ExitStatus, Failure> {
    change(context, wanted, |store, package| {
        store.remove(package.manifest_sha256).map_err(Failure::from)
    })
}

/// Has packages stay, or no longer.
pub fn keep(
    context: &CommandContext,
    wanted: &[String],
    is_kept: bool,
) -> Result<ExitStatus, Failure> {
    change(context, wanted, |store, package| {
        store
            .keep(package.manifest_sha256, is_kept)
            .map_err(Failure::from)
    })
}

fn change(
    context: &CommandContext,
    wanted: &[String],
    deed: impl Fn(&PackageStore, &StoredPackage) -> Result<(), Failure>,
) -> Result<ExitStatus, Failure> {
    let store = distribution::store(context)?;
    let packages = store.packages()?;
    // All of them are found before the first one changes.
    let chosen = wanted.iter().map(|text| chosen(&packages, text));
    let chosen = chosen.collect::<Result<Vec<_>, Failure>>()?;
    let mut done = Vec::new();
    for package in chosen {
        deed(&store, package)?;
        let mut changed = StoredPackageReport::from_package(package);
        changed.kept = store
            .packages()?
            .iter()
            .any(|it| it.manifest_sha256 == package.manifest_sha256 && it.is_kept);
        done.push(changed);
    }
    report(context, &done);
    Ok(ExitStatus::Success)
}

/// The package whose digest begins so, or that has this name.
fn chosen<'a>(packages: &'a [StoredPackage], text: &str) -> Result<&'a StoredPackage, Failure> {
    let digits = text.strip_prefix("sha256-").unwrap_or(text);
    let by_digest = |it: &&StoredPackage| it.manifest_sha256.to_string().starts_with(digits);
    let by_name = |it: &&StoredPackage| it.manifest.as_ref().is_some_and(|own| own.name == text);
    let fitting = |it: &&StoredPackage| by_digest(it) || by_name(it);
    let found: Vec<&StoredPackage> = packages.iter().filter(fitting).collect();
    match found.as_slice() {
        [only] if !text.is_empty() => Ok(only),
        several => {
            let message = match several.len() {
                0 => format!("no package of the store is named `{text}`"),
                count => format!("{count} packages of the store are named `{text}`"),
            };
            Err(Failure::new(ExitClass::Usage, message)
                .with_hint("`openlora store list` lists them; name one by its digest"))
        }
    }
}

fn report(context: &CommandContext, packages: &[StoredPackageReport]) {
    let printer = &context.printer;
    if printer.is_json() {
        return printer.json(&packages);
    }
    for package in packages {
        printer.line(package.line());
    }
}
