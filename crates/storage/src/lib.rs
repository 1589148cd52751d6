//! Durable stores. This is the only crate that knows RocksDB.
//!
//! [`Database`] is a set of ordered tables written in atomic, synced batches; agents and MPC
//! parties keep their records in one. [`ChainStore`] keeps a validator's chain in another: each
//! block is one batch, so that a crash at any moment leaves the chain after some whole block.
//!
//! A write has happened when its call returns, not before: everything is synced. An error of a
//! write means that the process must not go on, since what is on the disk is unknown.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod chain;
mod database;

pub use chain::{ChainError, ChainStore, Recovered, StoredBlock};
pub use database::{Batch, Database, Identity, Row, StorageError, Table};
