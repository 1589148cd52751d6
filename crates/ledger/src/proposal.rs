//! What a proposer says about a block when several validators decide.
//!
//! A proposal is signed with the key that votes, for the purpose `Vote`: its content has a label of
//! its own, so that it is never taken for a vote.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::signature::{Purpose, Signature, SigningKey};

use crate::ids::{BlockId, ChainId, Height};

/// The block that a validator proposes in one round of one height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    /// On which chain.
    pub chain: ChainId,
    /// At which height.
    pub height: Height,
    /// In which round of that height, from 0.
    pub round: u32,
    /// Which block.
    pub block: BlockId,
    /// The earlier round in which more than two thirds have prevoted this block, if the proposer
    /// has seen them.
    pub valid_round: Option<u32>,
}

impl Proposal {
    /// What is signed, for the purpose `Vote`.
    pub fn digest(&self) -> Digest {
        Digest::of_value("quittance/v1/proposal-content", self)
    }

    /// Signs the proposal.
    pub fn sign(&self, key: &SigningKey) -> Signature {
        key.sign(Purpose::Vote, &self.digest())
    }
}

impl Encode for Proposal {
    fn encode(&self, out: &mut Writer) {
        self.chain.encode(out);
        self.height.encode(out);
        out.u32(self.round);
        self.block.encode(out);
        match self.valid_round {
            None => out.u8(0),
            Some(round) => {
                out.u8(1);
                out.u32(round);
            }
        }
    }
}

impl Decode for Proposal {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let chain = ChainId::decode(input)?;
        let height = Height::decode(input)?;
        let round = input.u32("round of consensus")?;
        let block = BlockId::decode(input)?;
        let valid_round = match input.tag(2, "valid round")? {
            0 => None,
            _ => Some(input.u32("valid round")?),
        };
        if valid_round.is_some_and(|valid| valid >= round) {
            return Err(input.invalid("valid round", "not before the round"));
        }
        Ok(Self { chain, height, round, block, valid_round })
    }
}
