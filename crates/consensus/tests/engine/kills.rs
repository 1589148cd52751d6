//! A process with four validators that is killed, and what they have said.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quittance_consensus::Role;
use quittance_consensus::wire::Frame;
use quittance_crypto::digest::Digest;
use quittance_ledger::certificate::VoteKind;
use quittance_ledger::ids::{Height, InstitutionId};

use crate::chain::CHAIN;
use crate::net::Weather;
use crate::town::{House, Town, set};

/// Tells the process that is to be killed where its validators are.
const FOLDER: &str = "QUITTANCE_TEST_TOWN";

/// How many times it is killed.
const KILLS: u64 = 6;

/// Four validators in this folder, and all that they send.
fn town(folder: &Path) -> Town {
    let mut town = Town::empty(Arc::new(|_| set(&[0, 1, 2, 3])), Weather::default());
    let runs = fs::read_dir(folder.join("sent")).unwrap().count();
    town.net.tap(File::create_new(folder.join("sent").join(runs.to_string())).unwrap());
    for number in 0..4 {
        town.add(House::at(number, folder.join(number.to_string())), Role::Voter);
    }
    town
}

#[test]
#[ignore = "is the process that `nobody_says_two_things_however_often_it_is_killed` kills"]
fn four_validators_until_they_are_killed() {
    let folder = PathBuf::from(std::env::var(FOLDER).expect("the folder"));
    let town = town(&folder);
    loop {
        town.reach(town.top() + 1);
    }
}

/// What is said in one place: the vote's kind, or nothing for a proposal.
type Place = (InstitutionId, Height, u32, Option<VoteKind>);

/// All that was sent, by its place.
fn said(folder: &Path) -> BTreeMap<Place, BTreeSet<Digest>> {
    let mut said: BTreeMap<Place, BTreeSet<Digest>> = BTreeMap::new();
    for entry in fs::read_dir(folder.join("sent")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let mut rest = &bytes[..];
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            // A kill may cut the last one.
            let Some((frame, after)) = after.split_at_checked(length) else { break };
            rest = after;
            let (place, digest) = match Frame::from_frame(frame, CHAIN).unwrap() {
                Frame::Vote(vote) | Frame::VoteAgain(vote) => {
                    let (who, vote) = (vote.institution, vote.vote);
                    ((who, vote.height, vote.round, Some(vote.kind)), vote.digest())
                }
                Frame::Proposal(proposal) => {
                    let (who, proposal) = (proposal.institution, proposal.proposal);
                    ((who, proposal.height, proposal.round, None), proposal.digest())
                }
                _ => continue,
            };
            said.entry(place).or_default().insert(digest);
        }
    }
    said
}

#[test]
fn nobody_says_two_things_however_often_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sent")).unwrap();
    let chain = folder.path().join("0").join("chain");
    let height = || fs::read_dir(&chain).map_or(0, Iterator::count) as u64;
    for kill in 0..KILLS {
        let before = height();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "kills::four_validators_until_they_are_killed"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Kills at other moments of a block each time, once some have been made.
        let end = Instant::now() + Duration::from_secs(60);
        while height() < before + 3 {
            assert!(process.try_wait().unwrap().is_none(), "the validators have ended");
            assert!(Instant::now() < end, "no blocks are made after {kill} kills");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(1700 * kill));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let town = town(folder.path());
    town.reach(town.top() + 5);
    town.agree();
    assert!(town.houses.iter().all(|house| house.disk.reports().is_empty()));
    drop(town);
    let said = said(folder.path());
    assert!(said.len() as u64 > 3 * KILLS * 8, "{} things were said", said.len());
    let twice: Vec<&Place> =
        said.iter().filter(|(_, digests)| digests.len() > 1).map(|(place, _)| place).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
