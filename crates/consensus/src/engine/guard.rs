//! What is let through to the engine.

use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use quittance_crypto::planted;
use quittance_crypto::signature::{Purpose, SignatureError, VerifyingKey};
use quittance_ledger::certificate::ValidatorSet;
use quittance_ledger::evidence::{Evidence, EvidenceError};
use quittance_ledger::ids::{ChainId, Height, InstitutionId};
use thiserror::Error;

use super::context::turn;
use crate::transport::Peer;
use crate::wire::{Polka, RoundChange, SignedPart, SignedProposal, SignedVote};

/// Heights beyond the present one of which votes and proposals are kept: the engine keeps them
/// until it gets there, and bounds them.
pub const HEIGHTS_AHEAD: u64 = 4;

/// Rounds beyond the present one that are heard of, as in the engine.
pub const ROUNDS_AHEAD: u32 = 10;

/// Knows who may say what at present. It is told by the thread that drives the application, before
/// the engine learns of a new height.
#[derive(Debug)]
pub struct Guard {
    chain: ChainId,
    now: RwLock<Now>,
}

#[derive(Debug, Clone)]
struct Now {
    height: Height,
    round: u32,
    validators: ValidatorSet,
}

/// Why a message is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Signed for another chain.
    #[error("signed for chain {0}")]
    Chain(ChainId),
    /// About a height that is decided, or too far ahead.
    #[error("about height {0}, which is past or far ahead")]
    Height(Height),
    /// About a round too far ahead.
    #[error("about round {0}, which is far ahead")]
    Round(u32),
    /// Not a validator.
    #[error("{0} is not a validator")]
    Stranger(InstitutionId),
    /// Not the proposer of that round.
    #[error("{0} does not propose in that round")]
    NotProposer(InstitutionId),
    /// The signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A collection with a signer twice, or with more than there are.
    #[error("{0} is counted twice")]
    Twice(InstitutionId),
}

impl Guard {
    /// A guard at this height, before its first round.
    pub fn new(chain: ChainId, height: Height, validators: ValidatorSet) -> Self {
        Self { chain, now: RwLock::new(Now { height, round: 0, validators }) }
    }

    /// The chain.
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// Another height is next, with these validators.
    pub fn begin(&self, height: Height, validators: ValidatorSet) {
        *self.write() = Now { height, round: 0, validators };
    }

    /// The engine is in this round of the present height.
    pub fn enter(&self, round: u32) {
        self.write().round = round;
    }

    /// The height that is being decided.
    pub fn height(&self) -> Height {
        self.read().height
    }

    /// Whether a validator of the present height is this peer.
    pub fn is_validator(&self, peer: Peer) -> bool {
        self.read().validators.validators().iter().any(|each| Peer::of(&each.key) == peer)
    }

    /// Lets a vote through: by a validator, for a height and round near the present one.
    pub fn vote(&self, vote: &SignedVote) -> Result<(), Refusal> {
        let SignedVote { institution, vote, signature } = vote;
        let key = self.key(vote.chain, vote.height, vote.round, HEIGHTS_AHEAD, *institution)?;
        let verified = key.verify(Purpose::Vote, &vote.digest(), signature);
        planted!("vote-emitted-unverified", Ok(()), verified.map_err(Refusal::from))
    }

    /// Lets a proposal through: by the validator whose turn it is.
    pub fn proposal(&self, proposal: &SignedProposal) -> Result<(), Refusal> {
        let SignedProposal { institution, proposal, signature } = proposal;
        let (height, round) = (proposal.height, proposal.round);
        let key = self.key(proposal.chain, height, round, HEIGHTS_AHEAD, *institution)?;
        self.expect_proposer(height, round, *institution)?;
        let verified = key.verify(Purpose::Vote, &proposal.digest(), signature);
        planted!("proposal-emitted-unverified", Ok(()), verified.map_err(Refusal::from))
    }

    /// Lets a piece of a block through: by the validator whose turn it is, for the present height
    /// or the one after, which others may have begun already.
    pub fn part(&self, part: &SignedPart) -> Result<(), Refusal> {
        let SignedPart { institution, part: content, .. } = part;
        let (height, round) = (content.height, content.round);
        let key = self.key(content.chain, height, round, 1, *institution)?;
        self.expect_proposer(height, round, *institution)?;
        planted!("part-emitted-unverified", Ok(()), part.verify(&key).map_err(Refusal::from))
    }

    /// Lets prevotes for one block through, whose signatures the engine verifies: by validators,
    /// each once.
    pub fn polka(&self, polka: &Polka) -> Result<(), Refusal> {
        let signers = polka.signatures.iter().map(|each| each.institution);
        self.collection(polka.height, signers)
    }

    /// Lets votes through that justify a round, whose signatures the engine verifies: by
    /// validators, each once.
    pub fn round_change(&self, change: &RoundChange) -> Result<(), Refusal> {
        self.collection(change.height, change.votes.iter().map(|each| each.institution))
    }

    /// Whether the validators of the present height convict whom this accuses.
    pub fn convicts(&self, evidence: &Evidence) -> Result<(), EvidenceError> {
        evidence.verify(self.chain, &self.read().validators)
    }

    fn collection(
        &self,
        height: Height,
        signers: impl Iterator<Item = InstitutionId>,
    ) -> Result<(), Refusal> {
        let now = self.read();
        if height != now.height {
            return Err(Refusal::Height(height));
        }
        let mut seen = std::collections::BTreeSet::new();
        for signer in signers {
            if now.validators.get(signer).is_none() {
                return Err(Refusal::Stranger(signer));
            }
            if planted!("prevoter-counted-twice", false, !seen.insert(signer)) {
                return Err(Refusal::Twice(signer));
            }
        }
        Ok(())
    }

    /// The key with which `institution` votes, if the rest may be heard.
    fn key(
        &self,
        chain: ChainId,
        height: Height,
        round: u32,
        ahead: u64,
        institution: InstitutionId,
    ) -> Result<VerifyingKey, Refusal> {
        let now = self.read();
        if chain != self.chain {
            return Err(Refusal::Chain(chain));
        }
        let far = height < now.height || height.0 > now.height.0.saturating_add(ahead);
        if planted!("vote-of-any-height", false, far) {
            return Err(Refusal::Height(height));
        }
        let present = match height == now.height {
            true => now.round,
            false => 0,
        };
        if round > present.saturating_add(ROUNDS_AHEAD) {
            return Err(Refusal::Round(round));
        }
        let validator = now.validators.get(institution);
        validator.map(|found| found.key.clone()).ok_or(Refusal::Stranger(institution))
    }

    fn expect_proposer(
        &self,
        height: Height,
        round: u32,
        institution: InstitutionId,
    ) -> Result<(), Refusal> {
        let now = self.read();
        let validators = now.validators.validators();
        let expected = validators.get(turn(height, round, validators.len()));
        let other = expected.is_none_or(|expected| expected.institution != institution);
        match planted!("part-by-anybody", false, other) {
            true => Err(Refusal::NotProposer(institution)),
            false => Ok(()),
        }
    }

    /// Each change is complete, so what another thread's panic leaves is sound.
    fn read(&self) -> RwLockReadGuard<'_, Now> {
        self.now.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Now> {
        self.now.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
