//! Output of the demo.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anstyle::Style;

use super::program::DemoBinary;
use crate::commands::{printer::Printer, shell};
use openlora_core::private::foreign_text::clean_text;
use openlora_tui::run::DashFeed;

/// State shared by the steps.
pub struct DemoScript<'a> {
    pub printer: &'a Printer,
    pub program: DemoBinary,
    /// Whether the demo's folder stays.
    pub is_kept: bool,
    /// The cache of the home that the demo was started from.
    pub cache: PathBuf,
    /// The receiver of the demo's lines when they are not printed.
    pub watcher: Option<tokio::sync::mpsc::Sender<DashFeed>>,
    /// The step that runs, for the dashboard, whose lines replace one another.
    pub current: Mutex<String>,
}

impl DemoScript<'_> {
    pub fn step(&self, number: u32, title: &str, args: &[&str]) {
        let bold = Style::new().bold();
        let heading = format!("{number}. {title}");
        self.print_line("");
        self.current().clear();
        self.print_painted(&self.paint(bold, &heading));
        *self.current() = heading;
        if !args.is_empty() {
            self.print_command(args);
        }
    }

    fn current(&self) -> MutexGuard<'_, String> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A command of the creator.
    pub fn print_command(&self, args: &[&str]) {
        self.print_command_of(&self.program, args);
    }

    /// A command line that can be pasted after the lines that [`Self::print_surroundings`] printed.
    pub fn print_command_of(&self, program: &DemoBinary, args: &[&str]) {
        let words = args.iter().map(|word| shell::quoted(word));
        let words: Vec<_> = words.collect();
        let home = match program.home() == self.program.home() {
            true => String::new(),
            false => format!("OPENLORA_HOME={} ", shell::quoted_path(&program.home())),
        };
        self.print_shell_line(&format!("{home}openlora {}", words.join(" ")));
    }

    /// The variables and the folder in which the demo's commands run.
    pub fn print_surroundings(&self) {
        let variables = self.program.variables();
        let variables = variables
            .iter()
            .map(|(name, value)| format!("{name}={}", shell::quoted_path(Path::new(value))));
        let variables: Vec<String> = variables.collect();
        self.print_shell_line(&format!("export {}", variables.join(" ")));
        self.print_shell_line(&format!("cd {}", shell::quoted_path(self.program.dir())));
    }

    pub fn print_shell_line(&self, line: &str) {
        self.print_painted(&self.paint(Style::new().dimmed(), &format!("  $ {line}")));
    }

    /// The dashboard styles its lines itself and would display escape codes.
    fn paint(&self, style: Style, text: &str) -> String {
        match self.watcher {
            Some(_) => text.to_owned(),
            None => self.printer.paint(style, text),
        }
    }

    /// A line without colours.
    pub fn print_line(&self, line: &str) {
        self.print_painted(&clean_text(line));
    }

    /// The lines are the result for a user; with `--json` they go to stderr.
    fn print_painted(&self, line: &str) {
        if let Some(watcher) = &self.watcher {
            // A slow screen skips lines; a closed one shows none.
            if !line.trim().is_empty() {
                let lines = [self.current().as_str(), line.trim()].join("  ");
                let _ = watcher.try_send(DashFeed::Told(lines.trim().to_owned()));
            }
            return;
        }
        match self.printer.is_json() {
            true => self.printer.note(line),
            false => self.printer.painted(line),
        }
    }
}
