//! Which tokens are computed next: continuous batching over one base.
//!
//! Every step computes the next token of all running answers and a chunk of the prompts that are not
//! computed yet. The model that was served fewest tokens comes first; among its calls, those of the
//! payer that was served fewest; among them, the one that is due first. When pages run out, the
//! sequence that arrived last gives its own back and is computed again later. None of this changes a
//! result, because a row does not depend on its neighbours.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, TryRecvError},
    },
    time::Instant,
};

use openlora_engine::{EngineError, FairShareKey};
use openlora_generation::AnswerFeed;
use openlora_kernels::{Cpu, PAGE_TOKENS};

use super::{
    base::NativeBase,
    counters::ActivityCounters,
    forward::{ForwardBuffers, SequenceRows, forward},
    owner::{CallOwner, EngineSlot},
    pages::{OwnerId, PagePool},
    sequence::{RowCall, RowRequest, Sequence, SequenceTask},
};

/// A call for the scheduler.
pub(crate) struct Submission {
    pub owner: CallOwner,
    pub tokens: Vec<u32>,
    pub due: Instant,
    pub work: SubmittedWork,
}

pub(crate) enum SubmittedWork {
    /// An answer to the tokens.
    Answer {
        feed: Box<AnswerFeed>,
        slot: EngineSlot,
    },
    /// Logits after the tokens and each request's path.
    Rows(RowCall),
}

/// What a scheduler is given at its start.
pub(crate) struct SchedulerParts {
    pub base: Arc<NativeBase>,
    pub cpu: Cpu,
    pub pool: PagePool,
    /// Sequences that are computed together.
    pub parallel: usize,
    /// Tokens of prompts per step.
    pub chunk_tokens: usize,
    pub counters: Arc<ActivityCounters>,
    /// Pages in existence.
    pub pages: Arc<AtomicUsize>,
}

pub(crate) struct Scheduler {
    parts: SchedulerParts,
    waiting: Vec<Sequence>,
    running: Vec<Sequence>,
    calls: HashMap<u64, RowCall>,
    /// Tokens computed for each model, as far as they matter for whose turn it is.
    served: HashMap<OwnerId, ServedTokens>,
    buffers: ForwardBuffers,
    arrivals: u64,
}

/// Tokens computed for a model, and for the payers among whom it is shared.
#[derive(Debug, Default)]
struct ServedTokens {
    all: u64,
    by_payer: HashMap<FairShareKey, u64>,
}

/// Whose turn it is: the least comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SequenceTurn {
    /// Tokens computed for its model, and for its payer's calls of that model.
    model: u64,
    payer: u64,
    due: Instant,
    number: u64,
}

impl ServedTokens {
    /// Lets a payer begin where the least served one is, unless it was served more, and no
    /// payer be ahead of that one by more than `lead`. `active` are the payers with calls.
    fn catch_up(&mut self, payer: &FairShareKey, active: &HashSet<&FairShareKey>, lead: u64) {
        let served = |it: &&FairShareKey| self.by_payer.get(*it).copied().unwrap_or(0);
        let Some(least) = active.iter().map(served).min() else {
            self.by_payer.clear();
            return;
        };
        // Whoever was served no more than that is treated like somebody new.
        let by_payer = &mut self.by_payer;
        by_payer.retain(|it, tokens| active.contains(it) || *tokens > least);
        by_payer.entry(payer.clone()).or_insert(least);
        let most = least.saturating_add(lead);
        by_payer.values_mut().for_each(|it| *it = most.min(*it));
    }
}

/// Tokens of a running sequence that the next step computes.
#[derive(Clone, Copy, Debug)]
struct PlannedTokens {
    sequence: u64,
    count: usize,
}

impl Scheduler {
    pub(crate) fn new(parts: SchedulerParts) -> Self {
        Self {
            parts,
            waiting: Vec::new(),
            running: Vec::new(),
            calls: HashMap::new(),
            served: HashMap::new(),
            buffers: ForwardBuffers::default(),
            arrivals: 0,
        }
    }

    /// Computes until all submitters have left and nothing is left to compute.
    pub(crate) fn run(mut self, calls: &Receiver<Vec<Submission>>, gone: &Receiver<OwnerId>) {
        while self.receive(calls) {
            while let Ok(owner) = gone.try_recv() {
                self.served.remove(&owner);
                self.parts.pool.forget(owner);
            }
            self.drop_abandoned();
            self.admit();
            let planned = self.plan();
            self.compute(&planned);
            self.parts.pool.shrink_by_one();
            self.count_pages();
        }
    }

    fn count_pages(&self) {
        let pages = self.parts.pool.made();
        self.parts.pages.store(pages, Ordering::Relaxed);
    }

