//! The check of products of bits: that each is the product of its factors.
//!
//! As for products [over Z_l](crate::engine::check), all since the last check are checked together
//! before anything is opened, and the parties learn nothing but whether all are right. Bits are
//! lifted into GF(2^128), component by component, since the error of a claim must have more than two
//! values to be found. The method is that of Boyle, Gilboa, Ishai, Nof (CCS 2019; ASIACRYPT 2020) and
//! Goyal, Song, Zhu (CRYPTO 2020):
//!
//! 1. *Combine.* With a common random R, the claims `x_k y_k = z_k` about bits become one claim
//!    `sum of w_k x_k y_k = sum of w_k z_k`. The strings are cut into 64 blocks of m bits, each filled
//!    up with zeros to n pieces of 128; the weight of bit s of piece q, counted from the first block
//!    on, is `w_k = R^(64 n - q) β_s`, where the `β_s` are a basis of GF(2^128) over GF(2). Errors are
//!    bits, so 128 of them that are not all zero make an element that is not zero: the combined error
//!    is a polynomial in R of degree at most 64 n, and not zero if any product is wrong.
//! 2. *Compress.* The B blocks of the two vectors, `X_0, ..` and `Y_0, ..`, become coefficients,
//!    `F(x) = sum of X_b x^b` and `G(x) = sum of Y_b x^(B - 1 - b)`. So the claimed value is the
//!    coefficient `B - 1` of `h = <F, G>`. The parties compute the others, `2 B - 2` products, and go
//!    on with `<p F(p), p G(p)> = p^2 h(p)` at a common random p: a claim B times shorter. The first
//!    such step, with B = 64, works on bits, and its inner products cost hardly anything: with basis
//!    elements for weights, a sum over 128 bits is those bits. Later ones have B = 16 and use
//!    [Karatsuba's method](super::karatsuba).
//! 3. *Conclude.* For `<X, Y> = Z` of at most 256 elements draw random elements U that nobody knows
//!    and compute `W = <U, Y>`. With a common random e open `D = e X + U`, then
//!    `T = <D, Y> + e Z + W`, which must be zero.
//!
//! *Soundness.* A wrong claim comes out of step 1 right with probability at most `64 n / 2^128`. In
//! step 2 it stays wrong, whatever the parties sent for the other coefficients of h, but with
//! probability `2 B / 2^128`, since `p^2 h(p)` has that degree. Step 3 passes with `1 / 2^128`: T is e
//! times the error of Z plus that of W. With 2^40 products that is below 2^-90.
//!
//! *Privacy.* What parties send for products is pseudo-random to the receiver. D is masked by U, and
//! T is a sum of the liars' own errors with public coefficients, so zero if there were none. Whether
//! the check passes depends on no secret.
//!
//! *Common random elements must come late*, for the reason given [there](crate::engine::check): all
//! confirm that they have received everything before anybody shows its components of one. What is
//! sent when is in [`lockstep`](crate::engine::lockstep).

use polyval::Polyval;
use quittance_crypto::planted;
use zeroize::Zeroizing;

use super::field::{self, Gf, hasher, horner, powers};
use super::karatsuba::{self, BLOCKS, SUMS, Sums};
use super::shared::{Element, Elements};
use super::{BitString, Bits, UncheckedBits};
use crate::engine::Engine;
use crate::prss::Keys;
use crate::session::Payload;

/// Into how many blocks strings of bits are cut.
const BIT_BLOCKS: usize = 64;

/// Claims of up to so many pairs are concluded rather than compressed: 4 KB to each of the others at
/// most, for three exchanges less.
const SHORT: usize = 256;

/// This party's components of a claim `<left, right> = value`.
pub(in crate::engine) struct Claim {
    left: Elements,
    right: Elements,
    value: Element,
}

/// All products, cut into blocks of equal length, which are filled up with zeros to whole pieces.
pub(in crate::engine) struct Products {
    /// m, the bits of a block.
    length: usize,
    /// n, the pieces of a block.
    pieces: usize,
    left: Bits,
    right: Bits,
    results: Bits,
}

/// Bits in a piece.
const PIECE: usize = 128;

