//! A committee with parties to spare: another attempt without the one that has failed.

use quittance_ledger::ids::InstitutionId;
use quittance_round::message::{Attempt, Report};
use quittance_round::start::Start;
use tonic::Code;

use crate::common::gridlock::*;
use crate::common::*;

/// The next attempt, by these parties.
fn next(world: &World, start: &Start, numbers: &[u8]) -> Start {
    let active = world.parties().active(numbers).unwrap();
    Start { attempt: start.attempt + 1, active, ..start.clone() }
}

fn named(report: &Report) -> &[InstitutionId] {
    let Report::Failed { named, .. } = report else { panic!("{}", report.name()) };
    named
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_goes_on_without_a_killed_party_which_takes_part_in_the_next() {
    let mut world = World::of(8, &FIVE).await;
    let (all, round, start) = long_round(&mut world).await;
    world.coordinator.broadcast(&signed(&world, &start)).await;
    in_the_middle(&world).await;
    world.stop_party(FIVE[1]).await;
    let failed = world.coordinator.reported("failed", 1).await;
    let (who, report) = failed.iter().find(|(who, _)| *who != id(FIVE[1])).unwrap();
    assert!(!named(report).contains(who), "{report:?}");

    let second = next(&world, &start, &[1, 3, 5]);
    world.coordinator.broadcast(&signed(&world, &second)).await;
    world.settles_as_in_clear(&all, &second).await;
    let attempt = Attempt { round, number: 1 };
    let idle = world.results_of(all[0].id, FIVE[3], attempt, 0).await.err().unwrap();
    assert!(idle.message().contains("other parties compute"), "{idle}");
    let old = world.results(all[0].id, FIVE[0], round, 0).await.err().unwrap();
    assert_eq!(old.code(), Code::FailedPrecondition, "{old}");

    world.start_party(FIVE[1]).await;
    end_round(&mut world, round);
    let banks = gridlock(&mut world);
    let round = world.open_round(&banks);
    let dealings = world.deal_all(round, &banks).await;
    let first = world.start(round, &banks, &dealings);
    let active = world.parties().active(&[2, 3, 4]).unwrap();
    let third = Start { active, ..first };
    world.coordinator.broadcast(&signed(&world, &third)).await;
    world.settles_as_in_clear(&banks, &third).await;
}

/// A party does nothing, since it has never been told: the others are still waiting for it when the
/// coordinator has lost patience.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_stalls_is_ended_by_the_next() {
    let mut world = World::of(4, &FIVE[..4]).await;
    let banks = gridlock(&mut world);
    let round = world.open_round(&banks);
    let dealings = world.deal_all(round, &banks).await;
    let start = world.start(round, &banks, &dealings);
    for party in [FIVE[0], FIVE[2]] {
        world.coordinator.send(id(party), &signed(&world, &start)).await;
    }
    let waiting = world.results(banks[0].id, FIVE[0], round, 500).await.err().unwrap();
    assert_eq!(waiting.code(), Code::DeadlineExceeded);

    let second = next(&world, &start, &[1, 3, 4]);
    world.coordinator.broadcast(&signed(&world, &second)).await;
    world.settles_as_in_clear(&banks, &second).await;
    // What was told late is not taken up any more.
    world.coordinator.send(id(FIVE[1]), &signed(&world, &start)).await;
    let failed = world.coordinator.reported("failed", 3).await;
    let late = failed.iter().find(|(who, _)| *who == id(FIVE[1])).unwrap();
    assert_eq!(named(&late.1), [id(FIVE[1])]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_2t_plus_1_parties_of_the_committee_are_started() {
    let mut world = World::of(4, &FIVE[..4]).await;
    let banks = gridlock(&mut world);
    let round = world.open_round(&banks);
    let dealings = world.deal_all(round, &banks).await;
    let start = world.start(round, &banks, &dealings);
    let larger = quittance_mpc::Parties::new(5, 1).unwrap();
    let more = quittance_mpc::Parties::new(5, 2).unwrap();
    let foreign = [larger.active(&[1, 2, 5]).unwrap(), more.first_active()];
    for (active, party) in foreign.into_iter().zip(FIVE) {
        let start = Start { active, ..start.clone() };
        world.coordinator.send(id(party), &signed(&world, &start)).await;
    }
    let failed = world.coordinator.reported("failed", 2).await;
    for (who, report) in failed {
        let Report::Failed { reason, .. } = report else { panic!() };
        assert!(reason.as_str().contains("not 2t + 1 of the round's committee"), "{who}: {reason}");
    }
}
