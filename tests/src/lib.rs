//! What the tests across crates share: plain references and generators.

pub mod binaries;
pub mod chain;
pub mod expected;
pub mod reference;
pub mod sample;
