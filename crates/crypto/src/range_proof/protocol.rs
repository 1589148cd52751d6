//! The transcript of a range proof, message by message, and the reading of proof bytes.
//!
//! Labels and order are those of the crate `bulletproofs` 5 from `dom-sep` on. The same functions
//! serve the verifier, which replays a whole proof, and the joint prover, which stops half way.

use std::sync::LazyLock;

use super::{BITS, Element, GENERATORS, RangeProof, RangeProofError, aggregation_for};
use crate::commitment::Commitment;
use crate::digest::Digest;
use crate::encoding::Decode;
use crate::field::{Fr, Scalar, to_field};
use crate::planted;
use crate::transcript::Transcript;

/// The transcript on which a proof for `context` starts.
pub(super) fn transcript(context: &Digest) -> Transcript {
    /// What all have in common is absorbed once.
    static START: LazyLock<Transcript> = LazyLock::new(|| {
        let mut transcript = Transcript::new(b"quittance/v1/range-proof");
        transcript.append(b"generators", &GENERATORS);
        transcript
    });
    let mut transcript = START.clone();
    planted!("context-not-absorbed", (), transcript.append(b"context", context));
    transcript
}

/// Absorbs the statement: `64` bits, `padded` values, and their commitments, of which those that
/// are missing at the end are the identity.
pub(super) fn absorb_statement(
    transcript: &mut Transcript,
    commitments: &[Commitment],
    padded: usize,
) {
    transcript.append_bytes(b"dom-sep", b"rangeproof v1");
    transcript.append_u64(b"n", BITS as u64);
    transcript.append_u64(b"m", padded as u64);
    let padding = std::iter::repeat_n(Commitment::identity(), padded - commitments.len());
    for commitment in commitments.iter().copied().chain(padding) {
        planted!("statement-not-absorbed", (), transcript.append(b"V", &commitment));
    }
}

/// Absorbs `A` and `S` and draws `y` and `z`.
pub(super) fn bit_challenges(
    transcript: &mut Transcript,
    a: &Commitment,
    s: &Commitment,
) -> (Scalar, Scalar) {
    transcript.append(b"A", a);
    transcript.append(b"S", s);
    (transcript.challenge(b"y"), transcript.challenge(b"z"))
}

/// Absorbs `T_1` and `T_2` and draws `x`.
pub(super) fn polynomial_challenge(
    transcript: &mut Transcript,
    t1: &Commitment,
    t2: &Commitment,
) -> Scalar {
    transcript.append(b"T_1", t1);
    transcript.append(b"T_2", t2);
    transcript.challenge(b"x")
}

/// Absorbs `t(x)` and the two blindings and draws `w`.
pub(super) fn inner_product_challenge(
    transcript: &mut Transcript,
    t_x: &Scalar,
    t_x_blinding: &Scalar,
    e_blinding: &Scalar,
) -> Scalar {
    transcript.append(b"t_x", t_x);
    planted!("scalar-not-absorbed", (), transcript.append(b"t_x_blinding", t_x_blinding));
    transcript.append(b"e_blinding", e_blinding);
    transcript.challenge(b"w")
}

/// Absorbs the points of each halving of a product of `length` terms and draws its `u`.
pub(super) fn halving_challenges(
    transcript: &mut Transcript,
    length: usize,
    halvings: &[(Commitment, Commitment)],
) -> Vec<Scalar> {
    transcript.append_bytes(b"dom-sep", b"ipp v1");
    transcript.append_u64(b"n", length as u64);
    let mut challenge = |(l, r): &(Commitment, Commitment)| {
        transcript.append(b"L", l);
        planted!("halving-not-absorbed", (), transcript.append(b"R", r));
        transcript.challenge(b"u")
    };
    halvings.iter().map(&mut challenge).collect()
}

/// The elements of a proof, each decoded strictly. A point stands with its encoding.
pub(super) struct Elements {
    pub(super) a: Commitment,
    pub(super) s: Commitment,
    pub(super) t1: Commitment,
    pub(super) t2: Commitment,
    pub(super) t_x: Scalar,
    pub(super) t_x_blinding: Scalar,
    pub(super) e_blinding: Scalar,
    pub(super) halvings: Vec<(Commitment, Commitment)>,
    pub(super) last_a: Scalar,
    pub(super) last_b: Scalar,
}