impl UncheckedBits {
    fn joined(self) -> Products {
        let total: usize = self.0.iter().map(|(_, results)| results.len()).sum();
        let length = total.div_ceil(BIT_BLOCKS);
        let pieces = length.div_ceil(PIECE);
        let join = |of: fn(&(super::Gates, Bits)) -> &Bits| {
            let mut joined = Bits::with_capacity(total);
            self.0.iter().for_each(|batch| joined.push(of(batch)));
            joined.spread(length, pieces * PIECE, BIT_BLOCKS)
        };
        let left = join(|(gates, _)| &gates.left);
        let right = join(|(gates, _)| &gates.right);
        let results = join(|(_, results)| results);
        // Claims x (y + z) = 0, which hold for z = x y, and for any z if x = 0.
        let (right, results) = planted!(
            "binary-check-weighted-by-factors",
            (right.xor(&results), results.xor(&results)),
            (right, results),
        );
        Products { length, pieces, left, right, results }
    }
}

/// The sum of bits with the weights of the last pieces, one for each two words.
fn weighted(r: &Polyval, words: impl Iterator<Item = u64>) -> Gf {
    let mut words = words;
    let piece = || {
        let low = words.next()?;
        Some(Gf(u128::from(low) | u128::from(words.next().unwrap_or(0)) << 64))
    };
    horner(r, std::iter::from_fn(piece))
}

impl Products {
    /// The weighted sum of the results.
    fn value(&self, r: &Polyval) -> Element {
        let sum = |bits: &BitString| weighted(r, bits.words().iter().copied());
        Element { next: sum(&self.results.next), last: sum(&self.results.last) }
    }

    /// This party's summands of the coefficients of h. With weights that go on from block to block,
    /// that of `x^(63 + e)` is one sum over all of X and all of Y, moved by e blocks.
    fn coefficients(&self, r: Gf) -> Zeroizing<Vec<Gf>> {
        let key = hasher(r);
        let block = 2 * self.pieces;
        let weights = self.block_weights(r);
        let mut coefficients = Zeroizing::new(Vec::with_capacity(2 * BIT_BLOCKS - 1));
        for moved in (1..BIT_BLOCKS).rev() {
            // The last blocks of X meet nothing: what there is ends before them.
            let products = self.left.local_products(0, &self.right, moved * block);
            let sum = weighted(&key, products);
            coefficients.push(sum * weights[BIT_BLOCKS - 1 - moved]);
        }
        for moved in 0..BIT_BLOCKS {
            let products = self.left.local_products(moved * block, &self.right, 0);
            coefficients.push(weighted(&key, products));
        }
        coefficients
    }

    /// By block, what its weights have in common: `R^(n (63 - b))`.
    fn block_weights(&self, r: Gf) -> Vec<Gf> {
        let block = powers(r).nth(self.pieces).unwrap_or_default();
        let mut weights: Vec<_> = powers(block).take(BIT_BLOCKS).collect();
        weights.reverse();
        weights
    }

    /// `p F(p)` and `p G(p)`, with the weights in F.
    fn at(&self, r: Gf, p: Gf) -> (Elements, Elements) {
        let powers_of_p: Vec<_> = powers(p).skip(1).take(BIT_BLOCKS).collect();
        let weights = self.block_weights(r);
        let ascending: Vec<_> =
            powers_of_p.iter().zip(&weights).map(|(power, weight)| *power * *weight).collect();
        let descending: Vec<_> = powers_of_p.into_iter().rev().collect();
        let left = self.select(&self.left, &ascending);
        let right = self.select(&self.right, &descending);

        let powers: Vec<_> = powers(r).take(self.pieces + 1).collect();
        let mut weighed = Elements::with_capacity(self.length);
        for (place, element) in left.iter().enumerate() {
            let weight = powers[self.pieces - place / PIECE] * Gf(1 << (place % PIECE));
            weighed.push(element * weight);
        }
        (weighed, right)
    }

    /// By place within a block, the sum of the factors of those blocks whose bit is 1 there.
    fn select(&self, bits: &Bits, factors: &[Gf]) -> Elements {
        let component = |bits: &BitString| {
            let mut sums = Zeroizing::new(vec![Gf::ZERO; self.length]);
            for (block, factor) in bits.words().chunks(2 * self.pieces).zip(factors) {
                for (sums, word) in sums.chunks_mut(64).zip(block) {
                    let mut word = *word;
                    for sum in sums {
                        *sum += factor.if_bit(word);
                        word >>= 1;
                    }
                }
            }
            sums
        };
        Elements { next: component(&bits.next), last: component(&bits.last) }
    }
}

impl Claim {
    fn block_length(&self) -> usize {
        self.left.len().div_ceil(BLOCKS)
    }

