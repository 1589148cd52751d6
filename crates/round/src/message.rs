//! What participants and MPC parties tell the coordinator of a round, and what it tells them.
//!
//! None of it is secret: commitments, proofs, signatures, digests. Who sends a report is known by
//! the connection; what must be believed by others later is signed besides.

mod instruction;
mod reason;
mod report;
#[cfg(test)]
mod tests;

pub use instruction::{Instruction, MAX_INSTRUCTION_BYTES};
pub use reason::{MAX_REASON_BYTES, Reason};
pub use report::{MAX_REPORT_BYTES, Refusal, Report};

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use quittance_ledger::ids::RoundId;

use crate::{VERSION, expect_version};

/// Which attempt of which round a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    /// The round.
    pub round: RoundId,
    /// Its attempt, from 0.
    pub number: u8,
}

impl Encode for Attempt {
    fn encode(&self, out: &mut Writer) {
        self.round.encode(out);
        out.u8(self.number);
    }
}

impl Decode for Attempt {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { round: RoundId::decode(input)?, number: input.u8("attempt")? })
    }
}

fn begin(out: &mut Writer, tag: u8) {
    out.u8(VERSION);
    out.u8(tag);
}

/// Version and tag.
fn begun(input: &mut Reader<'_>, tags: u8, what: &'static str) -> Result<u8, DecodeError> {
    expect_version(input, what)?;
    input.tag(tags, what)
}

/// Refuses what is too long before any of it is read.
fn bounded<T: Decode>(bytes: &[u8], limit: usize, what: &'static str) -> Result<T, DecodeError> {
    let mut input = Reader::new(bytes);
    if bytes.len() > limit {
        let problem = Problem::TooLong { found: bytes.len(), limit };
        return Err(input.error_at(0, what, problem));
    }
    let value = T::decode(&mut input)?;
    input.finish()?;
    Ok(value)
}
