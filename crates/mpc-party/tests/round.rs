//! A round as three parties see it, over TLS.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::*;
use quittance_circuit_library::netting::{self, Netting};
use quittance_crypto::commitment::Opening;
use quittance_crypto::field::Fr;
use quittance_crypto::signature::Purpose;
use quittance_round::envelope::Signed;
use quittance_round::message::{Attempt, Instruction, Reason, Report};
use quittance_round::receipt::{Receipt, Signers};
use quittance_round::result::BankResult;
use quittance_round::start::{Roster, Seat, Start};
use quittance_rpc::identity::{Process, ProcessName};
use tonic::Code;

/// Signed by the coordinator.
fn signed(world: &World, start: &Start) -> Instruction {
    signed_by(world, start, COORDINATOR)
}

fn signed_by(world: &World, start: &Start, who: &str) -> Instruction {
    let key = world.rings[&id(who)].signing(Purpose::Round);
    Instruction::Start(Signed::sign(start.clone(), id(who), key))
}

/// Four banks in gridlock: the first three pay each other in a circle, the last has nothing.
fn gridlock(world: &mut World) -> Vec<Bank> {
    vec![
        world.bank(1, 30, &[(2, 100), (3, 20), (4, 1)]),
        world.bank(2, 15, &[(3, 110)]),
        world.bank(3, 0, &[(1, 90), (4, 15), (1, 1_000)]),
        world.bank(4, 3, &[(1, 500)]),
    ]
}

/// What the netting gives in the clear, by bank: settled payments, inflow, net.
fn in_clear(banks: &[Bank]) -> Vec<(u32, Fr, Fr)> {
    let ids: Vec<_> = banks.iter().map(|bank| bank.id).collect();
    let payees = |bank: &Bank| -> Vec<_> {
        bank.queue.payments().iter().map(|payment| payment.payee).collect()
    };
    let queues: Vec<_> = banks.iter().map(|bank| netting::truncate(&ids, &payees(bank))).collect();
    let inputs: Vec<_> = banks
        .iter()
        .zip(&queues)
        .map(|(bank, queue)| {
            let payments = bank.queue.payments().iter().take(queue.len());
            let amounts = payments.map(|payment| payment.amount).collect();
            netting::Bank { liquidity: bank.balance.value, amounts }
        })
        .collect();
    let netting = Netting::new(queues).unwrap();
    let inputs = netting.inputs(&inputs).unwrap();
    let run = netting.until_settled().unwrap().run_in_clear(inputs).unwrap();
    let results = netting.results(run.outputs).unwrap().banks;
    let settled = |bits: &[Fr]| bits.iter().filter(|bit| **bit == Fr::from(1u64)).count() as u32;
    results.iter().map(|bank| (settled(&bank.settled), bank.inflow, bank.net)).collect()
}

