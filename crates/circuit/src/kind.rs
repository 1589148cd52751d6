//! Kinds of wires, and the rules by which each gate's kind follows from those of its operands.
//!
//! Kinds of produced wires are inferred, never stated, by builder and decoder alike: a wrong width
//! cannot be written down. An unsigned integer carries its exact largest possible value, so that
//! sums grow by what they can reach, not by one bit per addition.

use std::fmt;

use ark_ff::{BigInteger as _, PrimeField as _, Zero as _};
use thiserror::Error;

use crate::Fr;
use crate::gate::{Gate, Owner, Wire};

/// The widest unsigned integer, in bits.
///
/// A comparison of two such integers still leaves room in the 252-bit field for the statistical
/// mask of a joint computation.
pub const MAX_BITS: u32 = 128;

/// What is known of the value on a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any element of the field.
    Field,
    /// 0 or 1.
    Bit,
    /// An integer from 0 to `max`, which is at least 2.
    Uint {
        /// The largest possible value.
        max: u128,
    },
}

impl Kind {
    /// Integers from 0 to `max`; [`Kind::Bit`] if that is at most 1.
    pub const fn up_to(max: u128) -> Self {
        if max <= 1 { Self::Bit } else { Self::Uint { max } }
    }

    /// Integers of `bits` bits, for 1 to [`MAX_BITS`] bits.
    pub const fn uint(bits: u32) -> Option<Self> {
        match bits {
            1..=MAX_BITS => Some(Self::up_to(u128::MAX >> (MAX_BITS - bits))),
            _ => None,
        }
    }

    /// The largest value, unless any field element is possible.
    pub const fn max(self) -> Option<u128> {
        match self {
            Self::Field => None,
            Self::Bit => Some(1),
            Self::Uint { max } => Some(max),
        }
    }

    /// How many bits the value has, unless any field element is possible.
    pub const fn bits(self) -> Option<u32> {
        match self.max() {
            None => None,
            Some(max) => Some(u128::BITS - max.leading_zeros()),
        }
    }

    /// Whether every value of this kind is also one of `wider`.
    pub fn fits(self, wider: Self) -> bool {
        match (self.max(), wider.max()) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(bound)) => own <= bound,
        }
    }

    /// Whether `value` is one of this kind.
    pub fn contains(self, value: &Fr) -> bool {
        match (self.max(), small(value)) {
            (None, _) => true,
            (Some(max), Some(value)) => value <= max,
            (Some(_), None) => false,
        }
    }

    /// The smallest kind with all values of both.
    fn join(self, other: Self) -> Self {
        match (self.max(), other.max()) {
            (Some(a), Some(b)) => Self::up_to(a.max(b)),
            _ => Self::Field,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field => f.write_str("Field"),
            Self::Bit => f.write_str("Bit"),
            Self::Uint { max } => write!(f, "Uint<{}>", u128::BITS - max.leading_zeros()),
        }
    }
}

/// What is wrong with a gate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GateError {
    /// An operand is not a wire of an earlier gate.
    #[error("operand {} is not a wire of an earlier gate", .0.0)]
    Undefined(Wire),
    /// An operand of the wrong kind.
    #[error("wire {} is a {found} where {expected} is needed", wire.0)]
    WrongKind {
        /// The operand.
        wire: Wire,
        /// Its kind.
        found: Kind,
        /// What the gate works on.
        expected: &'static str,
    },
    /// A linear combination or inner product with too few terms to be one.
    #[error("{0} terms are too few")]
    TooFewTerms(usize),
    /// The terms of a linear combination are out of order or repeat a wire.
    #[error("the wires of the terms do not ascend")]
    TermsOutOfOrder,
    /// A term of a linear combination has the coefficient zero.
    #[error("a coefficient is zero")]
    ZeroCoefficient,
    /// An input whose largest value is not one less than a power of two.
    #[error("an input is a Field, a Bit or a Uint of 2 to {MAX_BITS} bits")]
    InputKind,
    /// A kept value is taken behind a gate of another type.
    #[error("kept values come before all other gates")]
    LateKept,
    /// An owner outside the circuit's roster.
    #[error("{0} is outside the roster")]
    UnknownOwner(Owner),
    /// One gate, wire or operand too many for one circuit.
    #[error("the circuit has too many gates, wires or operands")]
    TooLarge,
    /// Operands from another circuit's builder.
    #[error("an operand belongs to another circuit")]
    Foreign,
    /// An integer could exceed the widest kind; convert to field elements on purpose instead.
    #[error("the result can exceed {MAX_BITS} bits")]
    TooWide,
}

