//! `channel`: opens, tops up, refunds and withdraws payment channels.

mod refund;
mod withdraw;

use serde::Serialize;

use super::{
    CommandContext, ask,
    call::{
        client::{CallReply, ServerClient},
        limits::{CallLimits, DepositTarget, LimitFlags},
    },
    money, network,
    payer::{self, PayerRequest},
    receipts,
};
use openlora_chain::{network::PaymentToken, provider::Chain};
use openlora_core::{
    Amount,
    error::{ExitClass, ExitStatus, Failure},
    in_units,
};
use openlora_ledger::PaymentScheme;
use openlora_payments::{
    payer::{
        DisputedCharge, LeasedChannel, Payer, PayerChannel, PayerChannelState, PayerError,
        PayerStore, PaymentOffer, SchemeChoice, SellerRoute, TokenAmount, chain, choose,
    },
    x402::wire::PaymentRequired,
};
pub use refund::{RefundReport, refund};
pub use withdraw::{ChannelWithdrawal, withdraw};

/// Validity of a deposit authorization that is sent immediately, in seconds.
const GOOD_FOR: u64 = 600;
/// The route on which servers sell calls.
const ROUTE: &str = "/v1/chat/completions";

/// A channel, and its payer.
#[derive(Clone, Debug, Default)]
pub struct ChannelRequest {
    /// A channel id or its prefix; defaults to the only open channel.
    pub channel: Option<String>,
    pub payer: PayerRequest,
}

/// What to open.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    pub url: String,
    pub adapter: Option<String>,
    /// In token units, as typed.
    pub amount: String,
    pub payer: PayerRequest,
}

/// A channel as every subcommand prints it; sums in base units.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ChannelReport {
    pub channel: String,
    pub chain_id: u64,
    pub state: PayerChannelState,
    pub server: String,
    pub adapter: String,
    pub payer: String,
    pub receiver: String,
    /// ERC-20 contract of the token.
    pub token: String,
    /// The channel's balance in the escrow, including claimed parts.
    pub balance: Amount,
    /// Charged for calls.
    pub charged: Amount,
    /// The part of the charges that was claimed on the chain.
    pub claimed: Amount,
    /// Not charged yet.
    pub left: Amount,
    /// Whether the sums were just read from the chain.
    pub fresh: bool,
    /// Calls whose charge the server stated otherwise than our signatures allow.
    pub disputed: Vec<DisputedCall>,
}

/// A call with a disputed charge.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct DisputedCall {
    /// The request id.
    pub id: String,
    pub stated: DisputedCharge,
}

impl ChannelReport {
    fn read(store: &PayerStore, channel: &PayerChannel, fresh: bool) -> Result<Self, Failure> {
        let records = store.payment_records_of(channel)?.into_iter();
        let disputed = records.filter_map(|record| {
            let stated = record.disputed?;
            let id = record.request_id;
            Some(DisputedCall { id, stated })
        });
        Ok(Self {
            disputed: disputed.collect(),
            channel: channel.id.to_string(),
            chain_id: channel.chain_id,
            state: channel.state,
            server: channel.seller.server.clone(),
            adapter: channel.seller.adapter.clone(),
            payer: channel.config.payer.to_string(),
            receiver: channel.config.receiver.to_string(),
            token: channel.config.token.to_string(),
            balance: channel.balance,
            charged: channel.charged,
            claimed: channel.claimed,
            left: channel.left(),
            fresh,
        })
    }
}

