//! Random circuits, expected results by a walk over the gates one by one.

use ark_ff::Zero as _;

use super::{Case, Numbers, Results, fr, somewhere};
use crate::circuit::Assembly;
use crate::gate::{Destination, Gate, Owner, Source, Wire};
use crate::kind::{Kind, small};
use crate::{Circuit, Fr};

const CIRCUITS: u64 = 24;
const GATES: usize = 30;

pub(super) fn cases() -> Vec<Case> {
    (0..CIRCUITS).map(case).collect()
}

fn case(seed: u64) -> Case {
    let mut numbers = Numbers(1000 + seed);
    let name = format!("random/{seed}");
    let Ok(mut assembly) = Assembly::new(&name, 2) else { unreachable!("the name is short") };
    for index in 0..6 {
        let kind = [Kind::Field, Kind::Bit, width(64), width(1 + numbers.below(100) as u32)];
        let owner = Owner(index % 2);
        let source =
            if numbers.below(2) == 0 { Source::Private(owner) } else { Source::Committed(owner) };
        // An input always has its place.
        let _ = assembly.push(Gate::Input { source, kind: kind[numbers.below(4)] });
    }
    let mut built = 0;
    while built < GATES {
        // A gate whose operands do not suit it is refused and drawn again.
        built += usize::from(assembly.push(gate(&mut numbers, &assembly)).is_ok());
    }
    // No group of commitments has just one member.
    for group in [0, 1] {
        for owner in [Owner(0), Owner(1)] {
            let _ = assembly.push(Gate::Output(Wire(0), Destination::Commitment { owner, group }));
        }
    }
    let circuit = match assembly.finish() {
        Ok(circuit) => circuit,
        Err(error) => unreachable!("the suite has an invalid circuit: {error}"),
    };
    let inputs: Vec<_> = [Owner(0), Owner(1)]
        .map(|owner| circuit.inputs_of(owner).map(|(_, kind)| value(kind, &mut numbers)).collect())
        .to_vec();
    let expected = Ok(plain(&circuit, &inputs));
    Case { name: format!("random circuit {seed}"), circuit, inputs, expected }
}

fn width(bits: u32) -> Kind {
    Kind::uint(bits).unwrap_or(Kind::Bit)
}

fn value(kind: Kind, numbers: &mut Numbers) -> Fr {
    match kind.bits() {
        None => numbers.field(),
        Some(bits) => fr(numbers.uint(bits)),
    }
}

/// A gate on wires that exist, of kinds that may not suit it.
fn gate(numbers: &mut Numbers, assembly: &Assembly) -> Gate {
    let wires = assembly.wires();
    let mut wire = || Wire(numbers.below(wires) as u32);
    let (a, b, c) = (wire(), wire(), wire());
    match numbers.below(10) {
        0 => Gate::Constant(value(width(64), numbers)),
        1 if a < b => {
            let coefficients = [fr(1), -fr(1), fr(3), numbers.field()];
            let terms =
                vec![(coefficients[numbers.below(4)], a), (coefficients[numbers.below(4)], b)];
            Gate::Linear { terms, constant: fr(numbers.below(3) as u128) }
        }
        1 | 2 => Gate::Multiply(a, b),
        3 => Gate::InnerProduct(vec![(a, b), (b, c), (c, c)]),
        4 => Gate::LessThan(a, b),
        5 => Gate::IsZero(a),
        6 => Gate::Select { bit: a, yes: b, no: c },
        7 if assembly.kind(a).and_then(Kind::bits) < Some(20) => Gate::Decompose(a),
        8 => Gate::Reveal(a),
        _ => Gate::Output(a, somewhere(numbers.below(6))),
    }
}

/// The results, gate by gate, without levels and without an interpreter.
fn plain(circuit: &Circuit, inputs: &[Vec<Fr>]) -> Results {
    let mut inputs: Vec<_> = inputs.iter().map(|values| values.iter()).collect();
    let mut results = Results { revealed: Vec::new(), outputs: Vec::new() };
    let mut values: Vec<Fr> = Vec::new();
    for gate in circuit.gates() {
        let at = |wire: &Wire| values[wire.0 as usize];
        let integer = |wire: &Wire| small(&at(wire)).unwrap_or(u128::MAX);
        let truth = |value: bool| fr(u128::from(value));
        let value = match gate {
            Gate::Input { source: Source::Private(owner) | Source::Committed(owner), .. } => {
                inputs[usize::from(owner.0)].next().copied().unwrap_or_default()
            }
            Gate::Constant(value) => *value,
            Gate::Linear { terms, constant } => {
                *constant + terms.iter().map(|(c, wire)| *c * at(wire)).sum::<Fr>()
            }
            Gate::Multiply(a, b) => at(a) * at(b),
            Gate::InnerProduct(pairs) => pairs.iter().map(|(a, b)| at(a) * at(b)).sum(),
            Gate::LessThan(a, b) => truth(integer(a) < integer(b)),
            Gate::IsZero(wire) => truth(at(wire).is_zero()),
            Gate::Select { bit, yes, no } if at(bit).is_zero() => at(no),
            Gate::Select { yes, .. } => at(yes),
            Gate::Decompose(wire) => {
                let integer = integer(wire);
                let width = circuit.kind(*wire).bits().unwrap_or_default();
                values.extend((0..width).map(|place| fr(integer >> place & 1)));
                continue;
            }
            Gate::Reveal(wire) => {
                results.revealed.push(at(wire));
                continue;
            }
            Gate::Output(wire, _) => {
                results.outputs.push(at(wire));
                continue;
            }
            Gate::Input { .. } | Gate::AssertZero(_) | Gate::Carry(_) | Gate::Keep(_) => {
                unreachable!("not drawn")
            }
        };
        values.push(value);
    }
    results
}
