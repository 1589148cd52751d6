//! To the coordinator.

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::range_proof::joint::{BitMessage, PolynomialMessage, ShareMessage};
use quittance_crypto::signature::Signature;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_ledger::state::{MAX_MEMBERS, MAX_PARTIES};
use quittance_ledger::transaction::Posting;
use quittance_mpc::session::Evidence;

use super::{Attempt, Reason, begin, begun, bounded};
use crate::dealing::{Acknowledgement, Complaint, MAX_PUBLISHED};
use crate::envelope::{Content, Signed};
use crate::{VERSION, expect_version};

/// Complete bytes of a report.
pub const MAX_REPORT_BYTES: usize = 1 << 20;

/// What an attending participant or MPC party tells the coordinator. Tags count from 0 in this
/// order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// By a participant: it takes no part, nobody has to wait for it.
    Declined {
        /// In which round.
        round: RoundId,
        /// Why not.
        reason: Reason,
    },
    /// By a participant: it has dealt to all parties, or to as many as compute.
    Dealt {
        /// In which round.
        round: RoundId,
        /// The words of parties, all of one dealing and the same published parts.
        acknowledgements: Vec<Acknowledgement>,
        /// The complaints that these parts were published for: at most [`MAX_PUBLISHED`].
        complaints: Vec<Signed<Complaint>>,
    },
    /// By a participant: its part of the settlement.
    Posting {
        /// Where it belongs.
        attempt: Attempt,
        /// The posting.
        posting: Posting,
    },
    /// By a participant: its first message of the joint range proof.
    Bits {
        /// Where it belongs.
        attempt: Attempt,
        /// The message.
        message: BitMessage,
    },
    /// By a participant: its second message.
    Polynomials {
        /// Where it belongs.
        attempt: Attempt,
        /// The message.
        message: PolynomialMessage,
    },
    /// By a participant: its third message.
    Share {
        /// Where it belongs.
        attempt: Attempt,
        /// The message.
        message: ShareMessage,
    },
    /// By a participant: its signature under the proven settlement.
    Signature {
        /// Where it belongs.
        attempt: Attempt,
        /// By its transaction key, over the transaction's signing digest.
        signature: Signature,
    },
    /// By a participant: it does not go on. It cannot deny that later.
    Refused(Signed<Refusal>),
    /// By a party: the result is there.
    Computed {
        /// Where it belongs.
        attempt: Attempt,
        /// Which session has computed it.
        session: Digest,
        /// How many times the program's step was computed.
        steps: u32,
        /// Commitments to the nets of all banks, by place in the roster.
        nets: Vec<Commitment>,
    },
    /// By a party: there will be no result.
    Failed {
        /// Where it belongs.
        attempt: Attempt,
        /// The number of the exchange in which it has ended.
        exchange: u32,
        /// Whose messages were missing or wrong there: at most [`MAX_PARTIES`]. Itself, if it does
        /// not take part.
        named: Vec<InstitutionId>,
        /// What proves that one of them has told two parties different things, if it has signed that.
        evidence: Option<Evidence>,
        /// Why not.
        reason: Reason,
    },
    /// By a participant: it cannot have its result.
    NoResult {
        /// Where it belongs.
        attempt: Attempt,
        /// Which parties gave it none, or wrong shares of it: at most [`MAX_PARTIES`].
        parties: Vec<InstitutionId>,
        /// Why not.
        reason: Reason,
    },
}

/// A participant's reason not to go on with a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// With which one.
    pub attempt: Attempt,
    /// Why not.
    pub reason: Reason,
}

impl Content for Refusal {
    const LABEL: &'static str = "quittance/v1/round-refusal";
}

impl Report {
    /// The round that it is about.
    pub fn round(&self) -> RoundId {
        match self {
            Self::Declined { round, .. } | Self::Dealt { round, .. } => *round,
            Self::Posting { attempt, .. }
            | Self::Bits { attempt, .. }
            | Self::Polynomials { attempt, .. }
            | Self::Share { attempt, .. }
            | Self::Signature { attempt, .. }
            | Self::Computed { attempt, .. }
            | Self::Failed { attempt, .. }
            | Self::NoResult { attempt, .. } => attempt.round,
            Self::Refused(refusal) => refusal.unverified().attempt.round,
        }
    }

