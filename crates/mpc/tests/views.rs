//! What one party sees says nothing of the inputs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod committee;

use std::collections::BTreeSet;

use quittance_circuit::{Builder, Circuit, Destination, Fr, Owner};
use quittance_crypto::encoding::{Decode, Encode};
use quittance_mpc::session::{Frame, Kind};

use committee::Committee;

/// Compares, selects, multiplies and tests for zero; each owner learns one result.
fn circuit() -> Circuit {
    Builder::build("views", 2, |b| {
        let left = b.committed(Owner(0)).uint(64);
        let right = b.committed(Owner(1)).uint(64);
        let less = left.less_than(right);
        let least = less.select(left, right);
        let product = left * least;
        let same = left.equals(right);
        let bits = right.bits();
        b.output(product, Destination::Owner(Owner(0)));
        b.output(same.select(bits[0], bits[1]), Destination::Owner(Owner(1)));
        b.output(left, Destination::Commitment { owner: Owner(0), group: 0 });
        b.output(right, Destination::Commitment { owner: Owner(1), group: 0 });
    })
    .unwrap()
}

/// Everything that the parties were sent in one run, by party.
fn views(left: u64, right: u64, seed: u64) -> Vec<Vec<Frame>> {
    let circuit = circuit();
    let mut committee = Committee::new(3, 1);
    committee.seed = seed;
    let inputs = [vec![Fr::from(left)], vec![Fr::from(right)]];
    let dealt = committee.inputs(&inputs, |_| vec![true]);
    let network = committee.network(dealt, move |mut shared| async move {
        Ok(shared.evaluate(&circuit).await?.outputs.len())
    });
    let outcome = network.recording().run();
    assert!(outcome.results.iter().all(|result| *result == Ok(4)));
    outcome.views
}

fn elements(view: &[Frame]) -> impl Iterator<Item = [u8; 32]> {
    let shares = view.iter().filter(|frame| matches!(frame.kind, Kind::Multiply | Kind::Open));
    shares.flat_map(|frame| frame.payload.as_chunks().0.to_vec())
}

#[test]
fn no_view_contains_a_secret() {
    let (left, right) = (0x0123_4567_89ab_cdef_u64, 0xfedc_ba98_7654_3210_u64);
    let least = left.min(right);
    let secrets = [
        Fr::from(left),
        Fr::from(right),
        Fr::from(left) - Fr::from(right),
        Fr::from(left) * Fr::from(least),
        Fr::from(0u64),
        Fr::from(1u64),
    ];
    for view in views(left, right, 1) {
        let seen: BTreeSet<_> = elements(&view).collect();
        assert!(seen.len() > 500);
        for secret in &secrets {
            assert!(!seen.iter().any(|bytes| bytes[..] == secret.to_bytes()[..]));
        }
        // Nor do the eight bytes of an input occur anywhere, aligned or not.
        for frame in &view {
            for secret in [left.to_le_bytes(), right.to_le_bytes(), left.to_be_bytes()] {
                assert!(!frame.payload.windows(8).any(|window| window == secret));
            }
        }
    }
}

#[test]
fn views_have_the_same_shape_for_all_inputs() {
    let shape = |left, right| {
        let views = views(left, right, 1);
        let shapes = views.into_iter().map(|view| {
            let mut shape: Vec<_> = view
                .iter()
                .map(|frame| (frame.exchange, frame.from, frame.kind as u8, frame.payload.len()))
                .collect();
            shape.sort_unstable();
            shape
        });
        shapes.collect::<Vec<_>>()
    };
    let expected = shape(0, 0);
    for (left, right) in [(0, u64::MAX), (u64::MAX, 0), (7, 7)] {
        assert_eq!(shape(left, right), expected);
    }
}

#[test]
fn fresh_randomness_changes_every_element_that_travels() {
    for (one, two) in views(5, 6, 1).iter().zip(&views(5, 6, 2)) {
        let seen: BTreeSet<_> = elements(one).collect();
        assert!(elements(two).all(|element| !seen.contains(&element)));
        assert_eq!(seen.len(), elements(one).count(), "an element repeats");
    }
}

/// Bits that a party sees over many sessions are as often 1 for one input as for another.
#[test]
fn what_is_seen_is_distributed_alike_for_different_inputs() {
    const SESSIONS: u64 = 24;
    let ones = |left, right, first: u64| {
        let mut ones = 0u64;
        let mut bits = 0u64;
        for seed in first..first + SESSIONS {
            for frame in &views(left, right, seed)[0] {
                if !matches!(frame.kind, Kind::Multiply) {
                    continue;
                }
                for element in frame.payload.chunks_exact(32) {
                    assert!(Fr::from_bytes(element).is_ok());
                    // The top four bits are zero below l, but for a chance of 2^-127.
                    ones += element.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>();
                    bits += 252;
                }
            }
        }
        (ones as f64, bits as f64)
    };
    for (left, right, first) in [(0, 0, 100), (u64::MAX, 1, 200)] {
        let (ones, bits) = ones(left, right, first);
        let deviation = (ones - bits / 2.0) / (bits / 4.0).sqrt();
        assert!(deviation.abs() < 5.0, "{deviation} standard deviations");
    }
}

/// The low bits of masked openings, which carry the operands, are even over many sessions.
#[test]
fn masked_openings_are_uniform_in_their_low_bits() {
    const SESSIONS: u64 = 60;
    for (left, right) in [(0, 0), (3, 1 << 63)] {
        let mut ones = [0u32; 8];
        for seed in 1000..1000 + SESSIONS {
            // The first opening is that of the comparison: interpolate it as party 1 does.
            let opened = first_opening(left, right, seed);
            for (place, ones) in ones.iter_mut().enumerate() {
                *ones += u32::from(opened.to_bytes()[0] >> place & 1);
            }
        }
        for count in ones {
            // Five standard deviations of a fair coin thrown 60 times.
            assert!((11..=49).contains(&count), "{ones:?}");
        }
    }
}

fn first_opening(left: u64, right: u64, seed: u64) -> Fr {
    let view = &views(left, right, seed)[0];
    let first = view.iter().filter(|frame| frame.kind == Kind::Open).map(|frame| frame.exchange);
    let first = first.min().unwrap();
    let share = |from| {
        let frame = view.iter().find(|frame| frame.exchange == first && frame.from == from);
        Fr::from_bytes(&frame.unwrap().payload[..32]).unwrap()
    };
    // f(0) = 3 * f(2) - 2 * f(3) for a polynomial of degree 1.
    share(2) * Fr::from(3u64) - share(3) * Fr::from(2u64)
}