/// Lists every channel; those of the chosen network with their on-chain state.
pub async fn list(context: &CommandContext) -> Result<ExitStatus, Failure> {
    let store = PayerStore::open(&context.dirs.data)?;
    if in_use(&store)?.is_empty() {
        return Ok(none(context));
    }
    let network = network::reached(context).await?;
    let chain = Chain::connect(&network).await?;
    let token = money::token(&network)?;
    store.identify(&chain).await?;
    let channels = in_use(&store)?;
    if channels.is_empty() {
        return Ok(none(context));
    }
    let printer = &context.printer;
    let mut all = Vec::with_capacity(channels.len());
    for mut channel in channels {
        let fresh = channel.chain_id == network.chain_id;
        if fresh {
            reconcile(&store, &chain, &mut channel).await?;
        }
        all.push(ChannelReport::read(&store, &channel, fresh)?);
    }
    if printer.is_json() {
        printer.json(&all);
        return Ok(ExitStatus::Success);
    }
    for channel in &all {
        printer.line(line(channel, token));
        for call in &channel.disputed {
            let money = |sum: Amount| network.token_amount(&channel.token, sum);
            let stated = receipts::disputed_charge(&call.stated, money);
            printer.line(format!("    disputed in {}: {stated}", call.id));
        }
    }
    let limit = money::amount(&context.settings.call.max_locked, token)?;
    let locked = store.locked(network.chain_id, token.address)?;
    printer.note(format!(
        "{} are in channels, of the {} that `call.max_locked` allows",
        TokenAmount::from_base_units(locked, token),
        TokenAmount::from_base_units(limit, token)
    ));
    Ok(ExitStatus::Success)
}

/// Every channel except those of chains that were reset.
fn in_use(store: &PayerStore) -> Result<Vec<PayerChannel>, Failure> {
    let mut all = store.channels()?;
    all.retain(|channel| channel.state != PayerChannelState::Ended);
    Ok(all)
}

fn none(context: &CommandContext) -> ExitStatus {
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&Vec::<ChannelReport>::new());
    }
    printer.hint("a call that is paid opens one: openlora call \"hello\" --url URL");
    ExitStatus::Success
}