    /// This party's summands of the coefficients of h.
    fn coefficients(&self) -> Zeroizing<Vec<Gf>> {
        let mut products = Zeroizing::new(vec![Gf::ZERO; SUMS]);
        let mut sums = [(); 4].map(|()| Sums::default());
        let [left_next, left_last, right_next, right_last] = &mut sums;
        for place in 0..self.block_length() {
            let left = [
                left_next.of(self.column(&self.left.next, place)),
                left_last.of(self.column(&self.left.last, place)),
            ];
            let right = [
                right_next.of(self.column(&self.right.next, place).rev()),
                right_last.of(self.column(&self.right.last, place).rev()),
            ];
            for (at, product) in products.iter_mut().enumerate() {
                let [left, right] =
                    [left, right].map(|[next, last]| Element { next: next[at], last: last[at] });
                *product += left.local_product(right);
            }
        }
        karatsuba::product(&products)
    }

    /// The elements at a place within each block, zero beyond the end.
    fn column<'a>(
        &self,
        elements: &'a [Gf],
        place: usize,
    ) -> impl DoubleEndedIterator<Item = Gf> + use<'a> {
        let length = self.block_length();
        (0..BLOCKS)
            .map(move |block| elements.get(block * length + place).copied().unwrap_or_default())
    }

    /// `p F(p)` and `p G(p)`.
    fn at(&self, p: Gf) -> (Elements, Elements) {
        let key = hasher(p);
        let length = self.block_length();
        let (mut left, mut right) =
            (Elements::with_capacity(length), Elements::with_capacity(length));
        for place in 0..length {
            left.push(Element {
                next: horner(&key, self.column(&self.left.next, place).rev()),
                last: horner(&key, self.column(&self.left.last, place).rev()),
            });
            right.push(Element {
                next: horner(&key, self.column(&self.right.next, place)),
                last: horner(&key, self.column(&self.right.last, place)),
            });
        }
        (left, right)
    }
}

/// The sum of products with public elements.
fn combine(weights: &[Gf], elements: &Elements) -> Element {
    let weighed = elements.iter().zip(weights).map(|(element, weight)| element * *weight);
    weighed.fold(Element::default(), |sum, element| sum + element)
}

/// A claim about bits that is being shown.
pub(in crate::engine) enum BitClaim {
    /// Products of bits, weighed with powers of this element.
    Bits(Products, Gf),
    /// A claim about elements.
    Elements(Claim),
    /// What is left to be opened.
    Masked(Masked),
}

/// `D = e X + U`, and with it Y and `e Z + W`.
pub(in crate::engine) struct Masked {
    pub(in crate::engine) left: Elements,
    right: Elements,
    claimed: Element,
}

impl Masked {
    /// T, given D.
    pub(in crate::engine) fn rest(&self, left: &[Gf]) -> Elements {
        let mut rest = Elements::with_capacity(1);
        rest.push(combine(left, &self.right) + self.claimed);
        rest
    }
}

/// A claim of which products are being computed.
pub(in crate::engine) enum BitCompression {
    Bits(Products, Gf),
    Elements(Claim),
    /// With U.
    Masked(Claim, Elements),
}

impl BitClaim {
    /// With a common random element, that all unchecked products are right.
    pub(in crate::engine) fn combine(unchecked: UncheckedBits, r: Gf) -> Self {
        Self::Bits(unchecked.joined(), r)
    }

    /// In how many rounds it is shown.
    pub(in crate::engine) fn rounds(&self) -> u32 {
        match self {
            Self::Bits(products, _) => 1 + rounds(products.length),
            Self::Elements(claim) => rounds(claim.left.len()),
            Self::Masked(_) => 0,
        }
    }

    /// Begins a round; `random` makes shared random elements that nobody knows. `None` if there is
    /// nothing left to compute.
    pub(in crate::engine) fn compress(
        self,
        random: impl FnOnce(usize) -> Elements,
    ) -> Option<BitCompression> {
        Some(match self {
            Self::Bits(products, r) => BitCompression::Bits(products, r),
            Self::Elements(claim) if claim.left.len() > SHORT => BitCompression::Elements(claim),
            Self::Elements(claim) => {
                let masks = random(claim.left.len());
                BitCompression::Masked(claim, masks)
            }
            Self::Masked(_) => return None,
        })
    }
}

