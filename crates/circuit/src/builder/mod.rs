//! Builds circuits with ordinary operators on typed values.
//!
//! ```
//! use quittance_circuit::{Builder, Clear, Destination, Fr, Owner};
//!
//! // Does Alice have at least as much as Bob and Carol together?
//! let circuit = Builder::build("richer", 3, |b| {
//!     let [alice, bob, carol] = [0, 1, 2].map(|owner| b.private(Owner(owner)).uint(64));
//!     b.output((bob + carol).at_most(alice), Destination::Public);
//! })?;
//! let inputs = [7u64, 3, 4].map(|value| vec![Fr::from(value)]);
//! assert_eq!(Clear::run(&circuit, inputs.to_vec())?.outputs, [Fr::from(1u64)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Widths follow from the operands and cannot be stated wrongly. Operators cannot return errors,
//! so the first mistake (a sum that may exceed 128 bits, a value of another builder) is kept and
//! returned when the circuit is finished.

mod operators;
mod values;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use ark_ff::Zero as _;

use crate::Fr;
use crate::circuit::{Assembly, Circuit, CircuitError};
use crate::gate::{Destination, Gate, Owner, Source, Wire};
use crate::kind::{GateError, Kind};

use values::Sealed as _;
pub use values::{Bit, Field, Number, Uint, Value};

/// A circuit being built.
pub struct Builder {
    assembly: RefCell<Assembly>,
    error: RefCell<Option<CircuitError>>,
    outputs: RefCell<Vec<(Wire, Destination)>>,
    /// If set, each output is multiplied by this bit.
    guard: Cell<Option<Wire>>,
}

/// Chooses the kind of an input.
#[must_use]
pub struct Input<'b> {
    builder: &'b Builder,
    source: Source,
}

impl Builder {
    /// Runs `define` on an empty circuit for `owners` owners and finishes it.
    pub fn build(
        name: &str,
        owners: u16,
        define: impl FnOnce(&Self),
    ) -> Result<Circuit, CircuitError> {
        let builder = Self {
            assembly: RefCell::new(Assembly::new(name, owners)?),
            error: RefCell::new(None),
            outputs: RefCell::new(Vec::new()),
            guard: Cell::new(None),
        };
        define(&builder);
        builder.finish()
    }

    fn finish(self) -> Result<Circuit, CircuitError> {
        for (wire, to) in self.outputs.take() {
            let wire = match self.guard.get() {
                Some(guard) => self.push(Gate::Multiply(guard, wire)),
                None => wire,
            };
            self.push(Gate::Output(wire, to));
        }
        match self.error.into_inner() {
            Some(error) => Err(error),
            None => self.assembly.into_inner().finish(),
        }
    }

