//! `xtask base CORPUS OUT`: trains the embedded base from a folder of JSONL files; see
//! `scripts/build-nano`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use openlora_train::TrainError;
use xtask::base::{BaseBuild, BaseEvent, train_base};

/// Steps between two lines of progress.
const REPORTED: u64 = 50;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [task, corpus, out] = &arguments[..] else {
        return usage();
    };
    if task != "base" {
        return usage();
    }
    match build_base(&BaseBuild::nano(corpus.into(), out.into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&mut io::stderr(), &format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    say(&mut io::stderr(), "usage: xtask base CORPUS OUT");
    ExitCode::from(2)
}

fn build_base(build: &BaseBuild) -> Result<(), TrainError> {
    let mut stderr = io::stderr();
    let built = train_base(build, &mut |event| match event {
        BaseEvent::Prepared {
            documents,
            tokens,
            vocab,
            parameters,
            steps,
        } => say(
            &mut stderr,
            &format!(
                "{documents} documents, {tokens} tokens, vocabulary {vocab}, {parameters} parameters, {steps} steps"
            ),
        ),
        BaseEvent::Step {
            step,
            loss,
            tokens_per_second,
        } => {
            if step.is_multiple_of(REPORTED) {
                say(
                    &mut stderr,
                    &format!("step {step}: loss {loss:.4}, {tokens_per_second:.0} tokens/s"),
                );
            }
        }
    })?;
    let held_out = match built.validation_loss {
        Some(loss) => format!("held out      {loss:.4}\n"),
        None => String::new(),
    };
    say(
        &mut io::stdout(),
        &format!(
            "loss          {:.4}\n{held_out}weights       sha256 {}",
            built.loss, built.weights_sha256
        ),
    );
    Ok(())
}

/// A closed pipe is no reason to stop a build of several minutes.
fn say(output: &mut dyn Write, text: &str) {
    let _ = writeln!(output, "{text}");
}
