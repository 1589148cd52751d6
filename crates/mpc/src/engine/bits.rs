//! Shared random bits that nobody knows.
//!
//! Two ways, by which is cheaper for the committee:
//!
//! * *Exclusive or.* Each set of n - t parties derives bits from its seed, and these are shared
//!   without communication. The exclusive or of all sets' bits is unknown to any t parties, since
//!   they miss one of them. With three sets (n = 3) that takes two multiplications, and no field
//!   operation dearer than a product.
//! * *Square roots* (Damgård, Fitzi, Kiltz, Nielsen, Toft, TCC 2006). For a shared random `r`, open
//!   `r^2`, take either root `s` of it; then `r / s` is 1 or -1 with equal probability, whatever
//!   `r^2` is, and `(r / s + 1) / 2` is a random bit. One multiplication, one opening and one
//!   exponentiation of some five microseconds.
//!
//! Bits are made and used in pairs with their product, which gives comparisons a start.

use ark_ff::{AdditiveGroup, Field, PrimeField, batch_inversion};
use quittance_crypto::field::Fr;

use super::{Engine, Products};
use crate::session::Abort;
use crate::share::Share;

/// With more seeds than this, square roots are cheaper than the exclusive or.
const XOR_SETS: usize = 3;

/// How many pairs are made at once.
const BATCH: usize = 1 << 18;

/// Two random bits and their product.
#[derive(Clone)]
pub(crate) struct BitPair {
    pub(crate) low: Share,
    pub(crate) high: Share,
    pub(crate) both: Share,
}

impl Engine {
    /// Makes random bits in advance, for range checks, decompositions and tests for zero that use
    /// `bits` in total.
    ///
    /// For `w`-bit integers each of them uses `w` (rounded up to even), a test for zero of any field
    /// element 252. Comparisons of three parties use
    /// [something else](Self::prepare_comparisons); in larger committees they use `w` as well.
    pub async fn prepare(&mut self, bits: usize) -> Result<(), Abort> {
        let wanted = bits.div_ceil(2);
        self.pairs.reserve_exact(wanted.saturating_sub(self.pairs.len()));
        while self.pairs.len() < wanted {
            let count = BATCH.min(wanted - self.pairs.len());
            let mut pairs = self.random_pairs(count).await?;
            self.pairs.append(&mut pairs);
        }
        Ok(())
    }

    /// Takes `count` pairs from those made in advance, making more if there are not enough.
    pub(super) async fn take_pairs(&mut self, count: usize) -> Result<Vec<BitPair>, Abort> {
        self.prepare(2 * count).await?;
        Ok(self.pairs.split_off(self.pairs.len() - count))
    }

    async fn random_pairs(&mut self, count: usize) -> Result<Vec<BitPair>, Abort> {
        let mut bits = self.random_bits(2 * count).await?.into_iter();
        let (low, high): (Vec<_>, Vec<_>) = (bits.by_ref().take(count).collect(), bits.collect());
        let both = self.inner_products(Products::of_pairs(low.iter().zip(&high))).await?;
        let pairs = low.into_iter().zip(high).zip(both);
        Ok(pairs.map(|((low, high), both)| BitPair { low, high, both }).collect())
    }

    /// Shares of `count` random bits.
    pub async fn random_bits(&mut self, count: usize) -> Result<Vec<Share>, Abort> {
        if self.parties().key_set_count() <= XOR_SETS {
            self.bits_by_xor(count).await
        } else {
            self.bits_by_square_roots(count).await
        }
    }

    pub(super) async fn bits_by_xor(&mut self, count: usize) -> Result<Vec<Share>, Abort> {
        let sets = self.keys.bits(count);
        self.exclusive_or(sets, count).await
    }

    /// Shares of the exclusive or of shared bits, given in lists of `count`.
    pub(super) async fn exclusive_or(
        &mut self,
        mut sets: Vec<Vec<Share>>,
        count: usize,
    ) -> Result<Vec<Share>, Abort> {
        while sets.len() > 1 {
            let odd = if sets.len() % 2 == 1 { sets.pop() } else { None };
            let pairs: Vec<_> =
                sets.chunks_exact(2).flat_map(|pair| pair[0].iter().zip(&pair[1])).collect();
            let products = self.multiply(&pairs).await?;
            // a xor b = a + b - 2ab
            let bits =
                pairs.iter().zip(&products).map(|((a, b), ab)| Share(a.0 + b.0 - ab.0.double()));
            let bits: Vec<_> = bits.collect();
            sets = bits.chunks_exact(count).map(<[Share]>::to_vec).chain(odd).collect();
        }
        Ok(sets.pop().unwrap_or_default())
    }

    pub(super) async fn bits_by_square_roots(&mut self, count: usize) -> Result<Vec<Share>, Abort> {
        let (random, squares) = loop {
            let random = self.random(count);
            let shared =
                self.inner_products(Products::of_pairs(random.iter().zip(&random))).await?;
            let squares = self.open(&shared.iter().collect::<Vec<_>>()).await?;
            // Zero has no root that helps. It is as likely as guessing a key: draw all again.
            if !squares.contains(&Fr::ZERO) {
                break (random, squares);
            }
        };
        let mut inverses: Vec<_> = squares.iter().map(square_root).collect();
        batch_inversion(&mut inverses);
        let half = Fr::from(2u64).inverse().expect("two is not zero");
        let bit = |(r, inverse): (&Share, &Fr)| Share((r.0 * inverse + Fr::ONE) * half);
        Ok(random.iter().zip(&inverses).map(bit).collect())
    }
}

/// A root of a square. With `l = 5 mod 8`, `s^((l + 3) / 8)` is a root of `s` or of `-s`; in the
/// second case a root of -1 corrects it.
fn square_root(square: &Fr) -> Fr {
    let mut exponent = Fr::MODULUS;
    exponent.0[0] += 3;
    let exponent = exponent >> 3;
    let root = square.pow(exponent);
    if root.square() == *square { root } else { root * root_of_minus_one() }
}

/// `2^((l - 1) / 4)`: two is not a square modulo a prime that is 5 modulo 8.
fn root_of_minus_one() -> Fr {
    Fr::from(2u64).pow(Fr::MODULUS >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quittance_crypto::field::random_field;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn roots_of_squares_are_roots() {
        assert_eq!(root_of_minus_one().square(), -Fr::ONE);
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for _ in 0..100 {
            let square = random_field(&mut rng).square();
            assert_eq!(square_root(&square).square(), square);
        }
        assert_eq!(square_root(&Fr::ONE).square(), Fr::ONE);
    }
}
