//! The pure fold from events to a snapshot.
