//! The short form of the load test of `tests/sdk/load`: clients of several adapters who pay and hang
//! up, and a server that is killed.

use std::process::Command;

use serde_json::Value;

use crate::{
    sdk::{python, run, suite},
    support::binary,
};

/// Ends well only if journal, receipts, attributions, chain and audits agree with what the clients
/// counted.
#[test]
fn the_journal_agrees_with_counting_clients_of_a_server_that_is_killed() {
    let script = suite("load").join("many_adapters.py");
    let mut command = Command::new(python("load"));
    let said = run(command.arg(script).arg(binary()).arg("--short"));
    let counted: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(counted["charged"], counted["counted"], "{counted}");
    // The load must have loaded.
    for what in ["answered", "left", "went_away", "claims"] {
        assert!(counted[what].as_u64() > Some(0), "{what}: {counted}");
    }
}
