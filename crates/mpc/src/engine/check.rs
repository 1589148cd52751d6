//! The check of products: that every result is the inner product that it is said to be.
//!
//! A party that re-shares another value than its own point adds an error to a result, and nothing
//! else can go wrong (see [`reduce`](super::reduce)). So before anything is opened, all results
//! since the last check are checked together. The parties learn whether all are right, and nothing
//! besides. The method is that of Goyal, Song and Zhu, *Guaranteed output delivery comes free in
//! honest majority MPC* (CRYPTO 2020, sections 3.2 and 3.3; with Boneh et al., CRYPTO 2019):
//!
//! 1. *Combine.* With a common random `r`, the claims `<x_k, y_k> = z_k` become one claim
//!    `<X, Y> = Z`: X is made of the `r^k x_k`, Y of the `y_k`, and `Z = sum of r^k z_k`.
//! 2. *Compress.* X and Y are dealt out into κ blocks, at most 32; `F` and `G` are the vectors of
//!    polynomials of degree κ - 1 with `F(j) = X_j`, `G(j) = Y_j` for j < κ. Then `h = <F, G>` has degree
//!    2κ - 2. The parties compute its points 0 .. 2κ - 2, of which the point κ - 1 follows from
//!    `Z = sum over j < κ of h(j)`, and go on with `<F(p), G(p)> = h(p)` at a common random `p`:
//!    a claim κ times shorter.
//! 3. *Conclude.* When blocks are single elements, a block of two random elements is added, so that
//!    `F(p)` and `G(p)` are uniform. They and `h(p)` are opened and compared.
//!
//! *Soundness.* If a result is wrong, so is the combined claim, but with probability K / l for K
//! results: a polynomial in r. The points of h are products themselves, and may be wrong as well;
//! but if the claim is wrong and h has any 2κ - 1 points that fit it, then h differs from
//! `<F, G>`, and so do their values at p but with probability `(2κ - 2) / l`. With 2^40 results the
//! check passes wrongly with probability below 2^-200.
//!
//! *Privacy.* F(p) and G(p) are uniform, being masked by the random block, and h(p) - F(p) G(p) is a
//! sum of the errors that the liars chose, with public coefficients: zero if there were none. So the
//! t liars see nothing that they could not have computed themselves, and whether the check
//! passes depends on no secret.
//!
//! *Common random elements must come late.* Exchanges are not synchronous: a liar who has heard
//! from one honest party may keep another one waiting. If shares of r could reach it before it had
//! sent all sub-shares, it would choose errors that cancel. So before each r, everybody confirms
//! that it has received everything, and nobody sends its share of r before all have confirmed.

use ark_ff::{AdditiveGroup, Field, batch_inversion};
use quittance_crypto::field::Fr;
use zeroize::Zeroizing;

use super::products::{Claim, inner};
use crate::share::Share;

/// κ at most: into how many blocks a claim is cut.
const MAX_BLOCKS: usize = 32;

/// κ for claims of more than [`LONG`] pairs. Beyond this length the time for computing, which grows
/// with κ, counts for more than messages.
const FEW_BLOCKS: usize = 8;
const LONG: usize = 1 << 15;

/// In how many rounds a claim about so many pairs is shown. Each but the last compresses it.
fn rounds(length: usize) -> u32 {
    if length <= MAX_BLOCKS {
        return 1;
    }
    let blocks = if length <= LONG { MAX_BLOCKS } else { FEW_BLOCKS };
    1 + rounds(length.div_ceil(blocks))
}

/// Into how many blocks such a claim is cut: no more than make it short enough for the next rounds,
/// since this one is the dearest.
fn blocks(length: usize) -> usize {
    match length {
        ..=LONG => length.div_ceil(MAX_BLOCKS.pow(rounds(length) - 1)),
        _ => FEW_BLOCKS,
    }
}

/// A claim of which the points of h are being computed.
pub(super) struct Compression {
    claim: Claim,
    blocks: usize,
    /// The point of h that is what is missing from the others up to there to the claimed value.
    known: usize,
}

impl Claim {
    /// In how many rounds it is shown.
    pub(super) fn rounds(&self) -> u32 {
        rounds(self.left.len())
    }

