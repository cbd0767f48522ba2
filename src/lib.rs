//! openlora: train a LoRA adapter, register it on a chain, serve it, count every call.
//!
//! The binary parses the command line, resolves the settings and dispatches to one file per command
//! in `commands`. The product logic is in the library crates, which do not know the terminal.

pub mod commands;

use std::{borrow::Cow, ffi::OsString, path::Path};

#[cfg(target_os = "linux")]
use commands::serve::worker;
use commands::{
    cli::{Cli, GlobalArgs},
    demo, named_paths,
    printer::{self, Printer},
    settings::{self, SettingLayers, Settings},
};
#[cfg(target_os = "linux")]
use openlora_container::{jail, oci_runtime};
use openlora_core::{
    error::{ExitClass, ExitStatus, Failure},
    private::{foreign_text::is_steering, redact},
};

/// Parses and runs one command line; returns the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    #[cfg(target_os = "linux")]
    if args
        .get(1)
        .is_some_and(|first| first == jail::JAIL_ARGUMENT)
    {
        // Before any thread exists, because only such a process may enter namespaces.
        return u8::try_from(jail::run_helper()).unwrap_or(1);
    }
    #[cfg(target_os = "linux")]
    if let (Some(first), Some(order)) = (args.get(1), args.get(2))
        && first == oci_runtime::INSIDE_ARGUMENT
    {
        let code = oci_runtime::run_inside(&order.to_string_lossy());
        return u8::try_from(code).unwrap_or(1);
    }
    #[cfg(target_os = "linux")]
    if let (Some(first), Some(order)) = (args.get(1), args.get(2))
        && first == worker::WORKER_ARGUMENT
    {
        return worker::run_worker(&order.to_string_lossy(), &plain_printer(false));
    }
    remember_addresses(&args);
    printer::clean_panics();
    let cli = match Cli::parse_line(&args) {
        Ok(cli) => cli,
        Err(error) => return refuse(&args, &error),
    };
    let printer = Printer::new(
        cli.global.json,
        cli.global.verbosity(),
        cli.global.color.into(),
        cli.global.accessible,
    );
    start_logs(&cli.global);
    match execute(cli, printer.clone()) {
        Ok(ExitStatus::Success) => 0,
        Ok(ExitStatus::Verdict(class)) => class.code(),
        Err(failure) => {
            printer.failure(&failure);
            failure.class.code()
        }
    }
}

/// Registers credentials in URLs before anything is printed. Credentials in settings files are
/// registered when the files are read.
fn remember_addresses(args: &[OsString]) {
    let proxies = ["http_proxy", "https_proxy", "all_proxy", "hf_endpoint"];
    let told = std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("OPENLORA_") || proxies.contains(&name.to_lowercase().as_str())
    });
    let texts = told.map(|(_, value)| value).chain(args.iter().cloned());
    texts.for_each(|text| redact::register_credentials(&text.to_string_lossy()));
}

/// Help and version go to stdout; an invalid command line becomes a usage error in the requested
/// format.
fn refuse(args: &[OsString], error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        // If stdout is closed, there is no way to report it.
        let _ = error.print();
        return 0;
    }
    if args.iter().any(|arg| arg == "--json") {
        let text = error.render().to_string();
        let mut lines = text.lines();
        let first = lines
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        let failure = Failure::new(ExitClass::Usage, first)
            .with_hint("`openlora --help` lists verbs and flags");
        plain_printer(true).failure(&failure);
    } else {
        let text = error.render().to_string();
        let steers = |arg: &OsString| arg.to_string_lossy().contains(is_steering);
        match redact::scrub(&text) {
            // With its colours.
            Cow::Borrowed(_) if !args.iter().any(steers) => drop(error.print()),
            text => plain_printer(false).print_usage_error(&text),
        }
    }
    ExitClass::Usage.code()
}

