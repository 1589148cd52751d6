//! Range proofs of queued payments, made before a round asks for them.
//!
//! As soon as payments of an asset wait, the seed of their next queue is drawn, and the amounts are
//! proven to be in range group after group, in the background: one group of an asset at a time, so
//! that transfers find a free processor; and nothing while the bank is in a round. Seed and proofs are stored, and are good until the queue
//! joins a round; only groups whose payments change are proven anew. What is missing when the queue
//! is frozen is proven then, on all processors, while the join is on its way.
//!
//! A seed serves one queue. With the write that puts payments into a round it leaves the store,
//! before the join leaves the agent, and is never taken up again, be the join included or not. A
//! store that was restored from a copy may hold a seed that has been used since: the chain tells,
//! for the agent finds it in its own joins before it takes part in anything.

use std::collections::BTreeMap;

use quittance_crypto::range_proof::{RangeProof, RangeProofError};
use quittance_ledger::ids::{AccountId, AssetId, RoundId};
use quittance_round::queue::{FrozenQueue, GROUP, MAX_BUCKET, QueueSeed, bucket};
use rand_core::OsRng;
use zeroize::Zeroizing;

use super::Rounds;
use crate::core::{Changes, Core, Failure, Panicked};
use crate::store::{Payment, PaymentState, PreparedQueue, ProvenGroup, Writes};

/// The next queue of an asset, as far as it is proven.
pub(super) struct Preparation {
    queue: PreparedQueue,
    /// A group is being proven.
    proving: bool,
}

/// Amounts of one group.
type Amounts = Zeroizing<[u64; GROUP]>;

/// What proving a group has come to.
type Outcome = Result<Result<RangeProof, RangeProofError>, Panicked>;

impl Preparation {
    /// What an earlier life has prepared.
    pub(super) fn new(queue: PreparedQueue) -> Self {
        Self { queue, proving: false }
    }

    /// The first group that is not proven for these amounts.
    fn first_missing(&self, groups: Vec<Amounts>) -> Option<(usize, Amounts)> {
        let proven = &self.queue.groups;
        let is_missing = |(group, amounts): &(usize, Amounts)| {
            proven.get(group).is_none_or(|proven| proven.amounts != *amounts)
        };
        groups.into_iter().enumerate().find(is_missing)
    }
}

/// The amounts of a queue by groups, padded.
fn groups(amounts: &[u64]) -> Vec<Amounts> {
    let groups = bucket(amounts.len()).unwrap_or(MAX_BUCKET) / GROUP;
    let amount = |place: usize| amounts.get(place).copied().unwrap_or_default();
    let group = |group: usize| Zeroizing::new(std::array::from_fn(|k| amount(group * GROUP + k)));
    (0..groups).map(group).collect()
}

impl Rounds {
    /// Forgets a seed that stands in a queue on the chain.
    pub(super) fn forget_used(&mut self, asset: AssetId, queue: &FrozenQueue) {
        let used = |preparation: &Preparation| queue.is_from(&preparation.queue.seed);
        if self.prepared.get(&asset).is_some_and(used) {
            tracing::warn!(%asset, "the stored seed of a queue has been used: another is drawn");
            self.prepared.remove(&asset);
        }
    }

    /// What is prepared for the next queue of an asset is used from now on.
    pub(super) fn take_prepared(
        &mut self,
        asset: AssetId,
        changes: &mut Changes,
    ) -> (QueueSeed, BTreeMap<usize, ProvenGroup>) {
        changes.batch.delete_prepared(asset);
        match self.prepared.remove(&asset) {
            Some(Preparation { queue: PreparedQueue { seed, groups }, .. }) => (seed, groups),
            None => (QueueSeed::random(&mut OsRng), BTreeMap::new()),
        }
    }
}

impl Core {
    fn own_account(&self, asset: AssetId) -> AccountId {
        AccountId { institution: self.setting.institution, asset }
    }

    /// The payments that the next queue of an asset holds.
    pub(super) fn next_in_queue(&self, asset: AssetId) -> impl Iterator<Item = &Payment> {
        // Also those that an earlier life of the agent was about to join with: its join is not on
        // the chain, and since it would take the same sequence number as this one, not both land.
        let queues = &self.parts.rounds.queues;
        let is_free = |payment: &&Payment| match payment.state {
            PaymentState::InRound(round) => !queues.contains_key(&round),
            state => state == PaymentState::Queued,
        };
        self.payments.open(asset).filter(is_free).take(self.parts.rounds.payees.largest_bucket())
    }

    /// Prepares what has changed since the last time, unless the bank is in a round: whoever waits for
    /// that needs the processors more than a queue for a later one does.
    pub(crate) fn prepare_queues(&mut self) -> Result<(), Failure> {
        if self.parts.rounds.is_busy() {
            return Ok(());
        }
        let changed = self.payments.take_changed();
        changed.into_iter().try_for_each(|asset| self.prepare(asset))
    }

    /// What the next queue of an asset holds.
    fn next_amounts(&self, asset: AssetId) -> Zeroizing<Vec<u64>> {
        Zeroizing::new(self.next_in_queue(asset).map(|payment| payment.amount).collect())
    }