    /// Takes in what was submitted, and waits for it while there is nothing else to do. False if
    /// nothing can come any more.
    fn receive(&mut self, calls: &Receiver<Vec<Submission>>) -> bool {
        if self.waiting.is_empty() && self.running.is_empty() {
            self.parts.pool.shrink_to_floor();
            self.count_pages();
            match calls.recv() {
                Ok(calls) => self.accept_all(calls),
                Err(_) => return false,
            }
        }
        loop {
            match calls.try_recv() {
                Ok(calls) => self.accept_all(calls),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return true,
            }
        }
    }

    fn accept_all(&mut self, calls: Vec<Submission>) {
        calls.into_iter().for_each(|call| self.accept(call));
    }

    fn accept(&mut self, call: Submission) {
        self.arrivals += 1;
        let number = self.arrivals;
        let task = match call.work {
            SubmittedWork::Answer { feed, slot } => SequenceTask::Answer { feed, slot },
            SubmittedWork::Rows(rows) => {
                self.calls.insert(number, rows);
                SequenceTask::Prefix(number)
            }
        };
        self.catch_up(&call.owner);
        self.waiting.push(Sequence {
            number,
            owner: call.owner,
            due: call.due,
            tokens: call.tokens,
            computed: 0,
            pages: Vec::new(),
            nodes: Vec::new(),
            task,
        });
    }

    /// A model or payer that was idle must not be served for what it did not ask for meanwhile. One
    /// that was served while the others asked for less must not wait until they had as much: it is
    /// ahead of them by a step's worth of prompts at most.
    fn catch_up(&mut self, newcomer: &CallOwner) {
        let lead = self.parts.chunk_tokens as u64;
        let Self {
            waiting,
            running,
            served,
            ..
        } = self;
        let active = || running.iter().chain(&*waiting).map(|it| &it.owner);
        let model = newcomer.model.id;
        let theirs = active().filter(|it| it.model.id == model);
        let payers: HashSet<&FairShareKey> = theirs.map(|it| &it.payer).collect();
        let others = active().filter_map(|it| served.get(&it.model.id));
        let Some(least) = others.map(|it| it.all).min() else {
            served.clear();
            return;
        };
        let tokens = served.entry(model).or_default();
        if payers.is_empty() {
            tokens.all = least.max(tokens.all);
        }
        tokens.catch_up(&newcomer.payer, &payers, lead);
        let most = least.saturating_add(lead);
        served.values_mut().for_each(|it| it.all = most.min(it.all));
    }

    fn turn(&self, sequence: &Sequence) -> SequenceTurn {
        let CallOwner { model, payer, .. } = &sequence.owner;
        let served = self.served.get(&model.id);
        let of_payer = served.and_then(|it| it.by_payer.get(payer));
        SequenceTurn {
            model: served.map_or(0, |it| it.all),
            payer: of_payer.copied().unwrap_or(0),
            due: sequence.due,
            number: sequence.number,
        }
    }

    /// Drops the calls whose readers have left.
    fn drop_abandoned(&mut self) {
        self.calls.retain(|_, call| !call.reply.is_closed());
        let (calls, pool) = (&self.calls, &mut self.parts.pool);
        let mut keep = |sequence: &mut Sequence| {
            let wanted = match &sequence.task {
                SequenceTask::Answer { feed, .. } => !feed.is_abandoned(),
                SequenceTask::Prefix(call) | SequenceTask::Path { call, .. } => {
                    calls.contains_key(call)
                }
            };
            if !wanted {
                sequence.release_pages(pool);
            }
            wanted
        };
        self.running.retain_mut(&mut keep);
        self.waiting.retain_mut(&mut keep);
    }

    /// Lets waiting sequences run while there is room for all of their tokens.
    fn admit(&mut self) {
        while self.running.len() < self.parts.parallel {
            let turns = self.waiting.iter().enumerate();
            let Some((next, _)) = turns.min_by_key(|(_, sequence)| self.turn(sequence)) else {
                return;
            };
            let mut sequence = self.waiting.swap_remove(next);
            sequence.adopt_prefix(&mut self.parts.pool);
            let missing = sequence.missing_pages(sequence.remaining());
            if missing > self.parts.pool.available() && !self.running.is_empty() {
                sequence.release_pages(&mut self.parts.pool);
                self.waiting.push(sequence);
                return;
            }
            let reused = &self.parts.counters.reused;
            reused.fetch_add(sequence.computed as u64, Ordering::Relaxed);
            self.running.push(sequence);
        }
    }

