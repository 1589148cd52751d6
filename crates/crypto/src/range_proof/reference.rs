//! Verification by the unmodified verifier of the crate `bulletproofs`, on its own generators and
//! its own group code: the auditor's. It shares no arithmetic with [`verify`](super::verify()).

use bulletproofs::RangeProof as CrateProof;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{BITS, RangeProof, RangeProofError, aggregation_for, crossing, protocol};
use crate::commitment::Commitment;
use crate::digest::Digest;
use crate::encoding::Encode;

/// As [`verify`](super::verify()), by the crate's own code.
pub fn verify(
    context: &Digest,
    commitments: &[Commitment],
    proof: &RangeProof,
) -> Result<(), RangeProofError> {
    let padded = aggregation_for(commitments, proof)?;
    let mut statement: Vec<_> = commitments.iter().map(crossing::commitment).collect();
    statement.resize(padded, crossing::commitment(&Commitment::identity()));
    CrateProof::from_bytes(proof.as_bytes())
        .and_then(|proof_of_crate| {
            proof_of_crate.verify_multiple_with_rng(
                crossing::generators(padded),
                crossing::bases(),
                protocol::transcript(context).merlin(),
                &statement,
                BITS,
                &mut weights(context, commitments, proof),
            )
        })
        .map_err(|_| RangeProofError::Refused)
}

/// The crate joins its two equations with a weight from a generator. Drawn from a hash of the
/// complete statement and proof, it is out of the prover's hands, and verification is repeatable.
fn weights(context: &Digest, commitments: &[Commitment], proof: &RangeProof) -> ChaCha20Rng {
    let statement: Vec<_> = commitments.iter().map(|commitment| *commitment.as_bytes()).collect();
    let parts: [&[u8]; 3] = [&context.0, &statement.concat(), &proof.to_bytes()];
    ChaCha20Rng::from_seed(Digest::of("quittance/v1/range-proof-reference", &parts).0)
}
