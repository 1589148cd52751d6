//! Shares: points of polynomials whose value at 0 is a secret.

use std::ops::{Add, AddAssign, Mul, Sub};

use ark_ff::{AdditiveGroup, Field};
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::field::Fr;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// One party's point of a polynomial of degree t. Erased on drop, never printed.
///
/// Sums, differences and multiples of shares are shares of the sums, differences and multiples.
/// Arithmetic is that of `ark_ff`, whose timing varies slightly with the operands: what varies is
/// one share, which is uniform whatever the secret (see the threat model).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Share(pub(crate) Fr);

impl Share {
    /// The share of a public constant: the constant itself, on a polynomial of degree 0.
    pub fn constant(value: Fr) -> Self {
        Self(value)
    }

    /// The share of zero that every party can compute for itself.
    pub fn zero() -> Self {
        Self(Fr::ZERO)
    }

    /// For the share of a bit: the share of the other one.
    pub(crate) fn not(&self) -> Self {
        Self(Fr::ONE - self.0)
    }
}

impl Add for &Share {
    type Output = Share;
    fn add(self, other: Self) -> Share {
        Share(self.0 + other.0)
    }
}

impl Sub for &Share {
    type Output = Share;
    fn sub(self, other: Self) -> Share {
        Share(self.0 - other.0)
    }
}

impl Add<Fr> for &Share {
    type Output = Share;
    fn add(self, constant: Fr) -> Share {
        Share(self.0 + constant)
    }
}

impl Mul<Fr> for &Share {
    type Output = Share;
    fn mul(self, factor: Fr) -> Share {
        Share(self.0 * factor)
    }
}

impl AddAssign<&Share> for Share {
    fn add_assign(&mut self, other: &Share) {
        self.0 += other.0;
    }
}

/// 32 bytes, as secret as the share: for storage that is encrypted, or for the owner of the
/// secret over a confidential channel. Wrap the buffer in [`zeroize::Zeroizing`].
impl Encode for Share {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
    }
}

impl Decode for Share {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Fr::decode(input).map(Self)
    }
}
