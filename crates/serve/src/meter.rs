//! Counting: exactly one `CallMetered` per request id, whatever happens to the connection.
//!
//! A call is reserved durably before the model runs, checkpointed as its text is sent, and
//! metered durably before the caller learns that it ended. Dropping a [`ReservedCall`] counts the
//! tokens generated so far, and nothing if there are none. Calls that a dead process left open are
//! metered at the next start from their last checkpoint. The meter knows neither HTTP bodies nor the
//! engine.
//!
//! From its reservation to its count, a call owns its payment's guard. Both are written by tasks
//! that a disconnecting caller cannot interrupt. The journal's writer folds each into the ledger,
//! which has the only copy of what a channel is charged, before the guard releases the channel.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::watch;

use super::{
    ServeError,
    abandoned::AbandonedStreams,
    adapter_registry::ServedAdapter,
    answer::FinishedAnswer,
    api_error::ApiError,
    attribution::{AttributionService, prove::EndedCall},
    calls::{CallSlot, CallTable, IdClaim, mismatch},
    client::ClientAddress,
    fingerprint::RequestFingerprint,
    gate::Permit,
    metrics::ServerMetrics,
    payment::unpaid,
    picture_files::PictureFile,
    receipt::{self, PublishedUsage, already_metered},
    request_id::RequestId,
    response_hash,
};
use openlora_attribution::queue::CallPicture;
use openlora_core::Address;
use openlora_engine::Prompt;
use openlora_journal::{CachedResponse, Journal, JournalEntry, JournalError, LARGEST_ENCLOSURE};
use openlora_ledger::{
    CallCharge, CallComputation, CheckedPayment,
    event::{CallKind, Event, EventRecord, FinishReason, TokenUsage},
};
use openlora_ports::{PaymentDemand, PaymentGuard, Presenter};

/// Tokens between two checkpoints of a running call.
pub const CHECKPOINT_TOKENS: u64 = 16;

/// Longest time between two checkpoints while tokens come.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(250);

/// Pause before a count is written again after a journal error.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How many attempts a failed call has under its id.
const ATTEMPTS: u32 = 1024;

/// How long the server reports that it is not ready after a journal error.
pub const REFUSAL_ECHO: Duration = Duration::from_secs(5);

/// The one place where calls are counted; cheap to clone.
#[derive(Clone)]
pub struct CallMeter {
    inner: Arc<MeterInner>,
}

struct MeterInner {
    journal: Journal,
    salt: Vec<u8>,
    session: String,
    calls: Arc<CallTable>,
    metrics: ServerMetrics,
    attributions: AttributionService,
    abandoned: AbandonedStreams,
    /// When the journal last refused an event.
    refused: Mutex<Option<Instant>>,
    /// Calls reserved and not yet metered.
    open: watch::Sender<usize>,
}

/// A call before its prompt is counted.
#[derive(Debug)]
pub enum Admission {
    Fresh(CallSlot),
    Repeated(FinishedAnswer),
}

/// A call about to be reserved.
pub struct CallReservation {
    pub slot: CallSlot,
    pub fingerprint: RequestFingerprint,
    pub adapter: Arc<ServedAdapter>,
    pub kind: CallKind,
    pub prompt_tokens: u64,
    pub accepted: Instant,
    /// No sketch of the call is computed.
    pub static_shares: bool,
    pub permit: Permit,
    /// The payment of the call; `None` if calls are free.
    pub guard: Option<Box<dyn PaymentGuard>>,
    pub prompts: Vec<Prompt>,
    /// What the receipt states of the answer's computation.
    pub computation: CallComputation,
}

/// A reserved call. If it is dropped without [`ReservedCall::finish`], it counts as disconnected,
/// or as failed if no token was generated.
pub struct ReservedCall {
    /// Taken when the call is settled.
    open: Option<ReservedState>,
    begun: bool,
    /// Whether the call costs nothing if it ends before its first token; decided once.
    waived: Option<bool>,
    usage: TokenUsage,
    checkpointed: (u64, Instant),
}

