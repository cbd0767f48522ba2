//! Deposits by ERC-3009 authorizations, through x402's collector.

use alloy::{
    primitives::{B256, Bytes, U256, keccak256},
    rpc::types::{Filter, TransactionReceipt},
    sol_types::{SolCall, SolEvent, SolValue},
};

use super::{
    ChainFailure, DepositPermit, MinedResult, client::SettlementClient, purpose::TxPurpose,
    sponsor::sponsored,
};
use openlora_chain::{
    WalletError,
    network::Network,
    registry::{BatchSettlementEscrow as Escrow, Token},
    transaction::MinedTx,
};
use openlora_contracts::{COLLECTOR, ESCROW};
use openlora_core::{Address, Word};
use openlora_ledger::{Sponsored, SponsoredDeed, TxKey};

const NAME: &str = "the deposit";

/// The nonce of the authorization for a deposit into a channel.
pub fn deposit_nonce(channel: Word, salt: Word) -> Word {
    keccak256([channel.0, salt.0].concat()).into()
}

impl DepositPermit {
    /// The nonce of the payer's authorization.
    pub fn nonce(&self) -> Word {
        deposit_nonce(self.channel, self.salt)
    }

    /// `request` is the facilitator request that the deposit is cleared for.
    pub(super) fn key(&self, request: Option<Word>) -> TxKey {
        TxKey::Deposit {
            channel: self.channel,
            amount: self.amount,
            nonce: self.nonce(),
            request,
        }
    }

    pub(super) fn purpose(&self, network: &Network, request: Option<Word>) -> TxPurpose {
        TxPurpose {
            key: self.key(request),
            label: format!(
                "a deposit of {} into channel {} by authorization {}{}",
                network.token_amount(self.config.token, self.amount),
                self.channel,
                self.nonce(),
                for_request(request)
            ),
        }
    }

    fn data(&self) -> Bytes {
        let salt = U256::from_be_bytes(self.salt.0);
        let signature = self.signature.clone();
        let data = (self.valid_after, self.valid_before, salt, signature).abi_encode_params();
        let call = Escrow::depositCall {
            config: (&self.config).into(),
            amount: self.amount.0,
            collector: COLLECTOR,
            collectorData: data.into(),
        };
        call.abi_encode().into()
    }

    /// The payer signs the deposit itself, even if another key signs the vouchers.
    fn sponsored(&self) -> Sponsored {
        let payer = self.config.payer;
        sponsored(SponsoredDeed::Deposit, Some(payer), Some(self.channel))
    }

    /// Whether a receipt contains this deposit.
    fn is_in(&self, receipt: &TransactionReceipt) -> bool {
        receipt.logs().iter().any(|log| {
            let event = Escrow::Deposited::decode_log(&log.inner);
            event.is_ok_and(|event| {
                log.address() == ESCROW
                    && event.channelId.0 == self.channel.0
                    && event.amount == self.amount.0
            })
        })
    }
}

impl SettlementClient {
    /// Whether the deposit would succeed. A deposit that is already mined passes, because it would
    /// be found.
    pub(super) async fn would_deposit(&self, deposit: &DepositPermit) -> Result<(), ChainFailure> {
        self.in_sight().await?;
        let (token, payer) = (deposit.config.token, deposit.config.payer);
        if self.used(token, payer, deposit.nonce()).await? {
            return self.mined_deposit(deposit).await.map(|_| ());
        }
        let asked = deposit.sponsored();
        self.rehearse(NAME, &asked, ESCROW.into(), &deposit.data())
            .await
    }

    pub(super) async fn put_in(
        &self,
        deposit: &DepositPermit,
    ) -> Result<MinedResult, ChainFailure> {
        let _turn = self.turn(deposit.nonce()).await;
        let purpose = deposit.purpose(&self.chain.network, None);
        self.make_deposit(deposit, purpose).await
    }

