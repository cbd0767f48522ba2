//! `chat`: a conversation with an adapter in this process, without a server and without payment.

use std::io::IsTerminal;

use futures::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{CommandContext, serve};
use openlora_core::error::{ExitClass, ExitStatus, Failure};
use openlora_engine::{EngineError, EngineLimits, GenerationStep, Prompt, SamplingParams};
use openlora_model::{dataset::Task, text::ChatMessage};
use openlora_serve::{ServedAdapter, similar::closest};

/// The request of `chat` besides settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConversationRequest {
    /// `NAME=PATH` as typed; the newest run's adapter if unset.
    pub adapter: Option<String>,
    /// System message instead of the task's own.
    pub system: Option<String>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<usize>,
}

/// What is typed instead of a message, and what it does.
const CHAT_COMMANDS: [(&str, &str); 4] = [
    ("/new", "begins anew: what was said is forgotten"),
    ("/help", "lists these commands"),
    ("/quit", "ends the conversation, as Ctrl-D does"),
    ("/exit", "the same"),
];

/// Tokens that the conversation leaves free for the next answer.
const ROOM: usize = 64;

/// A line of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChatLine<'a> {
    Empty,
    /// A message, without the first of two slashes.
    Message(&'a str),
    New,
    Help,
    Quit,
}

impl<'a> ChatLine<'a> {
    /// # Errors
    ///
    /// A command that does not exist, which may be a message that begins with a slash.
    fn parse(line: &'a str) -> Result<Self, Failure> {
        let line = line.trim();
        if !line.starts_with('/') {
            return Ok(match line {
                "" => Self::Empty,
                text => Self::Message(text),
            });
        }
        if line.starts_with("//") {
            return Ok(Self::Message(&line[1..]));
        }
        match line {
            "/new" => Ok(Self::New),
            "/" | "/help" => Ok(Self::Help),
            "/quit" | "/exit" => Ok(Self::Quit),
            _ => Err(unknown_command(line)),
        }
    }
}

fn unknown_command(line: &str) -> Failure {
    let name = line.split_whitespace().next().unwrap_or(line);
    let names = CHAT_COMMANDS.map(|(name, _)| name);
    let (refused, near) = match closest(name, &names) {
        Some(near) if near == name => (line, format!("type {near} alone")),
        Some(near) => (name, format!("did you mean {near}?")),
        None => (name, format!("there are {}", names.join(", "))),
    };
    let message = format!("chat has no command `{refused}`");
    Failure::new(ExitClass::Usage, message).with_hint(format!(
        "{near}; to send a message that begins with a slash, type two"
    ))
}

/// Reads a line, prints the answer while it is computed, and goes on until `/quit` or the end of
/// the input.
pub async fn run(
    context: &CommandContext,
    request: ConversationRequest,
) -> Result<ExitStatus, Failure> {
    if context.printer.is_json() {
        let message = "chat has no JSON result: it is a conversation";
        return Err(Failure::new(ExitClass::Usage, message)
            .with_hint("ask a server instead: `openlora --json call \"hello\"`"));
    }
    let wanted: Vec<String> = request.adapter.iter().cloned().collect();
    let adapter = serve::load_one(context, &wanted).await?;
    if adapter.engine.images().is_some() {
        let message = format!(
            "{} makes pictures, expected an adapter for text",
            adapter.name
        );
        return Err(Failure::new(ExitClass::BadInput, message).with_hint(
            "serve it and ask for a picture: `openlora call \"a red circle\" -o picture.png`",
        ));
    }
    let mut interrupts = interrupts()?;
    let asks = std::io::stdin().is_terminal();
    if asks {
        context.printer.note(format!(
            "chatting with {}; Ctrl-C stops an answer, /new begins anew, /quit ends, /help lists \
             the commands",
            adapter.name
        ));
    }
    let mut conversation = Conversation {
        context,
        adapter,
        request,
        messages: Vec::new(),
    };
    loop {
        if asks {
            context.printer.question("> ");
        }
        let line = tokio::select! {
            line = next_line() => line?,
            _ = interrupts.recv() => None,
        };
        match line.as_deref().map_or(Ok(ChatLine::Quit), ChatLine::parse) {
            Ok(ChatLine::Quit) => break,
            Ok(ChatLine::Empty) => {}
            Ok(ChatLine::New) => conversation.messages.clear(),
            Ok(ChatLine::Help) => list_commands(context),
            Ok(ChatLine::Message(text)) => conversation.answer(text, &mut interrupts).await?,
            // A person types it again; in a file it would shift the answers.
            Err(refused) if asks => context.printer.refused(&refused),
            Err(refused) => return Err(refused),
        }
    }
    if asks {
        context.printer.note("");
    }
    Ok(ExitStatus::Success)
}

