//! The check of one-hot vectors: that dealt vectors are 1 at one place and 0 at all others.
//!
//! A payee is dealt as a vector `e_0, ..., e_(K-1)`, with a commitment to an index beside it. With
//! E for the polynomial with these coefficients and a common random r, drawn after the vectors have
//! been dealt, three equations are checked:
//!
//! 1. *one of squares*, `E(r)^2 = E_2(r)`, where `E_2(X) = E(X^2) = sum of e_k X^2k`;
//! 2. *sum*, `E(1) = 1`;
//! 3. *index*, `sum of label_k e_k = index`.
//!
//! *Sound.* If `E(X)^2 = E(X^2)` as polynomials, then E is 0 or a power of X. For let `e_d` be the
//! last coefficient that is not 0. That of `X^2d` gives `e_d^2 = e_d`, thus `e_d = 1`. If there were
//! another, let `e_m` be the last before `e_d`. The coefficient of `X^(d+m)` is `2 e_d e_m` on the
//! left and, on the right, 0 or `e_((d+m)/2)`, which is 0 as it lies between the two. So `e_m = 0`.
//! The sum excludes 0. At a random r two different polynomials of degree below 2K agree with
//! probability below `2K / l`. Sum and index alone are linear, and (2, -1, 0) passes them.
//!
//! *One residual for a dealer.* The residuals of all three, over all vectors of a dealer, are taken
//! with different powers of r: exponents 0 to 2K - 2 for the squares, 2K - 1 for the sum, 2K for
//! the index, and 2K + 1 further on for each next vector. What is checked is one polynomial in r
//! that is zero only if all residuals are, and it takes one inner product. Whether it is zero is
//! [opened](Engine::are_zero), and nothing else about it.
//!
//! *Whose shares they are.* Vectors are dealt without commitments
//! ([`deal_compressed`](crate::vss::deal_compressed)), so a dealer may have given shares on no
//! common polynomial. Before anything else a random combination of all entries of each dealer, with
//! a random mask, is opened, and must have degree t. If it has not, either the dealer or a party
//! has lied, and nothing tells which: the session ends with both disputed, so that a party cannot
//! frame a dealer. It must end: a liar may send its wrong share to some parties only, and those who
//! leave a dealer out cannot go on together with those who do not. With n = 2t + 1 the shares of the
//! honest parties always lie on one polynomial; that is what was dealt, whatever the others hold.
//! It was fixed before the session, thus before r.

use ark_ff::{AdditiveGroup, Field};
use quittance_circuit::Owner;
use quittance_crypto::field::Fr;

use super::{Engine, Products};
use crate::session::{Abort, Kind};
use crate::share::Share;
use crate::wire::pack;

/// Shares of a vector that should be 1 at one place and 0 elsewhere.
pub struct OneHot<'a> {
    /// The vector.
    pub entries: Vec<&'a Share>,
    /// What the label at the place of the 1 must equal.
    pub index: &'a Share,
}

impl Engine {
    /// By dealer, whether all its vectors are one-hot and fit their indices; see the module. If
    /// not, the dealer is to blame. `labels` are those of the places. Nothing else is learnt.
    ///
    /// Six exchanges and a check of products, whatever the number of vectors; two products and two
    /// opened elements for each dealer. The shares must be those that the parties held before the
    /// session.
    /// An error if a vector has not as many entries as there are labels, and
    /// [`Abort::DisputedDealing`] if shares do not fit together.
    pub async fn one_hot(
        &mut self,
        dealers: &[(Owner, Vec<OneHot<'_>>)],
        labels: &[Fr],
    ) -> Result<Vec<bool>, Abort> {
        let mut vectors = dealers.iter().flat_map(|(_, vectors)| vectors);
        if labels.is_empty() || vectors.any(|vector| vector.entries.len() != labels.len()) {
            return Err(Abort::Unsupported("a vector with another length than labels".to_owned()));
        }
        let masks = self.random(dealers.len());
        let r = self.challenge().await?;
        self.fit_together(dealers, &masks, &r).await?;

        let powers = Powers::new(r, labels.len());
        let mut products = Products::new();
        let linear: Vec<_> = dealers
            .iter()
            .map(|(_, vectors)| residual(vectors, labels, &powers, &mut products))
            .collect();
        let products = self.inner_products(products).await?;
        let residuals: Vec<_> = products.iter().zip(&linear).map(|(a, b)| a + b).collect();
        self.are_zero(&residuals.iter().collect::<Vec<_>>()).await
    }

    /// Opens a random combination of all entries of each dealer, which must have degree t.
    async fn fit_together(
        &mut self,
        dealers: &[(Owner, Vec<OneHot<'_>>)],
        masks: &[Share],
        r: &Fr,
    ) -> Result<(), Abort> {
        let combined = dealers.iter().zip(masks).map(|((_, vectors), mask)| {
            let entries = vectors.iter().flat_map(|vector| &vector.entries);
            // Horner's rule, the mask last.
            entries.fold(Fr::ZERO, |sum, entry| (sum + entry.0) * r) + mask.0
        });
        let message = pack(combined.collect::<Vec<_>>().iter());
        let messages = self.broadcast(Kind::Open, message).await?;
        let points = self
            .parties()
            .ids()
            .zip(&messages)
            .map(|(party, message)| self.elements(party, Kind::Open, message, dealers.len()))
            .collect::<Result<Vec<_>, _>>()?;
        for (place, &(owner, _)) in dealers.iter().enumerate() {
            let row: Vec<_> = points.iter().map(|points| points[place]).collect();
            self.all.open(&row).ok_or(Abort::DisputedDealing { owner })?;
        }
        Ok(())
    }
}

/// `r^0, ..., r^2K`, and `r^(2K+1)`.
struct Powers {
    powers: Vec<Fr>,
    length: usize,
    stride: Fr,
}

impl Powers {
    fn new(r: Fr, length: usize) -> Self {
        let all = std::iter::successors(Some(Fr::ONE), |power| Some(*power * r));
        let powers: Vec<_> = all.take(2 * length + 1).collect();
        let stride = powers[2 * length] * r;
        Self { powers, length, stride }
    }

    /// `r^(2K-1)` and `r^2K`.
    fn last(&self) -> (Fr, Fr) {
        (self.powers[2 * self.length - 1], self.powers[2 * self.length])
    }

    /// `sum of r^(step * k) * e_k`.
    fn at(&self, entries: &[&Share], step: usize) -> Fr {
        let terms = entries.iter().zip(self.powers.iter().step_by(step));
        terms.map(|(entry, power)| *power * entry.0).sum()
    }
}

/// Adds the products in the residual of a dealer's vectors to `products`, as one inner product, and
/// returns what is to be added to it.
fn residual(
    vectors: &[OneHot<'_>],
    labels: &[Fr],
    powers: &Powers,
    products: &mut Products,
) -> Share {
    let (of_sum, of_index) = powers.last();
    let (mut pairs, mut rest, mut weight) = (vec![], Share::zero(), Fr::ONE);
    for OneHot { entries, index } in vectors {
        let value = powers.at(entries, 1);
        let squares = powers.at(entries, 2);
        let sum: Fr = entries.iter().map(|entry| entry.0).sum();
        let label: Fr = entries.iter().zip(labels).map(|(entry, label)| *label * entry.0).sum();
        pairs.push((Share(weight * value), Share(value)));
        let linear = of_sum * (sum - Fr::ONE) + of_index * (label - index.0);
        rest.0 += weight * (linear - squares);
        weight *= powers.stride;
    }
    products.push(pairs.iter().map(|(left, right)| (left, right)));
    rest
}

#[cfg(test)]
mod tests;
