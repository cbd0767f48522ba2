//! The steps of the demo, in order.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{
    DemoReport, StartedDemo,
    buyer::{BUYER, CallLog, DemoBuyer},
    program::{CreatedAccount, DemoServer},
    script::DemoScript,
    watch::WatchedTraining,
};
use crate::commands::{
    call::{AdapterAnswer, CallResult},
    deploy::DeployReport,
    money::percent,
};
use openlora_chain::balance::shown_amount;
use openlora_core::error::{ExitClass, Failure};
use openlora_journal::Journal;
use openlora_ledger::state::{ApplyOutcome, LedgerState};
use openlora_release::explore::AdapterView;
use openlora_tui::figures::counted;

/// A created project with checked data.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct DemoProject {
    pub template: &'static str,
    pub rows: u64,
    pub sources: u64,
}

/// What is read of the result of `data check`.
#[derive(Deserialize)]
struct CheckedData {
    parts: Vec<CheckedSources>,
}

#[derive(Deserialize)]
struct CheckedSources {
    rows: u64,
    sources: Vec<IgnoredAny>,
}

/// What is read of the result of `devnet status`.
#[derive(Deserialize)]
pub struct RunningChain {
    pub url: String,
}

/// What is read of the result of `package`.
#[derive(Deserialize)]
struct SignedPackage {
    package: PathBuf,
    manifest_sha256: String,
}

/// What is read of the result of `explore`.
#[derive(Deserialize)]
struct KnownAdapters {
    adapters: Vec<AdapterView>,
}

/// Figures of the training run.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TrainingFigures {
    pub steps: u64,
    pub tokens: u64,
    pub seconds: f64,
    pub tokens_per_second: f64,
    pub final_loss: f64,
}

/// Accuracy on held-out rows, 0 to 1.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct EvaluationFigures {
    pub rows: u64,
    pub base_accuracy: f64,
    pub adapter_accuracy: f64,
}

/// What is read of the result of `eval --vs base`.
#[derive(Deserialize)]
struct ComparedAccuracy {
    rows: u64,
    accuracy: f64,
    base: MeasuredAccuracy,
}

#[derive(Deserialize)]
struct MeasuredAccuracy {
    accuracy: f64,
}

/// One answered call, with the counts of its receipt.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct DemoCall {
    pub kind: &'static str,
    pub answer: String,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub milliseconds: u64,
}

/// The totals of the server's journal.
#[derive(Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct MeteredTotals {
    pub calls: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

/// Time between two calls when the dashboard is watched, so that they fill half its chart.
const WATCHED_PACE: Duration = Duration::from_millis(660);

const TEMPLATE: &str = "sentiment";
/// The template of the adapter for pictures, and its name.
pub(super) const PICTURES: &str = "icons";
/// Posts that are not in the template's data.
const POSTS: &[&str] = &[
    "Withdrawals are frozen again and support has gone silent, I want my coins back",
    "The audit passed and the new wallet finally shipped, what a great week for holders",
    "The upgrade is scheduled for Tuesday at block 812000",
];

