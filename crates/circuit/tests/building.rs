//! The builder: inferred widths, and mistakes that are kept until the circuit is finished.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use quittance_circuit::{
    Builder, Circuit, CircuitError, Destination, Fr, Gate, GateError, Kind, Owner, Uint,
};

fn refusal(define: impl FnOnce(&Builder)) -> GateError {
    match Builder::build("wrong", 1, define).unwrap_err() {
        CircuitError::Gate { source, .. } => source,
        error => panic!("{error}"),
    }
}

/// The width of what `define` makes of two 64-bit integers.
fn width(define: impl for<'b> Fn(&'b Builder, Uint<'b>, Uint<'b>) -> Uint<'b>) -> u32 {
    let mut width = 0;
    Builder::build("width", 1, |b| {
        let [x, y] = [(); 2].map(|()| b.private(Owner(0)).uint(64));
        width = define(b, x, y).width();
    })
    .unwrap();
    width
}

#[test]
fn widths_follow_from_the_largest_values() {
    assert_eq!(width(|_, x, _| x), 64);
    assert_eq!(width(|_, x, y| x + y), 65);
    // Adding one after the other is as narrow as adding at once.
    assert_eq!(width(|_, x, y| x + y + x + y), 66);
    assert_eq!(width(|b, x, y| b.sum([x, y, x, y])), 66);
    assert_eq!(width(|b, x, y| (0..99).fold(x, |sum, _| sum + y) + b.uint(0)), 71);
    assert_eq!(width(|_, x, y| x * y), 128);
    assert_eq!(width(|_, x, _| x.scale(3)), 66);
    assert_eq!(width(|_, x, y| x.less_than(y).select(x + y, x)), 65);
    assert_eq!(width(|_, x, y| x.less_than(y) * y), 64);
    assert_eq!(width(|b, x, y| b.inner_product([(x.less_than(y).into(), y), (b.uint(1), y)])), 65);
    assert_eq!(width(|b, _, _| b.uint(0)), 1);
    assert_eq!(width(|b, _, _| b.uint(u128::MAX)), 128);
    assert_eq!(width(|b, x, _| b.sum(x.bits().into_iter().map(Uint::from))), 7);
}

#[test]
fn complements_of_bits_are_bits() {
    let circuit = Builder::build("bits", 1, |b| {
        let bit = b.private(Owner(0)).bit();
        for value in [!bit, !!bit, bit ^ !bit, bit | bit, bit & bit] {
            b.carry(value);
        }
        b.carry(b.combination([(-Fr::from(1u64), bit.into())], Fr::from(0u64)));
    })
    .unwrap();
    let kinds: Vec<_> = circuit.carries().collect();
    assert_eq!(kinds, [Kind::Bit, Kind::Bit, Kind::Bit, Kind::Bit, Kind::Bit, Kind::Field]);
}

#[test]
fn integers_that_may_be_too_wide_are_refused() {
    for bits in [0, 129, u32::MAX] {
        let refused = refusal(|b| {
            b.private(Owner(0)).uint(bits);
        });
        assert_eq!(refused, GateError::InputKind);
    }
    assert_eq!(
        refusal(|b| {
            let x = b.private(Owner(0)).uint(128);
            let _ = x + b.uint(1);
        }),
        GateError::TooWide
    );
    assert_eq!(
        refusal(|b| {
            let x = b.private(Owner(0)).uint(65);
            let _ = x * x;
        }),
        GateError::TooWide
    );
    assert_eq!(
        refusal(|b| {
            b.private(Owner(0)).uint(64).scale(u64::MAX).scale(2);
        }),
        GateError::TooWide
    );
    assert_eq!(
        refusal(|b| {
            let x = b.private(Owner(0)).uint(127);
            b.inner_product([(x, b.uint(1)), (x, b.uint(2))]);
        }),
        GateError::TooWide
    );
}

#[test]
fn the_first_mistake_is_reported_with_its_place() {
    let error = Builder::build("early", 1, |b| {
        let x = b.private(Owner(0)).uint(64);
        b.output(x, Destination::Owner(Owner(0)));
        let y = b.private(Owner(1)).uint(64);
        for bit in (x + y).bits() {
            b.output(bit, Destination::Public);
        }
        b.private(Owner(2)).bit();
    });
    let text = error.unwrap_err().to_string();
    assert_eq!(text, "circuit early, gate 1 (input): owner 1 is outside the roster");
}

#[test]
fn values_of_another_builder_are_refused() {
    let outer = Builder::build("outer", 1, |b| {
        let foreign = b.private(Owner(0)).uint(64);
        let inner = Builder::build("inner", 1, |c| {
            let own = c.private(Owner(0)).uint(64);
            c.output(own.less_than(foreign), Destination::Public);
        });
        assert!(matches!(inner, Err(CircuitError::Gate { source: GateError::Foreign, .. })));
    });
    assert!(outer.is_ok());
}

#[test]
fn linear_combinations_have_a_normal_form() {
    let circuit = Builder::build("normal", 1, |b| {
        let x = b.private(Owner(0)).field();
        let y = b.private(Owner(0)).field();
        let one = Fr::from(1u64);
        b.carry(b.combination([(one, y), (one, x), (one, y)], one));
        b.carry(b.combination([(one, y), (-one, y)], one));
        b.carry(b.sum([x]));
    })
    .unwrap();
    let linear = |gate: &&Gate| !matches!(gate, Gate::Input { .. } | Gate::Carry(_));
    let gates: Vec<_> = circuit.gates().iter().filter(linear).collect();
    let [Gate::Linear { terms, .. }, Gate::Constant(constant)] = gates.as_slice() else {
        panic!("{gates:?}");
    };
    assert!(terms.windows(2).all(|pair| pair[0].1 < pair[1].1));
    assert_eq!(terms.iter().map(|(c, _)| *c).collect::<Vec<_>>(), [1, 2].map(Fr::from));
    assert_eq!(*constant, Fr::from(1u64));
}

#[test]
fn outputs_keep_the_order_of_the_calls() {
    let circuit: Circuit = Builder::build("order", 3, |b| {
        for owner in [2, 0, 1] {
            b.output(b.private(Owner(owner)).bit(), Destination::Owner(Owner(owner)));
        }
    })
    .unwrap();
    let order: Vec<_> = circuit.outputs().collect();
    assert_eq!(order, [2, 0, 1].map(|owner| Destination::Owner(Owner(owner))));
}
