//! The dashboard as a process: its plain output, on a terminal, and beside a server.

mod live;
mod plain;
mod terminal;
