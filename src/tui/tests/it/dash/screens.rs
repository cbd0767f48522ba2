//! Every pane at three sizes in four themes, as text with a digest of the styles of each theme.
//! `REGENERATE=1 scripts/test dash` writes them again.

use openlora_ledger::event::EventRecord;
use openlora_tui::{
    key::KeyPress,
    layout::{PANES, Pane},
    model::{DashModel, FeedLink},
    theme::{THEMES, Theme},
    update::{DashMessage, update},
    view,
};
use ratatui::{buffer::Buffer, layout::Rect};
use sha2::{Digest, Sha256};

use super::{model, options, press, scenario};
use crate::scenarios::{SIZES, folder};

pub fn drawn(model: &DashModel) -> Buffer {
    let area = Rect::new(0, 0, model.size.0, model.size.1);
    let mut buffer = Buffer::empty(area);
    view::draw_into(&mut buffer, area, model);
    buffer
}

/// The letters of a screen, spaces at the ends of lines left out.
pub fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width).max(1);
    let mut text = String::new();
    for row in buffer.content.chunks(width) {
        let mut skip = 0;
        let mut line = String::new();
        for cell in row {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            line.push_str(cell.symbol());
            skip = ratatui::text::Span::raw(cell.symbol())
                .width()
                .saturating_sub(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Which style every cell has.
fn styles(buffer: &Buffer) -> String {
    let mut hash = Sha256::new();
    for cell in &buffer.content {
        hash.update(format!("{:?}{:?}{:?};", cell.fg, cell.bg, cell.modifier));
    }
    hex::encode(hash.finalize())[..16].to_owned()
}

/// Compares a screen in all themes with what is kept, or keeps it.
#[track_caller]
fn assert_screen(name: &str, size: (u16, u16), make: impl Fn(Theme) -> DashModel) {
    let mut found = text(&drawn(&make(Theme::Dark)));
    found.push_str("-- styles\n");
    for (theme, theme_name) in THEMES {
        let buffer = drawn(&make(*theme));
        assert!(
            found.starts_with(&text(&buffer)),
            "{theme_name} shows other letters"
        );
        found.push_str(&format!("{theme_name} {}\n", styles(&buffer)));
    }
    let path = folder().join(format!("screens/{name}-{}x{}.txt", size.0, size.1));
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &found).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == found,
        "{} is out of date: run REGENERATE=1 scripts/test dash\n{found}",
        path.display()
    );
}

#[test]
fn every_pane_is_drawn_as_kept() {
    for size in SIZES {
        for pane in PANES {
            let name = pane.short().to_lowercase();
            assert_screen(&name, size, |theme| {
                let mut model = model("busy", size, theme);
                (model.focus, model.expanded) = (pane, true);
                press(&mut model, &[KeyPress::Char('t'), KeyPress::Down]);
                model
            });
        }
    }
}

#[test]
fn whole_screens_are_drawn_as_kept() {
    for size in SIZES {
        assert_screen("all", size, |theme| model("busy", size, theme));
        assert_screen("free", size, |theme| model("free", size, theme));
        assert_screen("hostile", size, |theme| model("hostile", size, theme));
        assert_screen("receipt", size, |theme| {
            let mut model = model("busy", size, theme);
            press(&mut model, &[KeyPress::Char('G'), KeyPress::Enter]);
            model
        });
        assert_screen("days", size, |theme| {
            let mut model = model("busy", size, theme);
            press(&mut model, &['6', 'b', 'b'].map(KeyPress::Char));
            press(&mut model, &[KeyPress::Enter]);
            model
        });
        assert_screen("help", size, |theme| {
            let mut model = model("busy", size, theme);
            press(&mut model, &[KeyPress::Char('?')]);
            model
        });
        assert_screen("contributors", size, |theme| {
            let mut model = model("busy", size, theme);
            model.options.watermark = Some("DEMO".to_owned());
            let keys = ['6', 't', 't', 't', 'w', 'w', 'f'].map(KeyPress::Char);
            press(&mut model, &keys);
            model
        });
    }
}

#[test]
fn a_screen_that_is_too_small_says_so() {
    for size in [(59, 24), (80, 14), (10, 2), (1, 1), (0, 0)] {
        let model = model("busy", size, Theme::Dark);
        let shown = text(&drawn(&model));
        assert!(!shown.contains("EARNED"), "{size:?}");
    }
    let model = model("busy", (40, 4), Theme::Dark);
    assert_eq!(
        text(&drawn(&model)),
        "openlora dash\nneeds 60 columns and 15 lines\nenlarge, or q to quit\n\n"
    );
}

/// Shows a scenario in batches and returns the screen at its end.
fn replayed(batch: usize, size: (u16, u16)) -> String {
    let records: Vec<EventRecord> = scenario("busy");
    let now_ms = records.last().unwrap().time_ms;
    let mut model = DashModel::new(options(Theme::Dark), size, records[0].time_ms);
    for part in records.chunks(batch) {
        update(&mut model, DashMessage::Records(part.to_vec()));
        update(&mut model, DashMessage::Frame(part[0].time_ms));
    }
    model.flow.clear();
    update(&mut model, DashMessage::Link(FeedLink::Ended));
    update(&mut model, DashMessage::Frame(now_ms));
    text(&drawn(&model))
}

#[test]
fn a_replay_ends_with_the_same_screen_however_it_came() {
    for size in SIZES {
        let whole = text(&drawn(&model("busy", size, Theme::Dark)));
        assert_eq!(replayed(1, size), whole);
        assert_eq!(replayed(97, size), whole);
    }
}

#[test]
fn mono_has_no_colour_and_the_other_themes_are_told_apart_from_each_other() {
    let buffer = |theme| drawn(&model("busy", (120, 40), theme));
    let mono = buffer(Theme::Mono);
    let reset = ratatui::style::Color::Reset;
    assert!(
        mono.content
            .iter()
            .all(|cell| cell.fg == reset && cell.bg == reset)
    );
    let mut seen: Vec<String> = THEMES
        .iter()
        .map(|(theme, _)| styles(&buffer(*theme)))
        .collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), THEMES.len());
}

