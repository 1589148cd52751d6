//! The verification equation, for one proof or for a weighted sum of many.
//!
//! Write `N = 64*m`, `i` in `0..N`, `i = 64*j + k`. A proof for `V_0 .. V_{m-1}` is valid if and
//! only if both of these are the identity (Bulletproofs, section 4.3, with the inner product
//! argument of section 3 unrolled as in its section 6.2):
//!
//! ```text
//! E1 = A + x*S + sum_k (u_k^2*L_k + u_k^-2*R_k) - e~*B~ + w*(t_x - a*b)*B
//!      + sum_i (-z - a*s_i)*G_i
//!      + sum_i (z + y^-i*(z^(2+j)*2^k - b/s_i))*H_i
//! E2 = sum_j z^(2+j)*V_j + x*T_1 + x^2*T_2 + (delta(y, z) - t_x)*B - t~*B~
//!
//! delta(y, z) = (z - z^2)*sum_i y^i - (2^64 - 1)*sum_j z^(3+j)
//! s_i = the product over the halvings of u or its inverse, by the bits of i, highest bit first
//! ```
//!
//! Several proofs are valid, except with probability `2^-128`, if `sum (p*E1 + q*E2)` is the
//! identity for weights that were drawn after all of them were fixed. All scalars are public:
//! variable time throughout, and computed as [`Fr`].

use ark_ff::{AdditiveGroup, Field, batch_inversion};

use super::BITS;
use super::generators;
use super::protocol::{Challenges, Claim};
use crate::field::{Fr, Scalar, to_field, to_scalar};
use crate::group::Point;

/// A linear combination of `B`, `B~`, the generators and the points of proofs.
#[derive(Default)]
pub(super) struct Combination {
    value: Fr,
    blinding: Fr,
    g: Vec<Fr>,
    h: Vec<Fr>,
    terms: Vec<(Fr, Point)>,
}

impl Combination {
    /// The sum of `p*E1 + q*E2` over `(claim, p, q)`.
    pub(super) fn of(weighted: &[(&Claim, Fr, Fr)]) -> Self {
        let inverses = Inverses::of(weighted.iter().map(|(claim, ..)| &claim.challenges));
        let mut combination = Self::default();
        for ((claim, p, q), inverses) in weighted.iter().zip(&inverses) {
            combination.add(claim, inverses, *p, *q);
        }
        combination
    }

    /// Adds `p*E1 + q*E2` of one claim.
    fn add(&mut self, claim: &Claim, inverses: &Inverses, p: Fr, q: Fr) {
        let Challenges { y, z, x, w, u, .. } = &claim.challenges;
        let proof = &claim.elements;
        let [t_x, t_x_blinding, e_blinding, a, b] =
            [proof.t_x, proof.t_x_blinding, proof.e_blinding, proof.last_a, proof.last_b]
                .map(|scalar| to_field(&scalar));

        self.term(p, proof.a.point());
        self.term(p * x, proof.s.point());
        for (k, (l, r)) in proof.halvings.iter().enumerate() {
            self.term(p * u[k].square(), l.point());
            self.term(p * inverses.u[k].square(), r.point());
        }
        self.term(q * x, proof.t1.point());
        self.term(q * x.square(), proof.t2.point());
        let mut power = q * z.square();
        for commitment in &claim.commitments {
            self.term(power, commitment.point());
            power *= z;
        }
        self.blinding -= p * e_blinding + q * t_x_blinding;
        self.value += p * w * (t_x - a * b) + q * (delta(y, z, claim.padded) - t_x);
        self.add_generators(claim.padded, &claim.challenges, inverses, p, a, b);
    }

