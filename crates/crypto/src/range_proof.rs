//! Aggregated range proofs: all of a list of commitments open to values in `[0, 2^64)`.
//!
//! These are the Bulletproofs of Bünz et al. (2018, section 4.3) in the format of the crate
//! `bulletproofs` 5, made non-interactive by Merlin. The transcript starts with the digest of all
//! generators and a `context`: a digest that says which statement of which transaction on which
//! chain the proof belongs to. Bit length and aggregation size are the verifier's own: the former
//! is [`BITS`], the latter the number of commitments, padded to a power of two with commitments
//! to 0 under blinding 0.
//!
//! [`prove()`] and [`mod@reference`] call that crate. [`verify()`] and [`Batch`] are implemented here
//! and accept exactly what the crate accepts. [`joint`] builds one proof among several provers who
//! keep their openings to themselves.
//!
//! ```
//! # use rand_core::SeedableRng;
//! # let rng = &mut rand_chacha::ChaCha20Rng::seed_from_u64(1);
//! use quittance_crypto::commitment::Opening;
//! use quittance_crypto::digest::Digest;
//! use quittance_crypto::range_proof::{prove, verify};
//!
//! let openings = [Opening::random(1_000_000, rng), Opening::random(0, rng)];
//! let statement = openings.each_ref().map(Opening::commit);
//! let context = Digest::of("quittance/v1/example", &[b"this chain, this transaction"]);
//! let proof = prove(&context, &openings, rng)?;
//! verify(&context, &statement, &proof)?;
//! # Ok::<(), quittance_crypto::range_proof::RangeProofError>(())
//! ```

mod batch;
mod crossing;
mod equation;
mod generators;
pub mod joint;
mod protocol;
mod prove;
pub mod reference;
mod verify;

#[cfg(test)]
mod tests;

use std::fmt;

pub use batch::Batch;
pub use generators::{GENERATORS, GeneratorError, check_generators};
pub use prove::prove;
pub use verify::verify;

use crate::commitment::Commitment;
use crate::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use crate::planted;

/// The bit length of every range: values are below `2^64`.
pub const BITS: usize = 64;

/// The largest number of values in one proof, padding included.
pub const MAX_AGGREGATION: usize = 128;

/// The number of values that a proof for `count` values is made for: the next power of two.
pub const fn padded(count: usize) -> usize {
    count.next_power_of_two()
}

/// The bytes of a proof for `padded` values: 9 elements, and two points for each halving of
/// `64 * padded`.
const fn encoded_length(padded: usize) -> usize {
    let halvings = (BITS * padded).trailing_zeros() as usize;
    32 * (9 + 2 * halvings)
}

const MAX_LENGTH: usize = encoded_length(MAX_AGGREGATION);

/// The bytes of a range proof, of a length that some aggregation size has (672 bytes for one
/// value, 64 more for each doubling).
///
/// Decoding checks that length only, so that a block with a bad proof can still be read and its
/// sender named. Whether the bytes hold points and scalars in canonical form is part of the
/// verdict of [`verify()`].
#[derive(Clone, PartialEq, Eq)]
pub struct RangeProof(Vec<u8>);

impl RangeProof {
    /// The proof's own bytes, without the length prefix of its canonical encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The padded number of values that a proof of this length is for.
    pub fn aggregation(&self) -> usize {
        (0..)
            .map(|k| 1 << k)
            .take_while(|&m| m <= MAX_AGGREGATION)
            .find(|&m| encoded_length(m) == self.0.len())
            .unwrap_or(0)
    }
}

impl TryFrom<Vec<u8>> for RangeProof {
    type Error = RangeProofError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Self::Error> {
        let proof = Self(bytes);
        match proof.aggregation() {
            0 => Err(RangeProofError::Length { found: proof.0.len() }),
            _ => Ok(proof),
        }
    }
}

/// The proof's bytes with their length.
impl Encode for RangeProof {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }
}

impl Decode for RangeProof {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let bytes = input.bytes(MAX_LENGTH, "range proof")?.to_vec();
        Self::try_from(bytes).map_err(|_| {
            let problem = Problem::Invalid("no range proof has this length");
            input.error_at(offset, "range proof", problem)
        })
    }
}

impl fmt::Debug for RangeProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RangeProof({} values)", self.aggregation())
    }
}

/// Why a range proof was not made or not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeProofError {
    /// The statement names no commitment: such a proof would say nothing.
    #[error("the list of commitments is empty")]
    Empty,
    /// The statement names too many commitments.
    #[error("{found} commitments are more than {MAX_AGGREGATION}")]
    TooMany {
        /// Their number.
        found: usize,
    },
    /// No range proof has this length.
    #[error("no range proof has {found} bytes")]
    Length {
        /// The number of bytes.
        found: usize,
    },
    /// The proof is for another number of values than the statement.
    #[error("the proof is for {found} values, the statement has {expected}")]
    Aggregation {
        /// The padded number of values that the proof is for.
        found: usize,
        /// The padded number of commitments.
        expected: usize,
    },
    /// An element of the proof is not the canonical encoding of a point.
    #[error("{0} is not a canonical point")]
    NotAPoint(Element),
    /// An element of the proof is the identity, which an honest prover never sends.
    #[error("{0} is the identity")]
    IdentityPoint(Element),
    /// An element of the proof is not a canonical scalar.
    #[error("{0} is not a canonical scalar")]
    NotAScalar(Element),
    /// The verification equation does not hold.
    #[error("the proof does not prove this statement in this context")]
    Refused,
    /// The prover of the `bulletproofs` crate failed.
    #[error("proving failed: {0}")]
    Proving(String),
}

/// An element of a proof, named as in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// The commitment to the bits.
    A,
    /// The commitment to their masks.
    S,
    /// The commitment to the linear coefficient of `t`.
    T1,
    /// The commitment to the quadratic coefficient of `t`.
    T2,
    /// `t(x)`.
    Tx,
    /// The blinding of `t(x)`.
    TxBlinding,
    /// The blinding of `A + x*S`.
    EBlinding,
    /// The left point of a halving of the inner product, counted from 0.
    L(usize),
    /// The right point of a halving.
    R(usize),
    /// The left scalar that remains.
    LastA,
    /// The right scalar that remains.
    LastB,
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A => f.write_str("A"),
            Self::S => f.write_str("S"),
            Self::T1 => f.write_str("T_1"),
            Self::T2 => f.write_str("T_2"),
            Self::Tx => f.write_str("t_x"),
            Self::TxBlinding => f.write_str("t_x_blinding"),
            Self::EBlinding => f.write_str("e_blinding"),
            Self::L(k) => write!(f, "L_{k}"),
            Self::R(k) => write!(f, "R_{k}"),
            Self::LastA => f.write_str("a"),
            Self::LastB => f.write_str("b"),
        }
    }
}

/// The padded size of a statement, which must not be empty nor too long.
fn aggregation_of(count: usize) -> Result<usize, RangeProofError> {
    match count {
        0 => Err(RangeProofError::Empty),
        1..=MAX_AGGREGATION => Ok(padded(count)),
        found => Err(RangeProofError::TooMany { found }),
    }
}

/// The padded size of a statement, which must be that of the proof.
fn aggregation_for(
    commitments: &[Commitment],
    proof: &RangeProof,
) -> Result<usize, RangeProofError> {
    let expected = aggregation_of(commitments.len())?;
    match proof.aggregation() {
        found if planted!("aggregation-taken-from-proof", true, found == expected) => Ok(found),
        found => Err(RangeProofError::Aggregation { found, expected }),
    }
}
