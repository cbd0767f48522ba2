//! The payer of calls: account, chain, token and payment store. On a development chain its funds
//! are minted.

use std::path::PathBuf;

use super::{CommandContext, money, network, notices::print_event, tx_context::limits, wallet};
use crate::commands::settings::NetworkValue;
use openlora_chain::{
    balance::in_units,
    development,
    network::Network,
    provider::Chain,
    transaction::{MinedTx, TxEvent, TxLimits, TxSender, no_facts, recover},
};
use openlora_core::{
    Address, Amount,
    error::{ExitClass, Failure},
};
use openlora_payments::payer::{
    ChannelLease, Payer, PayerStore,
    chain::{self, ContractCall},
};
use openlora_release::deploy::{FUNDS, funding};
use openlora_wallet::WalletAccount;

/// The development account that buys if there is no wallet.
const BUYER: u32 = 3;
/// Its initial funds on a development chain, in whole tokens.
const GIFT: u128 = 100;

/// The choice of the paying account.
#[derive(Clone, Debug, Default)]
pub struct PayerRequest {
    pub from: Option<String>,
    pub password_file: Option<PathBuf>,
}

/// A payer on the chosen network, which must be reachable and have a token.
pub async fn open(context: &CommandContext, request: &PayerRequest) -> Result<Payer, Failure> {
    check_network(context)?;
    let network = network::reached(context).await?;
    let token = money::token(&network)?.clone();
    let limits = &context.settings.call;
    let budget = money::amount(&limits.budget, &token)?;
    let max_refund_fee = money::amount(&limits.max_refund_fee, &token)?;
    let account = account(context, &network, request)?;
    let chain = Chain::connect(&network).await?;
    let max_locked = money::amount(&limits.max_locked, &token)?;
    let store = PayerStore::open(&context.dirs.data)?;
    store.identify(&chain).await?;
    let clock_lead = chain.clock_lead().await;
    Ok(Payer {
        store,
        chain,
        token,
        account,
        budget,
        max_locked,
        max_refund_fee,
        clock_lead,
    })
}

/// Checks that the payment network and its token come from the user's own settings: a foreign
/// project file could turn a budget of a cent into one of millions.
fn check_network(context: &CommandContext) -> Result<(), Failure> {
    let network = network::chosen(context)?;
    if network.is_local() {
        return Ok(());
    }
    let settings = &context.settings;
    let tables = || {
        settings
            .networks
            .iter()
            .filter(|it| it.name == network.name)
    };
    let own = |field: &str| {
        let values = tables()
            .filter(|it| !it.by_project)
            .flat_map(|it| &it.values);
        values
            .filter(|it| it.field == field)
            .map(|it| &it.value)
            .next_back()
    };
    let mut said = tables()
        .filter(|it| it.by_project)
        .flat_map(|it| &it.values);
    let Some(NetworkValue { field, .. }) = said.find(|it| own(it.field) != Some(&it.value)) else {
        return Ok(());
    };
    let file = settings.project_file.clone().unwrap_or_default();
    let message = format!(
        "{}: a project file does not say where its reader's money is: expected \
         `network.{}.{field}` in the reader's own settings",
        file.display(),
        network.name
    );
    Err(
        Failure::new(ExitClass::BadInput, message).with_hint(format!(
            "if you trust it, copy `[network.{}]` into {}",
            network.name,
            context.dirs.user_file().display()
        )),
    )
}

/// The paying address before the account is unlocked; none if its keystore does not state it.
pub fn owner(context: &CommandContext, request: &PayerRequest) -> Result<Option<Address>, Failure> {
    let network = network::chosen(context)?;
    if is_development(context, &network, request)? {
        return Ok(Some(development::account(&network, BUYER)?.address()));
    }
    Ok(wallet::choose(context, request.from.as_deref())?.address)
}

/// Whether a development account pays because there is no wallet.
fn is_development(
    context: &CommandContext,
    network: &Network,
    request: &PayerRequest,
) -> Result<bool, Failure> {
    let named = request.from.as_deref();
    let chosen = named.or(context.settings.wallet.account.as_deref());
    Ok(chosen.is_none() && network.is_local() && wallet::keystores(context).list()?.is_empty())
}

