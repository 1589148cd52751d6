//! Votes and proposals.

use malachite_app_channel::app::types::core::SignedExtension;
use malachite_app_channel::app::types::core::{self as engine, NilOrVal, Round, VoteType};
use quittance_ledger::certificate::{Vote, VoteKind};
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::proposal::Proposal;

use super::{At, Quittance, Value, Who};

/// A vote of a validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    who: Who,
    vote: Vote,
    value: NilOrVal<Value>,
}

/// A proposal of a validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    who: Who,
    proposal: Proposal,
    value: Value,
}

impl Ballot {
    /// The vote of `institution`.
    pub fn new(institution: InstitutionId, vote: Vote) -> Self {
        let value = vote.block.map_or(NilOrVal::Nil, |block| NilOrVal::Val(Value(block)));
        Self { who: Who(institution), vote, value }
    }

    /// Whose vote.
    pub fn institution(&self) -> InstitutionId {
        self.who.0
    }

    /// The vote itself, which is signed.
    pub fn vote(&self) -> &Vote {
        &self.vote
    }
}

impl engine::Vote<Quittance> for Ballot {
    fn height(&self) -> At {
        self.vote.height.into()
    }

    fn round(&self) -> Round {
        Round::new(self.vote.round)
    }

    fn value(&self) -> &NilOrVal<Value> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<Value> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        match self.vote.kind {
            VoteKind::Prevote => VoteType::Prevote,
            VoteKind::Precommit => VoteType::Precommit,
        }
    }

    fn validator_address(&self) -> &Who {
        &self.who
    }

    fn extension(&self) -> Option<&SignedExtension<Quittance>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Quittance>> {
        None
    }

    /// Votes have no extensions; no height's parameters ask for any.
    fn extend(self, _: SignedExtension<Quittance>) -> Self {
        self
    }
}

impl Offer {
    /// The proposal of `institution`.
    pub fn new(institution: InstitutionId, proposal: Proposal) -> Self {
        Self { who: Who(institution), proposal, value: Value(proposal.block) }
    }

    /// Whose proposal.
    pub fn institution(&self) -> InstitutionId {
        self.who.0
    }

    /// The proposal itself, which is signed.
    pub fn proposal(&self) -> &Proposal {
        &self.proposal
    }
}

impl engine::Proposal<Quittance> for Offer {
    fn height(&self) -> At {
        self.proposal.height.into()
    }

    fn round(&self) -> Round {
        Round::new(self.proposal.round)
    }

    fn value(&self) -> &Value {
        &self.value
    }

    fn take_value(self) -> Value {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.proposal.valid_round.map_or(Round::Nil, Round::new)
    }

    fn validator_address(&self) -> &Who {
        &self.who
    }
}
