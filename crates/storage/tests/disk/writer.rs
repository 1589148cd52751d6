//! The process that writes a chain.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use quittance_storage::{ChainError, ChainStore};

use crate::common::{genesis, next};
use crate::interpose::{Event, interpose};

const FOLDER: &str = "QUITTANCE_TEST_CHAIN";
const OPENINGS: &str = "QUITTANCE_TEST_OPENINGS";

/// Blocks that are written after each opening. Their log is longer than one of its 32 KiB parts.
pub const BLOCKS: usize = 10;

/// How the process ends when a write has failed.
pub const REFUSED: i32 = 3;

const SAYS: &str = "acknowledged ";

/// Not a test of its own: opens a chain so many times, and each time appends blocks.
#[test]
#[ignore = "run by the other tests, as a process of its own"]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let openings = std::env::var(OPENINGS).unwrap().parse().unwrap();
    for _ in 0..openings {
        if let Err(error) = write(&folder) {
            eprintln!("failed: {error}");
            std::process::exit(REFUSED);
        }
    }
}

fn write(folder: &Path) -> Result<(), ChainError> {
    let (store, mut recovered) = ChainStore::open(folder, &genesis("one"))?;
    let mut failure = None;
    for _ in 0..BLOCKS {
        let (block, certificate, changes) = next(&recovered.state, recovered.tip.as_ref());
        match store.append(&block, &certificate, &changes) {
            Ok(()) => println!("\n{SAYS}{}.", block.header.height),
            // It is there, although that could not be said.
            Err(ChainError::NotNext { .. }) => {}
            // Whoever goes on after a failure gets nothing written or read.
            Err(error) => {
                let read = store.block(block.header.height);
                assert!(read.is_err(), "a store is read after a failure");
                failure = failure.or(Some(error));
                continue;
            }
        }
        recovered.tip = Some(block.header);
    }
    failure.map_or(Ok(()), Err)
}

/// Runs the process on the chain at `root/above/data`, see [`interpose`].
pub fn run(root: &Path, openings: usize, log: Option<&Path>, fault: Option<&str>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["writer::writer", "--exact", "--ignored", "--nocapture"]);
    command.env(FOLDER, folder(root)).env(OPENINGS, openings.to_string());
    interpose(&mut command, root, log, fault);
    command.output().unwrap()
}

/// Where the chain is below a root.
pub fn folder(root: &Path) -> PathBuf {
    root.join("above").join("data")
}

/// The last height that these words acknowledge; heights come one after the other.
pub fn acknowledged(words: &str) -> usize {
    let heights = words.split(SAYS).skip(1).filter_map(|rest| rest.split('.').next()?.parse().ok());
    heights.fold(0, |last, height: usize| {
        assert_eq!(height, last + 1, "acknowledged out of order");
        height
    })
}

/// What was said in events.
pub fn said(events: &[Event]) -> String {
    let words = events.iter().filter_map(|event| match event {
        Event::Said(words) => Some(words.as_str()),
        _ => None,
    });
    words.collect()
}