fn list_commands(context: &CommandContext) {
    for (name, effect) in CHAT_COMMANDS {
        context.printer.note(format!("{name:<6} {effect}"));
    }
    context
        .printer
        .note("//     a message that begins with one slash");
}

/// Ctrl-C, from now on. Before, while the model is loaded, it ends the program.
fn interrupts() -> Result<Signal, Failure> {
    signal(SignalKind::interrupt()).map_err(|error| {
        let message = format!("cannot listen for signals: {error}");
        Failure::new(ExitClass::Environment, message)
    })
}

/// The next line of standard input; none at its end.
async fn next_line() -> Result<Option<String>, Failure> {
    let reading = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin()
            .read_line(&mut line)
            .map(|read| (read > 0).then_some(line))
    });
    let read = reading.await.map_err(std::io::Error::other);
    read.flatten().map_err(|error| {
        Failure::new(
            ExitClass::BadInput,
            format!("cannot read the line: {error}"),
        )
    })
}

/// What was said so far.
struct Conversation<'a> {
    context: &'a CommandContext,
    adapter: ServedAdapter,
    request: ConversationRequest,
    messages: Vec<ChatMessage>,
}

impl Conversation<'_> {
    /// Prints the answer to a line; an interrupt stops it.
    async fn answer(&mut self, text: &str, interrupts: &mut Signal) -> Result<(), Failure> {
        if let Some(task @ Task::Classify { .. }) = &self.adapter.task {
            return self
                .classify(Prompt::Chat(task.prompt_messages(text)))
                .await;
        }
        self.messages.push(message("user", text));
        let prompt = self.fitting().await?;
        let sampling = self.sampling();
        let generated = self.adapter.engine.generate(prompt, sampling).await;
        let mut steps = generated.map_err(|error| failed(&error))?;
        let mut said = String::new();
        loop {
            let step = tokio::select! {
                step = steps.next() => step,
                _ = interrupts.recv() => {
                    self.context.printer.piece("\n");
                    self.context.printer.note("stopped");
                    break;
                }
            };
            match step.transpose().map_err(|error| failed(&error))? {
                Some(GenerationStep::Delta { text, .. }) => {
                    self.context.printer.piece(&text);
                    said.push_str(&text);
                }
                Some(GenerationStep::Done { .. }) | None => {
                    self.context.printer.piece("\n");
                    break;
                }
            }
        }
        self.messages.push(message("assistant", &said));
        Ok(())
    }

    async fn classify(&self, prompt: Prompt) -> Result<(), Failure> {
        let labels = self.adapter.labels();
        let found = self.adapter.engine.classify(prompt, labels).await;
        let found = found.map_err(|error| failed(&error))?;
        let mut ranked: Vec<(&String, f64)> = labels.iter().zip(found.probabilities).collect();
        ranked.sort_by(|left, right| right.1.total_cmp(&left.1));
        for (label, probability) in ranked {
            let line = format!("{probability:.4}  {label}");
            self.context.printer.line(line);
        }
        Ok(())
    }

    /// The conversation as a prompt. The oldest turns are dropped when the model has no room for
    /// them and an answer.
    async fn fitting(&mut self) -> Result<Prompt, Failure> {
        let EngineLimits { context_tokens } = self.adapter.engine.limits();
        loop {
            let mut messages = self.messages.clone();
            if let Some(system) = &self.request.system {
                messages.insert(0, message("system", system));
            }
            let prompt = self.adapter.chat_prompt(messages);
            let counted = self.adapter.engine.count_prompt(&prompt).await;
            let tokens = counted.map_err(|error| failed(&error))?;
            let tokens = usize::try_from(tokens).unwrap_or(usize::MAX);
            if self.messages.len() < 3 || tokens.saturating_add(ROOM) <= context_tokens {
                return Ok(prompt);
            }
            self.messages.drain(..2);
        }
    }

    fn sampling(&self) -> SamplingParams {
        let settings = &self.context.settings.serve;
        let temperature = self.request.temperature;
        let temperature = temperature.unwrap_or_else(|| self.adapter.default_temperature());
        SamplingParams {
            max_tokens: self.request.max_tokens.unwrap_or(settings.max_tokens),
            temperature: (temperature > 0.0).then_some(temperature),
            ..SamplingParams::default()
        }
    }
}

fn message(role: &str, content: &str) -> ChatMessage {
    ChatMessage {
        role: role.to_owned(),
        content: content.to_owned(),
    }
}

fn failed(error: &EngineError) -> Failure {
    let class = match error {
        EngineError::Invalid { .. } => ExitClass::BadInput,
        _ => ExitClass::Internal,
    };
    Failure::new(class, format!("the model did not answer: {error}"))
}
