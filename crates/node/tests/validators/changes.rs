//! Validators that come, go, and change their keys, each at a height that a decision names.

use std::time::Duration;

use quittance_ledger::transaction::Change;

use crate::WORK;
use crate::town::Town;

fn join(town: &Town, at: usize) -> Vec<Change> {
    vec![town.admission(at), Change::PutValidator { institution: town.id(at), power: 1 }]
}

/// A fifth validator joins from an empty folder, before and after its height; then one leaves.
#[tokio::test(flavor = "multi_thread")]
async fn a_fifth_validator_joins_and_another_leaves() {
    let mut town = Town::with(4, 1);
    town.settle(0, WORK).await;
    let from = town.soon().await;
    let changes = join(&town, 4);
    town.decide(from, changes, &[0, 1, 2]).await;
    town.expect_set(&[0, 1, 2, 3, 4]);
    // It has the chain before it is its turn.
    town.start(4);
    town.reach(4, 1).await;
    town.hear(4, "is no validator yet").await;
    town.reach(0, from.0).await;
    town.settle(1, WORK).await;
    // Without the new one there is no quorum: four of five.
    town.kill(0);
    town.settle(4, WORK).await;
    town.start(0);
    town.compare().await;

    // Across the change by fetching blocks alone.
    town.kill(4);
    town.wipe(4);
    town.start(4);
    town.settle(1, WORK).await;
    town.compare().await;

    let to = town.soon().await;
    let gone = Change::RemoveValidator { institution: town.id(1) };
    town.decide(to, vec![gone], &[0, 2, 3, 4]).await;
    town.expect_set(&[0, 2, 3, 4]);
    town.reach(0, to.0 + 2).await;
    let said = town.hear(1, "is no validator any more").await;
    assert!(said.contains("the others send it no blocks"), "{said}");
    assert!(said.contains(&format!("from={to}")), "{said}");
    let (stopped, goes_on) = (town.height(1).await, town.height(0).await);
    assert!(stopped < to.0 + 1 && goes_on > to.0, "{stopped}, {goes_on}");
    while town.is_ready(1).await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    town.kill(1);
    town.settle(2, WORK).await;
    town.compare().await;
}

/// It has seen neither the decision nor its height.
#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_was_down_during_a_change_comes_back() {
    let mut town = Town::with(4, 1);
    town.settle(0, WORK).await;
    town.kill(3);
    let from = town.soon().await;
    let changes = join(&town, 4);
    town.decide(from, changes, &[0, 1, 2]).await;
    town.expect_set(&[0, 1, 2, 3, 4]);
    town.start(4);
    town.reach(0, from.0 + 5).await;
    town.start(3);
    town.settle(3, WORK).await;
    town.kill(0);
    town.settle(4, WORK).await;
    town.compare().await;
}

/// The process with the old key ends at the height; with the new one it follows before it, and
/// votes after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_vote_key_is_replaced_at_a_height() {
    let mut town = Town::new(4);
    town.settle(0, WORK).await;
    let from = town.soon().await;
    town.rotate(3, from).await;
    town.expect_set(&[0, 1, 2, 3]);
    let (status, said) = town.process(3).end("a validator whose key has changed");
    assert_eq!(status.code(), Some(1), "{said}");
    for words in [
        &format!("from height {from} on the chain has another vote key for VALDZZ04"),
        "put the key file with the new key in the place of `keys`, and start it again",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    town.kill(3);
    town.start(3);
    town.kill(0);
    town.settle(3, WORK).await;
    town.start(0);
    town.compare().await;

    // From an empty folder: the genesis has the old key.
    town.kill(3);
    town.wipe(3);
    town.start(3);
    town.hear(3, "the chain has another vote key than the key file").await;
    let (status, said) = town.process(3).end("a validator that learns of its key");
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("the vote key that VALDZZ04 has here: start it again"), "{said}");
    town.kill(3);
    town.start(3);
    town.kill(1);
    town.settle(3, WORK).await;
    town.compare().await;
}

/// One that decides alone, and is told by the chain that it is not alone any more.
#[tokio::test(flavor = "multi_thread")]
async fn one_validator_becomes_two() {
    let mut town = Town::with(1, 1);
    town.kill(0);
    town.isolate(0);
    town.start(0);
    town.settle(0, WORK).await;
    let from = town.soon().await;
    let changes = join(&town, 1);
    town.decide(from, changes, &[0]).await;
    let (status, said) = town.process(0).end("a validator that is not alone any more");
    assert_eq!(status.code(), Some(1), "{said}");
    for words in [
        &format!("from height {from} on this validator does not decide alone"),
        "VALDZZ01 is one of 2 validators",
        "name a `directory` with [validators] in the configuration, and start it again",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Nor does it start so.
    town.kill(0);
    town.start(0);
    let (_, said) = town.process(0).end("a validator without a directory");
    assert!(said.contains("it cannot decide alone; name a `directory`"), "{said}");
    town.kill(0);
    town.join_others(0);
    town.expect_set(&[0, 1]);
    town.start(0);
    town.start(1);
    town.settle(1, WORK).await;
    town.compare().await;
}
