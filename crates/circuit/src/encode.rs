//! The canonical bytes of a circuit.
//!
//! ```text
//! version u8 = 1 | name bytes | owners u16 | count u32 | gates
//! ```
//!
//! Each gate is a tag and its fields in declaration order; wires are `u32`, field elements 32
//! bytes little-endian below the order, the kind of an input one byte (0 for Field, otherwise the
//! number of bits). Kinds of other wires are inferred and not written. Decoding validates gate by
//! gate, so a decoded circuit is as valid as a built one.

#![deny(clippy::indexing_slicing)]

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};

use crate::Fr;
use crate::circuit::{Assembly, Circuit, MAX_GATES, MAX_NAME, MAX_OPERANDS};
use crate::gate::{Destination, Gate, Owner, Source, Wire};
use crate::kind::{GateError, Kind, MAX_BITS};

const VERSION: u8 = 1;

impl Encode for Circuit {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        out.bytes(self.name().as_bytes());
        out.u16(self.owners());
        out.list(self.gates());
    }
}

impl Decode for Circuit {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        if input.u8("circuit version")? != VERSION {
            return Err(input.error_at(offset, "circuit version", Problem::Invalid("not 1")));
        }
        let offset = input.offset();
        let name = std::str::from_utf8(input.bytes(MAX_NAME, "circuit name")?).unwrap_or_default();
        let owners = input.u16("circuit owners")?;
        let refused = Problem::Invalid("not 1 to 64 printable ASCII characters");
        let mut assembly = Assembly::new(name, owners)
            .map_err(|_| input.error_at(offset, "circuit name", refused))?;
        let offset = input.offset();
        let count = input.u32("gates")? as usize;
        if count > MAX_GATES {
            let problem = Problem::TooLong { found: count, limit: MAX_GATES };
            return Err(input.error_at(offset, "gates", problem));
        }
        for _ in 0..count {
            let offset = input.offset();
            let gate = Gate::decode(input)?;
            let what = gate.name();
            assembly
                .push(gate)
                .map_err(|error| input.error_at(offset, what, Problem::Invalid(reason(&error))))?;
        }
        let lonely = Problem::Invalid("a group of outputs has one commitment only");
        assembly.finish().map_err(|_| input.error_at(offset, "gates", lonely))
    }
}

fn reason(error: &GateError) -> &'static str {
    match error {
        GateError::Undefined(_) => "an operand is not a wire of an earlier gate",
        GateError::WrongKind { .. } => "an operand is of the wrong kind",
        GateError::TooFewTerms(_) => "too few terms",
        GateError::TermsOutOfOrder => "the wires of the terms do not ascend",
        GateError::ZeroCoefficient => "a coefficient is zero",
        GateError::InputKind => "no such kind of input",
        GateError::LateKept => "a kept value behind another gate",
        GateError::UnknownOwner(_) => "the owner is outside the roster",
        GateError::TooLarge => "too many wires or operands",
        GateError::Foreign => "an operand belongs to another circuit",
        GateError::TooWide => "the result can be too wide",
    }
}

impl Encode for Wire {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.0);
    }
}

impl Decode for Wire {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.u32("wire").map(Self)
    }
}

/// One term of a linear combination.
struct Term(Fr, Wire);

impl Encode for Term {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl Decode for Term {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Fr::decode(input)?, Wire::decode(input)?))
    }
}

/// One pair of an inner product.
struct Pair(Wire, Wire);

impl Encode for Pair {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl Decode for Pair {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Wire::decode(input)?, Wire::decode(input)?))
    }
}

impl Encode for Source {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Private(owner) => {
                out.u8(0);
                out.u16(owner.0);
            }
            Self::Committed(owner) => {
                out.u8(1);
                out.u16(owner.0);
            }
            Self::Carried => out.u8(2),
            Self::Kept => out.u8(3),
        }
    }
}

impl Decode for Source {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.tag(4, "source of an input")? {
            0 => Self::Private(Owner(input.u16("owner")?)),
            1 => Self::Committed(Owner(input.u16("owner")?)),
            2 => Self::Carried,
            _ => Self::Kept,
        })
    }
}

