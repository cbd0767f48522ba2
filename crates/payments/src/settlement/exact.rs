//! Payments of the `exact` scheme: one ERC-3009 transfer each.

use alloy::{
    primitives::{B256, Bytes, U256},
    rpc::types::TransactionReceipt,
    sol_types::{SolCall, SolEvent},
};

use super::{
    ChainFailure, MinedResult, TransferPermit, client::SettlementClient, deposit::for_request,
    ledger_view::ask, purpose::TxPurpose, sponsor::sponsored,
};
use openlora_chain::{network::Network, registry::Token, transaction::MinedTx};
use openlora_core::{Address, Word};
use openlora_ledger::{ExactKey, Sponsored, SponsoredDeed, TxKey};

const NAME: &str = "the transfer";

impl TransferPermit {
    /// `request` is the facilitator request that the transfer is cleared for.
    pub(super) fn key(&self, request: Option<Word>) -> TxKey {
        TxKey::Transfer {
            token: self.token,
            from: self.from,
            to: self.to,
            amount: self.value,
            nonce: self.nonce,
            request,
        }
    }

    pub(super) fn purpose(&self, network: &Network, request: Option<Word>) -> TxPurpose {
        TxPurpose {
            key: self.key(request),
            label: format!(
                "a transfer of {} from {} to {} by authorization {}{}",
                network.token_amount(self.token, self.value),
                self.from,
                self.to,
                self.nonce,
                for_request(request)
            ),
        }
    }

    fn data(&self) -> Bytes {
        let call = Token::transferWithAuthorizationCall {
            from: self.from.into(),
            to: self.to.into(),
            value: U256::from(self.value.0),
            validAfter: self.valid_after,
            validBefore: self.valid_before,
            nonce: self.nonce.0.into(),
            signature: self.signature.clone(),
        };
        call.abi_encode().into()
    }
}

impl TransferPermit {
    /// Whether a receipt contains the signed transfer.
    fn is_in(&self, receipt: &TransactionReceipt) -> bool {
        receipt.logs().iter().any(|log| {
            let event = Token::Transfer::decode_log(&log.inner);
            let fits = |from: Address, to: Address, value: U256| {
                (from, to, value) == (self.from, self.to, U256::from(self.value.0))
            };
            event.is_ok_and(|it| {
                Address::from(log.address()) == self.token
                    && fits(it.from.into(), it.to.into(), it.value)
            })
        })
    }
}

impl SettlementClient {
    fn exact_key(&self, transfer: &TransferPermit) -> ExactKey {
        self.key_of(transfer.token, transfer.from, transfer.nonce)
    }

    pub(super) fn begun(&self, transfer: &TransferPermit) -> bool {
        let key = self.exact_key(transfer);
        let paid = ask(&*self.ledger, |ledger| ledger.exact.contains_key(&key));
        paid || self.queue.has_begun(&transfer.key(None))
    }

    pub(super) async fn would_transfer(
        &self,
        transfer: &TransferPermit,
    ) -> Result<bool, ChainFailure> {
        self.check_free(transfer)?;
        self.in_sight().await?;
        let begun = self.queue.has_begun(&transfer.key(None));
        if begun || self.own_transfer(transfer).await?.is_some() {
            return Ok(true);
        }
        let token = transfer.token;
        if self.used(token, transfer.from, transfer.nonce).await? {
            return Err(spent_by_others(transfer));
        }
        let asked = sponsored(SponsoredDeed::Transfer, Some(transfer.from), None);
        self.rehearse(NAME, &asked, token, &transfer.data()).await?;
        Ok(false)
    }

    pub(super) async fn take_payment(
        &self,
        transfer: &TransferPermit,
    ) -> Result<MinedResult, ChainFailure> {
        let _turn = self.turn(transfer.nonce).await;
        self.check_free(transfer)?;
        let asked = sponsored(SponsoredDeed::Transfer, Some(transfer.from), None);
        let purpose = transfer.purpose(&self.chain.network, None);
        self.make_transfer(transfer, purpose, asked).await
    }

