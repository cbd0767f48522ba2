//! `base build` (hidden): trains a small base model from text. The embedded model nano is built
//! this way; see `scripts/build-nano`.

use std::path::PathBuf;

use super::CommandContext;
use crate::commands::settings::closest;
use openlora_core::error::{ExitClass, ExitStatus, Failure};
use openlora_train::base::{BaseBuild, BaseEvent, train_base};

/// The command-line request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseBuildRequest {
    pub corpus: PathBuf,
    pub out: PathBuf,
    /// `key=value` pairs that set fields of the build.
    pub overrides: Vec<String>,
}

pub async fn build(
    context: &CommandContext,
    request: BaseBuildRequest,
) -> Result<ExitStatus, Failure> {
    let dir = &context.settings.working_dir;
    let mut build = BaseBuild::nano(dir.join(&request.corpus), dir.join(&request.out));
    for text in &request.overrides {
        set(&mut build, text)?;
    }
    let context = context.clone();
    let work = tokio::task::spawn_blocking(move || work(&context, &build));
    work.await
        .map_err(|error| Failure::new(ExitClass::Internal, format!("the build stopped: {error}")))?
}

fn work(context: &CommandContext, build: &BaseBuild) -> Result<ExitStatus, Failure> {
    let printer = &context.printer;
    let mut progress = None;
    let built = train_base(build, &mut |event| match event {
        BaseEvent::Prepared {
            documents,
            tokens,
            vocab,
            parameters,
            steps,
        } => {
            printer.note(format!(
                    "{documents} documents, {tokens} tokens, vocabulary {vocab}, {parameters} parameters"
                ));
            progress = Some(printer.progress("training", steps));
        }
        BaseEvent::Step {
            step,
            loss,
            tokens_per_second,
            ..
        } => {
            if let Some(progress) = &mut progress {
                progress.update(
                    step,
                    &format!("loss {loss:.4}, {tokens_per_second:.0} tokens/s"),
                );
            }
        }
    })?;
    if printer.is_json() {
        printer.json(&built);
    } else {
        printer.line(format!("loss          {:.4}", built.loss));
        if let Some(loss) = built.validation_loss {
            printer.line(format!("held out      {loss:.4}"));
        }
        printer.line(format!("weights       sha256 {}", built.weights_sha256));
    }
    Ok(ExitStatus::Success)
}

const KEYS: [&str; 12] = [
    "vocab",
    "hidden",
    "layers",
    "heads",
    "kv_heads",
    "intermediate",
    "context",
    "tokens",
    "batch_tokens",
    "lr",
    "weight_decay",
    "seed",
];

fn set(build: &mut BaseBuild, text: &str) -> Result<(), Failure> {
    let usage = |message: String| Failure::new(ExitClass::Usage, message);
    let Some((key, value)) = text.split_once('=') else {
        return Err(usage(format!("--set {text}: expected KEY=VALUE")));
    };
    let number: f64 = value
        .parse()
        .ok()
        .filter(|number| *number >= 0.0)
        .ok_or_else(|| usage(format!("--set {text}: expected a number, found {value:?}")))?;
    let (shape, count) = (&mut build.shape, number as usize);
    match key {
        "vocab" => shape.vocab = count,
        "hidden" => shape.hidden = count,
        "layers" => shape.layers = count,
        "heads" => shape.heads = count,
        "kv_heads" => shape.kv_heads = count,
        "intermediate" => shape.intermediate = count,
        "context" => shape.context = count,
        "tokens" => build.tokens = number as u64,
        "batch_tokens" => build.batch_tokens = count,
        "lr" => build.lr = number,
        "weight_decay" => build.weight_decay = number,
        "seed" => build.seed = number as u64,
        _ => {
            let failure = usage(format!("--set {text}: unknown key {key:?}"));
            return Err(match closest(key, KEYS.into_iter()) {
                Some(meant) => failure.with_hint(format!("did you mean `{meant}`?")),
                None => failure.with_hint(format!("the keys are {}", KEYS.join(", "))),
            });
        }
    }
    Ok(())
}
