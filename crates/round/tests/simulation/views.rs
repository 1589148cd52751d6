//! What a party has seen of a whole round says nothing of what banks have and owe.

use std::collections::BTreeSet;

use quittance_circuit::Fr;
use quittance_crypto::commitment::Opening;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_mpc::vss::CompressedShares;
use quittance_round::dealing::Dealing;

use crate::bank::{Bank, UNIT};
use crate::field;
use crate::world::{Settled, World, result_shares};

/// What must not be seen: amounts in both byte orders, and scalars.
#[derive(Default)]
struct Secrets {
    amounts: BTreeSet<[u8; 8]>,
    scalars: BTreeSet<[u8; 32]>,
}

impl Secrets {
    fn amount(&mut self, amount: u64) {
        // Shorter ones are mostly zeros, which occur everywhere.
        assert!(amount == 0 || amount >= UNIT);
        if amount != 0 {
            self.amounts.extend([amount.to_be_bytes(), amount.to_le_bytes()]);
        }
    }

    fn scalar(&mut self, scalar: &impl Encode) {
        self.scalars.insert(scalar.to_bytes().try_into().unwrap());
    }

    fn opening(&mut self, opening: &Opening) {
        self.amount(opening.value);
        self.scalar(&opening.blinding);
    }

    /// Balance and amounts, and what hides them; what hides payees; pads.
    fn bank(&mut self, bank: &Bank) {
        self.opening(&bank.balance);
        for place in 0..bank.queue.leaves().len() {
            self.opening(&bank.queue.amount(place));
            // The number itself is too small to be looked for.
            self.scalar(&bank.queue.payee(place).blinding);
            for pad in bank.queue.pads(place) {
                self.scalars.extend(pad.to_bytes().as_chunks().0);
            }
        }
    }

    fn results(&mut self, settled: &Settled) {
        for result in &settled.results {
            self.amount(result.inflow.try_into().unwrap());
            self.amount(result.outflow().try_into().unwrap());
            self.amount(result.net.unsigned_abs().try_into().unwrap());
            self.scalar(&field(result.net));
            self.scalar(&result.blinding);
        }
        self.scalars.remove(&[0; 32]);
    }

    /// Whether any of it stands anywhere in these bytes.
    fn occur_in(&self, bytes: &[u8]) -> bool {
        bytes.windows(8).any(|window| self.amounts.contains(window))
            || bytes.windows(32).any(|window| self.scalars.contains(window))
    }
}

fn secrets(world: &World, settled: &Settled) -> Secrets {
    let mut secrets = Secrets::default();
    world.banks.iter().for_each(|bank| secrets.bank(bank));
    secrets.results(settled);
    secrets
}

#[test]
fn no_party_sees_an_amount_a_balance_a_payee_or_what_opens_them() {
    let mut world = World::new(3, 1, 1);
    let settled = world.run(&[1, 2, 3, 4]);
    let secrets = secrets(&world, &settled);
    assert!(secrets.amounts.len() >= 30 && secrets.scalars.len() >= 200);
    for party in &world.committee {
        assert!(party.view.iter().map(Vec::len).sum::<usize>() > 100_000);
        assert!(!party.view.iter().any(|message| secrets.occur_in(message)));
        // Nor across the borders of messages.
        assert!(!secrets.occur_in(&party.view.concat()));
    }
    // The search finds what is there: a bank's own words, and what a payee is told.
    for bank in &world.banks {
        assert!(secrets.occur_in(&bank.balance.to_bytes()));
        assert!(secrets.occur_in(&[&[1, 2, 3][..], &bank.balance.blinding.to_bytes()].concat()));
        assert!(
            bank.announcements().all(|announcement| secrets.occur_in(&announcement.to_bytes()))
        );
    }
    assert!(settled.results.iter().all(|result| secrets.occur_in(&result.to_bytes())));
}

/// Two of three parties together could: the shares are real.
#[test]
fn more_parties_than_the_threshold_would_see_everything() {
    let mut world = World::new(3, 1, 1);
    let settled = world.run(&[1, 2, 3, 4]);
    for (bank, dealings) in world.banks.iter().zip(&settled.dealings) {
        let share = |party: u8| -> Fr {
            let message = dealings.message(party).unwrap();
            let dealing = Dealing::from_bytes(&message).ok().unwrap();
            Fr::from_bytes(&dealing.private.shares[0].to_bytes()[..32]).ok().unwrap()
        };
        assert_eq!(share(1) + share(1) - share(2), Fr::from(bank.balance.value));
    }
}

