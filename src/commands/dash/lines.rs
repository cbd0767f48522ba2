//! The accessible dashboard: records as plain lines, appended as they arrive.

use tokio::{
    sync::mpsc,
    time::{Duration, MissedTickBehavior, interval},
};

use crate::commands::printer::Printer;
use openlora_core::error::{ExitStatus, Failure};
use openlora_tui::{
    model::{DashModel, DashOptions, FeedLink},
    plain,
    run::{DashClock, DashFeed},
    update::{DashMessage, update},
};

/// How often the sums are printed even if no money moved.
const MINUTE: Duration = Duration::from_secs(60);

pub(super) async fn run(
    printer: &Printer,
    options: DashOptions,
    mut feed: mpsc::Receiver<DashFeed>,
    clock: DashClock,
) -> Result<ExitStatus, Failure> {
    let mut model = DashModel::new(options, (80, 24), clock());
    let mut minute = interval(MINUTE);
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick fires immediately.
    minute.tick().await;
    let mut told = None;
    loop {
        tokio::select! {
            next = feed.recv() => match next {
                Some(DashFeed::Failed(failure)) => return Err(failure),
                Some(feed) => take(printer, &mut model, feed, clock()),
                None => return Ok(ExitStatus::Success),
            },
            _ = minute.tick() => {
                update(&mut model, DashMessage::Frame(clock()));
                printer.line(plain::summary(&model));
            }
            _ = tokio::signal::ctrl_c() => return Ok(ExitStatus::Success),
        }
        let link = std::mem::discriminant(&model.link);
        // The sums are incomplete until the journal has been read or the replay has begun.
        let reading = matches!(model.link, FeedLink::Reading { .. } | FeedLink::Replay);
        if !reading && told.replace(link) != Some(link) {
            update(&mut model, DashMessage::Frame(clock()));
            printer.line(plain::summary(&model));
        }
        if model.link == FeedLink::Ended {
            for line in plain::sums(&model) {
                printer.line(line);
            }
            return Ok(ExitStatus::Success);
        }
    }
}

fn take(printer: &Printer, model: &mut DashModel, feed: DashFeed, now_ms: u64) {
    update(model, DashMessage::Tick(now_ms));
    let DashFeed::Records(records) = feed else {
        if let DashFeed::Told(text) = &feed {
            printer.note(text);
        }
        update(model, feed.into());
        return;
    };
    let mut moved = false;
    for record in records {
        update(model, DashMessage::Records(vec![record.clone()]));
        if model
            .shown
            .moneys
            .iter()
            .all(|money| money.receivers.is_empty())
        {
            // The first charge determines the token.
            update(model, DashMessage::Frame(now_ms));
        }
        if let Some(line) = plain::line(model, &record) {
            printer.line(line);
        }
        moved |= plain::moves_money(&record);
    }
    if moved {
        update(model, DashMessage::Frame(now_ms));
        printer.line(plain::summary(model));
    }
}
