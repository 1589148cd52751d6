//! Files of a validator that was killed are damaged. It recovers, or refuses and says which file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use quittance_ledger::ids::Height;
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;

use crate::common::banks::rng;
use crate::town::Town;
use crate::{convicted, top};

/// Whose files are damaged.
const VICTIM: usize = 3;

/// What is zeroed at once.
const PAGE: usize = 4096;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

fn below(random: &mut ChaCha20Rng, bound: usize) -> usize {
    random.next_u64() as usize % bound.max(1)
}

/// Damages one file of those that are not empty; says how.
fn damage(random: &mut ChaCha20Rng, data: &Path) -> String {
    let part = ["", "consensus/votes", "consensus/proposals"][below(random, 3)];
    let of_database =
        |path: &PathBuf| !part.is_empty() || !path.starts_with(data.join("consensus"));
    let mut found = files(&data.join(part));
    found.retain(|path| of_database(path) && path.metadata().unwrap().len() > 0);
    if found.is_empty() {
        return format!("nothing, since there is nothing in {part}");
    }
    let path = found.swap_remove(below(random, found.len()));
    let mut bytes = std::fs::read(&path).unwrap();
    let at = below(random, bytes.len());
    let what = match random.next_u32() % 4 {
        0 => {
            std::fs::remove_file(&path).unwrap();
            return format!("{} removed", path.display());
        }
        1 => {
            bytes.truncate(at);
            "cut"
        }
        2 => {
            bytes[at] ^= 1 << (random.next_u32() % 8);
            "flipped"
        }
        _ => {
            let (start, end) = (at / PAGE * PAGE, bytes.len().min(at / PAGE * PAGE + PAGE));
            bytes[start..end].fill(0);
            "zeroed"
        }
    };
    std::fs::write(&path, bytes).unwrap();
    format!("{} {what} at {at}", path.display())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for path in files(from) {
        let copy = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(&path, copy).unwrap();
    }
}

#[derive(Debug, Default)]
struct Outcomes {
    recovered: usize,
    refused: usize,
}

/// Where the state after this height's block is the same at the victim and at another.
async fn agrees(town: &Town, height: Height) -> bool {
    let mut roots = vec![];
    for at in [0, VICTIM] {
        let block = town.blocks(at, height, height).await.remove(0).block;
        roots.push((block.id(), block.header.state_root));
    }
    roots[0] == roots[1]
}

/// As the operator's guide says: the folder as it was before, or none, and no votes before the chain
/// has gone on.
async fn repair(town: &mut Town, data: &Path, kept: &Path) {
    std::fs::remove_dir_all(data).unwrap();
    copy(kept, data);
    town.configure(VICTIM, |file| file.votes = false);
    town.start(VICTIM);
    town.settle(0, 1).await;
    let reached = Height(top(town).await.0 + 1);
    town.settle(0, 1).await;
    assert!(town.reaches(VICTIM, reached).await, "{}", town.process(VICTIM).said());
    town.kill(VICTIM);
    town.configure(VICTIM, |file| file.votes = true);
    town.start(VICTIM);
}

/// Damages files so many times, at random.
async fn damage_files(cases: usize, seed: u64) {
    let (mut town, mut random) = (Town::new(4), rng(seed));
    town.settle(0, 2).await;
    let data = town.home(VICTIM).join("data");
    let kept = town.home(VICTIM).join("kept");
    let mut outcomes = Outcomes::default();
    for case in 0..cases {
        // In the middle of something.
        let transaction = town.pay();
        town.submit(0, &transaction).await;
        tokio::time::sleep(Duration::from_millis(u64::from(random.next_u32() % 60))).await;
        town.kill(VICTIM);
        let _ = std::fs::remove_dir_all(&kept);
        copy(&data, &kept);
        let damaged = damage(&mut random, &data);
        town.start(VICTIM);
        town.settle(0, 1).await;
        let reached = top(&town).await;
        if town.reaches(VICTIM, reached).await {
            outcomes.recovered += 1;
            assert!(agrees(&town, reached).await, "case {case}: {damaged}");
        } else {
            outcomes.refused += 1;
            let (status, said) = town.process(VICTIM).end(&damaged);
            let last = said.lines().last().unwrap_or_default();
            println!("case {case}: {damaged}: {last}");
            assert_eq!(status.code(), Some(1), "case {case}: {damaged}: {said}");
            let named = last.contains("VALDZZ04/data") || last.contains("consensus/proposals");
            assert!(named, "case {case}: {damaged}: {said}");
            town.kill(VICTIM);
            repair(&mut town, &data, &kept).await;
        }
        for at in 0..3 {
            assert!(convicted(&mut town, at).is_empty(), "case {case}: {damaged}");
        }
    }
    println!("{cases} cases: {outcomes:?}");
    assert!(outcomes.refused > 0, "nothing was noticed");
    town.kill(VICTIM);
    town.compare().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_with_damaged_files_recovers_or_says_which() {
    damage_files(5, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "up to an hour: `make slow`"]
async fn a_validator_with_damaged_files_recovers_or_says_which_in_200_cases() {
    damage_files(200, 2).await;
}
