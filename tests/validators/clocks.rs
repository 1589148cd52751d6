//! The clock of one validator is wrong by an hour.

use quittance_ledger::ids::Height;

use crate::top;
use crate::town::{Town, name};

const HOUR: i64 = 3_600_000;

/// Rounds after the first until a block is decided, of which the first proposer's was refused.
const ROUNDS: u32 = 2;

/// Blocks from the fourth on are looked at: each validator has proposed.
async fn town_with_clock(ahead: i64) -> (Town, Vec<(u32, u64)>) {
    let mut town = Town::furnished(4);
    town.ways[3].ahead = ahead;
    (0..4).for_each(|at| town.start(at));
    town.settle(0, 2).await;
    let first = top(&town).await;
    while top(&town).await < Height(first.0 + 8) {
        town.settle(0, 1).await;
    }
    let blocks = town.blocks(0, first.next(), Height(first.0 + 8)).await;
    let rounds = blocks.iter().map(|it| (it.certificate.round, it.block.header.height.0));
    (town, rounds.collect())
}

/// Proposals of one whose clock is ahead are refused, and the others decide in the next round.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_an_hour_ahead_costs_its_owner_his_proposals() {
    let (mut town, rounds) = town_with_clock(HOUR).await;
    for (round, height) in rounds {
        // The fourth proposes in the first round of every fourth height.
        let late = height % 4 == 3;
        assert_eq!(round > 0, late, "height {height} was decided in round {round}");
        assert!(round <= ROUNDS, "height {height} was decided in round {round}");
    }
    let said = town.process(0).said();
    let refused = |line: &str| line.contains("block refused") && line.contains(&name(3));
    assert!(said.lines().any(refused), "{said}");
    town.compare().await;
}

/// One whose clock is behind takes all others' proposals for early, and does not vote for them. It
/// gets the blocks that they have decided, and what it proposes itself is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_an_hour_behind_keeps_nobody_from_following() {
    let (mut town, rounds) = town_with_clock(-HOUR).await;
    for (round, height) in rounds {
        assert!(round <= ROUNDS, "height {height} was decided in round {round}");
    }
    let top = top(&town).await;
    assert!(town.reaches(3, top).await);
    // Through the one that is slow as well.
    town.settle(3, 1).await;
    town.compare().await;
}