struct ReservedState {
    inner: Arc<MeterInner>,
    slot: CallSlot,
    fingerprint: RequestFingerprint,
    permit: Permit,
    adapter: Arc<ServedAdapter>,
    kind: CallKind,
    accepted: Instant,
    static_shares: bool,
    reserved: Instant,
    first_token: Option<Duration>,
    delivered: Sha256,
    guard: Option<Box<dyn PaymentGuard>>,
    /// The charge of the call, once it is known.
    charge: Option<CallCharge>,
    prompts: Vec<Prompt>,
    /// One per prompt.
    answers: Vec<String>,
    /// Delivered instead of answers.
    pictures: Vec<CallPicture>,
    computation: CallComputation,
}

impl CallMeter {
    /// Meters the calls that an earlier process left open, then counts for this one. `held` bounds
    /// the size of the answers kept for repeated ids, in bytes.
    pub async fn open(
        journal: Journal,
        attributions: AttributionService,
        metrics: ServerMetrics,
        held: usize,
    ) -> Result<Self, ServeError> {
        let session = uuid::Uuid::now_v7().to_string();
        for record in journal.recover(&session).await? {
            metrics.metered(&record.event);
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        journal
            .append(Event::ServerStarted {
                session: session.clone(),
                version,
            })
            .await?;
        let salt = journal.salt().to_vec();
        let inner = MeterInner {
            journal,
            salt,
            session,
            calls: Arc::new(CallTable::new(held)),
            metrics,
            attributions,
            abandoned: AbandonedStreams::default(),
            refused: Mutex::new(None),
            open: watch::Sender::new(0),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// False for [`REFUSAL_ECHO`] after the journal refused an event; then the next call tries.
    pub fn is_writable(&self) -> bool {
        let refused = *self.inner.lock_refused();
        refused.is_none_or(|refused| refused.elapsed() >= REFUSAL_ECHO)
    }

    /// Memory of the answers that are held for repeats.
    pub fn held_bytes(&self) -> usize {
        self.inner.calls.held_bytes()
    }

    /// Bytes of the largest answer that is held for repeats.
    pub fn largest_held(&self) -> usize {
        self.inner.calls.largest()
    }

    pub fn is_running(&self, id: &RequestId) -> bool {
        self.inner.calls.is_running(id)
    }

    /// A hash over a request's parts that distinguishes it from others.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> RequestFingerprint {
        RequestFingerprint::new(&self.inner.salt, parts)
    }

    /// What a request shows of its sender.
    pub fn presenter(&self, id: &RequestId, address: Option<ClientAddress>) -> Presenter {
        let salted = |purpose: &[u8], text: &str| {
            hex::encode(
                self.inner
                    .hasher()
                    .chain_update(purpose)
                    .chain_update(text)
                    .finalize(),
            )
        };
        Presenter {
            request_id: salted(b"presenter's id", id.as_str()),
            address: address.map(|it| salted(b"presenter's address", &it.text())),
            is_limited: false,
        }
    }

    /// Whether a payer's call has this name, whichever attempt was answered. Takes constant time.
    pub fn is_named(&self, own: &RequestId, payer: Address, named: &RequestId) -> bool {
        let is = |attempt| {
            let id = RequestId::of_payer(&self.inner.salt, payer, named, attempt);
            id.as_str().as_bytes().ct_eq(own.as_str().as_bytes())
        };
        let found = (0..=ATTEMPTS).map(is);
        found.fold(Choice::from(0), |all, one| all | one).into()
    }

    /// Decides whether a request runs, is a repeat with an answer that is still kept, or was
    /// counted before. `named` is the id as its caller wrote it; the id of a paid call is a secret.
    pub async fn admit(
        &self,
        id: &RequestId,
        named: &RequestId,
        fingerprint: &RequestFingerprint,
    ) -> Result<Admission, ApiError> {
        let claimed = self.inner.calls.claim(id, named, &fingerprint.hash);
        let slot = match claimed.await? {
            IdClaim::Held(answer) => return Ok(Admission::Repeated(answer)),
            IdClaim::Fresh(slot) => slot,
        };
        match receipt::find(&self.inner.journal, id).await? {
            None => Ok(Admission::Fresh(slot)),
            Some(found) if found.request_hash != fingerprint.hash => Err(mismatch(named)),
            Some(found) => match self.inner.kept(id, fingerprint).await? {
                Some(answer) => {
                    slot.complete(Some(answer.clone()));
                    Ok(Admission::Repeated(answer))
                }
                None => Err(already_metered(&found)),
            },
        }
    }

    /// The same for a paid call, whose id depends on its payer. A call that was paid and not
    /// answered, or that cost nothing, runs again.
    pub async fn admit_paid(
        &self,
        id: &RequestId,
        payment: &CheckedPayment,
        fingerprint: &RequestFingerprint,
    ) -> Result<Admission, ApiError> {
        let mut own = RequestId::of_payer(&self.inner.salt, payment.limited_account(), id, 0);
        for attempt in 1..=ATTEMPTS {
            match receipt::find(&self.inner.journal, &own).await? {
                Some(found) if found.request_hash == fingerprint.hash && found.is_owed(payment) => {
                    own = RequestId::of_payer(
                        &self.inner.salt,
                        payment.limited_account(),
                        id,
                        attempt,
                    );
                }
                _ => break,
            }
        }
        self.admit(&own, id, fingerprint).await
    }

    /// Writes the reservation durably, and claims payments that are reliable only once they are
    /// claimed. Only then may the model run.
    pub async fn reserve(&self, reservation: CallReservation) -> Result<ReservedCall, ApiError> {
        let inner = Arc::clone(&self.inner);
        // Runs in its own task, so that a caller who disconnects while the disk or the chain is
        // busy cannot leave a reservation without its count. The task's result is then dropped, and
        // counts as a call that never began.
        let reserving = async move {
            let mut call = inner.reserve(reservation).await?;
            match call.collect().await {
                Ok(()) => Ok(call),
                Err(why) => {
                    call.finish(FinishReason::Failed, None).await?;
                    Err(unpaid(why))
                }
            }
        };
        let reserved = tokio::spawn(reserving).await;
        reserved.unwrap_or_else(|_| Err(unwritable()))
    }

    /// Waits until every reserved call is metered.
    pub async fn idle(&self) {
        let mut open = self.inner.open.subscribe();
        // The sender lives in `self`; waiting cannot fail.
        let _ = open.wait_for(|open| *open == 0).await;
    }

    /// Records in the journal that this server was stopped in an orderly way.
    pub async fn close(&self) -> Result<(), ServeError> {
        let session = self.inner.session.clone();
        self.inner
            .journal
            .append(Event::ServerStopped { session })
            .await?;
        Ok(())
    }
}

impl MeterInner {
    fn lock_refused(&self) -> MutexGuard<'_, Option<Instant>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hasher(&self) -> Sha256 {
        Sha256::new().chain_update(&self.salt)
    }

    /// The answer of a call that is in the journal and no longer in memory.
    async fn kept(
        &self,
        id: &RequestId,
        fingerprint: &RequestFingerprint,
    ) -> Result<Option<FinishedAnswer>, ApiError> {
        let sealed = self.journal.cached_response(id.as_str()).await;
        let sealed = sealed.map_err(|error| receipt::unreadable(&error))?;
        Ok(sealed.and_then(|sealed| fingerprint.unseal(id, &sealed)))
    }

    async fn append(&self, event: Event) -> Result<EventRecord, JournalError> {
        let appended = self.journal.append(event).await;
        self.noted(appended)
    }

    /// Records whether the journal accepts events.
    fn noted(
        &self,
        appended: Result<EventRecord, JournalError>,
    ) -> Result<EventRecord, JournalError> {
        let written = matches!(appended, Ok(_) | Err(JournalError::Duplicate(_)));
        *self.lock_refused() = (!written).then(Instant::now);
        appended
    }

    /// Appends a count. A count that is already there, from a commit whose answer was lost, is
    /// accepted.
    async fn append_count(
        &self,
        count: JournalEntry,
        traced: Vec<Event>,
    ) -> Result<EventRecord, JournalError> {
        let appended = self.journal.append_with(count, traced).await;
        match self.noted(appended) {
            Err(JournalError::Duplicate(unique)) => {
                let found = self.journal.metered(&unique.request_id).await?;
                found.ok_or(JournalError::Duplicate(unique))
            }
            outcome => outcome,
        }
    }

    async fn reserve(
        self: Arc<Self>,
        reservation: CallReservation,
    ) -> Result<ReservedCall, ApiError> {
        let CallReservation {
            slot,
            fingerprint,
            adapter,
            kind,
            prompt_tokens,
            accepted,
            static_shares,
            permit,
            guard,
            prompts,
            computation,
        } = reservation;
        let event = Event::CallReserved {
            request_id: slot.id().as_str().to_owned(),
            session: self.session.clone(),
            adapter: adapter.name.clone(),
            adapter_digest: adapter.digest.clone(),
            kind,
            prompt_tokens,
            request_hash: slot.hash().to_owned(),
            payment: guard
                .as_ref()
                .map(|guard| Box::new(guard.payment().clone())),
        };
        self.append(event).await.map_err(|error| {
            tracing::error!(%error, "a call was refused because the journal cannot be written");
            unwritable()
        })?;
        self.open.send_modify(|open| *open += 1);
        let delivered = response_hash::hasher(&self.salt, slot.id());
        let open = ReservedState {
            inner: self,
            slot,
            fingerprint,
            permit,
            adapter,
            kind,
            accepted,
            static_shares,
            reserved: Instant::now(),
            first_token: None,
            delivered,
            guard,
            charge: None,
            answers: vec![String::new(); prompts.len()],
            pictures: Vec::new(),
            prompts,
            computation,
        };
        let usage = TokenUsage {
            prompt_tokens,
            completion_tokens: 0,
        };
        Ok(ReservedCall {
            open: Some(open),
            begun: false,
            waived: None,
            usage,
            checkpointed: (0, Instant::now()),
        })
    }
}

impl ReservedCall {
    /// The model has started, so a caller who disconnects from here on has caused work.
    pub const fn begin(&mut self) {
        self.begun = true;
    }

