//! The typed values that a builder hands out.

use super::Builder;
use crate::Fr;
use crate::gate::{Gate, Wire};

/// A value in a circuit being built.
pub trait Value<'b>: Copy + sealed::Sealed<'b> {}

/// A value with sums and products of its own type.
pub trait Number<'b>: Value<'b> + sealed::Numeric<'b> {}

pub(super) mod sealed {
    use super::{Builder, Wire};

    pub trait Sealed<'b> {
        /// Wraps a wire that is known to be of this type.
        fn of(builder: &'b Builder, wire: Wire) -> Self;
        fn builder(&self) -> &'b Builder;
        fn wire(&self) -> Wire;
    }

    pub trait Numeric<'b>: Sealed<'b> {
        /// Wraps the result of sums and products of values of this type.
        fn numeric(builder: &'b Builder, wire: Wire) -> Self;
    }
}

pub(super) use sealed::{Numeric, Sealed};

macro_rules! value {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'b> {
            builder: &'b Builder,
            wire: Wire,
        }

        impl<'b> Sealed<'b> for $name<'b> {
            fn of(builder: &'b Builder, wire: Wire) -> Self {
                Self { builder, wire }
            }

            fn builder(&self) -> &'b Builder {
                self.builder
            }

            fn wire(&self) -> Wire {
                self.wire
            }
        }

        impl<'b> Value<'b> for $name<'b> {}
    };
}

value! {
    /// Any element of the field; the home of signed values.
    Field
}
value! {
    /// 0 or 1.
    Bit
}
value! {
    /// An unsigned integer whose largest possible value is known and below 2^128.
    Uint
}

impl<'b> Numeric<'b> for Field<'b> {
    fn numeric(builder: &'b Builder, wire: Wire) -> Self {
        Self { builder, wire }
    }
}

impl<'b> Numeric<'b> for Uint<'b> {
    fn numeric(builder: &'b Builder, wire: Wire) -> Self {
        Self { builder, wire: builder.integer(wire) }
    }
}

impl<'b> Number<'b> for Field<'b> {}
impl<'b> Number<'b> for Uint<'b> {}

impl<'b> From<Bit<'b>> for Uint<'b> {
    fn from(bit: Bit<'b>) -> Self {
        Self { builder: bit.builder, wire: bit.wire }
    }
}

impl<'b> From<Bit<'b>> for Field<'b> {
    fn from(bit: Bit<'b>) -> Self {
        Self { builder: bit.builder, wire: bit.wire }
    }
}

impl<'b> From<Uint<'b>> for Field<'b> {
    fn from(integer: Uint<'b>) -> Self {
        Self { builder: integer.builder, wire: integer.wire }
    }
}

impl<'b> Field<'b> {
    /// `[self = 0]`.
    pub fn is_zero(self) -> Bit<'b> {
        Bit { builder: self.builder, wire: self.builder.push(Gate::IsZero(self.wire)) }
    }

    /// `[self = other]`.
    pub fn equals(self, other: Self) -> Bit<'b> {
        (self - other).is_zero()
    }
}

impl<'b> Uint<'b> {
    /// `[self < other]`.
    pub fn less_than(self, other: Self) -> Bit<'b> {
        let other = self.builder.wire(other);
        Bit { builder: self.builder, wire: self.builder.push(Gate::LessThan(self.wire, other)) }
    }

    /// `[self <= other]`.
    pub fn at_most(self, other: Self) -> Bit<'b> {
        !other.less_than(self)
    }

    /// `[self = other]`.
    pub fn equals(self, other: Self) -> Bit<'b> {
        Field::from(self).equals(other.into())
    }

    /// The bits, lowest first, as many as [`Uint::width`].
    pub fn bits(self) -> Vec<Bit<'b>> {
        let first = self.builder.push(Gate::Decompose(self.wire));
        let bit = |place| Bit { builder: self.builder, wire: Wire(first.0 + place) };
        (0..self.width()).map(bit).collect()
    }

    /// How many bits the largest possible value has.
    pub fn width(self) -> u32 {
        self.builder.kind(self.wire).and_then(|kind| kind.bits()).unwrap_or_default()
    }

    /// `factor * self`, without interaction.
    pub fn scale(self, factor: u64) -> Self {
        let wire = self.builder.linear(&[(Fr::from(factor), self.wire)], Fr::from(0u64));
        Self::numeric(self.builder, wire)
    }
}

impl<'b> Bit<'b> {
    /// `yes` if the bit is 1, otherwise `no`.
    pub fn select<T: Value<'b>>(self, yes: T, no: T) -> T {
        let (yes, no) = (self.builder.wire(yes), self.builder.wire(no));
        T::of(self.builder, self.builder.push(Gate::Select { bit: self.wire, yes, no }))
    }
}
