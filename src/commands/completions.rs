//! `completions SHELL` and `man`: generated from the command line's own types.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use super::CommandContext;
use crate::commands::cli::Cli;
use openlora_core::error::{ExitClass, ExitStatus, Failure};

/// Shells whose scripts are kept in `completions/`.
pub const SHELLS: &[Shell] = &[
    Shell::Bash,
    Shell::Zsh,
    Shell::Fish,
    Shell::PowerShell,
    Shell::Elvish,
];

/// The completion script for a shell.
pub fn completion_script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "openlora", &mut script);
    script
}

/// The manual page in roff: the program first, then every visible subcommand.
pub fn manual() -> io::Result<Vec<u8>> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        render_verb(verb, &mut page)?;
    }
    Ok(page)
}

fn render_verb(verb: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    if verb.get_name() == "help" {
        return Ok(());
    }
    let title = verb
        .get_bin_name()
        .unwrap_or(verb.get_name())
        .to_uppercase();
    let man = clap_mangen::Man::new(verb.clone());
    page.extend_from_slice(format!(".SH \"{title}\"\n").as_bytes());
    let mut body = Vec::new();
    man.render_description_section(&mut body)?;
    man.render_options_section(&mut body)?;
    // In the single page, the sections of a subcommand become subsections.
    let body = String::from_utf8_lossy(&body).replace(".SH ", ".SS ");
    page.extend_from_slice(body.as_bytes());
    for inner in verb.get_subcommands() {
        render_verb(inner, page)?;
    }
    Ok(())
}

/// Prints the script.
pub fn completions(context: &CommandContext, shell: Shell) -> Result<ExitStatus, Failure> {
    context
        .printer
        .piece(&String::from_utf8_lossy(&completion_script(shell)));
    Ok(ExitStatus::Success)
}

/// Prints the manual page.
pub fn man(context: &CommandContext) -> Result<ExitStatus, Failure> {
    let page = manual().map_err(|error| {
        Failure::new(
            ExitClass::Internal,
            format!("cannot write the manual page: {error}"),
        )
    })?;
    context.printer.piece(&String::from_utf8_lossy(&page));
    Ok(ExitStatus::Success)
}
