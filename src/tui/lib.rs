//! The dashboard: a live view of a journal in a terminal.
//!
//! A key becomes an [`DashAction`](action::DashAction). The pure function [`update`](update::update) turns
//! it into a changed [`DashModel`](model::DashModel) and [`DashEffect`](effect::DashEffect)s as data. Views
//! draw the model and compute nothing, and only [`run`](run::run) accesses the terminal. This crate
//! does not know the source of the records.

pub mod action;
pub mod detail;
pub mod effect;
pub mod export;
pub mod figures;
pub mod filter;
pub mod flow;
pub mod guard;
pub mod key;
pub mod keymap;
pub mod layout;
pub mod model;
pub mod money;
pub mod plain;
pub mod refresh;
pub mod run;
pub mod shown;
pub mod sums;
pub mod text;
pub mod theme;
pub mod training;
pub mod update;
pub mod view;