    /// The sums over `G_i` and `H_i` in `p*E1`, at three multiplications for each `i`.
    fn add_generators(
        &mut self,
        padded: usize,
        Challenges { z, u, .. }: &Challenges,
        inverses: &Inverses,
        p: Fr,
        a: Fr,
        b: Fr,
    ) {
        let length = BITS * padded;
        if self.g.len() < length {
            self.g.resize(length, Fr::ZERO);
            self.h.resize(length, Fr::ZERO);
        }
        // p*a*s_i, and p*b*y^-i/s_i: both are products over the bits of i, as y^-i is.
        let s =
            products(p * a * inverses.u.iter().product::<Fr>(), u.iter().rev().map(Field::square));
        let mut y_power = inverses.y; // y^-1, y^-2, y^-4, ..., y^-N
        let t = products(
            p * b * u.iter().product::<Fr>(),
            inverses.u.iter().rev().map(|inverse| {
                let factor = inverse.square() * y_power;
                y_power.square_in_place();
                factor
            }),
        );
        let pz = p * z;
        let two_by_y = inverses.y.double();
        let z_by_y_power = *z * inverses.y.pow([BITS as u64]);
        let mut first = pz * z; // p*z^(2+j)*y^-64j
        for j in 0..padded {
            let mut term = first; // p*z^(2+j)*y^-i*2^k
            for i in BITS * j..BITS * (j + 1) {
                self.g[i] -= pz + s[i];
                self.h[i] += pz + term - t[i];
                term *= two_by_y;
            }
            first *= z_by_y_power;
        }
    }

    fn term(&mut self, scalar: Fr, point: Point) {
        self.terms.push((scalar, point));
    }

    /// Whether it all adds up to the identity.
    pub(super) fn is_identity(&self) -> bool {
        self.sum().is_identity()
    }

    /// The sum: one multiexponentiation.
    pub(super) fn sum(&self) -> Point {
        let positions = self.g.chunks(BITS).zip(self.h.chunks(BITS));
        let chains = positions.flat_map(|(g, h)| g.iter().chain(h));
        let scalars: Vec<Scalar> = [self.value, self.blinding]
            .iter()
            .chain(chains)
            .chain(self.terms.iter().map(|(scalar, _)| scalar))
            .map(to_scalar)
            .collect();
        let points: Vec<Point> = generators::points(self.g.len() / BITS)
            .chain(self.terms.iter().map(|(_, point)| *point))
            .collect();
        Point::multiexp(&scalars, &points)
    }
}

/// Inverses of a claim's challenges.
struct Inverses {
    y: Fr,
    u: Vec<Fr>,
}

impl Inverses {
    /// Those of many claims, at the price of one inversion.
    fn of<'a>(all: impl Iterator<Item = &'a Challenges> + Clone) -> Vec<Self> {
        let mut inverses: Vec<Fr> =
            all.clone().flat_map(|it| std::iter::once(&it.y).chain(&it.u)).copied().collect();
        batch_inversion(&mut inverses);
        let mut inverses = inverses.into_iter();
        let mut next = |challenges: &Challenges| {
            let y = inverses.next().unwrap_or(Fr::ZERO);
            Self { y, u: inverses.by_ref().take(challenges.u.len()).collect() }
        };
        all.map(&mut next).collect()
    }
}

/// For each `i`, `start` times the factors of the bits that are set in `i`; the first factor belongs
/// to the lowest bit.
///
/// So it gives `s_i` with the product of all `1/u` as start (no bit is set) and, since setting a bit
/// exchanges one `1/u` for `u`, with `u^2` as factors, the last challenge's first.
fn products(start: Fr, factors: impl ExactSizeIterator<Item = Fr>) -> Vec<Fr> {
    let mut products = Vec::with_capacity(1 << factors.len());
    products.push(start);
    for factor in factors {
        for i in 0..products.len() {
            products.push(products[i] * factor);
        }
    }
    products
}

/// `delta(y, z)`, see the module.
fn delta(y: &Fr, z: &Fr, padded: usize) -> Fr {
    let ones_and_twos = Fr::from(u64::MAX);
    (*z - z.square()) * power_sum(y, BITS * padded)
        - z.square() * z * ones_and_twos * power_sum(z, padded)
}

/// `1 + x + ... + x^(count-1)` for a power of two: `(1 + x)*(1 + x^2)*(1 + x^4)*...`
fn power_sum(x: &Fr, count: usize) -> Fr {
    let (mut sum, mut power) = (Fr::ONE, *x);
    for _ in 0..count.trailing_zeros() {
        sum *= Fr::ONE + power;
        power.square_in_place();
    }
    sum
}
