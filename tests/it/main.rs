//! The one integration-test binary; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod adapter;
mod architecture;
mod attribution;
mod call;
mod dash;
mod dash_terminal;
mod dataset;
mod dataset_commands;
mod dataset_encode;
mod dataset_parquet;
mod dataset_split;
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
mod earnings;
mod engine;
mod golden;
mod house;
mod init;
mod journal;
mod ledger;
mod live;
mod model_base;
mod model_golden;
mod model_hub;
mod model_kernels;
mod package;
mod package_bad;
mod paid_serving;
mod payment_overhead;
mod pool_claims;
mod proofs;
mod purse;
mod purse_parallel;
mod rewards;
mod rewards_chain;
mod schemas;
mod scripted;
mod sdk;
mod serve_bad_requests;
mod serve_command;
mod serve_disk;
mod serve_metering;
mod serve_routes;
mod serve_support;
mod settlement;
mod settlement_faults;
mod settlement_flow;
mod settlement_kill;
mod settlement_support;
mod shares;
mod soak;
mod state;
mod support;
mod templates;
mod text;
mod tiny;
mod train;
mod train_cli;
mod train_parts;
mod wallet;
mod wallet_commands;
mod wallet_interop;
mod x402_buyers;
mod x402_cashier;
mod x402_facilitator;
mod x402_stock;
mod x402_support;
mod x402_wire;
