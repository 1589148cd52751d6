//! Deciding which block comes next.
//!
//! An engine drives an [`Application`]: it asks for proposals, has those of others checked, and
//! hands over each block with the certificate that makes it final. [`Solo`] is the engine of a
//! chain with one deciding validator; the certificates that it makes are those of many.
//!
//! Engines block their thread and keep time. What they decide about does neither: an application
//! learns the time from its arguments, so that it can be driven by a simulation as well.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod bell;
mod solo;

pub use bell::Bell;
pub use solo::{Pace, Solo, SoloError};

use quittance_ledger::block::Block;
use quittance_ledger::certificate::Certificate;
use quittance_ledger::ids::Timestamp;
use quittance_ledger::transaction::Verified;

/// Why a proposal is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// There may be work: propose only if there is.
    Work,
    /// The chain has been still for long: propose in any case.
    Heartbeat,
}

/// What consensus is about: a chain that grows by one block at a time.
pub trait Application {
    /// Why a block was not made, accepted or committed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// A block that follows the last committed one, not earlier than `now`; `None` if the occasion
    /// is [`Occasion::Work`] and there is none.
    fn propose(
        &mut self,
        now: Timestamp,
        occasion: Occasion,
    ) -> Result<Option<Block<Verified>>, Self::Error>;

    /// Checks everything about another validator's proposal at the moment `now`.
    fn validate(&mut self, block: Block, now: Timestamp) -> Result<Block<Verified>, Self::Error>;

    /// Makes a decided block part of the chain. It is on the disk when this returns; nobody has
    /// learnt of it before.
    ///
    /// After an error the engine ends, and so must the process.
    fn commit(
        &mut self,
        block: Block<Verified>,
        certificate: Certificate,
    ) -> Result<(), Self::Error>;
}
