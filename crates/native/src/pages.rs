//! Pages of keys and values under a budget, and which of them hold known prefixes.
//!
//! A full page is sealed: it is found again by its owner, the tokens before it and its own tokens.
//! Owners are adapters (or the plain base), so a prefix is never shared between them. A sealed page
//! that no sequence uses stays until its memory is needed; the least recently used leaves first.
//!
//! Pages are made when they are needed. After a peak they are given back to the system down to a floor:
//! first those that hold nothing, then known prefixes, never those of running sequences.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use openlora_kernels::{KvPage, KvShape, PAGE_TOKENS};

/// The part of the budget that is kept when nothing is computed, as its divisor.
const FLOOR: usize = 4;

/// While sequences run, pages up to this multiple of theirs are kept.
const SPARE: usize = 2;

/// An adapter over the base, or the plain base. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct OwnerId(pub u64);

/// A place in the tree of prefixes: an owner's root, or a sealed page. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PrefixNode {
    Root(OwnerId),
    Page(u64),
}

/// A page by what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct PrefixKey {
    parent: PrefixNode,
    tokens: [u32; PAGE_TOKENS],
}

#[derive(Debug)]
struct SealedPage {
    key: PrefixKey,
    owner: OwnerId,
    page: Arc<KvPage>,
    /// When the last sequence left it; none while one uses it.
    idle_since: Option<u64>,
}

/// A page of a sequence: sealed, with its place in the tree.
#[derive(Clone, Debug)]
pub(crate) struct SharedPrefix {
    pub node: PrefixNode,
    pub page: Arc<KvPage>,
}

#[derive(Debug)]
pub(crate) struct PagePool {
    shape: KvShape,
    /// Most pages.
    budget: usize,
    /// Pages that are kept for further sequences, and for known prefixes.
    floor: usize,
    /// Pages in existence.
    made: usize,
    /// Pages that hold nothing.
    spare: Vec<Arc<KvPage>>,
    sealed: HashMap<PrefixNode, SealedPage>,
    index: HashMap<PrefixKey, PrefixNode>,
    /// Idle sealed pages by the time that they became idle.
    idle: BTreeMap<u64, PrefixNode>,
    clock: u64,
    /// Sealed pages so far.
    sealings: u64,
}

impl PagePool {
    pub(crate) fn new(shape: KvShape, budget: usize) -> Self {
        Self {
            shape,
            budget,
            floor: budget.div_ceil(FLOOR),
            made: 0,
            spare: Vec::new(),
            sealed: HashMap::new(),
            index: HashMap::new(),
            idle: BTreeMap::new(),
            clock: 0,
            sealings: 0,
        }
    }

    /// Pages that can be taken now.
    pub(crate) fn available(&self) -> usize {
        self.spare.len() + self.budget.saturating_sub(self.made) + self.idle.len()
    }

    /// An empty page, at the cost of the least recently used prefix if need be; none when all are in
    /// use.
    pub(crate) fn take(&mut self) -> Option<Arc<KvPage>> {
        if let Some(page) = self.spare.pop() {
            return Some(page);
        }
        if self.made < self.budget {
            match KvPage::try_new(self.shape) {
                Ok(page) => {
                    self.made += 1;
                    return Some(Arc::new(page));
                }
                // There is less memory than the budget says.
                Err(_) => self.budget = self.made,
            }
        }
        self.take_oldest_prefix()
    }

    /// The page of the least recently used prefix, which is forgotten.
    fn take_oldest_prefix(&mut self) -> Option<Arc<KvPage>> {
        let (_, node) = self.idle.pop_first()?;
        let sealed = self.sealed.remove(&node)?;
        self.index.remove(&sealed.key);
        Some(sealed.page)
    }

    /// Gives a page back to the system if many more exist than running sequences have. Called once per
    /// step, so that pages survive a short lull.
    pub(crate) fn shrink_by_one(&mut self) {
        let running = self.made - self.spare.len() - self.idle.len();
        if self.made > self.floor.max(SPARE * running) {
            self.drop_page();
        }
    }

