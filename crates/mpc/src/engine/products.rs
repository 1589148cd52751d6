//! Inner products to be computed together, and the record of those whose results nobody has
//! checked yet.

use ark_ff::{AdditiveGroup, Field};
use quittance_crypto::field::Fr;
use quittance_crypto::planted;
use zeroize::Zeroizing;

use crate::share::Share;

/// A batch of inner products of shared vectors; a product of two values is one of length 1.
///
/// Products that follow each other may share their left vector, as those of a vector with the columns
/// of a matrix do. It is then kept, and checked, once.
#[derive(Default)]
pub struct Products {
    left: Zeroizing<Vec<Fr>>,
    right: Zeroizing<Vec<Fr>>,
    /// By inner product.
    rows: Vec<Row>,
}

/// Where the vectors of an inner product are. Those to the right follow each other.
struct Row {
    left: usize,
    right: usize,
    length: usize,
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
            rows: Vec::new(),
        }
    }

    /// Adds the sum of the products of these pairs.
    pub fn push<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a Share, &'a Share)>) {
        let (left, right) = (self.left.len(), self.right.len());
        for (left, right) in pairs {
            self.left.push(left.0);
            self.right.push(right.0);
        }
        self.rows.push(Row { left, right, length: self.left.len() - left });
    }

    /// Adds the sum of the products of the left factors of the last one with these. Of both, only as
    /// many as there are of the fewer count.
    pub fn push_with_same_left<'a>(&mut self, rights: impl IntoIterator<Item = &'a Share>) {
        let (left, room) = self.rows.last().map_or((0, 0), |row| (row.left, row.length));
        let right = self.right.len();
        self.right.extend(rights.into_iter().take(room).map(|right| right.0));
        self.rows.push(Row { left, right, length: self.right.len() - right });
    }

    /// How many inner products there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// This party's points of the polynomials of degree 2t whose constants are the results.
    pub(super) fn points(&self) -> Zeroizing<Vec<Fr>> {
        let point = |row: &Row| inner(self.left(row), self.right(row));
        Zeroizing::new(self.rows.iter().map(point).collect())
    }

    fn left(&self, row: &Row) -> &[Fr] {
        &self.left[row.left..row.left + row.length]
    }

    fn right(&self, row: &Row) -> &[Fr] {
        &self.right[row.right..row.right + row.length]
    }

    /// The products in groups that share a left vector, with the results.
    fn groups<'a>(
        &'a self,
        results: &'a [Share],
    ) -> impl Iterator<Item = (&'a [Row], &'a [Share])> {
        let same = |a: &Row, b: &Row| (a.left, a.length) == (b.left, b.length);
        let mut results = results;
        self.rows.chunk_by(same).map(move |rows| {
            let (own, rest) = results.split_at(rows.len());
            results = rest;
            (rows, own)
        })
    }
}

/// How many products are added before they are reduced modulo l.
const AT_ONCE: usize = 5;

/// `<left, right>`; what one vector has more than the other does not count.
pub(super) fn inner(left: &[Fr], right: &[Fr]) -> Fr {
    let length = left.len().min(right.len());
    let (lefts, left) = left[..length].as_chunks::<AT_ONCE>();
    let (rights, right) = right[..length].as_chunks::<AT_ONCE>();
    let sum = lefts.iter().zip(rights).map(|(a, b)| Fr::sum_of_products(a, b)).sum();
    left.iter().zip(right).fold(sum, |sum, (a, b)| sum + *a * b)
}

/// Inner products with their results.
#[derive(Default)]
pub(super) struct Unchecked {
    batches: Vec<(Products, Vec<Share>)>,
    pairs: usize,
}

impl Unchecked {
    pub(super) fn push(&mut self, products: Products, results: &[Share]) {
        self.pairs += products.right.len();
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

    /// The pairs of all products, whose shares take up to 64 bytes each.
    pub(super) fn pairs(&self) -> usize {
        self.pairs
    }

    /// `sum over k of r^k * (<left_k, right_k> - result_k)`, as a claim about one inner product.
    ///
    /// Of products that share their left vector, the sum is `<left, sum of r^k * right_k>`: the same
    /// number in another form, so that only one vector of that length is left to be shown.
    pub(super) fn combine(self, r: &Fr) -> Claim {
        let groups = || {
            self.batches.iter().flat_map(|(products, results)| {
                products.groups(results).map(move |(rows, results)| (products, rows, results))
            })
        };
        let length = groups().map(|(_, rows, _)| rows[0].length).sum::<usize>().max(1);
        let mut left = Zeroizing::new(Vec::with_capacity(length));
        let mut right = Zeroizing::new(Vec::with_capacity(length));
        let (mut weight, mut value) = (*r, Fr::ZERO);
        for (products, rows, results) in groups() {
            left.extend_from_slice(products.left(&rows[0]));
            let start = right.len();
            for (row, result) in rows.iter().zip(results) {
                let rights = products.right(row).iter().map(|right| weight * right);
                match right.len() == start {
                    true => right.extend(rights),
                    false => right[start..].iter_mut().zip(rights).for_each(|(sum, it)| *sum += it),
                }
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