/// A channel that another process uses is only read; that process stores its state.
async fn reconcile(
    store: &PayerStore,
    chain: &Chain,
    channel: &mut PayerChannel,
) -> Result<(), Failure> {
    match store.lease(channel.chain_id, channel.id) {
        Ok(mut leased) => {
            store.observe(chain, &mut leased.channel).await?;
            *channel = leased.channel;
        }
        Err(PayerError::Busy { .. }) => {
            let held = chain::channel_balance(chain, channel.id).await?;
            channel.balance = held.balance;
            channel.claimed = held.claimed;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn line(channel: &ChannelReport, token: &PaymentToken) -> String {
    let ours = channel.token == token.address.to_string();
    let units = |sum: Amount| match ours {
        true => in_units(sum.0, token.decimals),
        false => sum.to_string(),
    };
    let symbol = match ours {
        true => token.symbol.clone(),
        false => format!("base units of {}", channel.token),
    };
    format!(
        "{}  {:<11} {} of {} {symbol} left, {} charged, {} claimed  {} at {}",
        &channel.channel[..10],
        channel.state.name(),
        units(channel.left),
        units(channel.balance),
        units(channel.charged),
        units(channel.claimed),
        channel.adapter,
        channel.server
    )
}

/// Opens a channel with the payer's own deposit transaction, without a call.
pub async fn open(context: &CommandContext, request: &OpenRequest) -> Result<ExitStatus, Failure> {
    let client = ServerClient::new(context, Some(&request.url))?;
    let seller = SellerRoute {
        server: client.place(),
        adapter: request.adapter.clone().unwrap_or_default(),
        route: client.url(ROUTE),
    };
    let (payer, _, offer) = terms(context, &client, &seller, &request.payer).await?;
    let amount = money::flag("--amount", &request.amount, &payer.token)?;
    check(&payer, &offer, amount)?;
    print_target(
        context,
        &payer,
        &request.amount,
        amount,
        DepositTarget::from_offer(&offer),
    )?;
    let network = &payer.chain.network;
    let wanted = offer.channel_requirements(network.chain_id, payer.account.address(), &seller);
    let deed = format!(
        "putting {} into a channel for {} on `{}`",
        payer.money(amount),
        offer.terms.pay_to,
        network.name
    );
    confirm(context, &payer, &deed)?;
    fund(context, &payer, amount).await?;
    let leased = payer.store.lease_new(&wanted)?;
    deposit(context, &payer, leased, amount).await
}

/// Deposits more into a channel.
pub async fn topup(
    context: &CommandContext,
    request: &ChannelRequest,
    text: &str,
) -> Result<ExitStatus, Failure> {
    let payer = payer::open(context, &request.payer).await?;
    let amount = money::flag("--amount", text, &payer.token)?;
    let mut leased = chosen(
        &payer,
        request.channel.as_deref(),
        &[PayerChannelState::Open],
    )?;
    payer.observe(&mut leased.channel).await?;
    let channel = &leased.channel;
    let to = DepositTarget {
        server: &channel.seller.server,
        receiver: channel.config.receiver,
        delay: channel.config.withdraw_delay,
    };
    print_target(context, &payer, text, amount, to)?;
    let deed = format!(
        "putting {} into channel {} on `{}`",
        payer.money(amount),
        leased.channel.id,
        payer.chain.network.name
    );
    confirm(context, &payer, &deed)?;
    fund(context, &payer, amount).await?;
    deposit(context, &payer, leased, amount).await
}

/// The seller of the chosen channel, before any account is unlocked.
fn seller(context: &CommandContext, request: &ChannelRequest) -> Result<SellerRoute, Failure> {
    let store = PayerStore::open(&context.dirs.data)?;
    if let Some(text) = &request.channel {
        return Ok(store.channel_named(text)?.seller);
    }
    let (here, owner) = (
        network::chosen(context)?.chain_id,
        payer::owner(context, &request.payer)?,
    );
    let mut open = store.channels()?;
    let usable = |it: &PayerChannel| {
        matches!(
            it.state,
            PayerChannelState::Open | PayerChannelState::Refunding
        )
    };
    let own = |it: &PayerChannel| {
        it.chain_id == here && owner.is_none_or(|owner| it.config.payer == owner)
    };
    open.retain(|it| usable(it) && own(it));
    match open.as_slice() {
        [only] => Ok(only.seller.clone()),
        [] => Err(PayerError::NoChannel {
            wanted: "that is open".to_owned(),
            known: Vec::new(),
        }
        .into()),
        several => Err(ambiguous(several)),
    }
}

/// A server's payment terms, and its channel offer.
async fn terms(
    context: &CommandContext,
    client: &ServerClient,
    seller: &SellerRoute,
    request: &PayerRequest,
) -> Result<(Payer, PaymentRequired, PaymentOffer), Failure> {
    let required = match client.probe(&probe(seller), None).await? {
        CallReply::Unpaid(terms) => read(client, &terms)?,
        CallReply::Later(_, failure) => return Err(failure),
        CallReply::Answer(_) => {
            let message = format!("{} asks for no payment", client.place());
            return Err(Failure::new(ExitClass::Usage, message));
        }
    };
    let payer = payer::open(context, request).await?;
    let (network, token) = (&payer.chain.network, &payer.token);
    let wish = SchemeChoice::Only(PaymentScheme::BatchSettlement);
    let offer = choose(&required, &client.place(), network, token, wish)?;
    Ok((payer, required, offer))
}

fn read(client: &ServerClient, terms: &str) -> Result<PaymentRequired, Failure> {
    let read = PaymentRequired::decode(terms);
    Ok(read.map_err(|problem| PayerError::Wire {
        server: client.place(),
        problem,
    })?)
}

/// The seller's route, with the adapter in the query if there is one.
fn probe(seller: &SellerRoute) -> String {
    match reqwest::Url::parse(&seller.route) {
        Ok(mut url) if !seller.adapter.is_empty() => {
            url.query_pairs_mut().append_pair("model", &seller.adapter);
            url.into()
        }
        _ => seller.route.clone(),
    }
}

fn check(payer: &Payer, offer: &PaymentOffer, amount: Amount) -> Result<(), Failure> {
    let least = offer.terms.extra.min_deposit.unwrap_or_default();
    if amount >= least && !amount.is_zero() {
        return Ok(());
    }
    let message = format!(
        "--amount is {}, and {} takes no deposit below {}",
        payer.money(amount),
        offer.server,
        payer.money(least.max(Amount(1)))
    );
    Err(Failure::new(ExitClass::Usage, message))
}

/// Shows the receiver of a deposit and the withdrawal delay. The user typed the amount, so it needs
/// no confirmation.
fn print_target(
    context: &CommandContext,
    payer: &Payer,
    text: &str,
    amount: Amount,
    to: DepositTarget<'_>,
) -> Result<(), Failure> {
    payer.check_locked(amount)?;
    let flags = LimitFlags {
        price: None,
        deposit: Some(text),
    };
    let limits = CallLimits::resolve(context, payer, flags)?;
    limits.allow_deposit(amount, Amount::ZERO, to)
}

/// Transfers on public chains need a confirmation.
fn confirm(context: &CommandContext, payer: &Payer, deed: &str) -> Result<(), Failure> {
    match payer.chain.network.is_local() {
        true => Ok(()),
        false => ask::confirm(context, deed, "yes"),
    }
}

async fn fund(context: &CommandContext, payer: &Payer, amount: Amount) -> Result<(), Failure> {
    let held = payer.funds().await?;
    match (held < amount, payer.chain.network.is_local()) {
        (false, _) => Ok(()),
        (true, true) => {
            payer::PayerTxContext::new(context, payer)?
                .mint(amount)
                .await
        }
        (true, false) => Err(payer.insufficient_balance(held, amount).into()),
    }
}

/// Signs a deposit, records it, and sends it.
async fn deposit(
    context: &CommandContext,
    payer: &Payer,
    mut leased: LeasedChannel,
    amount: Amount,
) -> Result<ExitStatus, Failure> {
    let tx_context = payer::PayerTxContext::new(context, payer)?;
    let turn = tx_context.turn().await?;
    let channel = &mut leased.channel;
    let until = payer.chain_now() + GOOD_FOR;
    let pending = payer.authorize_deposit(channel, amount, until)?;
    let call = chain::deposit(channel, &pending);
    channel.pending = Some(pending);
    payer.store.record_deposit(channel, payer.day())?;
    let deed = format!("depositing {}", payer.money(amount));
    tx_context.send(&turn, call, &deed).await?;
    payer.observe(channel).await?;
    report(context, payer, channel)
}

fn report(
    context: &CommandContext,
    payer: &Payer,
    channel: &PayerChannel,
) -> Result<ExitStatus, Failure> {
    let shown = ChannelReport::read(&payer.store, channel, true)?;
    match context.printer.is_json() {
        true => context.printer.json(&shown),
        false => context.printer.line(line(&shown, &payer.token)),
    }
    Ok(ExitStatus::Success)
}

/// The named channel, or the only one in one of the given states.
fn chosen(
    payer: &Payer,
    named: Option<&str>,
    states: &[PayerChannelState],
) -> Result<LeasedChannel, Failure> {
    let channel = match named {
        Some(text) => payer.store.channel_named(text)?,
        None => only(payer, states)?,
    };
    if channel.chain_id != payer.chain.network.chain_id {
        let message = format!(
            "channel {} is on chain {}, and the network `{}` is chain {}",
            channel.id, channel.chain_id, payer.chain.network.name, payer.chain.network.chain_id
        );
        return Err(
            Failure::new(ExitClass::Usage, message).with_hint("choose its network with --network")
        );
    }
    if channel.config.payer != payer.account.address() {
        let message = format!(
            "channel {} belongs to {}, and {} is chosen to pay",
            channel.id,
            channel.config.payer,
            payer.account.address()
        );
        return Err(
            Failure::new(ExitClass::Wallet, message).with_hint("name its account with --from")
        );
    }
    let leased = payer.store.lease(channel.chain_id, channel.id)?;
    let state = leased.channel.state;
    if states.contains(&state) {
        return Ok(leased);
    }
    let message = format!("channel {} is {}", channel.id, state.name());
    Err(Failure::new(ExitClass::Usage, message))
}

fn only(payer: &Payer, states: &[PayerChannelState]) -> Result<PayerChannel, Failure> {
    let (here, owner) = (payer.chain.network.chain_id, payer.account.address());
    let mut all = payer.store.channels()?;
    all.retain(|it| it.chain_id == here && it.config.payer == owner && states.contains(&it.state));
    match all.len() {
        1 => Ok(all.remove(0)),
        0 => Err(PayerError::NoChannel {
            wanted: format!("of {owner} that is {}", states[0].name()),
            known: Vec::new(),
        }
        .into()),
        _ => Err(ambiguous(&all)),
    }
}

fn ambiguous(all: &[PayerChannel]) -> Failure {
    let known: Vec<String> = all.iter().map(|it| it.id.to_string()).collect();
    let message = format!("there are {} channels", all.len());
    Failure::new(ExitClass::Usage, message).with_hint(format!("name one of {}", known.join(", ")))
}
