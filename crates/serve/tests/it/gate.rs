//! How many calls run at once, in all and per adapter.

use std::sync::Arc;

use openlora_engine::{
    FairShareKey,
    turns::{EngineTurn, TurnParty, TurnQueue, due_time},
};
use openlora_serve::{ServeLimits, access::AccessRules, proxies::TrustedProxies};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::serve_support::{
    LIMITS, Reply, TestServer, access, chat, reply, start_behind, start_with, test_journal, with,
};
use crate::waiting;

const CHAT: &str = "/v1/chat/completions";

fn party(lane: &str, payer: &str) -> TurnParty {
    TurnParty::new(lane, &FairShareKey::from(payer))
}

fn try_take(turns: &Arc<TurnQueue>, lane: &str) -> Option<EngineTurn> {
    turns.try_take(&party(lane, ""))
}

/// Lets calls wait behind one turn, and returns the order in which they get it.
async fn order(calls: &[(&str, &str, u64)]) -> Vec<String> {
    let turns = Arc::new(TurnQueue::new(1));
    let held = turns.try_take(&party("held", "nobody")).unwrap();
    let (told, mut order) = mpsc::unbounded_channel();
    for (lane, payer, tokens) in calls {
        let (turns, told) = (Arc::clone(&turns), told.clone());
        let (party, tokens) = (party(lane, payer), *tokens);
        let name = format!("{lane} {payer} {tokens}");
        tokio::spawn(async move {
            let turn = turns.take(&party, due_time(tokens)).await;
            told.send(name).unwrap();
            drop(turn);
        });
        tokio::task::yield_now().await;
    }
    drop((held, told));
    let mut found = Vec::new();
    while let Some(name) = order.recv().await {
        found.push(name);
    }
    found
}

/// A payer with 50 calls delays another payer's calls by one call each.
#[tokio::test]
async fn payers_of_a_lane_take_turns() {
    let flood = (0..50).map(|_| ("a", "busy", 10));
    let others = [("a", "other", 5000), ("a", "third", 20), ("a", "other", 1)];
    let calls: Vec<_> = flood.chain(others).collect();
    let found = order(&calls).await;
    let first = [
        "a other 1",
        "a busy 10",
        "a third 20",
        "a other 5000",
        "a busy 10",
    ];
    assert_eq!(found.len(), 53);
    assert_eq!(found[..5], first);
    assert!(found[5..].iter().all(|name| name == "a busy 10"));
}

/// Clients that send one call after another do not pass the calls that wait, in a lane or between
/// lanes.
#[tokio::test]
async fn who_comes_back_is_behind_those_who_wait() {
    for backlog in [("a", "patient"), ("b", "patient")] {
        let turns = Arc::new(TurnQueue::new(1));
        let held = turns.try_take(&party("held", "nobody")).unwrap();
        let (told, mut order) = mpsc::unbounded_channel();
        let waiting = [backlog; 3].map(|at| (at, 1));
        for (at, calls) in waiting
            .into_iter()
            .chain([(("a", "one"), 20), (("a", "two"), 20)])
        {
            let (turns, told) = (Arc::clone(&turns), told.clone());
            tokio::spawn(async move {
                for _ in 0..calls {
                    let turn = turns.take(&party(at.0, at.1), due_time(10)).await;
                    told.send(at.1).unwrap();
                    drop(turn);
                }
            });
            tokio::task::yield_now().await;
        }
        drop((held, told));
        let mut found = Vec::new();
        while let Some(name) = order.recv().await {
            found.push(name);
        }
        assert_eq!(found.len(), 43);
        let last = found.iter().rposition(|name| *name == "patient").unwrap();
        assert!(last < 9, "{backlog:?}: {found:?}");
    }
}

/// Lanes come before payers: a lane with many payers delays another by one call.
#[tokio::test]
async fn lanes_take_turns_however_many_payers_they_have() {
    let payers = ["p", "q", "r", "s"];
    let many = payers.iter().map(|payer| ("many", *payer, 10));
    let calls: Vec<_> = many
        .chain([("few", "p", 3000), ("few", "p", 200)])
        .collect();
    let expected = [
        "many p 10",
        "few p 200",
        "many q 10",
        "few p 3000",
        "many r 10",
        "many s 10",
    ];
    assert_eq!(order(&calls).await, expected);
}

#[test]
fn a_lane_takes_its_part_of_the_turns_only() {
    let turns = Arc::new(TurnQueue::with_lanes(3, 2));
    let first = try_take(&turns, "a").unwrap();
    let second = try_take(&turns, "a").unwrap();
    assert!(try_take(&turns, "a").is_none());
    let other = try_take(&turns, "b").unwrap();
    assert!(try_take(&turns, "b").is_none(), "all turns are taken");
    drop(first);
    assert!(try_take(&turns, "b").is_some());
    drop(second);
    drop(other);
    let all: Vec<_> = ["a", "a", "b"].map(|lane| try_take(&turns, lane)).into();
    assert!(all.iter().all(Option::is_some));
}

