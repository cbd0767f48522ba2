//! What every handler of a server shares: its parts, its limits and the signal to stop.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    access::Access,
    attribution::Attributions,
    body::BodyMemory,
    gate::Gate,
    hosted::Shelf,
    meter::Meter,
    metrics::Metrics,
    payment::{Currency, Sales},
    quotes::Quotes,
    unread::Unread,
};
use crate::runtime::journal::Journal;

/// Sizes that bound what callers can ask of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeLimits {
    /// Calls on engines at once.
    pub max_concurrent: usize,
    /// Calls waiting for a turn.
    pub queue: usize,
    /// Largest request body in bytes.
    pub max_body: usize,
    /// Answer length in tokens when the caller sets none.
    pub max_tokens: usize,
}

/// How a running server is told to stop; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// No new calls; running ones finish.
    pub draining: CancellationToken,
    /// Running calls end now.
    pub hurry: CancellationToken,
}

/// What handlers share; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

pub struct Parts {
    pub shelf: Shelf,
    pub meter: Meter,
    pub gate: Arc<Gate>,
    pub metrics: Metrics,
    pub journal: Journal,
    pub limits: ServeLimits,
    pub stop: Stop,
    pub attributions: Attributions,
    pub bodies: BodyMemory,
    pub quotes: Quotes,
    pub unread: Arc<Unread>,
    /// Absent where calls are free.
    pub sales: Option<Sales>,
    pub access: Access,
}

impl App {
    /// What prices are in.
    pub fn currency(&self) -> Option<&Currency> {
        self.sales.as_ref().map(|sales| &sales.currency)
    }

    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