/// The value as an integer, if it is below 2^128.
pub fn small(value: &Fr) -> Option<u128> {
    let limbs = value.into_bigint();
    if limbs.num_bits() > u128::BITS {
        return None;
    }
    let limbs = limbs.as_ref();
    Some(limbs.iter().take(2).rev().fold(0, |high, &low| (high << 64) | u128::from(low)))
}

/// The kinds of the wires that `gate` produces, given the kinds of all earlier wires.
pub(crate) fn infer(gate: &Gate, kinds: &[Kind]) -> Result<Vec<Kind>, GateError> {
    let kind = |wire: Wire| kinds.get(wire.0 as usize).copied().ok_or(GateError::Undefined(wire));
    let integer = |wire: Wire| {
        let found = kind(wire)?;
        match found.max() {
            Some(max) => Ok(max),
            None => Err(GateError::WrongKind { wire, found, expected: "a Uint or Bit" }),
        }
    };
    Ok(match gate {
        Gate::Input { kind, .. } => match kind.bits() {
            Some(bits) if Kind::uint(bits) != Some(*kind) => return Err(GateError::InputKind),
            _ => vec![*kind],
        },
        Gate::Constant(value) => vec![small(value).map_or(Kind::Field, Kind::up_to)],
        Gate::Linear { terms, constant } => vec![linear(terms, constant, kind)?],
        Gate::Multiply(a, b) => vec![products(&[(*a, *b)], kind)?],
        Gate::InnerProduct(pairs) if pairs.len() < 2 => {
            return Err(GateError::TooFewTerms(pairs.len()));
        }
        Gate::InnerProduct(pairs) => vec![products(pairs, kind)?],
        Gate::Decompose(wire) => {
            let bits = u128::BITS - integer(*wire)?.leading_zeros();
            vec![Kind::Bit; bits as usize]
        }
        Gate::LessThan(a, b) => {
            integer(*a)?;
            integer(*b)?;
            vec![Kind::Bit]
        }
        Gate::IsZero(wire) => {
            kind(*wire)?;
            vec![Kind::Bit]
        }
        Gate::Select { bit, yes, no } => {
            let found = kind(*bit)?;
            if found != Kind::Bit {
                return Err(GateError::WrongKind { wire: *bit, found, expected: "a Bit" });
            }
            vec![kind(*yes)?.join(kind(*no)?)]
        }
        Gate::AssertZero(wire)
        | Gate::Reveal(wire)
        | Gate::Output(wire, _)
        | Gate::Carry(wire)
        | Gate::Keep(wire) => {
            kind(*wire)?;
            Vec::new()
        }
    })
}

/// Coefficients that are small integers (of either sign) on integers give an integer, if it cannot
/// be negative nor exceed [`MAX_BITS`]: `1 - bit` is a bit.
fn linear(
    terms: &[(Fr, Wire)],
    constant: &Fr,
    kind: impl Fn(Wire) -> Result<Kind, GateError>,
) -> Result<Kind, GateError> {
    if terms.is_empty() {
        return Err(GateError::TooFewTerms(0));
    }
    if !terms.is_sorted_by(|(_, a), (_, b)| a < b) {
        return Err(GateError::TermsOutOfOrder);
    }
    let constant = small(constant);
    // How far the terms reach above the constant and below it; None once out of bounds.
    let (mut above, mut below) = (Some(0u128), Some(0u128));
    for (coefficient, wire) in terms {
        if coefficient.is_zero() {
            return Err(GateError::ZeroCoefficient);
        }
        let max = kind(*wire)?.max();
        let (side, size) = match small(coefficient) {
            Some(size) => (&mut above, Some(size)),
            None => (&mut below, small(&-*coefficient)),
        };
        let reach = size.zip(max).and_then(|(size, max)| size.checked_mul(max));
        *side = side.zip(reach).and_then(|(sum, reach)| sum.checked_add(reach));
    }
    let negative = below.zip(constant).is_none_or(|(below, constant)| below > constant);
    let max = above.zip(constant).and_then(|(above, constant)| above.checked_add(constant));
    Ok(if negative { Kind::Field } else { max.map_or(Kind::Field, Kind::up_to) })
}

/// The kind of a sum of products.
fn products(
    pairs: &[(Wire, Wire)],
    kind: impl Fn(Wire) -> Result<Kind, GateError>,
) -> Result<Kind, GateError> {
    let mut max = Some(0u128);
    for &(a, b) in pairs {
        let reach = kind(a)?.max().zip(kind(b)?.max()).and_then(|(a, b)| a.checked_mul(b));
        max = max.zip(reach).and_then(|(sum, reach)| sum.checked_add(reach));
    }
    Ok(max.map_or(Kind::Field, Kind::up_to))
}