impl DemoScript<'_> {
    /// Runs every step, and says how long they took.
    pub async fn run_timed(&self) -> Result<DemoReport, Failure> {
        let started = Instant::now();
        let mut report = self.run_steps().await?;
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    async fn run_steps(&self) -> Result<DemoReport, Failure> {
        self.print_line(
            "This is a demonstration: a temporary project, a tiny base model, no real money.",
        );
        self.print_surroundings();
        // From the beginning on, so that its absence says that the demo has ended.
        self.program.write_password()?;
        let mut report = DemoReport {
            demo: true,
            ..DemoReport::default()
        };
        let project = self.program.dir().join(TEMPLATE);
        report.started = Some(self.start(&project).await?);
        report.trained = Some(self.train(&project).await?);
        report.evaluated = Some(self.evaluate(&project).await?);
        let (deployed, package) = self.register(&project).await?;
        report.deployed = Some(deployed);
        let painter = self.make_painter().await?;
        let server = self.serve(&project, &[&package, &painter.package]).await?;
        let url = server.ready.url.clone();
        self.step(8, "A buyer calls them and pays for every call", &[]);
        let buyer = DemoBuyer::new(self, &project).await?;
        let mut log = CallLog::default();
        for (kind, post) in [
            ("classify", POSTS[0]),
            ("classify", POSTS[1]),
            ("classify", POSTS[2]),
            ("chat", POSTS[1]),
        ] {
            let args = [
                "call",
                post,
                "--adapter",
                TEMPLATE,
                "--kind",
                kind,
                "--url",
                &url,
            ];
            let answer = self.call(&project, &buyer, &args).await?;
            report.calls.push(called(kind, &answer)?);
            log.answers.push(answer);
        }
        // Paid by a transfer of its own, for comparison.
        let args = [
            "call",
            POSTS[0],
            "--adapter",
            TEMPLATE,
            "--url",
            &url,
            "--scheme",
            "exact",
        ];
        log.answers.push(self.call(&project, &buyer, &args).await?);
        let sold = self.buy_pictures(&project, &buyer, &url, painter, &mut log);
        report.pictures = Some(sold.await?);
        let pace = match &self.watcher {
            Some(_) => WATCHED_PACE,
            None => Duration::ZERO,
        };
        buyer
            .call_often(&project, &url, TEMPLATE, POSTS, &mut log, pace)
            .await?;
        let paid = buyer.paid(&project, &log).await?;
        self.print_line(&format!(
            "  {} calls from {} channels, {} of them streamed: {} dUSD",
            paid.calls,
            paid.channels,
            paid.streamed,
            shown_amount(&paid.charged.to_string(), 6)
        ));
        self.step(9, "Whose data shaped an answer is who is paid for it", &[]);
        self.tell_why(&buyer.program, &project, &log.answers[0])
            .await?;
        self.step(10, "Many payments become a few transactions", &[]);
        let settled = self.tell_settled(&project, server, &paid).await?;
        report.metered = Some(self.meter(&log)?);
        (report.paid, report.settled) = (Some(paid), Some(settled));
        self.step(11, "Contributors fetch what they are owed", &[]);
        if let Some(deployed) = &report.deployed {
            let claimed = self.tell_claimed(&project, deployed, &package).await?;
            report.attributed = Some(claimed);
        }
        Ok(report)
    }

    async fn start(&self, project: &Path) -> Result<DemoProject, Failure> {
        self.step(
            1,
            "A creator starts from a template",
            &["init", TEMPLATE, "--template", TEMPLATE],
        );
        let dir = self.program.dir();
        self.program
            .run(dir, &["init", TEMPLATE, "--template", TEMPLATE])
            .await?;
        self.print_shell_line(&format!("cd {TEMPLATE}"));
        self.print_command(&["data", "check"]);
        let check: CheckedData = self.program.read(project, &["data", "check"]).await?;
        let part = check.parts.first();
        let started = DemoProject {
            template: TEMPLATE,
            rows: part.map_or(0, |it| it.rows),
            sources: part.map_or(0, |it| it.sources.len() as u64),
        };
        self.print_line(&format!(
            "  {} rows from {} owners",
            started.rows, started.sources
        ));
        Ok(started)
    }

    async fn train(&self, project: &Path) -> Result<TrainingFigures, Failure> {
        self.step(
            2,
            "A LoRA adapter is trained on the embedded base",
            &["train"],
        );
        let watched = self
            .watcher
            .clone()
            .map(|sender| WatchedTraining::follow(project.join("runs"), sender));
        let shows = watched.is_none() && !self.printer.is_json();
        let train = self.program.read_watched(project, &["train"], shows);
        let trained: Result<TrainingFigures, Failure> = train.await;
        if let Some(watched) = watched {
            watched.end().await;
        }
        let trained = trained?;
        self.print_line(&format!(
            "  {} steps, {} tokens in {:.1} s ({:.0} tokens/s), final loss {:.3}",
            trained.steps,
            trained.tokens,
            trained.seconds,
            trained.tokens_per_second,
            trained.final_loss
        ));
        Ok(trained)
    }

    async fn evaluate(&self, project: &Path) -> Result<EvaluationFigures, Failure> {
        let args = ["eval", "--vs", "base"];
        self.step(
            3,
            "It is measured on sentences whose patterns it never saw",
            &args,
        );
        let result: ComparedAccuracy = self.program.read(project, &args).await?;
        let evaluated = EvaluationFigures {
            rows: result.rows,
            base_accuracy: result.base.accuracy,
            adapter_accuracy: result.accuracy,
        };
        self.print_line(&format!(
            "  {} rows: base {:.1} %, with the adapter {:.1} %",
            evaluated.rows,
            evaluated.base_accuracy * 100.0,
            evaluated.adapter_accuracy * 100.0
        ));
        Ok(evaluated)
    }

    /// Signs the adapter with a new account, registers it, and reads it back from the registry.
    async fn register(&self, project: &Path) -> Result<(DeployReport, PathBuf), Failure> {
        let account = ["wallet", "new", "creator", "--light-kdf"];
        self.step(
            4,
            "The creator signs it with an account of their own",
            &account,
        );
        let made: CreatedAccount = self.program.read(project, &account).await?;
        self.print_line(&format!("  {}", made.address));
        self.print_command(&["package"]);
        let package: SignedPackage = self.program.read(project, &["package"]).await?;
        let folder = package.package.to_string_lossy();
        self.print_line(&format!("  manifest sha256 {}", package.manifest_sha256));
        let deploy = ["deploy"];
        self.step(5, "It is registered on the chain, on this machine", &deploy);
        let deployed: DeployReport = self.program.read(project, &deploy).await?;
        self.print_line(&format!(
            "  adapter {} version {}, {} gas, paid through {}",
            deployed.adapter_id, deployed.version, deployed.gas_used, deployed.splitter
        ));
        let explore = ["explore", &deployed.adapter_id, "--verify", &folder];
        self.print_command(&explore);
        let known: KnownAdapters = self.program.read(project, &explore).await?;
        self.tell_registry(&known);
        Ok((deployed, package.package))
    }

    /// Prints the adapter's registry entry; `explore --verify` fails the demo if it does not match
    /// the package.
    fn tell_registry(&self, known: &KnownAdapters) {
        let releases = known.adapters.first().map(|adapter| &adapter.releases);
        let release = releases.and_then(|releases| releases.first());
        for share in release.iter().flat_map(|release| &release.shares) {
            let of = share.pool.as_ref().map_or(String::new(), |pool| {
                format!(", a pool of {} contributors", pool.shares.len())
            });
            let part = percent(share.ppm);
            self.print_line(&format!("  {part} to {}{of}", share.recipient));
        }
        self.print_line("  the package on disk is what the registry says");
    }

    /// Stops the demo's chain, if it was started.
    pub async fn end_chain(&self) -> Result<(), Failure> {
        let dir = self.program.dir();
        self.program.run(dir, &["devnet", "stop"]).await
    }

    /// Serves the packages of both adapters.
    async fn serve(&self, project: &Path, packages: &[&Path; 2]) -> Result<DemoServer, Failure> {
        let [text, pictures] = packages.map(|package| package.to_string_lossy());
        let text = format!("{TEMPLATE}={text}");
        let pictures = format!("{PICTURES}={pictures}");
        let args = [
            "serve",
            "--local",
            "--port",
            "0",
            "--adapter",
            &text,
            "--adapter",
            &pictures,
        ];
        self.step(7, "One server sells both", &[]);
        self.print_shell_line(&format!("cd ../{TEMPLATE}"));
        self.print_command(&args);
        let server = self.program.serve(project, &args).await?;
        self.print_line(&format!("  ready at {}", server.ready.url));
        let chain = self.chain(project).await?;
        self.keep_in_mind(project, &server.ready.url, &chain.url);
        Ok(server)
    }

    /// Lets the commands that were shown so far say later that the demo has ended.
    fn keep_in_mind(&self, project: &Path, server: &str, chain: &str) {
        let port = |url: &str| {
            let port = url.trim_end_matches('/').rsplit(':').next();
            port.and_then(|port| port.parse().ok()).unwrap_or_default()
        };
        let started = StartedDemo {
            dir: self.program.dir().to_owned(),
            kept: self.is_kept,
            project: project.to_owned(),
            server_port: port(server),
            chain_port: port(chain),
        };
        let buyer = self.program.with_home(BUYER);
        for cache in [&self.cache, &self.program.cache(), &buyer.cache()] {
            started.keep(cache);
        }
    }

    async fn call(
        &self,
        project: &Path,
        buyer: &DemoBuyer,
        args: &[&str],
    ) -> Result<CallResult, Failure> {
        self.print_command_of(&buyer.program, args);
        let result: CallResult = buyer.program.read(project, args).await?;
        self.print_line(&format!(
            "  {} ({} + {} tokens, {} ms, {} dUSD)",
            answer(&result.said),
            result.usage.prompt_tokens,
            result.usage.completion_tokens,
            milliseconds(&result)?,
            shown_amount(&result.paid.to_string(), 6)
        ));
        Ok(result)
    }

    /// Compares the answers' usage with the server's journal.
    fn meter(&self, log: &CallLog) -> Result<MeteredTotals, Failure> {
        let metered = totals(&self.program.journal())?;
        let answers = log.answers.iter();
        let answered = MeteredTotals {
            calls: answers.len() as u64,
            prompt_tokens: answers.clone().map(|it| it.usage.prompt_tokens).sum(),
            completion_tokens: answers.map(|it| it.usage.completion_tokens).sum(),
        };
        if metered != answered {
            return Err(Failure::new(
                ExitClass::Verification,
                format!("the journal recorded {metered:?}, the answers said {answered:?}"),
            ));
        }
        self.print_line(&format!(
            "  the journal: {} calls, {} + {} tokens, the same as the answers said",
            metered.calls, metered.prompt_tokens, metered.completion_tokens
        ));
        Ok(metered)
    }

    /// Prints the closing lines.
    pub fn close(&self, report: &DemoReport, kept: Option<&Path>) {
        self.printer.line("");
        self.printer
            .line(format!("The demonstration took {:.1} s.", report.seconds));
        match kept {
            Some(dir) => self
                .printer
                .line(format!("Everything it made is in {}.", dir.display())),
            None => self.printer.hint(
                "its chain, its server and its folder are gone; to run these commands yourself, \
                 keep them: `openlora demo --home DIR`",
            ),
        }
        self.printer
            .hint("start your own: `openlora init my-model --template sentiment`");
    }
}

