//! What can go wrong with a load.

use std::io;
use std::path::PathBuf;

use quittance_crypto::keyfile::KeyFileError;
use quittance_ledger::build::BuildError;
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::payload::{ParticularsError, PayloadError};
use quittance_ledger::state::StateError;
use quittance_ledger::transaction::Malformed;
use quittance_ledger::verify::VerificationError;
use quittance_rpc::client::ConnectError;
use thiserror::Error;

use crate::client::ClientError;
use crate::demo::error::DemoError;
use crate::testnet::plan::PlanError;

/// Why a load was not measured to its end.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The arguments make no sense together.
    #[error("{0}")]
    Arguments(String),
    /// The network cannot be made, or one of its processes has ended.
    #[error(transparent)]
    Network(#[from] DemoError),
    /// The network cannot be laid out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A file could not be read or written.
    #[error("{path}: {reason}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// A bank's keys cannot be read.
    #[error("the keys of a bank: {0}")]
    Keys(#[from] KeyFileError),
    /// A transfer cannot be made.
    #[error("a transfer cannot be made: {0}")]
    Build(#[from] BuildError),
    /// A transfer cannot be made.
    #[error("a transfer cannot be made: {0}")]
    Malformed(#[from] Malformed),
    /// A transfer cannot be made.
    #[error("a transfer cannot be made: {0}")]
    Particulars(#[from] ParticularsError),
    /// A credit cannot be read.
    #[error("a credit cannot be read: {0}")]
    Payload(#[from] PayloadError),
    /// No credit for a bank.
    #[error("{0} gets nothing to begin with")]
    NotFunded(InstitutionId),
    /// The genesis makes no state.
    #[error("genesis: {0}")]
    State(#[from] StateError),
    /// A transfer that was made here does not verify.
    #[error("a transfer that was made for the load does not verify: {0}")]
    Verification(#[from] VerificationError),
    /// A bank's certificate cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No connection to a validator.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A validator refuses a call.
    #[error("{validator} answers {code}: {message}", code = .status.code(), message = .status.message())]
    Call {
        /// Which validator.
        validator: InstitutionId,
        /// Its answer.
        status: Box<tonic::Status>,
    },
    /// A transfer is rejected.
    #[error("{validator} rejects a transfer: {reason}")]
    Rejected {
        /// Which validator.
        validator: InstitutionId,
        /// Its reason.
        reason: String,
    },
    /// What a validator says makes no sense.
    #[error("{validator} answers what makes no sense: {reason}")]
    Answer {
        /// Which validator.
        validator: InstitutionId,
        /// What is wrong.
        reason: String,
    },
    /// The validators do not begin.
    #[error("{validator} has no block after {seconds} s: its log says why")]
    NoBlock {
        /// Which validator.
        validator: InstitutionId,
        /// How long was waited.
        seconds: u64,
    },
    /// Nothing has become final for long.
    #[error("{left} of {all} transfers are not final, and none has become final for {seconds} s")]
    Stalled {
        /// How many are left.
        left: usize,
        /// Of how many.
        all: usize,
        /// For how long.
        seconds: u64,
    },
    /// The report has no text. Cannot happen.
    #[error("the report: {0}")]
    Json(#[from] serde_json::Error),
    /// Ctrl-C, or a defect.
    #[error("interrupted")]
    Interrupted,
}
