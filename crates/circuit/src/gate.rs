//! The gates of a circuit.

use std::fmt;

use crate::Fr;
use crate::kind::Kind;

/// A wire: the position of its value among all values that the gates produce, in gate order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wire(pub u32);

/// The position of a gate in its circuit, for errors and reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GateId(pub u32);

/// A role in the roster of a computation: 0, 1, ... below [`crate::Circuit::owners`].
///
/// A circuit knows roles only; the round that runs it says which institution plays which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner(pub u16);

impl fmt::Display for GateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gate {}", self.0)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "owner {}", self.0)
    }
}

/// Where the value of an input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A secret of `Owner`, tied to nothing outside the computation.
    Private(Owner),
    /// A secret of `Owner` to which a Pedersen commitment was published before (a balance on the
    /// ledger, an amount in a queue): the computation must use the committed value.
    Committed(Owner),
    /// The state that an earlier circuit of the same [`crate::Program`] carried over.
    Carried,
    /// What the start of the same [`crate::Program`] keeps for all that follows. Such inputs come
    /// before all other gates of a circuit.
    Kept,
}

/// Who learns an output, and in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Everybody learns the value.
    Public,
    /// `Owner` alone learns the value.
    Owner(Owner),
    /// Everybody learns a Pedersen commitment to the value; `owner` alone learns its opening.
    ///
    /// The blindings of all commitments of one `group` sum to zero. So if the values of a group
    /// sum to zero, everybody sees the commitments sum to the identity. A group has at least two
    /// commitments; the owners of all but one know the blinding of that one, and its value if the
    /// sum is known.
    Commitment {
        /// Who learns value and blinding.
        owner: Owner,
        /// Commitments with the same number have blindings that sum to zero.
        group: u32,
    },
}

/// One gate. Operands are wires of earlier gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Produces a value from outside, of the stated kind.
    Input {
        /// Where it comes from.
        source: Source,
        /// Its kind: for a private or committed input, a promise of its owner.
        kind: Kind,
    },
    /// Produces a public constant.
    Constant(Fr),
    /// Produces `constant + sum of coefficient * wire`. Costs no communication.
    ///
    /// At least one term; wires ascending; coefficients other than zero.
    Linear {
        /// The terms.
        terms: Vec<(Fr, Wire)>,
        /// What is added to them.
        constant: Fr,
    },
    /// Produces the product of two wires.
    Multiply(Wire, Wire),
    /// Produces the sum of the products of at least two pairs, at the price of one product.
    InnerProduct(Vec<(Wire, Wire)>),
    /// Produces the bits of an unsigned integer, lowest first: as many as its kind has.
    Decompose(Wire),
    /// Produces the bit `[left < right]` of two unsigned integers.
    LessThan(Wire, Wire),
    /// Produces the bit `[wire = 0]`.
    IsZero(Wire),
    /// Produces `yes` if the bit is 1, otherwise `no`.
    Select {
        /// The bit that decides.
        bit: Wire,
        /// The value for 1.
        yes: Wire,
        /// The value for 0.
        no: Wire,
    },
    /// Fails the whole computation unless the wire is zero. Checked before any later
    /// [`Gate::Reveal`] and before all outputs.
    AssertZero(Wire),
    /// Makes the wire known to everybody *during* the computation. What it shows is a leak that
    /// whoever writes the circuit must argue.
    Reveal(Wire),
    /// Delivers the wire once everything else has succeeded.
    Output(Wire, Destination),
    /// Hands the wire, still secret, to the next circuit of the [`crate::Program`].
    Carry(Wire),
    /// Keeps the wire, still secret, for all circuits of the [`crate::Program`] that follow: what
    /// never changes need not be handed from each to the next.
    Keep(Wire),
}

impl Gate {
    /// The wires that the gate reads.
    pub fn operands(&self) -> Vec<Wire> {
        match self {
            Self::Input { .. } | Self::Constant(_) => Vec::new(),
            Self::Linear { terms, .. } => terms.iter().map(|&(_, wire)| wire).collect(),
            Self::InnerProduct(pairs) => pairs.iter().flat_map(|&(a, b)| [a, b]).collect(),
            Self::Multiply(a, b) | Self::LessThan(a, b) => vec![*a, *b],
            Self::Select { bit, yes, no } => vec![*bit, *yes, *no],
            Self::Decompose(wire)
            | Self::IsZero(wire)
            | Self::AssertZero(wire)
            | Self::Reveal(wire)
            | Self::Output(wire, _)
            | Self::Carry(wire)
            | Self::Keep(wire) => vec![*wire],
        }
    }

    /// What the gate is called in errors.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input { .. } => "input",
            Self::Constant(_) => "constant",
            Self::Linear { .. } => "linear combination",
            Self::Multiply(..) => "multiply",
            Self::InnerProduct(_) => "inner product",
            Self::Decompose(_) => "bit decomposition",
            Self::LessThan(..) => "less-than",
            Self::IsZero(_) => "is-zero",
            Self::Select { .. } => "select",
            Self::AssertZero(_) => "assert",
            Self::Reveal(_) => "reveal",
            Self::Output(..) => "output",
            Self::Carry(_) => "carry",
            Self::Keep(_) => "keep",
        }
    }
}
