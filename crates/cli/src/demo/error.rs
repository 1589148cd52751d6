//! What can go wrong in a run.

use std::io;
use std::path::PathBuf;

use quittance_ledger::ids::InstitutionId;
use quittance_rpc::client::ConnectError;
use thiserror::Error;

use super::currency::Currency;
use super::input::Problems;
use crate::client::ClientError;
use crate::supervisor::ProcessError;
use crate::testnet::TestnetError;

/// Why the demonstration ended early.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The files are wrong. Nothing was started.
    #[error("{0}")]
    Input(#[from] Problems),
    /// The network's files could not be made.
    #[error("the network cannot be made: {0}")]
    Testnet(#[from] TestnetError),
    /// No ports.
    #[error("no {0} consecutive free ports between 17000 and 32000 on 127.0.0.1")]
    Ports(u16),
    /// A process did not start, or ended.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file could not be read or written.
    #[error("{path}: {reason}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// A bank's certificate cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No connection to an agent.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A process did not come up in time.
    #[error("{process} is not ready after {seconds} s: {reason}")]
    NotReady {
        /// Which.
        process: String,
        /// How long was waited.
        seconds: u64,
        /// What it answered last.
        reason: String,
    },
    /// An agent refused a call.
    #[error("the agent of {bank} refuses to {what}: {reason}")]
    Call {
        /// Whose agent.
        bank: InstitutionId,
        /// What was asked of it.
        what: String,
        /// Its status.
        reason: Box<tonic::Status>,
    },
    /// An agent answered what it should not.
    #[error("the agent of {bank} answered {what}")]
    Answer {
        /// Whose agent.
        bank: InstitutionId,
        /// What it said.
        what: String,
    },
    /// An instruction failed.
    #[error("{what} of {bank} failed: {reason}")]
    Failed {
        /// Whose instruction.
        bank: InstitutionId,
        /// Which.
        what: String,
        /// What its agent says.
        reason: String,
    },
    /// Something took too long.
    #[error("{what} took longer than {seconds} s; logs are in the processes' folders")]
    TooSlow {
        /// What.
        what: String,
        /// The limit.
        seconds: u64,
    },
    /// No round with all banks.
    #[error(
        "no netting round in {currency} brought all banks together in {attempts} attempts; the last one: {reason}"
    )]
    Round {
        /// In which currency.
        currency: Currency,
        /// How often it was tried.
        attempts: u32,
        /// What went wrong last.
        reason: String,
    },
    /// Balances that contradict the payments.
    #[error("{bank} has {found} {currency}, but should have {expected}")]
    DoesNotAddUp {
        /// Whose account.
        bank: InstitutionId,
        /// In which currency.
        currency: Currency,
        /// What its agent says.
        found: String,
        /// Starting balance and net.
        expected: String,
    },
    /// The auditor's program is not there.
    #[error("{path} is not there: build it with `cargo build --release --bin quittance-audit`", path = .0.display())]
    NoAuditor(PathBuf),
    /// The auditor's program failed.
    #[error("the auditor found a fault, or could not work ({status}): {output}")]
    Audit {
        /// How it ended.
        status: String,
        /// What it said.
        output: String,
    },
    /// The report has no JSON.
    #[error("the report cannot be written: {0}")]
    Json(#[from] serde_json::Error),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}