fn account(
    context: &CommandContext,
    network: &Network,
    request: &PayerRequest,
) -> Result<WalletAccount, Failure> {
    let named = request.from.as_deref();
    if is_development(context, network, request)? {
        let account = development::account(network, BUYER)?;
        context.printer.note(format!(
            "there is no wallet, so development account {BUYER} pays: {}",
            account.address()
        ));
        return Ok(account);
    }
    let entry = wallet::choose(context, named)?;
    if entry.ledger.is_some() {
        let message = format!(
            "`{}` is on a Ledger, which would ask before every call",
            entry.name
        );
        return Err(Failure::new(ExitClass::Wallet, message)
            .with_hint("pay from an account of this machine: openlora wallet new NAME"));
    }
    let file = request.password_file.as_deref();
    wallet::unlock(context, &entry.name, file)
}

/// Sends the payer's own transactions.
pub struct PayerTxContext<'a> {
    context: &'a CommandContext,
    payer: &'a Payer,
    limits: TxLimits,
}

impl<'a> PayerTxContext<'a> {
    pub fn new(context: &'a CommandContext, payer: &'a Payer) -> Result<Self, Failure> {
        let limits = limits(context)?;
        Ok(Self {
            context,
            payer,
            limits,
        })
    }

    /// Waits for exclusive use of the account, because its transactions are ordered, and recovers
    /// what an earlier process left open.
    pub async fn turn(&self) -> Result<ChannelLease, Failure> {
        let payer = self.payer;
        let lease = payer.store.lease_account(payer.account.address()).await?;
        let open = payer.store.unsettled()?;
        recover(&self.sender(&payer.account, &self.teller()), &open).await?;
        Ok(lease)
    }

    /// Sends a call and waits until it is mined.
    pub async fn send(
        &self,
        _turn: &ChannelLease,
        call: ContractCall,
        deed: &str,
    ) -> Result<MinedTx, Failure> {
        self.fund().await?;
        let payer = self.payer;
        let from = payer.account.address();
        let submission = chain::submission(&payer.chain, from, call, deed).await?;
        let sent = self
            .sender(&payer.account, &self.teller())
            .send(&submission)
            .await;
        Ok(sent?)
    }

    /// Gas is free on a development chain.
    async fn fund(&self) -> Result<(), Failure> {
        let payer = self.payer;
        let to = payer.account.address();
        let (chain, network) = (&payer.chain, &payer.chain.network);
        if !network.is_local() || !chain.balance(to).await?.is_zero() {
            return Ok(());
        }
        let source = development::account(network, 0)?;
        self.sender(&source, &self.teller())
            .send(&funding(to))
            .await?;
        self.context.printer.note(format!(
            "{to} had nothing on the development chain and got {} ETH",
            in_units(FUNDS, 18)
        ));
        Ok(())
    }

    /// Mints development tokens for a payer with too little balance.
    pub async fn mint(&self, needed: Amount) -> Result<(), Failure> {
        let payer = self.payer;
        let turn = self.turn().await?;
        // Another process of this payer may have minted meanwhile.
        if payer.funds().await? >= needed {
            return Ok(());
        }
        let whole = Amount(10_u128.saturating_pow(u32::from(payer.token.decimals)));
        let amount = Amount(whole.0.saturating_mul(GIFT)).max(needed);
        let to = payer.account.address();
        let made = payer.money(amount);
        let call = chain::mint(payer.token.address, to, amount);
        self.send(&turn, call, &format!("making {made}")).await?;
        self.context.printer.note(format!(
            "{to} had too little on the development chain and got {made}"
        ));
        Ok(())
    }

    fn teller(&self) -> impl Fn(TxEvent) + Sync {
        let printer = self.context.printer.clone();
        move |news| print_event(&printer, news)
    }

    fn sender<'b>(
        &'b self,
        account: &'b WalletAccount,
        progress: &'b (dyn Fn(TxEvent) + Sync),
    ) -> TxSender<'b> {
        TxSender {
            chain: &self.payer.chain,
            account,
            facts: &self.payer.store,
            limits: self.limits,
            progress,
            harvest: &no_facts,
        }
    }
}
