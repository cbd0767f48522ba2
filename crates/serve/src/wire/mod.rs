//! The OpenAI wire format: requests read strictly, answers written.
//!
//! Unknown fields are ignored as OpenAI ignores them; a known field of the wrong type or value,
//! or one whose being ignored would change what the answer means, is refused by name.

pub mod chat;
pub mod completion;
pub mod envelope;
pub mod fields;
pub mod inputs;
pub mod sampling;
