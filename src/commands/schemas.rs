//! JSON Schemas of what `--json` prints, made from the very types that are printed.

use schemars::{Schema, schema_for};

use super::{
    attribution, audit, call, channel, claim, config, dash, data, demo, deploy, devnet, doctor,
    earnings, init, package, receipts, serve, settle, train, wallet, withdraw,
};
use crate::{
    printer::ErrorEnvelope,
    runtime::{
        package::verify,
        serve::attribution::published::PublishedAttribution,
        train::{estimate::Estimate, evaluate},
    },
    wallet::explore::Explored,
};

/// A result's name and the maker of its schema; `schemas/NAME.json` holds it.
pub type Published = (&'static str, fn() -> Schema);

/// Every published schema.
pub const SCHEMAS: &[Published] = &[
    ("error", || schema_for!(ErrorEnvelope)),
    ("demo", || schema_for!(demo::Report)),
    ("init", || schema_for!(init::Initialised)),
    ("doctor", || schema_for!(doctor::Report)),
    ("data-check", || schema_for!(data::CheckReport)),
    ("data-preview", || schema_for!(Vec<data::Preview>)),
    ("data-split", || schema_for!(data::SplitReport)),
    ("devnet-start", || schema_for!(devnet::Started)),
    ("devnet-stop", || schema_for!(devnet::Stopped)),
    ("devnet-status", || schema_for!(devnet::State)),
    ("devnet-reset", || schema_for!(devnet::Reset)),
    ("train", || schema_for!(train::Summary)),
    ("train-dry-run", || schema_for!(Estimate)),
    ("eval", || schema_for!(evaluate::Report)),
    ("attribution-build", || schema_for!(attribution::Built)),
    ("attribution-inspect", || {
        schema_for!(attribution::Inspected)
    }),
    ("attribution-verify", || schema_for!(attribution::Verified)),
    ("attribution-audit", || {
        schema_for!(attribution::AuditReport)
    }),
    ("serve", || schema_for!(serve::Ready)),
    ("settle", || schema_for!(settle::Settlement)),
    ("settle-dry-run", || schema_for!(settle::Forecast)),
    ("withdraw", || schema_for!(withdraw::Withdrawal)),
    ("withdraw-dry-run", || schema_for!(withdraw::Withdrawable)),
    ("audit", || schema_for!(audit::Audited)),
    ("claim", || schema_for!(claim::Claimed)),
    ("call", || schema_for!(call::Answered)),
    ("channel", || schema_for!(channel::Shown)),
    ("channel-list", || schema_for!(Vec<channel::Shown>)),
    ("channel-refund", || schema_for!(channel::Refunded)),
    ("channel-withdraw", || schema_for!(channel::Withdrawn)),
    ("receipts-show", || schema_for!(receipts::Kept)),
    ("receipts-pending", || schema_for!(Vec<receipts::Waiting>)),
    ("receipts-why", || schema_for!(PublishedAttribution)),
    ("receipts-verify", || schema_for!(receipts::Verified)),
    ("config-show", || schema_for!(config::Shown)),
    ("config-path", || schema_for!(config::Paths)),
    ("package", || schema_for!(package::Packaged)),
    ("deploy", || schema_for!(deploy::Deployed)),
    ("deploy-dry-run", || schema_for!(deploy::Proposal)),
    ("deploy-contracts", || schema_for!(deploy::Contracts)),
    ("explore", || schema_for!(Explored)),
    ("dash", || schema_for!(dash::Report)),
    ("earnings", || schema_for!(earnings::Report)),
    ("verify", || schema_for!(verify::Report)),
    ("wallet-account", || schema_for!(wallet::Listed)),
    ("wallet-list", || schema_for!(Vec<wallet::Listed>)),
    ("wallet-balance", || schema_for!(wallet::Balance)),
    ("wallet-export", || schema_for!(wallet::Exported)),
];
