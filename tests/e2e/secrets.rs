//! What must stay with whoever runs the server: the files of its home, credentials in addresses,
//! keys in memory, and its life when files are cut short.

mod addresses;
mod advisories;
mod commands;
mod files;
mod memory;
mod model;
mod truncated;
