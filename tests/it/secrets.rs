//! What must stay with whoever runs the server: its operator's routes, the files of its home,
//! credentials in addresses, keys in memory, and its life when files are cut short.

mod access;
mod addresses;
mod advisories;
mod commands;
mod files;
mod memory;
mod model;
mod truncated;
