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
//! 2. *Compress.* X and Y are dealt out into κ blocks; `F` and `G` are the vectors of polynomials of
//!    degree κ - 1 with `F(j) = X_j`, `G(j) = Y_j` for j < κ. Then `h = <F, G>` has degree
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

use ark_ff::AdditiveGroup;
use quittance_crypto::field::Fr;
use quittance_crypto::planted;
use zeroize::Zeroizing;

use super::Engine;
use super::products::{Claim, Unchecked, inner};
use crate::session::{Abort, Kind, Payload};
use crate::shamir::lagrange;
use crate::share::Share;

/// κ: into how many blocks a claim is cut.
const BLOCKS: usize = 8;

impl Engine {
    /// Checks all products since the last check, [those of bits](super::binary) included. Three
    /// exchanges for each factor [`BLOCKS`] in their number; none if there are none.
    pub async fn check(&mut self) -> Result<(), Abort> {
        let unchecked = std::mem::take(&mut self.unchecked);
        let unchecked_bits = std::mem::take(&mut self.unchecked_bits);
        let before = self.traffic();
        if planted!("products-not-checked", false, !unchecked.is_empty()) {
            self.check_products(unchecked).await?;
        }
        if planted!("binary-products-not-checked", false, !unchecked_bits.is_empty()) {
            self.check_bits(unchecked_bits).await?;
        }
        self.checking += self.traffic() - before;
        Ok(())
    }

    async fn check_products(&mut self, unchecked: Unchecked) -> Result<(), Abort> {
        let r = self.challenge().await?;
        let mut claim = unchecked.combine(&r);
        while claim.left.len() > BLOCKS {
            claim = self.compress(claim).await?;
        }
        self.conclude(claim).await
    }

    /// A common random element that nobody knew while it could still change a product.
    pub(super) async fn challenge(&mut self) -> Result<Fr, Abort> {
        planted!("challenge-before-confirmation", (), self.confirm().await?);
        let random = self.random(1);
        let opened = self.open_unchecked(&[&random[0]]).await?;
        Ok(opened.into_iter().sum())
    }

    /// Returns after everybody has received everything that was sent before.
    pub(super) async fn confirm(&mut self) -> Result<(), Abort> {
        let messages = self.broadcast(Kind::Confirm, Payload::default()).await?;
        for (party, message) in messages.iter() {
            self.elements(party, Kind::Confirm, message, 0)?;
        }
        Ok(())
    }

    async fn compress(&mut self, claim: Claim) -> Result<Claim, Abort> {
        let values = self.points(&claim, BLOCKS, BLOCKS - 1).await?;
        let p = self.challenge().await?;
        let value = Share(inner(&row(values.len(), p), &values));
        Ok(Claim { left: at(&claim.left, BLOCKS, p), right: at(&claim.right, BLOCKS, p), value })
    }

    pub(super) async fn conclude(&mut self, mut claim: Claim) -> Result<(), Abort> {
        let count = claim.left.len();
        let random = self.random(2);
        for (elements, random) in [&mut claim.left, &mut claim.right].into_iter().zip(&random) {
            let mut longer = Zeroizing::new(Vec::with_capacity(count + 1));
            longer.extend_from_slice(elements);
            longer.push(random.0);
            *elements = longer;
        }
        let values = self.points(&claim, count + 1, count - 1).await?;
        let p = self.challenge().await?;
        let value = Share(inner(&row(values.len(), p), &values));
        let point = |elements: &[Fr]| Share(at(elements, count + 1, p).iter().sum());
        let (left, right) = (point(&claim.left), point(&claim.right));
        let opened = self.open_unchecked(&[&left, &right, &value]).await?;
        match opened[..] {
            [left, right, value] if left * right == value => Ok(()),
            _ => Err(Abort::WrongProduct { exchange: self.last_exchange() }),
        }
    }

    /// Shares of the points `0 .. 2 degree` of `h = <F, G>`, for F and G of `count = degree + 1`
    /// points each. The one at `known` is what is missing from the others up to there to the
    /// claimed value.
    async fn points(
        &mut self,
        claim: &Claim,
        count: usize,
        known: usize,
    ) -> Result<Zeroizing<Vec<Fr>>, Abort> {
        let mut products = local_points(&claim.left, &claim.right, count);
        products.remove(known);
        let shares = self.reduce(&products).await?;
        let mut values = Zeroizing::new(Vec::with_capacity(2 * count - 1));
        values.extend(shares.iter().map(|share| share.0));
        let rest = values[..known].iter().fold(claim.value.0, |rest, value| rest - value);
        values.insert(known, rest);
        Ok(values)
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
        extend(left, &mut f);
        extend(right, &mut g);
        sums.iter_mut().zip(f.iter().zip(g.iter())).for_each(|(sum, (f, g))| *sum += *f * g);
    }
    sums
}

/// Fills `points` with the values at 0, 1, 2, ... of the polynomial that has these values first, and
/// a degree as low as half of them fix. By differences: the last ones are constant (Newton).
fn extend(first: &[Fr], points: &mut [Fr]) {
    let count = points.len() / 2 + 1;
    let (given, further) = points.split_at_mut(count);
    given.fill(Fr::ZERO);
    given.iter_mut().zip(first).for_each(|(point, value)| *point = *value);
    let mut differences = Zeroizing::new([Fr::ZERO; BLOCKS + 1]);
    differences[..count].copy_from_slice(given);
    // After this, differences[k] is the (count - 1 - k)-th one that ends in the last given point.
    for order in 1..count {
        for k in 0..count - order {
            differences[k] = differences[k + 1] - differences[k];
        }
    }
    for point in further {
        for k in 1..count {
            differences[k] = differences[k] + differences[k - 1];
        }
        *point = differences[count - 1];
    }
}

/// A vector of polynomials at `p`.
fn at(elements: &[Fr], count: usize, p: Fr) -> Zeroizing<Vec<Fr>> {
    let row = row(count, p);
    let mut values = Zeroizing::new(Vec::with_capacity(elements.len().div_ceil(count)));
    values.extend(elements.chunks(count).map(|points| inner(&row, points)));
    values
}

/// Lagrange's coefficients from the points 0 .. count - 1 to p.
fn row(count: usize, p: Fr) -> Vec<Fr> {
    let points: Vec<_> = (0..count as u64).map(Fr::from).collect();
    lagrange(&points, p)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        for count in 1..=BLOCKS + 1 {
            for missing in 0..count.min(3) {
                let first = random(count - missing, count as u64);
                let mut points = vec![Fr::ZERO; 2 * count - 1];
                extend(&first, &mut points);
                for (x, point) in points.iter().enumerate() {
                    assert_eq!(*point, at(&first, count, Fr::from(x as u64))[0], "{x} of {count}");
                }
            }
        }
    }

    #[test]
    fn points_are_those_of_the_inner_product() {
        for length in [1, 7, 8, 9, 64, 65] {
            let (left, right) = (random(length, 1), random(length, 2));
            let points = local_points(&left, &right, BLOCKS);
            assert_eq!(points[..BLOCKS].iter().sum::<Fr>(), inner(&left, &right));
            for (x, point) in points.iter().enumerate() {
                let x = Fr::from(x as u64);
                assert_eq!(*point, inner(&at(&left, BLOCKS, x), &at(&right, BLOCKS, x)));
            }
        }
    }
}
