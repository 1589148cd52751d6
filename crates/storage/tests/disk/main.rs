//! A chain on a disk that forgets, fails, fills up or is damaged: everything that was acknowledged
//! is there, or the store is refused.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod cost;
mod damage;
mod faults;
#[path = "../../../../tests/disk/image.rs"]
mod image;
#[path = "../../../../tests/disk/interpose.rs"]
mod interpose;
mod power;
mod writer;

use std::path::Path;

use common::{genesis, next};
use quittance_crypto::encoding::Decode;
use quittance_ledger::block::{Block, Header};
use quittance_ledger::ids::Height;
use quittance_ledger::state::State;
use quittance_storage::{ChainError, ChainStore};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tempfile::TempDir;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A folder in memory where there is one: a sync costs nothing there, and none of these tests
/// relies on the machine's own disk.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    TempDir::new_in(parent).unwrap()
}

/// The headers of the chain that every test here writes, from height 1.
fn headers(count: usize) -> Vec<Header> {
    let state = State::genesis(&genesis("one")).unwrap();
    let mut headers: Vec<Header> = vec![];
    for _ in 0..count {
        headers.push(next(&state, headers.last()).0.header);
    }
    headers
}

/// Opens a chain and reads all of it; returns its height. What is there must be the chain that
/// `expected` begins, from the first block on.
fn read(folder: &Path, expected: &[Header]) -> Result<usize, ChainError> {
    let (store, recovered) = ChainStore::open(folder, &genesis("one"))?;
    assert_eq!(recovered.state, State::genesis(&genesis("one")).unwrap());
    let height = recovered.tip.map_or(0, |tip| tip.height.0) as usize;
    assert!(height <= expected.len(), "block {height} was never made");
    for (number, header) in (1..).zip(&expected[..height]) {
        let stored = store.block(Height(number))?.expect("a block below the tip");
        assert_eq!(Block::from_bytes(&stored.block).unwrap().header, *header);
    }
    assert_eq!(store.block(Height(height as u64 + 1))?, None);
    Ok(height)
}

/// The store that was read can be written: the next block is there after another opening.
fn goes_on(folder: &Path, expected: &[Header], height: usize) {
    let (store, recovered) = ChainStore::open(folder, &genesis("one")).unwrap();
    let (block, certificate, changes) = next(&recovered.state, recovered.tip.as_ref());
    store.append(&block, &certificate, &changes).unwrap();
    drop(store);
    assert_eq!(read(folder, expected).unwrap(), height + 1);
}
