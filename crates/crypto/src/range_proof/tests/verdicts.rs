//! What is accepted, and that any change to proof, statement or context is refused.

use proptest::prelude::*;
use rand_core::RngCore;

use super::*;

#[test]
fn honest_proofs_are_accepted_at_every_size() {
    let mut rng = rng(10);
    for count in 1..=9 {
        let values: Vec<u64> = (0..count).map(|_| rng.next_u64()).collect();
        assert_eq!(Sample::new(&values, &mut rng).verdict(), Ok(()), "{count}");
    }
}

#[test]
fn the_largest_aggregation_and_the_ends_of_the_range_are_accepted() {
    let mut rng = rng(11);
    assert_eq!(Sample::new(&[0, u64::MAX], &mut rng).verdict(), Ok(()));
    let values: Vec<u64> = (0..100).map(|i| u64::MAX - i).collect();
    assert_eq!(Sample::new(&values, &mut rng).verdict(), Ok(()));
}

#[test]
fn padding_written_out_is_the_same_statement() {
    let mut sample = Sample::new(&[1, 2, 3], &mut rng(12));
    sample.commitments.push(Commitment::identity());
    assert_eq!(sample.verdict(), Ok(()));
}

#[test]
fn a_known_zero_is_in_range() {
    let context = context("zero");
    let proof = prove(&context, &[Opening::zero()], &mut rng(13)).unwrap();
    let sample = Sample { context, commitments: vec![Commitment::identity()], proof };
    assert_eq!(sample.verdict(), Ok(()));
}

#[test]
fn proofs_are_randomized_even_by_a_generator_that_repeats() {
    let opening = Opening::random(1, &mut rng(14));
    let openings = [opening.clone()];
    let first = prove(&context("one"), &openings, &mut rng(15)).unwrap();
    assert_eq!(first, prove(&context("one"), &openings, &mut rng(15)).unwrap());
    assert_ne!(first, prove(&context("one"), &openings, &mut rng(16)).unwrap());
    // Same generator state, other context or other opening: no element in common.
    let other = Opening::new(2, opening.blinding.clone());
    for second in [
        prove(&context("two"), &openings, &mut rng(15)).unwrap(),
        prove(&context("one"), &[other], &mut rng(15)).unwrap(),
    ] {
        let words = first.as_bytes().chunks(32).zip(second.as_bytes().chunks(32));
        assert!(words.into_iter().all(|(a, b)| a != b));
    }
}

#[test]
fn every_byte_of_the_proof_counts() {
    for place in 0..Sample::valid().proof.as_bytes().len() {
        let sample = Sample::valid().with_bytes(|bytes| bytes[place] ^= 1 << (place % 8));
        assert!(sample.verdict().is_err(), "{place}");
    }
}

#[test]
fn every_byte_of_the_context_counts() {
    for place in 0..32 {
        let mut sample = Sample::valid().clone();
        sample.context.0[place] ^= 1;
        assert_eq!(sample.verdict(), Err(RangeProofError::Refused), "{place}");
    }
}

#[test]
fn every_commitment_and_its_place_count() {
    let mut rng = rng(17);
    let sample = Sample::new(&[1, 2, 3], &mut rng);
    let mut changed = Vec::new();
    for place in 0..3 {
        let commitment = sample.commitments[place].point();
        let base = crate::group::value_base();
        for other in [commitment + base, commitment - base, -commitment, base - base] {
            let mut commitments = sample.commitments.clone();
            commitments[place] = other.into();
            changed.push(commitments);
        }
        let mut commitments = sample.commitments.clone();
        commitments.swap(place, (place + 1) % 3);
        changed.push(commitments);
        // One with the same value under another blinding.
        let mut commitments = sample.commitments.clone();
        commitments[place] = Opening::random(place as u64 + 1, &mut rng).commit();
        changed.push(commitments);
    }
    changed.push([&sample.commitments[..], &[sample.commitments[0]]].concat());
    for commitments in changed {
        let sample = Sample { commitments, ..sample.clone() };
        assert_eq!(sample.verdict(), Err(RangeProofError::Refused));
    }
}

#[test]
fn negative_and_overflowing_values_cannot_borrow_a_proof() {
    let mut rng = rng(18);
    let sample = Sample::new(&[u64::MAX], &mut rng);
    let base = crate::group::value_base();
    let above = Sample {
        commitments: vec![(sample.commitments[0].point() + base).into()],
        ..sample.clone()
    };
    assert_eq!(above.verdict(), Err(RangeProofError::Refused));
    let sample = Sample::new(&[0], &mut rng);
    let below =
        Sample { commitments: vec![(sample.commitments[0].point() - base).into()], ..sample };
    assert_eq!(below.verdict(), Err(RangeProofError::Refused));
}

/// A change to the 32-byte words of a proof.
#[derive(Debug, Clone)]
enum Change {
    Random { word: usize, seed: u64 },
    Bit { word: usize, bit: usize },
    Swap { word: usize, with: usize },
    Zero { word: usize },
    FromAnother { word: usize },
    Nothing,
}

fn change() -> impl Strategy<Value = Change> {
    let word = || 0..23usize;
    prop_oneof![
        (word(), any::<u64>()).prop_map(|(word, seed)| Change::Random { word, seed }),
        (word(), 0..256usize).prop_map(|(word, bit)| Change::Bit { word, bit }),
        (word(), word()).prop_map(|(word, with)| Change::Swap { word, with }),
        word().prop_map(|word| Change::Zero { word }),
        word().prop_map(|word| Change::FromAnother { word }),
        Just(Change::Nothing),
    ]
}

fn apply(change: &Change, bytes: &mut [u8], other: &[u8]) {
    let range = |word: usize| 32 * word..32 * (word + 1);
    match *change {
        Change::Random { word, seed } => rng(seed).fill_bytes(&mut bytes[range(word)]),
        Change::Bit { word, bit } => bytes[32 * word + bit / 8] ^= 1 << (bit % 8),
        Change::Swap { word, with } => {
            for k in 0..32 {
                bytes.swap(32 * word + k, 32 * with + k);
            }
        }
        Change::Zero { word } => bytes[range(word)].fill(0),
        Change::FromAnother { word } => bytes[range(word)].copy_from_slice(&other[range(word)]),
        Change::Nothing => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// `verdict` asserts that all three verifiers agree; here also on what was decided.
    #[test]
    fn verifiers_agree_on_changed_proofs(
        changes in proptest::collection::vec(change(), 1..3),
        other_context in proptest::bool::weighted(0.1),
    ) {
        static SAMPLES: std::sync::LazyLock<[Sample; 2]> = std::sync::LazyLock::new(|| {
            [Sample::new(&[1, 2], &mut rng(19)), Sample::new(&[1, 2], &mut rng(20))]
        });
        let [sample, other] = &*SAMPLES;
        let mut changed = sample.with_bytes(|bytes| {
            for change in &changes {
                apply(change, bytes, other.proof.as_bytes());
            }
        });
        if other_context {
            changed.context = context("other");
        }
        let same = changed.proof == sample.proof && !other_context;
        prop_assert_eq!(changed.verdict().is_ok(), same);
    }
}
