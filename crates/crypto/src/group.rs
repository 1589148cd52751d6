//! The one group: Ristretto255 (RFC 9496), of prime order l, with the two bases of commitments.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};
use std::str::FromStr;
use std::sync::LazyLock;

use curve25519_dalek::constants::{RISTRETTO_BASEPOINT_COMPRESSED, RISTRETTO_BASEPOINT_POINT};
use curve25519_dalek::ristretto::{
    CompressedRistretto, RistrettoBasepointTable, RistrettoPoint as Element,
};
use curve25519_dalek::traits::{Identity, IsIdentity, VartimeMultiscalarMul};
use sha3::{Digest as _, Sha3_512};

use crate::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use crate::field::Scalar;

/// A group element. Its canonical encoding is the 32 bytes of RFC 9496.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Point(pub(crate) Element);

impl Point {
    /// The neutral element; its encoding is all zero.
    pub fn identity() -> Self {
        Self(Element::identity())
    }

    /// Whether this is the neutral element.
    pub fn is_identity(&self) -> bool {
        self.0.is_identity()
    }

    /// The canonical encoding.
    pub fn compress(&self) -> [u8; 32] {
        self.0.compress().to_bytes()
    }

    /// The point with this encoding; `None` unless it is canonical.
    pub fn decompress(bytes: &[u8; 32]) -> Option<Self> {
        CompressedRistretto(*bytes).decompress().map(Self)
    }

    /// Maps 64 uniform bytes to a point with unknown discrete logarithm (RFC 9496, 4.3.4).
    pub fn from_uniform_bytes(bytes: &[u8; 64]) -> Self {
        Self(Element::from_uniform_bytes(bytes))
    }

    /// `sum(scalars[i] * points[i])` in variable time: for public scalars only.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn multiexp(scalars: &[Scalar], points: &[Self]) -> Self {
        assert_eq!(scalars.len(), points.len(), "one scalar per point");
        Self(Element::vartime_multiscalar_mul(scalars, points.iter().map(|point| point.0)))
    }
}

/// `B`, the base of values: the standard generator of Ristretto255.
pub fn value_base() -> Point {
    Point(RISTRETTO_BASEPOINT_POINT)
}

/// `B~`, the base of blindings: SHA3-512 of the encoding of `B`, mapped to the group, so that
/// nobody knows its discrete logarithm to the base `B`.
pub fn blinding_base() -> Point {
    Point(BLINDING_TABLE.basepoint())
}

/// `value * B + blinding * B~` in constant time, from tables of multiples of both bases.
pub(crate) fn pedersen(value: &Scalar, blinding: &Scalar) -> Point {
    Point(Element::mul_base(value) + blinding * &*BLINDING_TABLE)
}

static BLINDING_TABLE: LazyLock<RistrettoBasepointTable> = LazyLock::new(|| {
    let hash = Sha3_512::digest(RISTRETTO_BASEPOINT_COMPRESSED.as_bytes());
    RistrettoBasepointTable::create(&Element::from_uniform_bytes(&hash.into()))
});

impl Add for Point {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Point {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Point {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Point {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Point {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

/// Constant time.
impl Mul<Scalar> for Point {
    type Output = Self;
    fn mul(self, scalar: Scalar) -> Self {
        Self(self.0 * scalar)
    }
}

/// Constant time.
impl Mul<&Scalar> for Point {
    type Output = Self;
    fn mul(self, scalar: &Scalar) -> Self {
        Self(self.0 * scalar)
    }
}

impl Sum for Point {
    fn sum<I: Iterator<Item = Self>>(points: I) -> Self {
        points.fold(Self::identity(), Add::add)
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Point({})", hex::encode(self.compress()))
    }
}

/// 32 bytes.
impl Encode for Point {
    fn encode(&self, out: &mut Writer) {
        out.array(&self.compress());
    }
}

impl Decode for Point {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        decode_point(input, "point").map(|(point, _)| point)
    }
}

fn decode_point(
    input: &mut Reader<'_>,
    what: &'static str,
) -> Result<(Point, [u8; 32]), DecodeError> {
    let offset = input.offset();
    let bytes = input.array(what)?;
    match Point::decompress(&bytes) {
        Some(point) => Ok((point, bytes)),
        None => {
            Err(input.error_at(offset, what, Problem::Invalid("not a canonical Ristretto point")))
        }
    }
}

/// A Pedersen commitment `Com(v; r) = v*B + r*B~`: a point together with its encoding, so that a
/// received commitment is decoded once and never encoded again.
///
/// Compared, ordered and shown by its encoding. The identity is a valid commitment (to 0 with
/// blinding 0).
#[derive(Clone, Copy)]
pub struct Commitment {
    point: Point,
    bytes: [u8; 32],
}

impl Commitment {
    /// `Com(0; 0)`: what pads an aggregated range proof, and the empty balance.
    pub fn identity() -> Self {
        Self { point: Point::identity(), bytes: [0; 32] }
    }