    /// Records that the model produced its first token.
    pub fn first_token(&mut self) {
        if let Some(open) = &mut self.open {
            open.first_token
                .get_or_insert_with(|| open.accepted.elapsed());
        }
    }

    /// Counts text when it is generated; returns how many tokens the answer has by now.
    pub fn deliver(&mut self, text: &str, tokens: u64) -> u64 {
        if let Some(open) = &mut self.open {
            open.delivered.update(text);
            if let Some(answer) = open.answers.first_mut() {
                answer.push_str(text);
            }
            self.usage.completion_tokens = self.usage.completion_tokens.saturating_add(tokens);
        }
        self.usage.completion_tokens
    }

    /// Records how many tokens the caller has, whatever becomes of the server: only these are charged
    /// if it dies.
    pub fn sent(&mut self, tokens: u64) {
        let Some(open) = &self.open else { return };
        let (before, when) = self.checkpointed;
        let due = before == 0
            || tokens.saturating_sub(before) >= CHECKPOINT_TOKENS
            || when.elapsed() >= CHECKPOINT_INTERVAL;
        if due && tokens > before {
            self.checkpointed = (tokens, Instant::now());
            open.checkpoint(tokens);
        }
    }

    /// Counts an answer that reaches the caller in one piece, just before it is metered.
    /// `answers` are the texts that it stands for, one per prompt.
    pub fn deliver_whole(&mut self, text: &str, answers: Vec<String>, tokens: u64) {
        if let Some(open) = &mut self.open {
            open.delivered.update(text);
            open.answers = answers;
            self.usage.completion_tokens = tokens;
        }
    }

