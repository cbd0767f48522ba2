//! The dashboard as a process: its plain output, on a terminal, and beside a server.

mod attach;
mod board;
mod live;
mod plain;
mod terminal;
