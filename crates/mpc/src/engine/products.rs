//! Inner products to be computed together, and the record of those whose results nobody has
//! checked yet.

use ark_ff::AdditiveGroup;
use quittance_crypto::field::Fr;
use quittance_crypto::planted;
use zeroize::Zeroizing;

use crate::share::Share;

/// A batch of inner products of shared vectors; a product of two values is one of length 1.
#[derive(Default)]
pub struct Products {
    left: Zeroizing<Vec<Fr>>,
    right: Zeroizing<Vec<Fr>>,
    /// By inner product, where its pairs end.
    ends: Vec<usize>,
}

impl Products {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// The products of pairs.
    pub fn of_pairs<'a>(pairs: impl IntoIterator<Item = (&'a Share, &'a Share)>) -> Self {
        let pairs = pairs.into_iter();
        let mut products = Self::with_capacity(pairs.size_hint().0);
        pairs.for_each(|pair| products.push([pair]));
        products
    }

    /// An empty batch with room for so many pairs: growing leaves a copy that is not erased.
    pub(crate) fn with_capacity(pairs: usize) -> Self {
        Self {
            left: Zeroizing::new(Vec::with_capacity(pairs)),
            right: Zeroizing::new(Vec::with_capacity(pairs)),
            ends: Vec::with_capacity(pairs),
        }
    }

    /// Adds the sum of the products of these pairs.
    pub fn push<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a Share, &'a Share)>) {
        for (left, right) in pairs {
            self.left.push(left.0);
            self.right.push(right.0);
        }
        self.ends.push(self.left.len());
    }

    /// How many inner products there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// This party's points of the polynomials of degree 2t whose constants are the results.
    pub(super) fn points(&self) -> Zeroizing<Vec<Fr>> {
        Zeroizing::new(self.vectors().map(|(left, right)| inner(left, right)).collect())
    }

    fn vectors(&self) -> impl Iterator<Item = (&[Fr], &[Fr])> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| (&self.left[start..end], &self.right[start..end]))
    }
}

/// `<left, right>`.
pub(super) fn inner(left: &[Fr], right: &[Fr]) -> Fr {
    left.iter().zip(right).fold(Fr::ZERO, |sum, (a, b)| sum + *a * b)
}

/// Inner products with their results.
#[derive(Default)]
pub(super) struct Unchecked {
    batches: Vec<(Products, Vec<Share>)>,
    pairs: usize,
}

impl Unchecked {
    pub(super) fn push(&mut self, products: Products, results: &[Share]) {
        self.pairs += products.left.len();
        let results = results.to_vec();
        // Claims x (y - z) = 0, which hold for bits x and y with z = x y, and for any z if x = 0.
        let (products, results) = planted!(
            "check-weighted-by-factors",
            {
                let (mut products, mut results) = (products, results);
                let claims = products.right.iter_mut().zip(&mut results);
                claims.for_each(|(right, z)| *right -= std::mem::replace(z, Share::zero()).0);
                (products, results)
            },
            (products, results),
        );
        self.batches.push((products, results));
    }

    /// Whether there are no products.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// The pairs of all products, whose shares take 64 bytes each.
    pub(super) fn pairs(&self) -> usize {
        self.pairs
    }

    /// `sum over k of r^k * (<left_k, right_k> - result_k)`, as a claim about one inner product.
    pub(super) fn combine(self, r: &Fr) -> Claim {
        let mut left = Zeroizing::new(Vec::with_capacity(self.pairs.max(1)));
        let mut right = Zeroizing::new(Vec::with_capacity(self.pairs.max(1)));
        let (mut weight, mut value) = (*r, Fr::ZERO);
        for (products, results) in self.batches {
            for ((lefts, rights), result) in products.vectors().zip(&results) {
                left.extend(lefts.iter().map(|left| weight * left));
                right.extend_from_slice(rights);
                value += weight * result.0;
                weight *= r;
            }
        }
        if left.is_empty() {
            // Sums of no products: 0 * 0.
            left.push(Fr::ZERO);
            right.push(Fr::ZERO);
        }
        Claim { left, right, value: Share(value) }
    }
}

/// This party's shares of a claim `<left, right> = value`.
pub(super) struct Claim {
    pub(super) left: Zeroizing<Vec<Fr>>,
    pub(super) right: Zeroizing<Vec<Fr>>,
    pub(super) value: Share,
}
