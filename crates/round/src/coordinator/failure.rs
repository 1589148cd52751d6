//! How rounds end, and why reports are refused.

use std::fmt;

use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof::Element;
use quittance_crypto::range_proof::joint::JointError;
use quittance_crypto::signature::SignatureError;
use quittance_ledger::build::BuildError;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_ledger::state::Settled;
use quittance_mpc::PartiesError;
use quittance_mpc::session::Evidence;
use thiserror::Error;

use super::Phase;
use crate::dealing::ComplaintError;
use crate::message::{Attempt, Reason};
use crate::settlement::{NetsError, PostingError, StartError};
use crate::start::RosterError;

/// How a round ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// On the ledger.
    Settled(Settled),
    /// Without a settlement. Its locks end at its deadline.
    Failed(Failure),
}

/// Why a round failed. Who is named has been seen to fail; who is *disputed* contradicts others,
/// which does not tell who is right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The opening is not on the ledger.
    #[error("the round was not opened in time")]
    NotOpened,
    /// Not enough banks have dealt.
    #[error("{found} banks have dealt in time, at least {minimum} are needed")]
    TooFew {
        /// How many have.
        found: usize,
        /// How many it takes.
        minimum: usize,
    },
    /// The ledger does not settle it any more.
    #[error("the round's deadline has passed during {phase}")]
    DeadlinePassed {
        /// When.
        phase: Phase,
    },
    /// Somebody did not do its part in time.
    #[error("time is over for {phase}; missing: {}", list(missing))]
    TimedOut {
        /// When.
        phase: Phase,
        /// Who.
        missing: Vec<Missing>,
    },
    /// Parties report that there is no result.
    #[error("there is no result: {}{}", list(words), silent_too(silent))]
    NotComputed {
        /// The committee's t.
        threshold: u8,
        /// What they say.
        words: Vec<PartyFailure>,
        /// Who has said nothing since.
        silent: Vec<InstitutionId>,
    },
    /// A party has signed two different things where it had to say one to all.
    #[error("{party} has contradicted itself: {evidence}")]
    Contradiction {
        /// Who.
        party: InstitutionId,
        /// The proof, which has been verified.
        evidence: Box<Evidence>,
    },
    /// A participant cannot have its result.
    #[error("{institution} has no result: {reason}")]
    NoResult {
        /// Who reports it.
        institution: InstitutionId,
        /// Which parties gave it none, or wrong shares of it, as it says.
        parties: Vec<InstitutionId>,
        /// What it says.
        reason: Reason,
    },
    /// Parties report different results.
    #[error("the parties do not agree on the result; disputed: {}", list(parties))]
    Disputed {
        /// Those that are in dispute with at least `n - t` others, or all.
        parties: Vec<InstitutionId>,
    },
    /// All parties agree on what cannot be a result.
    #[error("the parties' result: {0}")]
    Nets(#[from] NetsError),
    /// A participant does not go on, and has signed why.
    #[error("{institution} refuses: {reason}")]
    Refused {
        /// Who.
        institution: InstitutionId,
        /// What it says.
        reason: Reason,
    },
    /// A participant of the roster declines after all: it has been restarted.
    #[error("{institution} has withdrawn: {reason}")]
    Withdrawn {
        /// Who.
        institution: InstitutionId,
        /// What it says.
        reason: Reason,
    },
    /// The shares of these do not fit what they sent before.
    #[error("the proof shares of {} do not fit their earlier messages", list(institutions))]
    BadShares {
        /// Who.
        institutions: Vec<InstitutionId>,
    },
    /// The joint proof failed, and nobody can be blamed.
    #[error("the range proof: {0}")]
    Proof(#[from] JointError),
    /// What was gathered cannot be a roster.
    #[error("the roster: {0}")]
    Roster(#[from] RosterError),
    /// The committee cannot compute.
    #[error("the committee: {0}")]
    Committee(#[from] PartiesError),
    /// What was gathered cannot start.
    #[error("the start: {0}")]
    Start(#[from] StartError),
    /// What was gathered cannot be a transaction.
    #[error("the settlement: {0}")]
    Build(#[from] BuildError),
}

/// Somebody who has not done its part in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Who.
    pub institution: InstitutionId,
    /// Why the last thing that it did was refused.
    pub fault: Option<ReportError>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            None => write!(f, "{}", self.institution),
            Some(fault) => write!(f, "{} ({fault})", self.institution),
        }
    }
}

/// An active party's word that there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyFailure {
    /// Who reports it.
    pub party: InstitutionId,
    /// In which exchange its session has ended.
    pub exchange: u32,
    /// Whose messages were missing or wrong there, as it says.
    pub named: Vec<InstitutionId>,
    /// What it says.
    pub reason: Reason,
}

impl fmt::Display for PartyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} could not compute (exchange {}): {}", self.party, self.exchange, self.reason)
    }
}

