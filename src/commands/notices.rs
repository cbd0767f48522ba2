//! Prints what the running node reports.

use std::sync::Arc;

use crate::commands::printer::Printer;
use openlora_chain::{balance::in_units, transaction::TxEvent};
use openlora_release::deploy::FUNDS;
use openlora_runtime::notice::{NoticeListener, RuntimeNotice};

/// A listener that prints.
pub fn listener(printer: &Printer) -> NoticeListener {
    let printer = printer.clone();
    Arc::new(move |notice| print_notice(&printer, notice))
}

fn print_notice(printer: &Printer, notice: RuntimeNotice<'_>) {
    match notice {
        RuntimeNotice::Transaction(event) => print_event(printer, event),
        RuntimeNotice::Funded { account } => printer.note(format!(
            "{account} had nothing on the development chain and got {} ETH",
            in_units(FUNDS, 18)
        )),
        RuntimeNotice::ChainRestarted { network } => printer.warn(format!(
            "`{network}` began anew: what the journal says of the chain before is kept and counts \
             no more"
        )),
        RuntimeNotice::StaticShares { reason } => {
            printer.warn(format!("calls have the static shares: {reason}"));
        }
        RuntimeNotice::NotAnnounced { url, reason, again } => {
            let then = again.map_or_else(String::new, |pause| {
                format!("; tried again in {} s", pause.as_secs())
            });
            printer.warn(format!(
                "buyers cannot look this server up: {url} is not on the chain: {reason}{then}"
            ));
        }
    }
}

/// Prints the progress of a transaction.
pub fn print_event(printer: &Printer, news: TxEvent) {
    match news {
        TxEvent::Sent { tx, deed } => printer.note(format!("{deed}: sent as {tx}")),
        TxEvent::Replaced { tx, deed, max_fee } => printer.note(format!(
            "{deed}: not mined yet, sent again as {tx} with up to {} gwei",
            in_units(openlora_chain::balance::amount(max_fee), 9)
        )),
        TxEvent::AtCap { tx, deed } => printer.note(format!(
            "{deed}: {tx} is not mined yet and offers all that is allowed"
        )),
        TxEvent::Resumed { tx, deed } => printer.note(format!(
            "{deed}: {tx} of an earlier run is not mined yet, sent again"
        )),
    }
}
