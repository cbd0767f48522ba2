//! Confidential data: credentials in URLs, files and folders that only their owner may read, and
//! keys in memory.
//!
//! Every other module may use this one, so it depends on none of them.

pub mod files;
pub mod memory;
pub mod redact;
