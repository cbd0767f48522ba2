//! `xtask base CORPUS OUT`: trains the embedded base from a folder of JSONL files; see
//! `scripts/build-nano`. `xtask pico NANO OUT`: trains the embedded image model, whose captions the base
//! in the folder NANO reads, and `xtask judge OUT` the judge of its pictures; see `scripts/build-pico`.
//! `xtask figures NANO PICO [GUIDANCE]` prints what the judge sees in pictures of that model.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use openlora_core::atomic::{self, FileAccess};
use openlora_diffusion::{CONFIG_FILE, NanoTextEncoder, WEIGHTS_FILE};
use openlora_pictures::judge::{JUDGE_FILE, JudgeTraining, train_judge};
use openlora_train::TrainError;
use sha2::{Digest, Sha256};
use xtask::{
    base::{BaseBuild, BaseEvent, train_base},
    figures::pico_figures,
    pico::{PicoBuild, PicoStep, train_pico},
};

/// Steps between two lines of progress.
const REPORTED: u64 = 50;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let built = match arguments[..] {
        ["base", corpus, out] => {
            let build = BaseBuild::nano(corpus.into(), out.into());
            build_base(&build).map_err(|error| error.to_string())
        }
        ["pico", nano, out] => build_pico(nano.as_ref(), out.as_ref()),
        ["judge", out] => build_judge(out.as_ref()),
        ["figures", nano, pico, ref guidance @ ..] => {
            print_figures(nano.as_ref(), pico.as_ref(), guidance)
        }
        _ => return usage(),
    };
    match built {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&mut io::stderr(), &format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    say(
        &mut io::stderr(),
        "usage: xtask base CORPUS OUT, xtask pico NANO OUT, xtask judge OUT, \
         or xtask figures NANO PICO [GUIDANCE]",
    );
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

fn build_pico(nano: &Path, out: &Path) -> Result<(), String> {
    let mut stderr = io::stderr();
    let encoder = NanoTextEncoder::open(nano).map_err(|error| error.to_string())?;
    let mut report = |PicoStep { step, loss, speed }: PicoStep, _: &_| {
        if step.is_multiple_of(REPORTED) {
            let line = format!("step {step}: loss {loss:.4}, {speed:.0} pictures/s");
            say(&mut stderr, &line);
        }
    };
    let built = train_pico(&PicoBuild::pico(), &encoder, &mut report);
    let built = built.map_err(|error| error.to_string())?;
    let weights = built
        .model
        .weights_file()
        .map_err(|error| error.to_string())?;
    fs::create_dir_all(out).map_err(|error| format!("create {}: {error}", out.display()))?;
    let files = [
        (CONFIG_FILE, built.model.config().to_json()),
        (WEIGHTS_FILE, weights),
    ];
    for (name, bytes) in &files {
        let path = out.join(name);
        atomic::replace_file(&path, bytes, FileAccess::Everyone)
            .map_err(|error| format!("write {}: {error}", path.display()))?;
    }
    let digest = hex::encode(Sha256::digest(&files[1].1));
    let (loss, pictures) = (built.loss, built.pictures);
    say(
        &mut io::stdout(),
        &format!(
            "loss          {loss:.4}\npictures      {pictures}\nweights       sha256 {digest}"
        ),
    );
    Ok(())
}

fn build_judge(out: &Path) -> Result<(), String> {
    let mut stderr = io::stderr();
    let weights = train_judge(&JudgeTraining::default(), &mut |step, loss| {
        if (step as u64).is_multiple_of(REPORTED) {
            say(&mut stderr, &format!("step {step}: loss {loss:.4}"));
        }
    });
    let weights = weights
        .to_safetensors()
        .map_err(|error| error.to_string())?;
    fs::create_dir_all(out).map_err(|error| format!("create {}: {error}", out.display()))?;
    let path = out.join(JUDGE_FILE);
    atomic::replace_file(&path, &weights, FileAccess::Everyone)
        .map_err(|error| format!("write {}: {error}", path.display()))?;
    let digest = hex::encode(Sha256::digest(&weights));
    say(&mut io::stdout(), &format!("weights       sha256 {digest}"));
    Ok(())
}

fn print_figures(nano: &Path, pico: &Path, guidance: &[&str]) -> Result<(), String> {
    let guidance = match guidance {
        [] => 2.5,
        [text] => text.parse().map_err(|error| format!("{text}: {error}"))?,
        [_, more, ..] => return Err(format!("unexpected argument {more}")),
    };
    let table = pico_figures(nano, pico, guidance)?;
    say(&mut io::stdout(), table.trim_end());
    Ok(())
}

/// A closed pipe is no reason to stop a build of several minutes.
fn say(output: &mut dyn Write, text: &str) {
    let _ = writeln!(output, "{text}");
}
