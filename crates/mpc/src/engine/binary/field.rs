//! The field GF(2^128), in which products of bits are checked.
//!
//! Multiplication is that of POLYVAL (RFC 8452, section 3): `dot(a, b) = a * b * x^-128` modulo
//! `x^128 + x^127 + x^126 + x^121 + 1`. With it and the exclusive or, the 128-bit strings are a
//! field as well: `a -> a * x^-128` is an isomorphism to the usual one, since
//! `dot(a, b) * x^-128 = (a * x^-128) * (b * x^-128)`. Its one is `x^128` reduced, and the strings of
//! a single bit are still a basis over GF(2). Nothing here depends on which field of this size it is.

use polyval::universal_hash::{KeyInit, UniversalHash};
use polyval::{Block, Polyval};
use zeroize::{DefaultIsZeroes, Zeroize};

/// The bytes of one element.
pub(crate) const BYTES: usize = 16;

/// How many elements go into the hash at once.
const BLOCKS: usize = 16;

/// An element of GF(2^128). What it holds may be secret: it is never printed.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Gf(pub(crate) u128);

impl DefaultIsZeroes for Gf {}

impl Gf {
    pub(crate) const ZERO: Self = Self(0);
    /// `x^128` modulo the polynomial.
    pub(crate) const ONE: Self = Self(0xc200_0000_0000_0000_0000_0000_0000_0001);

    /// The element if the lowest bit of `bit` is 1, otherwise zero; without a branch.
    pub(crate) fn if_bit(self, bit: u64) -> Self {
        Self(self.0 & u128::from(bit & 1).wrapping_neg())
    }

    fn block(self) -> Block {
        self.0.to_le_bytes().into()
    }

    fn of_block(block: Block) -> Self {
        Self(u128::from_le_bytes(block.into()))
    }
}

impl std::ops::Add for Gf {
    type Output = Self;
    #[allow(clippy::suspicious_arithmetic_impl, reason = "addition in characteristic 2")]
    fn add(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }
}

impl std::ops::AddAssign for Gf {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::ops::Mul for Gf {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let mut product = Polyval::new(&other.block());
        product.update(&[self.block()]);
        Self::of_block(product.finalize())
    }
}

impl std::iter::Sum for Gf {
    fn sum<I: Iterator<Item = Self>>(elements: I) -> Self {
        elements.fold(Self::ZERO, |sum, element| sum + element)
    }
}

/// `sum over i < n of r^(n - i) * a_i` for n elements: a polynomial without a constant term, in r,
/// the key of the hash.
pub(crate) fn horner(r: &Polyval, elements: impl Iterator<Item = Gf>) -> Gf {
    let mut hash = r.clone();
    let mut blocks = [Block::default(); BLOCKS];
    let mut filled = 0;
    for element in elements {
        blocks[filled] = element.block();
        filled += 1;
        if filled == BLOCKS {
            hash.update(&blocks);
            filled = 0;
        }
    }
    hash.update(&blocks[..filled]);
    blocks.iter_mut().for_each(|block| block.as_mut_slice().zeroize());
    Gf::of_block(hash.finalize())
}

/// The hash whose key is `r`.
pub(crate) fn hasher(r: Gf) -> Polyval {
    Polyval::new(&r.block())
}

/// `1, r, r^2, ...`
pub(crate) fn powers(r: Gf) -> impl Iterator<Item = Gf> {
    std::iter::successors(Some(Gf::ONE), move |power| Some(*power * r))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{RngCore, SeedableRng};

    fn random(rng: &mut ChaCha20Rng) -> Gf {
        Gf(u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()))
    }

    #[test]
    fn it_is_a_field() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for _ in 0..100 {
            let [a, b, c] = [(); 3].map(|()| random(&mut rng));
            assert!(a * Gf::ONE == a && Gf::ONE * a == a && a * Gf::ZERO == Gf::ZERO);
            assert!(a * b == b * a && (a * b) * c == a * (b * c));
            assert!(a * (b + c) == a * b + a * c && a + a == Gf::ZERO);
            // a^(2^128) = a, and a^(2^k) is a for no smaller k than the degree: 128 is a power of 2.
            let square = |a: Gf| a * a;
            let half = (0..64).fold(a, |a, _| square(a));
            assert!(half != a && (0..64).fold(half, |a, _| square(a)) == a);
        }
    }

    #[test]
    fn products_are_those_of_the_rfc() {
        // RFC 8452, appendix A: dot(a, b).
        let element = |hex: &str| {
            let byte = |k: usize| u8::from_str_radix(&hex[2 * k..2 * k + 2], 16).unwrap();
            Gf(u128::from_le_bytes(std::array::from_fn(byte)))
        };
        let a = element("66e94bd4ef8a2c3b884cfa59ca342b2e");
        let b = element("ff000000000000000000000000000000");
        assert!(a * b == element("ebe563401e7e91ea3ad6426b8140c394"));
    }

    #[test]
    fn horner_gives_sums_of_powers() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for count in [0usize, 1, 2, 15, 16, 17, 40] {
            let r = random(&mut rng);
            let elements: Vec<_> = (0..count).map(|_| random(&mut rng)).collect();
            let powers: Vec<_> = powers(r).take(count + 1).collect();
            let expected = elements.iter().enumerate().map(|(i, a)| powers[count - i] * *a).sum();
            assert!(horner(&hasher(r), elements.iter().copied()) == expected, "{count}");
        }
    }
}
