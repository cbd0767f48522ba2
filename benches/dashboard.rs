//! The dashboard groups: what a frame costs, how a long journal opens, and what following a busy
//! one takes. The figures go to stderr; the last two run the real binary on a pty.

use std::{
    hint::black_box,
    io::Write,
    time::{Duration, Instant},
};

use criterion::Criterion;
use openlora_core::{Address, Amount, Word};
use openlora_journal::{Journal, JournalEntry, JournalStore, SqliteStore, projection};
use openlora_ledger::{
    CallCharge, CallWork, CheckedPayment, PaymentScheme, PriceList,
    event::{CallKind, Event, EventRecord, FinishReason, TokenUsage},
};
use openlora_tui::{
    model::{DashModel, DashOptions, SumRange},
    theme::{ColourDepth, Theme},
    update::{DashMessage, update},
    view,
};
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};
use tokio::{runtime::Runtime, time::interval};

use crate::dash_terminal::on_terminal;

const SIZE: (u16, u16) = (200, 60);
/// 2026-01-29 12:00:00 UTC.
const START_MS: u64 = 1_769_688_000_000;

fn tell(line: &str) {
    // A bench whose reader went away has nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn payment(number: u64) -> CheckedPayment {
    CheckedPayment {
        scheme: PaymentScheme::BatchSettlement,
        chain_id: 31_337,
        token: Address([9; 20]),
        receiver: Address([8; 20]),
        payer: Address([(number % 40) as u8 + 1; 20]),
        id: Word([(number % 40) as u8 + 1; 32]),
        before: Amount(u128::from(number) * 100),
        quote: Amount(500),
        collected: false,
        party: None,
        signature: format!("0x{}", "ab".repeat(65)),
        prices: PriceList::default(),
        work: CallWork::Tokens {
            prompt: 40,
            completion: 100,
        },
    }
}

fn charge(number: u64) -> CallCharge {
    let it = payment(number);
    CallCharge {
        scheme: it.scheme,
        chain_id: it.chain_id,
        token: it.token,
        receiver: it.receiver,
        payer: it.payer,
        id: it.id,
        amount: Amount(100 + u128::from(number % 7)),
        cumulative: Amount(u128::from(number) * 100),
    }
}

/// A call is two events: reserved and metered.
fn event(number: u64) -> Event {
    let call = number / 2;
    let request_id = format!("0190c8f2-0000-7000-8000-{call:012}");
    let adapter = format!("adapter-{}", call % 3);
    let adapter_digest = "0123456789abcdef".repeat(4);
    let (kind, request_hash) = (CallKind::Chat, "fedcba9876543210".repeat(4));
    if number.is_multiple_of(2) {
        return Event::CallReserved {
            request_id,
            session: "s1".into(),
            adapter,
            adapter_digest,
            kind,
            prompt_tokens: 40,
            request_hash,
            payment: Some(Box::new(payment(call))),
        };
    }
    Event::CallMetered {
        request_id,
        adapter,
        adapter_digest,
        kind,
        usage: TokenUsage {
            prompt_tokens: 40,
            completion_tokens: 8 + call % 90,
        },
        finish: FinishReason::Stop,
        milliseconds: 20 + call % 700,
        first_token_milliseconds: Some(10 + call % 90),
        response_hash: request_hash.clone(),
        request_hash,
        charge: Some(Box::new(charge(call))),
        computation: None,
    }
}

fn record(number: u64) -> EventRecord {
    EventRecord {
        sequence: number + 1,
        time_ms: START_MS + number * 5,
        event: event(number),
        hash: String::new(),
    }
}

/// A frame at 200×60 on which every row has changed: records folded in, figures worked out, cells
/// drawn, compared and written.
pub fn frame(_: &mut Criterion) {
    if !wanted("frame") {
        return;
    }
    let options = DashOptions {
        depth: ColourDepth::True,
        theme: Theme::Dark,
        animation: true,
        ..DashOptions::default()
    };
    let mut model = DashModel::new(options, SIZE, START_MS);
    model.range = SumRange::Today;
    let area = Rect::new(0, 0, SIZE.0, SIZE.1);
    let viewport = TerminalOptions {
        viewport: Viewport::Fixed(area),
    };
    let backend = CrosstermBackend::new(std::io::sink());
    let mut screen = Terminal::with_options(backend, viewport).expect("a fixed screen");
    // More calls than there are rows, so that each row shows another call in each frame.
    const PER_FRAME: u64 = 100;
    let mut next = 0;
    let (mut whole, mut drawing) = (Vec::new(), Vec::new());
    for _ in 0..2_000 {
        let records: Vec<EventRecord> = (next..next + PER_FRAME).map(record).collect();
        next += PER_FRAME;
        let now_ms = START_MS + next * 5;
        update(&mut model, DashMessage::Records(records));
        let started = Instant::now();
        update(&mut model, DashMessage::Frame(now_ms));
        let worked_out = Instant::now();
        let drawn = screen.draw(|frame| view::draw(frame, &model));
        black_box(drawn.expect("a sink takes everything"));
        drawing.push(worked_out.elapsed());
        whole.push(started.elapsed());
    }
    for (what, mut times) in [("frame", whole), ("of it drawing", drawing)] {
        times.sort();
        let at = |percent: usize| times[times.len() * percent / 100];
        tell(&format!(
            "dashboard {what} at 200x60: p50 {:?}, p99 {:?}",
            at(50),
            at(99)
        ));
    }
}

