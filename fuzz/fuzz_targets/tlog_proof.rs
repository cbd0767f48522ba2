#![no_main]

#[allow(dead_code, reason = "one parser of many")]
#[path = "../../tests/support/parsers.rs"]
mod parsers;

libfuzzer_sys::fuzz_target!(|data: &[u8]| parsers::tlog_proof(data));