/// A turn goes to the most urgent call whose lane has room, and a cancelled call passes it on.
#[tokio::test]
async fn a_full_lane_does_not_hold_up_another() {
    let turns = Arc::new(TurnQueue::with_lanes(2, 1));
    let long = try_take(&turns, "a").unwrap();
    let other = try_take(&turns, "b").unwrap();
    let (told, mut order) = mpsc::unbounded_channel();
    let mut waiting = Vec::new();
    for (lane, tokens) in [("a", 1), ("c", 50), ("c", 9), ("b", 100)] {
        let (turns, told) = (Arc::clone(&turns), told.clone());
        waiting.push(tokio::spawn(async move {
            let turn = turns.take(&party(lane, ""), due_time(tokens)).await;
            told.send((lane, tokens)).unwrap();
            drop(turn);
        }));
    }
    tokio::task::yield_now().await;
    // The most urgent call of `c` leaves the queue.
    waiting.remove(2).abort();
    tokio::task::yield_now().await;
    drop(other);
    for expected in [("c", 50), ("b", 100)] {
        assert_eq!(order.recv().await, Some(expected));
    }
    assert!(order.try_recv().is_err(), "the lane of `a` is full");
    drop((long, told));
    assert_eq!(order.recv().await, Some(("a", 1)));
    assert_eq!(order.recv().await, None);
}

/// One adapter answers as many calls at once as the limit says; another is not kept waiting.
#[tokio::test]
async fn an_adapter_answers_so_many_calls_at_once_and_leaves_room_for_others() {
    let limits = ServeLimits {
        max_concurrent: 8,
        parallel: 3,
        queue: 64,
        ..LIMITS
    };
    let server = start_with(limits, test_journal()).await;
    let body = with(chat("persona", "!step a b"), json!({ "max_tokens": 2 }));
    let mut calls = Vec::new();
    for number in 0..5 {
        let request = server
            .client
            .post(server.url(CHAT))
            .header("x-request-id", format!("many-{number}"))
            .json(&body);
        calls.push(tokio::spawn(request.send()));
    }
    waiting::until(
        "three calls on the engine and two in the queue",
        async || {
            let metrics = server.get("/metrics").await.text;
            let has = |wanted: &str| metrics.lines().any(|line| line == wanted);
            has("vllm:num_requests_running 3.0") && has("vllm:num_requests_waiting 2.0")
        },
    )
    .await;
    // Its calls wait, and the filter's does not.
    let label = json!({ "model": "filter", "input": "spam" });
    assert_eq!(server.post("/v1/classify", &label).await.status, 200);
    server.steps.add_permits(10);
    for call in calls {
        let answer = call.await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        let said = &answer["choices"][0]["message"]["content"];
        assert_eq!(said, "persona a");
    }
    for number in 0..5 {
        let (usage, _) = server.metered(&format!("many-{number}")).await;
        assert_eq!(usage.completion_tokens, 2);
    }
    server.drain().await;
}

/// Sends a call from an address, whose answer takes permits.
fn call_from(server: &TestServer, address: &str, id: &str) -> JoinHandle<Reply> {
    let body = with(chat("persona", "!step a"), json!({ "max_tokens": 1 }));
    let request = server.client.post(server.url(CHAT));
    let request = request.header("x-request-id", id);
    let request = request.header("x-forwarded-for", address);
    tokio::spawn(reply(request.json(&body)))
}

async fn until_waiting(server: &TestServer, calls: usize) {
    let line = format!("vllm:num_requests_waiting {calls}.0");
    waiting::until(&line, async || {
        let metrics = server.get("/metrics").await.text;
        metrics.lines().any(|found| found == line)
    })
    .await;
}

fn queue_full(why: &str) -> (u16, Value) {
    let error = json!({ "error": {
        "message": format!("All turns are taken {why}; try again shortly."),
        "type": "rate_limit_error",
        "param": null,
        "code": "queue_full",
    }});
    (429, error)
}

/// A full queue is divided between callers: one with fewer calls takes the place of the latest call of
/// the one with most, until they have equally many.
#[tokio::test]
async fn a_caller_who_fills_the_queue_makes_room_for_others() {
    let limits = ServeLimits {
        max_concurrent: 1,
        parallel: 1,
        queue: 4,
        ..LIMITS
    };
    let rules = AccessRules {
        proxies: TrustedProxies::parse(["127.0.0.1"]).unwrap(),
        ..access()
    };
    let server = start_behind(rules, limits, test_journal()).await;
    let (busy, other, third) = ("192.0.2.1", "192.0.2.2", "192.0.2.3");
    let told = |it: Reply| (it.status, it.json());
    let running = call_from(&server, busy, "running");
    waiting::until("the first call to run", async || {
        let metrics = server.get("/metrics").await.text;
        metrics
            .lines()
            .any(|it| it == "vllm:num_requests_running 1.0")
    })
    .await;
    let mut flood = Vec::new();
    for number in 0..4 {
        flood.push(call_from(&server, busy, &format!("busy-{number}")));
        until_waiting(&server, number + 1).await;
    }
    let refused = call_from(&server, busy, "busy-4").await.unwrap();
    assert_eq!(told(refused), queue_full("and 4 calls wait"));

    let taken = "and another caller, who has fewer calls in the queue, took the place of this one";
    let mut others = Vec::new();
    for (number, address) in [other, other].into_iter().enumerate() {
        others.push(call_from(&server, address, &format!("other-{number}")));
        let displaced = flood.pop().unwrap().await.unwrap();
        assert_eq!(told(displaced), queue_full(taken));
        until_waiting(&server, 4).await;
    }
    // Two and two wait: neither has a claim on the other's places, and a newcomer has one.
    for (address, id) in [(busy, "busy-5"), (other, "other-2")] {
        let refused = call_from(&server, address, id).await.unwrap();
        assert_eq!(told(refused), queue_full("and 4 calls wait"));
    }
    let newcomer = call_from(&server, third, "third");
    let displaced = others.pop().unwrap().await.unwrap();
    assert_eq!(told(displaced), queue_full(taken));

    server.steps.add_permits(5);
    let answered = [running, newcomer].into_iter().chain(flood).chain(others);
    for call in answered {
        assert_eq!(call.await.unwrap().status, 200);
    }
    server.drain().await;
}
