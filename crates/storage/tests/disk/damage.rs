//! Files that were damaged after they had been written: what is opened is whole, or it is refused.

use std::fs;
use std::path::{Path, PathBuf};

use quittance_crypto::digest::Digest;
use quittance_storage::{Batch, ChainStore, Database, Identity, StorageError, Table};
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;
use tempfile::TempDir;

use crate::common::{genesis, next};
use crate::image::below;
use crate::{goes_on, headers, read, rng, scratch};

const BLOCKS: usize = 10;

/// Blocks of the chain that is damaged: the first half in a table, the second in the log.
const WHOLE: usize = 2 * BLOCKS;

fn chain() -> TempDir {
    let folder = scratch();
    for _ in 0..2 {
        let (store, mut recovered) = ChainStore::open(folder.path(), &genesis("one")).unwrap();
        for _ in 0..BLOCKS {
            let (block, certificate, changes) = next(&recovered.state, recovered.tip.as_ref());
            store.append(&block, &certificate, &changes).unwrap();
            recovered.tip = Some(block.header);
        }
    }
    folder
}

fn copy(folder: &Path) -> TempDir {
    let copy = scratch();
    for name in names(folder) {
        fs::copy(folder.join(&name), copy.path().join(&name)).unwrap();
    }
    copy
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The files whose name fits, longest first.
fn like(folder: &Path, fits: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        names(folder).iter().filter(|name| fits(name)).map(|name| folder.join(name)).collect();
    found.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    found
}

/// The one log that is in use.
fn log(folder: &Path) -> PathBuf {
    like(folder, |name| name.ends_with(".log")).remove(0)
}

fn list(folder: &Path) -> PathBuf {
    let current = fs::read_to_string(folder.join("CURRENT")).unwrap();
    folder.join(current.trim_end())
}

/// What became of damaged copies.
#[derive(Debug, Default)]
struct Verdicts {
    whole: usize,
    refused: usize,
}

impl Verdicts {
    /// Damages a copy and opens it: all of the chain is there, or an error says what is wrong.
    fn judge(&mut self, folder: &Path, what: &str, damage: impl FnOnce(&Path)) -> Option<String> {
        let copy = copy(folder);
        damage(copy.path());
        match read(copy.path(), &headers(WHOLE)) {
            Ok(height) => {
                assert_eq!(height, WHOLE, "{what}: opened without its last blocks");
                self.whole += 1;
                None
            }
            Err(error) => {
                self.refused += 1;
                let error = error.to_string();
                assert!(!error.is_empty(), "{what}");
                Some(error)
            }
        }
    }
}

fn cut(file: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(file).unwrap().set_len(length).unwrap();
}

/// Where the records of a RocksDB log begin, and its end: 32 KiB parts hold records with a header
/// of a checksum, a length and a kind; what is too short for a header is left out at their end.
fn boundaries(bytes: &[u8]) -> Vec<u64> {
    const PART: usize = 32 * 1024;
    const HEADER: usize = 7;
    let (mut place, mut found) = (0, vec![]);
    while place + HEADER <= bytes.len() {
        found.push(place as u64);
        let length = u16::from_le_bytes([bytes[place + 4], bytes[place + 5]]) as usize;
        place += HEADER + length;
        if PART - place % PART < HEADER {
            place += PART - place % PART;
        }
    }
    assert_eq!(place, bytes.len(), "the log is not made of records");
    found
}

#[test]
fn a_log_that_lost_what_was_acknowledged_is_refused() {
    let chain = chain();
    let mut verdicts = Verdicts::default();
    for of in [log, list] {
        let bytes = fs::read(of(chain.path())).unwrap();
        let boundaries = boundaries(&bytes);
        assert!(boundaries.len() > 5, "{boundaries:?}");
        for boundary in boundaries {
            let what = format!("{:?} cut at {boundary}", of(chain.path()));
            let error = verdicts.judge(chain.path(), &what, |copy| cut(&of(copy), boundary));
            let error = error.unwrap_or_else(|| panic!("{what}: opened"));
            assert!(error.contains("acknowledged changes are missing"), "{what}: {error}");
        }
        let what = format!("{:?} deleted", of(chain.path()));
        let error = verdicts.judge(chain.path(), &what, |copy| fs::remove_file(of(copy)).unwrap());
        assert!(error.is_some(), "{what}");
    }
}

/// Cuts every kind of file at random bytes.
fn cut_at_random(times: usize, seed: u64) {
    let chain = chain();
    let mut random = rng(seed);
    for kind in ["log", "MANIFEST", "sst", "CURRENT", "SYNCED"] {
        let mut verdicts = Verdicts::default();
        for _ in 0..times {
            let files = like(chain.path(), |name| name.contains(kind));
            let file = &files[below(&mut random, files.len())];
            let length = below(&mut random, fs::metadata(file).unwrap().len() as usize) as u64;
            let (name, what) = (file.file_name().unwrap(), format!("{file:?} cut at {length}"));
            let error = verdicts.judge(chain.path(), &what, |copy| cut(&copy.join(name), length));
            // The other place of the marker, and all bytes of CURRENT but its line feed, are enough.
            let enough = matches!(kind, "CURRENT" | "SYNCED");
            assert!(error.is_some() || enough, "{what}: opened");
        }
        println!("{kind} cut: {verdicts:?}");
    }
}

#[test]
fn files_cut_anywhere_are_refused() {
    cut_at_random(20, 1);
}

#[test]
#[ignore = "minutes: `make slow`"]
fn files_cut_at_a_thousand_bytes_are_refused() {
    cut_at_random(1_000, 2);
}

/// Flips bits in every kind of file.
fn flip_bits(times: usize, seed: u64) {
    let chain = chain();
    let mut random = rng(seed);
    for kind in [".log", "MANIFEST", "sst", "CURRENT", "SYNCED", "OPTIONS", "IDENTITY", "LOG"] {
        let mut verdicts = Verdicts::default();
        for _ in 0..times {
            let files = like(chain.path(), |name| name.contains(kind));
            let file = &files[below(&mut random, files.len())];
            let mut bytes = fs::read(file).unwrap();
            let (place, bit) = (below(&mut random, bytes.len()), random.next_u32() % 8);
            bytes[place] ^= 1 << bit;
            let (name, what) =
                (file.file_name().unwrap(), format!("bit {bit} at {place} of {file:?}"));
            verdicts.judge(chain.path(), &what, |copy| fs::write(copy.join(name), bytes).unwrap());
        }
        println!("{kind} flipped: {verdicts:?}");
        // What decides is protected as a whole; tables have bytes that nobody reads.
        assert!(!matches!(kind, ".log" | "MANIFEST") || verdicts.whole == 0, "{kind} {verdicts:?}");
    }
}

#[test]
fn flipped_bits_are_noticed_or_change_nothing() {
    flip_bits(15, 3);
}

#[test]
#[ignore = "minutes: `make slow`"]
fn hundreds_of_flipped_bits_are_noticed_or_change_nothing() {
    flip_bits(300, 4);
}

#[test]
fn a_marker_that_is_gone_or_unreadable_is_not_begun_anew() {
    let chain = chain();
    let mut verdicts = Verdicts::default();
    let marker = |copy: &Path| copy.join("SYNCED");
    let gone = verdicts.judge(chain.path(), "gone", |copy| fs::remove_file(marker(copy)).unwrap());
    let zeros =
        verdicts.judge(chain.path(), "zeros", |it| fs::write(marker(it), [0; 8192]).unwrap());
    for error in [gone, zeros] {
        let error = error.unwrap();
        assert!(error.contains("SYNCED: missing or unreadable"), "{error}");
    }
    let only = verdicts.judge(chain.path(), "all but the marker gone", |copy| {
        for name in names(copy).iter().filter(|name| *name != "SYNCED") {
            fs::remove_file(copy.join(name)).unwrap();
        }
    });
    assert!(only.unwrap().contains("acknowledged changes are missing"));
}

/// A write that was under way leaves anything behind the last record that was acknowledged.
#[test]
fn what_was_never_acknowledged_may_be_torn() {
    let chain = chain();
    let mut random = rng(5);
    let whole = fs::read(log(chain.path())).unwrap();
    let boundaries = boundaries(&whole);
    let another = &whole[boundaries[0] as usize..boundaries[1] as usize];
    let mut holes = another.to_vec();
    holes[20..].fill(0);
    for tail in
        [&another[..5], &another[..another.len() - 1], &holes, &[0; 5000], &noise(&mut random)]
    {
        let copy = copy(chain.path());
        fs::write(log(copy.path()), [&whole, tail].concat()).unwrap();
        let expected = headers(WHOLE + 1);
        assert_eq!(read(copy.path(), &expected).unwrap(), WHOLE);
        goes_on(copy.path(), &expected, WHOLE);
    }
}

fn noise(random: &mut ChaCha20Rng) -> Vec<u8> {
    let mut bytes = vec![0; 3000];
    random.fill_bytes(&mut bytes);
    bytes
}

/// A log that is not the last one holds what a table, still in memory, needs.
#[test]
fn an_older_log_that_is_gone_or_cut_is_refused() {
    const TABLES: [Table; 2] = [Table("large"), Table("small")];
    let open = |folder: &Path| {
        let identity = Identity { kind: "test".into(), format: 1, owner: Digest::ZERO };
        Database::open(folder, &identity, &TABLES)
    };
    let folder = scratch();
    let database = open(folder.path()).unwrap();
    let put = |table, number: u64, length| {
        let mut batch = Batch::new();
        batch.put_bytes(table, &number.to_be_bytes(), vec![1; length]);
        database.write(batch).unwrap();
    };
    (0..10).for_each(|number| put(TABLES[1], number, 10));
    (0..70).for_each(|number| put(TABLES[0], number, 1 << 20));
    (10..20).for_each(|number| put(TABLES[1], number, 10));
    drop(database);
    let logs = like(folder.path(), |name| name.ends_with(".log"));
    assert_eq!(logs.len(), 2, "{logs:?}");
    let older = logs[0].file_name().unwrap();

    let whole = copy(folder.path());
    assert_eq!(open(whole.path()).unwrap().scan(TABLES[1], b"", 99).unwrap().len(), 20);
    for damage in [|file: &Path| fs::remove_file(file).unwrap(), |file: &Path| cut(file, 1 << 20)] {
        let copy = copy(folder.path());
        damage(&copy.path().join(older));
        let error = open(copy.path()).err().unwrap();
        assert!(matches!(error, StorageError::Database { .. }), "{error}");
    }
}
