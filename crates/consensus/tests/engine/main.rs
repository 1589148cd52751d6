//! Validators in one process, over a network in memory.

mod attacks;
mod chain;
mod faults;
mod growth;
mod kills;
mod net;
mod town;
