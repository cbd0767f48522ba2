//! Events that a request has at most once, and their keys.

use openlora_ledger::event::Event;

/// An event that a request has at most once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UniqueKey {
    /// One of the constants here.
    pub kind: &'static str,
    pub request_id: String,
}

impl UniqueKey {
    pub const RESERVED: &str = "call_reserved";
    pub const METERED: &str = "call_metered";
    pub const TRACED: &str = "traced";
    pub const ATTRIBUTED: &str = "attributed";

    pub fn new(kind: &'static str, request_id: &str) -> Self {
        Self {
            kind,
            request_id: request_id.to_owned(),
        }
    }

    pub fn from_event(event: &Event) -> Option<Self> {
        let (kind, request_id) = match event {
            Event::CallReserved { request_id, .. } => (Self::RESERVED, request_id),
            Event::CallMetered { request_id, .. } => (Self::METERED, request_id),
            Event::Traced(traced) => (Self::TRACED, &traced.request_id),
            Event::Attributed(attributed) => (Self::ATTRIBUTED, &attributed.request_id),
            _ => return None,
        };
        Some(Self::new(kind, request_id))
    }
}
