//! What the ledger says about a member of a round.

use quittance_crypto::digest::Digest;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_ledger::transaction::RoundJoin;

/// What the ledger says about one member of a round: the yardstick of all that it tells others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// Which round. Its id binds the chain.
    pub round: RoundId,
    /// Who has joined.
    pub institution: InstitutionId,
    /// The place of the institution in the ledger's register, from 1.
    pub number: u32,
    /// Merkle root of its queue.
    pub queue_root: Digest,
    /// Leaves of its queue, padding included.
    pub bucket: u32,
}

impl Joined {
    /// The member that joined by `join`, registered under `number`.
    pub fn new(join: &RoundJoin, number: u32) -> Self {
        Self {
            round: join.round,
            institution: join.institution,
            number,
            queue_root: join.queue_root,
            bucket: join.bucket,
        }
    }
}
