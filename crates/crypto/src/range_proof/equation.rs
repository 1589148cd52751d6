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
use super::generators::position;
use super::protocol::{Challenges, Claim};
use crate::field::{Fr, Scalar, to_field, to_scalar};
use crate::group::{Point, blinding_base, value_base};

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
    /// Adds `p*E1 + q*E2` of one claim.
    pub(super) fn add(&mut self, claim: &Claim, p: Fr, q: Fr) {
        let Challenges { y, z, x, w, u, .. } = &claim.challenges;
        let proof = &claim.elements;
        let [t_x, t_x_blinding, e_blinding, a, b] =
            [proof.t_x, proof.t_x_blinding, proof.e_blinding, proof.last_a, proof.last_b]
                .map(|scalar| to_field(&scalar));
        let inverses = Inverses::of(y, u);

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
        self.add_generators(claim.padded, &claim.challenges, &inverses, p, a, b);
    }

    /// The sums over `G_i` and `H_i` in `p*E1`.
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
        let s = folding_scalars(u, inverses);
        let (pz, pa) = (p * z, p * a);
        let mut power_of_y = p; // p * y^-i
        let mut power_of_z = *z; // z^(1+j), then z^(2+j) with the powers of two
        for j in 0..padded {
            power_of_z *= z;
            let mut z_and_two = power_of_z;
            for i in BITS * j..BITS * (j + 1) {
                self.g[i] -= pz + pa * s[i];
                // 1/s_i = s_(N-1-i): flipping every bit of i inverts every factor.
                self.h[i] += pz + power_of_y * (z_and_two - b * s[length - 1 - i]);
                power_of_y *= inverses.y;
                z_and_two.double_in_place();
            }
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
        let positions = || (0..self.g.len() / BITS).map(position);
        let points: Vec<Point> = [value_base(), blinding_base()]
            .into_iter()
            .chain(positions().flat_map(|position| position.g.iter().copied()))
            .chain(positions().flat_map(|position| position.h.iter().copied()))
            .chain(self.terms.iter().map(|(_, point)| *point))
            .collect();
        let scalars: Vec<Scalar> = [self.value, self.blinding]
            .iter()
            .chain(&self.g)
            .chain(&self.h)
            .chain(self.terms.iter().map(|(scalar, _)| scalar))
            .map(to_scalar)
            .collect();
        Point::multiexp(&scalars, &points)
    }
}

/// Inverses of challenges, at the price of one inversion.
struct Inverses {
    y: Fr,
    u: Vec<Fr>,
}

impl Inverses {
    fn of(y: &Fr, u: &[Fr]) -> Self {
        let mut u = u.to_vec();
        u.push(*y);
        batch_inversion(&mut u);
        let y = u.pop().unwrap_or(Fr::ZERO);
        Self { y, u }
    }
}

/// `s_0 .. s_(N-1)`: `s_0` is the product of all `1/u`; setting a bit of the index exchanges one
/// `1/u` for `u`. The first challenge belongs to the highest bit.
fn folding_scalars(u: &[Fr], inverses: &Inverses) -> Vec<Fr> {
    let mut s = Vec::with_capacity(1 << u.len());
    s.push(inverses.u.iter().product());
    for u in u.iter().rev() {
        let square = u.square();
        for i in 0..s.len() {
            s.push(s[i] * square);
        }
    }
    s
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
