//! Why something was not proposed, signed or submitted.

use std::io;
use std::path::PathBuf;

use quittance_ledger::build::BuildError;
use quittance_ledger::ids::{ChainId, Height, InstitutionId};
use quittance_ledger::transaction::Malformed;
use quittance_ledger::verify::VerificationError;
use quittance_rpc::client::ConnectError;
use quittance_rpc::config::ConfigError;
use quittance_rpc::follow::FollowError;
use quittance_rpc::receipt::ReceiptError;
use quittance_rpc::submit::SubmitError;
use thiserror::Error;

use super::file::ProposalError;
use super::form::FormError;
use crate::client::ClientError;
use crate::keys::KeysError;

/// Why something was not proposed, signed or submitted.
#[derive(Debug, Error)]
pub enum GovernanceError {
    /// What the operator has written.
    #[error(transparent)]
    Form(#[from] FormError),
    /// What other operators have made.
    #[error(transparent)]
    Proposal(#[from] ProposalError),
    /// A file could not be written.
    #[error("{path} cannot be written: {reason}", path = .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// The proposal's file is there already.
    #[error("{path} exists already, and is left as it is", path = .0.display())]
    Exists(PathBuf),
    /// The files that name the chain.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Certificates.
    #[error(transparent)]
    Certificate(#[from] ClientError),
    /// An option.
    #[error("--{option}: {problem}")]
    Option {
        /// Which one.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The node serves another chain.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The chain contradicts itself.
    #[error("the chain cannot be followed: {0}")]
    Chain(String),
    /// For another chain.
    #[error("{path}: the proposal is for chain {found}, not for {expected}", path = .path.display())]
    OtherChain {
        /// The proposal.
        path: PathBuf,
        /// Ours.
        expected: ChainId,
        /// The proposal's.
        found: ChainId,
    },
    /// No body.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// The chain does not admit it.
    #[error("the chain would refuse it: {0}")]
    Refused(String),
    /// Somebody without a part in it.
    #[error("{path}: {institution} does not sign it; those who do: {signers}", path = .path.display())]
    NotASigner {
        /// The proposal.
        path: PathBuf,
        /// Who wanted to sign.
        institution: String,
        /// Who should.
        signers: String,
    },
    /// The key that the proposal names is not in the key file.
    #[error(
        "{path}: the proposal names the transaction key {fingerprint} of {institution}, which is \
         not in this file",
        path = .path.display()
    )]
    NoKey {
        /// The key file.
        path: PathBuf,
        /// Whose.
        institution: InstitutionId,
        /// Which key.
        fingerprint: String,
    },
    /// The key file.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Too few have signed.
    #[error("{0}")]
    Unsigned(String),
    /// It cannot be included yet.
    #[error("it can be included from height {from} on; the chain is at {height}")]
    TooEarly {
        /// From when on.
        from: Height,
        /// Now.
        height: Height,
    },
    /// Cannot happen to what was checked.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A signature that does not hold.
    #[error("{0}")]
    Verification(#[from] VerificationError),
    /// There is no node to submit to.
    #[error("a node is needed: name it by --dir, --config, or --node with what belongs to it")]
    NoNode,
    /// The node does not take it.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The node has refused it.
    #[error("rejected ({code}): {reason}")]
    Rejected {
        /// The rule.
        code: String,
        /// What is wrong.
        reason: String,
    },
    /// The node says that it is final, and does not show it.
    #[error(
        "the node says that it is final, and does not prove it: {0}; submit the same file again, \
         through another node"
    )]
    Unproven(#[from] Box<ReceiptError>),
    /// Nothing was heard.
    #[error("it is not known within {0} seconds what became of it; submit the same file again")]
    TimedOut(u64),
}
