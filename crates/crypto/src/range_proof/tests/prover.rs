//! A prover for one value, written apart from the crate's, whose every step can be bent.

use ark_ff::Field;
use rand_chacha::ChaCha20Rng;

use super::super::generators::position;
use super::super::protocol::{self, Elements};
use super::*;
use crate::commitment::commit_scalar;
use crate::encoding::Encode;
use crate::field::{Fr, Scalar, random_field, to_field, to_scalar};
use crate::group::{Point, blinding_base, value_base};
use crate::transcript::Transcript;

/// `value*B + blinding*B~`.
pub(super) fn com(value: Fr, blinding: Fr) -> Point {
    commit_scalar(&to_scalar(&value), &to_scalar(&blinding)).point()
}

pub(super) fn times(scalar: Fr, point: Point) -> Point {
    point * to_scalar(&scalar)
}

fn inner(a: &[Fr], b: &[Fr]) -> Fr {
    a.iter().zip(b).map(|(a, b)| *a * b).sum()
}

fn combine(scalars: &[Fr], points: &[Point]) -> Point {
    let scalars: Vec<Scalar> = scalars.iter().map(to_scalar).collect();
    Point::multiexp(&scalars, points)
}

fn vector(rng: &mut ChaCha20Rng) -> Vec<Fr> {
    (0..BITS).map(|_| random_field(rng)).collect()
}

fn powers(base: Fr) -> Vec<Fr> {
    std::iter::successors(Some(Fr::ONE), |power| Some(*power * base)).take(BITS).collect()
}

/// What a dishonest prover does differently.
#[derive(Default)]
pub(super) struct Errors {
    /// Added to the blinding of `A + x*S`.
    pub(super) e_blinding: Fr,
    /// Added to the blinding of `t(x)`.
    pub(super) t_x_blinding: Fr,
    /// Added to the coefficient that `T_1` commits to.
    pub(super) t1: Fr,
}

/// Proves that `opening` is in range, on `transcript` (which has absorbed the context). The
/// statement that is absorbed is `commitment`, whatever the opening opens.
pub(super) fn run(
    mut transcript: Transcript,
    commitment: &Commitment,
    opening: &Opening,
    errors: &Errors,
    rng: &mut ChaCha20Rng,
) -> Elements {
    let t = &mut transcript;
    let generators = position(0);
    let bases = [&generators.g[..], &generators.h[..], &[blinding_base()]].concat();
    let masked = |left: &[Fr], right: &[Fr], blinding: Fr| {
        combine(&[left, right, &[blinding]].concat(), &bases).into()
    };
    protocol::absorb_statement(t, &[*commitment], 1);

    let bits: Vec<Fr> = (0..BITS).map(|k| Fr::from(opening.value >> k & 1)).collect();
    let bits_minus_one: Vec<Fr> = bits.iter().map(|bit| *bit - Fr::ONE).collect();
    let (s_left, s_right) = (vector(rng), vector(rng));
    let (alpha, rho) = (random_field(rng), random_field(rng));
    let a = masked(&bits, &bits_minus_one, alpha);
    let s = masked(&s_left, &s_right, rho);
    let (y, z) = protocol::bit_challenges(t, &a, &s);
    let (y, z) = (to_field(&y), to_field(&z));

    let (ys, twos) = (powers(y), powers(Fr::from(2u64)));
    let each = |f: &dyn Fn(usize) -> Fr| (0..BITS).map(f).collect::<Vec<Fr>>();
    let l0 = each(&|i| bits[i] - z);
    let r0 = each(&|i| ys[i] * (bits_minus_one[i] + z) + z.square() * twos[i]);
    let r1 = each(&|i| ys[i] * s_right[i]);
    let taus = [random_field(rng), random_field(rng)];
    let t1 = com(inner(&l0, &r1) + inner(&s_left, &r0) + errors.t1, taus[0]).into();
    let t2 = com(inner(&s_left, &r1), taus[1]).into();
    let x = to_field(&protocol::polynomial_challenge(t, &t1, &t2));

    let l = each(&|i| l0[i] + x * s_left[i]);
    let r = each(&|i| r0[i] + x * r1[i]);
    let gamma = to_field(opening.blinding.as_scalar());
    let t_x = to_scalar(&inner(&l, &r));
    let t_x_blinding =
        z.square() * gamma + x * taus[0] + x.square() * taus[1] + errors.t_x_blinding;
    let t_x_blinding = to_scalar(&t_x_blinding);
    let e_blinding = to_scalar(&(alpha + x * rho + errors.e_blinding));
    let w = protocol::inner_product_challenge(t, &t_x, &t_x_blinding, &e_blinding);

    let y_inverses = powers(y.inverse().unwrap());
    let h = generators.h.iter().zip(y_inverses).map(|(h, power)| times(power, *h)).collect();
    let (halvings, last_a, last_b) = halve(t, value_base() * w, generators.g.clone(), h, l, r);
    Elements {
        a,
        s,
        t1,
        t2,
        t_x,
        t_x_blinding,
        e_blinding,
        halvings,
        last_a: to_scalar(&last_a),
        last_b: to_scalar(&last_b),
    }
}

