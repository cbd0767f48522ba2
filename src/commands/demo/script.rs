//! Output of the demo, and parsing of its steps' results.

use anstyle::Style;
use serde_json::Value;

use super::program::DemoBinary;
use crate::commands::printer::Printer;
use openlora_core::error::{ExitClass, Failure};
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
        self.print_line(&self.paint(bold, &format!("{number}. {title}")));
        if !args.is_empty() {
            self.print_command(args);
        }
    }

    pub fn print_command(&self, args: &[&str]) {
        self.print_line(&self.paint(
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

    /// The lines are the result for a user; with `--json` they go to stderr.
    pub fn print_line(&self, line: &str) {
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

fn missing(pointer: &str) -> Failure {
    Failure::new(
        ExitClass::Internal,
        format!("a step's result has no {pointer}"),
    )
}

pub fn count(value: &Value, pointer: &str) -> Result<u64, Failure> {
    value
        .pointer(pointer)
        .and_then(Value::as_u64)
        .ok_or_else(|| missing(pointer))
}

pub fn number(value: &Value, pointer: &str) -> Result<f64, Failure> {
    value
        .pointer(pointer)
        .and_then(Value::as_f64)
        .ok_or_else(|| missing(pointer))
}

pub fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str, Failure> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| missing(pointer))
}