    /// An input that only `owner` knows.
    pub fn private(&self, owner: Owner) -> Input<'_> {
        Input { builder: self, source: Source::Private(owner) }
    }

    /// An input of `owner` to which a commitment is public.
    pub fn committed(&self, owner: Owner) -> Input<'_> {
        Input { builder: self, source: Source::Committed(owner) }
    }

    /// The next value of the state carried over from the circuit before.
    pub fn carried(&self) -> Input<'_> {
        Input { builder: self, source: Source::Carried }
    }

    /// The next of the values that the start of the program keeps. They are taken before anything
    /// else.
    pub fn kept(&self) -> Input<'_> {
        Input { builder: self, source: Source::Kept }
    }

    /// A public constant integer.
    pub fn uint(&self, value: u128) -> Uint<'_> {
        Uint::of(self, self.push(Gate::Constant(Fr::from(value))))
    }

    /// A public constant field element.
    pub fn field(&self, value: Fr) -> Field<'_> {
        Field::of(self, self.push(Gate::Constant(value)))
    }

    /// A public constant bit.
    pub fn bit(&self, value: bool) -> Bit<'_> {
        Bit::of(self, self.push(Gate::Constant(Fr::from(u64::from(value)))))
    }

    /// The sum of any number of values; the width follows from the largest possible sum.
    pub fn sum<'b, T: Number<'b>>(&'b self, values: impl IntoIterator<Item = T>) -> T {
        let one = Fr::from(1u64);
        let terms: Vec<_> = values.into_iter().map(|value| (one, self.wire(value))).collect();
        T::numeric(self, self.linear(&terms, Fr::zero()))
    }

    /// The sum of the products of pairs, at the price of one product.
    pub fn inner_product<'b, T: Number<'b>>(
        &'b self,
        pairs: impl IntoIterator<Item = (T, T)>,
    ) -> T {
        let pairs: Vec<_> = pairs.into_iter().map(|(a, b)| (self.wire(a), self.wire(b))).collect();
        let gate = match pairs.as_slice() {
            [] => Gate::Constant(Fr::zero()),
            [(a, b)] => Gate::Multiply(*a, *b),
            _ => Gate::InnerProduct(pairs),
        };
        T::numeric(self, self.push(gate))
    }

    /// `constant + sum of coefficient * value` over the field.
    pub fn combination<'b>(
        &'b self,
        terms: impl IntoIterator<Item = (Fr, Field<'b>)>,
        constant: Fr,
    ) -> Field<'b> {
        let terms: Vec<_> =
            terms.into_iter().map(|(coefficient, value)| (coefficient, self.wire(value))).collect();
        Field::of(self, self.linear(&terms, constant))
    }

    /// Fails the computation unless `value` is zero.
    pub fn assert_zero<'b>(&'b self, value: impl Value<'b>) {
        self.push(Gate::AssertZero(self.wire(value)));
    }

    /// Fails the computation unless `bit` is 1.
    pub fn assert_true<'b>(&'b self, bit: Bit<'b>) {
        self.assert_zero(!bit);
    }

    /// Shows `value` to everybody during the computation: a leak to be argued for.
    pub fn reveal<'b>(&'b self, value: impl Value<'b>) {
        self.push(Gate::Reveal(self.wire(value)));
    }

    /// Delivers `value` at the end. Outputs keep the order of these calls.
    pub fn output<'b>(&'b self, value: impl Value<'b>, to: Destination) {
        let wire = self.wire(value);
        self.outputs.borrow_mut().push((wire, to));
    }

    /// Hands `value`, still secret, to the next circuit of a program.
    pub fn carry<'b>(&'b self, value: impl Value<'b>) {
        self.push(Gate::Carry(self.wire(value)));
    }

    /// Keeps `value`, still secret, for all circuits of a program that follow its start.
    pub fn keep<'b>(&'b self, value: impl Value<'b>) {
        self.push(Gate::Keep(self.wire(value)));
    }

    /// Makes each output zero unless `bit` is 1.
    pub(crate) fn guard_outputs<'b>(&'b self, bit: Bit<'b>) {
        self.guard.set(Some(self.wire(bit)));
    }

    /// The value's wire, if it is of this circuit.
    fn wire<'b>(&'b self, value: impl Value<'b>) -> Wire {
        if !std::ptr::eq(self, value.builder()) {
            self.fail("operand", GateError::Foreign);
        }
        value.wire()
    }

    fn fail(&self, what: &'static str, error: GateError) {
        let assembly = self.assembly.borrow();
        let mut first = self.error.borrow_mut();
        first.get_or_insert_with(|| assembly.error(assembly.next_gate(), what, error));
    }

    /// The first wire of a new gate. After a mistake nothing is built any more, and any wire does.
    fn push(&self, gate: Gate) -> Wire {
        let what = gate.name();
        let failed = self.error.borrow().is_some();
        let pushed = if failed { Ok(0..0) } else { self.assembly.borrow_mut().push(gate) };
        match pushed {
            Ok(wires) => Wire(wires.start),
            Err(error) => {
                self.fail(what, error);
                Wire(0)
            }
        }
    }

    /// A linear combination in normal form: wires ascending and distinct, no zero coefficients, and
    /// no gate at all where a constant or an existing wire does.
    fn linear(&self, terms: &[(Fr, Wire)], constant: Fr) -> Wire {
        let mut merged = BTreeMap::<Wire, Fr>::new();
        for &(coefficient, wire) in terms {
            *merged.entry(wire).or_insert_with(Fr::zero) += coefficient;
        }
        merged.retain(|_, coefficient| !coefficient.is_zero());
        let terms: Vec<_> = merged.into_iter().map(|(wire, c)| (c, wire)).collect();
        match terms.as_slice() {
            [] => self.push(Gate::Constant(constant)),
            [(c, wire)] if *c == Fr::from(1u64) && constant.is_zero() => *wire,
            _ => self.push(Gate::Linear { terms, constant }),
        }
    }

    /// Refuses a result that should be an integer and may be too wide to be one.
    fn integer(&self, wire: Wire) -> Wire {
        if self.kind(wire) == Some(Kind::Field) {
            self.fail("integer", GateError::TooWide);
        }
        wire
    }

    fn kind(&self, wire: Wire) -> Option<Kind> {
        if self.error.borrow().is_some() {
            return None;
        }
        self.assembly.borrow().kind(wire)
    }
}

impl<'b> Input<'b> {
    fn of(self, kind: Kind) -> Wire {
        self.builder.push(Gate::Input { source: self.source, kind })
    }

    /// Any field element.
    pub fn field(self) -> Field<'b> {
        Field::of(self.builder, self.of(Kind::Field))
    }

    /// 0 or 1.
    pub fn bit(self) -> Bit<'b> {
        Bit::of(self.builder, self.of(Kind::Bit))
    }

    /// An unsigned integer of 1 to 128 bits.
    pub fn uint(self, bits: u32) -> Uint<'b> {
        let kind = Kind::uint(bits).unwrap_or_else(|| {
            self.builder.fail("input", GateError::InputKind);
            Kind::Bit
        });
        Uint::of(self.builder, self.of(kind))
    }
}
