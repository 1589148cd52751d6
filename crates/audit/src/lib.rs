//! The auditor: verifies a chain from its genesis, trusting no node.
//!
//! The rules are written here a second time, from `docs/protocols/ledger.md`: of the ledger crate
//! only types and their decoding are used. Signatures are verified by another library than the
//! validators use, range proofs one by one by the unmodified verifier of the crate `bulletproofs`,
//! and the state root is computed from all records by its recursive definition. So a defect must
//! be made twice to pass unnoticed.
//!
//! - [`Audit`] takes blocks one after the other and stops at the first fault, which it places.
//! - [`receipt`] verifies a receipt from nothing but a genesis or a checkpoint.
//! - [`evidence`] verifies in the same way that validators have contradicted themselves.
//! - [`archive`] reads and writes the file that a chain is exported to.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod archive;
mod audit;
mod books;
mod certificate;
mod digests;
pub mod evidence;
mod execution;
mod fault;
mod governance;
mod paths;
pub mod receipt;
mod root;
mod rounds;
#[cfg(test)]
mod tests;
mod transaction;

pub use audit::{Audit, Totals};
pub use certificate::Signed;
pub use fault::{Fault, Place};