fn field(value: i128) -> Fr {
    let magnitude = Fr::from(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

/// The balance of a bank after the settlement.
fn settled_balance(bank: &Bank, result: &BankResult) -> Opening {
    let value = i128::from(bank.balance.value) + result.net;
    let blinding = &bank.balance.blinding + &result.blinding;
    Opening::new(u64::try_from(value).unwrap(), blinding)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_brings_each_bank_its_result_and_its_receipts() {
    let mut world = World::new(5).await;
    let mut banks = gridlock(&mut world);
    banks.push(world.bank(5, 50, &[(1, 10)]));
    let round = world.open_round(&banks);
    let dealings = world.deal_all(round, &banks).await;
    let left_out = banks.pop().unwrap();
    let start = world.start(round, &banks, &dealings);
    let early = world.receipts(banks[0].id, PARTIES[0], round).await.err().unwrap();
    assert!(early.message().contains("has not settled"), "{early}");
    let none = world.results(banks[0].id, PARTIES[0], round, 50).await.err().unwrap();
    assert_eq!(none.code(), Code::DeadlineExceeded, "{none}");

    world.coordinator.broadcast(&signed(&world, &start)).await;
    let expected = in_clear(&banks);
    assert!(expected.iter().any(|(settled, ..)| *settled > 0));
    let mut balances = vec![];
    let mut results = vec![];
    for (bank, (settled, inflow, net)) in banks.iter().zip(expected) {
        let result = world.result(bank, &start, &banks).await;
        assert_eq!((result.settled, Fr::from(result.inflow)), (settled, inflow));
        assert_eq!(field(result.net), net);
        balances.push((bank.id, settled_balance(bank, &result)));
        results.push(result);
    }
    let computed = world.coordinator.reported("computed", 3).await;
    for (_, report) in &computed {
        let Report::Computed { attempt, session, steps, nets } = report else { panic!() };
        assert_eq!(*attempt, Attempt { round, number: 0 });
        assert_eq!((*session, *steps), (results[0].session, results[0].steps));
        assert_eq!(*nets, results[0].nets);
    }
    refused_to_others(&world, &left_out, round).await;

    let settlement = world.chain.settlement(round, &balances, &world.rings, &mut world.rng);
    let transaction = settlement.id();
    world.include(vec![settlement]);
    check_receipts(&world, round, &banks, &results, transaction).await;
    let late = world.results(banks[0].id, PARTIES[0], round, 0).await.err().unwrap();
    assert!(late.message().contains("has settled"), "{late}");
    let none = world.receipts(left_out.id, PARTIES[0], round).await.err().unwrap();
    assert!(none.message().contains("took no part"), "{none}");

    // Receipts outlive the process.
    world.restart_party(PARTIES[1]).await;
    check_receipts(&world, round, &banks, &results, transaction).await;
}

/// Who is not in the roster gets nothing, nor does who is no bank's agent.
async fn refused_to_others(world: &World, left_out: &Bank, round: quittance_ledger::ids::RoundId) {
    for party in PARTIES {
        let refused = world.results(left_out.id, party, round, 0).await.err().unwrap();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        let refused = world.results(id(CENTRAL), party, round, 0).await.err().unwrap();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().contains("no dealing of CENTZZ01"), "{refused}");
        // Another party may connect, for frames only.
        let other = ProcessName { institution: bank(1), process: Process::Party };
        let request = quittance_rpc::proto::party::v1::ResultsRequest {
            round_id: quittance_crypto::encoding::Encode::to_bytes(&round),
            attempt: 0,
            wait_ms: 0,
        };
        let refused = world.client(other, party).results(request).await.err().unwrap();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    }
}

async fn check_receipts(
    world: &World,
    round: quittance_ledger::ids::RoundId,
    banks: &[Bank],
    results: &[BankResult],
    settlement: quittance_ledger::ids::TransactionId,
) {
    let keys = world.chain.receipt_keys();
    let signers = Signers { parties: committee(), keys: &keys };
    for (bank, result) in banks.iter().zip(results) {
        let mut shares = vec![];
        for party in PARTIES {
            // It may take a moment until the party has seen the block.
            let mut found = world.receipts(bank.id, party, round).await;
            for _ in 0..200 {
                if found.is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
                found = world.receipts(bank.id, party, round).await;
            }
            shares.extend(found.unwrap());
        }
        let mut own = 0;
        for receipt in Receipt::gather(shares) {
            let receipt = receipt.unwrap_or_else(|error| panic!("{error}"));
            let subject = *receipt.subject();
            assert_eq!((subject.round, subject.settlement), (round, settlement));
            assert!(subject.payer == bank.id || subject.payee == bank.id);
            let payer = banks.iter().find(|bank| bank.id == subject.payer).unwrap();
            let leaf = payer.queue.leaves()[subject.place as usize];
            let settled = receipt.verify(signers, &leaf).unwrap_or_else(|error| panic!("{error}"));
            if subject.payer == bank.id {
                own += 1;
                assert_eq!(settled, subject.place < result.settled);
            } else {
                let bit = result
                    .received
                    .iter()
                    .find(|bit| (bit.payer, bit.place) == (subject.payer, subject.place));
                assert_eq!(settled, bit.unwrap().settles);
            }
        }
        assert_eq!(own, bank.queue.payments().len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dealings_are_taken_once_and_checked_against_the_ledger() {
    let mut world = World::new(4).await;
    let banks = gridlock(&mut world);
    world.fund(&banks);
    let round = world.open();
    world.join(round, &banks[..3]);
    let dealings = world.dealings(round, &banks[0]);
    let message = dealings.message(1).unwrap();

    // Wrong shares, another party's shares, another's name, nonsense.
    let mut tampered = message.to_vec();
    let share = tampered.len() - 60;
    tampered[share] ^= 1;
    let refused = world.deal(banks[0].id, PARTIES[0], &tampered).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let refused = world.deal(banks[0].id, PARTIES[1], &message).await.unwrap_err();
    assert!(refused.message().contains("for party 1"), "{refused}");
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
    let (agent, request) = (
        world.agent(banks[3].id, PARTIES[0]),
        quittance_rpc::proto::party::v1::DealRequest { dealing: late.to_vec() },
    );
    let early = tokio::spawn(async move { agent.clone().deal(request).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!early.is_finished());
    world.join(round, &banks[3..]);
    early.await.unwrap().unwrap();
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
    let (who, Report::Failed { reason, .. }) = &failed[0] else { panic!() };
    assert_eq!(*who, id(PARTIES[2]));
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
    let all: Vec<_> = (1..=8)
        .map(|number| {
            let payments: Vec<_> =
                (0..100).map(|k| (1 + (number + k % 7) % 8, 100 + 7 * k as u64)).collect();
            world.bank(number, 100, &payments)
        })
        .collect();
    let round = world.open_round(&all);
    let dealings = world.deal_all(round, &all).await;
    let start = world.start(round, &all, &dealings);
    world.coordinator.broadcast(&signed(&world, &start)).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let early = world.coordinator.reports();
    assert!(early.is_empty(), "the session is too short for this test: {early:?}");
    world.stop_party(PARTIES[1]).await;
    let failed = world.coordinator.reported("failed", 2).await;
    for (who, report) in failed.iter().filter(|(who, _)| *who != id(PARTIES[1])) {
        let Report::Failed { reason, .. } = report else { panic!() };
        assert!(reason.as_str().contains("the connection with MPC"), "{who}: {reason}");
    }
    let ended = world.results(all[0].id, PARTIES[0], round, 0).await.err().unwrap();
    assert_eq!(ended.code(), Code::FailedPrecondition, "{ended}");
}
