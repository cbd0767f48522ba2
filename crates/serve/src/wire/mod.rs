//! The OpenAI wire format: requests read strictly, answers written.
//!
//! Unknown fields are refused, because a misspelt one would be ignored otherwise. A known field of the
//! wrong type or value is refused by name. So is a field that would change the meaning of the answer
//! if it were ignored. An answer tells all problems of a request.

pub mod chat;
pub mod completion;
pub mod envelope;
pub mod fields;
pub mod images;
pub mod inputs;
pub mod problems;
pub mod sampling;
