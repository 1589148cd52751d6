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
//! 2. *Compress.* X and Y are cut into κ blocks; `F` and `G` are the vectors of polynomials of
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
use super::products::{Claim, inner};
use crate::session::{Abort, Kind, Payload};
use crate::shamir::lagrange;
use crate::share::Share;

/// κ: into how many blocks a claim is cut.
const BLOCKS: usize = 8;

impl Engine {
    /// Checks all products since the last check. Three exchanges for each factor [`BLOCKS`] in
    /// their number; none if there are none.
    pub async fn check(&mut self) -> Result<(), Abort> {
        let unchecked = std::mem::take(&mut self.unchecked);
        if planted!("products-not-checked", true, unchecked.is_empty()) {
            return Ok(());
        }
        let before = self.traffic();
        let r = self.challenge().await?;
        let mut claim = unchecked.combine(&r);
        while claim.left.len() > BLOCKS {
            claim = self.compress(claim).await?;
        }
        self.conclude(claim).await?;
        self.checking += self.traffic() - before;
        Ok(())
    }

    /// A common random element that nobody knew while it could still change a product.
    pub(super) async fn challenge(&mut self) -> Result<Fr, Abort> {
        planted!("challenge-before-confirmation", (), self.confirm().await?);
        let random = self.random(1);
        let opened = self.open_unchecked(&[&random[0]]).await?;
        Ok(opened.into_iter().sum())
    }

    /// Returns after everybody has received everything that was sent before.
    async fn confirm(&mut self) -> Result<(), Abort> {
        let messages = self.broadcast(Kind::Confirm, Payload::default()).await?;
        for party in self.parties().others(self.me()) {
            self.elements(party, Kind::Confirm, &messages[party.position()], 0)?;
        }
        Ok(())
    }

    async fn compress(&mut self, claim: Claim) -> Result<Claim, Abort> {
        let left = Blocks::cut(&claim.left, BLOCKS);
        let right = Blocks::cut(&claim.right, BLOCKS);
        let values = self.points(&left, &right, &claim.value, BLOCKS - 1).await?;
        let p = self.challenge().await?;
        let value = Share(inner(&lagrange(&small(values.len()), p), &values));
        Ok(Claim { left: left.at(&p), right: right.at(&p), value })
    }

    pub(super) async fn conclude(&mut self, claim: Claim) -> Result<(), Abort> {
        let count = claim.left.len();
        let random = self.random(2);
        let with = |elements: &[Fr], random: &Share| {
            let mut all = Zeroizing::new(Vec::with_capacity(count + 1));
            all.extend_from_slice(elements);
            all.push(random.0);
            Blocks::cut(&all, count + 1)
        };
        let (left, right) = (with(&claim.left, &random[0]), with(&claim.right, &random[1]));
        let values = self.points(&left, &right, &claim.value, count - 1).await?;
        let p = self.challenge().await?;
        let value = Share(inner(&lagrange(&small(values.len()), p), &values));
        let point = |blocks: &Blocks| Share(blocks.at(&p).iter().sum());
        let opened = self.open_unchecked(&[&point(&left), &point(&right), &value]).await?;
        match opened[..] {
            [left, right, value] if left * right == value => Ok(()),
            _ => Err(Abort::WrongProduct { exchange: self.last_exchange() }),
        }
    }

    /// Shares of the points of `h = <F, G>`, in order. The one at `known` is what is missing from
    /// the others up to there to the claimed value.
    async fn points(
        &mut self,
        left: &Blocks,
        right: &Blocks,
        claimed: &Share,
        known: usize,
    ) -> Result<Zeroizing<Vec<Fr>>, Abort> {
        let (left, right) = (left.extended(), right.extended());
        let pairs = left.iter().zip(right.iter()).enumerate();
        let products: Zeroizing<Vec<_>> = Zeroizing::new(
            pairs.filter(|&(j, _)| j != known).map(|(_, (f, g))| inner(f, g)).collect(),
        );
        let shares = self.reduce(&products).await?;
        let mut values = Zeroizing::new(Vec::with_capacity(left.len()));
        values.extend(shares.iter().map(|share| share.0));
        let rest = values[..known].iter().fold(claimed.0, |rest, value| rest - value);
        values.insert(known, rest);
        Ok(values)
    }
}

