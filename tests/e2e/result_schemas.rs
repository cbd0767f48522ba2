//! JSON Schemas of the `--json` output, generated from the printed types.

use schemars::{Schema, schema_for};

use openlora::commands::{
    attribution, audit, bench, call, channel, claim, config, dash, data, demo, deploy, devnet,
    doctor, earnings, export, init, log, model_key, package, printer::ErrorEnvelope, proxy, pull,
    push, receipts, run, serve, settle, store, train, wallet, withdraw,
};
use openlora_market::SearchReport;
use openlora_package::verify;
use openlora_release::explore::RegistryReport;
use openlora_runtime::treasury;
use openlora_serve::attribution::published::PublishedAttribution;

/// The name of a result and the function that makes its schema; `schemas/NAME.json` contains it.
pub type ResultSchema = (&'static str, fn() -> Schema);

/// Every published schema.
pub const SCHEMAS: &[ResultSchema] = &[
    ("error", || schema_for!(ErrorEnvelope)),
    ("demo", || schema_for!(demo::DemoReport)),
    ("init", || schema_for!(init::InitReport)),
    ("doctor", || schema_for!(doctor::DoctorReport)),
    ("data-check", || schema_for!(data::CheckReport)),
    ("data-preview", || schema_for!(Vec<data::ShownRow>)),
    ("data-split", || schema_for!(data::SplitReport)),
    ("devnet-start", || schema_for!(devnet::DevnetStarted)),
    ("devnet-stop", || schema_for!(devnet::DevnetStopped)),
    ("devnet-status", || schema_for!(devnet::DevnetState)),
    ("devnet-reset", || schema_for!(devnet::DevnetReset)),
    ("train", || schema_for!(train::TrainSummary)),
    ("train-dry-run", || schema_for!(train::PlannedTraining)),
    ("eval", || schema_for!(train::HeldOutReport)),
    ("attribution-build", || schema_for!(attribution::BuiltIndex)),
    ("attribution-inspect", || {
        schema_for!(attribution::IndexInspection)
    }),
    ("attribution-verify", || {
        schema_for!(attribution::IndexVerification)
    }),
    ("attribution-audit", || {
        schema_for!(attribution::AuditReport)
    }),
    ("serve", || schema_for!(serve::ServerReady)),
    ("run", || schema_for!(run::ContainerReady)),
    ("bench-serve", || schema_for!(bench::BenchReport)),
    ("settle", || schema_for!(treasury::SettleReport)),
    ("settle-dry-run", || schema_for!(settle::SettleForecast)),
    ("withdraw", || schema_for!(treasury::WithdrawReport)),
    ("withdraw-dry-run", || {
        schema_for!(withdraw::WithdrawForecast)
    }),
    ("audit", || schema_for!(audit::LogAudit)),
    ("claim", || schema_for!(claim::ClaimReport)),
    ("call", || schema_for!(call::CallResult)),
    ("search", || schema_for!(SearchReport)),
    ("proxy", || schema_for!(proxy::ProxyReady)),
    ("proxy-new-key", || schema_for!(proxy::NewCallerKey)),
    ("channel", || schema_for!(channel::ChannelReport)),
    ("channel-list", || schema_for!(Vec<channel::ChannelReport>)),
    ("channel-refund", || schema_for!(channel::RefundReport)),
    ("channel-withdraw", || {
        schema_for!(channel::ChannelWithdrawal)
    }),
    ("receipts-list", || schema_for!(Vec<receipts::ReceiptEntry>)),
    ("receipts-show", || schema_for!(receipts::StoredReceipt)),
    ("receipts-pending", || {
        schema_for!(Vec<receipts::UnansweredCall>)
    }),
    ("receipts-forget", || {
        schema_for!(Vec<receipts::UnansweredCall>)
    }),
    ("receipts-why", || schema_for!(PublishedAttribution)),
    ("receipts-verify", || {
        schema_for!(receipts::ReceiptVerification)
    }),
    ("log-head", || schema_for!(log::LogHead)),
    ("log-prove", || schema_for!(log::LogProof)),
    ("log-consistency", || schema_for!(log::LogConsistency)),
    ("log-verify", || schema_for!(log::LogVerification)),
    ("log-count", || schema_for!(log::LogCount)),
    ("receipts-replay", || schema_for!(receipts::ReplayReport)),
    ("config-show", || schema_for!(config::ConfigReport)),
    ("config-get", || schema_for!(config::ConfigValue)),
    ("config-path", || schema_for!(config::ConfigPaths)),
    ("package", || schema_for!(package::PackageReport)),
    ("push", || schema_for!(push::PushReport)),
    ("pull", || schema_for!(pull::PullReport)),
    ("store", || schema_for!(Vec<store::StoredPackageReport>)),
    ("deploy", || schema_for!(deploy::DeployReport)),
    ("deploy-dry-run", || schema_for!(deploy::DeployProposal)),
    ("deploy-contracts", || schema_for!(deploy::ContractsReport)),
    ("explore", || schema_for!(RegistryReport)),
    ("dash", || schema_for!(dash::DashReport)),
    ("earnings", || schema_for!(earnings::EarningsReport)),
    ("verify", || schema_for!(verify::PackageVerification)),
    ("export", || schema_for!(export::ExportReport)),
    ("wallet-account", || schema_for!(wallet::AccountReport)),
    ("wallet-list", || schema_for!(Vec<wallet::AccountReport>)),
    ("wallet-balance", || schema_for!(wallet::BalanceReport)),
    ("wallet-model-key", || {
        schema_for!(model_key::ModelKeyReport)
    }),
    ("wallet-export", || schema_for!(wallet::ExportedKey)),
];