    /// Counts pictures that reach the caller in one piece, just before they are metered: each as one
    /// token.
    pub fn deliver_pictures(&mut self, prompt: &str, files: &[PictureFile]) {
        let Some(open) = &mut self.open else { return };
        for file in files {
            open.delivered.update(&file.png);
        }
        let made = files.iter().map(|file| CallPicture {
            caption: prompt.to_owned(),
            width: file.picture.width,
            height: file.picture.height,
            rgb: file.picture.rgb.clone(),
        });
        open.pictures = made.collect();
        if let Some(record) = &mut open.computation.pictures {
            record.pictures = files.len() as u64;
            record.evaluations = files.iter().map(|file| file.evaluations).sum();
            record.digests = files.iter().map(|file| file.sha256.clone()).collect();
        }
        self.usage.completion_tokens = files.len() as u64;
    }

    /// The usage that answer and receipt state if the call ends with `finish` now.
    pub fn published_usage(&mut self, finish: FinishReason) -> PublishedUsage {
        let usage = self.usage(finish);
        let open = self.open.as_ref();
        let record = open.and_then(|open| open.computation.pictures.as_deref());
        PublishedUsage::new(usage, record)
    }

    /// The usage that is counted if the call ends with `finish` now.
    pub fn usage(&mut self, finish: FinishReason) -> TokenUsage {
        counted(self.usage, self.ended(finish))
    }

