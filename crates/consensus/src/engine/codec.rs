//! What the engine writes into its log, and the lengths of what it sends: canonical bytes.

use bytes::Bytes;
use malachite_app_channel::app::types::codec::{Codec, HasEncodedLen};
use malachite_app_channel::app::types::core::{PolkaCertificate, Round, Validity};
use malachite_app_channel::app::types::sync;
use malachite_app_channel::app::types::{PeerId, ProposedValue, SignedConsensusMsg};
use malachite_sync::{ValueRequest, ValueResponse};
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::ids::{BlockId, Height, InstitutionId};

use super::context::{Quittance, Value, Who};
use super::convert::{
    block_in, block_out, number, polka_in, polka_out, proposal_in, proposal_out, vote_in, vote_out,
};
use crate::wire::{Polka, Request, Response, SignedProposal, SignedVote, Status};

/// A peer id is two bytes of a multihash and 32 of a digest.
const MAX_PEER_ID: usize = 34;

/// Reads and writes canonical bytes for the engine. What travels is encoded by the network itself;
/// of that the engine asks for lengths alone.
#[derive(Debug, Clone, Copy)]
pub struct Canonical;

/// A block that has been seen, as the log keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    height: Height,
    round: u32,
    valid_round: Option<u32>,
    proposer: InstitutionId,
    block: BlockId,
    valid: bool,
}

/// A vote or a proposal, as the log keeps it.
enum Said {
    Vote(SignedVote),
    Proposal(SignedProposal),
}

impl Encode for Said {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Vote(vote) => {
                out.u8(0);
                vote.encode(out);
            }
            Self::Proposal(proposal) => {
                out.u8(1);
                proposal.encode(out);
            }
        }
    }
}

impl Decode for Said {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.tag(2, "kind of message")? {
            0 => Self::Vote(SignedVote::decode(input)?),
            _ => Self::Proposal(SignedProposal::decode(input)?),
        })
    }
}

impl Encode for Seen {
    fn encode(&self, out: &mut Writer) {
        self.height.encode(out);
        out.u32(self.round);
        match self.valid_round {
            None => out.u8(0),
            Some(round) => {
                out.u8(1);
                out.u32(round);
            }
        }
        self.proposer.encode(out);
        self.block.encode(out);
        out.u8(self.valid.into());
    }
}

impl Decode for Seen {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: Height::decode(input)?,
            round: input.u32("round of consensus")?,
            valid_round: match input.tag(2, "valid round")? {
                0 => None,
                _ => Some(input.u32("valid round")?),
            },
            proposer: InstitutionId::decode(input)?,
            block: BlockId::decode(input)?,
            valid: input.tag(2, "validity")? == 1,
        })
    }
}

impl From<&ProposedValue<Quittance>> for Seen {
    fn from(value: &ProposedValue<Quittance>) -> Self {
        Self {
            height: value.height.height(),
            round: number(value.round),
            valid_round: value.valid_round.as_u32(),
            proposer: value.proposer.0,
            block: value.value.0,
            valid: value.validity.is_valid(),
        }
    }
}

impl From<Seen> for ProposedValue<Quittance> {
    fn from(seen: Seen) -> Self {
        Self {
            height: seen.height.into(),
            round: Round::new(seen.round),
            valid_round: seen.valid_round.map_or(Round::Nil, Round::new),
            proposer: Who(seen.proposer),
            value: Value(seen.block),
            validity: Validity::from_bool(seen.valid),
        }
    }
}

impl Codec<SignedConsensusMsg<Quittance>> for Canonical {
    type Error = DecodeError;

    fn decode(&self, bytes: Bytes) -> Result<SignedConsensusMsg<Quittance>, DecodeError> {
        Ok(match Said::from_bytes(&bytes)? {
            Said::Vote(vote) => SignedConsensusMsg::Vote(vote_in(vote)),
            Said::Proposal(proposal) => SignedConsensusMsg::Proposal(proposal_in(proposal)),
        })
    }

    fn encode(&self, message: &SignedConsensusMsg<Quittance>) -> Result<Bytes, DecodeError> {
        let said = match message {
            SignedConsensusMsg::Vote(vote) => Said::Vote(vote_out(vote)),
            SignedConsensusMsg::Proposal(proposal) => Said::Proposal(proposal_out(proposal)),
        };
        Ok(said.to_bytes().into())
    }
}

