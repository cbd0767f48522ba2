//! A sequence under computation: its tokens, how far they are computed, and who waits for logits.

use std::{sync::Arc, time::Instant};

use openlora_engine::EngineError;
use openlora_generation::AnswerFeed;
use openlora_kernels::{KvPage, PAGE_TOKENS};
use tokio::sync::oneshot;

use super::{
    forward::SequenceRows,
    owner::{CallOwner, EngineSlot},
    pages::{PagePool, PrefixNode, SharedPrefix},
};

/// Logits that a caller wants after a prefix and `path`.
#[derive(Clone, Debug)]
pub(crate) struct RowRequest {
    pub path: Vec<u32>,
    /// Tokens whose logits are wanted; all if empty.
    pub tokens: Vec<u32>,
}

impl RowRequest {
    fn pick(&self, logits: &[f32]) -> Vec<f32> {
        if self.tokens.is_empty() {
            return logits.to_vec();
        }
        let at = |id: &u32| logits.get(*id as usize).copied();
        let picked = self.tokens.iter().map(at);
        picked.map(|it| it.unwrap_or(f32::NEG_INFINITY)).collect()
    }
}

/// The rows that a call asked for, in its order.
pub(crate) type CalledRows = Result<Vec<Vec<f32>>, EngineError>;

/// Several rows of logits after one prefix, such as those that tell labels apart.
pub(crate) struct RowCall {
    pub requests: Vec<RowRequest>,
    pub rows: Vec<Option<Vec<f32>>>,
    pub reply: oneshot::Sender<CalledRows>,
    /// None for the engine's own calls.
    pub _slot: Option<EngineSlot>,
}

impl RowCall {
    /// Fills in the row of a request.
    pub(crate) fn fill(&mut self, request: usize, logits: &[f32]) {
        if let (Some(row), Some(wanted)) = (self.rows.get_mut(request), self.requests.get(request))
        {
            *row = Some(wanted.pick(logits));
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.rows.iter().all(Option::is_some)
    }

    pub(crate) fn finish(self) {
        // Without a receiver, nobody wants the rows any more.
        let _ = self
            .reply
            .send(Ok(self.rows.into_iter().flatten().collect()));
    }
}

/// Who waits for the logits after the last token.
pub(crate) enum SequenceTask {
    /// An answer; the token that it chooses continues the sequence.
    Answer {
        feed: Box<AnswerFeed>,
        /// Held until the answer ends.
        slot: EngineSlot,
    },
    /// The prefix of the row call with this number.
    Prefix(u64),
    /// A request of a row call.
    Path { call: u64, request: usize },
}

/// Tokens that are computed together with those of other sequences.
pub(crate) struct Sequence {
    /// In order of arrival.
    pub number: u64,
    pub owner: CallOwner,
    pub due: Instant,
    pub tokens: Vec<u32>,
    /// Tokens whose keys and values are in `pages`.
    pub computed: usize,
    pub pages: Vec<Arc<KvPage>>,
    /// Nodes of the sealed pages, which come first.
    pub nodes: Vec<PrefixNode>,
    pub task: SequenceTask,
}

impl Sequence {
    /// Tokens that are known and not computed; at least 1 while it runs.
    pub(crate) fn remaining(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// Pages that are missing before `more` tokens can be computed.
    pub(crate) fn missing_pages(&self, more: usize) -> usize {
        let needed = (self.computed + more).div_ceil(PAGE_TOKENS);
        needed.saturating_sub(self.pages.len())
    }

    /// Takes over the pages of known prefixes. The last token is always computed, for its logits.
    pub(crate) fn adopt_prefix(&mut self, pool: &mut PagePool) {
        while let Some(tokens) = self.page_tokens(self.nodes.len(), self.tokens.len() - 1) {
            let Some(found) = pool.find(self.last_node(), tokens) else {
                break;
            };
            self.computed += PAGE_TOKENS;
            self.nodes.push(found.node);
            self.pages.push(found.page);
        }
    }

    /// Seals the pages that have become full.
    pub(crate) fn seal_full_pages(&mut self, pool: &mut PagePool) {
        while let Some(tokens) = self.page_tokens(self.nodes.len(), self.computed) {
            let (parent, index) = (self.last_node(), self.nodes.len());
            let page = Arc::clone(&self.pages[index]);
            let tokens = tokens.to_vec();
            // The pool decides whether a page is shared, so the sequence must not hold it meanwhile.
            let rest = self.pages.split_off(index + 1);
            self.pages.truncate(index);
            let sealed = pool.seal(self.owner.model.id, parent, &tokens, page);
            if let Some(SharedPrefix { node, page }) = sealed {
                self.nodes.push(node);
                self.pages.push(page);
            }
            self.pages.extend(rest);
        }
    }

    /// Gives its pages back; they are computed again when it continues.
    pub(crate) fn release_pages(&mut self, pool: &mut PagePool) {
        let nodes = std::mem::take(&mut self.nodes);
        pool.release(std::mem::take(&mut self.pages), &nodes);
        self.computed = 0;
    }

    /// Lets go of what the call held, and then tells its reader that it has ended.
    pub(crate) fn end(self) {
        let Self { owner, task, .. } = self;
        drop(owner);
        if let SequenceTask::Answer { mut feed, slot } = task {
            drop(slot);
            feed.finish();
        }
    }

    /// The next `count` tokens as rows of a batch.
    pub(crate) fn rows(&mut self, count: usize) -> SequenceRows<'_> {
        let end = self.computed + count;
        SequenceRows {
            tokens: &self.tokens[self.computed..end],
            position: self.computed,
            wants_logits: end == self.tokens.len(),
            pages: &mut self.pages,
            adapter: self.owner.adapter.as_ref().map(|it| &it.factors),
        }
    }

    fn last_node(&self) -> PrefixNode {
        let root = PrefixNode::Root(self.owner.model.id);
        self.nodes.last().copied().unwrap_or(root)
    }

    /// The tokens of page `index`, if they all are before `end`.
    fn page_tokens(&self, index: usize, end: usize) -> Option<&[u32]> {
        let range = index * PAGE_TOKENS..(index + 1) * PAGE_TOKENS;
        (range.end <= end).then(|| &self.tokens[range])
    }
}
