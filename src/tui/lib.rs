//! The dashboard: a live view of a journal in a terminal.
//!
//! A key becomes an [`DashAction`](action::DashAction). The pure function [`update`](update::update) turns
//! it into a changed [`DashModel`](model::DashModel) and [`DashEffect`](effect::DashEffect)s as data. Views
//! draw the model and compute nothing, and only [`run`](run::run) accesses the terminal. This crate
//! does not know the source of the records.
//!
//! ```
//! use openlora_tui::{
//!     model::{DashModel, DashOptions},
//!     update::{DashMessage, update},
//!     view,
//! };
//! use ratatui::{buffer::Buffer, layout::Rect};
//!
//! let now_ms = 1_700_000_000_000;
//! let mut model = DashModel::new(DashOptions::default(), (100, 30), now_ms);
//! let effects = update(&mut model, DashMessage::Frame(now_ms));
//! assert!(effects.is_empty());
//! let area = Rect::new(0, 0, 100, 30);
//! let mut screen = Buffer::empty(area);
//! view::draw_into(&mut screen, area, &model);
//! ```

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
