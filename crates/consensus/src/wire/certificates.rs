//! Collections of votes that spare a late validator the wait for each one.

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::signature::Signature;
use quittance_ledger::certificate::{MAX_VALIDATORS, ValidatorSignature, VoteKind};
use quittance_ledger::ids::{BlockId, Height, InstitutionId};

/// Prevotes for one block in one round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polka {
    /// At which height.
    pub height: Height,
    /// In which round.
    pub round: u32,
    /// For which block.
    pub block: BlockId,
    /// Signatures under the prevote.
    pub signatures: Vec<ValidatorSignature>,
}

/// What votes justify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundChangeKind {
    /// More than a third are in this round already. Tag 0.
    Skip = 0,
    /// More than two thirds have precommitted in the round before. Tag 1.
    Precommit = 1,
}

/// Votes that justify entering a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundChange {
    /// At which height.
    pub height: Height,
    /// The round of the votes.
    pub round: u32,
    /// What they justify.
    pub kind: RoundChangeKind,
    /// The votes.
    pub votes: Vec<RoundVote>,
}

/// One vote of a [`RoundChange`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundVote {
    /// By which validator.
    pub institution: InstitutionId,
    /// As which kind.
    pub kind: VoteKind,
    /// For which block.
    pub block: Option<BlockId>,
    /// Over the vote.
    pub signature: Signature,
}

fn vote_kind(input: &mut Reader<'_>) -> Result<VoteKind, DecodeError> {
    Ok(match input.tag(2, "kind of vote")? {
        0 => VoteKind::Prevote,
        _ => VoteKind::Precommit,
    })
}

impl Encode for Polka {
    fn encode(&self, out: &mut Writer) {
        self.height.encode(out);
        out.u32(self.round);
        self.block.encode(out);
        out.list(&self.signatures);
    }
}

impl Decode for Polka {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: Height::decode(input)?,
            round: input.u32("round of consensus")?,
            block: BlockId::decode(input)?,
            signatures: input.list(MAX_VALIDATORS, "prevotes")?,
        })
    }
}

impl Encode for RoundChange {
    fn encode(&self, out: &mut Writer) {
        self.height.encode(out);
        out.u32(self.round);
        out.u8(self.kind as u8);
        out.list(&self.votes);
    }
}

impl Decode for RoundChange {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: Height::decode(input)?,
            round: input.u32("round of consensus")?,
            kind: match input.tag(2, "kind of round change")? {
                0 => RoundChangeKind::Skip,
                _ => RoundChangeKind::Precommit,
            },
            votes: input.list(MAX_VALIDATORS, "votes of a round change")?,
        })
    }
}

impl Encode for RoundVote {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        out.u8(self.kind as u8);
        out.option(self.block.as_ref());
        self.signature.encode(out);
    }
}

impl Decode for RoundVote {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            institution: InstitutionId::decode(input)?,
            kind: vote_kind(input)?,
            block: input.option("voted block")?,
            signature: Signature::decode(input)?,
        })
    }
}