/// Shares that the parties are dealt, elements that they exchange, and shares that they hand out.
fn elements(world: &World, settled: &Settled) -> Vec<[u8; 32]> {
    let mut all = vec![];
    let mut add = |bytes: &[u8]| all.extend_from_slice(bytes.as_chunks().0);
    for dealings in &settled.dealings {
        for party in world.parties.ids() {
            let dealing = Dealing::from_bytes(&dealings.message(party.number()).unwrap());
            let private = dealing.ok().unwrap().private;
            private.shares.iter().for_each(|share| add(&share.to_bytes()));
            match private.vectors {
                CompressedShares::Seed(seed) => add(&*seed),
                CompressedShares::Shares(shares) => {
                    shares.iter().for_each(|share| add(&share.to_bytes()));
                }
            }
        }
    }
    for bank in &world.banks {
        for (_, share) in result_shares(settled.start.active, &settled.outcomes, bank) {
            add(&share.inflow.to_bytes());
            add(&share.net.to_bytes());
        }
    }
    for party in &world.committee {
        // Dealings and the start come before the frames.
        party.view.iter().skip(world.banks.len() + 1).for_each(|frame| add(frame));
    }
    all
}

#[test]
fn fresh_randomness_changes_every_share_and_no_result() {
    let run = |seed| {
        let mut world = World::new(3, 1, seed);
        let settled = world.run(&[1, 2, 3, 4]);
        let elements = elements(&world, &settled);
        let results: Vec<_> =
            settled.results.iter().map(|r| (r.settled, r.inflow, r.net)).collect();
        (elements, results)
    };
    let ((one, same), (two, results)) = (run(1), run(2));
    assert_eq!(results, same);
    assert!(one.len() > 4000);
    let one: BTreeSet<_> = one.into_iter().collect();
    assert!(two.iter().all(|element| !one.contains(element)));
}

/// What a party receives has the same shape whatever amounts are, who is paid, and how long queues
/// are within their buckets, as long as the number of steps is the same: that is what everybody
/// learns.
#[test]
fn views_of_rounds_with_other_amounts_payees_and_lengths_have_the_same_shape() {
    let shape = |queues: [&[(u32, u64)]; 3], scale: u64| {
        let mut world = World::new(3, 1, 1);
        let mut fixed = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(9);
        let banks = (1..).zip([1, 2, 1]).zip(queues).map(|((number, liquidity), queue)| {
            let queue: Vec<_> = queue.iter().map(|(to, units)| (*to, units * scale)).collect();
            Bank::new(number, liquidity * scale, &queue, &mut fixed)
        });
        world.banks = banks.collect();
        let settled = world.run(&[1, 2, 3]);
        let steps = settled.results[0].steps;
        let lengths = |party: &crate::party::Party| -> Vec<usize> {
            let mut lengths: Vec<_> = party.view.iter().map(Vec::len).collect();
            lengths.sort_unstable();
            lengths
        };
        let task = (settled.task.program.fingerprint(), settled.task.assignment.places());
        (steps, task, world.committee.iter().map(lengths).collect::<Vec<_>>())
    };
    let circle: [&[(u32, u64)]; 3] = [&[(2, 10)], &[(3, 11), (1, 1)], &[(1, 10)]];
    let expected = shape(circle, 1);
    assert_eq!(shape(circle, 2), expected);
    assert_eq!(shape(circle, 500), expected);
    // The other way round; to nobody at all; a full bucket, most of it behind a payment to bank 5,
    // which takes no part.
    let steps = expected.0;
    let others: [[&[(u32, u64)]; 3]; 3] = [
        [&[(3, 10), (2, 3)], &[(1, 11)], &[(2, 10)]],
        [&[], &[], &[]],
        [&[(2, 1), (5, 1), (2, 9), (3, 9), (3, 7), (2, 2), (2, 1), (3, 1)], &[(4, 2)], &[(1, 1)]],
    ];
    let same = others.iter().filter(|queues| {
        let found = shape(**queues, 1);
        // What follows the number of steps differs with it.
        assert_eq!((found.0 == steps), found == expected);
        found == expected
    });
    assert!(same.count() >= 2);
}
