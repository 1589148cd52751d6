//! Each gate by itself, on values at the ends of their range.

use super::{ALICE, BOB, Case, Results, Stopped, bit, build, fr, somewhere};
use crate::gate::GateId;
use crate::{Destination, Fr, Uint};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        linear(),
        products(),
        inner_products(),
        is_zero(),
        select(),
        logic(),
        destinations(),
        reveals(),
        zeros_shown(),
        zero_behind_assertion(),
        deep(),
        mixed_level(),
        Case::new("an empty circuit", build("empty", 0, |_| {}), vec![], vec![]),
    ];
    cases.extend(assertions());
    cases
}

/// Elements around 0, powers of two and the order.
fn elements() -> Vec<Fr> {
    let small = [0, 1, 2, u128::from(u64::MAX), 1 << 64, u128::MAX].map(fr);
    let wrapped = [1, 2, 1 << 64, u128::MAX].map(|value| -fr(value));
    [small.to_vec(), wrapped.to_vec(), vec![fr(u128::MAX) * fr(u128::MAX)]].concat()
}

fn linear() -> Case {
    let (a, b) = (-fr(3), fr(1 << 127));
    let (two, five) = (fr(2), fr(5));
    let circuit = build("linear", 2, |c| {
        let (a, b) = (c.private(ALICE).field(), c.committed(BOB).field());
        let same = a;
        for (index, value) in [
            a + b,
            a - b,
            -a,
            c.combination([(two, a), (-five, b), (two, a)], five),
            a - same,
            c.field(-two),
            c.sum([a, b, a]),
            c.sum(std::iter::empty()),
        ]
        .into_iter()
        .enumerate()
        {
            c.output(value, somewhere(index));
            c.output(value, somewhere(index));
        }
    });
    let combination = fr(4) * a - five * b + five;
    let values = [a + b, a - b, -a, combination, fr(0), -two, a + a + b, fr(0)];
    let outputs = values.into_iter().flat_map(|value| [value; 2]).collect();
    Case::new("linear combinations", circuit, vec![vec![a], vec![b]], outputs)
}

fn products() -> Case {
    let elements = elements();
    let circuit = build("products", 2, |b| {
        let left: Vec<_> = elements.iter().map(|_| b.private(ALICE).field()).collect();
        let right: Vec<_> = elements.iter().map(|_| b.private(BOB).field()).collect();
        for left in &left {
            for right in &right {
                b.output(*left * *right, Destination::Public);
            }
        }
        b.output(left[8] * left[8] * left[8], Destination::Public);
        let wide = b.private(ALICE).uint(64) * b.private(BOB).uint(64);
        b.output(wide, Destination::Public);
    });
    let mut outputs: Vec<_> =
        elements.iter().flat_map(|a| elements.iter().map(move |b| *a * *b)).collect();
    outputs.push(elements[8] * elements[8] * elements[8]);
    let max = u128::from(u64::MAX);
    outputs.push(fr(max * max));
    let mut inputs = elements;
    inputs.push(fr(max));
    Case::new("products", circuit, vec![inputs.clone(), inputs], outputs)
}

fn inner_products() -> Case {
    let elements = elements();
    let circuit = build("inner-products", 1, |b| {
        let values: Vec<_> = elements.iter().map(|_| b.private(ALICE).field()).collect();
        for length in [0, 1, 2, 5, values.len()] {
            let reversed = values.iter().rev().copied();
            b.output(
                b.inner_product(values.iter().copied().zip(reversed).take(length)),
                Destination::Public,
            );
        }
    });
    let product = |length: usize| -> Fr {
        elements.iter().zip(elements.iter().rev()).take(length).map(|(a, b)| *a * *b).sum()
    };
    let outputs = [0, 1, 2, 5, elements.len()].map(product).to_vec();
    Case::new("inner products", circuit, vec![elements.clone()], outputs)
}