    /// What it is, in a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Declined { .. } => "declined",
            Self::Dealt { .. } => "dealt",
            Self::Posting { .. } => "posting",
            Self::Bits { .. } => "bits",
            Self::Polynomials { .. } => "polynomials",
            Self::Share { .. } => "share",
            Self::Signature { .. } => "signature",
            Self::Refused(_) => "refused",
            Self::Computed { .. } => "computed",
            Self::Failed { .. } => "failed",
            Self::NoResult { .. } => "no result",
        }
    }
}

impl Encode for Refusal {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.attempt.encode(out);
        self.reason.encode(out);
    }
}

impl Decode for Refusal {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of a refusal")?;
        Ok(Self { attempt: Attempt::decode(input)?, reason: Reason::decode(input)? })
    }
}

impl Encode for Report {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Declined { round, reason } => {
                begin(out, 0);
                round.encode(out);
                reason.encode(out);
            }
            Self::Dealt { round, acknowledgements, complaints } => {
                begin(out, 1);
                round.encode(out);
                out.list(acknowledgements);
                out.list(complaints);
            }
            Self::Posting { attempt, posting } => with(out, 2, attempt, posting),
            Self::Bits { attempt, message } => with(out, 3, attempt, message),
            Self::Polynomials { attempt, message } => with(out, 4, attempt, message),
            Self::Share { attempt, message } => with(out, 5, attempt, message),
            Self::Signature { attempt, signature } => with(out, 6, attempt, signature),
            Self::Refused(refusal) => {
                begin(out, 7);
                refusal.encode(out);
            }
            Self::Computed { attempt, session, steps, nets } => {
                with(out, 8, attempt, session);
                out.u32(*steps);
                out.list(nets);
            }
            Self::Failed { attempt, exchange, named, evidence, reason } => {
                begin(out, 9);
                attempt.encode(out);
                out.u32(*exchange);
                out.list(named);
                out.list(evidence.as_slice());
                reason.encode(out);
            }
            Self::NoResult { attempt, parties, reason } => {
                begin(out, 10);
                attempt.encode(out);
                out.list(parties);
                reason.encode(out);
            }
        }
    }
}

fn with(out: &mut Writer, tag: u8, attempt: &Attempt, content: &impl Encode) {
    begin(out, tag);
    attempt.encode(out);
    content.encode(out);
}

impl Decode for Report {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = begun(input, 11, "report")?;
        match tag {
            0 => {
                let (round, reason) = (RoundId::decode(input)?, Reason::decode(input)?);
                return Ok(Self::Declined { round, reason });
            }
            1 => {
                let round = RoundId::decode(input)?;
                let acknowledgements = input.list(MAX_PARTIES, "acknowledgements")?;
                let complaints = input.list(MAX_PUBLISHED, "complaints")?;
                return Ok(Self::Dealt { round, acknowledgements, complaints });
            }
            7 => return Signed::decode(input).map(Self::Refused),
            _ => {}
        }
        let attempt = Attempt::decode(input)?;
        Ok(match tag {
            2 => Self::Posting { attempt, posting: Posting::decode(input)? },
            3 => Self::Bits { attempt, message: BitMessage::decode(input)? },
            4 => Self::Polynomials { attempt, message: PolynomialMessage::decode(input)? },
            5 => Self::Share { attempt, message: ShareMessage::decode(input)? },
            6 => Self::Signature { attempt, signature: Signature::decode(input)? },
            8 => Self::Computed {
                attempt,
                session: Digest::decode(input)?,
                steps: input.u32("steps")?,
                nets: input.list(MAX_MEMBERS, "nets")?,
            },
            9 => Self::Failed {
                attempt,
                exchange: input.u32("exchange")?,
                named: input.list(MAX_PARTIES, "named parties")?,
                evidence: input.list(1, "evidence")?.pop(),
                reason: Reason::decode(input)?,
            },
            _ => Self::NoResult {
                attempt,
                parties: input.list(MAX_PARTIES, "named parties")?,
                reason: Reason::decode(input)?,
            },
        })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        bounded(bytes, MAX_REPORT_BYTES, "report")
    }
}
