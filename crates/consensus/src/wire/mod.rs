//! What validators say to each other: canonical bytes, bounded, each for one chain.
//!
//! A frame is `version (1 byte) ‖ kind (1 byte) ‖ chain id (32 bytes) ‖ content`. Nothing may follow
//! the content. The bound of a kind is looked at before anything is decoded.
//!
//! | kind | name | content | at most | by whom it is believed |
//! | --- | --- | --- | --- | --- |
//! | 0 | `Vote` | a vote with its signature | 8 KiB | whose signature it bears |
//! | 1 | `Proposal` | a proposal with its signature | 8 KiB | the proposer of that round |
//! | 2 | `Part` | a piece of a proposed block with a signature | 256 KiB + 8 KiB | the proposer of that round |
//! | 3 | `VoteAgain` | a vote that is repeated, since a round takes long | 8 KiB | whose signature it bears |
//! | 4 | `Polka` | prevotes of more than two thirds for one block | 1 MiB | the engine verifies each signature |
//! | 5 | `RoundChange` | votes that justify entering a round | 1 MiB | the engine verifies each signature |
//! | 6 | `Status` | the sender's last height | 64 B | nobody: it only leads to requests |
//! | 7 | `Request` | heights whose blocks are asked for | 128 B | nobody: it is answered, at a bounded rate |
//! | 8 | `Response` | decided blocks, each with its certificate | a block + 2 MiB | the certificate of each block |
//! | 9 | `Begun` | a height that the sender has begun | 64 B | a validator; it makes others begin it |

mod certificates;
mod frame;
mod parts;
mod sync;
#[cfg(test)]
mod tests;

pub use certificates::{Polka, RoundChange, RoundChangeKind, RoundVote};
pub use frame::{Frame, FrameError, MAX_FRAME_BYTES, MAX_ROUND, WIRE_VERSION};
pub use parts::{MAX_PARTS, PART_BYTES, Part, SignedPart, parts_of};
pub use sync::{DecidedBlock, MAX_RESPONSE_BLOCKS, MAX_RESPONSE_BYTES, Request, Response, Status};

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::signature::Signature;
use quittance_ledger::certificate::Vote;
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::proposal::Proposal;

/// A vote with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedVote {
    /// By which validator.
    pub institution: InstitutionId,
    /// What is voted.
    pub vote: Vote,
    /// Over [`Vote::digest`], for the purpose `Vote`.
    pub signature: Signature,
}

/// A proposal with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedProposal {
    /// By which validator.
    pub institution: InstitutionId,
    /// What is proposed.
    pub proposal: Proposal,
    /// Over [`Proposal::digest`], for the purpose `Vote`.
    pub signature: Signature,
}

impl Encode for SignedVote {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        self.vote.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for SignedVote {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            institution: InstitutionId::decode(input)?,
            vote: Vote::decode(input)?,
            signature: Signature::decode(input)?,
        })
    }
}

impl Encode for SignedProposal {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        self.proposal.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for SignedProposal {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            institution: InstitutionId::decode(input)?,
            proposal: Proposal::decode(input)?,
            signature: Signature::decode(input)?,
        })
    }
}