    /// The final finish reason. A call whose caller disconnected before the first token has failed:
    /// it costs nothing, and the same payment runs it again.
    fn ended(&mut self, finish: FinishReason) -> FinishReason {
        match finish {
            FinishReason::Disconnected if self.usage.completion_tokens == 0 && self.is_waived() => {
                FinishReason::Failed
            }
            finish => finish,
        }
    }

    /// Whether a call without a token costs nothing, although the model may have read its prompt.
    fn is_waived(&mut self) -> bool {
        if !self.begun {
            return true;
        }
        let Some(open) = &self.open else { return false };
        let Some(guard) = &open.guard else {
            return false;
        };
        let payer = guard.payment().limited_account();
        *self
            .waived
            .get_or_insert_with(|| open.inner.abandoned.waive(payer))
    }

    /// Whether the whole answer is already paid for, so that a caller who disconnects can still get
    /// it.
    pub fn is_paid_whole(&self) -> bool {
        let open = self.open.as_ref();
        let guard = open.and_then(|open| open.guard.as_ref());
        guard.is_some_and(|guard| guard.payment().is_paid_whole())
    }

    /// The deadline of the call, whatever is missing from its answer.
    pub fn deadline(&self) -> Option<Instant> {
        let open = self.open.as_ref()?;
        Some(open.reserved + open.guard.as_ref()?.time_limit()?)
    }

    /// The payment response for the payer if the call ends with `finish` now.
    pub fn payment_response(&mut self, finish: FinishReason) -> Option<String> {
        let (usage, finish) = (self.usage(finish), self.ended(finish));
        let open = self.open.as_mut()?;
        let charge = open.charge(usage, finish)?;
        Some(open.guard.as_ref()?.response(&charge))
    }

    async fn collect(&mut self) -> Result<(), PaymentDemand> {
        match self.open.as_mut().and_then(|open| open.guard.as_mut()) {
            Some(guard) => guard.reserved().await,
            None => Ok(()),
        }
    }

    /// Meters the call durably, then makes the answer available to repeats.
    pub async fn finish(
        mut self,
        finish: FinishReason,
        answer: Option<FinishedAnswer>,
    ) -> Result<EventRecord, ApiError> {
        let (usage, finish) = (self.usage(finish), self.ended(finish));
        let Some(open) = self.open.take() else {
            return Err(unwritable());
        };
        let answer = answer.filter(|_| finish.is_answer());
        let (sender, metered) = tokio::sync::oneshot::channel();
        // Runs in its own task: a caller who disconnects now cannot interrupt the count.
        tokio::spawn(open.finalize(usage, finish, answer, Some(sender)));
        metered.await.unwrap_or(None).ok_or_else(unwritable)
    }
}

impl Drop for ReservedCall {
    fn drop(&mut self) {
        let usage = self.usage(FinishReason::Disconnected);
        let finish = self.ended(FinishReason::Disconnected);
        let Some(open) = self.open.take() else { return };
        // Without a runtime the process is ending; the next start meters the reservation.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(open.finalize(usage, finish, None, None));
        }
    }
}

impl ReservedState {
    fn checkpoint(&self, completion_tokens: u64) {
        let request_id = self.slot.id().as_str().to_owned();
        let event = Event::CallCheckpointed {
            request_id,
            completion_tokens,
        };
        if let Err(error) = self.inner.journal.note(event) {
            tracing::warn!(%error, "a checkpoint was lost");
        }
    }

    /// The charge of the call, computed once.
    fn charge(&mut self, usage: TokenUsage, finish: FinishReason) -> Option<CallCharge> {
        let payment = self.guard.as_ref()?.payment();
        let charge = self
            .charge
            .get_or_insert_with(|| payment.charge(usage, finish));
        Some(charge.clone())
    }

