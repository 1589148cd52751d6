//! An instruction is carried out once, whoever keeps old candidates waiting.

use std::collections::BTreeMap;

use quittance_ledger::payload::CreditPayload;
use quittance_ledger::transaction::{Transaction, Verified};
use rand_core::RngCore;

use super::super::*;
use super::world::*;

const INSTRUCTIONS: u8 = 3;

/// How often each instruction has been paid, read from the chain alone.
fn paid(world: &World, receiver: &Wallet) -> BTreeMap<Uetr, u32> {
    let mut counts = BTreeMap::new();
    let transactions = world.blocks.iter().flat_map(|block| &block.transactions);
    for entry in transactions.flat_map(|transaction| transaction.body().entries()) {
        for credit in entry.credits.iter().filter(|credit| credit.sender == id(ONE)) {
            let (chain, key) = (receiver.facts.chain, &receiver.keys.sealing);
            let payload = CreditPayload::open(chain, entry.asset, credit, &key[0]).unwrap();
            *counts.entry(payload.particulars.uetr()).or_default() += 1;
        }
    }
    counts
}

/// An agent that fails, is restored and tries again at random, and a network that forgets no
/// candidate and includes them in any order; the receiver sends credits back.
fn interleave(seed: u64) -> BTreeMap<Uetr, u32> {
    let mut world = World::new(seed);
    let mut central = world.restore(CENTRAL);
    let issue = world.pay(&mut central, &[(ONE, 100)], 200).unwrap();
    world.block(&[issue]);
    let (mut one, mut two) = (world.restore(ONE), world.restore(TWO));
    let mut waiting: Vec<Transaction<Verified>> = Vec::new();
    for _ in 0..30 {
        match world.rng.next_u32() % 10 {
            0..4 => {
                let number = 1 + (world.rng.next_u32() % u32::from(INSTRUCTIONS)) as u8;
                waiting.extend(world.pay(&mut one, &[(TWO, 10)], number));
            }
            4 | 5 => waiting.extend(world.absorb(&mut one)),
            6 => {
                if let Some(any) = one.in_flight(eur()).unwrap().first() {
                    one.withdraw(*any);
                }
            }
            7 => one = world.restore(ONE),
            _ => {
                let returns = two.account(eur()).unwrap().pending.iter().map(|one| one.id);
                let returns: Vec<_> =
                    returns.map(|credit| world.give_back(TWO, TWO, credit)).collect();
                // Any order, several times over: what fails first may be valid after another.
                let mut tried = returns;
                for _ in 0..2 {
                    for index in (1..waiting.len()).rev() {
                        let other = world.rng.next_u32() as usize % (index + 1);
                        waiting.swap(index, other);
                    }
                    tried.extend(waiting.iter().cloned());
                }
                if world.rng.next_u32().is_multiple_of(2) {
                    tried.truncate(tried.len() / 2);
                }
                world.block(&tried);
                one.apply_block(world.last()).unwrap();
                two.apply_block(world.last()).unwrap();
                world.check(&one);
            }
        }
    }
    let restored = world.restore(ONE);
    assert_eq!(restored.carried_out, one.carried_out);
    let counts = paid(&world, &two);
    for (uetr, count) in &counts {
        assert_eq!(*count, 1, "seed {seed}: {uetr} is paid {count} times");
        assert!(matches!(restored.instruction(uetr), InstructionStatus::Final(_)));
    }
    assert_eq!(counts.len(), restored.carried_out.len());
    counts
}

#[test]
fn no_interleaving_pays_twice() {
    let paid: usize = (0..24).map(|seed| interleave(seed).len()).sum();
    assert!(paid > 24, "the networks have carried out {paid} instructions");
}

#[test]
fn a_restored_wallet_and_an_old_candidate_pay_once() {
    for old_first in [true, false] {
        let mut world = World::new(3);
        let mut central = world.restore(CENTRAL);
        let issue = world.pay(&mut central, &[(ONE, 100)], 200).unwrap();
        world.block(&[issue]);
        let mut one = world.restore(ONE);
        let old_one = world.pay(&mut one, &[(TWO, 10)], 1).unwrap();
        let old_two = world.pay(&mut one, &[(TWO, 20)], 2).unwrap();

        let mut one = world.restore(ONE);
        assert_eq!(one.instruction(&uetr(2)), InstructionStatus::Open);
        let new_two = world.pay(&mut one, &[(TWO, 20)], 2).unwrap();
        let new_one = world.pay(&mut one, &[(TWO, 10)], 1).unwrap();
        let mut tried = vec![old_one, old_two, new_two, new_one];
        if !old_first {
            tried.rotate_left(2);
        }
        assert_eq!(world.block(&tried), [true, true, false, false]);
        one.apply_block(world.last()).unwrap();
        assert_eq!(one.balance(eur()), Ok(70));
        assert!(matches!(one.instruction(&uetr(1)), InstructionStatus::Final(_)));
        assert!(matches!(one.instruction(&uetr(2)), InstructionStatus::Final(_)));
        assert!(one.in_flight(eur()).unwrap().is_empty());
        world.check(&one);
    }
}

/// Why no absorption stands on another: mounted with a wallet that does it all the same.
#[test]
fn two_absorptions_in_a_row_would_let_an_instruction_pay_twice() {
    let mut world = World::new(4);
    let mut central = world.restore(CENTRAL);
    let issue = world.pay(&mut central, &[(ONE, 100)], 200).unwrap();
    world.block(&[issue]);
    let mut absorbing = world.restore(ONE);
    let absorb = world.absorb(&mut absorbing).unwrap();
    world.block(&[absorb]);

    // Number 2 is taken by one candidate of the instruction. Another one of an earlier life takes
    // number 4, on two postings that change nothing.
    let mut first = world.restore(ONE);
    let old = world.pay(&mut first, &[(TWO, 10)], 1).unwrap();
    let mut careless = world.restore(ONE);
    world.absorb(&mut careless).unwrap();
    let refused = world.absorb(&mut careless).err();
    assert_eq!(refused, Some(WalletError::AbsorptionInFlight { asset: eur() }));
    let account = careless.account(eur()).unwrap();
    let entry = careless.poster(eur(), account).unwrap().absorb(&[], &mut world.rng).unwrap();
    careless.put_under_way(eur(), entry, None, Height(8)).unwrap();
    let twin = world.pay(&mut careless, &[(TWO, 10)], 1).unwrap();

    let credit = old.credit_id(0, 0);
    let back = world.give_back(TWO, TWO, credit);
    assert_eq!(world.block(&[old, back]), [true, true]);
    let mut restored = world.restore(ONE);
    let absorb = world.absorb(&mut restored).unwrap();
    assert_eq!(world.block(&[absorb, twin]), [true, true], "the ledger alone does not see it");
    assert_eq!(paid(&world, &world.restore(TWO))[&uetr(1)], 2);
}