fn is_zero() -> Case {
    let elements = elements();
    let circuit = build("is-zero", 2, |b| {
        for _ in &elements {
            b.output(b.private(ALICE).field().is_zero(), Destination::Public);
        }
        for bits in [1, 64, 128] {
            let (left, right) = (b.private(BOB).uint(bits), b.private(BOB).uint(bits));
            b.output(left.equals(right), Destination::Public);
            b.output(b.sum([left]).equals(left), Destination::Public);
            b.output(crate::Field::from(left).is_zero(), Destination::Public);
        }
    });
    let mut outputs: Vec<_> = elements.iter().map(|value| bit(*value == fr(0))).collect();
    outputs.extend([0, 1, 0, 1, 1, 0, 0, 1, 1].map(fr));
    let pairs = vec![fr(1), fr(0), fr(9), fr(9), fr(0), fr(u128::MAX)];
    Case::new("tests for zero", circuit, vec![elements, pairs], outputs)
}

fn select() -> Case {
    let (yes, no) = (-fr(7), fr(1 << 90));
    let circuit = build("select", 1, |b| {
        let [one, zero] = [(); 2].map(|()| b.private(ALICE).bit());
        let (yes, no) = (b.private(ALICE).field(), b.private(ALICE).field());
        let (small, large) = (b.uint(3), b.private(ALICE).uint(64));
        b.output(one.select(yes, no), Destination::Public);
        b.output(zero.select(yes, no), Destination::Public);
        b.output(one.select(small, large), Destination::Public);
        // The result is an integer that can be compared.
        b.output(zero.select(small, large).less_than(small), Destination::Public);
        b.output(one.select(zero, one), Destination::Public);
        b.output(b.bit(true).select(yes, yes), Destination::Public);
    });
    let inputs = vec![vec![fr(1), fr(0), yes, no, fr(2)]];
    Case::new("selections", circuit, inputs, vec![yes, no, fr(3), fr(1), fr(0), yes])
}

fn logic() -> Case {
    let circuit = build("logic", 2, |b| {
        for _ in 0..4 {
            let (left, right) = (b.private(ALICE).bit(), b.private(BOB).bit());
            for value in [left & right, left | right, left ^ right, !left, left & !right] {
                b.output(value, Destination::Public);
            }
            b.output(left * Uint::from(right), Destination::Public);
        }
    });
    let table = [(false, false), (false, true), (true, false), (true, true)];
    let row = |(a, b): (bool, bool)| [a & b, a | b, a ^ b, !a, a & !b, a & b].map(bit);
    let inputs = vec![table.map(|(a, _)| bit(a)).to_vec(), table.map(|(_, b)| bit(b)).to_vec()];
    Case::new("logic", circuit, inputs, table.into_iter().flat_map(row).collect())
}

/// Groups of commitments, values that are alike, constants, and outputs to whoever has no input.
fn destinations() -> Case {
    let circuit = build("destinations", 3, |b| {
        let value = b.private(ALICE).uint(64);
        for index in 0..9 {
            b.output(value, somewhere(index));
            b.output(-crate::Field::from(value), somewhere(index));
        }
        for group in [0, u32::MAX, u32::MAX] {
            let owner = crate::Owner(2);
            b.output(b.uint(7), Destination::Commitment { owner, group });
            b.output(b.uint(7), Destination::Owner(owner));
        }
    });
    let mut outputs = [fr(5), -fr(5)].repeat(9);
    outputs.extend([fr(7); 6]);
    Case::new("destinations", circuit, vec![vec![fr(5)], vec![], vec![]], outputs)
}

/// Reveals come in gate order although their levels differ.
fn reveals() -> Case {
    let circuit = build("reveals", 1, |b| {
        let value = b.private(ALICE).uint(32);
        b.reveal(value * value * value);
        b.reveal(value);
        b.reveal(value.less_than(b.uint(4)));
        b.reveal(b.uint(9));
    });
    let expected = Ok(Results { revealed: vec![fr(27), fr(3), fr(1), fr(9)], outputs: Vec::new() });
    let inputs = vec![vec![fr(3)]];
    Case { name: "reveals".into(), circuit, inputs, expected }
}

