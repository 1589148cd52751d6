//! What a participant does not accept.

use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof::RangeProofError;
use quittance_crypto::range_proof::joint::JointError;
use quittance_ledger::build::BuildError;
use quittance_ledger::ids::RoundId;
use quittance_ledger::verify::VerificationError;
use thiserror::Error;

use crate::settlement::{NetsError, PostingError, ProposalError, StartError};

/// Why a start does not begin anything for a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BeginError {
    /// The round's opener has not signed it, or the ledger forbids it.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The bank is left out.
    #[error("the bank is not in the roster")]
    NotInRoster,
    /// It names another dealing than the bank's.
    #[error("the start names another dealing for the bank than its own, {own}")]
    OtherDealing {
        /// What the bank has dealt.
        own: Digest,
    },
}

/// What is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Deviation {
    /// About another round.
    #[error("the instruction is about the round {0}")]
    OtherRound(RoundId),
    /// About another attempt.
    #[error("the instruction is about attempt {0}")]
    OtherAttempt(u8),
    /// It does not come at this point.
    #[error("{instruction} does not come here")]
    OutOfTurn {
        /// What came.
        instruction: &'static str,
    },
    /// Something else of the same kind has come before.
    #[error("a second {instruction} contradicts the first")]
    Contradiction {
        /// What came twice.
        instruction: &'static str,
    },
    /// The nets are none.
    #[error("the result: {0}")]
    Nets(#[from] NetsError),
    /// The bank's own posting is not what the nets lead to.
    #[error("the own posting: {0}")]
    OwnPosting(#[from] PostingError),
    /// The bank cannot open its own new balance.
    #[error("the own posting is not opened by its opening")]
    OwnOpening,
    /// The body is not the settlement that was computed.
    #[error(transparent)]
    Proposal(#[from] ProposalError),
    /// The body has another posting of this bank than the one it has sent.
    #[error("the proposal has changed the bank's own posting")]
    OwnPostingChanged,
    /// A message of the joint proof.
    #[error("the joint proof: {0}")]
    Joint(#[from] JointError),
    /// The proof is not one of the proposal.
    #[error("the range proof: {0}")]
    Proof(#[from] RangeProofError),
    /// The settlement cannot be signed.
    #[error("the settlement: {0}")]
    Build(#[from] BuildError),
    /// What is called settled is not what this bank has signed.
    #[error("the settlement is not the one that was signed")]
    OtherSettlement,
    /// What is called settled does not verify.
    #[error("the settlement: {0}")]
    Settlement(#[from] VerificationError),
}