impl BitCompression {
    /// This party's summands of the products.
    pub(in crate::engine) fn summands(&self) -> Zeroizing<Vec<Gf>> {
        let but_middle = |mut coefficients: Zeroizing<Vec<Gf>>| {
            let middle = coefficients.len() / 2;
            coefficients.remove(middle);
            coefficients
        };
        match self {
            Self::Bits(products, r) => but_middle(products.coefficients(*r)),
            Self::Elements(claim) => but_middle(claim.coefficients()),
            Self::Masked(claim, masks) => {
                let pairs = masks.iter().zip(claim.right.iter());
                let product = pairs.map(|(mask, right)| mask.local_product(right)).sum();
                Zeroizing::new(vec![product])
            }
        }
    }

    /// The claim at a common random element, given the products.
    pub(in crate::engine) fn at(self, products: Elements, p: Gf) -> BitClaim {
        match self {
            Self::Bits(record, r) => {
                let value = value_at(products, record.value(&hasher(r)), p);
                let (left, right) = record.at(r, p);
                BitClaim::Elements(Claim { left, right, value })
            }
            Self::Elements(claim) => {
                let value = value_at(products, claim.value, p);
                let (left, right) = claim.at(p);
                BitClaim::Elements(Claim { left, right, value })
            }
            Self::Masked(Claim { left, right, value }, masks) => {
                let mut masked = Elements::with_capacity(left.len());
                left.iter().zip(masks.iter()).for_each(|(left, mask)| masked.push(left * p + mask));
                let claimed = products.iter().fold(value * p, |sum, product| sum + product);
                BitClaim::Masked(Masked { left: masked, right, claimed })
            }
        }
    }
}

/// In how many rounds a claim about so many elements is shown.
fn rounds(length: usize) -> u32 {
    match length {
        0..=SHORT => 1,
        _ => 1 + rounds(length.div_ceil(BLOCKS)),
    }
}

/// `p^2 h(p)`, given the coefficients of h and the claimed value of the middle one.
fn value_at(mut coefficients: Elements, claimed: Element, p: Gf) -> Element {
    let middle = coefficients.len() / 2;
    coefficients.next.insert(middle, claimed.next);
    coefficients.last.insert(middle, claimed.last);
    let powers: Vec<_> = powers(p).skip(2).take(coefficients.len()).collect();
    combine(&powers, &coefficients)
}

impl Engine {
    /// Shared elements that nobody knows.
    pub(in crate::engine) fn random_elements(&mut self, count: usize) -> Elements {
        match count {
            0 => Elements::default(),
            _ => random_elements(&mut self.keys, count),
        }
    }

    /// What this party sends the next one for products of which these are its summands.
    pub(in crate::engine) fn masked_summands(&mut self, summands: Zeroizing<Vec<Gf>>) -> Payload {
        if summands.is_empty() {
            return Payload::default();
        }
        let mut own = summands;
        let zero = elements(&self.keys.zero_words(2 * own.len()));
        own.iter_mut().zip(&*zero).for_each(|(own, zero)| *own += *zero);
        let message = pack(&own);
        #[cfg(test)]
        let message = self.lie_in_bits(message);
        message
    }
}

pub(in crate::engine) fn random_elements(keys: &mut Keys, count: usize) -> Elements {
    let words = keys.random_words(2 * count);
    Elements { next: elements(&words.next), last: elements(&words.last) }
}

fn elements(words: &[u64]) -> Zeroizing<Vec<Gf>> {
    let element = |pair: &[u64; 2]| Gf(u128::from(pair[0]) | u128::from(pair[1]) << 64);
    let mut elements = Zeroizing::new(Vec::with_capacity(words.len() / 2));
    elements.extend(words.as_chunks().0.iter().map(element));
    elements
}

pub(in crate::engine) fn pack(elements: &[Gf]) -> Payload {
    let mut bytes = Zeroizing::new(Vec::with_capacity(field::BYTES * elements.len()));
    elements.iter().for_each(|element| bytes.extend_from_slice(&element.0.to_le_bytes()));
    bytes
}

/// The elements of a message whose length has been found right; with room for one more.
pub(in crate::engine) fn unpack(bytes: &[u8]) -> Zeroizing<Vec<Gf>> {
    let mut elements = Zeroizing::new(Vec::with_capacity(bytes.len() / field::BYTES + 1));
    let chunks = bytes.as_chunks::<{ field::BYTES }>().0;
    elements.extend(chunks.iter().map(|bytes| Gf(u128::from_le_bytes(*bytes))));
    elements
}
