//! Canonical bytes of circuits and programs: pinned, strict, and validated when read.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use quittance_circuit::{
    Builder, Circuit, CircuitError, Destination, Fr, Gate, GateError, Kind, Owner, Program,
    Repetition, Source, Wire,
};
use quittance_crypto::encoding::{Decode, Encode, Problem};

/// All gates, sources and destinations.
fn sample() -> Circuit {
    Builder::build("sample", 2, |b| {
        let a = b.private(Owner(0)).uint(8);
        let c = b.committed(Owner(1)).uint(64);
        let f = b.carried().field();
        let less = a.less_than(c);
        let product = b.inner_product([(a, c), (a, a)]);
        let chosen = less.select(product, b.uint(5));
        b.assert_zero(f);
        b.reveal(less);
        b.carry((a - c).is_zero());
        b.output(a.bits()[7], Destination::Public);
        b.output(chosen * a, Destination::Owner(Owner(1)));
        b.output(chosen, Destination::Commitment { owner: Owner(1), group: 7 });
        b.output(
            b.combination([(-Fr::from(3u64), f)], Fr::from(2u64)),
            Destination::Commitment { owner: Owner(0), group: 7 },
        );
    })
    .unwrap()
}

fn small() -> Circuit {
    Builder::build("less", 2, |b| {
        let less = b.private(Owner(0)).uint(64).less_than(b.committed(Owner(1)).uint(8));
        b.output(less, Destination::Public);
    })
    .unwrap()
}

#[test]
fn the_layout_is_pinned() {
    let expected = [
        &[1, 0, 0, 0, 4, b'l', b'e', b's', b's', 0, 2, 0, 0, 0, 4][..],
        &[0, 0, 0, 0, 64],
        &[0, 1, 0, 1, 8],
        &[6, 0, 0, 0, 0, 0, 0, 0, 1],
        &[11, 0, 0, 0, 2, 0],
    ];
    assert_eq!(small().to_bytes(), expected.concat());
}

#[test]
fn fingerprints_are_pinned() {
    let found = [small().fingerprint(), sample().fingerprint(), program().fingerprint()];
    let pinned = [
        "9b2aba31aa7cec89525f5eebca89d47113ad9f1e52b79054eec71583c66034a1",
        "3f7787c1f96173c687ea39059d9af8e584ca529761ba2c59c43b80b266c00bda",
        "59768878b5ec2915f8dbb2eeefe7d86165330660185b6681e2b31c977463ffbf",
    ];
    assert_eq!(found.map(|fingerprint| fingerprint.to_string()), pinned);
}

fn program() -> Program {
    let start = Builder::build("p/start", 1, |b| b.carry(b.private(Owner(0)).bit())).unwrap();
    let step = Builder::build("p/step", 1, |b| {
        let state = b.carried().bit();
        b.reveal(state);
        b.carry(b.bit(true));
    })
    .unwrap();
    let finish = Builder::build("p/finish", 1, |b| {
        b.output(b.carried().bit(), Destination::Public);
    })
    .unwrap();
    Program::new(start, step, finish, Repetition::UntilFlag { at_most: 3 }).unwrap()
}

#[test]
fn circuits_and_programs_read_back() {
    for circuit in [small(), sample()] {
        let read = Circuit::from_bytes(&circuit.to_bytes()).unwrap();
        assert_eq!(read, circuit);
        assert_eq!(read.fingerprint(), circuit.fingerprint());
        assert_eq!(read.schedule().depth(), circuit.schedule().depth());
    }
    assert_eq!(Program::from_bytes(&program().to_bytes()).unwrap(), program());
}