impl Elements {
    /// Reads a proof for `padded` values. The caller has checked the length.
    fn read(proof: &RangeProof, padded: usize) -> Result<Self, RangeProofError> {
        let mut words = proof.as_bytes().chunks_exact(32);
        let mut next = || words.next().unwrap_or_default();
        let halvings = (BITS * padded).trailing_zeros() as usize;
        Ok(Self {
            a: point(next(), Element::A)?,
            s: point(next(), Element::S)?,
            t1: point(next(), Element::T1)?,
            t2: point(next(), Element::T2)?,
            t_x: scalar(next(), Element::Tx)?,
            t_x_blinding: scalar(next(), Element::TxBlinding)?,
            e_blinding: scalar(next(), Element::EBlinding)?,
            halvings: (0..halvings)
                .map(|k| Ok((point(next(), Element::L(k))?, point(next(), Element::R(k))?)))
                .collect::<Result<_, RangeProofError>>()?,
            last_a: scalar(next(), Element::LastA)?,
            last_b: scalar(next(), Element::LastB)?,
        })
    }
}

fn point(bytes: &[u8], element: Element) -> Result<Commitment, RangeProofError> {
    match Commitment::from_bytes(bytes) {
        Ok(point) if planted!("identity-in-proof", false, point.is_identity()) => {
            Err(RangeProofError::IdentityPoint(element))
        }
        Ok(point) => Ok(point),
        Err(_) => Err(RangeProofError::NotAPoint(element)),
    }
}

fn scalar(bytes: &[u8], element: Element) -> Result<Scalar, RangeProofError> {
    Scalar::from_bytes(bytes).map_err(|_| RangeProofError::NotAScalar(element))
}

/// All challenges of one proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenges {
    pub(super) y: Fr,
    pub(super) z: Fr,
    pub(super) x: Fr,
    pub(super) w: Fr,
    pub(super) u: Vec<Fr>,
    /// The verifier's own, drawn after the complete proof: joins the two equations when the proof
    /// is verified alone, and stands for all of statement and proof where batches are hashed.
    pub(super) last: Scalar,
}

/// A statement with a well-formed proof for it, and the challenges that follow.
pub(super) struct Claim {
    pub(super) padded: usize,
    pub(super) commitments: Vec<Commitment>,
    pub(super) elements: Elements,
    pub(super) challenges: Challenges,
}

impl Claim {
    /// Reads a proof and replays its transcript.
    pub(super) fn new(
        context: &Digest,
        commitments: &[Commitment],
        proof: &RangeProof,
    ) -> Result<Self, RangeProofError> {
        Self::on(transcript(context), commitments, proof)
    }

    /// As [`Claim::new`], on a transcript that has absorbed generators and context.
    pub(super) fn on(
        transcript: Transcript,
        commitments: &[Commitment],
        proof: &RangeProof,
    ) -> Result<Self, RangeProofError> {
        let padded = aggregation_for(commitments, proof)?;
        let elements = Elements::read(proof, padded)?;
        let challenges = replay(transcript, commitments, padded, &elements);
        Ok(Self { padded, commitments: commitments.to_vec(), elements, challenges })
    }
}

fn replay(
    mut transcript: Transcript,
    commitments: &[Commitment],
    padded: usize,
    proof: &Elements,
) -> Challenges {
    let t = &mut transcript;
    absorb_statement(t, commitments, padded);
    let (y, z) = bit_challenges(t, &proof.a, &proof.s);
    let x = polynomial_challenge(t, &proof.t1, &proof.t2);
    let w = inner_product_challenge(t, &proof.t_x, &proof.t_x_blinding, &proof.e_blinding);
    let u = halving_challenges(t, BITS * padded, &proof.halvings);
    t.append(b"a", &proof.last_a);
    t.append(b"b", &proof.last_b);
    Challenges {
        y: to_field(&y),
        z: to_field(&z),
        x: to_field(&x),
        w: to_field(&w),
        u: u.iter().map(to_field).collect(),
        last: t.challenge(b"verifier"),
    }
}