/// The inner product argument (Bulletproofs, section 3) for `<a, b>` on the base `q`.
fn halve(
    transcript: &mut Transcript,
    q: Point,
    mut g: Vec<Point>,
    mut h: Vec<Point>,
    mut a: Vec<Fr>,
    mut b: Vec<Fr>,
) -> (Vec<(Commitment, Commitment)>, Fr, Fr) {
    transcript.append_bytes(b"dom-sep", b"ipp v1");
    transcript.append_u64(b"n", a.len() as u64);
    let mut halvings = Vec::new();
    while a.len() > 1 {
        let n = a.len() / 2;
        let cross = |left: &[Fr], g: &[Point], right: &[Fr], h: &[Point]| -> Commitment {
            let product = inner(left, right);
            combine(&[left, right, &[product]].concat(), &[g, h, &[q]].concat()).into()
        };
        let l = cross(&a[..n], &g[n..], &b[n..], &h[..n]);
        let r = cross(&a[n..], &g[..n], &b[..n], &h[n..]);
        transcript.append(b"L", &l);
        transcript.append(b"R", &r);
        let u = to_field(&transcript.challenge(b"u"));
        let inverse = u.inverse().unwrap();
        a = (0..n).map(|i| a[i] * u + a[n + i] * inverse).collect();
        b = (0..n).map(|i| b[i] * inverse + b[n + i] * u).collect();
        g = (0..n).map(|i| times(inverse, g[i]) + times(u, g[n + i])).collect();
        h = (0..n).map(|i| times(u, h[i]) + times(inverse, h[n + i])).collect();
        halvings.push((l, r));
    }
    (halvings, a[0], b[0])
}

/// The proof's bytes.
pub(super) fn assemble(elements: &Elements) -> RangeProof {
    let Elements { a, s, t1, t2, t_x, t_x_blinding, e_blinding, halvings, last_a, last_b } =
        elements;
    let points = [a, s, t1, t2].map(Encode::to_bytes).concat();
    let scalars = [t_x, t_x_blinding, e_blinding].map(Encode::to_bytes).concat();
    let halvings = halvings.iter().flat_map(|(l, r)| [l.to_bytes(), r.to_bytes()]);
    let halvings: Vec<u8> = halvings.flatten().collect();
    let last = [last_a, last_b].map(Encode::to_bytes).concat();
    [points, scalars, halvings, last].concat().try_into().unwrap()
}

/// A statement about one value, proven with `errors`.
pub(super) fn sample(value: u64, errors: &Errors, rng: &mut ChaCha20Rng) -> Sample {
    let opening = Opening::random(value, rng);
    let (context, commitment) = (context("sample"), opening.commit());
    let elements = run(protocol::transcript(&context), &commitment, &opening, errors, rng);
    Sample { context, commitments: vec![commitment], proof: assemble(&elements) }
}

#[test]
fn run_honestly_it_convinces_every_verifier() {
    let mut rng = rng(40);
    for value in [0, 1, u64::MAX] {
        assert_eq!(sample(value, &Errors::default(), &mut rng).verdict(), Ok(()));
    }
}

#[test]
fn no_error_passes() {
    let mut rng = rng(41);
    for errors in [
        Errors { e_blinding: Fr::ONE, ..Errors::default() },
        Errors { t_x_blinding: Fr::ONE, ..Errors::default() },
        Errors { t1: Fr::ONE, ..Errors::default() },
        // Cancels between the two equations, were they simply added.
        Errors { e_blinding: Fr::ONE, t_x_blinding: -Fr::ONE, ..Errors::default() },
    ] {
        let verdict = sample(1, &errors, &mut rng).verdict();
        assert_eq!(verdict, Err(RangeProofError::Refused));
    }
}
