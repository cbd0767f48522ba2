//! The demo with the dashboard: the steps run while their journal is shown.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinHandle};

use super::{CommandContext, DemoReport, DemoScript, Failure, interrupted};
use crate::commands::dash;
use openlora_train::{RunDir, TrainStep, run::metrics};
use openlora_tui::{model::FeedLink, run::DashFeed, training::TrainingProgress};

/// Lines and batches of records queued for the screen.
const WAITING: usize = 16;

/// How often a run's metrics file is read.
const METRICS: Duration = Duration::from_millis(250);

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
        told = script.run_timed() => told,
        closed = &mut screen => {
            script.watcher = None;
            return Err(closed.err().unwrap_or_else(interrupted));
        }
    };
    let (last, link) = match &told {
        Ok(report) => (
            format!(
                "finished after {:.0} s: look around, q quits",
                report.seconds
            ),
            FeedLink::Finished,
        ),
        Err(failure) => (
            format!("the demonstration failed: {failure}"),
            FeedLink::Failed,
        ),
    };
    // The user may have closed the screen in the meantime.
    let _ = sender.send(dash::remark_feed(last)).await;
    let _ = sender.send(DashFeed::Link(link)).await;
    let closed = screen.await;
    script.watcher = None;
    closed?;
    told
}

/// Shows the newest run of a project on the screen until the guard is dropped.
pub(super) struct WatchedTraining {
    follower: JoinHandle<()>,
    sender: mpsc::Sender<DashFeed>,
}

impl WatchedTraining {
    pub(super) fn follow(runs: PathBuf, sender: mpsc::Sender<DashFeed>) -> Self {
        let feed = sender.clone();
        let follower = tokio::spawn(async move {
            let began = Instant::now();
            let mut ticks = tokio::time::interval(METRICS);
            loop {
                ticks.tick().await;
                let path = RunDir::newest_metrics(&runs);
                let steps = path.map_or_else(Vec::new, |path| metrics::steps_so_far(&path));
                // A slow screen skips this one.
                let _ = feed.try_send(DashFeed::Training(Some(progress(&steps, began))));
            }
        });
        Self { follower, sender }
    }

    /// Takes the run off the screen.
    pub(super) async fn end(self) {
        self.follower.abort();
        let _ = self.sender.send(DashFeed::Training(None)).await;
    }
}

fn progress(steps: &[TrainStep], began: Instant) -> TrainingProgress {
    let last = steps.last();
    TrainingProgress {
        steps: last.map_or(0, |step| step.steps),
        micro_losses: steps
            .iter()
            .map(|step| (step.loss.max(0.0) * 1e6) as u64)
            .collect(),
        tokens_per_second: last.map_or(0, |step| step.tokens_per_second as u64),
        elapsed_ms: began.elapsed().as_millis() as u64,
    }
}
