//! The check of products of bits: that each is the product of its factors.
//!
//! As for products [over Z_l](crate::engine::check), all since the last check are checked together
//! before anything is opened, and the parties learn nothing but whether all are right. Bits are
//! lifted into GF(2^128), component by component, since the error of a claim must have more than two
//! values to be found. The method is that of Boyle, Gilboa, Ishai, Nof (CCS 2019; ASIACRYPT 2020) and
//! Goyal, Song, Zhu (CRYPTO 2020):
//!
//! 1. *Combine.* With a common random R, the claims `x_k y_k = z_k` about bits become one claim
//!    `sum of w_k x_k y_k = sum of w_k z_k`. The strings are cut into 16 blocks of m bits, and each
//!    block into n pieces of 128; the weight of bit s of piece q of block b is
//!    `w_k = R^(n b) R^(n - q) β_s`, where the `β_s` are a basis of GF(2^128) over GF(2). Errors are
//!    bits, so 128 of them that are not all zero make an element that is not zero: the combined error
//!    is a polynomial in R of degree at most 16 n, and not zero if any product is wrong.
//! 2. *Compress.* The blocks of the two vectors are the values at the points of 0 and 1 of vectors F
//!    and G of polynomials of degree 1 in each of four [variables](super::cube). The parties compute
//!    the values of `h = <F, G>` at 81 points, one of which follows from the claim, and go on with
//!    `<F(p), G(p)> = h(p)` at a common random point p: a claim sixteen times shorter. The first such
//!    step works on bits, and costs hardly anything for the inner products: with basis elements for
//!    weights, a sum over 128 bits is those bits.
//! 3. *Conclude.* For `<X, Y> = Z` of at most 32 elements draw random elements U that nobody knows
//!    and compute `W = <U, Y>`. With a common random e open `D = e X + U`, then
//!    `T = <D, Y> + e Z + W`, which must be zero.
//!
//! *Soundness.* A wrong claim comes out of step 1 right with probability `16 (n + 1) / 2^128`, out of
//! step 2, where h has degree 8 altogether, with `8 / 2^128` each time whatever the parties sent for
//! its values, and step 3 passes with `1 / 2^128`: T is e times the error of Z plus that of W. With
//! 2^40 products that is below 2^-90.
//!
//! *Privacy.* What parties send for products is pseudo-random to the receiver. D is masked by U, and
//! T is a sum of the liars' own errors with public coefficients, so zero if there were none. Whether
//! the check passes depends on no secret.
//!
//! *Common random elements must come late*, for the reason given [there](crate::engine::check): all
//! confirm that they have received everything before anybody shows its components of one.

use zeroize::Zeroizing;

use super::cube::{self, BLOCKS, POINTS, VARIABLES};
use super::field::{self, Gf, hasher, powers, weighted};
use super::shared::{Element, Elements};
use super::{Bits, UncheckedBits};
use crate::engine::Engine;
use crate::session::{Abort, Payload};

/// Claims of up to so many pairs are concluded rather than compressed.
const SHORT: usize = 32;

/// This party's components of a claim `<left, right> = value`.
struct Claim {
    left: Elements,
    right: Elements,
    value: Element,
}

/// All products, cut into blocks of equal length.
struct Blocks {
    length: usize,
    left: Vec<Bits>,
    right: Vec<Bits>,
    results: Vec<Bits>,
}

impl UncheckedBits {
    fn blocks(self) -> Blocks {
        let total: usize = self.0.iter().map(|(_, results)| results.len()).sum();
        let length = total.div_ceil(BLOCKS);
        let cut = |of: fn(&(super::Gates, Bits)) -> &Bits| -> Vec<Bits> {
            let mut joined = Bits::with_capacity(total);
            self.0.iter().for_each(|batch| joined.push(of(batch)));
            (0..BLOCKS).map(|block| joined.slice(block * length, length)).collect()
        };
        let left = cut(|(gates, _)| &gates.left);
        Blocks { length, left, right: cut(|(gates, _)| &gates.right), results: cut(|(_, it)| it) }
    }
}

impl Blocks {
    /// By block, the first factor of its weights.
    fn weights(&self, r: Gf) -> Vec<Gf> {
        let block = powers(r).nth(self.length.div_ceil(128)).unwrap_or_default();
        powers(block).take(BLOCKS).collect()
    }

    /// The weighted sum of the results.
    fn value(&self, r: Gf) -> Element {
        let hash = hasher(r);
        let sum = |bits: fn(&Bits) -> &super::BitString| -> Gf {
            let block = |(result, weight): (&Bits, Gf)| {
                weight * weighted(&hash, bits(result).words().iter().copied())
            };
            self.results.iter().zip(self.weights(r)).map(block).sum()
        };
        Element { next: sum(|bits| &bits.next), last: sum(|bits| &bits.last) }
    }

