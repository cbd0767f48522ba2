//! Protects the user's private data: addresses that carry credentials, files and folders that only
//! their owner may read, keys in memory, terminals that text from other parties must not control,
//! and a network into which addresses from other parties must not lead.
//!
//! Every other module may use this one, so it depends on none of them.

pub mod files;
pub mod foreign_text;
pub mod internet;
pub mod memory;
pub mod redact;
