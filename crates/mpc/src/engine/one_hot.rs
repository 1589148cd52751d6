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
//! *Whose shares they are.* Vectors are dealt without commitments, but so that each party has found
//! its shares on the dealer's polynomials before the session began: see
//! [`CompressedDealing`](crate::vss::CompressedDealing). They were fixed then, thus before r.

use ark_ff::Field;
use quittance_circuit::Owner;
use quittance_crypto::field::Fr;
use quittance_crypto::planted;

use super::{Engine, Products};
use crate::session::Abort;
use crate::share::Share;

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
    /// Five exchanges and a check of products, whatever the number of vectors; two products and an
    /// opened element for each dealer. The shares must be those that the parties held before the
    /// session. An error if a vector has not as many entries as there are labels.
    pub async fn one_hot(
        &mut self,
        dealers: &[(Owner, Vec<OneHot<'_>>)],
        labels: &[Fr],
    ) -> Result<Vec<bool>, Abort> {
        let mut vectors = dealers.iter().flat_map(|(_, vectors)| vectors);
        if labels.is_empty() || vectors.any(|vector| vector.entries.len() != labels.len()) {
            return Err(Abort::Unsupported("a vector with another length than labels".to_owned()));
        }
        let r = self.challenge().await?;
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
    let (last_but_one, last) = powers.last();
    let of_squares = planted!("one-hot-squares-not-checked", Fr::from(0u64), Fr::ONE);
    let of_sum = planted!("one-hot-sum-not-checked", Fr::from(0u64), last_but_one);
    let of_index = planted!("one-hot-index-not-checked", Fr::from(0u64), last);
    let (mut pairs, mut rest, mut weight) = (vec![], Share::zero(), Fr::ONE);
    for OneHot { entries, index } in vectors {
        let value = powers.at(entries, 1);
        let squares = powers.at(entries, 2);
        let sum: Fr = entries.iter().map(|entry| entry.0).sum();
        let label: Fr = entries.iter().zip(labels).map(|(entry, label)| *label * entry.0).sum();
        pairs.push((Share(weight * of_squares * value), Share(value)));
        let linear = of_sum * (sum - Fr::ONE) + of_index * (label - index.0);
        rest.0 += weight * (linear - of_squares * squares);
        weight *= powers.stride;
    }
    products.push(pairs.iter().map(|(left, right)| (left, right)));
    rest
}

#[cfg(test)]
mod tests;