    /// An authorization that is cleared for another seller pays for nothing here.
    fn check_free(&self, transfer: &TransferPermit) -> Result<(), ChainFailure> {
        let key = self.exact_key(transfer);
        match ask(&*self.ledger, |ledger| ledger.clearings.contains_key(&key)) {
            true => Err(spent_by_others(transfer)),
            false => Ok(()),
        }
    }

    /// Submits the transfer in our own transaction, or finds the one that did.
    pub(super) async fn make_transfer(
        &self,
        transfer: &TransferPermit,
        purpose: TxPurpose,
        asked: Sponsored,
    ) -> Result<MinedResult, ChainFailure> {
        let _payer = self.payer_turn(transfer.token, transfer.from).await;
        self.in_sight().await?;
        self.earlier(&purpose.key).await?;
        if let Some(mined) = self.own_transfer(transfer).await? {
            self.counted(&mined).await?;
            return Ok(done(&mined));
        }
        let (token, payer) = (transfer.token, transfer.from);
        if self.used(token, payer, transfer.nonce).await? {
            return Err(spent_by_others(transfer));
        }
        let call = self.prepared_for(NAME, asked, token, transfer.data(), purpose);
        let sent = match call.await {
            Ok(call) => self.done(NAME, call, Vec::new()).await,
            Err(trouble) => Err(trouble),
        };
        let mined = match sent {
            // Another party may have submitted it first.
            Err(trouble @ ChainFailure::Rejected { .. }) => {
                let used = self.used(token, payer, transfer.nonce).await?;
                return Err(match used {
                    true => spent_by_others(transfer),
                    false => trouble,
                });
            }
            sent => sent?,
        };
        match transfer.is_in(&mined.receipt) {
            true => Ok(done(&mined)),
            false => Err(ChainFailure::Rejected {
                deed: NAME,
                reason: format!("transaction {} moved something else", mined.tx),
            }),
        }
    }

    /// Our own transaction that moved the money, if it is mined. A transfer that another party
    /// submitted is not a payment to us: other servers may be paid through the same splitter, and
    /// each would find the same transfer there.
    async fn own_transfer(
        &self,
        transfer: &TransferPermit,
    ) -> Result<Option<MinedTx>, ChainFailure> {
        let key = self.exact_key(transfer);
        let known = ask(&*self.ledger, |ledger| {
            ledger.exact.get(&key).map(|it| it.tx.clone())
        });
        let Some(known) = known else {
            return self.come_back(transfer).await;
        };
        let tx = known.parse::<B256>().unwrap_or_default();
        let receipt = self
            .chain
            .receipt(tx)
            .await
            .map_err(ChainFailure::unreachable)?;
        match receipt {
            None => Ok(None),
            Some(receipt) if transfer.is_in(&receipt) => Ok(Some(MinedTx { tx, receipt })),
            // The same nonce with another receiver or amount.
            Some(_) => Err(spent_by_others(transfer)),
        }
    }

    /// Our own transaction that a reorganisation had undone and that is mined again.
    async fn come_back(&self, transfer: &TransferPermit) -> Result<Option<MinedTx>, ChainFailure> {
        if !self.queue.has_undone() {
            return Ok(None);
        }
        let (token, payer) = (transfer.token, transfer.from);
        let found = self.user(token, payer, transfer.nonce, transfer.valid_after);
        let found = found.await?.filter(|mined| {
            self.queue.is_undone(&mined.tx.to_string()) && transfer.is_in(&mined.receipt)
        });
        if let Some(mined) = &found {
            for fact in self.queue.facts_of(&mined.receipt) {
                self.append_event(fact).await?;
            }
        }
        Ok(found)
    }
}

fn done(mined: &MinedTx) -> MinedResult {
    MinedResult {
        tx: mined.tx.to_string(),
        view: None,
    }
}

fn spent_by_others(transfer: &TransferPermit) -> ChainFailure {
    let nonce = transfer.nonce;
    ChainFailure::Spent { nonce }
}