impl Encode for Destination {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Public => out.u8(0),
            Self::Owner(owner) => {
                out.u8(1);
                out.u16(owner.0);
            }
            Self::Commitment { owner, group } => {
                out.u8(2);
                out.u16(owner.0);
                out.u32(*group);
            }
        }
    }
}

impl Decode for Destination {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.tag(3, "destination of an output")? {
            0 => Self::Public,
            1 => Self::Owner(Owner(input.u16("owner")?)),
            _ => Self::Commitment { owner: Owner(input.u16("owner")?), group: input.u32("group")? },
        })
    }
}

impl Encode for Gate {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Input { source, kind } => {
                out.u8(0);
                source.encode(out);
                // Valid circuits have input kinds of at most 128 bits.
                out.u8(kind.bits().unwrap_or_default() as u8);
            }
            Self::Constant(value) => {
                out.u8(1);
                value.encode(out);
            }
            Self::Linear { terms, constant } => {
                out.u8(2);
                let terms: Vec<_> = terms.iter().map(|&(c, wire)| Term(c, wire)).collect();
                out.list(&terms);
                constant.encode(out);
            }
            Self::Multiply(a, b) => wires(out, 3, &[*a, *b]),
            Self::InnerProduct(pairs) => {
                out.u8(4);
                let pairs: Vec<_> = pairs.iter().map(|&(a, b)| Pair(a, b)).collect();
                out.list(&pairs);
            }
            Self::Decompose(wire) => wires(out, 5, &[*wire]),
            Self::LessThan(a, b) => wires(out, 6, &[*a, *b]),
            Self::IsZero(wire) => wires(out, 7, &[*wire]),
            Self::Select { bit, yes, no } => wires(out, 8, &[*bit, *yes, *no]),
            Self::AssertZero(wire) => wires(out, 9, &[*wire]),
            Self::Reveal(wire) => wires(out, 10, &[*wire]),
            Self::Output(wire, to) => {
                wires(out, 11, &[*wire]);
                to.encode(out);
            }
            Self::Carry(wire) => wires(out, 12, &[*wire]),
            Self::Keep(wire) => wires(out, 13, &[*wire]),
        }
    }
}

/// A tag and the operands.
fn wires(out: &mut Writer, tag: u8, operands: &[Wire]) {
    out.u8(tag);
    for operand in operands {
        operand.encode(out);
    }
}

/// Reads a gate by itself; only [`Circuit`]'s decoder knows whether it is valid in its place.
impl Decode for Gate {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = input.tag(14, "gate")?;
        let wire = Wire::decode;
        Ok(match tag {
            0 => Self::Input { source: Source::decode(input)?, kind: input_kind(input)? },
            1 => Self::Constant(Fr::decode(input)?),
            2 => {
                let terms = input.list(MAX_OPERANDS, "terms")?;
                let terms = terms.into_iter().map(|Term(c, wire)| (c, wire)).collect();
                Self::Linear { terms, constant: Fr::decode(input)? }
            }
            3 => Self::Multiply(wire(input)?, wire(input)?),
            4 => {
                let pairs = input.list(MAX_OPERANDS, "pairs")?;
                Self::InnerProduct(pairs.into_iter().map(|Pair(a, b)| (a, b)).collect())
            }
            5 => Self::Decompose(wire(input)?),
            6 => Self::LessThan(wire(input)?, wire(input)?),
            7 => Self::IsZero(wire(input)?),
            8 => Self::Select { bit: wire(input)?, yes: wire(input)?, no: wire(input)? },
            9 => Self::AssertZero(wire(input)?),
            10 => Self::Reveal(wire(input)?),
            11 => Self::Output(wire(input)?, Destination::decode(input)?),
            12 => Self::Carry(wire(input)?),
            _ => Self::Keep(wire(input)?),
        })
    }
}

fn input_kind(input: &mut Reader<'_>) -> Result<Kind, DecodeError> {
    let offset = input.offset();
    match u32::from(input.u8("kind of an input")?) {
        0 => Ok(Kind::Field),
        bits => Kind::uint(bits).ok_or_else(|| {
            let problem = Problem::TooLong { found: bits as usize, limit: MAX_BITS as usize };
            input.error_at(offset, "kind of an input", problem)
        }),
    }
}
