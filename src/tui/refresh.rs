//! Computes the displayed values from the board, once per frame; views only draw them.
//!
//! ```text
//! board ── range, window, group, filter, sort, selection ──▶ DashView ──▶ views
//! ```

mod charts;
mod heading;
mod lists;

pub(super) use lists::{filtered_calls, ids, sorted_sums};

use super::{
    detail,
    layout::Pane,
    model::DashModel,
    money::{self, TokenMoney},
    shown::DashView,
};
use openlora_core::{Amount, in_units};

impl DashModel {
    /// Recomputes all displayed values.
    pub fn refresh(&mut self) {
        let mut moneys = money::token_moneys(&self.shown_board().earnings, &self.options.tokens);
        if moneys.is_empty() {
            moneys.push(self.money_to_come());
        }
        self.money = self.money.min(moneys.len() - 1);
        self.flow.advance(self.now_ms);
        let money = &moneys[self.money];
        let layout = self.layout();
        let charts = charts::charts(self, money, &layout);
        let heading = heading::heading(self, money);
        let (calls, select_call) = lists::calls(self, money, layout.rows(Pane::Calls));
        let rows = layout.rows(Pane::Attribution);
        let (attribution, select_attribution) = lists::attribution(self, money, rows);
        // The last line of the sums pane is their total.
        let rows = layout.rows(Pane::Sums).saturating_sub(1);
        let (sums, total, select_sum) = lists::sums(self, money, rows);
        let lanes = charts::lanes(self, money);
        let missed = self.board.metered - self.shown_board().metered;
        *self.selection_mut(Pane::Calls) = select_call;
        *self.selection_mut(Pane::Attribution) = select_attribution;
        *self.selection_mut(Pane::Sums) = select_sum;
        self.shown = DashView {
            heading,
            charts,
            calls,
            attribution,
            sums,
            total,
            lanes,
            missed,
            moneys,
        };
        self.detail = detail::lines(self);
    }

    /// The token to display before anything is earned.
    fn money_to_come(&self) -> TokenMoney {
        let token = self.options.tokens.iter().find_map(|it| {
            let (_, symbol, decimals) = it.token.as_ref()?;
            Some((symbol.clone(), *decimals, it.coin))
        });
        let (symbol, decimals, coin) = token.unwrap_or_default();
        TokenMoney {
            symbol,
            decimals,
            coin,
            receivers: Vec::new(),
        }
    }

    /// The token that all figures refer to.
    pub fn chosen_money(&self) -> Option<&TokenMoney> {
        self.shown.moneys.get(self.money)
    }

    /// Millionths of base units in the chosen units; parts of a base unit are shown as decimals.
    pub fn micro_shown(&self, micro: u128, decimals: u8) -> String {
        match self.units {
            money::AmountUnits::Base => in_units(micro, 6),
            money::AmountUnits::Token => in_units(micro, decimals.saturating_add(6)),
        }
    }

    pub fn amount_shown(&self, amount: Amount, decimals: u8) -> String {
        money::format_amount(amount, decimals, self.units)
    }
}
