//! What the marker costs.

use std::time::{Duration, Instant};

use quittance_crypto::digest::Digest;
use quittance_storage::{Batch, Database, Identity, Table};

/// Writes of each kind, by turns.
const WRITES: u64 = 400;

/// About a block of four transfers.
const LENGTH: usize = 20_000;

/// The same batches written by RocksDB alone and by the store, on the machine's own disk.
#[test]
#[ignore = "a measurement"]
fn a_write_with_its_marker_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let plain = rocksdb::DB::open_default(folder.path().join("plain")).unwrap();
    let mut synced = rocksdb::WriteOptions::default();
    synced.set_sync(true);
    let identity = Identity { kind: "test".into(), format: 1, owner: Digest::ZERO };
    let table = Table("rows");
    let store = Database::open(&folder.path().join("store"), &identity, &[table]).unwrap();
    let (mut alone, mut marked) = (vec![], vec![]);
    for number in 0..WRITES {
        let value = vec![number as u8; LENGTH];
        let start = Instant::now();
        plain.put_opt(number.to_be_bytes(), &value, &synced).unwrap();
        alone.push(start.elapsed());
        std::thread::sleep(Duration::from_millis(5));
        let mut batch = Batch::new();
        batch.put_bytes(table, &number.to_be_bytes(), value);
        let start = Instant::now();
        store.write(batch).unwrap();
        marked.push(start.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    for (what, mut times) in [("RocksDB alone", alone), ("with the marker", marked)] {
        times.sort();
        let at = |percent: usize| times[times.len() * percent / 100];
        println!("{what}: median {:?}, 95 % {:?}", at(50), at(95));
    }
}
