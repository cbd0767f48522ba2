//! A server that sells its calls, put together as `serve` does it: what happens to money when
//! processes die, disks fill up, callers cheat, and many pay at once.

mod attacks;
mod chains;
mod disk;
mod faults;
mod flip;
mod gas;
mod hang_ups;
mod hostile;
mod identity;
mod leaving;
mod parallel;
mod pictures;
mod proxies;
mod refunds;
pub mod shop;
mod soak;
mod transfers;
mod undelivered;
