//! What the ledger says about a member of a round.

use quittance_crypto::digest::Digest;
use quittance_ledger::ids::{AccountId, AssetId, ChainId, InstitutionId, RoundId};
use quittance_ledger::transaction::RoundJoin;

/// What the ledger says about one member of a round: the yardstick of all that it tells others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// Which round. Its id binds the chain.
    pub round: RoundId,
    /// On which chain.
    pub chain: ChainId,
    /// In which asset.
    pub asset: AssetId,
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
    /// The member that joined a round in `asset` by `join`, registered under `number`.
    pub fn new(join: &RoundJoin, (chain, asset): (ChainId, AssetId), number: u32) -> Self {
        Self {
            round: join.round,
            chain,
            asset,
            institution: join.institution,
            number,
            queue_root: join.queue_root,
            bucket: join.bucket,
        }
    }

    /// The account that is locked, and whose payments the queue holds.
    pub fn account(&self) -> AccountId {
        AccountId { institution: self.institution, asset: self.asset }
    }
}
