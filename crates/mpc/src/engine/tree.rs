//! Comparison of public with shared bits, in as many exchanges as the logarithm of their number.

use ark_ff::Field;
use quittance_crypto::field::Fr;

use super::mask::Masked;
use super::{BitPair, Engine, Products};
use crate::session::Abort;
use crate::share::Share;

/// What is known of a block of neighbouring bits: whether public and shared bits are equal, and
/// whether the public ones make the smaller number.
///
/// Blocks combine as `equal = equal_high * equal_low`, `less = less_high + equal_high * less_low`.
/// Of a block that reaches down to bit 0, `equal` is never needed and is `None`.
struct Block {
    equal: Option<Share>,
    less: Share,
}

/// `[r = v]` for v = 0, 1, 2, 3, where r is the number made of two shared bits: linear in the bits
/// and their product.
fn indicators(pair: &BitPair) -> [Share; 4] {
    let BitPair { low, high, both } = pair;
    let one = low - both;
    let two = high - both;
    let zero = Share(Fr::ONE - low.0 - two.0);
    [zero, one, two, both.clone()]
}

/// The indicators of a single bit, as a number of two bits of which the high one is 0.
fn single(bit: &Share) -> [Share; 4] {
    [bit.not(), bit.clone(), Share::zero(), Share::zero()]
}

/// For each pair of mask bits, lowest first: the indicators, and the public number to compare with.
fn digits(masked: &Masked) -> impl Iterator<Item = ([Share; 4], usize)> + '_ {
    (0..masked.pairs.len() as u32).map(|index| {
        let place = 2 * index;
        let pair = &masked.pairs[index as usize];
        let low = usize::from(masked.public_bit(place));
        if place + 1 == masked.low {
            return (single(&pair.low), low);
        }
        (indicators(pair), low + 2 * usize::from(masked.public_bit(place + 1)))
    })
}

fn leaves(masked: &Masked) -> Vec<Block> {
    let leaf = |(index, (indicators, public)): (usize, ([Share; 4], usize))| {
        let mut less = Share::zero();
        indicators[public + 1..].iter().for_each(|indicator| less += indicator);
        Block { equal: (index > 0).then(|| indicators[public].clone()), less }
    };
    digits(masked).enumerate().map(leaf).collect()
}

impl Engine {
    /// `[c mod 2^m < r']` for values opened under masks.
    pub(super) async fn public_less(&mut self, masked: &[Masked]) -> Result<Vec<Share>, Abort> {
        let mut all: Vec<_> = masked.iter().map(leaves).collect();
        while all.iter().any(|blocks| blocks.len() > 1) {
            let mut products = Products::new();
            for pair in all.iter().flat_map(|blocks| blocks.chunks_exact(2)) {
                multiply_blocks(&pair[0], &pair[1], &mut products);
            }
            let mut shares = self.inner_products(products).await?.into_iter();
            all = all.into_iter().map(|blocks| merge(blocks, &mut shares)).collect();
        }
        let less = |mut blocks: Vec<Block>| blocks.pop().map(|block| block.less);
        Ok(all.into_iter().map(|blocks| less(blocks).unwrap_or_else(Share::zero)).collect())
    }

    /// `[c mod 2^m = r']` for values opened under masks.
    pub(super) async fn public_equal(&mut self, masked: &[Masked]) -> Result<Vec<Share>, Abort> {
        let equal = |(indicators, public): ([Share; 4], usize)| indicators[public].clone();
        let mut all: Vec<Vec<_>> =
            masked.iter().map(|masked| digits(masked).map(equal).collect()).collect();
        while all.iter().any(|shares| shares.len() > 1) {
            let pairs = all.iter().flat_map(|shares| shares.chunks_exact(2));
            let products = Products::of_pairs(pairs.map(|pair| (&pair[0], &pair[1])));
            let mut results = self.inner_products(products).await?.into_iter();
            for shares in &mut all {
                let odd = if shares.len() % 2 == 1 { shares.pop() } else { None };
                *shares = results.by_ref().take(shares.len() / 2).chain(odd).collect();
            }
        }
        let one = || Share::constant(Fr::ONE);
        Ok(all.into_iter().map(|mut shares| shares.pop().unwrap_or_else(one)).collect())
    }
}

fn multiply_blocks(low: &Block, high: &Block, products: &mut Products) {
    if let Some(high_equal) = &high.equal {
        products.push([(high_equal, &low.less)]);
        low.equal.iter().for_each(|low_equal| products.push([(high_equal, low_equal)]));
    }
}

/// One level: `products` are those of [`multiply_blocks`] for each pair of neighbours.
fn merge(blocks: Vec<Block>, products: &mut impl Iterator<Item = Share>) -> Vec<Block> {
    let mut merged = Vec::with_capacity(blocks.len().div_ceil(2));
    let mut blocks = blocks.into_iter();
    while let Some(low) = blocks.next() {
        let Some(mut high) = blocks.next() else {
            merged.push(low);
            break;
        };
        if let Some(product) = products.next() {
            high.less += &product;
        }
        high.equal = low.equal.and_then(|_| products.next());
        merged.push(high);
    }
    merged
}
