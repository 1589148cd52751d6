//! A validator whose log of votes, or folder of proposed blocks, cannot be used: it stops, says
//! which, and votes again once the disk is well.

use std::fs;
use std::path::PathBuf;

use crate::WORK;
use crate::interpose::interpose;
use crate::town::Town;

/// Replaces what is at `part` of a validator's folder of consensus, until the end of the test.
fn replace(town: &Town, part: &str, by_a_folder: bool) -> (PathBuf, PathBuf) {
    let path = town.consensus(3).join(part);
    let aside = path.with_extension("aside");
    fs::rename(&path, &aside).unwrap();
    match by_a_folder {
        true => fs::create_dir(&path).unwrap(),
        false => fs::write(&path, b"no folder").unwrap(),
    }
    (path, aside)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_does_not_start_without_its_log_of_votes_or_its_blocks() {
    let mut town = Town::new(4);
    town.settle(3, WORK).await;
    town.kill(3);
    for (part, by_a_folder, words) in [
        ("votes", false, "the folder of the log of votes, "),
        ("votes/votes.log", true, "the consensus engine has not started with its log of votes, "),
        ("proposals", false, "the folder of proposed blocks, "),
    ] {
        let (path, aside) = replace(&town, part, by_a_folder);
        town.start(3);
        let (status, said) = town.process(3).end(part);
        assert_eq!(status.code(), Some(1), "{part}: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.contains(words), "{part}: {said}");
        let named = path.display().to_string();
        assert!(last.contains(&named), "{named}: {said}");
        town.kill(3);
        match by_a_folder {
            true => fs::remove_dir(&path).unwrap(),
            false => fs::remove_file(&path).unwrap(),
        }
        fs::rename(aside, path).unwrap();
        town.settle(0, 1).await;
    }
    town.start(3);
    town.settle(3, WORK).await;
    town.compare().await;
}

/// The disk fails, or is full, when a vote is to be written or synced.
#[tokio::test(flavor = "multi_thread")]
async fn a_validator_whose_log_of_votes_fails_stops_and_votes_again_when_the_disk_is_well() {
    let mut town = Town::new(4);
    town.settle(0, WORK).await;
    for fault in ["fail 6 log sync", "full 9 log write"] {
        town.kill(3);
        let votes = town.consensus(3).join("votes");
        town.start_with(3, |command| interpose(command, &votes, None, Some(fault)));
        let (status, said) = town.process(3).end(fault);
        assert_eq!(status.code(), Some(1), "{fault}: {said}");
        let last = said.lines().last().unwrap_or_default();
        let log = votes.join("votes.log");
        let words = format!("log of votes, {}, has failed: look at its disk", log.display());
        assert!(last.contains(&words), "{fault}: {said}");
        // The others go on meanwhile.
        town.kill(3);
        town.settle(1, WORK).await;
        town.start(3);
        town.kill(0);
        town.settle(3, WORK).await;
        town.start(0);
        town.compare().await;
    }
}
