//! Pedersen commitments and their openings.
//!
//! `Com(v; r) = v*B + r*B~` hides `v` perfectly when `r` is uniform, and binds to it as long as
//! nobody knows the discrete logarithm of `B~`. It is additive: the sum of commitments commits to
//! the sum of values under the sum of blindings, all modulo l.

use std::iter::Sum;
use std::ops::{Add, Neg, Sub};

use rand_core::CryptoRngCore;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use crate::field::{Scalar, random_scalar};
use crate::group::pedersen;

pub use crate::group::{Commitment, ParseCommitmentError};

/// `Com(value; blinding)` for any value of the field, in constant time.
pub fn commit_scalar(value: &Scalar, blinding: &Scalar) -> Commitment {
    pedersen(value, blinding).into()
}

/// The secret `r` of a commitment: erased on drop, never printed, never copied silently.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Blinding(Scalar);

impl Blinding {
    /// The blinding of a public value.
    pub fn zero() -> Self {
        Self(Scalar::ZERO)
    }

    /// A fresh uniform blinding.
    pub fn random(rng: &mut impl CryptoRngCore) -> Self {
        Self(random_scalar(rng))
    }

    /// A blinding computed elsewhere: derived from a seed, or from shares.
    pub fn from_scalar(scalar: Scalar) -> Self {
        Self(scalar)
    }

    /// The scalar. The caller answers for its secrecy.
    pub fn as_scalar(&self) -> &Scalar {
        &self.0
    }
}

impl Add for &Blinding {
    type Output = Blinding;
    fn add(self, other: Self) -> Blinding {
        Blinding(self.0 + other.0)
    }
}

impl Sub for &Blinding {
    type Output = Blinding;
    fn sub(self, other: Self) -> Blinding {
        Blinding(self.0 - other.0)
    }
}

impl Neg for &Blinding {
    type Output = Blinding;
    fn neg(self) -> Blinding {
        Blinding(-self.0)
    }
}

impl<'a> Sum<&'a Blinding> for Blinding {
    fn sum<I: Iterator<Item = &'a Blinding>>(blindings: I) -> Self {
        blindings.fold(Self::zero(), |sum, blinding| &sum + blinding)
    }
}

/// 32 bytes. The bytes are as secret as the blinding: encode into sealed payloads only, and wrap
/// the buffer in [`zeroize::Zeroizing`].
impl Encode for Blinding {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
    }
}

impl Decode for Blinding {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Scalar::decode(input).map(Self)
    }
}

/// What opens a commitment: an amount in minor units and the blinding. Erased on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Opening {
    /// The committed amount.
    pub value: u64,
    /// The blinding it is hidden with.
    pub blinding: Blinding,
}

impl Opening {
    /// The opening (value, blinding).
    pub fn new(value: u64, blinding: Blinding) -> Self {
        Self { value, blinding }
    }

    /// `value` under a fresh uniform blinding.
    pub fn random(value: u64, rng: &mut impl CryptoRngCore) -> Self {
        Self::new(value, Blinding::random(rng))
    }

    /// The opening of the identity commitment.
    pub fn zero() -> Self {
        Self::new(0, Blinding::zero())
    }

    /// `Com(value; blinding)`, in constant time.
    pub fn commit(&self) -> Commitment {
        commit_scalar(&Scalar::from(self.value), &self.blinding.0)
    }

    /// Whether this opens `commitment`.
    pub fn opens(&self, commitment: &Commitment) -> bool {
        self.commit() == *commitment
    }
}

/// 40 bytes: the value, then the blinding. As secret as the opening; see [`Blinding`].
impl Encode for Opening {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.value);
        self.blinding.encode(out);
    }
}

impl Decode for Opening {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { value: input.u64("value of an opening")?, blinding: Blinding::decode(input)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{Point, blinding_base, value_base};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn commitments_are_the_documented_points() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for value in [0, 1, u64::MAX] {
            let opening = Opening::random(value, &mut rng);
            let expected =
                value_base() * Scalar::from(value) + blinding_base() * opening.blinding.as_scalar();
            assert_eq!(opening.commit().point(), expected);
            assert!(opening.opens(&opening.commit()));
        }
        assert_eq!(Opening::zero().commit(), Commitment::identity());
    }

    #[test]
    fn neither_another_value_nor_another_blinding_opens() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let opening = Opening::random(7, &mut rng);
        let commitment = opening.commit();
        assert!(!Opening::new(8, opening.blinding.clone()).opens(&commitment));
        assert!(!Opening::random(7, &mut rng).opens(&commitment));
    }

    #[test]
    fn blindings_add_as_commitments_do() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let (a, b) = (Opening::random(30, &mut rng), Opening::random(12, &mut rng));
        let sum = Opening::new(42, [&a.blinding, &b.blinding].into_iter().sum());
        assert_eq!(sum.commit().point(), a.commit().point() + b.commit().point());
        let difference = Opening::new(18, &a.blinding - &b.blinding);
        assert_eq!(difference.commit().point(), a.commit().point() - b.commit().point());
        let nothing = Opening::new(0, &a.blinding + &-&a.blinding);
        assert_eq!(nothing.commit().point(), Point::identity());
    }

    #[test]
    fn openings_round_trip_in_forty_bytes_and_refuse_large_scalars() {
        let opening = Opening::random(9, &mut ChaCha20Rng::seed_from_u64(6));
        let mut bytes = opening.to_bytes();
        assert_eq!(bytes.len(), 40);
        assert!(Opening::from_bytes(&bytes).is_ok_and(|same| same.opens(&opening.commit())));
        bytes[39] = 0xff;
        assert!(Opening::from_bytes(&bytes).is_err());
    }
}
