//! Validators in one process, over a network in memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attacks;
mod chain;
mod faults;
mod growth;
mod kills;
mod net;
mod town;
