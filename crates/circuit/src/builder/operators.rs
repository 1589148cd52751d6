//! Ordinary operators on the values of a builder.

use std::ops::{Add, BitAnd, BitOr, BitXor, Mul, Neg, Not, Sub};

use super::values::{Numeric as _, Sealed as _};
use super::{Bit, Builder, Field, Uint, Value};
use crate::Fr;
use crate::gate::{Gate, Wire};

/// `a * left + b * right`.
fn combine<'b>(a: i8, left: impl Value<'b>, b: i8, right: impl Value<'b>) -> Wire {
    let builder = left.builder();
    let terms = [(Fr::from(a), left.wire()), (Fr::from(b), builder.wire(right))];
    builder.linear(&terms, Fr::from(0u64))
}

fn multiply<'b>(left: impl Value<'b>, right: impl Value<'b>) -> (&'b Builder, Wire) {
    let builder = left.builder();
    (builder, builder.push(Gate::Multiply(left.wire(), builder.wire(right))))
}

impl<'b> Add for Field<'b> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::of(self.builder(), combine(1, self, 1, other))
    }
}

impl<'b> Sub for Field<'b> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::of(self.builder(), combine(1, self, -1, other))
    }
}

impl<'b> Neg for Field<'b> {
    type Output = Self;

    fn neg(self) -> Self {
        let wire = self.builder().linear(&[(-Fr::from(1u64), self.wire())], Fr::from(0u64));
        Self::of(self.builder(), wire)
    }
}

impl<'b> Mul for Field<'b> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let (builder, wire) = multiply(self, other);
        Self::of(builder, wire)
    }
}

/// A sum that may exceed 128 bits is a mistake of the circuit.
impl<'b> Add for Uint<'b> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::numeric(self.builder(), combine(1, self, 1, other))
    }
}

/// The difference may be negative, so it is a field element.
impl<'b> Sub for Uint<'b> {
    type Output = Field<'b>;

    fn sub(self, other: Self) -> Field<'b> {
        Field::of(self.builder(), combine(1, self, -1, other))
    }
}

/// A product that may exceed 128 bits is a mistake of the circuit.
impl<'b> Mul for Uint<'b> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let (builder, wire) = multiply(self, other);
        Self::numeric(builder, wire)
    }
}

/// The integer if the bit is 1, otherwise 0.
impl<'b> Mul<Uint<'b>> for Bit<'b> {
    type Output = Uint<'b>;

    fn mul(self, other: Uint<'b>) -> Uint<'b> {
        let (builder, wire) = multiply(self, other);
        Uint::of(builder, wire)
    }
}

impl<'b> Not for Bit<'b> {
    type Output = Self;

    fn not(self) -> Self {
        let wire = self.builder().linear(&[(-Fr::from(1u64), self.wire())], Fr::from(1u64));
        Self::of(self.builder(), wire)
    }
}

impl<'b> BitAnd for Bit<'b> {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        let (builder, wire) = multiply(self, other);
        Self::of(builder, wire)
    }
}

impl<'b> BitOr for Bit<'b> {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        !(!self & !other)
    }
}

impl<'b> BitXor for Bit<'b> {
    type Output = Self;

    fn bitxor(self, other: Self) -> Self {
        self.select(!other, other)
    }
}
