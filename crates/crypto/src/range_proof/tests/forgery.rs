//! Frozen Heart: each point that the transcript must absorb, when it does not, lets anybody prove
//! that a value out of range, mostly -1, is in range. Each forgery is carried out: it succeeds on a
//! transcript that omits the point and fails on the real one.
//!
//! The forger sends everything else first, since no challenge depends on that point, then solves
//! the verification equation for it.

use ark_ff::{AdditiveGroup, Field, PrimeField};

use super::super::equation::Combination;
use super::super::protocol::{self, Claim, Elements};
use super::prover::{Errors, assemble, com, run, times};
use super::*;
use crate::field::{Fr, random_field, random_scalar, to_field, to_scalar};
use crate::group::Point;
use crate::transcript::Transcript;

const LABELS: [&[u8]; 7] = [b"V", b"A", b"S", b"T_1", b"T_2", b"L", b"R"];

/// The transcript of the deliberately weakened build.
fn weakened(omitted: &'static [u8]) -> Transcript {
    let mut transcript = protocol::transcript(&context("forgery"));
    transcript.omitted = Some(omitted);
    transcript
}

/// `p*E1 + q*E2` of a claim.
fn residue(claim: &Claim, p: Fr, q: Fr) -> Point {
    Combination::of(&[(claim, p, q)]).sum()
}

fn claim_on(transcript: Transcript, commitment: Commitment, proof: &Elements) -> Claim {
    Claim::on(transcript, &[commitment], &assemble(proof)).unwrap()
}

/// Forges with `V`, `T_1` or `T_2` left open: an honest proof about 0 fulfils `E1`; the open value
/// is solved from `E2`.
fn forge_by_polynomial(label: &'static [u8], transcript: Transcript) -> (Commitment, RangeProof) {
    let mut rng = rng(50);
    let zero = Opening::random(0, &mut rng);
    let mut commitment: Commitment = com(-Fr::ONE, random_field(&mut rng)).into();
    let errors = Errors { t1: random_field(&mut rng), ..Errors::default() };
    let mut proof = run(transcript.clone(), &commitment, &zero, &errors, &mut rng);
    let claim = claim_on(transcript, commitment, &proof);
    let (x, z) = (claim.challenges.x, claim.challenges.z);
    let off = residue(&claim, Fr::ZERO, Fr::ONE);
    let solve = |value: &Commitment, coefficient: Fr| -> Commitment {
        (value.point() - times(coefficient.inverse().unwrap(), off)).into()
    };
    match label {
        b"T_1" => proof.t1 = solve(&proof.t1, x),
        b"T_2" => proof.t2 = solve(&proof.t2, x.square()),
        _ => {
            // Here the forger does not choose the value, but knows it: E2 turns the error in t_1
            // into one of the value, out of range, and leaves the blinding as it was.
            commitment = solve(&commitment, z.square());
            let value = -x * errors.t1 * z.square().inverse().unwrap();
            assert_eq!(commitment.point(), com(value, to_field(zero.blinding.as_scalar())));
            assert!(value.into_bigint() > Fr::from(u64::MAX).into_bigint());
        }
    }
    (commitment, assemble(&proof))
}