    /// This party's summands of the values of h at all points.
    fn points(&self, r: Gf) -> Zeroizing<Vec<Gf>> {
        let hash = hasher(r);
        let mut pairs = Zeroizing::new(vec![Gf::ZERO; BLOCKS * BLOCKS]);
        for (i, (left, weight)) in self.left.iter().zip(self.weights(r)).enumerate() {
            for (j, right) in self.right.iter().enumerate() {
                let product = left.local_and(right);
                let sum = weighted(&hash, product.words().iter().copied());
                pairs[cube::pair(i, j)] = weight * sum;
            }
        }
        cube::collapse(&pairs)
    }

    /// F and G at p, with the weights that do not depend on the block.
    fn at(&self, r: Gf, p: &[Gf; VARIABLES]) -> (Elements, Elements) {
        let weights = cube::block_weights(p);
        let weighed: Vec<_> =
            weights.iter().zip(self.weights(r)).map(|(weight, block)| *weight * block).collect();
        let (left, right) = (select(&self.left, &weighed), select(&self.right, &weights));
        let pieces = self.length.div_ceil(128);
        let powers: Vec<_> = powers(r).take(pieces + 1).collect();
        let mut scaled = Elements::with_capacity(self.length);
        for (place, element) in left.iter().enumerate() {
            scaled.push(element * (powers[pieces - place / 128] * Gf(1 << (place % 128))));
        }
        (scaled, right)
    }
}

/// By place within a block, the sum of the weights of those blocks whose bit is 1 there.
fn select(blocks: &[Bits], weights: &[Gf]) -> Elements {
    let length = blocks.first().map_or(0, Bits::len);
    let component = |bits: fn(&Bits) -> &super::BitString| {
        let mut sums = Zeroizing::new(vec![Gf::ZERO; length]);
        for (block, weight) in blocks.iter().zip(weights) {
            for (sums, word) in sums.chunks_mut(64).zip(bits(block).words()) {
                for (place, sum) in sums.iter_mut().enumerate() {
                    *sum += weight.if_bit(word >> place);
                }
            }
        }
        sums
    };
    Elements { next: component(|bits| &bits.next), last: component(|bits| &bits.last) }
}

impl Claim {
    fn block_length(&self) -> usize {
        self.left.len().div_ceil(BLOCKS)
    }

    /// This party's summands of the values of h at all points.
    fn points(&self) -> Zeroizing<Vec<Gf>> {
        let length = self.block_length();
        let mut points = Zeroizing::new(vec![Gf::ZERO; POINTS]);
        let extended = |elements: &[Gf], place: usize| {
            let corner = |block| elements.get(block * length + place).copied().unwrap_or_default();
            cube::extend(&std::array::from_fn(corner))
        };
        for place in 0..length {
            let [left, right] = [&self.left, &self.right]
                .map(|elements| (extended(&elements.next, place), extended(&elements.last, place)));
            for (at, point) in points.iter_mut().enumerate() {
                let [left, right] =
                    [&left, &right].map(|(next, last)| Element { next: next[at], last: last[at] });
                *point += left.local_product(right);
            }
        }
        points
    }

    /// F and G at p.
    fn at(&self, p: &[Gf; VARIABLES]) -> (Elements, Elements) {
        let length = self.block_length();
        let weights = cube::block_weights(p);
        let fold = |elements: &Elements| {
            let mut folded = Elements::with_capacity(length);
            for place in 0..length {
                let blocks = weights.iter().enumerate();
                let weighed = blocks.map(|(block, w)| elements.get(block * length + place) * *w);
                folded.push(weighed.fold(Element::default(), |sum, element| sum + element));
            }
            folded
        };
        (fold(&self.left), fold(&self.right))
    }
}

/// The sum of products with public elements.
fn combine(weights: &[Gf], elements: &Elements) -> Element {
    let weighed = elements.iter().zip(weights).map(|(element, weight)| element * *weight);
    weighed.fold(Element::default(), |sum, element| sum + element)
}

impl Engine {
    /// Checks products of bits: three exchanges for each factor 16 in their number, and seven.
    pub(in crate::engine) async fn check_bits(
        &mut self,
        unchecked: UncheckedBits,
    ) -> Result<(), Abort> {
        let [r] = self.common_elements().await?;
        let mut claim = self.lift(unchecked.blocks(), r).await?;
        while claim.left.len() > SHORT {
            let (value, p) = self.value_at_random(claim.points(), claim.value).await?;
            let (left, right) = claim.at(&p);
            claim = Claim { left, right, value };
        }
        self.conclude_bits(claim).await
    }

