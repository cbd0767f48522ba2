//! The writer thread. It collects queued events and commits them together, so that many callers
//! share one disk sync.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tokio::sync::{broadcast, oneshot, watch};

use super::{
    JournalClock,
    chain::JournalHead,
    error::JournalError,
    store::{AppendOutcome, JournalEntry, JournalStore, StoreReader, UncountedCall},
};
use openlora_ledger::{
    event::{Event, EventRecord, FinishReason, TokenUsage},
    state::CurrentState,
};

/// Events per transaction; limits the memory of a batch and the latency of its last caller.
const BATCH: usize = 1024;

/// How long events without a waiting caller may collect before they are committed.
const LINGER: Duration = Duration::from_millis(20);

pub(super) type WriterReply<T> = oneshot::Sender<Result<T, JournalError>>;

/// Commands from handles to the writer, in order.
pub(super) enum WriterCommand {
    /// The events are written in the same transaction; the reply is for the first one.
    Append(Box<JournalEntry>, Vec<Event>, WriterReply<EventRecord>),
    Note(Event),
    Flush(WriterReply<()>),
    Recover {
        session: String,
        reply: WriterReply<Vec<EventRecord>>,
    },
    Follow(u64, RecordFollower, WriterReply<()>),
    State(WriterReply<Arc<CurrentState>>),
}

impl WriterCommand {
    fn is_awaited(&self) -> bool {
        !matches!(self, Self::Note(_))
    }
}

/// Sees every record in order, each before the append that wrote it returns.
pub type RecordFollower = Box<dyn FnMut(&EventRecord) + Send>;

/// A caller that waits for one event of the batch.
enum WriterWaiter {
    Record(WriterReply<EventRecord>),
    Nobody,
}

pub(super) struct JournalWriter {
    /// Declared before the store so that it closes first, see [`super::JournalInner`].
    pub reader: Box<dyn StoreReader>,
    pub store: Box<dyn JournalStore>,
    pub clock: JournalClock,
    pub head: watch::Sender<JournalHead>,
    pub news: broadcast::Sender<u64>,
    pub followers: Vec<RecordFollower>,
    /// Folded when it is first asked for.
    pub state: Option<Arc<CurrentState>>,
}

impl JournalWriter {
    /// Runs until every handle is dropped and all commands are done.
    pub(super) fn run(mut self, commands: &Receiver<WriterCommand>) {
        while let Ok(first) = commands.recv() {
            let batch = gather(first, commands);
            self.process(batch);
        }
    }

    fn process(&mut self, batch: Vec<WriterCommand>) {
        let mut events = Vec::new();
        let mut waiting = Vec::new();
        for command in batch {
            match command {
                WriterCommand::Append(entry, more, reply) => {
                    events.push(*entry);
                    waiting.push(WriterWaiter::Record(reply));
                    for event in more {
                        events.push(event.into());
                        waiting.push(WriterWaiter::Nobody);
                    }
                }
                WriterCommand::Note(event) => {
                    events.push(event.into());
                    waiting.push(WriterWaiter::Nobody);
                }
                WriterCommand::Flush(reply) => {
                    let done = self.commit_for(&mut events, &mut waiting);
                    answer(reply, done);
                }
                WriterCommand::Follow(from, follower, reply) => {
                    let done = self
                        .commit_for(&mut events, &mut waiting)
                        .and_then(|()| self.follow(from, follower));
                    answer(reply, done);
                }
                WriterCommand::State(reply) => {
                    let done = self
                        .commit_for(&mut events, &mut waiting)
                        .and_then(|()| self.state());
                    answer(reply, done);
                }
                WriterCommand::Recover { session, reply } => {
                    let done = self
                        .commit_for(&mut events, &mut waiting)
                        .and_then(|()| self.recover(&session));
                    answer(reply, done);
                }
            }
        }
        // Each caller has already received its result.
        let _ = self.commit_for(&mut events, &mut waiting);
    }

    /// Commits and replies to the waiting callers; both lists are empty afterwards.
    fn commit_for(
        &mut self,
        events: &mut Vec<JournalEntry>,
        waiting: &mut Vec<WriterWaiter>,
    ) -> Result<(), JournalError> {
        let (events, waiting) = (std::mem::take(events), std::mem::take(waiting));
        if events.is_empty() {
            return Ok(());
        }
        match self.commit(&events) {
            Ok(outcomes) => {
                waiting
                    .into_iter()
                    .zip(outcomes)
                    .for_each(|(waiting, outcome)| send_outcome(waiting, outcome));
                Ok(())
            }
            Err(error) => {
                refuse(waiting, &error);
                Err(error)
            }
        }
    }