/// Forges with `A`, `S`, `L` or `R` left open: `t(x)` is computed to fulfil `E2` for a commitment
/// to -1, all the rest is random, and the open value is solved from `E1`.
fn forge_by_inner_product(
    label: &'static [u8],
    transcript: Transcript,
) -> (Commitment, RangeProof) {
    let rng = &mut rng(51);
    let (gamma, t, tau) = (
        random_field(rng),
        [random_field(rng), random_field(rng)],
        [random_field(rng), random_field(rng)],
    );
    let commitment: Commitment = com(-Fr::ONE, gamma).into();
    let mut point = || Commitment::from(com(random_field(rng), random_field(rng)));
    let mut proof = Elements {
        a: point(),
        s: point(),
        t1: com(t[0], tau[0]).into(),
        t2: com(t[1], tau[1]).into(),
        halvings: (0..6).map(|_| (point(), point())).collect(),
        t_x: random_scalar(rng),
        t_x_blinding: random_scalar(rng),
        e_blinding: random_scalar(rng),
        last_a: random_scalar(rng),
        last_b: random_scalar(rng),
    };
    let challenges = claim_on(transcript.clone(), commitment, &proof).challenges;
    let (z, x) = (challenges.z, challenges.x);
    // delta as in the equation: what E2 is off by, beside the commitments whose openings we know.
    let (y_sum, twos) = (power_sum(challenges.y), Fr::from(u64::MAX));
    let delta = (z - z.square()) * y_sum - z.square() * z * twos;
    proof.t_x = to_scalar(&(delta - z.square() + x * t[0] + x.square() * t[1]));
    proof.t_x_blinding = to_scalar(&(z.square() * gamma + x * tau[0] + x.square() * tau[1]));

    let claim = claim_on(transcript, commitment, &proof);
    assert!(residue(&claim, Fr::ZERO, Fr::ONE).is_identity());
    let off = residue(&claim, Fr::ONE, Fr::ZERO);
    let u = claim.challenges.u[0].square();
    let solve = |value: &Commitment, inverse: Fr| -> Commitment {
        (value.point() - times(inverse, off)).into()
    };
    match label {
        b"A" => proof.a = solve(&proof.a, Fr::ONE),
        b"S" => proof.s = solve(&proof.s, x.inverse().unwrap()),
        b"L" => proof.halvings[0].0 = solve(&proof.halvings[0].0, u.inverse().unwrap()),
        _ => proof.halvings[0].1 = solve(&proof.halvings[0].1, u),
    }
    (commitment, assemble(&proof))
}

fn power_sum(y: Fr) -> Fr {
    (0..BITS).fold((Fr::ZERO, Fr::ONE), |(sum, power), _| (sum + power, power * y)).0
}

fn forge(label: &'static [u8], transcript: Transcript) -> (Commitment, RangeProof) {
    match label {
        b"V" | b"T_1" | b"T_2" => forge_by_polynomial(label, transcript),
        _ => forge_by_inner_product(label, transcript),
    }
}

#[test]
fn forgeries_succeed_where_the_value_is_omitted() {
    for label in LABELS {
        let (commitment, proof) = forge(label, weakened(label));
        let claim = Claim::on(weakened(label), &[commitment], &proof).unwrap();
        assert_eq!(claim.verdict(), Ok(()), "{}", String::from_utf8_lossy(label));
    }
}

#[test]
fn forgeries_fail_on_the_real_transcript() {
    for label in LABELS {
        for transcript in [weakened(label), protocol::transcript(&context("forgery"))] {
            let (commitment, proof) = forge(label, transcript);
            let commitments = vec![commitment];
            let sample = Sample { context: context("forgery"), commitments, proof };
            let name = String::from_utf8_lossy(label);
            assert_eq!(sample.verdict(), Err(RangeProofError::Refused), "{name}");
        }
    }
}

/// Without the context in the transcript, a proof could be replayed elsewhere.
#[test]
fn a_proof_is_replayed_where_the_context_is_omitted() {
    let opening = Opening::random(7, &mut rng(53));
    let transcript = |name: &str, omitted| {
        let mut transcript = Transcript::new(b"quittance/v1/range-proof");
        transcript.omitted = omitted;
        transcript.append(b"generators", &GENERATORS);
        transcript.append(b"context", &context(name));
        transcript
    };
    for (omitted, expected) in
        [(Some(&b"context"[..]), Ok(())), (None, Err(RangeProofError::Refused))]
    {
        let elements = run(
            transcript("here", omitted),
            &opening.commit(),
            &opening,
            &Errors::default(),
            &mut rng(54),
        );
        let proof = assemble(&elements);
        let claim = Claim::on(transcript("there", omitted), &[opening.commit()], &proof).unwrap();
        assert_eq!(claim.verdict(), expected);
    }
}
