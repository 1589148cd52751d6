//! The demonstration: banks, a committee, a validator and an auditor as processes on one machine.

pub mod bank;
pub mod bilateral;
pub mod closing;
pub mod currency;
pub mod error;
pub mod gross;
pub mod input;
pub mod network;
pub mod progress;
pub mod report;
pub mod rounds;
pub mod run;
