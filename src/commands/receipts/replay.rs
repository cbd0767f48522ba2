//! `receipts replay`: computes a call again with the base and the adapter that its receipt names, and
//! compares the answer.

mod compare;
mod given;
mod pictures;

use std::path::{Path, PathBuf};

use futures::StreamExt;
use serde::Serialize;

use self::{
    compare::{ReplayedText, different_label, different_text},
    given::{GivenAnswer, body_fields, find_receipt},
};
use super::{ReceiptCheck, print_checks};
use crate::commands::{
    CommandContext,
    call::{AdapterAnswer, LabelProbability, PictureResult},
    picture_project, project,
    serve::{
        PictureShelf, ServedBases, TextBase, adapter_in, engine_choice::ChosenEngine,
        folder::NamedFolder, load_free, makes_pictures,
    },
};
use openlora_core::error::{ExitClass, ExitStatus, Failure};
use openlora_engine::{EngineError, GenerationStep, Prompt, Quant, SamplingParams};
use openlora_image_engine::IMAGE_ARITHMETIC;
use openlora_ledger::{
    CallComputation, SamplingRecord,
    event::{CallKind, FinishReason},
};
use openlora_model::adapter;
use openlora_native::ARITHMETIC;
use openlora_package::verify::CheckStatus;
use openlora_runtime::paid_serving::ChosenAdapter;
use openlora_serve::{
    PublishedReceipt, ServedAdapter,
    api_error::ApiError,
    response_hash::response_hash,
    wire::{
        chat::ChatRequest, completion::CompletionRequest, fields::BodyFields,
        inputs::read_classification,
    },
};

pub use compare::AnswerDifference;

/// The request of `receipts replay` besides settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayRequest {
    /// An id, the beginning of one, or a file with the receipt.
    pub receipt: String,
    /// The answer as text, or the output of `call --json`.
    pub answer: PathBuf,
    /// The prompt as `call` was given it.
    pub prompt: Option<PathBuf>,
    pub system: Option<String>,
    /// The body of the HTTP request.
    pub body: Option<PathBuf>,
    /// A folder, package or run; by default the project's run that the receipt names.
    pub adapter: Option<PathBuf>,
    /// The server to ask for the receipt.
    pub url: Option<String>,
}

/// The outcome of a replay.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ReplayReport {
    /// Nothing differs.
    pub ok: bool,
    /// The request id.
    pub id: String,
    /// The engine and the version of its arithmetic.
    pub engine: String,
    pub checks: Vec<ReceiptCheck>,
    /// Where the answer first differs; null if it does not.
    pub difference: Option<AnswerDifference>,
}

/// Computes the call again; exit code 9 if anything differs.
///
/// # Errors
///
/// The call cannot be computed again: another engine or version, sampling without a seed, an
/// interrupted call, or a missing receipt, prompt, adapter or base.
pub async fn run(context: &CommandContext, request: ReplayRequest) -> Result<ExitStatus, Failure> {
    let answer = GivenAnswer::read(&context.settings.working_dir.join(&request.answer))?;
    let receipt = find_receipt(context, &request, &answer).await?;
    let plan = ReplayPlan::from_receipt(receipt)?;
    let fields = body_fields(context, &request, &answer, &plan.receipt)?;
    let adapter = plan.load(context, request.adapter.as_deref()).await?;
    let mut files = None;
    let (mut checks, difference) = match &answer.said {
        AdapterAnswer::Text { text } => plan.replay_text(&adapter, &fields, text).await?,
        AdapterAnswer::Labels { labels, .. } => {
            plan.replay_labels(&adapter, &fields, labels).await?
        }
        AdapterAnswer::Pictures { pictures } => {
            let made = plan.replay_pictures(&adapter, &fields, pictures).await?;
            // Only files with the digests that the receipt states can be those of its hash.
            files = made.is_as_stated.then_some(made.bytes);
            (made.checks, None)
        }
    };
    checks.push(plan.hash_check(&answer, files.as_deref()));
    let report = ReplayReport {
        ok: checks.iter().all(|check| check.status != CheckStatus::Fail),
        id: plan.receipt.id,
        engine: plan.computation.engine,
        checks,
        difference,
    };
    Ok(print_report(context, &report))
}

fn print_report(context: &CommandContext, report: &ReplayReport) -> ExitStatus {
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(report);
    } else {
        print_checks(printer, &report.checks);
        if let Some(difference) = &report.difference {
            printer.line(difference.to_string());
        }
    }
    match report.ok {
        true => ExitStatus::Success,
        false => ExitStatus::Verdict(ExitClass::Verification),
    }
}

