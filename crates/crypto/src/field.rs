//! The one field: `Z_l`, `l = 2^252 + 27742317777372353535851937790883648493`, the order of the
//! Ristretto255 group (RFC 9496).
//!
//! It appears in two types with the same canonical bytes: [`Fr`], fast, for circuits, shares and
//! public verification; and [`Scalar`], constant-time, for openings and for multiplying points.
//! [`to_scalar`] and [`to_field`] convert without a division. Operations on [`Fr`] take time that
//! depends on the operands.

pub use ark_curve25519::Fr;
pub use curve25519_dalek::Scalar;

use ark_ff::{BigInt, PrimeField};
use rand_core::CryptoRngCore;
use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

use crate::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use crate::planted;

/// The element as the type that multiplies points.
pub fn to_scalar(element: &Fr) -> Scalar {
    // `into_bigint` is below l, so this never reduces and only copies bytes.
    Scalar::from_bytes_mod_order(little_endian(element.into_bigint()))
}

/// The scalar as the type that computes fast.
pub fn to_field(scalar: &Scalar) -> Fr {
    from_canonical(scalar.as_bytes()).expect("a scalar is below the order of the group")
}

/// A uniform scalar: 64 random bytes modulo l, within `2^-259` of uniform.
pub fn random_scalar(rng: &mut impl CryptoRngCore) -> Scalar {
    let mut wide = Zeroizing::new([0; 64]);
    rng.fill_bytes(&mut *wide);
    Scalar::from_bytes_mod_order_wide(&wide)
}

/// A uniform field element; see [`random_scalar`].
pub fn random_field(rng: &mut impl CryptoRngCore) -> Fr {
    to_field(&random_scalar(rng))
}

/// Hashes to a scalar: 64 bytes of SHA-512 modulo l, over the length-prefixed label and parts in
/// the layout of [`Digest::of`](crate::digest::Digest::of).
pub fn hash_to_scalar(label: &str, parts: &[&[u8]]) -> Scalar {
    let mut hasher = Sha512::new();
    for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    Scalar::from_bytes_mod_order_wide(&hasher.finalize().into())
}

fn little_endian(integer: BigInt<4>) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, limb) in bytes.chunks_exact_mut(8).zip(integer.0) {
        chunk.copy_from_slice(&limb.to_le_bytes());
    }
    bytes
}

fn from_canonical(bytes: &[u8; 32]) -> Option<Fr> {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().rev().fold(0, |limb, &byte| limb << 8 | u64::from(byte));
    }
    Fr::from_bigint(BigInt::new(limbs))
}

/// 32 bytes, little-endian, below l.
impl Encode for Fr {
    fn encode(&self, out: &mut Writer) {
        out.array(&little_endian(self.into_bigint()));
    }
}

impl Decode for Fr {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let bytes = input.array("field element")?;
        from_canonical(&bytes).ok_or_else(|| not_canonical(input, offset, "field element"))
    }
}

/// 32 bytes, little-endian, below l; the same bytes as for [`Fr`].
impl Encode for Scalar {
    fn encode(&self, out: &mut Writer) {
        out.array(self.as_bytes());
    }
}

impl Decode for Scalar {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let bytes = input.array("scalar")?;
        let scalar = planted!(
            "scalar-not-canonical",
            Some(Scalar::from_bytes_mod_order(bytes)),
            Option::from(Scalar::from_canonical_bytes(bytes)),
        );
        scalar.ok_or_else(|| not_canonical(input, offset, "scalar"))
    }
}

fn not_canonical(input: &Reader<'_>, offset: usize, what: &'static str) -> DecodeError {
    input.error_at(offset, what, Problem::Invalid("not below the order of the group"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::{AdditiveGroup, Field};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    /// l in little-endian bytes, from RFC 9496.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];

    #[test]
    fn both_types_are_the_same_field_with_the_same_bytes() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for _ in 0..200 {
            let (a, b) = (random_scalar(&mut rng), random_scalar(&mut rng));
            let (x, y) = (to_field(&a), to_field(&b));
            assert_eq!(to_scalar(&x), a);
            assert_eq!(to_field(&(a * b)), x * y);
            assert_eq!(to_field(&(a - b)), x - y);
            assert_eq!(x.to_bytes(), a.to_bytes());
            assert_eq!(Fr::from_bytes(&a.to_bytes()), Ok(x));
        }
    }

    #[test]
    fn the_ends_of_the_range_convert() {
        for (scalar, element) in [
            (Scalar::ZERO, Fr::ZERO),
            (Scalar::ONE, Fr::ONE),
            (-Scalar::ONE, -Fr::ONE),
            (Scalar::from(u64::MAX), Fr::from(u64::MAX)),
        ] {
            assert_eq!(to_field(&scalar), element);
            assert_eq!(to_scalar(&element), scalar);
        }
    }

    #[test]
    fn integers_from_the_order_upwards_are_refused() {
        let mut below = ORDER;
        below[0] -= 1;
        assert_eq!(Scalar::from_bytes(&below), Ok(-Scalar::ONE));
        assert_eq!(Fr::from_bytes(&below), Ok(-Fr::ONE));
        let mut above = ORDER;
        above[0] += 1;
        for bytes in [ORDER, above, [0xff; 32]] {
            assert!(Scalar::from_bytes(&bytes).is_err());
            assert!(Fr::from_bytes(&bytes).is_err());
        }
    }

    #[test]
    fn hashing_separates_label_and_parts() {
        let all = [
            hash_to_scalar("ab", &[]),
            hash_to_scalar("a", &[b"b"]),
            hash_to_scalar("a", &[b"b", b""]),
            hash_to_scalar("", &[b"ab"]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }
}