impl Codec<ProposedValue<Quittance>> for Canonical {
    type Error = DecodeError;

    fn decode(&self, bytes: Bytes) -> Result<ProposedValue<Quittance>, DecodeError> {
        Seen::from_bytes(&bytes).map(ProposedValue::from)
    }

    fn encode(&self, value: &ProposedValue<Quittance>) -> Result<Bytes, DecodeError> {
        Ok(Seen::from(value).to_bytes().into())
    }
}

impl Codec<PolkaCertificate<Quittance>> for Canonical {
    type Error = DecodeError;

    fn decode(&self, bytes: Bytes) -> Result<PolkaCertificate<Quittance>, DecodeError> {
        Polka::from_bytes(&bytes).map(polka_in)
    }

    fn encode(&self, polka: &PolkaCertificate<Quittance>) -> Result<Bytes, DecodeError> {
        Ok(polka_out(polka).to_bytes().into())
    }
}

impl Codec<sync::Status<Quittance>> for Canonical {
    type Error = DecodeError;

    fn decode(&self, bytes: Bytes) -> Result<sync::Status<Quittance>, DecodeError> {
        let mut input = Reader::new(&bytes);
        let peer = input.bytes(MAX_PEER_ID, "peer")?;
        let peer_id = PeerId::from_bytes(peer).map_err(|_| input.invalid("peer", "no peer id"))?;
        let Status { tip, first } = Status::decode(&mut input)?;
        input.finish()?;
        let (tip_height, history_min_height) = (tip.into(), first.into());
        Ok(sync::Status { peer_id, tip_height, history_min_height })
    }

    fn encode(&self, status: &sync::Status<Quittance>) -> Result<Bytes, DecodeError> {
        let mut out = Writer::new();
        out.bytes(&status.peer_id.to_bytes());
        let (tip, first) = (status.tip_height.height(), status.history_min_height.height());
        Status { tip, first }.encode(&mut out);
        Ok(out.into_bytes().into())
    }
}

impl Codec<sync::Request<Quittance>> for Canonical {
    type Error = DecodeError;

    fn decode(&self, bytes: Bytes) -> Result<sync::Request<Quittance>, DecodeError> {
        Request::from_bytes(&bytes).map(request_in)
    }

    fn encode(&self, request: &sync::Request<Quittance>) -> Result<Bytes, DecodeError> {
        Ok(request_out(0, request).to_bytes().into())
    }
}

impl Codec<sync::Response<Quittance>> for Canonical {
    type Error = DecodeError;

    fn decode(&self, bytes: Bytes) -> Result<sync::Response<Quittance>, DecodeError> {
        Response::from_bytes(&bytes).map(response_in)
    }

    fn encode(&self, response: &sync::Response<Quittance>) -> Result<Bytes, DecodeError> {
        Ok(response_out(0, response).to_bytes().into())
    }
}

impl HasEncodedLen<sync::Response<Quittance>> for Canonical {
    fn encoded_len(&self, response: &sync::Response<Quittance>) -> Result<usize, DecodeError> {
        Ok(response_out(0, response).to_bytes().len())
    }
}

pub fn request_out(id: u64, request: &sync::Request<Quittance>) -> Request {
    let sync::Request::ValueRequest(request) = request;
    let (first, last) = (request.range.start().height(), request.range.end().height());
    Request { id, first, last }
}

pub fn request_in(request: Request) -> sync::Request<Quittance> {
    let range = request.first.into()..=request.last.into();
    sync::Request::ValueRequest(ValueRequest::new(range))
}

pub fn response_out(id: u64, response: &sync::Response<Quittance>) -> Response {
    let sync::Response::ValueResponse(response) = response;
    let blocks = response.values.iter().map(block_out).collect();
    Response { id, first: response.start_height.height(), blocks }
}

pub fn response_in(response: Response) -> sync::Response<Quittance> {
    let values = response.blocks.into_iter().map(block_in).collect();
    sync::Response::ValueResponse(ValueResponse::new(response.first.into(), values))
}
