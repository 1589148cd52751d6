//! The queue of payments that a participant brings into a round.
//!
//! | field of a leaf | content |
//! | --- | --- |
//! | amount | `Com(amount; r_k)` |
//! | payee | `Com(number of the payee; s_k)`; number 0 for padding |
//! | pads | `Com(w_ka; t_ka)` for each attempt a; see [`Pad`] |
//! | details | digest of salt and particulars |
//!
//! Leaves are padded to a power of two of at least 8, the *bucket*: the ledger shows no more of a
//! queue's length. All `r_k`, `s_k`, `w_ka`, `t_ka` and salts are derived from one fresh seed, each under a label
//! of its own, so that seed and payments give the whole queue again. That amounts are in range is
//! proven to the committee, in groups that can be proven before the queue is frozen: see
//! [`QueueSeed::prove_amounts`].

pub(crate) mod amounts;
mod leaf;
mod note;
mod pad;

pub use amounts::{GROUP, MAX_GROUPS};
pub use leaf::{Details, Leaf, QueueSeed};
pub use note::{QueueNoteError, QueuePlace};
pub use pad::{PADS, Pad};

use quittance_crypto::commitment::Opening;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_ledger::ids::{InstitutionId, Uetr};
use quittance_ledger::merkle;
use quittance_ledger::payload::Particulars;
use std::collections::BTreeSet;
use thiserror::Error;
use zeroize::Zeroize;

/// The fewest leaves of a queue.
pub const MIN_BUCKET: usize = 8;

/// The most leaves of a queue: their note then fits the ledger's bound.
pub const MAX_BUCKET: usize = 1024;

/// A payment that waits for a round. The amount is erased on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct QueuedPayment {
    /// Who is paid.
    pub payee: InstitutionId,
    /// In minor units of the round's asset; not 0.
    pub amount: u64,
    /// Reference, EndToEndId and remittance text.
    pub particulars: Particulars,
}

impl Drop for QueuedPayment {
    fn drop(&mut self) {
        self.amount.zeroize();
    }
}

/// A queue that has been ordered, padded and committed to. It never changes again.
pub struct FrozenQueue {
    payer: InstitutionId,
    seed: QueueSeed,
    payments: Vec<QueuedPayment>,
    /// Numbers of the payees in the ledger's register, by place.
    numbers: Vec<u32>,
    leaves: Vec<Leaf>,
}

/// Why payments are not a queue. Places are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum QueueError {
    /// See [`MAX_BUCKET`].
    #[error("{0} payments are more than the {MAX_BUCKET} of the largest queue")]
    TooMany(usize),
    /// The ledger's register does not have the payee.
    #[error("payment {place} is to {payee}, which is not registered")]
    UnknownPayee {
        /// The place of the payment.
        place: usize,
        /// Who was to be paid.
        payee: InstitutionId,
    },
    /// Nothing is paid.
    #[error("payment {place} has the amount 0, which is kept for padding")]
    NoAmount {
        /// The place of the payment.
        place: usize,
    },
    /// The payee is the payer.
    #[error("payment {place} is to the payer itself")]
    OwnPayee {
        /// The place of the payment.
        place: usize,
    },
    /// A payment would settle twice.
    #[error("payment {place} has the reference {uetr} of an earlier one")]
    Repeated {
        /// The place of the later payment.
        place: usize,
        /// Their reference.
        uetr: Uetr,
    },
}

/// How many leaves a queue of so many payments has: a power of two from [`MIN_BUCKET`] to
/// [`MAX_BUCKET`]. `None` if they are too many.
pub fn bucket(payments: usize) -> Option<usize> {
    (payments <= MAX_BUCKET).then(|| payments.next_power_of_two().max(MIN_BUCKET))
}

/// Whether a queue may have so many leaves.
pub fn is_bucket(leaves: usize) -> bool {
    (MIN_BUCKET..=MAX_BUCKET).contains(&leaves) && leaves.is_power_of_two()
}

