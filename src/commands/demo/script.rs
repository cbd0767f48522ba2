//! Output of the demo.

use anstyle::Style;

use super::program::DemoBinary;
use crate::commands::printer::Printer;
use openlora_core::private::foreign_text::clean_text;
use openlora_tui::run::DashFeed;

/// State shared by the steps.
pub struct DemoScript<'a> {
    pub printer: &'a Printer,
    pub program: DemoBinary,
    /// The receiver of the demo's lines when they are not printed.
    pub watcher: Option<tokio::sync::mpsc::Sender<DashFeed>>,
}

impl DemoScript<'_> {
    pub fn step(&self, number: u32, title: &str, args: &[&str]) {
        let bold = Style::new().bold();
        self.print_line("");
        self.print_painted(&self.paint(bold, &format!("{number}. {title}")));
        if !args.is_empty() {
            self.print_command(args);
        }
    }

    pub fn print_command(&self, args: &[&str]) {
        self.print_painted(&self.paint(
            Style::new().dimmed(),
            &format!("  $ openlora {}", args.join(" ")),
        ));
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
                let _ = watcher.try_send(DashFeed::Told(line.trim().to_owned()));
            }
            return;
        }
        match self.printer.is_json() {
            true => self.printer.note(line),
            false => self.printer.painted(line),
        }
    }
}
