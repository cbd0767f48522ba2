//! Reads the chain's state of a journal's receivers, for the audit in
//! [`openlora_ledger::reconcile`].
//!
//! Everything is read at one block. Nothing is compared here. The journal only says which channels,
//! payers and receivers to look for.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    primitives::{Address as RawAddress, B256, U256},
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
};

use super::{claims, view};
use openlora_chain::{
    WalletError,
    provider::{BlockHead, Chain},
    registry::{BatchSettlementEscrow as Escrow, RevenueSplitter, Token},
};
use openlora_contracts::ESCROW;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    ChannelView, ReceiverKey,
    reconcile::{
        ChainEvidence, ChannelEvidence, LoggedAuthorization, LoggedRelease, LoggedSum,
        LoggedTransfer, PaidBack,
    },
    trail::AuditTrail,
};

/// How many channels or payers one request for logs names.
const NAMED: usize = 256;

/// The escrow's state and logs of channels.
const OF_CHANNELS: [B256; 3] = [
    Escrow::Claimed::SIGNATURE_HASH,
    Escrow::Refunded::SIGNATURE_HASH,
    Escrow::WithdrawFinalized::SIGNATURE_HASH,
];

/// Reads every receiver in the journal on a chain. Logs are read from `from_block` on, which must
/// not be later than the first log of the receivers.
pub async fn gather(
    chain: &Chain,
    trail: &AuditTrail,
    from_block: u64,
) -> Result<Vec<ChainEvidence>, WalletError> {
    let head = chain.head().await?;
    let reader = EvidenceReader {
        chain,
        trail,
        head,
        from_block,
    };
    let mut all = Vec::new();
    for receiver in trail.receivers(chain.network.chain_id) {
        all.push(reader.receiver(receiver).await?);
    }
    Ok(all)
}

struct EvidenceReader<'a> {
    chain: &'a Chain,
    trail: &'a AuditTrail,
    head: BlockHead,
    from_block: u64,
}

impl EvidenceReader<'_> {
    async fn receiver(&self, receiver: ReceiverKey) -> Result<ChainEvidence, WalletError> {
        let view = view::receiver(self.chain, &self.head, receiver).await?;
        let is_splitter = self.is_splitter(receiver.receiver).await?;
        let sent = transfer_filter(receiver).topic1(padded(receiver.receiver));
        let spent = self.logs(&sent).await?;
        let spent = spent.iter().filter_map(transferred);
        Ok(ChainEvidence {
            receiver,
            escrow: ESCROW.into(),
            is_splitter,
            channels: self.channels(receiver).await?,
            settlements: self.settlements(receiver).await?,
            incoming: self.incoming(receiver).await?,
            spent: spent.map(|it| it.logged.amount).sum(),
            releases: self.releases(receiver).await?,
            authorizations: self.authorizations(receiver).await?,
            view,
        })
    }

    async fn logs(&self, filter: &Filter) -> Result<Vec<Log>, WalletError> {
        let blocks = self.from_block..=self.head.number;
        self.chain.logs_in(filter, blocks).await
    }

    async fn is_splitter(&self, receiver: Address) -> Result<bool, WalletError> {
        if !self.chain.has_code(receiver).await? {
            return Ok(false);
        }
        let call = RevenueSplitter::sharesCall {};
        let asked = self.chain.read("shares of the splitter", receiver, &call);
        match asked.await {
            Ok(_) => Ok(true),
            Err(WalletError::Reverted { .. }) => Ok(false),
            // An unknown contract returns other data; an unreachable RPC returns nothing.
            Err(error) => self.chain.height().await.map(|_| false).map_err(|_| error),
        }
    }

    async fn channels(
        &self,
        receiver: ReceiverKey,
    ) -> Result<BTreeMap<Word, ChannelEvidence>, WalletError> {
        let channels = self
            .trail
            .state
            .ledger
            .channels
            .iter()
            .filter(|(key, channel)| {
                key.chain_id == receiver.chain_id
                    && channel.config.receiver == receiver.receiver
                    && channel.config.token == receiver.token
            });
        let ids: Vec<Word> = channels.map(|(key, _)| key.channel).collect();
        let views = view::channels(self.chain, &self.head, 0, &ids).await?;
        let mut seen: BTreeMap<Word, ChannelEvidence> = BTreeMap::new();
        for (id, view) in ids.iter().zip(views) {
            seen.entry(*id).or_default().view = view;
        }
        for some in ids.chunks(NAMED) {
            let topics: Vec<B256> = some.iter().map(|id| id.0.into()).collect();
            let filter = Filter::new()
                .address(ESCROW)
                .event_signature(OF_CHANNELS.to_vec())
                .topic1(topics);
            for log in self.logs(&filter).await? {
                take_in(&log, &mut seen);
            }
        }
        for (channel, reason) in self.refused(&seen).await? {
            seen.entry(channel).or_default().refused = Some(reason);
        }
        Ok(seen)
    }

    /// Simulates claims from their authorizers, without sending them. Returns the channels whose
    /// claims the escrow would refuse, with the reasons.
    async fn refused(
        &self,
        seen: &BTreeMap<Word, ChannelEvidence>,
    ) -> Result<Vec<(Word, String)>, WalletError> {
        let chain_id = self.chain.network.chain_id;
        let views: BTreeMap<Word, ChannelView> =
            seen.iter().map(|(id, it)| (*id, it.view.clone())).collect();
        let here = self.trail.state.ledger.channels.iter();
        let here = here.filter(|(key, _)| views.contains_key(&key.channel));
        let claimers: BTreeSet<Address> = here
            .map(|(_, channel)| channel.config.receiver_authorizer)
            .collect();
        let claimers: Vec<Address> = claimers.into_iter().collect();
        let (mut rows, _) = claims::select(&self.trail.state.ledger, chain_id, &claimers, &views);
        // Rows without a voucher are found without the chain.
        rows.retain(|row| row.has_voucher());
        let mut refused = Vec::new();
        for batch in claims::batches(rows) {
            let (_, left_out) = claims::filter_rows(self.chain, batch).await?;
            refused.extend(left_out.into_iter().map(|out| (out.channel, out.reason)));
        }
        Ok(refused)
    }

    async fn settlements(&self, receiver: ReceiverKey) -> Result<Vec<LoggedSum>, WalletError> {
        let filter = Filter::new()
            .address(ESCROW)
            .event_signature(Escrow::Settled::SIGNATURE_HASH)
            .topic1(padded(receiver.receiver))
            .topic2(padded(receiver.token));
        let logs = self.logs(&filter).await?;
        let settled = logs.iter().filter_map(|log| {
            let event = Escrow::Settled::decode_log(&log.inner).ok()?;
            Some(logged(log, event.amount))
        });
        Ok(settled.collect())
    }

    async fn incoming(&self, receiver: ReceiverKey) -> Result<Vec<LoggedTransfer>, WalletError> {
        let filter = transfer_filter(receiver).topic2(padded(receiver.receiver));
        let logs = self.logs(&filter).await?;
        Ok(logs.iter().filter_map(transferred).collect())
    }

    async fn releases(&self, receiver: ReceiverKey) -> Result<Vec<LoggedRelease>, WalletError> {
        let filter = Filter::new()
            .address(RawAddress::from(receiver.receiver))
            .event_signature(RevenueSplitter::Released::SIGNATURE_HASH)
            .topic1(padded(receiver.token));
        let logs = self.logs(&filter).await?;
        let released = logs.iter().filter_map(|log| {
            let event = RevenueSplitter::Released::decode_log(&log.inner).ok()?;
            Some(LoggedRelease {
                recipient: event.recipient.into(),
                logged: logged(log, clamped(event.amount)),
            })
        });
        Ok(released.collect())
    }

    async fn authorizations(
        &self,
        receiver: ReceiverKey,
    ) -> Result<Vec<LoggedAuthorization>, WalletError> {
        let paid = self.trail.state.facts.payments.keys();
        let keys = paid.chain(self.trail.exact_calls.keys());
        let here =
            keys.filter(|key| (key.chain_id, key.token) == (receiver.chain_id, receiver.token));
        let payers: BTreeSet<Address> = here.map(|key| key.payer).collect();
        let payers: Vec<B256> = payers.into_iter().map(padded).collect();
        let mut used = Vec::new();
        for some in payers.chunks(NAMED) {
            let filter = Filter::new()
                .address(RawAddress::from(receiver.token))
                .event_signature(Token::AuthorizationUsed::SIGNATURE_HASH)
                .topic1(some.to_vec());
            for log in self.logs(&filter).await? {
                let Ok(event) = Token::AuthorizationUsed::decode_log(&log.inner) else {
                    continue;
                };
                used.push(LoggedAuthorization {
                    payer: event.authorizer.into(),
                    nonce: Word(event.nonce.0),
                    tx: tx_of(&log),
                });
            }
        }
        Ok(used)
    }
}