    /// Writes the count, with retries. Then frees the payment's channel, and then the id. The first
    /// outcome goes to the waiting caller. A call whose charge the ledger refuses is counted as
    /// failed and gets no answer.
    async fn finalize(
        mut self,
        mut usage: TokenUsage,
        mut finish: FinishReason,
        mut answer: Option<FinishedAnswer>,
        mut waiting: Option<tokio::sync::oneshot::Sender<Option<EventRecord>>>,
    ) {
        let mut charge = self.charge(usage, finish);
        if let (Some(guard), Some(asked)) = (&self.guard, &charge)
            && let Err((breach, nothing)) = guard.check_charge(asked)
        {
            let id = self.slot.id().as_str();
            tracing::error!(%breach, id, "a call is not answered, because its charge does not fit");
            (usage, finish) = (TokenUsage::default(), FinishReason::Failed);
            charge = Some(*nothing);
            (answer, waiting) = (None, None);
            let record = self.computation.pictures.take();
            self.computation.pictures = record.map(|it| Box::new(it.without_pictures()));
        }
        let Self {
            inner,
            slot,
            fingerprint,
            permit,
            adapter,
            kind,
            accepted,
            static_shares,
            reserved: _,
            first_token,
            delivered,
            guard,
            charge: _,
            prompts,
            answers,
            pictures,
            computation,
        } = self;
        // The model has stopped: the next call need not wait for the disk.
        drop(permit);
        let payer = charge.as_ref().filter(|it| !it.amount.is_zero());
        let ended = EndedCall {
            request_id: slot.id().as_str().to_owned(),
            adapter: Arc::clone(&adapter),
            prompts,
            answers,
            pictures,
            finish,
            static_shares,
            payer: payer.map(|charge| charge.payer),
        };
        let traced = inner.attributions.prove(ended).await;
        let traced: Vec<Event> = traced.into_iter().collect();
        let event = Event::CallMetered {
            request_id: slot.id().as_str().to_owned(),
            adapter: adapter.name.clone(),
            adapter_digest: adapter.digest.clone(),
            kind,
            usage,
            finish,
            milliseconds: milliseconds(accepted.elapsed()),
            first_token_milliseconds: first_token.map(milliseconds),
            request_hash: slot.hash().to_owned(),
            response_hash: hex::encode(delivered.finalize()),
            charge: charge.map(Box::new),
            computation: Some(Box::new(computation)),
        };
        let enclosure = answer
            .as_ref()
            .and_then(|it| enclosure(slot.id(), &fingerprint, it));
        let count = JournalEntry::from(event).with_response(enclosure);
        loop {
            match inner.append_count(count.clone(), traced.clone()).await {
                Ok(record) => {
                    inner.metrics.metered(&record.event);
                    // The ledger has the charge: the channel's next call may begin.
                    drop(guard);
                    slot.complete(answer);
                    inner
                        .open
                        .send_modify(|open| *open = open.saturating_sub(1));
                    if let Some(waiting) = waiting.take() {
                        // If this fails, the caller has disconnected; the count stands.
                        let _ = waiting.send(Some(record));
                    }
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, id = slot.id().as_str(), "a count waits for the journal");
                    drop(waiting.take());
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }
}

/// An answer in the form in which it is stored for repeats after a restart.
fn enclosure(
    id: &RequestId,
    fingerprint: &RequestFingerprint,
    answer: &FinishedAnswer,
) -> Option<CachedResponse> {
    let bytes = fingerprint.seal(id, answer);
    (bytes.len() <= LARGEST_ENCLOSURE).then(|| CachedResponse {
        request_id: id.as_str().to_owned(),
        bytes,
    })
}

/// Nothing is counted when the engine failed before anything was delivered.
fn counted(usage: TokenUsage, finish: FinishReason) -> TokenUsage {
    match finish {
        FinishReason::Failed if usage.completion_tokens == 0 => TokenUsage::default(),
        _ => usage,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unwritable() -> ApiError {
    let message = "Calls cannot be counted now, so none is answered.";
    ApiError::unavailable("journal_unavailable", message)
}
