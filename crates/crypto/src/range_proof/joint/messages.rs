//! The messages of a joint proof. None of them is secret.

use crate::commitment::Commitment;
use crate::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use crate::field::Scalar;
use crate::range_proof::BITS;

/// The first message: what position `j` proves, with commitments to bits and masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BitMessage {
    /// `V_j`, the commitment to the value.
    pub commitment: Commitment,
    /// `A_j`.
    pub a: Commitment,
    /// `S_j`.
    pub s: Commitment,
}

/// 96 bytes.
impl Encode for BitMessage {
    fn encode(&self, out: &mut Writer) {
        self.commitment.encode(out);
        self.a.encode(out);
        self.s.encode(out);
    }
}

impl Decode for BitMessage {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            commitment: Commitment::decode(input)?,
            a: Commitment::decode(input)?,
            s: Commitment::decode(input)?,
        })
    }
}

/// The second message: commitments to the coefficients of `t_j`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolynomialMessage {
    /// `T_1` of position `j`.
    pub t1: Commitment,
    /// `T_2` of position `j`.
    pub t2: Commitment,
}

/// 64 bytes.
impl Encode for PolynomialMessage {
    fn encode(&self, out: &mut Writer) {
        self.t1.encode(out);
        self.t2.encode(out);
    }
}

impl Decode for PolynomialMessage {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { t1: Commitment::decode(input)?, t2: Commitment::decode(input)? })
    }
}

/// The third message: the vectors `l_j` and `r_j` at `x`, and what opens the earlier commitments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareMessage {
    pub(in crate::range_proof) t_x: Scalar,
    pub(in crate::range_proof) t_x_blinding: Scalar,
    pub(in crate::range_proof) e_blinding: Scalar,
    /// 64 scalars.
    pub(in crate::range_proof) l: Vec<Scalar>,
    /// 64 scalars.
    pub(in crate::range_proof) r: Vec<Scalar>,
}

/// 131 scalars, 4192 bytes.
impl Encode for ShareMessage {
    fn encode(&self, out: &mut Writer) {
        for scalar in [&self.t_x, &self.t_x_blinding, &self.e_blinding] {
            scalar.encode(out);
        }
        for scalar in self.l.iter().chain(&self.r) {
            scalar.encode(out);
        }
    }
}

impl Decode for ShareMessage {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [t_x, t_x_blinding, e_blinding] =
            [Scalar::decode(input)?, Scalar::decode(input)?, Scalar::decode(input)?];
        let mut vector = || (0..BITS).map(|_| Scalar::decode(input)).collect::<Result<Vec<_>, _>>();
        let (l, r) = (vector()?, vector()?);
        Ok(Self { t_x, t_x_blinding, e_blinding, l, r })
    }
}