    /// Submits the deposit, or finds that it was already made. It does not matter who submitted it,
    /// because the money is in the payer's own channel.
    pub(super) async fn make_deposit(
        &self,
        deposit: &DepositPermit,
        purpose: TxPurpose,
    ) -> Result<MinedResult, ChainFailure> {
        let _payer = self
            .payer_turn(deposit.config.token, deposit.config.payer)
            .await;
        self.in_sight().await?;
        if let Some(mined) = self.earlier(&purpose.key).await? {
            return self.deposited(deposit, &mined).await;
        }
        let (token, payer) = (deposit.config.token, deposit.config.payer);
        if self.used(token, payer, deposit.nonce()).await? {
            let mined = self.mined_deposit(deposit).await?;
            return self.deposited(deposit, &mined).await;
        }
        let (asked, data) = (deposit.sponsored(), deposit.data());
        let call = self.prepared_for(NAME, asked, ESCROW.into(), data, purpose);
        let mined = match self.done(NAME, call.await?, Vec::new()).await {
            // Another submission was first: by another party, or our own after a reorganisation.
            Err(trouble @ ChainFailure::Rejected { .. }) => {
                let mined = self.mined_deposit(deposit).await;
                mined.map_err(|_| trouble)?
            }
            done => done?,
        };
        self.deposited(deposit, &mined).await
    }

    async fn deposited(
        &self,
        deposit: &DepositPermit,
        mined: &MinedTx,
    ) -> Result<MinedResult, ChainFailure> {
        self.counted(mined).await?;
        self.channel_after(mined.tx.to_string(), deposit.channel)
            .await
    }

    async fn mined_deposit(&self, deposit: &DepositPermit) -> Result<MinedTx, ChainFailure> {
        let (token, payer) = (deposit.config.token, deposit.config.payer);
        let found = self.user(token, payer, deposit.nonce(), deposit.valid_after);
        let found = found.await?.filter(|mined| deposit.is_in(&mined.receipt));
        found.ok_or_else(|| ChainFailure::Rejected {
            deed: NAME,
            reason: spent(deposit.nonce()),
        })
    }

    /// Whether an authorization is used or cancelled.
    pub(super) async fn used(
        &self,
        token: Address,
        payer: Address,
        nonce: Word,
    ) -> Result<bool, ChainFailure> {
        let call = Token::authorizationStateCall {
            authorizer: payer.into(),
            nonce: nonce.0.into(),
        };
        let asked = self
            .chain
            .read("authorizationState of the token", token, &call);
        let asked = asked.await;
        asked.map_err(|error| ChainFailure::of_read("the authorization", &error))
    }

    /// The transaction that used an authorization, mined since it was valid.
    pub(super) async fn user(
        &self,
        token: Address,
        payer: Address,
        nonce: Word,
        valid_after: U256,
    ) -> Result<Option<MinedTx>, ChainFailure> {
        let asked = self.find_user(token, payer, nonce, valid_after).await;
        asked.map_err(ChainFailure::unreachable)
    }

    async fn find_user(
        &self,
        token: Address,
        payer: Address,
        nonce: Word,
        valid_after: U256,
    ) -> Result<Option<MinedTx>, WalletError> {
        /// The longest time to search back, in seconds.
        const WEEK: u64 = 7 * 24 * 3600;
        let head = self.chain.head().await?;
        let since = u64::try_from(valid_after).unwrap_or(u64::MAX);
        let since = since.clamp(head.time.saturating_sub(WEEK), head.time);
        let payer = B256::left_padding_from(&payer.0);
        let filter = Filter::new()
            .address(alloy::primitives::Address::from(token))
            .event_signature(Token::AuthorizationUsed::SIGNATURE_HASH)
            .topic1(payer)
            .topic2(B256::from(nonce.0));
        let from = self.chain.block_at(since).await?;
        let logs = self.chain.logs_in(&filter, from..=head.number).await?;
        let Some(tx) = logs.first().and_then(|log| log.transaction_hash) else {
            return Ok(None);
        };
        let receipt = self.chain.receipt(tx).await?;
        Ok(receipt.map(|receipt| MinedTx { tx, receipt }))
    }
}

/// The end of the label of a payment that is cleared for a request.
pub(super) fn for_request(request: Option<Word>) -> String {
    request.map_or_else(String::new, |request| format!(" for the request {request}"))
}

/// The reason for which an authorization cannot be used.
fn spent(nonce: Word) -> String {
    format!("the authorization {nonce} was cancelled, or used for something else")
}