    /// The tokens of the next step. Running answers get one each, so that prompts do not delay them.
    fn plan(&mut self) -> Vec<PlannedTokens> {
        let mut planned = Vec::new();
        let answers = self.running.iter().filter(|it| it.remaining() == 1);
        let mut answers: Vec<u64> = answers.map(|it| it.number).collect();
        answers.sort_unstable();
        for number in answers {
            self.grant(number, 1, &mut planned);
        }
        let mut room = self.parts.chunk_tokens;
        while room > 0 {
            let is_planned = |it: &&Sequence| planned.iter().any(|one| one.sequence == it.number);
            let prompts = self.running.iter().filter(|it| it.remaining() > 1);
            let next = prompts
                .filter(|it| !is_planned(it))
                .min_by_key(|it| self.turn(it));
            let Some(next) = next else {
                break;
            };
            let (number, count) = (next.number, next.remaining().min(room));
            room -= self.grant(number, count, &mut planned);
        }
        planned
    }

    /// Plans up to `count` tokens of a running sequence, as far as there are pages for them. Returns
    /// how many it planned, which is 0 only if the sequence no longer runs.
    fn grant(&mut self, number: u64, count: usize, planned: &mut Vec<PlannedTokens>) -> usize {
        loop {
            let Some(at) = self.running.iter().position(|it| it.number == number) else {
                return 0;
            };
            let sequence = &mut self.running[at];
            let mut is_empty = false;
            while !is_empty && sequence.missing_pages(count) > 0 {
                let page = self.parts.pool.take();
                is_empty = page.is_none();
                sequence.pages.extend(page);
            }
            let count = count.min(sequence.pages.len() * PAGE_TOKENS - sequence.computed);
            if count > 0 {
                let CallOwner { model, payer, .. } = &sequence.owner;
                let served = self.served.entry(model.id).or_default();
                served.all += count as u64;
                *served.by_payer.entry(payer.clone()).or_default() += count as u64;
                planned.push(PlannedTokens {
                    sequence: number,
                    count,
                });
                return count;
            }
            let latest = self.running.iter().map(|it| it.number).max();
            match latest {
                Some(latest) if latest > number || self.running.len() > 1 => {
                    self.pre_empt(latest.max(number), planned);
                }
                _ => self.fail_for_memory(number),
            }
        }
    }

