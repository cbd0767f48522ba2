//! A line per answered call for the operator's terminal.

use crate::commands::printer::Printer;
use openlora_core::units::in_units;
use openlora_journal::{Journal, JournalError};
use openlora_ledger::{
    event::{Event, EventRecord},
    state::board::MadePictures,
};
use openlora_serve::payment::Currency;
use openlora_tui::{
    figures::{clock, counted},
    filter::kind_name,
};

/// Lines that wait for the terminal.
const WAITING: usize = 1024;

/// Prints a line per call from now on.
///
/// # Errors
///
/// The journal cannot be followed.
pub(super) async fn follow(
    printer: &Printer,
    journal: &Journal,
    currency: Option<Currency>,
) -> Result<(), JournalError> {
    // The journal's writer must not wait for a terminal that stands still; lines are dropped then.
    let (sender, lines) = std::sync::mpsc::sync_channel::<String>(WAITING);
    let printer = printer.clone();
    std::thread::spawn(move || lines.iter().for_each(|line| printer.note(line)));
    let show = move |record: &EventRecord| {
        if let Some(line) = call_line(record, currency.as_ref()) {
            let _ = sender.try_send(line);
        }
    };
    let next = journal.head().sequence + 1;
    journal.follow(next, Box::new(show)).await
}

/// Time, adapter, kind, tokens or pictures, duration and price of a call; none for other events. The text of a
/// call is not in the journal, and not here.
pub fn call_line(record: &EventRecord, currency: Option<&Currency>) -> Option<String> {
    let Event::CallMetered {
        adapter,
        kind,
        usage,
        milliseconds,
        charge,
        ..
    } = &record.event
    else {
        return None;
    };
    let paid = match (charge, currency) {
        (Some(charge), Some(currency)) => format!(
            "{} {}",
            in_units(charge.amount, currency.decimals),
            currency.symbol
        ),
        (Some(charge), None) => format!("{} base units", charge.amount),
        (None, _) => "free".to_owned(),
    };
    let work = match MadePictures::from_event(&record.event) {
        Some(made) => format!(
            "{}, {} evaluations",
            counted(made.pictures, "picture"),
            made.evaluations
        ),
        None => format!(
            "{} + {} tokens",
            usage.prompt_tokens, usage.completion_tokens
        ),
    };
    Some(format!(
        "{}  {adapter}  {}  {work}  {milliseconds} ms  {paid}",
        clock(record.time_ms),
        kind_name(*kind),
    ))
}
