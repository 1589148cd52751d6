//! From the coordinator.

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::range_proof::joint::{BitMessage, PolynomialMessage};
use quittance_crypto::range_proof::{MAX_AGGREGATION, RangeProof};
use quittance_ledger::ids::RoundId;
use quittance_ledger::transaction::{Body, Transaction};

use super::{Attempt, Reason, begin, begun, bounded};
use crate::envelope::Signed;
use crate::start::Start;

/// Complete bytes of an instruction.
pub const MAX_INSTRUCTION_BYTES: usize = 4 << 20;

/// What the coordinator tells those who attend. Tags count from 0 in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Computation begins.
    Start(Signed<Start>),
    /// What is to be proven and signed.
    Proposal {
        /// Where it belongs.
        attempt: Attempt,
        /// The body of the settlement.
        body: Body,
    },
    /// The first messages of all positions of the proof, padding included.
    AllBits {
        /// Where they belong.
        attempt: Attempt,
        /// The messages, by position.
        messages: Vec<BitMessage>,
    },
    /// The second messages of all positions.
    AllPolynomials {
        /// Where they belong.
        attempt: Attempt,
        /// The messages, by position.
        messages: Vec<PolynomialMessage>,
    },
    /// The proof of the proposal.
    Proven {
        /// Where it belongs.
        attempt: Attempt,
        /// The proof.
        proof: RangeProof,
    },
    /// The settlement with all its signatures; anybody may submit it.
    Settled {
        /// Where it belongs.
        attempt: Attempt,
        /// The transaction.
        transaction: Transaction,
    },
    /// The round will not settle, as far as the coordinator is concerned.
    Abandoned {
        /// Where it belongs.
        attempt: Attempt,
        /// Why.
        reason: Reason,
    },
}

impl Instruction {
    /// Where it belongs. That of a start is not verified.
    pub fn attempt(&self) -> Attempt {
        match self {
            Self::Start(start) => {
                let Start { round, attempt, .. } = *start.unverified();
                Attempt { round, number: attempt }
            }
            Self::Proposal { attempt, .. }
            | Self::AllBits { attempt, .. }
            | Self::AllPolynomials { attempt, .. }
            | Self::Proven { attempt, .. }
            | Self::Settled { attempt, .. }
            | Self::Abandoned { attempt, .. } => *attempt,
        }
    }

    /// The round that it is about.
    pub fn round(&self) -> RoundId {
        self.attempt().round
    }

    /// What it is, in a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start(_) => "start",
            Self::Proposal { .. } => "proposal",
            Self::AllBits { .. } => "all bits",
            Self::AllPolynomials { .. } => "all polynomials",
            Self::Proven { .. } => "proven",
            Self::Settled { .. } => "settled",
            Self::Abandoned { .. } => "abandoned",
        }
    }
}

impl Encode for Instruction {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Start(start) => {
                begin(out, 0);
                start.encode(out);
            }
            Self::Proposal { attempt, body } => with(out, 1, attempt, |out| body.encode(out)),
            Self::AllBits { attempt, messages } => with(out, 2, attempt, |out| out.list(messages)),
            Self::AllPolynomials { attempt, messages } => {
                with(out, 3, attempt, |out| out.list(messages));
            }
            Self::Proven { attempt, proof } => with(out, 4, attempt, |out| proof.encode(out)),
            Self::Settled { attempt, transaction } => {
                with(out, 5, attempt, |out| transaction.encode(out));
            }
            Self::Abandoned { attempt, reason } => with(out, 6, attempt, |out| reason.encode(out)),
        }
    }
}

fn with(out: &mut Writer, tag: u8, attempt: &Attempt, content: impl FnOnce(&mut Writer)) {
    begin(out, tag);
    attempt.encode(out);
    content(out);
}

impl Decode for Instruction {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = begun(input, 7, "instruction")?;
        if tag == 0 {
            return Signed::decode(input).map(Self::Start);
        }
        let attempt = Attempt::decode(input)?;
        Ok(match tag {
            1 => Self::Proposal { attempt, body: Body::decode(input)? },
            2 => Self::AllBits { attempt, messages: input.list(MAX_AGGREGATION, "messages")? },
            3 => {
                let messages = input.list(MAX_AGGREGATION, "messages")?;
                Self::AllPolynomials { attempt, messages }
            }
            4 => Self::Proven { attempt, proof: RangeProof::decode(input)? },
            5 => Self::Settled { attempt, transaction: Transaction::decode(input)? },
            _ => Self::Abandoned { attempt, reason: Reason::decode(input)? },
        })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        bounded(bytes, MAX_INSTRUCTION_BYTES, "instruction")
    }
}
