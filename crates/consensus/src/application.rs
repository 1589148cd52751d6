//! What an engine drives.

use bytes::Bytes;
use quittance_ledger::block::Block;
use quittance_ledger::certificate::{Certificate, ValidatorSet};
use quittance_ledger::evidence::Evidence;
use quittance_ledger::ids::{Height, Timestamp};
use quittance_ledger::transaction::Verified;

/// Why a proposal is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// There may be work: propose only if there is.
    Work,
    /// The chain has been still for long: propose in any case.
    Heartbeat,
}

/// Why a block of somebody else is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It has just been proposed, and it is this late: its time must not be far ahead.
    Fresh(Timestamp),
    /// It comes from before a crash, or others have decided it: no clock has a say.
    Past,
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

    /// Checks everything about another validator's block.
    fn validate(&mut self, block: Block, moment: Moment) -> Result<Block<Verified>, Self::Error>;

    /// Makes a decided block part of the chain. It is on the disk when this returns; nobody has
    /// learnt of it before.
    ///
    /// After an error the engine ends, and so must the process.
    fn commit(
        &mut self,
        block: Block<Verified>,
        certificate: Certificate,
    ) -> Result<(), Self::Error>;

    /// The last committed height; 0 before the first.
    fn tip(&self) -> Height;

    /// Who decides the height after [`Application::tip`]: from the state that the last block has led
    /// to.
    fn validators(&self) -> ValidatorSet;

    /// The complete canonical bytes of a committed block, and its certificate.
    fn block(&self, height: Height) -> Result<Option<(Bytes, Certificate)>, Self::Error>;

    /// Whether a block that is proposed now would probably not be empty.
    fn has_work(&self) -> bool;

    /// A validator has contradicted itself. The evidence is verified; that it is on the disk, and
    /// what becomes of it, is the application's.
    fn report(&mut self, evidence: Evidence) -> Result<(), Self::Error>;
}
