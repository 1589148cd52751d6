//! One message, as it travels.

use bytes::Bytes;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::ids::{ChainId, Height};
use thiserror::Error;

use super::{
    MAX_RESPONSE_BYTES, PART_BYTES, Polka, Request, Response, RoundChange, SignedPart,
    SignedProposal, SignedVote, Status,
};

/// The version of frames; their first byte.
pub const WIRE_VERSION: u8 = 1;

/// The longest frame of any kind.
pub const MAX_FRAME_BYTES: usize = MAX_RESPONSE_BYTES;

/// The last round that is heard of: far beyond any that is reached, and far below where numbers of
/// rounds end.
pub const MAX_ROUND: u32 = 1 << 20;

const SHORT: usize = 64;
const REQUEST: usize = 128;
const SIGNED: usize = 8 << 10;
const COLLECTION: usize = 1 << 20;

/// Anything that a validator sends to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A vote.
    Vote(SignedVote),
    /// A proposal.
    Proposal(SignedProposal),
    /// A piece of a proposed block.
    Part(SignedPart),
    /// A vote that is repeated.
    VoteAgain(SignedVote),
    /// Prevotes for one block.
    Polka(Polka),
    /// Votes that justify entering a round.
    RoundChange(RoundChange),
    /// How far the sender is.
    Status(Status),
    /// Asks for blocks.
    Request(Request),
    /// Blocks.
    Response(Response),
    /// The sender has begun this height.
    Begun(Height),
}

/// Why bytes are not a frame of this chain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Longer than its kind may be.
    #[error("a frame of kind {kind} has {found} bytes, at most {limit} are allowed")]
    TooLong {
        /// Its second byte.
        kind: u8,
        /// Its length.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// Of another chain.
    #[error("a frame of chain {0}")]
    OtherChain(ChainId),
    /// A round beyond [`MAX_ROUND`].
    #[error("round {0} is beyond all that are heard of")]
    Round(u32),
    /// Not canonical.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl Frame {
    fn kind(&self) -> u8 {
        match self {
            Self::Vote(_) => 0,
            Self::Proposal(_) => 1,
            Self::Part(_) => 2,
            Self::VoteAgain(_) => 3,
            Self::Polka(_) => 4,
            Self::RoundChange(_) => 5,
            Self::Status(_) => 6,
            Self::Request(_) => 7,
            Self::Response(_) => 8,
            Self::Begun(_) => 9,
        }
    }

    /// The most bytes that a frame of this kind may have; 0 for a kind that there is not.
    fn limit(kind: u8) -> usize {
        match kind {
            0 | 1 | 3 => SIGNED,
            2 => PART_BYTES + SIGNED,
            4 | 5 => COLLECTION,
            6 | 9 => SHORT,
            7 => REQUEST,
            8 => MAX_RESPONSE_BYTES,
            _ => 0,
        }
    }

    /// How many signatures somebody has to verify because of this frame: what it costs.
    pub fn cost(&self) -> u32 {
        let count = match self {
            Self::Polka(polka) => polka.signatures.len(),
            Self::RoundChange(change) => change.votes.len(),
            Self::Response(response) => {
                response.blocks.iter().map(|block| block.certificate.signatures.len()).sum()
            }
            _ => 1,
        };
        u32::try_from(count).unwrap_or(u32::MAX).max(1)
    }

    /// The frame for `chain`, as it travels.
    pub fn to_frame(&self, chain: ChainId) -> Bytes {
        let mut out = Writer::new();
        out.u8(WIRE_VERSION);
        out.u8(self.kind());
        chain.encode(&mut out);
        match self {
            Self::Vote(vote) | Self::VoteAgain(vote) => vote.encode(&mut out),
            Self::Proposal(proposal) => proposal.encode(&mut out),
            Self::Part(part) => part.encode(&mut out),
            Self::Polka(polka) => polka.encode(&mut out),
            Self::RoundChange(change) => change.encode(&mut out),
            Self::Status(status) => status.encode(&mut out),
            Self::Request(request) => request.encode(&mut out),
            Self::Response(response) => response.encode(&mut out),
            Self::Begun(height) => height.encode(&mut out),
        }
        out.into_bytes().into()
    }

    /// Reads a frame of `chain`.
    pub fn from_frame(bytes: &[u8], chain: ChainId) -> Result<Self, FrameError> {
        let mut input = Reader::new(bytes);
        if input.u8("version of the frame")? != WIRE_VERSION {
            return Err(input.invalid("version of the frame", "unknown").into());
        }
        let kind = input.tag(10, "kind of frame")?;
        let (found, limit) = (bytes.len(), Self::limit(kind));
        if found > limit {
            return Err(FrameError::TooLong { kind, found, limit });
        }
        let of = ChainId::decode(&mut input)?;
        if of != chain {
            return Err(FrameError::OtherChain(of));
        }
        let frame = Self::content(kind, &mut input)?;
        input.finish()?;
        match frame.round() {
            Some(round) if round > MAX_ROUND => Err(FrameError::Round(round)),
            _ => Ok(frame),
        }
    }

    fn content(kind: u8, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match kind {
            0 => Self::Vote(SignedVote::decode(input)?),
            1 => Self::Proposal(SignedProposal::decode(input)?),
            2 => Self::Part(SignedPart::decode(input)?),
            3 => Self::VoteAgain(SignedVote::decode(input)?),
            4 => Self::Polka(Polka::decode(input)?),
            5 => Self::RoundChange(RoundChange::decode(input)?),
            6 => Self::Status(Status::decode(input)?),
            7 => Self::Request(Request::decode(input)?),
            8 => Self::Response(Response::decode(input)?),
            _ => Self::Begun(Height::decode(input)?),
        })
    }

    /// The greatest round that it names.
    fn round(&self) -> Option<u32> {
        match self {
            Self::Vote(vote) | Self::VoteAgain(vote) => Some(vote.vote.round),
            Self::Proposal(proposal) => Some(proposal.proposal.round),
            Self::Part(part) => Some(part.part.round),
            Self::Polka(polka) => Some(polka.round),
            Self::RoundChange(change) => Some(change.round),
            Self::Response(response) => {
                response.blocks.iter().map(|block| block.certificate.round).max()
            }
            Self::Status(_) | Self::Request(_) | Self::Begun(_) => None,
        }
    }
}
