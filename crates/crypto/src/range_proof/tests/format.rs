//! Lengths and encodings.

use super::*;
use crate::encoding::{Decode, Encode, Problem};

/// Not canonical as a point, nor as a scalar.
const NOT_CANONICAL: [[u8; 32]; 3] = [
    // 2^255 - 19, the modulus of the coordinates: zero, written a second time.
    {
        let mut bytes = [0xff; 32];
        bytes[0] = 0xed;
        bytes[31] = 0x7f;
        bytes
    },
    [0xff; 32],
    // Odd, hence a negative field element; as a scalar above the order.
    {
        let mut bytes = [0x1f; 32];
        bytes[0] = 1;
        bytes
    },
];

#[test]
fn a_proof_has_the_documented_size() {
    for (count, size) in [(1, 672), (2, 736), (3, 800), (4, 800), (5, 864), (128, 1120)] {
        assert_eq!(encoded_length(padded(count)), size);
        let proof = RangeProof::try_from(vec![0; size]).unwrap();
        assert_eq!(proof.aggregation(), padded(count));
        assert_eq!(RangeProof::from_bytes(&proof.to_bytes()), Ok(proof));
    }
}

#[test]
fn other_lengths_are_refused_by_the_decoder() {
    let lengths = [0, 32, 640, 671, 673, 704, 735, 1088, 1119];
    for length in lengths {
        let proof = RangeProof(vec![0; length]);
        let error = RangeProof::from_bytes(&proof.to_bytes()).unwrap_err();
        assert!(matches!(error.problem, Problem::Invalid(_)), "{length}");
        let error = RangeProof::try_from(proof.0).unwrap_err();
        assert_eq!(error, RangeProofError::Length { found: length });
    }
    let error = RangeProof::from_bytes(&RangeProof(vec![0; 1184]).to_bytes()).unwrap_err();
    assert_eq!(error.problem, Problem::TooLong { found: 1184, limit: 1120 });
}

#[test]
fn each_point_must_be_canonical_and_not_the_identity() {
    for (place, element) in layout().into_iter().enumerate() {
        if is_scalar(element) {
            continue;
        }
        let word = 32 * place..32 * (place + 1);
        for bad in NOT_CANONICAL {
            let sample =
                Sample::valid().with_bytes(|bytes| bytes[word.clone()].copy_from_slice(&bad));
            assert_eq!(sample.verdict(), Err(RangeProofError::NotAPoint(element)));
        }
        let sample = Sample::valid().with_bytes(|bytes| bytes[word].fill(0));
        assert_eq!(sample.verdict(), Err(RangeProofError::IdentityPoint(element)));
    }
}

#[test]
fn each_scalar_must_be_below_the_order() {
    for (place, element) in layout().into_iter().enumerate() {
        if !is_scalar(element) {
            continue;
        }
        let word = 32 * place..32 * (place + 1);
        for bad in NOT_CANONICAL {
            let sample =
                Sample::valid().with_bytes(|bytes| bytes[word.clone()].copy_from_slice(&bad));
            assert_eq!(sample.verdict(), Err(RangeProofError::NotAScalar(element)));
        }
        // The same scalar, written as itself plus the order.
        let sample = Sample::valid().with_bytes(|bytes| add_order(&mut bytes[word.clone()]));
        assert_eq!(sample.verdict(), Err(RangeProofError::NotAScalar(element)));
        // Zero is a scalar like any other, just not the right one.
        let sample = Sample::valid().with_bytes(|bytes| bytes[word].fill(0));
        assert_eq!(sample.verdict(), Err(RangeProofError::Refused));
    }
}

fn add_order(scalar: &mut [u8]) {
    let minus_one = (-crate::field::Scalar::ONE).to_bytes();
    let mut carry = 1;
    for (byte, addend) in scalar.iter_mut().zip(minus_one) {
        let sum = u16::from(*byte) + u16::from(addend) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

#[test]
fn the_statement_sets_the_aggregation() {
    let mut rng = rng(1);
    let sample = Sample::new(&[1, 2, 3], &mut rng);
    for (count, expected) in [(1, 1), (2, 2), (5, 8), (128, 128)] {
        let commitments = vec![sample.commitments[0]; count];
        let changed = Sample { commitments, ..sample.clone() };
        assert_eq!(changed.verdict(), Err(RangeProofError::Aggregation { found: 4, expected }));
    }
    let empty = Sample { commitments: vec![], ..sample.clone() };
    assert_eq!(empty.verdict(), Err(RangeProofError::Empty));
    let long = Sample { commitments: vec![sample.commitments[0]; 129], ..sample };
    assert_eq!(long.verdict(), Err(RangeProofError::TooMany { found: 129 }));
}

#[test]
fn impossible_statements_are_not_proven() {
    let context = context("impossible");
    assert_eq!(prove(&context, &[], &mut rng(2)), Err(RangeProofError::Empty));
    let many = vec![Opening::zero(); 129];
    let error = prove(&context, &many, &mut rng(2)).unwrap_err();
    assert_eq!(error, RangeProofError::TooMany { found: 129 });
}
