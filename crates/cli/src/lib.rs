//! What the binary `quittance` is made of.
//!
//! [`demo`] holds the demonstration: its input, what it shows, and how it runs. [`testnet`] makes
//! networks for trying out.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod demo;
pub mod table;
pub mod testnet;
