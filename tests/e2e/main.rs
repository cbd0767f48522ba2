//! Whole processes and the embedded chain, and what holds for all sources; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use xtask::bpe;

mod allotted_serving;
mod architecture;
mod attribution;
mod audit;
mod bench;
mod beside_server;
mod call;
mod chain_identity;
mod containers;
mod dash;
mod dataset_commands;
mod deploy;
mod deploy_bad;
mod deploy_kill;
mod deploy_registry;
mod deploy_support;
mod devnet_chain;
mod devnet_clients;
mod devnet_conformance;
mod devnet_http;
mod devnet_peers;
mod devnet_process;
mod devnet_support;
mod distribution;
mod docs;
mod earlier;
mod engine_choice;
mod export;
mod figures;
mod first_hour;
mod foreign_text;
mod found;
mod gguf_base;
mod home_accounts;
mod hostile_mix;
mod house;
mod init;
mod installing;
mod isolated;
mod kept_inputs;
mod live;
mod many_adapters;
mod model_signing;
mod named_paths;
mod package;
mod package_documents;
mod paid_serving;
mod payer_store;
mod payment_overhead;
mod picture_project;
mod pictures;
mod pool_claims;
mod proxy;
mod purse_homes;
mod purse_hostile;
mod purse_lossy;
mod purse_parallel;
mod real_adapters;
mod replay;
mod result_schemas;
mod rewards_chain;
mod schemas;
mod sdk;
mod secrets;
mod serve_command;
mod serve_disk;
mod serve_hostile;
mod settings_bounds;
mod settlement;
mod settlement_faults;
mod settlement_flow;
mod settlement_kill;
mod settlement_support;
mod settlement_worth;
mod soak;
mod templates;
mod terminal;
mod train_cli;
mod transparency_log;
mod two_networks;
mod tx_keys;
mod wallet_commands;
mod wallet_interop;
mod x402_buyers;
mod x402_cashier;
mod x402_catalogue;
mod x402_facilitator;
mod x402_stock;
mod x402_support;
mod x402_wire;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/codec.rs"]
mod codec;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/dash_terminal.rs"]
mod dash_terminal;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/files.rs"]
mod files;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/gguf.rs"]
mod gguf_files;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/golden.rs"]
mod golden;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/keys.rs"]
mod keys;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/memory_journal.rs"]
mod memory_journal;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/packages.rs"]
mod packages;

#[path = "../support/parsers.rs"]
mod parsers;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/paths.rs"]
mod paths;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/scenarios.rs"]
mod scenarios;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/serve_support.rs"]
mod serve_support;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/small_disk.rs"]
mod small_disk;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/support.rs"]
mod support;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/tiny.rs"]
mod tiny;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/tiny_pictures.rs"]
mod tiny_pictures;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/waiting.rs"]
mod waiting;

#[path = "../support/wrapped_engine.rs"]
mod wrapped_engine;