/// The comparisons, and the first difference.
type ReplayFindings = (Vec<ReceiptCheck>, Option<AnswerDifference>);

/// A receipt whose call can be computed again.
struct ReplayPlan {
    receipt: PublishedReceipt,
    computation: CallComputation,
    quant: Quant,
}

impl ReplayPlan {
    fn from_receipt(receipt: PublishedReceipt) -> Result<Self, Failure> {
        let refuse = |reason: String| {
            let message = format!("{} cannot be computed again: {reason}", receipt.id);
            Failure::new(ExitClass::BadInput, message)
        };
        let Some(computation) = receipt.computation.clone() else {
            return Err(refuse(
                "its receipt does not state how it was computed".to_owned(),
            ));
        };
        let arithmetic = match receipt.kind {
            CallKind::Image => IMAGE_ARITHMETIC,
            _ => ARITHMETIC,
        };
        if computation.engine != arithmetic {
            let engine = &computation.engine;
            return Err(refuse(format!(
                "{engine} answered it, and this program computes {arithmetic}"
            )));
        }
        let is_empty = receipt.usage.completion_tokens == 0 && receipt.finish != FinishReason::Stop;
        if !receipt.finish.is_answer() || is_empty {
            return Err(refuse("the server cut it off".to_owned()));
        }
        if matches!(receipt.kind, CallKind::Moderation | CallKind::Embedding) {
            return Err(refuse(
                "only chats, completions, classifications and pictures are compared".to_owned(),
            ));
        }
        if let Some(sampling) = &computation.sampling
            && sampling.temperature.is_some()
            && sampling.seed.is_none()
        {
            return Err(refuse("it was sampled without a seed".to_owned()));
        }
        let weights = &computation.weights;
        let quant = weights.parse().map_err(|_| {
            refuse(format!(
                "this program knows no weights of the form {weights}"
            ))
        })?;
        Ok(Self {
            receipt,
            computation,
            quant,
        })
    }

    /// The adapter and the base that the receipt names, on an engine.
    async fn load(
        &self,
        context: &CommandContext,
        path: Option<&Path>,
    ) -> Result<ServedAdapter, Failure> {
        let chosen = match path {
            Some(path) => {
                let folder = NamedFolder {
                    name: self.receipt.adapter.clone(),
                    path: path.to_owned(),
                };
                adapter_in(context, folder)?
            }
            None => self.run_adapter(context)?,
        };
        let card = chosen.adapter.task.as_ref();
        let id = card.map(|card| card.base_id.as_str());
        let id = id.filter(|_| context.settings.base.id.is_default());
        let bases = match makes_pictures(&chosen.adapter) {
            true => {
                let open = tokio::task::block_in_place(|| picture_project::open(context, id))?;
                self.check_digests(&chosen, &open.base.id, &open.base.digest)?;
                ServedBases {
                    text: None,
                    pictures: Some(PictureShelf::new(open)),
                }
            }
            false => {
                let base = tokio::task::block_in_place(|| project::base(context, id))?;
                self.check_digests(&chosen, &base.id, &base.digest)?;
                let engine = ChosenEngine::native(self.quant);
                ServedBases {
                    text: Some(TextBase { base, engine }),
                    pictures: None,
                }
            }
        };
        let loaded = load_free(context, bases, vec![chosen]).await?;
        let none = || Failure::new(ExitClass::Internal, "no adapter was loaded");
        loaded.into_iter().next().ok_or_else(none)
    }

    /// The adapter of the project's run with the digest of the receipt.
    fn run_adapter(&self, context: &CommandContext) -> Result<ChosenAdapter, Failure> {
        let runs = project::runs(context);
        let mut found = std::fs::read_dir(&runs).into_iter().flatten().flatten();
        let found = found.find_map(|run| {
            let adapter = adapter::read(&run.path().join("adapter")).ok()?;
            (adapter.digest == self.receipt.adapter_digest).then_some(adapter)
        });
        let PublishedReceipt { adapter: name, .. } = &self.receipt;
        let adapter = found.ok_or_else(|| {
            let digest = &self.receipt.adapter_digest;
            let message = format!("no run here has the adapter {name} with digest {digest}");
            Failure::new(ExitClass::BadInput, message)
                .with_hint("name its folder, its package or its run: --adapter PATH")
        })?;
        Ok(ChosenAdapter {
            name: name.clone(),
            version: String::new(),
            adapter,
        })
    }

