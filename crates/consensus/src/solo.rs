//! The engine of a validator that decides alone.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use quittance_crypto::signature::SigningKey;
use quittance_ledger::block::Header;
use quittance_ledger::certificate::{
    Certificate, ValidatorSet, ValidatorSignature, Vote, VoteKind,
};
use quittance_ledger::ids::InstitutionId;
use thiserror::Error;

use crate::{Application, Bell, Clock, Occasion, RunError};

/// How fast blocks follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The least time between two proposals: what arrives meanwhile shares a block.
    pub min_interval: Duration,
    /// After this time without a block an empty one is made, so that heights pass and followers
    /// see that the chain lives.
    pub heartbeat: Duration,
}

/// Why a validator cannot decide alone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SoloError {
    /// Not in the set.
    #[error("{0} is not a validator of this chain")]
    NotAValidator(InstitutionId),
    /// The key is not the one in the set.
    #[error("the vote key of {0} is not the one that the chain has registered")]
    OtherKey(InstitutionId),
    /// There are others: also one that is a quorum without them decides with them, since they learn
    /// of blocks in no other way.
    #[error("{institution} is one of {validators} validators: it cannot decide alone")]
    NotAlone {
        /// The validator.
        institution: InstitutionId,
        /// How many there are.
        validators: usize,
    },
}

/// A validator that decides alone: it proposes, signs a precommit for its proposal, which is the
/// whole certificate, and commits.
pub struct Solo {
    institution: InstitutionId,
    key: SigningKey,
    pace: Pace,
    clock: Clock,
}

impl Solo {
    /// The engine of `institution`, which votes with `key` and must be the only validator.
    pub fn new(
        validators: &ValidatorSet,
        institution: InstitutionId,
        key: SigningKey,
        pace: Pace,
        clock: Clock,
    ) -> Result<Self, SoloError> {
        let solo = Self { institution, key, pace, clock };
        solo.check(validators).map(|()| solo)
    }

    /// Whether the next block is this validator's to decide, alone and with this key.
    fn check(&self, validators: &ValidatorSet) -> Result<(), SoloError> {
        let institution = self.institution;
        let own = validators.get(institution).ok_or(SoloError::NotAValidator(institution))?;
        if own.key != self.key.verifying_key() {
            return Err(SoloError::OtherKey(institution));
        }
        match validators.validators().len() {
            1 => Ok(()),
            validators => Err(SoloError::NotAlone { institution, validators }),
        }
    }

    /// Makes blocks until the bell is stopped, the application fails, or the chain has it that
    /// others decide. The first one is made at once, later ones when the bell is rung and at the
    /// pace's heartbeat.
    pub fn run<A: Application>(
        &self,
        application: &mut A,
        bell: &Bell,
    ) -> Result<(), RunError<A::Error>> {
        let mut heartbeat = Instant::now();
        loop {
            let height = application.tip().next();
            let may = self.check(&application.validators());
            may.map_err(|source| RunError::NotAlone { height, source })?;
            let start = Instant::now();
            let occasion = match start >= heartbeat {
                true => Occasion::Heartbeat,
                false => Occasion::Work,
            };
            let block = application.propose(self.clock.now(), occasion);
            let block = block.map_err(RunError::Application)?;
            if occasion == Occasion::Heartbeat || block.is_some() {
                heartbeat = start + self.pace.heartbeat;
            }
            // A block may have been too small for all the work there is.
            let more = match block {
                Some(block) => {
                    let certificate = self.certify(&block.header);
                    let more = !block.transactions.is_empty();
                    application.commit(block, certificate).map_err(RunError::Application)?;
                    more
                }
                None => false,
            };
            let awake =
                bell.pause(start + self.pace.min_interval) && (more || bell.wait(heartbeat));
            if !awake {
                return Ok(());
            }
        }
    }

    /// The precommit for a block, in round 0, as its certificate.
    fn certify(&self, header: &Header) -> Certificate {
        let (height, round, block) = (header.height, 0, header.id());
        let (kind, chain) = (VoteKind::Precommit, header.chain);
        let signature = Vote { chain, height, round, kind, block: Some(block) }.sign(&self.key);
        let institution = self.institution;
        Certificate {
            height,
            round,
            block,
            signatures: vec![ValidatorSignature { institution, signature }],
        }
    }
}
