//! Questions to the chain that unpaid requests cause. They cost their callers nothing, so few are
//! asked at once, each has a time limit, and a refusal is remembered.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use alloy::primitives::{Bytes, keccak256};
use tokio::sync::Semaphore;

use super::{ChainFailure, DepositPermit, TransferPermit};
use openlora_core::{Address, Word};
use openlora_ledger::TxKey;

/// The gas of a contract's answer about a signature (ERC-1271). Wallets need far less than half.
pub(super) const SIGNATURE_GAS: u64 = 500_000;
/// Longest time for a question, including the wait for its turn.
const TIME: Duration = Duration::from_secs(10);
/// How many contracts are asked about signatures at once.
const SIGNATURES: usize = 4;
/// How many deposits and transfers are checked at once.
const PAYMENTS: usize = 16;
/// How many refusals are remembered.
const REMEMBERED: usize = 8192;
/// A contract changes its mind less often than a balance changes: its refusals are remembered for
/// this many times longer.
const LONGER: u32 = 15;

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuestionKind {
    Signature,
    Payment,
}

pub(super) struct ChainQuestions {
    signatures: Semaphore,
    payments: Semaphore,
    /// How long a refused payment is remembered.
    remember: Duration,
    refused: Mutex<RefusedQuestions>,
}

#[derive(Default)]
struct RefusedQuestions {
    known: HashMap<Word, (Instant, ChainFailure)>,
    order: VecDeque<Word>,
}

impl ChainQuestions {
    pub fn new(remember: Duration) -> Self {
        Self {
            signatures: Semaphore::new(SIGNATURES),
            payments: Semaphore::new(PAYMENTS),
            remember,
            refused: Mutex::default(),
        }
    }

    /// Asks a question in its turn. A question that was refused lately is not asked again.
    pub async fn ask<T>(
        &self,
        kind: QuestionKind,
        key: Word,
        question: impl Future<Output = Result<T, ChainFailure>>,
    ) -> Result<T, ChainFailure> {
        if let Some(refused) = self.refused(kind, key) {
            return Err(refused);
        }
        let lane = match kind {
            QuestionKind::Signature => &self.signatures,
            QuestionKind::Payment => &self.payments,
        };
        let work = async {
            let _turn = lane.acquire().await.map_err(ChainFailure::unreachable)?;
            question.await
        };
        let answer = match tokio::time::timeout(TIME, work).await {
            Ok(answer) => answer,
            Err(_) => Err(ChainFailure::unreachable(format!(
                "no answer within {} s",
                TIME.as_secs()
            ))),
        };
        if let Err(refused @ (ChainFailure::Rejected { .. } | ChainFailure::Spent { .. })) = &answer
        {
            self.remember(key, refused);
        }
        answer
    }

    fn refused(&self, kind: QuestionKind, key: Word) -> Option<ChainFailure> {
        let longest = match kind {
            QuestionKind::Signature => self.remember * LONGER,
            QuestionKind::Payment => self.remember,
        };
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, failure) = refused.known.get(&key)?;
        (at.elapsed() < longest).then(|| failure.clone())
    }

    fn remember(&self, key: Word, failure: &ChainFailure) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (Instant::now(), failure.clone());
        if refused.known.insert(key, now).is_none() {
            refused.order.push_back(key);
        }
        while refused.order.len() > REMEMBERED {
            if let Some(oldest) = refused.order.pop_front() {
                refused.known.remove(&oldest);
            }
        }
    }
}

/// Identifies the question whether a contract accepts a signature.
pub(super) fn signature_key(account: Address, digest: Word, signature: &[u8]) -> Word {
    Word(keccak256([&account.0[..], &digest.0, signature].concat()).0)
}

impl DepositPermit {
    /// Identifies the question whether the deposit can be made.
    pub(super) fn question(&self) -> Word {
        let times = [self.valid_after, self.valid_before].map(|it| it.to_be_bytes::<32>());
        question(&self.key(None), &times, &self.signature)
    }
}

impl TransferPermit {
    /// Identifies the question whether the transfer can be made.
    pub(super) fn question(&self) -> Word {
        let times = [self.valid_after, self.valid_before].map(|it| it.to_be_bytes::<32>());
        question(&self.key(None), &times, &self.signature)
    }
}

fn question(key: &TxKey, times: &[[u8; 32]; 2], signature: &Bytes) -> Word {
    let key = format!("{key:?}");
    let parts = [key.as_bytes(), &times[0], &times[1], signature];
    Word(keccak256(parts.concat()).0)
}
