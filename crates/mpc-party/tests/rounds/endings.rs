//! Rounds that do not go well, or end.

use std::time::Duration;

use quittance_crypto::commitment::Opening;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_round::message::{Attempt, Instruction, Reason, Report};
use tonic::Code;

use crate::common::gridlock::*;
use crate::common::*;

/// Two banks that pay each other, with what the parties have computed for them.
async fn computed_for_two(
    world: &mut World,
) -> (Vec<Bank>, RoundId, Vec<(InstitutionId, Opening)>) {
    let banks = vec![world.bank(1, 10, &[(2, 100)]), world.bank(2, 0, &[(1, 95)])];
    let round = world.open_round(&banks);
    let dealings = world.deal_all(round, &banks).await;
    let start = world.start(round, &banks, &dealings);
    world.coordinator.broadcast(&signed(world, &start)).await;
    let mut balances = vec![];
    for bank in &banks {
        let result = world.result(bank, &start, &banks).await;
        assert_eq!(result.settled, 1);
        balances.push((bank.id, settled_balance(bank, &result)));
    }
    (banks, round, balances)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_that_ends_takes_its_secrets_with_it() {
    let mut world = World::new(2).await;
    let (banks, round, balances) = computed_for_two(&mut world).await;
    end_round(&mut world, round);
    for party in PARTIES {
        let mut refused = world.results(banks[0].id, party, round, 0).await;
        while refused.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            refused = world.results(banks[0].id, party, round, 0).await;
        }
        let refused = refused.err().unwrap();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("has ended; its shares are erased"), "{refused}");
        let refused = world.receipts(banks[0].id, party, round).await.err().unwrap();
        assert!(refused.message().contains("has not settled"), "{refused}");
    }
    // No valid chain has this; the shares are gone all the same.
    let settlement = world.chain.settlement(round, &balances, &world.rings, &mut world.rng);
    world.include(vec![settlement]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let refused = world.receipts(banks[0].id, PARTIES[0], round).await.err().unwrap();
    assert!(refused.message().contains("has no shares of BANKZZ01"), "{refused}");
}

/// A settlement that all have signed may land after the coordinator has given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_round_that_settles_all_the_same_has_receipts() {
    let mut world = World::new(2).await;
    let (banks, round, balances) = computed_for_two(&mut world).await;
    let attempt = Attempt { round, number: 0 };
    let reason = Reason::new("a bank has not signed");
    world.coordinator.broadcast(&Instruction::Abandoned { attempt, reason }).await;
    let mut refused = world.results(banks[0].id, PARTIES[0], round, 0).await;
    while refused.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        refused = world.results(banks[0].id, PARTIES[0], round, 0).await;
    }
    let refused = refused.err().unwrap();
    assert!(refused.message().contains("abandoned: a bank has not signed"), "{refused}");
    let settlement = world.chain.settlement(round, &balances, &world.rings, &mut world.rng);
    world.include(vec![settlement]);
    let mut found = world.receipts(banks[1].id, PARTIES[0], round).await;
    while found.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        found = world.receipts(banks[1].id, PARTIES[0], round).await;
    }
    assert_eq!(found.ok().unwrap().subject.round, round);
}

/// What was reported on a stream that broke is reported again on the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_attends_again_and_repeats_its_report() {
    let mut world = World::new(2).await;
    let (_, round, _) = computed_for_two(&mut world).await;
    let first = world.coordinator.reported("computed", 3).await;
    world.coordinator.cut(id(PARTIES[1]));
    world.coordinator.attended(id(PARTIES[1])).await;
    let again = world.coordinator.reported("computed", 4).await;
    let of_second = |reports: &[(InstitutionId, Report)]| {
        reports.iter().find(|(who, _)| *who == id(PARTIES[1])).unwrap().clone()
    };
    assert_eq!(again[3], of_second(&first));
    assert_eq!(again[3].1.round(), round);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_that_was_restarted_has_forgotten_and_says_so() {
    let mut world = World::new(4).await;
    let banks = gridlock(&mut world);
    let round = world.open_round(&banks);
    let dealings = world.deal_all(round, &banks).await;
    let start = world.start(round, &banks, &dealings);
    world.restart_party(PARTIES[2]).await;
    world.coordinator.broadcast(&signed(&world, &start)).await;
    let failed = world.coordinator.reported("failed", 1).await;
    let (who, Report::Failed { reason, named, .. }) = &failed[0] else { panic!() };
    assert_eq!((*who, &named[..]), (id(PARTIES[2]), &[id(PARTIES[2])][..]));
    assert_eq!(reason.as_str(), "BANKZZ01 has dealt nothing that was accepted");
    let forgotten = world.results(banks[0].id, PARTIES[2], round, 0).await.err().unwrap();
    assert_eq!(forgotten.code(), Code::FailedPrecondition);
    assert!(forgotten.message().contains(&round.to_string()), "{forgotten}");
    assert!(forgotten.message().contains("restarted"), "{forgotten}");

    // The others wait for it, until the coordinator gives up.
    let waiting = world.results(banks[0].id, PARTIES[0], round, 200).await.err().unwrap();
    assert_eq!(waiting.code(), Code::DeadlineExceeded);
    let attempt = Attempt { round, number: 0 };
    let reason = Reason::new("a party has failed");
    world.coordinator.broadcast(&Instruction::Abandoned { attempt, reason }).await;
    let ended = world.results(banks[0].id, PARTIES[0], round, 10_000).await.err().unwrap();
    assert_eq!(ended.code(), Code::FailedPrecondition);
    assert!(ended.message().contains("abandoned: a party has failed"), "{ended}");
    // It is not taken up again, and its inputs are erased.
    let again = world.deal(banks[0].id, PARTIES[2], &dealings[0].message(3).unwrap()).await;
    assert_eq!(again.unwrap_err().code(), Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_that_goes_away_in_the_middle_ends_the_session_for_all() {
    let mut world = World::new(8).await;
    let (all, round, start) = long_round(&mut world).await;
    world.coordinator.broadcast(&signed(&world, &start)).await;
    in_the_middle(&world).await;
    world.stop_party(PARTIES[1]).await;
    let failed = world.coordinator.reported("failed", 2).await;
    for (who, report) in failed.iter().filter(|(who, _)| *who != id(PARTIES[1])) {
        let Report::Failed { reason, named, .. } = report else { panic!() };
        assert!(reason.as_str().contains("the connection with MPC"), "{who}: {reason}");
        assert_eq!(named.len(), 1, "{named:?}");
    }
    let ended = world.results(all[0].id, PARTIES[0], round, 0).await.err().unwrap();
    assert_eq!(ended.code(), Code::FailedPrecondition, "{ended}");

    // It comes back, and the next round is as any other.
    world.start_party(PARTIES[1]).await;
    end_round(&mut world, round);
    let banks = gridlock(&mut world);
    let round = world.open_round(&banks);
    let dealings = world.deal_all(round, &banks).await;
    let start = world.start(round, &banks, &dealings);
    world.coordinator.broadcast(&signed(&world, &start)).await;
    world.settles_as_in_clear(&banks, &start).await;
}
