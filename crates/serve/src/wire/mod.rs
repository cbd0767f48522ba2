//! The OpenAI wire format: requests read strictly, answers written.
//!
//! Unknown fields are ignored as OpenAI ignores them. A known field of the wrong type or value is
//! refused by name. So is a field that would change the meaning of the answer if it were ignored.

pub mod chat;
pub mod completion;
pub mod envelope;
pub mod fields;
pub mod inputs;
pub mod sampling;
