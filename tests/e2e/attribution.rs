//! The attribution index as a person uses it.

mod command;
