//! Proofs that the amounts of a queue are below `2^64`.
//!
//! The leaves are proven in groups of [`GROUP`], the size of the smallest bucket, so that every
//! queue has whole groups only. Padding is proven with the rest: how many proofs there are, and how
//! long they are, says no more than the bucket does.
//!
//! A proof is bound to chain, account and place, and, by its transcript, to the amounts' own
//! commitments; not to a round. So it can be made as soon as the seed of the next queue has been
//! drawn and the payments of its group wait, and it stays good while payments are added after them.
//! It serves one queue only, as the seed does: a committee that met the same commitment in two
//! rounds would know that a payment has not settled in the first, which no party is to learn.
//!
//! What waits changes, and a group may be proven again with another amount at a place, under the
//! same blinding. Only one of the two ever leaves its owner, who shows them to the committee of the
//! one round that it has joined with that seed. Shown both, others could tell the difference of the
//! amounts.

use quittance_crypto::commitment::{Commitment, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Encode, Writer};
use quittance_crypto::planted;
use quittance_crypto::range_proof::{self, Batch, RangeProof, RangeProofError};
use quittance_ledger::ids::{AccountId, ChainId};
use rand_core::CryptoRngCore;

use super::{FrozenQueue, Leaf, MAX_BUCKET, MIN_BUCKET, QueueSeed};

/// Leaves whose amounts are proven together.
pub const GROUP: usize = MIN_BUCKET;

/// The most groups of a queue.
pub const MAX_GROUPS: usize = MAX_BUCKET / GROUP;

/// `H("quittance/v1/queued-amounts", chain || institution || asset || place of the first leaf)`:
/// the context of a group's proof.
fn context(chain: ChainId, account: &AccountId, group: usize) -> Digest {
    let mut out = Writer::new();
    chain.encode(&mut out);
    account.encode(&mut out);
    out.u32((group * GROUP) as u32);
    Digest::of("quittance/v1/queued-amounts", &[&out.into_bytes()])
}

impl QueueSeed {
    /// Proves a group of a queue from this seed, counted from 0, that has these amounts there: 0
    /// for padding. Nothing but seed and amounts is needed, so the queue need not be frozen yet.
    pub fn prove_amounts(
        &self,
        chain: ChainId,
        account: &AccountId,
        group: usize,
        amounts: &[u64; GROUP],
        rng: &mut impl CryptoRngCore,
    ) -> Result<RangeProof, RangeProofError> {
        let places = group * GROUP..;
        let opening =
            |(place, amount): (usize, &u64)| Opening::new(*amount, self.amount_blinding(place));
        let openings: Vec<Opening> = places.zip(amounts).map(opening).collect();
        range_proof::prove(&context(chain, account, group), &openings, rng)
    }
}

impl FrozenQueue {
    /// How many groups there are.
    pub fn groups(&self) -> usize {
        self.leaves.len() / GROUP
    }

    /// The amounts of a group, 0 for padding.
    pub fn amounts(&self, group: usize) -> [u64; GROUP] {
        let amount =
            |index: usize| self.payments.get(group * GROUP + index).map_or(0, |it| it.amount);
        std::array::from_fn(amount)
    }

    /// Proves one group: see [`QueueSeed::prove_amounts`].
    pub fn prove_group(
        &self,
        chain: ChainId,
        account: &AccountId,
        group: usize,
        rng: &mut impl CryptoRngCore,
    ) -> Result<RangeProof, RangeProofError> {
        self.seed.prove_amounts(chain, account, group, &self.amounts(group), rng)
    }

    /// Proves all groups at once, for who has not proven them before.
    pub fn prove_amounts(
        &self,
        chain: ChainId,
        account: &AccountId,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Vec<RangeProof>, RangeProofError> {
        let groups = 0..self.groups();
        groups.map(|group| self.prove_group(chain, account, group, rng)).collect()
    }
}

/// Verifies the proofs of all groups of these leaves in one batch. Says which group is the first
/// whose proof does not hold, and why.
///
/// The caller has checked that there are as many proofs as groups.
pub(crate) fn verify(
    chain: ChainId,
    account: &AccountId,
    leaves: &[Leaf],
    proofs: &[RangeProof],
    rng: &mut impl CryptoRngCore,
) -> Result<(), (usize, RangeProofError)> {
    let mut batch = Batch::new();
    for (group, (leaves, proof)) in leaves.chunks(GROUP).zip(proofs).enumerate() {
        let amounts: Vec<Commitment> = leaves.iter().map(|leaf| leaf.amount).collect();
        batch.push(&context(chain, account, group), &amounts, proof);
    }
    let verdicts = planted!("queued-amounts-not-verified", Vec::new(), batch.verify(rng));
    let failed = verdicts
        .into_iter()
        .enumerate()
        .find_map(|(group, verdict)| verdict.err().map(|error| (group, error)));
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
