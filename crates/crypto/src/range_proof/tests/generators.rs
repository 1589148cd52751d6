//! Generators: pinned, distinct, and those of the crate `bulletproofs`.

use bulletproofs::range_proof_mpc::party::Party;
use bulletproofs::{BulletproofGens, PedersenGens};
use curve25519_dalek_4::scalar::Scalar as OlderScalar;

use super::super::generators::{check, points, position};
use super::*;
use crate::group::Point;

#[test]
fn they_are_distinct_and_hash_to_the_pinned_digest() {
    assert_eq!(check_generators(), Ok(()));
}

#[test]
fn generators_that_are_weak_or_others_are_refused() {
    let good: Vec<Point> = points(MAX_AGGREGATION).collect();
    let with = |place: usize, point: Point| {
        let mut points = good.clone();
        points[place] = point;
        check(points.into_iter())
    };
    for place in [0, 1, 2, good.len() - 1] {
        assert_eq!(with(place, Point::identity()), Err(GeneratorError::Identity));
        assert_eq!(with(place, good[(place + 1) % good.len()]), Err(GeneratorError::Equal));
        let other = with(place, good[place] + good[0]);
        assert!(matches!(other, Err(GeneratorError::Digest(_))), "{place}");
    }
    let fewer = check(points(MAX_AGGREGATION - 1));
    assert!(matches!(fewer, Err(GeneratorError::Digest(_))));
}

#[test]
fn every_g_equals_that_of_the_crate() {
    let theirs = BulletproofGens::new(BITS, MAX_AGGREGATION);
    for j in 0..MAX_AGGREGATION {
        let share = theirs.share(j);
        let encodings = share.G(BITS).map(|point| point.compress().to_bytes());
        assert!(position(j).g.iter().map(Point::compress).eq(encodings), "{j}");
    }
}

/// The crate keeps its `H` to itself, but shows it in commitments: `A` of a party with value 0 is
/// `-sum H + blinding`, and setting bit `k` adds `G_k + H_k`, under the same blinding if the
/// party draws from the same seed.
#[test]
fn every_h_equals_that_of_the_crate() {
    let theirs = BulletproofGens::new(BITS, MAX_AGGREGATION);
    let commitment_to_bits = |j: usize, value: u64| {
        let bases = PedersenGens::default();
        let party = Party::new(&theirs, &bases, value, OlderScalar::ZERO, BITS).unwrap();
        let (_, message) = party.assign_position_with_rng(j, &mut rng(3)).unwrap();
        crossing::bit_message(&message).unwrap().a.point()
    };
    let all_ones = u64::MAX;
    for j in 0..MAX_AGGREGATION {
        let ours = position(j);
        let sum: Point = ours.g.iter().chain(&ours.h).copied().sum();
        // One bit of each position alone; all of them in sum. The first and last bit by bit.
        let single_bits = if j == 0 { 0..BITS } else { j % BITS..j % BITS + 1 };
        let nothing = commitment_to_bits(j, 0);
        assert_eq!(commitment_to_bits(j, all_ones) - nothing, sum, "{j}");
        for k in single_bits {
            let difference = commitment_to_bits(j, 1 << k) - nothing;
            assert_eq!(difference, ours.g[k] + ours.h[k], "{j} {k}");
        }
    }
}
