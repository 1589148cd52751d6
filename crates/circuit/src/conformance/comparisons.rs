//! Comparisons and bit decompositions at the ends of their widths.

use super::{ALICE, BOB, Case, Numbers, bit, build, fr, somewhere};
use crate::{Destination, Fr};

/// Widths at and around the ends of the range, and those of amounts and of their sums.
const WIDTHS: [u32; 11] = [1, 2, 3, 8, 63, 64, 65, 66, 71, 127, 128];

pub(super) fn cases() -> Vec<Case> {
    let mut numbers = Numbers(1);
    let mut cases: Vec<_> = WIDTHS.iter().map(|&bits| less_than(bits, &mut numbers)).collect();
    cases.extend(WIDTHS.iter().map(|&bits| decompose(bits, &mut numbers)));
    cases.push(mixed_widths());
    cases.push(sums());
    cases
}

/// Interesting integers of `bits` bits.
fn integers(bits: u32, numbers: &mut Numbers) -> Vec<u128> {
    let max = u128::MAX >> (128 - bits);
    let (half, random) = (max / 2, numbers.uint(bits));
    vec![0, max, half, half.saturating_add(1).min(max), random]
}

/// All pairs of interesting integers, among them equal ones and neighbours.
fn less_than(bits: u32, numbers: &mut Numbers) -> Case {
    let values = integers(bits, numbers);
    let circuit = build(&format!("less-than/{bits}"), 2, |b| {
        let left: Vec<_> = values.iter().map(|_| b.private(ALICE).uint(bits)).collect();
        let right: Vec<_> = values.iter().map(|_| b.private(BOB).uint(bits)).collect();
        for (index, left) in left.iter().enumerate() {
            for right in &right {
                b.output(left.less_than(*right), somewhere(3 * index));
            }
        }
    });
    let pairs = values.iter().flat_map(|left| values.iter().map(move |right| left < right));
    let outputs = pairs.map(bit).collect();
    let inputs: Vec<_> = values.iter().map(|&value| fr(value)).collect();
    Case::new(&format!("less-than of {bits} bits"), circuit, vec![inputs.clone(), inputs], outputs)
}

fn decompose(bits: u32, numbers: &mut Numbers) -> Case {
    let values = integers(bits, numbers);
    let circuit = build(&format!("decompose/{bits}"), 1, |b| {
        for _ in &values {
            for bit in b.committed(ALICE).uint(bits).bits() {
                b.output(bit, Destination::Public);
            }
        }
    });
    let places = values.iter().flat_map(|value| (0..bits).map(move |place| value >> place & 1));
    let outputs = places.map(fr).collect();
    let inputs = vec![values.iter().map(|&value| fr(value)).collect()];
    Case::new(&format!("decomposition into {bits} bits"), circuit, inputs, outputs)
}

/// Operands of different widths, constants, and an operand with itself.
fn mixed_widths() -> Case {
    let (small, large) = (200u128, 1u128 << 100);
    let circuit = build("less-than/mixed", 2, |b| {
        let small = b.private(ALICE).uint(8);
        let large = b.private(BOB).uint(101);
        let constant = b.uint(200);
        for (index, (left, right)) in [
            (small, large),
            (large, small),
            (small, constant),
            (constant, large),
            (small, b.uint(201)),
            (large, large),
            (b.bit(true).into(), small),
            (b.uint(3), b.uint(4)),
        ]
        .into_iter()
        .enumerate()
        {
            b.output(left.less_than(right), somewhere(index));
            b.output(left.at_most(right), somewhere(index));
            b.output(left.equals(right), somewhere(index));
        }
    });
    let pairs = [
        (small, large),
        (large, small),
        (small, 200),
        (200, large),
        (small, 201),
        (large, large),
        (1, small),
        (3, 4),
    ];
    let outputs = pairs.iter().flat_map(|(a, b)| [a < b, a <= b, a == b]).map(bit).collect();
    let inputs = vec![vec![fr(small)], vec![fr(large)]];
    Case::new("less-than of mixed widths", circuit, inputs, outputs)
}

/// Sums whose largest value is no power of two less one.
fn sums() -> Case {
    let amounts = [u64::MAX; 5];
    let circuit = build("less-than/sums", 1, |b| {
        let amounts: Vec<_> = amounts.iter().map(|_| b.committed(ALICE).uint(64)).collect();
        let all = b.sum(amounts.iter().copied());
        let four = b.sum(amounts.iter().copied().take(4));
        b.output(four.less_than(all), Destination::Public);
        b.output(all.less_than(four), Destination::Public);
        b.output(all.at_most(four + amounts[4]), Destination::Public);
        for bit in all.bits() {
            b.output(bit, Destination::Public);
        }
    });
    let sum = 5 * u128::from(u64::MAX);
    let mut outputs = vec![fr(1), fr(0), fr(1)];
    outputs.extend((0..67).map(|place| fr(sum >> place & 1)));
    Case::new("sums of amounts", circuit, vec![amounts.map(Fr::from).to_vec()], outputs)
}
