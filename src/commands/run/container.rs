//! A container from its start to its end.

use std::{io::BufRead, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{
    ContainerReady, ContainerRequest,
    forward::{CallListener, forward},
    parts::{ContainerParts, gather},
};
use crate::commands::{CommandContext, printer::Printer, serve::StopSignals};
use openlora_container::{
    ContainerError,
    jail::JailExit,
    limits::{CpuShare, ResourceLimits},
    report::{LimitReading, LimitsReport},
    started::StartedContainer,
};
use openlora_core::error::{ExitClass, ExitStatus, Failure};

/// Descriptors for a server with its usual number of connections.
const OPEN_FILES: u32 = 4096;

/// Starts the container and passes calls on until it ends.
pub async fn run(
    context: &CommandContext,
    request: ContainerRequest,
) -> Result<ExitStatus, Failure> {
    let limits = ResourceLimits {
        memory: request.memory,
        cpus: request.cpus.unwrap_or_else(all_processors),
        pids: request.pids,
        open_files: OPEN_FILES,
    };
    let listener = CallListener::bind(context, request.socket.as_deref()).await?;
    let signals = StopSignals::install()?;
    let parts = tokio::task::block_in_place(|| gather(context, &request, limits))?;
    let runtime = request.runtime;
    let started = tokio::task::block_in_place(|| {
        StartedContainer::start(&parts.spec, &parts.program, runtime)
    })?;
    for passed in &started.passed_over {
        context.printer.detail(passed);
    }
    serve(context, parts, started, listener, signals).await
}

fn all_processors() -> CpuShare {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    CpuShare::whole(u32::try_from(count).unwrap_or(1))
}

/// What the container wrote, line by line.
enum ContainerLine {
    Output(String),
    Error(String),
    /// Its output ended.
    End,
}

async fn serve(
    context: &CommandContext,
    parts: ContainerParts,
    mut started: StartedContainer,
    listener: CallListener,
    mut signals: StopSignals,
) -> Result<ExitStatus, Failure> {
    let printer = &context.printer;
    let (lines, mut written) = mpsc::channel(64);
    if let Some(output) = started.process.output.take() {
        read_lines(output, lines.clone(), ContainerLine::Output);
    }
    if let Some(errors) = started.process.errors.take() {
        let errors = std::io::BufReader::new(errors);
        read_lines(errors, lines, ContainerLine::Error);
    }
    let url = listener.url();
    let socket = Arc::new(parts.socket.clone());
    let calls = tokio::spawn(forward(listener, socket));
    let mut last_words = Vec::new();
    let (mut is_ready, mut is_open, mut is_stopping) = (false, true, false);
    let exit = loop {
        let line = tokio::select! {
            line = written.recv(), if is_open => line.unwrap_or(ContainerLine::End),
            () = signals.next() => {
                if is_stopping {
                    printer.note("the container is killed");
                    return Ok(ExitStatus::Success);
                }
                printer.note("stopping the container; again to hurry");
                started.process.terminate();
                is_stopping = true;
                continue;
            }
            // A program can close its output and run on.
            () = tokio::time::sleep(GLANCE), if !is_open => match started.process.try_wait()? {
                Some(exit) => break exit,
                None => continue,
            },
        };
        match line {
            // Its first line says that calls are answered.
            ContainerLine::Output(_) if !is_ready => {
                is_ready = true;
                announce(printer, &parts, &started, &url);
            }
            ContainerLine::Output(line) => printer.detail(format!("inside: {line}")),
            ContainerLine::Error(line) => {
                printer.detail(format!("inside: {line}"));
                last_words.push(line);
                let more = last_words.len().saturating_sub(LAST_WORDS);
                last_words.drain(..more);
            }
            ContainerLine::End => is_open = false,
        }
    };
    calls.abort();
    ended(exit, started.process.memory_error(), &last_words)
}

/// How often a container without output is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// Lines of the container's errors that a failure quotes.
const LAST_WORDS: usize = 4;

/// 128 and `SIGKILL`.
const KILLED: i32 = 137;

fn ended(
    exit: JailExit,
    memory: ContainerError,
    last_words: &[String],
) -> Result<ExitStatus, Failure> {
    match exit {
        JailExit {
            out_of_memory: true,
            ..
        } => Err(memory.into()),
        JailExit { code: 0, .. } => Ok(ExitStatus::Success),
        // A runtime does not say why.
        JailExit { code: KILLED, .. } => {
            let message = "the program in the container was killed";
            Err(Failure::new(ExitClass::Environment, message)
                .with_hint("that happens at its limit of memory: give it more with --memory"))
        }
        JailExit { code, .. } => {
            let said = last_words.join("\n");
            let message = match said.is_empty() {
                true => format!("the program in the container ended with {code}"),
                false => format!("the program in the container ended with {code}:\n{said}"),
            };
            Err(Failure::new(ExitClass::Environment, message))
        }
    }
}

/// Longest line of a container that is passed on.
const LONGEST_LINE: u64 = 16 * 1024;

fn read_lines(
    mut from: impl BufRead + Send + 'static,
    to: mpsc::Sender<ContainerLine>,
    kind: fn(String) -> ContainerLine,
) {
    // A thread of its own: it waits as long as the container runs.
    std::thread::spawn(move || {
        loop {
            let mut line = Vec::new();
            let mut bounded = std::io::Read::take(&mut from, LONGEST_LINE);
            match bounded.read_until(b'\n', &mut line) {
                Ok(1..) => {}
                _ => break,
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if to.blocking_send(kind(line)).is_err() {
                break;
            }
        }
    });
}

fn announce(printer: &Printer, parts: &ContainerParts, started: &StartedContainer, url: &str) {
    let report = &started.process.report;
    if printer.is_json() {
        return printer.json(&ContainerReady {
            url,
            adapter: &parts.adapter,
            runtime: started.runtime,
            image: parts.image.as_deref(),
            limits: &report.limits,
            attempts: &report.attempts,
        });
    }
    print_limits(printer, report);
    printer.line(format!(
        "{} answers at {url}, started by {}",
        parts.adapter, started.runtime
    ));
    printer.note("Ctrl-C stops the container");
}

fn print_limits(printer: &Printer, report: &LimitsReport) {
    let width = |text: fn(&LimitReading) -> &str| {
        let widths = report.limits.iter().map(|it| text(it).len());
        widths.max().unwrap_or(0)
    };
    let (names, found) = (width(|it| it.limit.name()), width(|it| &it.found));
    for it in &report.limits {
        let state = match (it.in_force, it.waived) {
            (true, _) => "in force",
            (false, true) => "waived",
            (false, false) => "MISSING",
        };
        let name = it.limit.name();
        printer.line(format!(
            "{name:<names$}  {:<found$}  {state:<8}  {}",
            it.found, it.by
        ));
    }
    let count = report.attempts.len();
    printer.line(format!("{count} attempts against them were denied"));
}
