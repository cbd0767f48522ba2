//! The charts: every column shows what it covers, at every width; a training run is drawn while it
//! lasts.

use openlora_tui::{
    layout::Pane,
    model::{ChartWindow, DashModel},
    shown::BarSeries,
    theme::Theme,
    training::TrainingProgress,
    update::{DashMessage, update},
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    model,
    screens::{drawn, text},
};

const WIDTHS: [u16; 9] = [60, 80, 100, 119, 120, 121, 124, 160, 200];

fn shown(width: u16, window: ChartWindow) -> DashModel {
    let mut model = model("busy", (width, 40), Theme::Dark);
    model.focus = Pane::Inflow;
    model.window = window;
    model.refresh();
    model
}

/// The area of a chart within its pane.
fn chart(model: &DashModel, pane: Pane) -> Rect {
    let area = model.layout().place(pane).unwrap();
    Rect::new(area.x + 2, area.y + 2, area.width - 4, area.height - 4)
}

fn inked(buffer: &Buffer, area: Rect) -> Vec<bool> {
    let column = |x| (area.y..area.bottom()).any(|y| "▁▂▃▄▅▆▇█".contains(buffer[(x, y)].symbol()));
    (area.x..area.right()).map(column).collect()
}

/// How many separate groups of columns hold ink, given one group per bar that has a value.
fn positive(series: &BarSeries) -> usize {
    series.values.iter().filter(|value| **value > 0).count()
}

#[test]
fn no_bar_is_dropped_at_any_width() {
    use ChartWindow::{Day, Hour, Minute, Month};
    for width in WIDTHS {
        for window in [Minute, Hour, Day, Month] {
            let model = shown(width, window);
            let charts = &model.shown.charts;
            let area = chart(&model, Pane::Inflow);
            let bars = charts.money.values.len();
            assert!(
                bars <= usize::from(area.width),
                "{bars} bars at {width}, {}",
                charts.window
            );
            let columns = inked(&drawn(&model), area);
            let inked = columns.iter().filter(|it| **it).count();
            assert!(
                inked >= positive(&charts.money),
                "{inked} of {} bars at {width}, {}",
                positive(&charts.money),
                charts.window
            );
        }
    }
}

/// The newest bar is the current minute's; it is at the right end of the chart.
#[test]
fn the_current_minute_is_drawn_at_every_width() {
    for width in WIDTHS {
        let model = shown(width, ChartWindow::Hour);
        assert!(model.shown.charts.money.values.last().unwrap() > &0);
        let columns = inked(&drawn(&model), chart(&model, Pane::Inflow));
        assert_eq!(columns.last(), Some(&true), "at {width} columns");
    }
}

#[test]
fn a_column_shows_the_sum_of_what_it_covers() {
    let wide = shown(200, ChartWindow::Hour);
    let narrow = shown(120, ChartWindow::Hour);
    assert_eq!(wide.shown.charts.step, "1 min");
    assert_eq!(narrow.shown.charts.step, "2 min");
    let minutes = &wide.board.pace.minutes;
    let last = narrow.now_ms / 120_000;
    let calls = |pair: u64| -> u128 {
        let slots = minutes.since(pair * 2);
        let covered = slots.filter(|slot| slot.index / 2 == pair);
        covered.map(|slot| u128::from(slot.calls)).sum()
    };
    let wanted: Vec<u128> = (last - 29..=last).map(calls).collect();
    assert_eq!(narrow.shown.charts.calls.values, wanted);
    assert!(wanted.iter().sum::<u128>() > 0);
}

#[test]
fn a_training_run_is_drawn_while_it_lasts() {
    let progress = TrainingProgress {
        steps: 400,
        micro_losses: (0..100).map(|step| 4_000_000 - step * 20_000).collect(),
        tokens_per_second: 1_520,
        elapsed_ms: 10_000,
    };
    for size in [(80, 24), (120, 30), (200, 60)] {
        let mut model = model("free", size, Theme::Dark);
        update(&mut model, DashMessage::Training(Some(progress.clone())));
        let screen = text(&drawn(&model));
        assert!(screen.contains("─ Training ─"), "{screen}");
        assert!(
            screen.contains("step 100/400  loss 2.02  1520 tokens/s"),
            "{screen}"
        );
        assert!(screen.contains("30s left"), "{screen}");
        let mut over = progress.clone();
        over.micro_losses.resize(400, 2_000_000);
        update(&mut model, DashMessage::Training(Some(over)));
        let screen = text(&drawn(&model));
        assert!(screen.contains(" evaluating and indexing ─"), "{screen}");
        update(
            &mut model,
            DashMessage::Training(Some(TrainingProgress::default())),
        );
        let screen = text(&drawn(&model));
        assert!(
            screen.contains("│ loading the base and the data"),
            "{screen}"
        );
        update(&mut model, DashMessage::Training(None));
        assert!(!text(&drawn(&model)).contains("Training"));
    }
    let halves: Vec<u128> = progress.loss_bars(8);
    assert_eq!(halves[..2], [3_510_000, 2_510_000]);
    assert_eq!(halves[2..], [0; 6]);
}
