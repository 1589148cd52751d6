//! Durable stores. This is the only crate that knows RocksDB.
//!
//! [`Database`] is a set of ordered tables written in atomic, synced batches; agents and MPC
//! parties keep their records in one. [`ChainStore`] keeps a validator's chain in another: each
//! block is one batch, so that a crash at any moment leaves the chain after some whole block.
//!
//! A write has happened when its call returns, not before: everything is synced. An error of a
//! write means that the process must not go on, since what is on the disk is unknown; the store is
//! closed and answers nothing after it.
//!
//! A store that was opened holds all that was ever acknowledged. RocksDB alone cannot promise
//! that: it takes a log that lost its end for one whose last write was not completed. A small
//! file, `SYNCED`, keeps the number of the last acknowledged change, and a database that ends
//! before it is refused and left as it is. What the file does not show: that a disk has lost, in a
//! loss of power, writes that it had confirmed within the last milliseconds, since it may have lost
//! the file's last state with them; that the whole folder was replaced by an older copy; that it
//! was deleted; and bytes of old values that nobody reads (RocksDB notices them when they are
//! read).

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod chain;
mod database;
mod error;
mod evidence;
mod marker;
mod opening;

pub use chain::{ChainError, ChainStore, Recovered, StoredBlock};
pub use database::{Batch, Database, Identity, Row, Table};
pub use error::StorageError;
pub use evidence::{Kept, MAX_EVIDENCE, MAX_EVIDENCE_PER_VALIDATOR};
