//! What the tests across crates share: plain references and generators.

pub mod binaries;
pub mod chain;
pub mod ears;
pub mod expected;
pub mod ledgers;
pub mod network;
pub mod python;
pub mod reference;
pub mod sample;
pub mod secrets;
pub mod tables;
pub mod tape;