    fn check_digests(
        &self,
        chosen: &ChosenAdapter,
        base_id: &str,
        base_digest: &str,
    ) -> Result<(), Failure> {
        let differs = |what: String, expected: &str, found: &str| {
            let message = format!("{what} has digest {found}, the receipt names {expected}");
            Failure::new(ExitClass::BadInput, message)
        };
        let (expected, found) = (&self.receipt.adapter_digest, &chosen.adapter.digest);
        if expected != found {
            let what = format!("the adapter {}", chosen.adapter.dir.display());
            return Err(differs(what, expected, found));
        }
        let (expected, found) = (&self.computation.base_digest, base_digest);
        if expected != found {
            return Err(differs(format!("the base {base_id}"), expected, found)
                .with_hint("choose the base that the server runs: --base DIR|ID"));
        }
        Ok(())
    }

    async fn replay_text(
        &self,
        adapter: &ServedAdapter,
        fields: &BodyFields,
        answer: &str,
    ) -> Result<ReplayFindings, Failure> {
        let (prompt, stop) = match self.receipt.kind {
            CallKind::Completion => {
                let read = CompletionRequest::read(fields).map_err(malformed)?;
                (Prompt::Text(read.prompt), read.sampling.stop)
            }
            CallKind::Chat => {
                let read = ChatRequest::read(fields).map_err(malformed)?;
                (adapter.chat_prompt(read.messages), read.sampling.stop)
            }
            kind => return Err(other_form(kind, "a text")),
        };
        let Some(sampling) = &self.computation.sampling else {
            let message = format!("the receipt {} states no sampling", self.receipt.id);
            return Err(Failure::new(ExitClass::BadInput, message));
        };
        let cut = self.is_cut(sampling);
        let mut sampling = SamplingParams::from_record(sampling, stop).map_err(failed)?;
        sampling.logprobs = Some(0);
        let delivered = self.receipt.usage.completion_tokens;
        if cut {
            sampling.max_tokens = usize::try_from(delivered).unwrap_or(usize::MAX);
        }
        let computed = compute(adapter, prompt, sampling).await?;
        let disconnected = self.receipt.finish == FinishReason::Disconnected;
        let answer = self.without_line_end(answer, &computed.text);
        let difference = different_text(&computed, answer, disconnected);
        let (paid, found) = (self.receipt.usage, computed.usage);
        let mut checks = vec![
            count_check("prompt", paid.prompt_tokens, found.prompt_tokens),
            answer_check(difference.is_none()),
            count_check("tokens", paid.completion_tokens, found.completion_tokens),
        ];
        if !cut {
            checks.push(finish_check(self.receipt.finish, computed.finish));
        }
        Ok((checks, difference))
    }

    /// Whether the answer ended before the model and the token limit did.
    fn is_cut(&self, sampling: &SamplingRecord) -> bool {
        match self.receipt.finish {
            FinishReason::Disconnected => true,
            FinishReason::Length => self.receipt.usage.completion_tokens < sampling.max_tokens,
            _ => false,
        }
    }

    /// A shell's redirection of `call` adds a line end to the answer.
    fn without_line_end<'a>(&self, answer: &'a str, computed: &str) -> &'a str {
        let stripped = answer.strip_suffix('\n').unwrap_or(answer);
        let fits = |text: &str| text == computed || self.stands_for(text);
        match fits(stripped) && !fits(answer) {
            true => stripped,
            false => answer,
        }
    }

    async fn replay_labels(
        &self,
        adapter: &ServedAdapter,
        fields: &BodyFields,
        answer: &[LabelProbability],
    ) -> Result<ReplayFindings, Failure> {
        let task = adapter
            .task
            .as_ref()
            .filter(|_| !adapter.labels().is_empty());
        let Some(task) = task.filter(|_| self.receipt.kind == CallKind::Classify) else {
            return Err(other_form(self.receipt.kind, "labels"));
        };
        let text = read_classification(fields).map_err(malformed)?.text;
        let prompt = Prompt::Chat(task.prompt_messages(&text));
        let found = adapter.engine.classify(prompt, adapter.labels()).await;
        let found = found.map_err(failed)?;
        let difference = different_label(adapter.labels(), &found.probabilities, answer);
        let paid = self.receipt.usage;
        let checks = vec![
            count_check("prompt", paid.prompt_tokens, found.usage.prompt_tokens),
            answer_check(difference.is_none()),
            count_check(
                "tokens",
                paid.completion_tokens,
                found.usage.completion_tokens,
            ),
        ];
        Ok((checks, difference))
    }

    /// Whether the receipt's hash, if it can be opened, is that of a text.
    fn stands_for(&self, text: impl AsRef<[u8]>) -> bool {
        let key = self.receipt.response_key.as_deref();
        let hash = key.and_then(|key| response_hash(key, text));
        hash.as_ref() == Some(&self.receipt.response_hash)
    }

    /// Whether the receipt commits to this answer. The reader of a stream that broke off may have
    /// less than the receipt stands for. `files` are the pictures that were made again, if the receipt
    /// states their digests.
    fn hash_check(&self, answer: &GivenAnswer, files: Option<&[u8]>) -> ReceiptCheck {
        let name = "receipt";
        let check = |status, reason: Option<&str>| ReceiptCheck {
            name,
            status,
            reason: reason.map(str::to_owned),
        };
        if self.receipt.response_key.is_none() {
            let reason = "it has no key for its hash: only payers get one";
            return check(CheckStatus::Skipped, Some(reason));
        }
        if self.receipt.finish == FinishReason::Disconnected {
            let reason = "its reader left before the end";
            return check(CheckStatus::Skipped, Some(reason));
        }
        let fits = match &answer.said {
            AdapterAnswer::Text { text } => {
                let stripped = text.strip_suffix('\n');
                self.stands_for(text) || stripped.is_some_and(|text| self.stands_for(text))
            }
            AdapterAnswer::Labels { labels, .. } => {
                let lines = labels
                    .iter()
                    .map(|label| format!("{}\n", label.probability));
                self.stands_for(lines.collect::<String>())
            }
            AdapterAnswer::Pictures { pictures } => {
                let record = self.computation.pictures.as_ref();
                let stated = |it: &PictureResult| {
                    record.is_some_and(|record| record.digests.contains(&it.sha256))
                };
                pictures.iter().all(stated) && files.is_none_or(|files| self.stands_for(files))
            }
        };
        match fits {
            true => check(CheckStatus::Pass, None),
            false => check(CheckStatus::Fail, Some("it stands for another answer")),
        }
    }
}

