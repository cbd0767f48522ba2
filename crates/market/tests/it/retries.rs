//! How often a payment without an answer is sent again.

use std::time::{Duration, Instant};

use openlora_market::{RetryPlan, RetryStep};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_server_that_is_down_is_asked_ever_more_rarely_and_not_for_ever() {
    let plan = RetryPlan::default();
    let (began, week) = (Instant::now(), Duration::from_secs(7 * 24 * 3600));
    // One look each minute, as the proxy has.
    let mut asked = Vec::new();
    let mut minute = 0;
    loop {
        let (age, now) = (MINUTE * minute, began + MINUTE * minute);
        match plan.step("call", age, now) {
            RetryStep::Now => {
                plan.failed("call", now);
                asked.push(minute);
            }
            RetryStep::Later => {}
            RetryStep::Never => break,
        }
        minute += 1;
    }
    assert_eq!(asked[..6], [0, 1, 3, 6, 12, 24]);
    let pauses: Vec<u32> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert_eq!(pauses.last(), Some(&360));
    assert!(asked.len() < 50, "{} times in a week", asked.len());
    assert_eq!(minute, 7 * 24 * 60 + 1);
    // A call that is too old is not asked for by a new process either.
    let again = RetryPlan::default();
    let later = again.step("call", week + MINUTE, Instant::now());
    assert_eq!(later, RetryStep::Never);
}

#[test]
fn calls_do_not_wait_for_each_other() {
    let plan = RetryPlan::default();
    let now = Instant::now();
    assert_eq!(plan.failed("one", now), Duration::from_secs(45));
    assert_eq!(plan.failed("one", now), Duration::from_secs(90));
    assert_eq!(plan.step("one", MINUTE, now + MINUTE), RetryStep::Later);
    assert_eq!(plan.step("two", MINUTE, now + MINUTE), RetryStep::Now);
    // What is no longer open is forgotten.
    plan.retain(|id| id != "one");
    assert_eq!(plan.step("one", MINUTE, now), RetryStep::Now);
}
