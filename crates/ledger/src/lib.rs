//! Transactions, the rules that apply them to a state, and certificates.
//!
//! ```text
//! build --------> transaction --verify--> Transaction<Verified> --execute--> state, block
//! (an agent's openings)  (proofs, signatures)               (sequences, sums, credits, rounds)
//! ```
//!
//! Everything here is pure: bytes and states in, verdicts and states out. The formats and rules are
//! written down in `docs/protocols/ledger.md`.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod block;
pub mod build;
pub mod certificate;
pub mod evidence;
pub mod execute;
pub mod genesis;
pub mod ids;
mod json;
pub mod merkle;
pub mod payload;
pub mod proposal;
pub mod receipt;
pub mod state;
#[cfg(test)]
mod testing;
pub mod transaction;
pub mod tree;
pub mod verify;