    fn commit(&mut self, events: &[JournalEntry]) -> Result<Vec<AppendOutcome>, JournalError> {
        let outcomes = self.store.append((self.clock)(), events)?;
        for outcome in &outcomes {
            if let AppendOutcome::Stored(record) = outcome {
                self.followers.iter_mut().for_each(|follow| follow(record));
            }
        }
        let head = self.store.head();
        if self.head.send_replace(head) != head {
            // It is no error if there is no subscriber.
            let _ = self.news.send(head.sequence);
        }
        Ok(outcomes)
    }

    /// Passes the existing records at and after `next` to a follower, and from now on each new one.
    fn follow(&mut self, mut next: u64, mut follower: RecordFollower) -> Result<(), JournalError> {
        loop {
            let rows = self.reader.read(next, BATCH)?;
            let Some(last) = rows.last() else { break };
            next = last.sequence + 1;
            for row in &rows {
                follower(&row.decode()?);
            }
        }
        self.followers.push(follower);
        Ok(())
    }

    /// The state, which is a follower like any other.
    fn state(&mut self) -> Result<Arc<CurrentState>, JournalError> {
        if let Some(state) = &self.state {
            return Ok(Arc::clone(state));
        }
        let state = Arc::new(CurrentState::default());
        let folded = Arc::clone(&state);
        let fold: RecordFollower = Box::new(move |record| {
            // The journal has no gaps.
            let _ = folded.apply(record);
        });
        self.follow(1, fold)?;
        self.state = Some(Arc::clone(&state));
        Ok(state)
    }

    /// Meters the calls that other sessions left open, in one transaction.
    fn recover(&mut self, session: &str) -> Result<Vec<EventRecord>, JournalError> {
        let mut open = self.reader.open_calls()?;
        open.retain(|call| call.session != session);
        let salt = self.reader.salt().to_vec();
        let events: Vec<JournalEntry> = open
            .into_iter()
            .map(|call| recovered(call, &salt).into())
            .collect();
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let outcomes = self.commit(&events)?;
        let stored = outcomes.into_iter().filter_map(|outcome| match outcome {
            AppendOutcome::Stored(record) => Some(record),
            AppendOutcome::Duplicate(_) => None,
        });
        Ok(stored.collect())
    }
}

/// Takes the commands that are queued; waits for more only while no caller waits for a reply.
fn gather(first: WriterCommand, commands: &Receiver<WriterCommand>) -> Vec<WriterCommand> {
    let until = Instant::now() + LINGER;
    let mut awaited = first.is_awaited();
    let mut batch = vec![first];
    while batch.len() < BATCH {
        let patience = if awaited {
            Duration::ZERO
        } else {
            until.saturating_duration_since(Instant::now())
        };
        match commands.recv_timeout(patience) {
            Ok(command) => {
                awaited |= command.is_awaited();
                batch.push(command);
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    batch
}

/// The meter record of a call whose server died, with the tokens of its last checkpoint. The text
/// was lost with the process, so the response hash is that of the empty text.
fn recovered(call: UncountedCall, salt: &[u8]) -> Event {
    let (completion_tokens, until) = call.checkpoint.unwrap_or((0, call.reserved_ms));
    let (usage, finish) = (
        TokenUsage {
            prompt_tokens: call.prompt_tokens,
            completion_tokens,
        },
        FinishReason::Recovered,
    );
    let charge = call.payment.map(|it| Box::new(it.charge(usage, finish)));
    Event::CallMetered {
        request_id: call.request_id,
        adapter: call.adapter,
        adapter_digest: call.adapter_digest,
        kind: call.kind,
        usage,
        finish,
        milliseconds: until.saturating_sub(call.reserved_ms),
        first_token_milliseconds: None,
        request_hash: call.request_hash,
        response_hash: super::salted(salt, b""),
        charge,
        computation: None,
    }
}

fn send_outcome(waiting: WriterWaiter, outcome: AppendOutcome) {
    match (waiting, outcome) {
        (WriterWaiter::Record(reply), AppendOutcome::Stored(record)) => answer(reply, Ok(record)),
        (WriterWaiter::Record(reply), AppendOutcome::Duplicate(unique)) => {
            answer(reply, Err(JournalError::Duplicate(unique)));
        }
        (WriterWaiter::Nobody, AppendOutcome::Duplicate(unique)) => {
            tracing::warn!(
                kind = unique.kind,
                request_id = unique.request_id,
                "a repeated event was left out"
            );
        }
        (WriterWaiter::Nobody, AppendOutcome::Stored(_)) => {}
    }
}

fn refuse(waiting: Vec<WriterWaiter>, error: &JournalError) {
    let mut lost = 0u64;
    for waiting in waiting {
        match waiting {
            WriterWaiter::Record(reply) => answer(reply, Err(error.clone())),
            WriterWaiter::Nobody => lost += 1,
        }
    }
    if lost > 0 {
        tracing::error!(%error, lost, "events were not written");
    }
}

/// A caller that stopped waiting needs no reply.
fn answer<T>(reply: WriterReply<T>, result: Result<T, JournalError>) {
    let _ = reply.send(result);
}
