//! A bank's agent: its wallet.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod exchange;
pub mod wallet;