#[test]
fn every_prefix_and_every_extension_is_refused() {
    let bytes = sample().to_bytes();
    for end in 0..bytes.len() {
        assert!(Circuit::from_bytes(&bytes[..end]).is_err());
    }
    let error = Circuit::from_bytes(&[bytes, vec![0]].concat()).unwrap_err();
    assert_eq!(error.problem, Problem::Trailing(1));

    let bytes = program().to_bytes();
    for end in 0..bytes.len() {
        assert!(Program::from_bytes(&bytes[..end]).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// What is accepted has no second encoding, and another fingerprint if it differs.
    #[test]
    fn mutated_circuits_are_refused_or_others(at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = sample().to_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(circuit) = Circuit::from_bytes(&bytes) {
            prop_assert_eq!(circuit.to_bytes(), bytes);
            prop_assert_ne!(circuit.fingerprint(), sample().fingerprint());
        }
    }

    #[test]
    fn mutated_programs_are_refused_or_others(at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = program().to_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(program) = Program::from_bytes(&bytes) {
            prop_assert_eq!(program.to_bytes(), bytes);
        }
    }
}

/// A circuit of one owner, with three inputs on wires 0 (Field), 1 (Bit), 2 (Uint<64>), and `gate`.
fn with(gate: &[u8]) -> Vec<u8> {
    let head = &[1, 0, 0, 0, 1, b'x', 0, 1, 0, 0, 0, 4][..];
    let inputs = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 64][..];
    [head, inputs, gate].concat()
}

fn wire(index: u32) -> [u8; 4] {
    index.to_be_bytes()
}

fn element(first: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = first;
    bytes
}

fn linear(terms: &[(u8, u32)]) -> Vec<u8> {
    let mut bytes = vec![2];
    bytes.extend(wire(terms.len() as u32));
    for &(coefficient, index) in terms {
        bytes.extend(element(coefficient));
        bytes.extend(wire(index));
    }
    bytes.extend(element(0));
    bytes
}

#[test]
fn invalid_gates_are_refused_with_their_place() {
    assert!(Circuit::from_bytes(&with(&[12, 0, 0, 0, 2])).is_ok());
    assert!(Circuit::from_bytes(&with(&linear(&[(1, 0), (2, 2)]))).is_ok());

    let binary = |tag: u8, a: u32, b: u32| [&[tag][..], &wire(a), &wire(b)].concat();
    let select = |bit: u32| [&[8][..], &wire(bit), &wire(0), &wire(2)].concat();
    let pairs = |count: u32| {
        let pairs = (0..count).flat_map(|_| [wire(0), wire(0)].concat()).collect::<Vec<_>>();
        [&[4][..], &wire(count), &pairs].concat()
    };
    let kind = "an operand is of the wrong kind";
    let undefined = "an operand is not a wire of an earlier gate";
    for (gate, what, why) in [
        (binary(3, 0, 3), "multiply", undefined),
        (binary(3, u32::MAX, 0), "multiply", undefined),
        (vec![12, 0, 0, 0, 3], "carry", undefined),
        (binary(6, 0, 2), "less-than", kind),
        (binary(6, 2, 0), "less-than", kind),
        (vec![5, 0, 0, 0, 0], "bit decomposition", kind),
        (select(2), "select", kind),
        (select(0), "select", kind),
        (pairs(0), "inner product", "too few terms"),
        (pairs(1), "inner product", "too few terms"),
        (linear(&[]), "linear combination", "too few terms"),
        (linear(&[(1, 1), (1, 0)]), "linear combination", "the wires of the terms do not ascend"),
        (linear(&[(1, 1), (1, 1)]), "linear combination", "the wires of the terms do not ascend"),
        (linear(&[(1, 1), (0, 2)]), "linear combination", "a coefficient is zero"),
        (vec![0, 0, 0, 1, 8], "input", "the owner is outside the roster"),
        (vec![11, 0, 0, 0, 0, 1, 0, 1], "output", "the owner is outside the roster"),
        (vec![11, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0], "output", "the owner is outside the roster"),
    ] {
        let error = Circuit::from_bytes(&with(&gate)).unwrap_err();
        assert_eq!((error.what, &error.problem, error.offset), (what, &Problem::Invalid(why), 27));
    }
}

#[test]
fn malformed_fields_are_refused() {
    let order = {
        let mut bytes = vec![1];
        // l in little-endian bytes (RFC 9496).
        bytes.extend([0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58]);
        bytes.extend([0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14]);
        bytes.extend(element(0)[..15].iter().chain(&[0x10]));
        bytes
    };
    for (gate, what) in [
        (vec![11, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 9], "gates"),
        (vec![14], "gate"),
        (vec![0, 4, 0, 0, 8], "source of an input"),
        (vec![0, 0, 0, 0, 129], "kind of an input"),
        (vec![0, 0, 0, 0, 255], "kind of an input"),
        (vec![11, 0, 0, 0, 0, 3], "destination of an output"),
        (order, "field element"),
        (vec![2, 255, 255, 255, 255], "terms"),
        (vec![4, 1, 0, 0, 1], "pairs"),
    ] {
        assert_eq!(Circuit::from_bytes(&with(&gate)).unwrap_err().what, what);
    }
    for (bytes, what) in [
        (vec![2], "circuit version"),
        (vec![1, 0, 0, 0, 0, 0, 0], "circuit name"),
        (vec![1, 0, 0, 0, 1, 0x7f, 0, 0], "circuit name"),
        (vec![1, 0, 0, 0, 1, 0xff, 0, 0], "circuit name"),
        (vec![1, 0, 0, 0, 65], "circuit name"),
        (vec![1, 0, 0, 0, 1, b'x', 0, 0, 0, 0x40, 0, 1], "gates"),
    ] {
        assert_eq!(Circuit::from_bytes(&bytes).unwrap_err().what, what);
    }
}

#[test]
fn lists_of_gates_are_held_to_the_same_rules() {
    let bit = || Gate::Input { source: Source::Private(Owner(0)), kind: Kind::Bit };
    let gates = vec![bit(), bit(), Gate::Multiply(Wire(0), Wire(2))];
    let source = GateError::Undefined(Wire(2));
    let error = Circuit::new("late", 1, gates).unwrap_err();
    assert!(matches!(&error, CircuitError::Gate { source: found, .. } if *found == source));
    assert_eq!(
        error.to_string(),
        "circuit late, gate 2 (multiply): operand 2 is not a wire of an earlier gate"
    );
    let alone = Gate::Output(Wire(0), Destination::Commitment { owner: Owner(0), group: 3 });
    let error = Circuit::new("alone", 1, vec![bit(), alone.clone()]).unwrap_err();
    assert_eq!(error.to_string(), "circuit alone, gate 1 (output): the only commitment of group 3");
    assert!(Circuit::new("two", 1, vec![bit(), alone.clone(), alone]).is_ok());
    // Not 2^n - 1, and a Uint that is a Bit.
    for max in [0, 1, 2, 100] {
        let input = Gate::Input { source: Source::Carried, kind: Kind::Uint { max } };
        let error = Circuit::new("odd", 0, vec![input]).unwrap_err();
        assert!(matches!(error, CircuitError::Gate { source: GateError::InputKind, .. }));
    }
    for name in ["", "\n", "é", &"x".repeat(65)] {
        assert_eq!(Circuit::new(name, 0, vec![]).unwrap_err(), CircuitError::Name);
    }
}
