//! The demonstration: banks, a committee, a validator and an auditor as processes on one machine.

pub mod currency;
pub mod gross;
pub mod input;
pub mod report;
