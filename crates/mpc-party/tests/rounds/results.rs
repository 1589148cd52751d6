//! A round that goes well.

use std::time::Duration;

use quittance_crypto::encoding::Encode;
use quittance_crypto::field::Fr;
use quittance_ledger::ids::{RoundId, TransactionId};
use quittance_round::message::{Attempt, Report};
use quittance_round::receipt::{Disclosure, Queue, Receipt, Signers, Statement, Subject};
use quittance_round::result::{BankResult, ReceivedBit};
use quittance_round::start::{Roster, Start};
use quittance_rpc::identity::{Process, ProcessName};
use quittance_rpc::proto::party::v1::ResultsRequest;
use tonic::Code;

use crate::common::gridlock::*;
use crate::common::*;

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

    let start_again = start.clone();
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
    // The same start again changes nothing, nor does another one.
    let other = Start { roster: Roster::new(start.roster.seats()[1..].to_vec()).unwrap(), ..start };
    world.coordinator.broadcast(&signed(&world, &other)).await;
    world.coordinator.broadcast(&signed(&world, &start_again)).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.coordinator.reports().len(), 3);
    world.results(banks[0].id, PARTIES[0], round, 0).await.ok().unwrap();

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
async fn refused_to_others(world: &World, left_out: &Bank, round: RoundId) {
    for party in PARTIES {
        let refused = world.results(left_out.id, party, round, 0).await.err().unwrap();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        let refused = world.results(id(CENTRAL), party, round, 0).await.err().unwrap();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().contains("no dealing of CENTZZ01"), "{refused}");
        // Another party may connect, for frames only.
        let other = ProcessName { institution: bank(1), process: Process::Party };
        let request = ResultsRequest { round_id: round.to_bytes(), attempt: 0, wait_ms: 0 };
        let refused = world.client(other, party).results(request).await.err().unwrap();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    }
}

async fn check_receipts(
    world: &World,
    round: RoundId,
    banks: &[Bank],
    results: &[BankResult],
    settlement: TransactionId,
) {
    let keys = world.chain.receipt_keys();
    let signers = Signers { parties: world.parties(), keys: &keys };
    for (bank, result) in banks.iter().zip(results) {
        let mut words = vec![];
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
            words.push(found.unwrap());
        }
        let queues = banks.iter().zip(&result.notices);
        let queues = queues.map(|(payer, notices)| Queue {
            payer: payer.id,
            root: payer.queue.root(),
            notices,
        });
        let statement = Statement::new(queues);
        let notices = statement.root();
        let expected = Subject { round, settlement, attempt: 0, notices };
        assert!(words.iter().all(|word| word.subject == expected));
        let of_bank = |payer: &Bank, place: usize| {
            let payee = payer.queue.payments()[place].payee;
            payer.id == bank.id || payee == bank.id
        };
        let mut own = 0;
        for payer in banks {
            for place in (0..payer.queue.payments().len()).filter(|at| of_bank(payer, *at)) {
                let queue = &payer.queue;
                let disclosure = Disclosure {
                    leaf: queue.leaves()[place],
                    inclusion: queue.inclusion(place).unwrap(),
                    payee: queue.payee(place),
                    pad: queue.pads(place)[0].clone(),
                };
                let notice = statement.find(&payer.id, place as u32).unwrap();
                let receipt = Receipt::new(&words, notice, disclosure).ok().unwrap();
                let settled = receipt.verify(signers).unwrap().settled;
                if payer.id == bank.id {
                    own += 1;
                    assert_eq!(settled, (place as u32) < result.settled);
                } else {
                    let is =
                        |bit: &&ReceivedBit| (bit.payer, bit.place) == (payer.id, place as u32);
                    assert_eq!(settled, result.received.iter().find(is).unwrap().settles);
                }
            }
        }
        assert_eq!(own, bank.queue.payments().len());
    }
}