    /// Begins a round that is not the last.
    pub(super) fn compress(self) -> Compression {
        let blocks = blocks(self.left.len());
        Compression { claim: self, blocks, known: blocks - 1 }
    }

    /// Begins the last round, with a block of two random elements.
    pub(super) fn mask(mut self, random: &[Share]) -> Compression {
        let count = self.left.len();
        for (elements, random) in [&mut self.left, &mut self.right].into_iter().zip(random) {
            let mut longer = Zeroizing::new(Vec::with_capacity(count + 1));
            longer.extend_from_slice(elements);
            longer.push(random.0);
            *elements = longer;
        }
        Compression { claim: self, blocks: count + 1, known: count - 1 }
    }

    /// `F(p)`, `G(p)` and `h(p)` after the last round.
    pub(super) fn last(&self) -> [Share; 3] {
        let sum = |elements: &[Fr]| Share(elements.iter().sum());
        [sum(&self.left), sum(&self.right), self.value.clone()]
    }
}

impl Compression {
    /// This party's points, of degree 2t, of `h(0), h(1), ...` but for the one that is known.
    pub(super) fn points(&self) -> Zeroizing<Vec<Fr>> {
        let mut points = local_points(&self.claim.left, &self.claim.right, self.blocks);
        points.remove(self.known);
        points
    }

    /// The claim at p, given shares of those points.
    pub(super) fn at(self, points: &[Share], p: Fr) -> Claim {
        let Self { claim, blocks, known } = self;
        let mut values = Zeroizing::new(Vec::with_capacity(points.len() + 1));
        values.extend(points.iter().map(|share| share.0));
        let rest = values[..known].iter().fold(claim.value.0, |rest, value| rest - value);
        values.insert(known, rest);
        let value = Share(inner(&row(values.len(), p), &values));
        Claim { left: at(&claim.left, blocks, p), right: at(&claim.right, blocks, p), value }
    }
}

// A vector stands for a vector of polynomials, shorter by a factor `count`: each `count` of its
// elements that follow each other, filled up with zeros at the end, are one polynomial's points
// 0, 1, ..., count - 1. So block j is made of the elements j, j + count, j + 2 count, ...

/// The points `0 .. 2 count - 2` of the inner product of two vectors of polynomials.
fn local_points(left: &[Fr], right: &[Fr], count: usize) -> Zeroizing<Vec<Fr>> {
    let mut sums = Zeroizing::new(vec![Fr::ZERO; 2 * count - 1]);
    let row = || Zeroizing::new(vec![Fr::ZERO; 2 * count - 1]);
    let (mut f, mut g) = (row(), row());
    for (left, right) in left.chunks(count).zip(right.chunks(count)) {
        extend([left, right], [&mut f, &mut g]);
        sums.iter_mut().zip(f.iter().zip(g.iter())).for_each(|(sum, (f, g))| *sum += *f * g);
    }
    sums
}

/// Fills `points` with the values at 0, 1, 2, ... of the polynomials that have these values first,
/// and a degree as low as half of them fix. By differences: the last ones are constant (Newton).
///
/// Each further point is a chain of additions that wait for each other, so that two polynomials at
/// once hardly take longer than one.
fn extend(first: [&[Fr]; 2], points: [&mut [Fr]; 2]) {
    let count = points[0].len() / 2 + 1;
    let mut differences = Zeroizing::new([[Fr::ZERO; 2]; MAX_BLOCKS + 1]);
    for (lane, first) in first.into_iter().enumerate() {
        differences.iter_mut().zip(first).for_each(|(it, value)| it[lane] = *value);
    }
    let [f, g] = points;
    let mut points = f.iter_mut().zip(g);
    for (given, (f, g)) in differences[..count].iter().zip(points.by_ref()) {
        (*f, *g) = (given[0], given[1]);
    }
    // After this, differences[k] is the (count - 1 - k)-th one that ends in the last given point.
    for order in 1..count {
        for k in 0..count - order {
            let [next, this] = [differences[k + 1], differences[k]];
            differences[k] = [next[0] - this[0], next[1] - this[1]];
        }
    }
    for (f, g) in points {
        for k in 1..count {
            let [this, below] = [differences[k], differences[k - 1]];
            differences[k] = [this[0] + below[0], this[1] + below[1]];
        }
        [*f, *g] = differences[count - 1];
    }
}