/// Generates the answer.
async fn compute(
    adapter: &ServedAdapter,
    prompt: Prompt,
    sampling: SamplingParams,
) -> Result<ReplayedText, Failure> {
    let mut steps = adapter
        .engine
        .generate(prompt, sampling)
        .await
        .map_err(failed)?;
    let mut text = String::new();
    let mut starts = Vec::new();
    while let Some(step) = steps.next().await {
        match step.map_err(failed)? {
            GenerationStep::Delta {
                text: more,
                logprobs,
                ..
            } => {
                text.push_str(&more);
                starts.extend(logprobs.iter().map(|token| token.offset));
            }
            GenerationStep::Done { usage, finish } => {
                return Ok(ReplayedText {
                    text,
                    starts,
                    usage,
                    finish,
                });
            }
        }
    }
    let message = "the model's answer broke off without an end";
    Err(Failure::new(ExitClass::Internal, message))
}

fn answer_check(equal: bool) -> ReceiptCheck {
    let (status, reason) = match equal {
        true => (CheckStatus::Pass, None),
        false => (CheckStatus::Fail, Some("it differs".to_owned())),
    };
    ReceiptCheck {
        name: "answer",
        status,
        reason,
    }
}

fn count_check(name: &'static str, stated: u64, found: u64) -> ReceiptCheck {
    let (status, reason) = match stated == found {
        true => (CheckStatus::Pass, None),
        false => {
            let what = match name {
                "evaluations" => name,
                _ => "tokens",
            };
            let reason = format!("{found} {what}, the receipt states {stated}");
            (CheckStatus::Fail, Some(reason))
        }
    };
    ReceiptCheck {
        name,
        status,
        reason,
    }
}

fn finish_check(stated: FinishReason, found: FinishReason) -> ReceiptCheck {
    let word = |finish: FinishReason| format!("{finish:?}").to_lowercase();
    let (status, reason) = match stated == found {
        true => (CheckStatus::Pass, None),
        false => {
            let reason = format!("{}, the receipt states {}", word(found), word(stated));
            (CheckStatus::Fail, Some(reason))
        }
    };
    ReceiptCheck {
        name: "finish",
        status,
        reason,
    }
}

fn other_form(kind: CallKind, given: &str) -> Failure {
    let kind = format!("{kind:?}").to_lowercase();
    let message = format!("the receipt is of a call of kind {kind}, the answer holds {given}");
    Failure::new(ExitClass::BadInput, message)
        .with_hint("give the answer as `openlora --json call \"hello\"` prints it")
}

fn malformed(refusal: impl Into<ApiError>) -> Failure {
    let message = format!("the request is not one: {}", refusal.into().message);
    Failure::new(ExitClass::BadInput, message)
}

fn failed(error: EngineError) -> Failure {
    let class = match error {
        EngineError::Invalid { .. } => ExitClass::BadInput,
        _ => ExitClass::Internal,
    };
    Failure::new(class, format!("the call cannot be computed again: {error}"))
}