/// What the guide says of a screen of 120 by 30.
#[test]
fn the_smallest_full_screen_has_room_for_the_first_rows() {
    use openlora_tui::layout::ScreenLayout;
    let layout = ScreenLayout::divide((120, 30), Pane::Calls, false);
    let rows = PANES.map(|pane| (pane, layout.rows(pane)));
    // The last row of the sums is their total.
    let expected = [
        (Pane::Inflow, 5),
        (Pane::Pace, 5),
        (Pane::Calls, 5),
        (Pane::Attribution, 5),
        (Pane::Flow, 3),
        (Pane::Sums, 2),
    ];
    assert_eq!(rows, expected);
    // Below it, one pane has the screen; below a chart or the flow are the calls.
    for (focus, shown) in [
        (Pane::Sums, vec![Pane::Sums]),
        (Pane::Flow, vec![Pane::Flow, Pane::Calls]),
    ] {
        for size in [(119, 30), (120, 29), (80, 24)] {
            let panes = ScreenLayout::divide(size, focus, false).panes;
            let panes: Vec<Pane> = panes.into_iter().map(|(pane, _)| pane).collect();
            assert_eq!(panes, shown, "{size:?}");
        }
    }
}

#[test]
fn panes_cover_the_body_once_at_every_size() {
    use openlora_tui::layout::{LayoutForm, ScreenLayout};
    for width in 60..=220u16 {
        for height in 15..=70u16 {
            for (pane, expanded) in [
                (Pane::Calls, false),
                (Pane::Inflow, false),
                (Pane::Sums, true),
            ] {
                let layout = ScreenLayout::divide((width, height), pane, expanded);
                let full = width >= 120 && height >= 30;
                assert_eq!(layout.form == LayoutForm::Full, full);
                let tabs = layout.tabs.map_or(0, |tabs| tabs.area());
                let panes: u32 = layout.panes.iter().map(|(_, area)| area.area()).sum();
                let rest = layout.header.area() + tabs + layout.footer.area();
                assert_eq!(
                    panes + rest,
                    u32::from(width) * u32::from(height),
                    "{width}x{height}"
                );
            }
        }
    }
}