/// A vector of polynomials at `p`.
fn at(elements: &[Fr], count: usize, p: Fr) -> Zeroizing<Vec<Fr>> {
    let row = row(count, p);
    let mut values = Zeroizing::new(Vec::with_capacity(elements.len().div_ceil(count)));
    values.extend(elements.chunks(count).map(|points| inner(&row, points)));
    values
}

/// Lagrange's coefficients from the points 0 .. n - 1 to p, with one inversion for all:
/// `product of (p - m) / ((p - k) k! (n - 1 - k)! (-1)^(n - 1 - k))`.
fn row(count: usize, p: Fr) -> Vec<Fr> {
    let distances: Vec<_> = (0..count as u64).map(|k| p - Fr::from(k)).collect();
    if let Some(point) = distances.iter().position(|distance| *distance == Fr::ZERO) {
        return (0..count).map(|k| Fr::from(u64::from(k == point))).collect();
    }
    let next = |factorial: &mut Fr, k: u64| {
        *factorial *= Fr::from(k.max(1));
        Some(*factorial)
    };
    let factorials: Vec<_> = (0..count as u64).scan(Fr::ONE, next).collect();
    let denominator = |(k, distance): (usize, &Fr)| {
        let size = *distance * factorials[k] * factorials[count - 1 - k];
        if (count - 1 - k).is_multiple_of(2) { size } else { -size }
    };
    let mut row: Vec<_> = distances.iter().enumerate().map(denominator).collect();
    batch_inversion(&mut row);
    let product: Fr = distances.iter().product();
    row.iter_mut().for_each(|coefficient| *coefficient *= product);
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shamir::lagrange;
    use quittance_crypto::field::random_field;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn random(count: usize, seed: u64) -> Vec<Fr> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        (0..count).map(|_| random_field(&mut rng)).collect()
    }

    /// Points by differences against Lagrange's formula.
    #[test]
    fn differences_extend_polynomials() {
        for count in 1..=MAX_BLOCKS + 1 {
            for missing in 0..count.min(3) {
                let first = [1, 2].map(|lane| random(count - missing, lane + count as u64));
                let mut points = [(); 2].map(|()| vec![Fr::ZERO; 2 * count - 1]);
                let [f, g] = &mut points;
                extend([&first[0], &first[1]], [f, g]);
                for (first, points) in first.iter().zip(&points) {
                    for (x, point) in points.iter().enumerate() {
                        let expected = at(first, count, Fr::from(x as u64))[0];
                        assert_eq!(*point, expected, "{x} of {count}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_are_lagranges() {
        for count in [1, 2, 3, 15, 65] {
            let points: Vec<_> = (0..count as u64).map(Fr::from).collect();
            for p in random(3, 1).into_iter().chain([Fr::ZERO, points[count - 1], -Fr::ONE]) {
                assert_eq!(row(count, p), lagrange(&points, p));
            }
        }
    }

    #[test]
    fn points_are_those_of_the_inner_product() {
        for (length, blocks) in [(1, 2), (7, 8), (8, 8), (9, 8), (64, 8), (65, 8), (65, 32)] {
            let (left, right) = (random(length, 1), random(length, 2));
            let points = local_points(&left, &right, blocks);
            assert_eq!(points[..blocks].iter().sum::<Fr>(), inner(&left, &right));
            for (x, point) in points.iter().enumerate() {
                let x = Fr::from(x as u64);
                assert_eq!(*point, inner(&at(&left, blocks, x), &at(&right, blocks, x)));
            }
        }
    }

    #[test]
    fn claims_are_short_enough_after_the_rounds_that_they_are_said_to_take() {
        let lengths = (1..3000).chain([LONG - 1, LONG, LONG + 1, 1 << 18, 1 << 20, 1 << 23]);
        for length in lengths {
            let mut left = length;
            for round in (2..=rounds(length)).rev() {
                assert_eq!(rounds(left), round, "{length}");
                left = left.div_ceil(blocks(left));
            }
            assert_eq!(rounds(left), 1, "{length}");
            assert!(left <= MAX_BLOCKS);
        }
        let few = [1, 32, 33, 1024, 1025, LONG, LONG + 1, 1 << 18, (1 << 18) + 1].map(rounds);
        assert_eq!(few, [1, 1, 2, 2, 3, 3, 4, 4, 5]);
    }
}
