//! A whole round in memory, from frozen queues to receipts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bank;
mod party;
mod views;
mod world;

use quittance_circuit::{Fr, Owner};
use quittance_circuit_library::netting::{Bank as ClearBank, truncate};
use quittance_crypto::commitment::Opening;
use quittance_crypto::digest::Digest;
use quittance_crypto::group::Point;
use quittance_ledger::ids::{InstitutionId, TransactionId};
use quittance_mpc::memory::Network;
use quittance_round::receipt::{Receipt, ReceiptError, ReceiptShare, Signers};
use quittance_round::start::{Roster, Start};

use bank::{Bank, UNIT, id};
use world::{Settled, World, balance_after};

fn field(value: i128) -> Fr {
    let magnitude = Fr::from(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

/// Runs the netting in the clear, made from the banks' own data alone, and compares everything.
fn compare_with_clear(world: &World, settled: &Settled) {
    let members: Vec<_> = settled.start.roster.institutions().collect();
    let banks: Vec<&Bank> =
        world.banks.iter().filter(|bank| members.contains(&bank.id())).collect();
    let payees = |bank: &&Bank| -> Vec<InstitutionId> {
        bank.queue.payments().iter().map(|payment| payment.payee).collect()
    };
    let queues: Vec<Vec<Owner>> =
        banks.iter().map(|bank| truncate(&members, &payees(bank))).collect();
    assert_eq!(settled.task.assignment.queues(), queues);

    let inputs: Vec<_> = banks
        .iter()
        .zip(&queues)
        .map(|(bank, queue)| ClearBank {
            liquidity: bank.balance.value,
            amounts: bank.queue.payments()[..queue.len()].iter().map(|p| p.amount).collect(),
        })
        .collect();
    let netting = &settled.task.netting;
    let clear = settled.task.program.run_in_clear(netting.inputs(&inputs).unwrap()).unwrap();
    let steps = clear.steps;
    let clear = netting.results(clear.outputs).unwrap();
    for (place, (result, clear)) in settled.results.iter().zip(&clear.banks).enumerate() {
        assert_eq!(result.steps, steps);
        let count = clear.settled.iter().filter(|bit| **bit == Fr::from(1u64)).count();
        assert_eq!(result.settled as usize, count);
        let addressed = netting.addressed_to(Owner(place as u16)).zip(&clear.received);
        let addressed: Vec<_> = addressed
            .map(|(payment, bit)| {
                let payer = members[usize::from(payment.payer.0)];
                (payer, payment.place as u32, *bit == Fr::from(1u64))
            })
            .collect();
        let received: Vec<_> =
            result.received.iter().map(|bit| (bit.payer, bit.place, bit.settles)).collect();
        assert_eq!(received, addressed);
        assert_eq!(Fr::from(result.inflow), clear.inflow);
        assert_eq!(field(result.net), clear.net);
    }
}

/// The nets sum to the identity, and each bank opens its balance after the settlement.
fn check_balances(world: &World, settled: &Settled) {
    let nets = settled.outcomes[0].nets();
    assert!(settled.outcomes.iter().all(|outcome| outcome.nets() == nets));
    assert!(nets.iter().map(|net| net.point()).sum::<Point>().is_identity());
    for ((institution, result), net) in
        settled.start.roster.institutions().zip(&settled.results).zip(&nets)
    {
        let bank = world.banks.iter().find(|bank| bank.id() == institution).unwrap();
        assert_eq!(result.nets, nets);
        let value = i128::from(bank.balance.value) + result.net;
        let blinding = &bank.balance.blinding + &result.blinding;
        let after = Opening::new(value.try_into().unwrap(), blinding);
        assert!(after.opens(&balance_after(bank, net)));
        let amounts = bank.queue.payments().iter().map(|payment| u128::from(payment.amount));
        let outflow: u128 = amounts.take(result.settled as usize).sum();
        assert_eq!(result.outflow(), outflow);
    }
}

/// By bank: the receipts of all its payments, given and taken.
fn receipts(world: &World, settled: &Settled, bank: InstitutionId) -> Vec<Receipt> {
    let settlement = TransactionId(Digest([9; 32]));
    let parties = world.committee.iter().zip(&settled.outcomes);
    let shares: Vec<ReceiptShare> = parties
        .flat_map(|(party, outcome)| {
            outcome.receipts(&bank, settlement, party.me, &party.receipt_key)
        })
        .collect();
    Receipt::gather(shares).into_iter().map(|receipt| receipt.ok().unwrap()).collect()
}

fn check_receipts(world: &World, settled: &Settled) {
    let keys: Vec<_> =
        world.committee.iter().map(|party| party.receipt_key.verifying_key()).collect();
    let signers = Signers { parties: world.parties, keys: &keys };
    let members: Vec<_> = settled.start.roster.institutions().collect();
    for (place, bank) in members.iter().enumerate() {
        let (mut given, mut taken) = (0, vec![]);
        for receipt in receipts(world, settled, *bank) {
            let subject = *receipt.subject();
            let payer = world.banks.iter().find(|bank| bank.id() == subject.payer).unwrap();
            let leaves = payer.queue.leaves();
            let settles = receipt.verify(signers, &leaves[subject.place as usize]);
            let other = receipt.verify(signers, &leaves[subject.place as usize + 1]);
            assert_eq!(other, Err(ReceiptError::OtherLeaf(subject.leaf)));
            if subject.payer == *bank {
                given += u32::from(settles == Ok(true));
            } else {
                assert_eq!(subject.payee, *bank);
                taken.push((subject.payer, subject.place, settles.unwrap()));
            }
        }
        let result = &settled.results[place];
        assert_eq!(given, result.settled);
        let received = result.received.iter().map(|bit| (bit.payer, bit.place, bit.settles));
        assert_eq!(taken, received.collect::<Vec<_>>());
    }
}

#[test]
fn a_gridlock_dissolves() {
    let mut world = World::new(3, 1, 1);
    let settled = world.run(&[1, 2, 3, 4]);
    // 1 pays 2, 2 pays 3, 3 pays 1; nobody could have begun.
    let counts: Vec<_> = settled.results.iter().map(|result| result.settled).collect();
    assert_eq!(counts, [1, 1, 1, 0]);
    let nets: Vec<_> = settled.results.iter().map(|result| result.net).collect();
    assert_eq!(nets, [20, 10, -30, 0].map(|units| units * i128::from(UNIT)));
    for bank in &world.banks {
        assert!(bank.queue.payments()[0].amount > bank.balance.value);
    }
    // What stands behind the payment to bank 5 has no part in the computation.
    assert_eq!(settled.task.assignment.queues()[2], [Owner(0)]);
    compare_with_clear(&world, &settled);
    check_balances(&world, &settled);
    check_receipts(&world, &settled);
}

#[test]
fn five_parties_settle_the_same() {
    let mut world = World::new(5, 2, 2);
    let settled = world.run(&[1, 2, 3, 4]);
    let counts: Vec<_> = settled.results.iter().map(|result| result.settled).collect();
    assert_eq!(counts, [1, 1, 1, 0]);
    compare_with_clear(&world, &settled);
    check_balances(&world, &settled);
    check_receipts(&world, &settled);
}

/// Without bank 4 the queues of those who pay it are shorter; without bank 3 nothing settles.
#[test]
fn whoever_has_not_dealt_is_left_out() {
    for (attending, expected) in [(vec![1, 2, 3], vec![1, 1, 1]), (vec![1, 2, 4], vec![0, 0, 0])] {
        let mut world = World::new(3, 1, 3);
        let settled = world.run(&attending);
        let counts: Vec<_> = settled.results.iter().map(|result| result.settled).collect();
        assert_eq!(counts, expected);
        compare_with_clear(&world, &settled);
        check_balances(&world, &settled);
        check_receipts(&world, &settled);
        let absent = (1..=4).find(|number| !attending.contains(number)).unwrap();
        assert!(settled.outcomes[0].result(&id(absent)).is_none());
        assert!(receipts(&world, &settled, id(absent)).is_empty());
    }
}

/// A coordinator that names other dealings, another roster or another attempt to one party gets no
/// computation: its session has another name, and the frames of the others are refused.
#[test]
fn parties_that_were_told_different_starts_do_not_compute() {
    let told = |start: &Start, change: u8| match change {
        0 => Start { attempt: 1, ..start.clone() },
        _ => {
            let seats = start.roster.seats()[..3].to_vec();
            Start { roster: Roster::new(seats).unwrap(), ..start.clone() }
        }
    };
    for change in 0..2 {
        let mut world = World::new(3, 1, 4);
        let (start, _) = world.deal(&[1, 2, 3, 4]);
        let keys = world.keys();
        let starts = [start.clone(), start.clone(), told(&start, change)];
        let parties = world.committee.iter_mut().zip(&starts);
        let machines = parties.map(|(party, start)| {
            let task = party.assign(start);
            let binding = task.binding(keys.clone(), 1);
            party.machine(&task, &binding)
        });
        let ended = Network::new(machines.collect(), 5).run();
        assert!(ended.results.iter().all(Result::is_err));
        assert!(!ended.refusals.is_empty());
    }
}
