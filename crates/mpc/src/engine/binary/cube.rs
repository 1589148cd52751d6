//! Polynomials in few variables over GF(2^128), of degree 1 or 2 in each.
//!
//! A vector cut into `2^v` blocks is a vector of polynomials of degree 1 in each of v variables: the
//! block with the binary digits `b_1 .. b_v` is their value there. The inner product of two such
//! vectors has degree 2 in each variable. It is determined by its values at the `3^v` points whose
//! coordinates are 0, 1 or ∞, where the value at ∞ is the coefficient of the square. In
//! characteristic 2 all of these take additions only, unlike points in one variable.

use zeroize::Zeroizing;

use super::field::Gf;

/// v.
pub(super) const VARIABLES: usize = 4;
/// `2^v`.
pub(super) const BLOCKS: usize = 1 << VARIABLES;
/// `3^v`.
pub(super) const POINTS: usize = 3usize.pow(VARIABLES as u32);
/// The point whose coordinates are all 1. The digits of a point, lowest first, are its coordinates.
pub(super) const ONES: usize = (POINTS - 1) / 2;

/// From the values at the points of 0 and 1 to those at all points, for polynomials of degree 1.
pub(super) fn extend(corners: &[Gf; BLOCKS]) -> Zeroizing<[Gf; POINTS]> {
    let mut values = Zeroizing::new([Gf::ZERO; POINTS]);
    let mut before = Zeroizing::new([Gf::ZERO; POINTS]);
    values[..BLOCKS].copy_from_slice(corners);
    let (mut len, mut stride) = (BLOCKS, 1);
    while stride < len {
        before[..len].copy_from_slice(&values[..len]);
        let pairs = before[..len].chunks_exact(2 * stride);
        for (target, pair) in values.chunks_exact_mut(3 * stride).zip(pairs) {
            target[..2 * stride].copy_from_slice(pair);
            let (low, high) = pair.split_at(stride);
            for ((target, low), high) in target[2 * stride..].iter_mut().zip(low).zip(high) {
                *target = *low + *high;
            }
        }
        (len, stride) = (len / 2 * 3, 3 * stride);
    }
    values
}

/// The place in the list for [`collapse`] of the product of the blocks i and j.
pub(super) fn pair(i: usize, j: usize) -> usize {
    (0..VARIABLES).map(|k| (i >> k & 1 | (j >> k & 1) << 1) << (2 * k)).sum()
}

/// The values of `<F, G>` at all points, from the inner products of each block of F with each of G.
pub(super) fn collapse(pairs: &[Gf]) -> Zeroizing<Vec<Gf>> {
    let mut values = Zeroizing::new(pairs.to_vec());
    let mut stride = 1;
    while stride < values.len() {
        let mut next = Zeroizing::new(Vec::with_capacity(values.len() / 4 * 3));
        for four in values.chunks_exact(4 * stride) {
            let product = |k: usize| &four[k * stride..(k + 1) * stride];
            next.extend_from_slice(product(0));
            next.extend_from_slice(product(3));
            next.extend((0..stride).map(|at| (0..4).map(|k| product(k)[at]).sum::<Gf>()));
        }
        (values, stride) = (next, 3 * stride);
    }
    values
}

/// By point, its weight in the value at `p` of a polynomial of degree 2 in each variable:
/// `h(p) = h(0) (1 + p) + h(1) p + h(∞) (p + p^2)`, one variable after the other.
pub(super) fn point_weights(p: &[Gf; VARIABLES]) -> Vec<Gf> {
    weights(p, |p| vec![Gf::ONE + p, p, p + p * p])
}

/// By block, its weight in the value at `p` of a polynomial of degree 1 in each variable.
pub(super) fn block_weights(p: &[Gf; VARIABLES]) -> Vec<Gf> {
    weights(p, |p| vec![Gf::ONE + p, p])
}

fn weights(p: &[Gf; VARIABLES], of_one: impl Fn(Gf) -> Vec<Gf>) -> Vec<Gf> {
    p.iter().fold(vec![Gf::ONE], |weights, p| {
        let of_one = of_one(*p);
        of_one.iter().flat_map(|factor| weights.iter().map(|weight| *weight * *factor)).collect()
    })
}

/// The points whose coordinates are 0 or 1: their values sum to the inner product.
pub(super) fn corners() -> impl Iterator<Item = usize> {
    let point =
        |block: usize| (0..VARIABLES).map(|k| (block >> k & 1) * 3usize.pow(k as u32)).sum();
    (0..BLOCKS).map(point)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{RngCore, SeedableRng};

    fn random<const N: usize>(rng: &mut ChaCha20Rng) -> [Gf; N] {
        std::array::from_fn(|_| Gf(u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())))
    }

    #[test]
    fn products_of_values_are_values_of_products() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (left, right) = (random::<BLOCKS>(&mut rng), random::<BLOCKS>(&mut rng));
        let mut pairs = vec![Gf::ZERO; BLOCKS * BLOCKS];
        for (i, l) in left.iter().enumerate() {
            right.iter().enumerate().for_each(|(j, r)| pairs[pair(i, j)] = *l * *r);
        }
        let product: Vec<_> =
            extend(&left).iter().zip(extend(&right).iter()).map(|(l, r)| *l * *r).collect();
        assert!(*collapse(&pairs) == product);

        let inner: Gf = left.iter().zip(&right).map(|(l, r)| *l * *r).sum();
        assert!(corners().map(|point| product[point]).sum::<Gf>() == inner);
        assert_eq!(corners().last(), Some(ONES));

        let p = random::<VARIABLES>(&mut rng);
        let dot = |weights: &[Gf], values: &[Gf]| -> Gf {
            weights.iter().zip(values).map(|(w, v)| *w * *v).sum()
        };
        let blocks = block_weights(&p);
        assert!(dot(&point_weights(&p), &product) == dot(&blocks, &left) * dot(&blocks, &right));
    }

    #[test]
    fn corners_are_where_the_blocks_are() {
        let blocks = random::<BLOCKS>(&mut ChaCha20Rng::seed_from_u64(2));
        let extended = extend(&blocks);
        assert!(corners().zip(&blocks).all(|(point, block)| extended[point] == *block));
    }
}