    async fn lift(&mut self, blocks: Blocks, r: Gf) -> Result<Claim, Abort> {
        let (value, p) = self.value_at_random(blocks.points(r), blocks.value(r)).await?;
        let (left, right) = blocks.at(r, &p);
        Ok(Claim { left, right, value })
    }

    /// h at a common random point, given this party's summands of its values and the claim.
    async fn value_at_random(
        &mut self,
        mut summands: Zeroizing<Vec<Gf>>,
        claimed: Element,
    ) -> Result<(Element, [Gf; VARIABLES]), Abort> {
        summands.remove(cube::ONES);
        let mut values = self.reduce_elements(summands).await?;
        // What the other corners leave of the claimed sum of all.
        values.next.insert(cube::ONES, Gf::ZERO);
        values.last.insert(cube::ONES, Gf::ZERO);
        let rest = cube::corners().fold(claimed, |rest, corner| rest + values.get(corner));
        (values.next[cube::ONES], values.last[cube::ONES]) = (rest.next, rest.last);
        let p = self.common_elements().await?;
        Ok((combine(&cube::point_weights(&p), &values), p))
    }

    async fn conclude_bits(&mut self, claim: Claim) -> Result<(), Abort> {
        let Claim { left, right, value } = claim;
        let masks = self.random_elements(left.len());
        let pairs = masks.iter().zip(right.iter());
        let product: Gf = pairs.map(|(mask, right)| mask.local_product(right)).sum();
        let product = self.reduce_elements(Zeroizing::new(vec![product])).await?.get(0);
        let [e] = self.common_elements().await?;

        let mut masked = Elements::with_capacity(left.len());
        left.iter().zip(masks.iter()).for_each(|(left, mask)| masked.push(left * e + mask));
        let opened = self.open_elements(&masked).await?;
        let mut zero = Elements::with_capacity(1);
        zero.push(combine(&opened, &right) + value * e + product);
        match self.open_elements(&zero).await?[..] {
            [Gf::ZERO] => Ok(()),
            _ => Err(Abort::WrongProduct { exchange: self.last_exchange() }),
        }
    }

    /// Common random elements that nobody knew while they could still change a product.
    async fn common_elements<const N: usize>(&mut self) -> Result<[Gf; N], Abort> {
        self.confirm().await?;
        let random = self.random_elements(N);
        let opened = self.open_elements(&random).await?;
        Ok(std::array::from_fn(|place| opened[place]))
    }

    fn random_elements(&mut self, count: usize) -> Elements {
        let words = self.keys.random_words(2 * count);
        Elements { next: elements(&words.next), last: elements(&words.last) }
    }

    /// The components of sums of all parties' summands. One exchange.
    async fn reduce_elements(&mut self, summands: Zeroizing<Vec<Gf>>) -> Result<Elements, Abort> {
        let mut own = summands;
        let zero = elements(&self.keys.zero_words(2 * own.len()));
        own.iter_mut().zip(&*zero).for_each(|(own, zero)| *own += *zero);
        let (own, received) = self.pass_on(pack(&own)).await?;
        Ok(Elements { next: unpack(&received), last: unpack(&own) })
    }

    /// Opens elements that are uniform or depend on no secret. One exchange.
    async fn open_elements(&mut self, shared: &Elements) -> Result<Vec<Gf>, Abort> {
        let missing = unpack(&self.missing(pack(&shared.next), pack(&shared.last)).await?);
        let sums = shared.iter().zip(missing.iter());
        Ok(sums.map(|(held, missing)| held.next + held.last + *missing).collect())
    }
}

fn elements(words: &[u64]) -> Zeroizing<Vec<Gf>> {
    let element = |pair: &[u64; 2]| Gf(u128::from(pair[0]) | u128::from(pair[1]) << 64);
    let mut elements = Zeroizing::new(Vec::with_capacity(words.len() / 2));
    elements.extend(words.as_chunks().0.iter().map(element));
    elements
}

fn pack(elements: &[Gf]) -> Payload {
    let mut bytes = Zeroizing::new(Vec::with_capacity(field::BYTES * elements.len()));
    elements.iter().for_each(|element| bytes.extend_from_slice(&element.0.to_le_bytes()));
    bytes
}

/// The elements of a message whose length has been found right; with room for one more.
fn unpack(bytes: &[u8]) -> Zeroizing<Vec<Gf>> {
    let mut elements = Zeroizing::new(Vec::with_capacity(bytes.len() / field::BYTES + 1));
    let chunks = bytes.as_chunks::<{ field::BYTES }>().0;
    elements.extend(chunks.iter().map(|bytes| Gf(u128::from_le_bytes(*bytes))));
    elements
}
