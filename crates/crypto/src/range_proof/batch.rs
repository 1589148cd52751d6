//! Verification of many proofs by one multiexponentiation.

use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRngCore, RngCore, SeedableRng};

use super::equation::Combination;
use super::protocol::Claim;
use super::{RangeProof, RangeProofError};
use crate::commitment::Commitment;
use crate::digest::Digest;
use crate::field::Fr;
use crate::planted;

/// Proofs to be verified together; see [`Batch::verify`].
#[derive(Default)]
pub struct Batch {
    claims: Vec<Result<Claim, RangeProofError>>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one proof. Its bytes are read and its challenges computed at once.
    pub fn push(&mut self, context: &Digest, commitments: &[Commitment], proof: &RangeProof) {
        self.claims.push(Claim::new(context, commitments, proof));
    }

    /// The number of proofs.
    pub fn len(&self) -> usize {
        self.claims.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// The verdict on each proof, in order: for each what [`verify`](super::verify()) says.
    ///
    /// The equations of all are added up with 128-bit weights, two for each proof, from a hash of
    /// all complete items and 32 bytes of `entropy`. So a set that contains an invalid proof
    /// passes with probability `2^-128` whatever was chosen by whom; errors that would cancel in
    /// a plain sum do not. A set that fails is halved, down to single proofs, on which only
    /// the verification alone counts.
    pub fn verify(self, entropy: &mut impl CryptoRngCore) -> Vec<Result<(), RangeProofError>> {
        let mut weights = self.weights(entropy);
        let claims: Vec<&Claim> = self.claims.iter().flatten().collect();
        let mut verdicts = settle(&claims, &mut weights).into_iter();
        let verdict = |claim: &Result<Claim, _>| match claim {
            Ok(_) => verdicts.next().unwrap_or(Err(RangeProofError::Refused)),
            Err(error) => Err(RangeProofError::clone(error)),
        };
        self.claims.iter().map(verdict).collect()
    }

    /// The source of weights, from all items and the entropy.
    pub(super) fn weights(&self, entropy: &mut impl CryptoRngCore) -> ChaCha20Rng {
        let mut fresh = [0; 32];
        entropy.fill_bytes(&mut fresh);
        // The last challenge of a claim is a hash of its context, statement and complete proof.
        let hashes: Vec<_> =
            self.claims.iter().flatten().map(|claim| claim.challenges.last.to_bytes()).collect();
        let seed = Digest::of("quittance/v1/range-proof-batch", &[&hashes.concat(), &fresh]);
        ChaCha20Rng::from_seed(seed.0)
    }
}

fn settle(claims: &[&Claim], weights: &mut ChaCha20Rng) -> Vec<Result<(), RangeProofError>> {
    match claims {
        [] => Vec::new(),
        [claim] => vec![claim.verdict()],
        _ if planted!("batch-not-bisected", !all_hold(claims, || weight(weights)), false) => {
            vec![Err(RangeProofError::Refused); claims.len()]
        }
        _ if all_hold(claims, || weight(weights)) => vec![Ok(()); claims.len()],
        _ => {
            let (left, right) = claims.split_at(claims.len() / 2);
            let mut verdicts = settle(left, weights);
            verdicts.extend(settle(right, weights));
            verdicts
        }
    }
}

/// Whether the equations of all claims hold, under the weights that are given.
pub(super) fn all_hold(claims: &[&Claim], mut weight: impl FnMut() -> Fr) -> bool {
    let weighted: Vec<_> = claims.iter().map(|claim| (*claim, weight(), weight())).collect();
    Combination::of(&weighted).is_identity()
}

fn weight(source: &mut ChaCha20Rng) -> Fr {
    let mut bytes = [0; 16];
    source.fill_bytes(&mut bytes);
    planted!("unit-weights", Fr::from(1u64), Fr::from(u128::from_le_bytes(bytes)))
}