fn take_in(log: &Log, seen: &mut BTreeMap<Word, ChannelEvidence>) {
    let id = log.topics().get(1).map(|topic| Word(topic.0));
    let Some(channel) = id.and_then(|id| seen.get_mut(&id)) else {
        return;
    };
    if let Ok(event) = Escrow::Claimed::decode_log(&log.inner) {
        channel.claims.push(logged(log, event.claimAmount));
    } else if let Ok(event) = Escrow::Refunded::decode_log(&log.inner) {
        channel.paid_back.push(PaidBack {
            logged: logged(log, event.amount),
            is_refund: true,
        });
    } else if let Ok(event) = Escrow::WithdrawFinalized::decode_log(&log.inner) {
        channel.paid_back.push(PaidBack {
            logged: logged(log, event.amount),
            is_refund: false,
        });
    }
}

fn transfer_filter(receiver: ReceiverKey) -> Filter {
    Filter::new()
        .address(RawAddress::from(receiver.token))
        .event_signature(Token::Transfer::SIGNATURE_HASH)
}

fn transferred(log: &Log) -> Option<LoggedTransfer> {
    let event = Token::Transfer::decode_log(&log.inner).ok()?;
    Some(LoggedTransfer {
        from: event.from.into(),
        logged: logged(log, clamped(event.value)),
    })
}

/// More than can be counted is no sum of a real token, and fits nothing that it is compared with.
fn clamped(value: U256) -> u128 {
    u128::try_from(value).unwrap_or(u128::MAX)
}

fn logged(log: &Log, amount: u128) -> LoggedSum {
    let block = log.block_number.unwrap_or_default();
    LoggedSum {
        tx: tx_of(log),
        amount: Amount(amount),
        place: (block, log.log_index.unwrap_or_default()),
    }
}

fn tx_of(log: &Log) -> String {
    log.transaction_hash.unwrap_or_default().to_string()
}

fn padded(address: Address) -> B256 {
    B256::left_padding_from(&address.0)
}
