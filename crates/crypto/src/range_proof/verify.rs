//! Verification of one proof.

use ark_ff::Field;

use super::equation::Combination;
use super::protocol::Claim;
use super::{RangeProof, RangeProofError};
use crate::commitment::Commitment;
use crate::digest::Digest;
use crate::field::{Fr, to_field};

/// Verifies that each of `commitments` opens to a value below `2^64` and that `proof` was made
/// for exactly these, in this order, in this `context`.
///
/// No randomness is needed: the weight that joins the two equations is a hash of the complete
/// statement and proof, so whoever could steer it could find a preimage.
pub fn verify(
    context: &Digest,
    commitments: &[Commitment],
    proof: &RangeProof,
) -> Result<(), RangeProofError> {
    Claim::new(context, commitments, proof)?.verdict()
}

impl Claim {
    /// The verdict on this claim alone.
    pub(super) fn verdict(&self) -> Result<(), RangeProofError> {
        let join = to_field(&self.challenges.last);
        match Combination::of(&[(self, Fr::ONE, join)]).is_identity() {
            true => Ok(()),
            false => Err(RangeProofError::Refused),
        }
    }
}