impl FrozenQueue {
    /// Commits to payments in this order. `number` gives an institution's number in the ledger's
    /// register, from 1. An empty queue is one, too: its owner is only paid.
    pub fn freeze(
        payer: InstitutionId,
        payments: Vec<QueuedPayment>,
        number: impl Fn(&InstitutionId) -> Option<u32>,
        seed: QueueSeed,
    ) -> Result<Self, QueueError> {
        let numbers = payments.iter().enumerate().map(|(place, payment)| {
            let payee = payment.payee;
            let unknown = QueueError::UnknownPayee { place, payee };
            number(&payee).filter(|&number| number != 0).ok_or(unknown)
        });
        let numbers = numbers.collect::<Result<_, _>>()?;
        Self::assemble(payer, payments, numbers, seed)
    }

    fn assemble(
        payer: InstitutionId,
        payments: Vec<QueuedPayment>,
        numbers: Vec<u32>,
        seed: QueueSeed,
    ) -> Result<Self, QueueError> {
        let bucket = bucket(payments.len()).ok_or(QueueError::TooMany(payments.len()))?;
        let mut references = BTreeSet::new();
        for (place, payment) in payments.iter().enumerate() {
            let uetr = payment.particulars.uetr();
            if payment.amount == 0 {
                return Err(QueueError::NoAmount { place });
            }
            if payment.payee == payer {
                return Err(QueueError::OwnPayee { place });
            }
            if !references.insert(uetr) {
                return Err(QueueError::Repeated { place, uetr });
            }
        }
        let mut queue = Self { payer, seed, payments, numbers, leaves: Vec::new() };
        queue.leaves = (0..bucket).map(|place| queue.commit(place)).collect();
        Ok(queue)
    }

    fn commit(&self, place: usize) -> Leaf {
        let details = self.details(place).map(|details| details.digest());
        Leaf {
            amount: self.amount(place).commit(),
            payee: self.payee(place).commit(),
            pads: self.pads(place).map(|pad| pad.commit()),
            details: details.unwrap_or_else(|| self.seed.padding(place)),
        }
    }

    /// Whose queue it is.
    pub fn payer(&self) -> InstitutionId {
        self.payer
    }

    /// The payments, in order.
    pub fn payments(&self) -> &[QueuedPayment] {
        &self.payments
    }

    /// Whether it was frozen with this seed.
    pub fn is_from(&self, seed: &QueueSeed) -> bool {
        self.seed.0 == seed.0
    }

    /// The leaves, padding included.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// How many leaves there are.
    pub fn bucket(&self) -> u32 {
        self.leaves.len() as u32
    }

    /// The Merkle root that goes to the ledger.
    pub fn root(&self) -> Digest {
        merkle::root_of(&self.leaves)
    }

    /// The proof that a leaf stands at its place under [`Self::root`].
    pub fn inclusion(&self, place: usize) -> Option<merkle::Proof> {
        let hashes: Vec<_> =
            self.leaves.iter().map(|leaf| merkle::leaf_hash(&leaf.to_bytes())).collect();
        merkle::Proof::new(&hashes, place)
    }

    /// Opens the amount of a leaf: 0 for padding.
    pub fn amount(&self, place: usize) -> Opening {
        let amount = self.payments.get(place).map_or(0, |payment| payment.amount);
        Opening::new(amount, self.seed.amount_blinding(place))
    }

    /// Opens the number of a leaf's payee: 0 for padding.
    pub fn payee(&self, place: usize) -> Opening {
        Opening::new(u64::from(self.number(place)), self.seed.payee_blinding(place))
    }

    /// The number of a leaf's payee: 0 for padding.
    pub(crate) fn number(&self, place: usize) -> u32 {
        self.numbers.get(place).copied().unwrap_or_default()
    }

    /// Opens the pads of a leaf, by attempt.
    pub fn pads(&self, place: usize) -> [Pad; PADS] {
        std::array::from_fn(|attempt| self.seed.pad(place, attempt))
    }

    /// What a leaf's `details` are the digest of; nothing for padding.
    pub fn details(&self, place: usize) -> Option<Details> {
        let particulars = self.payments.get(place)?.particulars.clone();
        Some(Details { salt: self.seed.salt(place), particulars })
    }
}

#[cfg(test)]
mod tests;