fn plain_printer(json: bool) -> Printer {
    Printer::new(
        json,
        printer::Verbosity::Normal,
        printer::ColorChoice::Never,
        true,
    )
}

fn execute(cli: Cli, printer: Printer) -> Result<ExitStatus, Failure> {
    let home = std::env::var_os("OPENLORA_HOME").filter(|home| !home.is_empty());
    let dirs = settings::discover_dirs(home.as_ref().map(Path::new))?;
    let settings = usable_settings(&cli, &dirs.user_file(), &printer)?;
    for (_, rpc) in settings.endpoints() {
        redact::remember_endpoint(rpc);
    }
    let context = commands::CommandContext {
        printer,
        settings,
        dirs,
        offline: cli.global.offline,
        no_input: cli.global.no_input || cli.global.json,
        yes: cli.global.yes,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                ExitClass::Environment,
                format!("cannot start threads: {error}"),
            )
        })?;
    let outcome = runtime.block_on(commands::dispatch(&context, cli.command));
    // Threads of a model that is still loaded must not delay the exit.
    runtime.shutdown_background();
    outcome.map_err(|failure| demo::explain_ended(failure, &context.dirs))
}

/// Which settings files are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FilesRead {
    UserAndProject,
    UserOnly,
    None,
}

/// The settings. A command that works without the files goes on without a file that has a mistake,
/// and says so.
fn usable_settings(cli: &Cli, user_file: &Path, printer: &Printer) -> Result<Settings, Failure> {
    let first = match resolve_settings(cli, user_file, FilesRead::UserAndProject) {
        // A file or profile that the user names is meant to be used.
        Err(failure)
            if cli.command.works_without_settings()
                && cli.global.config.is_none()
                && cli.global.profile.is_none() =>
        {
            failure
        }
        settings => return settings,
    };
    for (files, what) in [
        (FilesRead::UserOnly, "the project file is not used"),
        (FilesRead::None, "no settings file is used"),
    ] {
        if let Ok(settings) = resolve_settings(cli, user_file, files) {
            printer.warn(format!("{}; {what}", first.message));
            if let Some(hint) = &first.hint {
                printer.hint(hint);
            }
            return Ok(settings);
        }
    }
    Err(first)
}

fn resolve_settings(cli: &Cli, user_file: &Path, files: FilesRead) -> Result<Settings, Failure> {
    let working_dir = std::env::current_dir()
        .map_err(|error| Failure::io("read the working directory", Path::new("."), &error))?;
    let project_file = match &cli.global.config {
        _ if files != FilesRead::UserAndProject => None,
        Some(file) => {
            let file = working_dir.join(file);
            named_paths::require_file(&file, "a settings file")?;
            Some(file)
        }
        None => settings::find_project_file(&working_dir),
    };
    let profile = cli.global.profile.as_deref();
    let profile = profile.filter(|_| files == FilesRead::UserAndProject);
    if let (Some(name), None) = (profile, &project_file) {
        return Err(Failure::new(
            ExitClass::Usage,
            format!("--profile {name}: there is no project file"),
        )
        .with_hint("run it in a project folder, or name one with --config FILE"));
    }
    let layered = SettingLayers {
        user: if files != FilesRead::None && user_file.is_file() {
            settings::read_file(user_file, None)?
        } else {
            Default::default()
        },
        project: match &project_file {
            Some(file) => settings::read_file(file, profile)?,
            None => Default::default(),
        },
        project_file,
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("OPENLORA_"))
            .collect(),
        flags: cli.overrides(),
        working_dir,
    };
    Ok(layered.resolve()?)
}

/// Logs go to stderr; `OPENLORA_LOG` takes a filter such as `openlora=debug`.
fn start_logs(global: &GlobalArgs) {
    let default = match global.verbose {
        0 | 1 => "openlora=error",
        2 => "openlora=debug",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("OPENLORA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(printer::LogWriter::default)
        .try_init();
    // A second start within one process (in tests) keeps the first logger.
    drop(started);
}