    /// Gives back all pages above the floor that no sequence has.
    pub(crate) fn shrink_to_floor(&mut self) {
        while self.made > self.floor && self.drop_page() {}
    }

    /// Gives back a page that no sequence has; false if there is none.
    fn drop_page(&mut self) -> bool {
        let page = self.spare.pop().or_else(|| self.take_oldest_prefix());
        self.made -= usize::from(page.is_some());
        page.is_some()
    }

    /// The sealed page that continues `parent` with `tokens`, from now on in use.
    pub(crate) fn find(&mut self, parent: PrefixNode, tokens: &[u32]) -> Option<SharedPrefix> {
        let tokens = <[u32; PAGE_TOKENS]>::try_from(tokens).ok()?;
        let node = *self.index.get(&PrefixKey { parent, tokens })?;
        let sealed = self.sealed.get_mut(&node)?;
        if let Some(since) = sealed.idle_since.take() {
            self.idle.remove(&since);
        }
        let page = Arc::clone(&sealed.page);
        Some(SharedPrefix { node, page })
    }

    /// Seals a full page that continues `parent` with `tokens`. If a page with the same content is
    /// known, it takes the place of `page`.
    pub(crate) fn seal(
        &mut self,
        owner: OwnerId,
        parent: PrefixNode,
        tokens: &[u32],
        page: Arc<KvPage>,
    ) -> Option<SharedPrefix> {
        if let Some(known) = self.find(parent, tokens) {
            self.give_back(page);
            return Some(known);
        }
        let tokens = <[u32; PAGE_TOKENS]>::try_from(tokens).ok()?;
        self.sealings += 1;
        let (node, key) = (
            PrefixNode::Page(self.sealings),
            PrefixKey { parent, tokens },
        );
        self.index.insert(key.clone(), node);
        let sealed = SealedPage {
            key,
            owner,
            page: Arc::clone(&page),
            idle_since: None,
        };
        self.sealed.insert(node, sealed);
        Some(SharedPrefix { node, page })
    }

    /// A copy of a page, for a sequence that goes on differently.
    pub(crate) fn copy(&mut self, page: &KvPage) -> Option<Arc<KvPage>> {
        let mut copy = self.take()?;
        match Arc::get_mut(&mut copy) {
            Some(target) => {
                target.clone_from(page);
                Some(copy)
            }
            None => None,
        }
    }

    /// Takes back the pages of a sequence; `nodes` are those of its sealed ones, in order.
    pub(crate) fn release(&mut self, mut pages: Vec<Arc<KvPage>>, nodes: &[PrefixNode]) {
        for page in pages.drain(nodes.len().min(pages.len())..) {
            self.give_back(page);
        }
        // The longest prefix leaves first: it is of use only together with those before it.
        for (node, page) in nodes.iter().zip(pages).rev() {
            drop(page);
            let Some(sealed) = self.sealed.get_mut(node) else {
                continue;
            };
            if Arc::strong_count(&sealed.page) == 1 && sealed.idle_since.is_none() {
                self.clock += 1;
                sealed.idle_since = Some(self.clock);
                self.idle.insert(self.clock, *node);
            }
        }
    }

    /// Forgets the prefixes of an owner that no sequence uses any more.
    pub(crate) fn forget(&mut self, owner: OwnerId) {
        let theirs: Vec<PrefixNode> = self
            .sealed
            .iter()
            .filter(|(_, sealed)| sealed.owner == owner)
            .map(|(node, _)| *node)
            .collect();
        for node in theirs {
            let Some(sealed) = self.sealed.remove(&node) else {
                continue;
            };
            self.index.remove(&sealed.key);
            if let Some(since) = sealed.idle_since {
                self.idle.remove(&since);
            }
            self.give_back(sealed.page);
        }
    }

    /// Pages in existence.
    pub(crate) fn made(&self) -> usize {
        self.made
    }

    fn give_back(&mut self, page: Arc<KvPage>) {
        // A page that someone else still reads is dropped with its last reader.
        match Arc::strong_count(&page) {
            1 => self.spare.push(page),
            _ => self.made -= 1,
        }
    }
}
