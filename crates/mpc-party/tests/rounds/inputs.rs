//! Dealings and starts, and how they are refused.

use std::time::Duration;

use quittance_round::dealing::Answer;
use quittance_round::message::Report;
use quittance_round::start::{Roster, Seat, Start};
use quittance_rpc::proto::party::v1::DealRequest;
use tonic::Code;

use crate::common::gridlock::*;
use crate::common::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dealings_are_taken_once_and_checked_against_the_ledger() {
    let mut world = World::new(4).await;
    let banks = gridlock(&mut world);
    world.fund(&banks);
    let round = world.open();
    world.join(round, &banks[..3]);
    let dealings = world.dealings(round, &banks[0]);
    let message = dealings.message(1).unwrap();

    // Another's name, nonsense.
    let refused = world.deal(banks[1].id, PARTIES[0], &message).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    let refused = world.deal(banks[0].id, PARTIES[0], &[1, 2, 3]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");

    // The same again has the same answer, a different one is refused.
    let first = world.deal(banks[0].id, PARTIES[0], &message).await.unwrap();
    assert_eq!(world.deal(banks[0].id, PARTIES[0], &message).await.unwrap(), first);
    let other = world.dealings(round, &banks[0]).message(1).unwrap();
    let refused = world.deal(banks[0].id, PARTIES[0], &other).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");

    // A dealing may come before the block in which its dealer joins; it does not wait for ever.
    let late = world.dealings(round, &banks[3]).message(1).unwrap();
    let never = world.dealings(round, &banks[3]).message(2).unwrap();
    let refused = world.deal(banks[3].id, PARTIES[1], &never);
    let accepted = async {
        let early = world.deal(banks[3].id, PARTIES[0], &late);
        tokio::pin!(early);
        let waits = tokio::time::timeout(Duration::from_millis(300), &mut early).await;
        assert!(waits.is_err());
        early.await
    };
    let (refused, accepted) = tokio::join!(refused, accepted);
    for refused in [refused.unwrap_err(), accepted.unwrap_err()] {
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().contains("BANKZZ04 has not joined the round"), "{refused}");
    }
    let (agent, request) =
        (world.agent(banks[3].id, PARTIES[0]), DealRequest { dealing: late.to_vec() });
    let early = tokio::spawn(async move { agent.clone().deal(request).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!early.is_finished());
    world.join(round, &banks[3..]);
    early.await.unwrap().unwrap();
}

/// Of whose amounts are not proven to be in range each party complains; the others settle without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dealing_without_good_range_proofs_is_left_out_of_the_round() {
    let mut world = World::new(4).await;
    let banks = gridlock(&mut world);
    let round = world.open_round(&banks);
    let (cheat, honest) = banks.split_last().unwrap();
    // None; those of another's queue; those of its own queue, made for another's account.
    let missing = vec![];
    let foreign = world.ranges(&honest[0].queue, cheat.id);
    let elsewhere = world.ranges(&cheat.queue, honest[0].id);
    let cases = [
        (missing, "0 range proofs for a queue of 1 groups"),
        (foreign, "the amounts from place 0 on are not proven"),
        (elsewhere, "the amounts from place 0 on are not proven"),
    ];
    for ((ranges, expected), (number, party)) in cases.into_iter().zip((1..).zip(PARTIES)) {
        let dealings = world.dealings_with(round, cheat, ranges);
        let message = dealings.message(number).unwrap();
        let answer = world.answer(cheat.id, party, &message).await.unwrap();
        let Answer::Complained(complaint) = answer else { panic!("{party} is content") };
        let reason = &complaint.unverified().reason;
        assert!(reason.as_str().contains(&format!("dealing of {}", cheat.id)), "{reason}");
        assert!(reason.as_str().contains(expected), "{reason}");
        // Nothing else is taken from it.
        let others = world.dealings(round, cheat).message(number).unwrap();
        let refused = world.deal(cheat.id, party, &others).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    }
    let dealings = world.deal_all(round, honest).await;
    let start = world.start(round, honest, &dealings);
    world.coordinator.broadcast(&signed(&world, &start)).await;
    for bank in honest {
        world.result(bank, &start, &banks).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_that_the_ledger_does_not_allow_are_refused() {
    let mut world = World::new(4).await;
    let banks = gridlock(&mut world);
    world.fund(&banks);
    let round = world.open();
    world.join(round, &banks[..3]);
    let dealings = world.deal_all(round, &banks[..3]).await;
    let start = world.start(round, &banks[..3], &dealings);
    let seat = |bank: &Bank| Seat { institution: bank.id, dealing: dealings[0].digest() };
    let seats = |banks: &[Bank]| Roster::new(banks.iter().map(seat).collect()).unwrap();

    let by_another = signed_by(&world, &start, CENTRAL);
    let attempt = signed(&world, &Start { attempt: 1, ..start.clone() });
    let stranger = signed(&world, &Start { roster: seats(&banks[1..]), ..start.clone() });
    let other = signed(&world, &Start { roster: seats(&banks[..2]), ..start.clone() });
    let cases = [
        (PARTIES[0], &by_another, "CENTZZ01 is not the coordinator who has opened the round"),
        (PARTIES[0], &attempt, "the round has 1 attempts"),
        (PARTIES[1], &stranger, "BANKZZ04 has not joined"),
        (PARTIES[2], &other, "BANKZZ02 has dealt"),
    ];
    for (place, (party, instruction, expected)) in cases.into_iter().enumerate() {
        world.coordinator.send(id(party), instruction).await;
        let reports = world.coordinator.reported("failed", place + 1).await;
        let (who, Report::Failed { reason, .. }) = reports.last().unwrap() else { panic!() };
        assert_eq!(*who, id(party));
        assert!(reason.as_str().contains(expected), "{reason}");
    }
}
