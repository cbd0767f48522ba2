//! The demo with the dashboard: the steps run while their journal is shown.

use tokio::sync::mpsc;

use super::{CommandContext, DemoReport, DemoScript, Failure, interrupted};
use crate::commands::dash;

/// Lines and batches of records queued for the screen.
const WAITING: usize = 16;

/// Runs the demo to its end, then waits until the screen is closed. Closing the screen earlier ends
/// the demo too.
pub(super) async fn run_watched(
    context: &CommandContext,
    script: &mut DemoScript<'_>,
) -> Result<DemoReport, Failure> {
    let (sender, feed) = mpsc::channel(WAITING);
    let clock = dash::follow(script.program.journal(), sender.clone())?;
    script.watcher = Some(sender.clone());
    let folder = script.program.dir().to_owned();
    let screen = dash::run_screen(dash::demo_options(context)?, feed, clock, folder);
    let mut screen = std::pin::pin!(screen);
    let told = tokio::select! {
        told = script.run_steps() => told,
        closed = &mut screen => {
            script.watcher = None;
            return Err(closed.err().unwrap_or_else(interrupted));
        }
    };
    let last = match &told {
        Ok(_) => "the demonstration is over; look around, q quits".to_owned(),
        Err(failure) => format!("the demonstration failed: {failure}"),
    };
    // The user may have closed the screen in the meantime.
    let _ = sender.send(dash::remark_feed(last)).await;
    let closed = screen.await;
    script.watcher = None;
    closed?;
    told
}
