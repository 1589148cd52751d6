//! Several validators, each a process of its own, under load: killed, wiped and started again.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod changes;
#[path = "../common/mod.rs"]
mod common;
#[path = "../../../../tests/disk/interpose.rs"]
#[allow(dead_code, reason = "shared with the tests of the store")]
mod interpose;
#[path = "../kill/process.rs"]
mod process;
mod town;
mod votes;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rand_core::RngCore;
use town::Town;

/// Transactions between two kills.
const WORK: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn four_validators_decide_one_chain_wherever_transactions_are_submitted() {
    let mut town = Town::new(4);
    let began = Instant::now();
    for at in (0..4).cycle().take(20) {
        town.settle(at, 1).await;
    }
    let each = began.elapsed() / 20;
    println!("four validators: {each:?} from submission to finality, one after the other");
    town.compare().await;
}

/// One that a client of another validator is told of is known to all.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_known_at_every_validator() {
    let mut town = Town::new(4);
    let transaction = town.pay();
    town.submit(0, &transaction).await;
    let mut seen = BTreeSet::new();
    for at in 0..4 {
        seen.insert(format!("{:?}", town.outcome(at, &transaction).await));
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    town.compare().await;
}

/// Whoever submits to a validator that dies right after it has said yes learns from another what became
/// of it, and from the dead one when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_is_known_through_another_validator_and_after_a_restart() {
    let mut town = Town::new(4);
    town.settle(0, 1).await;
    for at in [0, 1, 2, 3] {
        let transaction = town.pay();
        town.submit(at, &transaction).await;
        town.kill(at);
        let elsewhere = town.outcome((at + 1) % 4, &transaction).await;
        town.start(at);
        assert_eq!(town.outcome(at, &transaction).await, elsewhere);
        // It is not done again.
        town.submit(at, &transaction).await;
    }
    // All of them at once.
    let transaction = town.pay();
    town.submit(0, &transaction).await;
    (0..4).for_each(|at| town.kill(at));
    (0..4).for_each(|at| town.start(at));
    town.outcome(3, &transaction).await;
    town.compare().await;
}

/// Kills validators so many times: one, as many as may fail, or all.
async fn kill(validators: usize, times: usize, seed: u64) {
    let mut town = Town::new(validators);
    let mut random = common::banks::rng(seed);
    town.settle(0, WORK).await;
    for _ in 0..times {
        let faulty = (validators - 1) / 3;
        let count = [1, faulty, validators][(random.next_u32() % 3) as usize];
        let first = random.next_u32() as usize % validators;
        let killed: Vec<_> = (0..count).map(|k| (first + k) % validators).collect();
        // In the middle of something.
        let transaction = town.pay();
        town.submit_to_any(&transaction).await;
        tokio::time::sleep(Duration::from_millis(u64::from(random.next_u32() % 60))).await;
        killed.iter().for_each(|at| town.kill(*at));
        if let Some(at) = town.running() {
            town.settle(at, WORK).await;
        }
        killed.iter().for_each(|at| town.start(*at));
        let at = (first + 1) % validators;
        town.settle(at, WORK).await;
    }
    let transactions = town.compare().await;
    println!("{validators} validators, {times} times killed: {transactions} transactions");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_validators_come_back_and_nothing_is_lost_or_done_twice() {
    kill(4, 4, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: `make slow`"]
async fn four_and_seven_validators_outlive_fifty_kills() {
    kill(4, 50, 2).await;
    kill(7, 50, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_has_lost_everything_gets_it_back_from_the_others() {
    let mut town = Town::new(4);
    town.settle(0, 2 * WORK).await;
    town.kill(3);
    town.wipe(3);
    town.start(3);
    town.settle(1, WORK).await;
    town.compare().await;
}

/// With half of the validators there is no progress, and nothing is said to be final.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_nothing_becomes_final() {
    let mut town = Town::new(4);
    town.settle(0, WORK).await;
    town.kill(2);
    town.kill(3);
    let transaction = town.pay();
    town.submit(0, &transaction).await;
    assert!(!town.is_final_within(0, &transaction, Duration::from_secs(4)).await);
    town.start(2);
    assert!(town.is_final_within(0, &transaction, Duration::from_secs(60)).await);
    town.start(3);
    town.compare().await;
}
