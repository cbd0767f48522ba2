//! The demo behind the dashboard: the story is told while its journal is shown.

use tokio::sync::mpsc;

use super::{Context, Failure, Report, Story, interrupted};
use crate::commands::dash;

/// Lines and batches of records that wait for the screen.
const WAITING: usize = 16;

/// Tells the story until its end, then waits until the screen is closed; closing it before ends the
/// story too.
pub(super) async fn tell(context: &Context, story: &mut Story<'_>) -> Result<Report, Failure> {
    let (sender, feed) = mpsc::channel(WAITING);
    let clock = dash::follow(story.program.journal(), sender.clone())?;
    story.watcher = Some(sender.clone());
    let folder = story.program.dir().to_owned();
    let screen = dash::show(dash::demo_options(context)?, (feed, clock), folder);
    let mut screen = std::pin::pin!(screen);
    let told = tokio::select! {
        told = story.tell() => told,
        closed = &mut screen => {
            story.watcher = None;
            return Err(closed.err().unwrap_or_else(interrupted));
        }
    };
    let last = match &told {
        Ok(_) => "the demonstration is over; look around, q quits".to_owned(),
        Err(failure) => format!("the demonstration failed: {failure}"),
    };
    // Whoever closed the screen in this very moment has seen enough.
    let _ = sender.send(dash::told(last)).await;
    let closed = screen.await;
    story.watcher = None;
    closed?;
    told
}