fn silent_too(silent: &[InstitutionId]) -> String {
    match silent {
        [] => String::new(),
        some => format!("; nothing from {}", list(some)),
    }
}

fn list(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gathering => "gathering",
            Self::Computing => "computing",
            Self::Postings => "postings",
            Self::Bits => "bits",
            Self::Polynomials => "polynomials",
            Self::Shares => "shares",
            Self::Signatures => "signatures",
            Self::Settling => "settling",
            Self::Over => "over",
        })
    }
}

/// Why a report was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReportError {
    /// About another round.
    #[error("it is about the round {0}")]
    OtherRound(RoundId),
    /// About another attempt.
    #[error("it is about attempt {}", .0.number)]
    OtherAttempt(Attempt),
    /// Not what this phase is for.
    #[error("{report} does not belong to {phase}")]
    OutOfTurn {
        /// What was reported.
        report: &'static str,
        /// When.
        phase: Phase,
    },
    /// Only the round's parties compute.
    #[error("it is not a party of the round's committee")]
    NotAParty,
    /// Only the roster takes part.
    #[error("it is not in the roster")]
    NotInRoster,
    /// Something else has been reported before.
    #[error("it has reported something else before")]
    Repeated,
    /// Acknowledgements that do not show a dealing.
    #[error("its acknowledgements: {0}")]
    Acknowledgements(#[from] AcknowledgementsError),
    /// A posting that is not what was computed.
    #[error("its posting: {0}")]
    Posting(#[from] PostingError),
    /// A message about another balance.
    #[error("it proves another balance than its new one")]
    OtherCommitment,
    /// A message that no honest prover sends.
    #[error("it sent the identity for its {0}")]
    IdentityPoint(Element),
    /// A signature that does not hold.
    #[error("{0}")]
    Signature(#[from] SignatureError),
    /// Signed by somebody else.
    #[error("it is signed by {0}")]
    OtherSigner(InstitutionId),
    /// No key to verify it with.
    #[error("it has no key for this")]
    NoKey,
    /// A result for another number of banks.
    #[error("{found} nets for {expected} banks")]
    NetsCount {
        /// The size of the roster.
        expected: usize,
        /// The number of commitments.
        found: usize,
    },
}

/// Why acknowledgements do not show that a bank has dealt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AcknowledgementsError {
    /// Not one of each of `2t + 1` parties or more.
    #[error("not one from each of enough parties")]
    Parties,
    /// Of another round.
    #[error("{0} acknowledges in another round")]
    OtherRound(InstitutionId),
    /// Of another bank's dealing.
    #[error("{party} acknowledges a dealing of {dealer}")]
    OtherDealer {
        /// Who acknowledges.
        party: InstitutionId,
        /// Whose dealing.
        dealer: InstitutionId,
    },
    /// Not all of one dealing.
    #[error("{party} acknowledges the dealing {found}, another party {expected}")]
    OtherDealing {
        /// Who acknowledges.
        party: InstitutionId,
        /// What the first party has.
        expected: Digest,
        /// What this one has.
        found: Digest,
    },
    /// Not all of the same published parts.
    #[error("{0} acknowledges other published parts than another party")]
    OtherParts(InstitutionId),
    /// More complaints than there are corrupt parties: one of them is an honest party's.
    #[error("more complaints than parties can be corrupt")]
    TooManyComplaints,
    /// Parts were published that nobody has complained of, or not for each complaint.
    #[error("the published parts are not those of the complainants")]
    NotPublished,
    /// Not a complaint of this dealing.
    #[error("{party}: {source}")]
    Complaint {
        /// Who is said to complain.
        party: InstitutionId,
        /// What is wrong.
        source: ComplaintError,
    },
    /// Not signed by the party.
    #[error("{party}: {source}")]
    Signature {
        /// Who is said to acknowledge.
        party: InstitutionId,
        /// What is wrong.
        source: SignatureError,
    },
    /// A party without a key.
    #[error("{0} has no round key")]
    NoKey(InstitutionId),
}
