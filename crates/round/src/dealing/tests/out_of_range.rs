//! Dealers whose amounts are not proven to be in range.

use quittance_crypto::commitment::commit_scalar;
use quittance_crypto::field::to_scalar;
use quittance_crypto::range_proof::RangeProofError;
use quittance_ledger::ids::{AccountId, AssetId, ChainId};

use super::*;
use crate::queue::QueueSeed;

fn seed() -> QueueSeed {
    QueueSeed::random(&mut rng(1))
}

fn refused() -> DealtProblem {
    DealtProblem::Range { place: 0, error: RangeProofError::Refused }
}

impl Dealt {
    /// A dealer who commits to this at place 1 and deals it rightly, whatever it is.
    fn of_amount(amount: Fr) -> Self {
        let (queue, rng) = (queue(1), &mut rng(6));
        let balance = Opening::random(900, rng);
        let secret = |opening: Opening| (Fr::from(opening.value), opening.blinding.clone());
        let mut secrets = vec![secret(balance.clone())];
        for place in 0..8 {
            secrets.extend([secret(queue.amount(place)), secret(queue.payee(place))]);
            secrets.extend(queue.pads(place).map(|pad| pad.secret()));
        }
        secrets[1 + OF_LEAF].0 = amount;
        let (dealing, shares) = vss::deal(parties(), &secrets, rng);
        let mut dealt = dealt();
        let at_one = queue.amount(1);
        dealt.common.leaves[1].amount =
            commit_scalar(&to_scalar(&amount), at_one.blinding.as_scalar());
        dealt.common.dealing = dealing;
        for (private, shares) in dealt.private.iter_mut().zip(shares) {
            private.shares = shares;
        }
        dealt.balance = balance.commit();
        dealt.rebind();
        dealt
    }

    /// With a proof of other amounts, or made for something else.
    fn with_proof(mut self, proof: RangeProof) -> Self {
        self.common.ranges = vec![proof];
        self.rebind();
        self
    }
}

/// The proof of the first group of the tests' queue, made for an account with these amounts.
fn proof(chain: ChainId, payer: u32, asset: &str, group: usize, amounts: [u64; 8]) -> RangeProof {
    let asset = asset.parse::<AssetId>().unwrap();
    let account = AccountId { institution: bank(payer), asset };
    seed().prove_amounts(chain, &account, group, &amounts, &mut rng(5)).unwrap()
}

#[test]
fn a_dealing_of_an_amount_out_of_range_is_refused_with_its_dealer() {
    let in_range = Dealt::of_amount(Fr::from(u64::MAX));
    assert!(in_range.accept(1).is_ok());
    let too_large = Fr::from(u64::MAX) + Fr::from(1u64);
    for amount in [too_large, -Fr::from(1u64), -Fr::from(500u64)] {
        // Every share fits, and the proof is one that holds for what the low 64 bits may be.
        for claimed in [0, u64::MAX, u64::MAX - 499] {
            let dealt = Dealt::of_amount(amount);
            let amounts = [500, claimed, 7, 0, 0, 0, 0, 0];
            let dealt = dealt.with_proof(proof(place().chain, 1, "EUR", 0, amounts));
            for party in 1..=3 {
                let error = dealt.accept(party).err().unwrap();
                assert_eq!(error, DealtError { dealer: bank(1), problem: refused() });
            }
        }
    }
}

#[test]
fn a_proof_for_another_chain_bank_asset_place_or_queue_is_refused() {
    let amounts = queue(1).amounts(0);
    let of = |chain: [u8; 32], payer, asset: &str, group| {
        dealt().with_proof(proof(ChainId(Digest(chain)), payer, asset, group, amounts))
    };
    assert!(of([1; 32], 1, "EUR", 0).accept(1).is_ok());
    assert_eq!(of([2; 32], 1, "EUR", 0).problem(), refused());
    assert_eq!(of([1; 32], 2, "EUR", 0).problem(), refused());
    assert_eq!(of([1; 32], 1, "USD", 0).problem(), refused());
    assert_eq!(of([1; 32], 1, "EUR", 1).problem(), refused());
    // The queue that the same bank has joined another round with, payments and all.
    let other = ranges(&queue(2)).swap_remove(0);
    assert_eq!(dealt().with_proof(other).problem(), refused());
}

#[test]
fn missing_and_additional_proofs_are_named() {
    let mut none = dealt();
    none.common.ranges.clear();
    none.rebind();
    assert_eq!(none.problem(), DealtProblem::Ranges { expected: 1, found: 0 });
    let mut more = dealt();
    more.common.ranges.extend(proven().to_vec());
    more.rebind();
    assert_eq!(more.problem(), DealtProblem::Ranges { expected: 1, found: 2 });
    // A proof of another number of values is none of this group.
    let openings: Vec<_> = (0..4).map(|place| queue(1).amount(place)).collect();
    let short = quittance_crypto::range_proof::prove(&Digest::ZERO, &openings, &mut rng(5));
    let error = RangeProofError::Aggregation { found: 4, expected: 8 };
    let problem = dealt().with_proof(short.unwrap()).problem();
    assert_eq!(problem, DealtProblem::Range { place: 0, error });
}
