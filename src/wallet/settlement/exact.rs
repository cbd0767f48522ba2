//! Payments of the `exact` scheme: one ERC-3009 transfer each.

use alloy::{
    primitives::{Bytes, U256},
    sol_types::{SolCall, SolEvent},
};

use super::{Done, Transfer, Trouble, books::ask, deposit::spent, desk::Desk};
use crate::{
    runtime::{
        event::{Event, PaymentReceived},
        ledger::{Address, ExactKey, Word},
    },
    wallet::{registry::Token, transaction::Mined},
};

const NAME: &str = "the transfer";

impl Transfer {
    fn deed(&self) -> String {
        format!(
            "a transfer of {} from {} to {} by authorization {}",
            self.value, self.from, self.to, self.nonce
        )
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

impl Transfer {
    /// What the transaction that used the authorization moved, where it is what was signed.
    fn fact(&self, key: ExactKey, mined: &Mined) -> Option<PaymentReceived> {
        let receipt = &mined.receipt;
        let moved = receipt.logs().iter().any(|log| {
            let event = Token::Transfer::decode_log(&log.inner);
            let fits = |from: Address, to: Address, value: U256| {
                (from, to, value) == (self.from, self.to, U256::from(self.value.0))
            };
            event.is_ok_and(|it| {
                Address::from(log.address()) == self.token
                    && fits(it.from.into(), it.to.into(), it.value)
            })
        });
        moved.then(|| PaymentReceived {
            key,
            receiver: self.to,
            amount: self.value,
            tx: mined.tx.to_string(),
            block: receipt.block_number.unwrap_or_default(),
            block_hash: Word(receipt.block_hash.unwrap_or_default().0),
        })
    }
}

impl Desk {
    fn exact_key(&self, transfer: &Transfer) -> ExactKey {
        ExactKey {
            chain_id: self.chain.network.chain_id,
            token: transfer.token,
            payer: transfer.from,
            nonce: transfer.nonce,
        }
    }

    pub(super) async fn would_transfer(&self, transfer: &Transfer) -> Result<bool, Trouble> {
        let (token, payer) = (transfer.token, transfer.from);
        if self.used(token, payer, transfer.nonce).await? {
            self.mined_transfer(transfer).await?;
            return Ok(true);
        }
        let (from, data) = (self.account(), transfer.data());
        let tried = self.chain.simulate(from, token, &data, NAME).await;
        tried.map_err(|error| Trouble::of_read(NAME, &error))?;
        Ok(false)
    }

    pub(super) async fn take_payment(&self, transfer: &Transfer) -> Result<Done, Trouble> {
        let _turn = self.turn(transfer.nonce).await;
        let deed = transfer.deed();
        let mined = match self.earlier(&deed).await? {
            Some(mined) => mined,
            None => {
                let (token, payer) = (transfer.token, transfer.from);
                match self.used(token, payer, transfer.nonce).await? {
                    true => self.mined_transfer(transfer).await?,
                    false => {
                        let call = self.prepared(token, transfer.data(), deed).await;
                        let call = call.map_err(|error| Trouble::of_read(NAME, &error))?;
                        match self.done(NAME, call).await {
                            // Another one with this authorization was faster.
                            Err(trouble @ Trouble::Rejected { .. }) => {
                                let mined = self.mined_transfer(transfer).await;
                                mined.map_err(|_| trouble)?
                            }
                            done => done?,
                        }
                    }
                }
            }
        };
        self.counted(&mined).await?;
        self.received(transfer, &mined).await
    }

    async fn mined_transfer(&self, transfer: &Transfer) -> Result<Mined, Trouble> {
        let (token, payer) = (transfer.token, transfer.from);
        let found = self.user(token, payer, transfer.nonce, transfer.valid_after);
        found.await?.ok_or_else(|| Trouble::Rejected {
            deed: NAME,
            reason: spent(transfer.nonce),
        })
    }

    /// Checks what arrived, and writes it down where nobody has: somebody else may have sent it.
    async fn received(&self, transfer: &Transfer, mined: &Mined) -> Result<Done, Trouble> {
        let (key, tx) = (self.exact_key(transfer), mined.tx.to_string());
        let Some(fact) = transfer.fact(key, mined) else {
            let reason = format!("transaction {tx} moved something else");
            return Err(Trouble::Rejected { deed: NAME, reason });
        };
        if !ask(&*self.books, |book| book.exact.contains_key(&key)) {
            self.keep(Event::PaymentReceived(Box::new(fact))).await?;
        }
        Ok(Done { tx, view: None })
    }
}
