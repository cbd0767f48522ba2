//! `--json`: the figures of the screen once, as integers.

use schemars::JsonSchema;
use serde::Serialize;

use super::{DashRequest, RecordSource, tokens};
use crate::commands::{CommandContext, named_paths};
use openlora_core::{
    Address, Amount,
    error::{ExitClass, Failure},
};
use openlora_ledger::{event::EventRecord, state::board::Board};
use openlora_runtime::{board::opened, followers::recording};
use openlora_tui::{
    model::SumRange,
    money::{TokenMoney, token_moneys},
    sums::{self, SumGroup},
};

/// What `dash --json` prints. Amounts are in base units; `micro` is in millionths of them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DashReport {
    /// The last folded record.
    pub sequence: u64,
    pub calls: u64,
    pub tokens: Vec<TokenFigures>,
}

/// Figures of one token.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenFigures {
    pub symbol: String,
    pub decimals: u8,
    pub today: DashHeadline,
    pub seven_days: DashHeadline,
    pub thirty_days: DashHeadline,
    pub all: DashHeadline,
    /// Rows over all time; those of each list sum to the headline.
    pub by_adapter: Vec<RowFigures>,
    pub by_payer: Vec<RowFigures>,
    pub by_contributor: Vec<RowFigures>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct DashHeadline {
    pub charged: Amount,
    /// Refund fees, in addition to the charges of calls.
    pub refund_fees: Amount,
    pub settled: Amount,
    pub released: Amount,
    pub gas_wei: Amount,
    /// Charged, including refund fees, minus gas; null without `pricing.coin`.
    pub net: Option<String>,
    pub pending: Amount,
    /// Charged, but withdrawn or refunded before it was claimed; over all time.
    pub uncollectable: Amount,
    /// Charged, not worth the gas of its claim, and withdrawn by payers.
    pub written_off: Amount,
    /// The pending part that is not worth the gas of its claim yet; over all time.
    pub deferred: Amount,
    pub withdrawable: Amount,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct RowFigures {
    pub key: String,
    #[schemars(with = "Option<String>")]
    pub address: Option<Address>,
    pub calls: u64,
    pub micro: Amount,
}

pub(super) fn print(context: &CommandContext, request: &DashRequest) -> Result<(), Failure> {
    let board = match &request.origin {
        RecordSource::Home => opened(&context.dirs.journal())?,
        RecordSource::Replay(path, _) => {
            let path = named_paths::file(context, path, "a recording")?;
            folded(recording::read(&named_paths::shown(
                &context.settings,
                &path,
            ))?)
        }
        RecordSource::Demo => folded(recording::demo()?),
        RecordSource::Attach(_) => {
            let message = "--json reads what is on this machine, and a server's events never end";
            return Err(Failure::new(ExitClass::Usage, message)
                .with_hint("leave --attach out, or read the stream itself: curl -N URL/events"));
        }
    };
    let now_ms = match &request.origin {
        RecordSource::Home => super::now_ms(),
        _ => board.time_ms,
    };
    let moneys = token_moneys(&board.earnings, &tokens(context)?);
    context.printer.json(&DashReport {
        sequence: board.sequence,
        calls: board.metered,
        tokens: moneys
            .iter()
            .map(|it| figures(&board, it, now_ms))
            .collect(),
    });
    Ok(())
}

fn folded(records: Vec<EventRecord>) -> Board {
    let mut board = Board::default();
    for record in records {
        // Reading the records has checked that there are no gaps.
        let _ = board.apply(&record);
    }
    board
}

fn figures(board: &Board, money: &TokenMoney, now_ms: u64) -> TokenFigures {
    let headline = |range: SumRange| {
        let days = range.days(now_ms);
        let period = board.earnings.period(&money.receivers, days, money.coin);
        DashHeadline {
            charged: period.sums.charged,
            refund_fees: period.sums.refund_fees,
            settled: period.sums.settled,
            released: period.sums.released,
            gas_wei: period.gas_wei,
            net: period.net.map(|it| it.to_string()),
            pending: period.sums.pending(),
            uncollectable: period.sums.uncollectable,
            written_off: period.sums.written_off,
            deferred: period.sums.deferred,
            withdrawable: period.sums.withdrawable(),
        }
    };
    let rows = |group| {
        let rows = sums::rows(board, money, SumRange::All.days(now_ms), group);
        let row = |it: sums::SumRow| RowFigures {
            key: it.name,
            address: it.address,
            calls: it.calls,
            micro: Amount(it.micro),
        };
        rows.into_iter().map(row).collect()
    };
    TokenFigures {
        symbol: money.symbol.clone(),
        decimals: money.decimals,
        today: headline(SumRange::Today),
        seven_days: headline(SumRange::SevenDays),
        thirty_days: headline(SumRange::ThirtyDays),
        all: headline(SumRange::All),
        by_adapter: rows(SumGroup::Adapter),
        by_payer: rows(SumGroup::Payer),
        by_contributor: rows(SumGroup::Contributor),
    }
}