    /// Whether this is `Com(0; 0)`.
    pub fn is_identity(&self) -> bool {
        self.bytes == [0; 32]
    }

    /// The point.
    pub fn point(&self) -> Point {
        self.point
    }

    /// The canonical encoding.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl From<Point> for Commitment {
    fn from(point: Point) -> Self {
        Self { point, bytes: point.compress() }
    }
}

impl PartialEq for Commitment {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Commitment {}

impl PartialOrd for Commitment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Commitment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

/// 32 bytes.
impl Encode for Commitment {
    fn encode(&self, out: &mut Writer) {
        out.array(&self.bytes);
    }
}

impl Decode for Commitment {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        decode_point(input, "commitment").map(|(point, bytes)| Self { point, bytes })
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.bytes))
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commitment({self})")
    }
}

/// Why a text is not a commitment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseCommitmentError {
    /// The text is not 64 hexadecimal digits.
    #[error("a commitment is written as 64 hexadecimal digits")]
    NotHex,
    /// The bytes encode no point.
    #[error(transparent)]
    NotAPoint(#[from] DecodeError),
}

impl FromStr for Commitment {
    type Err = ParseCommitmentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseCommitmentError::NotHex)?;
        Ok(Self::from_bytes(&bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::random_scalar;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn bases_equal_those_of_the_bulletproofs_crate() {
        let theirs = bulletproofs::PedersenGens::default();
        assert_eq!(value_base().compress(), theirs.B.compress().to_bytes());
        assert_eq!(blinding_base().compress(), theirs.B_blinding.compress().to_bytes());
        assert_ne!(value_base(), blinding_base());
        assert!(!value_base().is_identity() && !blinding_base().is_identity());
    }

    /// RFC 9496, appendix A.1: multiples of the generator, 0 to 2.
    #[test]
    fn small_multiples_are_those_of_the_rfc() {
        let expected = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
            "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
        ];
        for (k, expected) in expected.iter().enumerate() {
            let point = value_base() * Scalar::from(k as u64);
            assert_eq!(hex::encode(point.compress()), *expected);
            assert_eq!(Point::from_bytes(&hex::decode(expected).unwrap()), Ok(point));
        }
    }

    /// RFC 9496, appendix A.2, one of each kind: non-canonical field element, negative field
    /// element, non-square, negative xy, and s = -1.
    #[test]
    fn invalid_encodings_are_refused() {
        for bad in [
            "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
            "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
            "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            let bytes = hex::decode(bad).unwrap();
            assert!(Point::from_bytes(&bytes).is_err(), "{bad}");
            assert!(Commitment::from_bytes(&bytes).is_err(), "{bad}");
        }
    }

    #[test]
    fn multiexponentiation_is_the_sum_of_products() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let scalars: Vec<_> = (0..5).map(|_| random_scalar(&mut rng)).collect();
        let points: Vec<_> = (0..5).map(|_| value_base() * random_scalar(&mut rng)).collect();
        let expected = points.iter().zip(&scalars).map(|(point, scalar)| *point * scalar).sum();
        assert_eq!(Point::multiexp(&scalars, &points), expected);
        assert!(Point::multiexp(&[], &[]).is_identity());
    }

    #[test]
    fn commitments_decode_to_the_point_they_encode() {
        let commitment = Commitment::from(value_base() + blinding_base());
        let decoded = Commitment::from_bytes(&commitment.to_bytes()).unwrap();
        assert_eq!(decoded, commitment);
        assert_eq!(decoded.point(), value_base() + blinding_base());
        assert_eq!(commitment.to_string().parse(), Ok(commitment));
        assert!("zz".parse::<Commitment>().is_err());
        assert_eq!(Commitment::from(Point::identity()), Commitment::identity());
    }
}
