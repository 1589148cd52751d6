//! A whole round in memory, from frozen queues to receipts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bank;
mod disputes;
mod party;
mod views;
mod world;

use quittance_circuit::{Fr, Owner};
use quittance_circuit_library::netting::{Bank as ClearBank, Netting, truncate};
use quittance_crypto::commitment::Opening;
use quittance_crypto::digest::Digest;
use quittance_crypto::group::Point;
use quittance_ledger::ids::{InstitutionId, TransactionId};
use quittance_mpc::memory::Network;
use quittance_round::receipt::{Attestation, Disclosure, Queue, Receipt, Signers, Statement};
use quittance_round::start::{Roster, Start};

use bank::{Bank, UNIT, id};
use world::{Settled, World, balance_after};

fn field(value: i128) -> Fr {
    let magnitude = Fr::from(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

/// Runs the plain netting in the clear, made from the banks' own data alone, and compares
/// everything.
fn compare_with_clear(world: &World, settled: &Settled) {
    let members: Vec<_> = settled.start.roster.institutions().collect();
    let banks: Vec<&Bank> =
        world.banks.iter().filter(|bank| members.contains(&bank.id())).collect();
    let payees = |bank: &&Bank| -> Vec<InstitutionId> {
        bank.queue.payments().iter().map(|payment| payment.payee).collect()
    };
    let queues: Vec<Vec<Owner>> =
        banks.iter().map(|bank| truncate(&members, &payees(bank))).collect();
    // The parties know no more than the buckets.
    let buckets: Vec<_> = banks.iter().map(|bank| bank.queue.leaves().len()).collect();
    assert_eq!(settled.task.assignment.places(), buckets);

    let inputs: Vec<_> = banks
        .iter()
        .zip(&queues)
        .map(|(bank, queue)| ClearBank {
            liquidity: bank.balance.value,
            amounts: bank.queue.payments()[..queue.len()].iter().map(|p| p.amount).collect(),
        })
        .collect();
    let netting = Netting::new(queues).unwrap();
    let program = netting.until_settled().unwrap();
    let clear = program.run_in_clear(netting.inputs(&inputs).unwrap()).unwrap();
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
        // Announced is also what stands behind a payment to a bank that takes no part.
        let received = result.received.iter().map(|bit| (bit.payer, bit.place, bit.settles));
        let (computed, behind): (Vec<_>, Vec<_>) = received.partition(|(payer, place, _)| {
            addressed.iter().any(|it| (it.0, it.1) == (*payer, *place))
        });
        assert_eq!(computed, addressed);
        assert!(behind.iter().all(|(.., settles)| !settles));
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

/// The receipts of all payments of and to a bank, made of what it has been told and of the words of
/// `t + 1` parties.
fn receipts(world: &World, settled: &Settled, bank: &Bank) -> Vec<Receipt> {
    let settlement = TransactionId(Digest([9; 32]));
    let active = settled.start.active;
    let parties = world.committee.iter().filter(|party| active.contains(party.me));
    let parties = parties.zip(&settled.outcomes);
    let words =
        parties.map(|(party, outcome)| outcome.attest(settlement, party.me, &party.receipt_key));
    let words: Vec<Attestation> = words.take(world.parties.threshold() + 1).collect();
    let place = settled.start.roster.place(&bank.id()).unwrap();
    let notices = &settled.results[place].notices;
    let bank_of = |id: InstitutionId| world.banks.iter().find(|bank| bank.id() == id).unwrap();
    let queues = settled.start.roster.institutions().zip(notices);
    let statement = Statement::new(queues.map(|(payer, notices)| Queue {
        payer,
        root: bank_of(payer).queue.root(),
        notices,
    }));
    let attempt = usize::from(settled.start.attempt);
    let own = (0..bank.queue.payments().len() as u32).map(|place| (bank.id(), place));
    let told = bank.announced.iter().map(|it| (it.payer, it.place));
    let receipt = |(payer, place): (InstitutionId, u32)| {
        let found = statement.find(&payer, place)?;
        let (queue, index) = (&bank_of(payer).queue, place as usize);
        let disclosure = Disclosure {
            leaf: queue.leaves()[index],
            inclusion: queue.inclusion(index).unwrap(),
            payee: queue.payee(index),
            pad: queue.pads(index)[attempt].clone(),
        };
        Some(Receipt::new(&words, found, disclosure).ok().unwrap())
    };
    own.chain(told).filter_map(receipt).collect()
}

fn check_receipts(world: &World, settled: &Settled) {
    let keys: Vec<_> =
        world.committee.iter().map(|party| party.receipt_key.verifying_key()).collect();
    let signers = Signers { parties: world.parties, keys: &keys };
    for (place, id) in settled.start.roster.institutions().enumerate() {
        let bank = world.banks.iter().find(|bank| bank.id() == id).unwrap();
        let (mut given, mut taken) = (0, vec![]);
        for receipt in receipts(world, settled, bank) {
            let verdict = receipt.verify(signers).unwrap();
            let notice = receipt.notice();
            if notice.payer == id {
                given += u32::from(verdict.settled);
            } else {
                assert_eq!(verdict.payee, u64::from(bank.number));
                taken.push((notice.payer, notice.place, verdict.settled));
            }
        }
        let result = &settled.results[place];
        assert_eq!(given, result.settled);
        taken.sort_unstable();
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
    }
}

/// A bank is left out of a second attempt on the same dealings: queues end at payments to it, and
/// no notice is under a pad of the first attempt.
#[test]
fn a_second_attempt_runs_on_the_same_dealings_with_other_pads() {
    let mut world = World::new(3, 1, 5);
    let first = world.run(&[1, 2, 3, 4]);
    let again = world.again(&first.start, 4);
    let counts: Vec<_> = again.results.iter().map(|result| result.settled).collect();
    assert_eq!(counts, [1, 1, 1]);
    compare_with_clear(&world, &again);
    check_balances(&world, &again);
    check_receipts(&world, &again);
    let without = world.again(&first.start, 3);
    let counts: Vec<_> = without.results.iter().map(|result| result.settled).collect();
    assert_eq!(counts, [0, 0, 0]);
    // What was told first says nothing of what is told now: even where both say the same, it looks
    // otherwise.
    for (one, two) in first.results[0].notices.iter().zip(&again.results[0].notices) {
        assert!(one.0.iter().zip(&two.0).all(|(one, two)| one != two));
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
