//! Catching up: who is how far, and the blocks that one lacks.

use bytes::Bytes;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::block::MAX_BLOCK_BYTES;
use quittance_ledger::certificate::Certificate;
use quittance_ledger::ids::Height;

/// Blocks of one response.
pub const MAX_RESPONSE_BLOCKS: usize = 16;

/// Bytes of one response: one block of the greatest length with the certificate of the greatest
/// set, or several small ones.
pub const MAX_RESPONSE_BYTES: usize = MAX_BLOCK_BYTES + (2 << 20);

/// How far a validator is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The last height that it has committed; 0 before the first.
    pub tip: Height,
    /// The first height whose block it can hand out.
    pub first: Height,
}

/// Asks for the blocks of some heights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Names the request in the response.
    pub id: u64,
    /// The first height.
    pub first: Height,
    /// The last height.
    pub last: Height,
}

/// A decided block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedBlock {
    /// Its complete canonical bytes.
    pub block: Bytes,
    /// What makes it final.
    pub certificate: Certificate,
}

/// Decided blocks, in the order of their heights; fewer than asked for, if they are long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The request's.
    pub id: u64,
    /// The first height that was asked for.
    pub first: Height,
    /// The blocks.
    pub blocks: Vec<DecidedBlock>,
}

impl Encode for Status {
    fn encode(&self, out: &mut Writer) {
        self.tip.encode(out);
        self.first.encode(out);
    }
}

impl Decode for Status {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { tip: Height::decode(input)?, first: Height::decode(input)? })
    }
}

impl Encode for Request {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.id);
        self.first.encode(out);
        self.last.encode(out);
    }
}

impl Decode for Request {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = input.u64("request id")?;
        let (first, last) = (Height::decode(input)?, Height::decode(input)?);
        match first <= last {
            true => Ok(Self { id, first, last }),
            false => Err(input.invalid("requested heights", "the last is before the first")),
        }
    }
}

impl Encode for DecidedBlock {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.block);
        self.certificate.encode(out);
    }
}

impl Decode for DecidedBlock {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let block = Bytes::copy_from_slice(input.bytes(MAX_BLOCK_BYTES, "block")?);
        Ok(Self { block, certificate: Certificate::decode(input)? })
    }
}

impl Encode for Response {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.id);
        self.first.encode(out);
        out.list(&self.blocks);
    }
}

impl Decode for Response {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: input.u64("request id")?,
            first: Height::decode(input)?,
            blocks: input.list(MAX_RESPONSE_BLOCKS, "decided blocks")?,
        })
    }
}
