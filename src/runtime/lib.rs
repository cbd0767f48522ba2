//! The running node: connects crates that do not know each other. It takes typed values, reports
//! through typed results and notices, and knows neither the command line nor the terminal.

pub mod access_tokens;
mod announcing;
pub mod board;
pub mod daily_bytes;
pub mod faucet;
pub mod finished;
pub mod followers;
pub mod home;
pub mod journal;
pub mod notice;
pub mod paid_serving;
pub mod profile;
pub mod provenance;
pub mod published_log;
pub mod registry_packages;
pub mod resource_probe;
pub mod rewards;
pub mod running_server;
pub mod serving_bench;
pub mod standings;
pub mod tile_source;
pub mod transparency_log;
pub mod treasury;
