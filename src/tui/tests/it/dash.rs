//! The dashboard: its fold, its state machine, its screens, and the real thing on a terminal.

mod adapters;
mod board;
mod cells;
mod charts;
mod creators;
mod filter;
mod header;
mod keys;
mod screens;

use openlora_core::Address;
use openlora_ledger::{event::EventRecord, state::board::Board};
use openlora_tui::{
    key::KeyPress,
    model::{ChartWindow, DashModel, DashOptions, FeedLink},
    money::ChainToken,
    theme::{ColourDepth, Theme},
    update::{DashMessage, update},
};

use crate::scenarios::{TOKEN, folder};

pub fn scenario(name: &str) -> Vec<EventRecord> {
    let text = std::fs::read_to_string(folder().join(format!("{name}.jsonl"))).unwrap();
    let each = text.lines().map(|line| serde_json::from_str(line).unwrap());
    each.collect()
}

pub fn token() -> ChainToken {
    let address: Address = TOKEN.parse().unwrap();
    ChainToken {
        chain_id: 31_337,
        network: "local".to_owned(),
        token: Some((address, "dUSD".to_owned(), 6)),
        coin: None,
    }
}

pub fn options(theme: Theme) -> DashOptions {
    DashOptions {
        tokens: vec![token()],
        depth: ColourDepth::True,
        theme,
        animation: true,
        mouse: true,
        watermark: None,
        window: ChartWindow::Hour,
    }
}

/// A model that was shown every record of a scenario and stands at its end.
pub fn model(name: &str, size: (u16, u16), theme: Theme) -> DashModel {
    shown(scenario(name), size, theme)
}

/// The same with any records.
pub fn shown(records: Vec<EventRecord>, size: (u16, u16), theme: Theme) -> DashModel {
    let now_ms = records.last().unwrap().time_ms;
    let mut model = DashModel::new(options(theme), size, now_ms);
    update(&mut model, DashMessage::Link(FeedLink::Ended));
    update(&mut model, DashMessage::Records(records));
    // Payments that are on their way have arrived.
    model.flow.clear();
    update(&mut model, DashMessage::Frame(now_ms));
    model
}

pub fn fold(records: &[EventRecord]) -> Board {
    let mut board = Board::default();
    for record in records {
        let _ = board.apply(record);
    }
    board
}

/// Presses keys and draws.
pub fn press(model: &mut DashModel, keys: &[KeyPress]) {
    for key in keys {
        update(model, DashMessage::Key(*key));
        let now_ms = model.now_ms;
        update(model, DashMessage::Frame(now_ms));
    }
}