/// The first field elements: 0, 1, 2, ...
fn small(count: usize) -> Vec<Fr> {
    (0..count as u64).map(Fr::from).collect()
}

/// A vector in blocks of equal length: the points 0, 1, ... of a vector of polynomials.
struct Blocks(Vec<Zeroizing<Vec<Fr>>>);

impl Blocks {
    /// Cuts a vector into `count` blocks, the last ones filled up with zeros.
    fn cut(elements: &[Fr], count: usize) -> Self {
        let length = elements.len().div_ceil(count);
        let block = |j: usize| {
            let mut block = Zeroizing::new(vec![Fr::ZERO; length]);
            let rest = elements.get(j * length..).unwrap_or_default();
            block.iter_mut().zip(rest).for_each(|(element, value)| *element = *value);
            block
        };
        Self((0..count).map(block).collect())
    }

    /// The blocks, and as many points further on less one: all that determine the product of two
    /// such polynomials. By differences: the last ones are constant (Newton's forward formula).
    fn extended(&self) -> Vec<Zeroizing<Vec<Fr>>> {
        let count = self.0.len();
        let length = self.0.first().map_or(0, |block| block.len());
        let mut points: Vec<_> =
            (0..2 * count - 1).map(|_| Zeroizing::new(vec![Fr::ZERO; length])).collect();
        let mut differences = Zeroizing::new(vec![Fr::ZERO; count]);
        for place in 0..length {
            differences.iter_mut().zip(&self.0).for_each(|(d, block)| *d = block[place]);
            // After this, differences[k] is the (count - 1 - k)-th one that ends in the last block.
            for order in 1..count {
                for k in 0..count - order {
                    differences[k] = differences[k + 1] - differences[k];
                }
            }
            for (point, block) in points.iter_mut().zip(&self.0) {
                point[place] = block[place];
            }
            for point in &mut points[count..] {
                for k in 1..count {
                    differences[k] = differences[k] + differences[k - 1];
                }
                point[place] = differences[count - 1];
            }
        }
        points
    }

    /// The polynomials at `p`.
    fn at(&self, p: &Fr) -> Zeroizing<Vec<Fr>> {
        let row = lagrange(&small(self.0.len()), *p);
        let length = self.0.first().map_or(0, |block| block.len());
        let mut values = Zeroizing::new(vec![Fr::ZERO; length]);
        for (coefficient, block) in row.iter().zip(&self.0) {
            values.iter_mut().zip(&**block).for_each(|(value, x)| *value += *coefficient * x);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quittance_crypto::field::random_field;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    /// Points by differences against Lagrange's formula.
    #[test]
    fn differences_extend_polynomials() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for count in 1..=9 {
            let elements: Vec<_> = (0..5 * count - 2).map(|_| random_field(&mut rng)).collect();
            let blocks = Blocks::cut(&elements, count);
            let points = blocks.extended();
            assert_eq!(points.len(), 2 * count - 1);
            for (x, point) in points.iter().enumerate() {
                assert_eq!(**point, *blocks.at(&Fr::from(x as u64)), "{x} of {count}");
            }
        }
    }

    #[test]
    fn blocks_keep_the_inner_product() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut vector =
            |length| -> Vec<_> { (0..length).map(|_| random_field(&mut rng)).collect() };
        for length in [1, 7, 8, 9, 64, 65] {
            let (left, right) = (vector(length), vector(length));
            let (lefts, rights) = (Blocks::cut(&left, BLOCKS), Blocks::cut(&right, BLOCKS));
            let sum: Fr = lefts.0.iter().zip(&rights.0).map(|(a, b)| inner(a, b)).sum();
            assert_eq!(sum, inner(&left, &right));
        }
    }
}