/// Sums up the journal, after verifying its hash chain.
fn totals(journal: &Path) -> Result<MeteredTotals, Failure> {
    let mut journal = Journal::open_read_only(journal)?;
    journal.verify()?;
    let mut state = LedgerState::default();
    let mut gaps = 0_u64;
    journal.replay(1, |record| {
        gaps += u64::from(matches!(state.apply(record), ApplyOutcome::Gap { .. }));
    })?;
    if gaps > 0 {
        let message = format!("{gaps} records of the journal are missing");
        return Err(Failure::new(ExitClass::Verification, message));
    }
    Ok(MeteredTotals {
        calls: state.totals.calls,
        prompt_tokens: state.totals.prompt_tokens,
        completion_tokens: state.totals.completion_tokens,
    })
}

fn called(kind: &'static str, result: &CallResult) -> Result<DemoCall, Failure> {
    Ok(DemoCall {
        kind,
        answer: answer(&result.said),
        prompt_tokens: result.usage.prompt_tokens,
        completion_tokens: result.usage.completion_tokens,
        milliseconds: milliseconds(result)?,
    })
}

pub(super) fn milliseconds(result: &CallResult) -> Result<u64, Failure> {
    let receipt = result.receipt.as_ref().map(|it| it.milliseconds);
    receipt.ok_or_else(|| {
        let message = format!("the call {} has no receipt", result.id);
        Failure::new(ExitClass::Verification, message)
    })
}

fn answer(said: &AdapterAnswer) -> String {
    match said {
        AdapterAnswer::Text { text } => text.trim().to_owned(),
        AdapterAnswer::Labels { label, labels } => {
            let best = labels.iter().find(|it| it.label == *label);
            let probability = best.map_or(0.0, |it| it.probability);
            format!("{label} ({:.1} %)", probability * 100.0)
        }
        AdapterAnswer::Pictures { pictures } => counted(pictures.len() as u64, "picture"),
    }
}
