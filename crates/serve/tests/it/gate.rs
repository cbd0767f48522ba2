//! How many calls run at once, in all and per adapter.

use std::sync::Arc;

use openlora_engine::turns::{TurnQueue, due_time};
use openlora_serve::ServeLimits;
use serde_json::json;
use tokio::sync::mpsc;

use crate::serve_support::{LIMITS, chat, start_with, test_journal, with};
use crate::waiting;

const CHAT: &str = "/v1/chat/completions";

#[test]
fn a_lane_takes_its_part_of_the_turns_only() {
    let turns = Arc::new(TurnQueue::with_lanes(3, 2));
    let first = turns.try_take_in("a").unwrap();
    let second = turns.try_take_in("a").unwrap();
    assert!(turns.try_take_in("a").is_none());
    let other = turns.try_take_in("b").unwrap();
    assert!(turns.try_take_in("b").is_none(), "all turns are taken");
    drop(first);
    assert!(turns.try_take_in("b").is_some());
    drop(second);
    drop(other);
    let all: Vec<_> = ["a", "a", "b"].map(|lane| turns.try_take_in(lane)).into();
    assert!(all.iter().all(Option::is_some));
}

/// A turn goes to the most urgent call whose lane has room, and a cancelled call passes it on.
#[tokio::test]
async fn a_full_lane_does_not_hold_up_another() {
    let turns = Arc::new(TurnQueue::with_lanes(2, 1));
    let long = turns.try_take_in("a").unwrap();
    let other = turns.try_take_in("b").unwrap();
    let (told, mut order) = mpsc::unbounded_channel();
    let mut waiting = Vec::new();
    for (lane, tokens) in [("a", 1), ("c", 50), ("c", 9), ("b", 100)] {
        let (turns, told) = (Arc::clone(&turns), told.clone());
        waiting.push(tokio::spawn(async move {
            let turn = turns.take_in(lane, due_time(tokens)).await;
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
        let answer: serde_json::Value = answer.json().await.unwrap();
        let said = &answer["choices"][0]["message"]["content"];
        assert_eq!(said, "persona a");
    }
    for number in 0..5 {
        let (usage, _) = server.metered(&format!("many-{number}")).await;
        assert_eq!(usage.completion_tokens, 2);
    }
    server.drain().await;
}
