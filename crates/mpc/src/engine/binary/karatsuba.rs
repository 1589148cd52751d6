//! Products of polynomials over GF(2^128) whose coefficients are the blocks of two vectors.
//!
//! Karatsuba's method, four times over: a polynomial of degree 15 is one of degree 1 in each of
//! `x, x^2, x^4, x^8`. The product of two of degree 1 takes the products of both low coefficients,
//! of both high ones, and of their sums, so 81 products do in place of 256. Before the products there
//! are additions only, whatever the length of the blocks.

use zeroize::{Zeroize, Zeroizing};

use super::field::Gf;

/// How many times Karatsuba's method is applied.
const DEPTH: u32 = 4;
/// How many coefficients each factor has.
pub(super) const BLOCKS: usize = 1 << DEPTH;
/// How many products are needed.
pub(super) const SUMS: usize = 3usize.pow(DEPTH);

/// Buffers for [`Sums::of`], erased when dropped.
#[derive(Clone)]
pub(super) struct Sums {
    values: [Gf; SUMS],
    before: [Gf; SUMS],
}

impl Default for Sums {
    fn default() -> Self {
        Self { values: [Gf::ZERO; SUMS], before: [Gf::ZERO; SUMS] }
    }
}

impl Drop for Sums {
    fn drop(&mut self) {
        self.values.zeroize();
        self.before.zeroize();
    }
}

impl Sums {
    /// What is multiplied with the same of the other factor: for each power of x above, the lower
    /// coefficients, the higher ones, and their sums.
    pub(super) fn of(&mut self, coefficients: impl Iterator<Item = Gf>) -> &[Gf; SUMS] {
        self.values.iter_mut().zip(coefficients).for_each(|(value, given)| *value = given);
        let (mut len, mut stride) = (BLOCKS, 1);
        while stride < len {
            self.before[..len].copy_from_slice(&self.values[..len]);
            let pairs = self.before[..len].chunks_exact(2 * stride);
            for (target, pair) in self.values.chunks_exact_mut(3 * stride).zip(pairs) {
                target[..2 * stride].copy_from_slice(pair);
                let (low, high) = pair.split_at(stride);
                for ((target, low), high) in target[2 * stride..].iter_mut().zip(low).zip(high) {
                    *target = *low + *high;
                }
            }
            (len, stride) = (len / 2 * 3, 3 * stride);
        }
        &self.values
    }
}

/// The coefficients of the product, lowest first, from the products of [`Sums`].
pub(super) fn product(products: &[Gf]) -> Zeroizing<Vec<Gf>> {
    if let [product] = products {
        return Zeroizing::new(vec![*product]);
    }
    let part = |k: usize| product(&products[k * products.len() / 3..(k + 1) * products.len() / 3]);
    let (low, high, both) = (part(0), part(1), part(2));
    // Two factors of n coefficients each have a product of 2 n - 1.
    let n = low.len().div_ceil(2);
    let mut coefficients = Zeroizing::new(vec![Gf::ZERO; 4 * n - 1]);
    for (k, ((low, high), both)) in low.iter().zip(high.iter()).zip(both.iter()).enumerate() {
        coefficients[k] += *low;
        coefficients[k + n] += *low + *high + *both;
        coefficients[k + 2 * n] += *high;
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{RngCore, SeedableRng};

    #[test]
    fn products_are_those_of_the_schoolbook() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut random = || -> [Gf; BLOCKS] {
            std::array::from_fn(|_| {
                Gf(u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()))
            })
        };
        let (left, right) = (random(), random());
        let mut expected = vec![Gf::ZERO; 2 * BLOCKS - 1];
        for (i, l) in left.iter().enumerate() {
            right.iter().enumerate().for_each(|(j, r)| expected[i + j] += *l * *r);
        }
        let (mut lefts, mut rights) = (Sums::default(), Sums::default());
        // Buffers may have been used before.
        lefts.of(right.into_iter());
        let (lefts, rights) = (lefts.of(left.into_iter()), rights.of(right.into_iter()));
        let products: Vec<_> = lefts.iter().zip(rights).map(|(l, r)| *l * *r).collect();
        assert!(*product(&products) == expected);
    }
}
