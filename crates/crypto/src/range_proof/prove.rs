//! Proving alone: one prover who knows all openings.

use bulletproofs::RangeProof as CrateProof;
use merlin::TranscriptRng;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::{BITS, RangeProof, RangeProofError, aggregation_of, crossing, protocol};
use crate::commitment::Opening;
use crate::digest::Digest;
use crate::transcript::Transcript;

/// Proves that each opening's value is below `2^64` (as its type says), bound to `context` and to
/// the commitments in this order. Constant time in values and blindings.
pub fn prove(
    context: &Digest,
    openings: &[Opening],
    rng: &mut impl CryptoRngCore,
) -> Result<RangeProof, RangeProofError> {
    let padded = aggregation_of(openings.len())?;
    let padding = vec![Opening::zero(); padded - openings.len()];
    let all = || openings.iter().chain(&padding);
    let values = Zeroizing::new(all().map(|opening| opening.value).collect::<Vec<_>>());
    let blindings = Zeroizing::new(
        all().map(|opening| crossing::blinding(&opening.blinding)).collect::<Vec<_>>(),
    );
    let mut transcript = protocol::transcript(context);
    let mut rng = hedged(&mut transcript, openings, rng);
    let (proof, _) = CrateProof::prove_multiple_with_rng(
        crossing::generators(padded),
        crossing::bases(),
        transcript.merlin(),
        &values,
        &blindings,
        BITS,
        &mut rng,
    )
    .map_err(|error| RangeProofError::Proving(error.to_string()))?;
    proof.to_bytes().try_into()
}

/// The prover's randomness: fresh from `rng`, mixed with the transcript so far and the openings.
/// Should `rng` ever repeat, two different statements still never share a mask.
pub(super) fn hedged(
    transcript: &mut Transcript,
    openings: &[Opening],
    rng: &mut impl CryptoRngCore,
) -> TranscriptRng {
    let mut builder = transcript.merlin().build_rng();
    for opening in openings {
        let value = Zeroizing::new(opening.value.to_le_bytes());
        builder = builder
            .rekey_with_witness_bytes(b"value", &*value)
            .rekey_with_witness_bytes(b"blinding", opening.blinding.as_scalar().as_bytes());
    }
    builder.finalize(rng)
}
