//! The accessible dashboard: one appended line per record, without movement or redrawing. A line of
//! sums follows whenever money has moved on a chain, and once a minute.

use super::{
    figures,
    filter::kind_name,
    model::{DashModel, SumRange},
    text,
    theme::standing_words,
};
use openlora_core::{Amount, in_units};
use openlora_ledger::{
    event::{Event, EventRecord},
    state::board::{BoardCall, MICRO},
};

/// The line for a record, after it was folded; none for records that are of little interest by
/// themselves.
pub fn line(model: &DashModel, record: &EventRecord) -> Option<String> {
    let money = model.chosen_money();
    let (symbol, decimals) = money.map_or(("", 0), |it| (it.symbol.as_str(), it.decimals));
    let amount = |it: Amount| format!("{} {symbol}", in_units(it.0, decimals));
    let said = match &record.event {
        Event::ServerStarted { version, .. } => format!("server {version} started"),
        Event::ServerStopped { .. } => "server stopped".to_owned(),
        Event::AdapterLoaded { name, .. } => format!("adapter {name} loaded"),
        Event::AdapterUnloaded { name, .. } => format!("adapter {name} unloaded"),
        Event::CallMetered { request_id, .. } => {
            let call = model.board.calls.get(request_id)?;
            let paid = call.charge.as_ref().map_or(String::new(), |charge| {
                format!(", {} from {}", amount(charge.amount), charge.payer)
            });
            let (_, standing) = standing_words(model.board.payment_standing(call).0);
            format!(
                "call {} {} {} {} ms{paid}, {standing}",
                call.adapter,
                kind_name(call.kind),
                work(call),
                call.milliseconds
            )
        }
        Event::Attributed(it) => {
            let whole: Amount = it.amounts.iter().flatten().map(|part| part.micro).sum();
            let parts = it.amounts.iter().flatten().map(|part| {
                let ppm = figures::ppm(part.micro.0, whole.0);
                format!("{} {}", part.recipient, figures::percent(ppm))
            });
            let parts = parts.collect::<Vec<_>>().join(", ");
            format!(
                "call {} is attributed: {parts}",
                text::short_id(&it.request_id)
            )
        }
        Event::Claimed(it) => {
            let claimed: Amount = it.rows.iter().map(|row| row.amount).sum();
            format!("claimed {} in {}", amount(claimed), it.tx)
        }
        Event::ClaimsDeferred(it) => {
            let sum: Amount = it.channels.iter().map(|channel| channel.amount).sum();
            format!(
                "{} in {} channels is not worth the gas of a claim yet",
                amount(sum),
                it.channels.len()
            )
        }
        Event::Settled(it) => format!("settled {} in {}", amount(it.amount), it.tx),
        Event::Released(it) => format!("paid out {} to {} in {}", amount(it.amount), it.to, it.tx),
        Event::RefundCharged(it) => format!("charged {} for a refund", amount(it.amount)),
        Event::GasLow { chain_id, .. } => format!(
            "ALARM: too little is left for gas on chain {chain_id}: deposits, refunds and \
             transfers are not sent"
        ),
        Event::GasBudgetSpent { chain_id, .. } => format!(
            "ALARM: the day's gas budget is spent on chain {chain_id}: deposits, refunds \
             and transfers are not sent until tomorrow (UTC)"
        ),
        Event::Refunded(it) => format!("refunded {} in {}", amount(it.amount), it.tx),
        Event::Anchored(it) => {
            format!(
                "anchored {} calls, as the server states, in {}",
                it.count, it.tx
            )
        }
        Event::ContributionClaimed(it) => {
            format!("paid contributor {} {}", it.contributor, amount(it.amount))
        }
        _ => return None,
    };
    Some(format!(
        "{} {}",
        figures::clock(record.time_ms),
        text::clean(&said)
    ))
}

/// Whether the sums should be printed again after a record.
pub fn moves_money(record: &EventRecord) -> bool {
    matches!(
        record.event,
        Event::Settled(_) | Event::Released(_) | Event::Refunded(_) | Event::ContributionClaimed(_)
    )
}

/// The headline as text, for every range.
pub fn summary(model: &DashModel) -> String {
    let heading = &model.shown.heading;
    let ranges = heading.ranges.iter().map(|(name, gross, net)| match net {
        Some(net) => format!("{name} {gross} gross, {net} net"),
        None => format!("{name} {gross}"),
    });
    let ranges = ranges.collect::<Vec<_>>().join("; ");
    let rare = heading.rare.iter();
    let rare: String = rare.map(|(name, sum)| format!(", {name} {sum}")).collect();
    let said = format!(
        "{} {}: earned {ranges} {}; pending {}, withdrawable {}{rare}; {} calls, {} failed {}",
        figures::clock(model.now_ms),
        heading.link.1,
        heading.symbol,
        heading.pending,
        heading.withdrawable,
        heading.calls,
        heading.errors,
        SumRange::name(model.range),
    );
    text::clean(&said).into_owned()
}

/// Sums of a group as lines.
pub fn sums(model: &DashModel) -> Vec<String> {
    let Some(money) = model.chosen_money() else {
        return Vec::new();
    };
    let rows = super::refresh::sorted_sums(model, money);
    let line = |row: &super::sums::SumRow| {
        let amount = in_units(
            row.micro,
            money.decimals.saturating_add(MICRO.ilog10() as u8),
        );
        let said = format!(
            "{} {amount} {}, {} calls",
            row.label(&rows),
            money.symbol,
            row.calls
        );
        text::clean(&said).into_owned()
    };
    rows.iter().map(line).collect()
}

fn work(call: &BoardCall) -> String {
    match call.made {
        Some(made) => format!(
            "{} {} evaluations",
            figures::counted(made.pictures, "picture"),
            made.evaluations
        ),
        None => format!(
            "{}+{} tokens",
            call.usage.prompt_tokens, call.usage.completion_tokens
        ),
    }
}