/// Criterion's own filter does not reach what it does not time.
fn wanted(group: &str) -> bool {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    filter.is_none_or(|filter| group.contains(&filter) || "dashboard".contains(&filter))
}

const LONG: u64 = 1_000_000;

/// How long a journal of a million events takes to be on the screen, and how much memory: read
/// from its beginning, and from its projection.
pub fn opening(_: &mut Criterion) {
    if !wanted("opening") {
        return;
    }
    let home = tempfile::tempdir().expect("a temporary folder");
    let path = home.path().join("home/data/journal.sqlite");
    let mut store = SqliteStore::open(&path).expect("a new journal");
    for page in 0..LONG / 10_000 {
        let events = (page * 10_000..(page + 1) * 10_000).map(event);
        let entries: Vec<JournalEntry> = events.map(JournalEntry::from).collect();
        store
            .append(START_MS + page * 60_000, &entries)
            .expect("room on the disk");
    }
    drop(store);
    for (what, size) in [
        ("from its beginning", (80, 24)),
        ("from its projection", (200, 60)),
    ] {
        let started = Instant::now();
        let mut screen = on_terminal(home.path(), size, &["dash", "--no-animation"]);
        screen.press("ttt");
        // All time, whichever day it is.
        screen.until("the calls", |text| text.contains("calls 500.0k"));
        let took = started.elapsed();
        let usage = screen.usage();
        let kilobytes = |name: &str| usage[name].as_u64().unwrap_or(0) / 1024;
        tell(&format!(
            "dashboard opens {LONG} events {what}: {took:?}, {} MiB resident, of it {} its own, at most {}",
            kilobytes("VmRSS"),
            kilobytes("RssAnon"),
            kilobytes("VmHWM")
        ));
        screen.press("q");
        assert_eq!(screen.end().0, 0);
        let kept = projection::path_of(&path, "board");
        let size = kept.metadata().map_or(0, |file| file.len());
        tell(&format!("  projection of {} KiB", size / 1024));
    }
}

/// How long each pace is kept up.
const PACED: Duration = Duration::from_secs(60);

/// Share of a core that the real binary takes, and whether its totals have everything.
pub fn following(_: &mut Criterion) {
    if !wanted("following") {
        return;
    }
    let runtime = Runtime::new().expect("a runtime starts");
    for per_second in [0u64, 1_000, 10_000] {
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = home.path().join("home/data/journal.sqlite");
        let journal = Journal::open(&path).expect("a new journal");
        let mut screen = on_terminal(home.path(), (120, 40), &["dash", "--no-animation"]);
        screen.shows("● live");
        let before = screen.usage();
        let started = Instant::now();
        let written = runtime.block_on(write_at(&journal, per_second));
        let wall = started.elapsed().as_secs_f64();
        let after = screen.usage();
        let seconds = |usage: &serde_json::Value| usage["seconds"].as_f64().unwrap_or(0.0);
        let share = (seconds(&after) - seconds(&before)) / wall * 100.0;
        screen.press("ttt");
        let calls = openlora_tui::figures::count(written / 2);
        screen.shows(&format!("calls {calls} "));
        screen.press("q");
        assert_eq!(screen.end().0, 0);
        let kept = std::fs::read_to_string(projection::path_of(&path, "board"));
        let kept = kept.unwrap_or_default();
        let all = written == 0 || kept.contains(&format!("\"metered\":{},", written / 2));
        assert!(all, "the board has not all of {written} events");
        tell(&format!(
            "dashboard at {per_second} events per second for {wall:.0} s: {share:.2} % of a core, all {} calls counted",
            written / 2
        ));
    }
}

/// Calls that are timed on their way to the screen.
const SEEN: u64 = 200;

/// From the commit of a call in another process's journal to its cells on a terminal.
pub fn pixel(_: &mut Criterion) {
    if !wanted("pixel") {
        return;
    }
    let runtime = Runtime::new().expect("a runtime starts");
    let home = tempfile::tempdir().expect("a temporary folder");
    let path = home.path().join("home/data/journal.sqlite");
    let journal = Journal::open(&path).expect("a new journal");
    let screen_size = (120, 40);
    let mut screen = on_terminal(home.path(), screen_size, &["dash", "--no-animation"]);
    screen.shows("● live");
    let mut times = Vec::new();
    for call in 0..SEEN {
        // In no step with the dashboard's own clocks.
        let pause = Duration::from_millis(60 + call * 37 % 190);
        runtime.block_on(async move { tokio::time::sleep(pause).await });
        for number in [2 * call, 2 * call + 1] {
            journal.note(event(number)).expect("the writer runs");
        }
        let committed = runtime.block_on(journal.flush());
        committed.expect("room on the disk");
        let started = Instant::now();
        screen.shows(&format!("calls {} ", call + 1));
        times.push(started.elapsed());
    }
    screen.press("q");
    assert_eq!(screen.end().0, 0);
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100];
    tell(&format!(
        "dashboard from a commit to the screen: p50 {:?}, p95 {:?}, p99 {:?}",
        at(50),
        at(95),
        at(99)
    ));
}

async fn write_at(journal: &Journal, per_second: u64) -> u64 {
    let mut ticks = interval(Duration::from_millis(20));
    let started = Instant::now();
    let mut written = 0;
    while started.elapsed() < PACED {
        ticks.tick().await;
        let due = started.elapsed().as_millis() as u64 * per_second / 1_000 / 2 * 2;
        for number in written..due {
            journal.note(event(number)).expect("the writer runs");
        }
        written = written.max(due);
    }
    journal.flush().await.expect("room on the disk");
    written
}
