//! A batch says of each proof what its verification alone says.

use ark_ff::{AdditiveGroup, Field};
use proptest::prelude::*;
use rand_core::RngCore as _;

use super::super::batch::all_hold;
use super::super::protocol::Claim;
use super::prover::{Errors, sample};
use super::*;
use crate::field::Fr;

fn batch<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Batch {
    let mut batch = Batch::new();
    for sample in samples {
        batch.push(&sample.context, &sample.commitments, &sample.proof);
    }
    batch
}

fn claim(sample: &Sample) -> Claim {
    Claim::new(&sample.context, &sample.commitments, &sample.proof).unwrap()
}

/// Two invalid proofs whose errors are opposite: +1 and -1 in the blinding of `A + x*S`. A plain
/// sum of their equations holds; the batch refuses both, whatever the entropy.
#[test]
fn paired_errors_that_cancel_under_unit_weights_are_refused() {
    let mut rng = rng(60);
    let mut sample_with = |e_blinding, t_x_blinding| {
        sample(1, &Errors { e_blinding, t_x_blinding, t1: Fr::ZERO }, &mut rng)
    };
    let pairs = [
        [sample_with(Fr::ONE, Fr::ZERO), sample_with(-Fr::ONE, Fr::ZERO)],
        [sample_with(Fr::ZERO, Fr::ONE), sample_with(Fr::ZERO, -Fr::ONE)],
        // Across the two equations of two proofs.
        [sample_with(Fr::ONE, Fr::ZERO), sample_with(Fr::ZERO, -Fr::ONE)],
    ];
    for pair in &pairs {
        let claims = [claim(&pair[0]), claim(&pair[1])];
        assert!(all_hold(&[&claims[0], &claims[1]], || Fr::ONE), "the attack is what it says");
        for seed in 0..4 {
            let verdicts = batch(pair).verify(&mut super::rng(seed));
            assert_eq!(verdicts, [Err(RangeProofError::Refused), Err(RangeProofError::Refused)]);
        }
    }
}

/// The same inside one proof: an error of one equation against one of the other.
#[test]
fn errors_that_cancel_inside_one_proof_are_refused() {
    let errors = Errors { e_blinding: Fr::ONE, t_x_blinding: -Fr::ONE, t1: Fr::ZERO };
    let sample = sample(1, &errors, &mut rng(61));
    assert!(all_hold(&[&claim(&sample)], || Fr::ONE));
    let verdicts = batch([&sample, Sample::valid()]).verify(&mut rng(0));
    assert_eq!(verdicts, [Err(RangeProofError::Refused), Ok(())]);
    assert_eq!(sample.verdict(), Err(RangeProofError::Refused));
}

/// The same item twice: its error must not cancel against itself under repeated weights.
#[test]
fn weights_differ_between_equal_items() {
    let invalid = sample(1, &Errors { t1: Fr::ONE, ..Errors::default() }, &mut rng(62));
    let verdicts = batch([&invalid, &invalid, &invalid]).verify(&mut rng(0));
    assert_eq!(verdicts, vec![Err(RangeProofError::Refused); 3]);
}

/// Weights that an adversary knew beforehand could be cancelled: they depend on every word of every
/// item, on its statement, its context and its place, and on the verifier's entropy.
#[test]
fn weights_depend_on_every_item_and_on_the_entropy() {
    let first = |batch: Batch, seed| batch.weights(&mut rng(seed)).next_u64();
    let (valid, other) = (Sample::valid(), Sample::new(&[5], &mut rng(64)));
    let original = first(batch([valid, &other]), 1);
    assert_eq!(first(batch([valid, &other]), 1), original);
    assert_ne!(first(batch([valid, &other]), 2), original, "entropy");
    assert_ne!(first(batch([&other, valid]), 1), original, "order");
    for place in 0..layout().len() {
        // Another word that is well formed in this place: that of the other proof.
        let words = 32 * place..32 * (place + 1);
        let changed = valid.with_bytes(|bytes| {
            bytes[words.clone()].copy_from_slice(&other.proof.as_bytes()[words]);
        });
        assert_ne!(first(batch([&changed, &other]), 1), original, "word {place}");
    }
    let elsewhere = Sample { context: context("other"), ..valid.clone() };
    assert_ne!(first(batch([&elsewhere, &other]), 1), original, "context");
    let commitments = other.commitments.clone();
    let restated = Sample { commitments, ..valid.clone() };
    assert_ne!(first(batch([&restated, &other]), 1), original, "statement");
}

#[test]
fn an_empty_batch_says_nothing() {
    assert!(Batch::new().is_empty());
    assert_eq!(Batch::new().verify(&mut rng(0)), []);
}

#[test]
fn malformed_items_keep_their_place_and_their_reason() {
    let valid = Sample::valid();
    let malformed = valid.with_bytes(|bytes| bytes[..32].fill(0));
    let empty = Sample { commitments: vec![], ..valid.clone() };
    let batch = batch([valid, &malformed, valid, &empty]);
    assert_eq!(batch.len(), 4);
    assert!(!batch.is_empty());
    assert_eq!(
        batch.verify(&mut rng(0)),
        [
            Ok(()),
            Err(RangeProofError::IdentityPoint(Element::A)),
            Ok(()),
            Err(RangeProofError::Empty)
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Aggregation sizes mixed, any of them spoilt, in any order.
    #[test]
    fn verdicts_are_individual(
        items in proptest::collection::vec((0..4usize, any::<bool>()), 0..12),
        seed in any::<u64>(),
    ) {
        static SAMPLES: std::sync::LazyLock<Vec<Sample>> = std::sync::LazyLock::new(|| {
            (1..=4).map(|count| Sample::new(&vec![9; count], &mut rng(63))).collect()
        });
        let samples: Vec<Sample> = items
            .iter()
            .map(|&(index, spoilt)| match spoilt {
                true => Sample { context: context("spoilt"), ..SAMPLES[index].clone() },
                false => SAMPLES[index].clone(),
            })
            .collect();
        let expected: Vec<_> = items
            .iter()
            .map(|&(_, spoilt)| if spoilt { Err(RangeProofError::Refused) } else { Ok(()) })
            .collect();
        prop_assert_eq!(batch(&samples).verify(&mut rng(seed)), expected);
    }
}