/// Tests for zero whose bits are revealed and nothing else, and some whose bits serve twice.
fn zeros_shown() -> Case {
    let circuit = build("zeros shown", 1, |b| {
        let (value, zero) = (b.private(ALICE).uint(32), b.private(ALICE).field());
        b.reveal(value.equals(b.uint(3)));
        b.reveal((zero * zero).is_zero());
        let (twice, output) = (value.equals(b.uint(4)), zero.is_zero());
        b.reveal(twice);
        b.reveal(twice);
        b.reveal(output);
        b.output(output, Destination::Public);
        let late = (value * value).equals(b.uint(10));
        b.assert_zero(zero * zero * zero);
        b.reveal(late);
        b.reveal(value);
    });
    let revealed = [1, 1, 0, 0, 1, 0, 3].map(fr).to_vec();
    let expected = Ok(Results { revealed, outputs: vec![fr(1)] });
    let inputs = vec![vec![fr(3), fr(0)]];
    Case { name: "zeros shown".into(), circuit, inputs, expected }
}

/// A test for zero in public does not come before an assertion that stands before its reveal.
fn zero_behind_assertion() -> Case {
    let circuit = build("zero behind assertion", 1, |b| {
        let value = b.private(ALICE).field();
        let zero = value.is_zero();
        b.assert_zero(value * value * value);
        b.reveal(zero);
    });
    let assertion = GateId(circuit.gates().len() as u32 - 2);
    let expected = Err(Stopped::Assertion(assertion));
    Case { name: "zero behind assertion".into(), circuit, inputs: vec![vec![fr(3)]], expected }
}

fn deep() -> Case {
    let circuit = build("deep", 1, |b| {
        let value = b.private(ALICE).field();
        let power = (0..20).fold(value, |power, _| power * power);
        b.output(power, Destination::Public);
    });
    let power = (0..20).fold(fr(3), |power, _| power * power);
    Case::new("twenty levels", circuit, vec![vec![fr(3)]], vec![power])
}

/// All interactive gates on one level.
fn mixed_level() -> Case {
    let circuit = build("mixed-level", 2, |b| {
        let (left, right) = (b.private(ALICE).uint(16), b.private(BOB).uint(16));
        b.output(left * right, Destination::Public);
        b.output(left.less_than(right), Destination::Public);
        b.output(left.equals(right), Destination::Public);
        b.output(left.bits()[1], Destination::Owner(ALICE));
        b.output(b.private(ALICE).bit().select(left, right), Destination::Owner(BOB));
        b.output(b.inner_product([(left, left), (right, right)]), Destination::Public);
        b.assert_zero(b.private(BOB).field());
        b.reveal(left + right);
    });
    let inputs = vec![vec![fr(6), fr(1)], vec![fr(7), fr(0)]];
    let outputs = [42, 1, 0, 1, 6, 85].map(fr).to_vec();
    let expected = Ok(Results { revealed: vec![fr(13)], outputs });
    Case { name: "all gates on one level".into(), circuit, inputs, expected }
}

fn assertions() -> Vec<Case> {
    let circuit = build("assertions", 1, |b| {
        let (left, right) = (b.private(ALICE).uint(64), b.private(ALICE).uint(64));
        b.assert_zero(left - right);
        b.assert_true((left * right).less_than(b.uint(101)));
        b.reveal(left);
        b.output(right, Destination::Public);
    });
    let gates = circuit.gates().iter().enumerate();
    let mut at = gates.filter(|(_, gate)| matches!(gate, crate::Gate::AssertZero(_)));
    let mut next = || GateId(at.next().map_or(u32::MAX, |(index, _)| index as u32));
    let [difference, bound] = [next(), next()];
    let case = |name: &str, left: u128, right: u128, expected| {
        let inputs = vec![vec![fr(left), fr(right)]];
        Case { name: name.into(), circuit: circuit.clone(), inputs, expected }
    };
    let hold = Results { revealed: vec![fr(10)], outputs: vec![fr(10)] };
    vec![
        case("assertions that hold", 10, 10, Ok(hold)),
        case("an assertion off by one", 10, 9, Err(Stopped::Assertion(difference))),
        case("an assertion on a comparison", 11, 11, Err(Stopped::Assertion(bound))),
    ]
}