    /// Whether all that the next queue of an asset holds is proven.
    pub(crate) fn is_queue_proven(&self, asset: AssetId) -> bool {
        let amounts = self.next_amounts(asset);
        let preparation = self.parts.rounds.prepared.get(&asset);
        amounts.is_empty()
            || preparation.is_some_and(|it| it.first_missing(groups(&amounts)).is_none())
    }

    /// Has the first group proven that is not; the others follow.
    fn prepare(&mut self, asset: AssetId) -> Result<(), Failure> {
        let preparation = self.parts.rounds.prepared.get(&asset);
        if preparation.is_some_and(|preparation| preparation.proving) {
            return Ok(());
        }
        let amounts = self.next_amounts(asset);
        if amounts.is_empty() {
            return Ok(());
        }
        self.begin_preparation(asset)?;
        let preparation = self.parts.rounds.prepared.get_mut(&asset);
        let missing = preparation.and_then(|it| Some((it.first_missing(groups(&amounts))?, it)));
        let Some(((group, amounts), preparation)) = missing else { return Ok(()) };
        preparation.proving = true;
        let seed = preparation.queue.seed.clone();
        let (chain, account) = (self.setting.genesis.chain_id(), self.own_account(asset));
        let (of_group, used) = (amounts.clone(), seed.clone());
        self.compute(
            move || seed.prove_amounts(chain, &account, group, &of_group, &mut OsRng),
            move |core, outcome| core.prepared(asset, &used, (group, amounts), outcome),
        );
        Ok(())
    }

    /// Draws the seed of the next queue, unless there is one, and stores it.
    fn begin_preparation(&mut self, asset: AssetId) -> Result<(), Failure> {
        if self.parts.rounds.prepared.contains_key(&asset) {
            return Ok(());
        }
        let seed = QueueSeed::random(&mut OsRng);
        let mut changes = Changes::now();
        changes.batch.put_queue_seed(asset, &seed);
        self.commit(changes)?;
        let queue = PreparedQueue { seed, groups: BTreeMap::new() };
        self.parts.rounds.prepared.insert(asset, Preparation::new(queue));
        Ok(())
    }

    /// A group has been proven in advance.
    fn prepared(
        &mut self,
        asset: AssetId,
        seed: &QueueSeed,
        (group, amounts): (usize, Amounts),
        outcome: Outcome,
    ) -> Result<(), Failure> {
        let preparation = self.parts.rounds.prepared.get_mut(&asset);
        let Some(preparation) = preparation.filter(|it| it.queue.seed == *seed) else {
            // The queue has joined a round in the meantime, which has its own proof made.
            return Ok(());
        };
        preparation.proving = false;
        let proof = match flat(outcome) {
            Ok(proof) => proof,
            // Tried again with the next change, and at the latest when the queue is frozen.
            Err(error) => {
                tracing::error!(%asset, group, %error, "queued payments are not proven");
                return Ok(());
            }
        };
        let proven = ProvenGroup { amounts, proof };
        let mut changes = Changes::now();
        changes.batch.put_proven(asset, group, &proven);
        preparation.queue.groups.insert(group, proven);
        self.commit(changes)?;
        self.payments.mark_changed(asset);
        self.prepare_queues()
    }

    /// Proves what is missing for the queue with which a round is joined.
    pub(super) fn prove_rest(&mut self, round: RoundId) {
        let Some(seat) = self.parts.rounds.seats.get(&round) else { return };
        let (Some(queue), Some(ranges)) = (&seat.queue, &seat.ranges) else { return };
        let (chain, account) = (self.setting.genesis.chain_id(), self.own_account(seat.asset));
        for group in (0..queue.groups()).filter(|group| !ranges.contains_key(group)) {
            let (queue, tries) = (queue.clone(), seat.tries);
            self.compute(
                move || queue.prove_group(chain, &account, group, &mut OsRng),
                move |core, outcome| core.proven(round, tries, group, outcome),
            );
        }
    }

    /// A group of a frozen queue has been proven.
    fn proven(
        &mut self,
        round: RoundId,
        tries: u8,
        group: usize,
        outcome: Outcome,
    ) -> Result<(), Failure> {
        let seat = self.parts.rounds.seats.get_mut(&round).filter(|seat| seat.tries == tries);
        let Some(ranges) = seat.and_then(|seat| seat.ranges.as_mut()) else { return Ok(()) };
        match flat(outcome) {
            Ok(proof) => {
                ranges.insert(group, proof);
                self.deal_once_proven(round);
                Ok(())
            }
            Err(error) => {
                self.decline(round, &format!("the queue cannot be proven to be in range: {error}"))
            }
        }
    }
}

fn flat(outcome: Outcome) -> Result<RangeProof, String> {
    let proof = outcome.map_err(|panicked| panicked.to_string())?;
    proof.map_err(|error| error.to_string())
}

/// Those of the proofs made in advance that fit the queue.
pub(super) fn fitting(
    queue: &FrozenQueue,
    proven: BTreeMap<usize, ProvenGroup>,
) -> BTreeMap<usize, RangeProof> {
    let fits = |(group, proven): &(usize, ProvenGroup)| {
        *group < queue.groups() && *proven.amounts == queue.amounts(*group)
    };
    proven.into_iter().filter(fits).map(|(group, proven)| (group, proven.proof)).collect()
}

#[cfg(test)]
mod tests;