    /// Lets a running sequence wait again, without its pages.
    fn pre_empt(&mut self, number: u64, planned: &mut Vec<PlannedTokens>) {
        planned.retain(|it| it.sequence != number);
        let at = self.running.iter().position(|it| it.number == number);
        if let Some(at) = at {
            let mut sequence = self.running.swap_remove(at);
            sequence.release_pages(&mut self.parts.pool);
            self.waiting.push(sequence);
            let counter = &self.parts.counters.pre_emptions;
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends a sequence that has no room although it runs alone.
    fn fail_for_memory(&mut self, number: u64) {
        self.fail(&[number], |sequence| EngineError::Busy {
            name: sequence.owner.model.name.clone(),
            reason: "there is no memory for the keys and values of its tokens".to_owned(),
        });
    }

    fn compute(&mut self, planned: &[PlannedTokens]) {
        if planned.is_empty() {
            return;
        }
        let counts: HashMap<u64, usize> =
            planned.iter().map(|it| (it.sequence, it.count)).collect();
        // Rows of one adapter beside one another are computed together.
        self.running
            .sort_unstable_by_key(|it| (it.owner.model.id, it.number));
        let Self {
            parts,
            running,
            buffers,
            ..
        } = self;
        let mut rows: Vec<SequenceRows<'_>> = running
            .iter_mut()
            .filter_map(|it| counts.get(&it.number).map(|count| it.rows(*count)))
            .collect();
        let wanted = rows.iter().filter(|it| it.wants_logits).count();
        match forward(&parts.base, &parts.cpu, &mut rows, buffers) {
            Ok(()) => {
                let tokens: usize = counts.values().sum();
                let counters = &parts.counters;
                counters.rows.fetch_add(wanted as u64, Ordering::Relaxed);
                counters.tokens.fetch_add(tokens as u64, Ordering::Relaxed);
                let logits = std::mem::take(&mut self.buffers.logits);
                self.advance(&counts, &logits);
                self.buffers.logits = logits;
            }
            Err(error) => {
                let numbers: Vec<u64> = counts.into_keys().collect();
                self.fail(&numbers, |_| EngineError::Failed(error.to_string()));
            }
        }
    }

    /// Notes what was computed, and hands out the rows of logits.
    fn advance(&mut self, counts: &HashMap<u64, usize>, logits: &[f32]) {
        let vocabulary = self.parts.base.config.vocab_size;
        let mut rows = logits.chunks_exact(vocabulary);
        let mut complete: HashMap<u64, &[f32]> = HashMap::new();
        for sequence in &mut self.running {
            if let Some(count) = counts.get(&sequence.number) {
                sequence.computed += count;
                sequence.seal_full_pages(&mut self.parts.pool);
                if sequence.remaining() == 0 {
                    complete.extend(rows.next().map(|row| (sequence.number, row)));
                }
            }
        }
        let mut ended = self.choose_tokens(&complete);
        let mut children = Vec::new();
        for sequence in &self.running {
            let Some(row) = complete.get(&sequence.number) else {
                continue;
            };
            match &sequence.task {
                SequenceTask::Answer { .. } => continue,
                SequenceTask::Path { call, request } => {
                    if let Some(call) = self.calls.get_mut(call) {
                        call.fill(*request, row);
                    }
                }
                SequenceTask::Prefix(number) => {
                    if let Some(call) = self.calls.get_mut(number) {
                        children.extend(fork(sequence, *number, call, row, &mut self.parts.pool));
                    }
                }
            }
            ended.push(sequence.number);
        }
        for mut child in children {
            self.arrivals += 1;
            child.number = self.arrivals;
            self.running.push(child);
        }
        self.remove(&ended).into_iter().for_each(Sequence::end);
        let complete = self.calls.extract_if(|_, call| call.is_complete());
        complete.for_each(|(_, call)| call.finish());
    }

    /// Chooses the next tokens of answers, side by side. Returns the numbers of those that have ended.
    fn choose_tokens(&mut self, complete: &HashMap<u64, &[f32]>) -> Vec<u64> {
        let answers = self.running.iter_mut().filter_map(|sequence| {
            let row = complete.get(&sequence.number)?;
            match &mut sequence.task {
                SequenceTask::Answer { feed, .. } => Some(ChosenNext {
                    number: sequence.number,
                    tokens: &mut sequence.tokens,
                    feed,
                    row,
                }),
                SequenceTask::Prefix(_) | SequenceTask::Path { .. } => None,
            }
        });
        let answers: Vec<ChosenNext<'_>> = answers.collect();
        let mut ended = vec![None; answers.len()];
        let tasks = answers.into_iter().zip(&mut ended).collect();
        let cpu = &self.parts.cpu;
        cpu.run_tasks(tasks, |(answer, ended)| *ended = answer.choose());
        ended.into_iter().flatten().collect()
    }

    /// Takes sequences out of the running ones, and their pages back.
    fn remove(&mut self, numbers: &[u64]) -> Vec<Sequence> {
        let is_removed = |sequence: &mut Sequence| numbers.contains(&sequence.number);
        let mut removed: Vec<Sequence> = self.running.extract_if(.., is_removed).collect();
        for sequence in &mut removed {
            sequence.release_pages(&mut self.parts.pool);
        }
        removed
    }

    /// Ends running sequences with an error for those who wait for them.
    fn fail(&mut self, numbers: &[u64], error: impl Fn(&Sequence) -> EngineError) {
        for sequence in self.remove(numbers) {
            let error = error(&sequence);
            match sequence.task {
                SequenceTask::Answer { mut feed, .. } => feed.fail(error),
                SequenceTask::Prefix(call) | SequenceTask::Path { call, .. } => {
                    if let Some(call) = self.calls.remove(&call) {
                        let _ = call.reply.send(Err(error));
                    }
                }
            }
        }
    }
}

/// An answer whose next token is to be chosen.
struct ChosenNext<'a> {
    number: u64,
    tokens: &'a mut Vec<u32>,
    feed: &'a mut AnswerFeed,
    row: &'a [f32],
}

impl ChosenNext<'_> {
    /// Chooses the token that continues the sequence; its number, if this was the answer's end.
    fn choose(self) -> Option<u64> {
        let next = self.feed.choose_token(self.row);
        self.tokens.extend(next);
        next.is_none().then_some(self.number)
    }
}

/// Fills in the requests of a call that end with the prefix, and returns the sequences of the others.
/// They share the prefix's full pages and have copies of the last one.
fn fork(
    prefix: &Sequence,
    number: u64,
    call: &mut RowCall,
    row: &[f32],
    pool: &mut PagePool,
) -> Vec<Sequence> {
    let mut children = Vec::new();
    for request in 0..call.requests.len() {
        let RowRequest { path, .. } = &call.requests[request];
        if path.is_empty() {
            call.fill(request, row);
            continue;
        }
        let mut child = Sequence {
            number,
            owner: prefix.owner.clone(),
            due: prefix.due,
            tokens: [prefix.tokens.as_slice(), path].concat(),
            computed: prefix.nodes.len() * PAGE_TOKENS,
            pages: prefix.pages[..prefix.nodes.len()].to_vec(),
            nodes: prefix.nodes.clone(),
            task: SequenceTask::Path {
                call: number,
                request,
            },
        };
        let last = prefix.pages.get(prefix.nodes.len());
        if let Some(copy) = last.and_then(|page| pool.copy(page)) {
            child.pages.push(copy);
            child.computed = prefix.computed;
        }
        children.push(child);
    }
    children
}
