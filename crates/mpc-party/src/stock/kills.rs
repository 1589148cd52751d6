//! A process that uses batches, killed (`SIGKILL`) while it does.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::tests::{COMMITTEE_CHAIN as CHAIN, committee, filled, first_side, id, open, ready};

const FOLDER: &str = "QUITTANCE_TEST_STOCK";

/// The batches that are there when the process begins, and how many of them it uses.
const BATCHES: std::ops::RangeInclusive<u64> = 1..=6;

/// What the process says of a batch that it has taken, and of one that it has kept.
const TOOK: &str = "took ";
const KEPT: &str = "kept ";

/// Not a test of its own: takes each batch that is there, and keeps a later one for each.
#[test]
#[ignore = "run by the other test, as a process of its own"]
fn user() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let fresh: Vec<_> = BATCHES.map(|number| first_side(CHAIN, 100 + number)).collect();
    let stock = open(&folder);
    for (number, fresh) in BATCHES.zip(&fresh) {
        let id = id(&stock, number);
        assert!(stock.take(&committee(CHAIN), &id).is_some());
        say(TOOK, number);
        assert!(stock.keep(fresh).unwrap());
        say(KEPT, fresh.id().number);
    }
}

/// Says it at once: what was said before the end is not lost.
fn say(what: &str, number: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{what}{number}.").and_then(|()| out.flush()).unwrap();
}

/// The number that a line speaks of.
fn number(line: &str, what: &str) -> Option<u64> {
    line.strip_prefix(what)?.strip_suffix('.')?.parse().ok()
}

/// Kills the process so long after so many words; all that it said.
fn killed(mut user: Child, words: usize, later: Duration) -> Vec<String> {
    let mut lines = BufReader::new(user.stdout.take().unwrap()).lines().map(Result::unwrap);
    let spoken = |line: &String| [TOOK, KEPT].iter().any(|what| number(line, what).is_some());
    let mut said: Vec<_> = lines.by_ref().filter(spoken).take(words).collect();
    std::thread::sleep(later);
    user.kill().unwrap();
    user.wait().unwrap();
    said.extend(lines.filter(spoken));
    said
}

/// Whatever the moment: what was taken is gone for good, what was kept is there, and at most the
/// batch that was being taken is lost.
#[test]
fn a_killed_process_leaves_no_used_batch_behind() {
    let mut cut_short = 0;
    for round in 0..24 {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(folder.path(), &BATCHES.collect::<Vec<_>>()));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["stock::kills::user", "--exact", "--ignored", "--nocapture"]);
        command.env(FOLDER, folder.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let (words, later) = (round % 10, Duration::from_micros(150 * (round as u64 / 2)));
        let said = killed(command.spawn().unwrap(), words, later);
        let all = |what| said.iter().filter_map(move |line| number(line, what));
        let last = all(TOOK).max().unwrap_or(0);
        cut_short += usize::from(last < *BATCHES.end());

        let stock = open(folder.path());
        let there = ready(&stock);
        assert!(there.iter().all(|number| *number > last), "{there:?} after {said:?}");
        assert!(all(KEPT).all(|number| there.contains(&number)), "{there:?} after {said:?}");
        let left = BATCHES.filter(|number| *number > last + 1);
        assert!(left.clone().all(|number| there.contains(&number)), "{there:?} after {said:?}");
    }
    assert!(cut_short > 6, "the process was to be killed at work, and was so {cut_short} times");
}
