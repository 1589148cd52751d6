//! `quittance governance`: what validators decide, made, signed and submitted by their operators.
//!
//! - [`chain`]: the register that a proposal is made for and held against.
//! - [`form`]: the JSON that an operator writes.
//! - [`file`]: the file that goes from one operator to the next: canonical bytes and signatures.
//! - [`describe`]: what a proposal changes, in words.
//!
//! A proposal is a transaction without range proofs: a decision of the validators, or an
//! institution's new key (made by `quittance keys rotate`). Nothing here is trusted by anybody else:
//! the validators check it again when it is submitted.

pub mod chain;
pub mod describe;
mod error;
pub mod file;
pub mod form;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use quittance_crypto::signature::Purpose;
use quittance_ledger::build::Unsigned;
use quittance_ledger::execute::{ExecutionError, admits};
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::state::State;
use quittance_ledger::transaction::{Action, Transaction};
use quittance_rpc::submit::{Outcome, Submitter};

use crate::keys;
use chain::{Chain, ChainArguments, Register};
use file::Proposal;
use form::Form;

pub use error::GovernanceError;

/// Subcommands of `governance`.
#[derive(Debug, Subcommand)]
pub enum GovernanceCommand {
    /// Makes the proposal of a decision from its description, and shows what it will change.
    Make {
        /// What is to be decided: JSON with `effective` and `changes`.
        form: PathBuf,
        /// The proposal's file to make. One that exists is left as it is.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The chain that it is for.
        #[command(flatten)]
        chain: ChainArguments,
    },
    /// Shows what a proposal changes, and who has signed it.
    Show {
        /// The proposal.
        file: PathBuf,
        /// The chain that it is for.
        #[command(flatten)]
        chain: ChainArguments,
    },
    /// Shows a proposal and adds an operator's signature to its file.
    Sign {
        /// The proposal.
        file: PathBuf,
        /// The key file of the institution that signs.
        #[arg(long, value_name = "FILE")]
        keys: PathBuf,
        /// The file with its passphrase. Default: `passphrase` beside the key file.
        #[arg(long, value_name = "FILE")]
        passphrase: Option<PathBuf>,
        /// The chain that it is for.
        #[command(flatten)]
        chain: ChainArguments,
    },
    /// Brings the signatures of several copies of one proposal together.
    Join {
        /// The copy that gets all signatures.
        file: PathBuf,
        /// The other copies.
        #[arg(required = true)]
        others: Vec<PathBuf>,
    },
    /// Submits a proposal that all have signed, and waits for what becomes of it.
    Submit {
        /// The proposal.
        file: PathBuf,
        /// The longest wait, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        within: u64,
        /// The chain that it is for; a node is needed.
        #[command(flatten)]
        chain: ChainArguments,
    },
}

/// Carries out a subcommand; what is to be shown.
pub async fn run(command: GovernanceCommand) -> Result<String, GovernanceError> {
    match command {
        GovernanceCommand::Make { form, out, chain } => make(&form, &out, chain).await,
        GovernanceCommand::Show { file, chain } => {
            let (proposal, register) = read(&file, &chain.resolve()?).await?;
            Ok(describe::proposal(&proposal, &register))
        }
        GovernanceCommand::Sign { file, keys, passphrase, chain } => {
            sign(&file, &keys, &keys::beside(&keys, passphrase), &chain.resolve()?).await
        }
        GovernanceCommand::Join { file, others } => join(&file, &others),
        GovernanceCommand::Submit { file, within, chain } => {
            submit(&file, within, &chain.resolve()?).await
        }
    }
}

async fn make(form: &Path, out: &Path, chain: ChainArguments) -> Result<String, GovernanceError> {
    if out.exists() {
        return Err(GovernanceError::Exists(out.to_owned()));
    }
    let form = Form::read(form)?;
    let register = chain.resolve()?.register().await?;
    let proposal = Proposal::new(form.body(&register)?);
    create(&proposal, out)?;
    let shown = describe::proposal(&proposal, &register);
    Ok(format!("{shown}\nThe proposal is in {}; nobody has signed it yet.\n", out.display()))
}

/// Writes a new file.
pub(crate) fn create(proposal: &Proposal, out: &Path) -> Result<(), GovernanceError> {
    proposal.create(out).map_err(|reason| match reason.kind() {
        io::ErrorKind::AlreadyExists => GovernanceError::Exists(out.to_owned()),
        _ => GovernanceError::Write { path: out.to_owned(), reason },
    })
}

fn replace(proposal: &Proposal, path: &Path) -> Result<(), GovernanceError> {
    let failed = |reason| GovernanceError::Write { path: path.to_owned(), reason };
    proposal.replace(path).map_err(failed)
}

/// A proposal for this chain whose signatures hold.
async fn read(file: &Path, chain: &Chain) -> Result<(Proposal, Register), GovernanceError> {
    let proposal = Proposal::read(file)?;
    let (expected, found) = (chain.id(), proposal.body().chain);
    if expected != found {
        return Err(GovernanceError::OtherChain { path: file.to_owned(), expected, found });
    }
    let register = chain.register().await?;
    proposal.verify(file, &register.state)?;
    Ok((proposal, register))
}

async fn sign(
    file: &Path,
    keys: &Path,
    secret: &Path,
    chain: &Chain,
) -> Result<String, GovernanceError> {
    let (mut proposal, register) = read(file, chain).await?;
    let ring = keys::unlock(keys, secret)?;
    let unsigned = Unsigned::new(proposal.body().clone(), Vec::new())?;
    let signer = ring.name().parse::<InstitutionId>().ok();
    let named = signer.and_then(|id| Some((id, *unsigned.signers().get(&id)?)));
    let Some((institution, fingerprint)) = named else {
        return Err(GovernanceError::NotASigner {
            path: file.to_owned(),
            institution: ring.name().to_owned(),
            signers: describe::names(unsigned.signers().keys()),
        });
    };
    let key = ring.signing_key(Purpose::Transaction, &fingerprint);
    let key = key.ok_or_else(|| GovernanceError::NoKey {
        path: keys.to_owned(),
        institution,
        fingerprint: fingerprint.to_string(),
    })?;
    proposal.add(unsigned.sign(institution, key)?);
    proposal.verify(file, &register.state)?;
    replace(&proposal, file)?;
    let shown = describe::proposal(&proposal, &register);
    Ok(format!("{shown}\n{institution} has signed.\n"))
}

fn join(file: &Path, others: &[PathBuf]) -> Result<String, GovernanceError> {
    let mut proposal = Proposal::read(file)?;
    for path in others {
        proposal.join(path, &Proposal::read(path)?)?;
    }
    replace(&proposal, file)?;
    let signed = describe::names(proposal.signatures().keys());
    Ok(format!("{} has the signatures of {signed}\n", file.display()))
}

async fn submit(file: &Path, within: u64, chain: &Chain) -> Result<String, GovernanceError> {
    let node = chain.node()?;
    let (proposal, register) = read(file, chain).await?;
    check_signed(&proposal, &register.state)?;
    check_window(&proposal, &register)?;
    let action = &proposal.body().action;
    refusals(action, admits(&register.state, action, register.height.next()))?;
    let transaction = proposal.transaction()?;
    transaction.clone().verify(&register.state)?;
    let id = transaction.id();
    settle(&Submitter::new(&node), &transaction, within).await?;
    let height = chain.proven(id).await?;
    let effective = describe::effective(action);
    Ok(format!(
        "final in block {height}, as transaction {id}; it takes effect at height {effective}\n"
    ))
}

async fn settle(
    submitter: &Submitter,
    transaction: &Transaction,
    within: u64,
) -> Result<(), GovernanceError> {
    let settled = submitter.settle(transaction);
    let settled = tokio::time::timeout(Duration::from_secs(within), settled).await;
    match settled.map_err(|_| GovernanceError::TimedOut(within))?? {
        // A node's word, which is not enough.
        Outcome::Final { .. } => Ok(()),
        Outcome::Rejected { code, reason } => Err(GovernanceError::Rejected { code, reason }),
    }
}

/// All who are named have signed, and those who have are enough.
fn check_signed(proposal: &Proposal, register: &State) -> Result<(), GovernanceError> {
    let missing = proposal.missing();
    if missing.is_empty() {
        return Ok(());
    }
    let who = describe::names(missing.iter());
    let Action::Governance(_) = &proposal.body().action else {
        return Err(GovernanceError::Unsigned(format!("{who} has not signed")));
    };
    let validators = register.validators();
    let power = |id: &InstitutionId| validators.get(*id).map_or(0, |validator| validator.power);
    let signed = proposal.signatures().keys().map(power).fold(0, u64::saturating_add);
    let total = validators.total_power();
    Err(GovernanceError::Unsigned(match validators.is_quorum(signed) {
        false => format!(
            "voting power {signed} of {total} has signed, which is not more than two thirds; \
             missing: {who}"
        ),
        true => format!(
            "{who} is named and has not signed; power {signed} of {total} has, which is enough: \
             make the proposal again, with `approvals` that name the others only"
        ),
    }))
}

/// The next block may include it.
fn check_window(proposal: &Proposal, register: &Register) -> Result<(), GovernanceError> {
    let (expiry, height) = (proposal.body().expiry, register.height);
    if expiry <= height {
        let reason =
            format!("it could be included up to height {expiry}; the chain is at {height}");
        return Err(GovernanceError::Refused(reason));
    }
    let from = describe::window(proposal.body(), &register.state).0;
    match from > height.next() {
        true => Err(GovernanceError::TooEarly { from, height }),
        false => Ok(()),
    }
}

/// What the ledger says, with the change in question by its place and its name.
pub(crate) fn refusals(
    action: &Action,
    verdict: Result<(), ExecutionError>,
) -> Result<(), GovernanceError> {
    verdict.map_err(|error| {
        GovernanceError::Refused(match (&error, action) {
            (ExecutionError::ChangeRefused { index, source }, Action::Governance(decision)) => {
                let change = decision.changes.get(*index as usize);
                let name = change.map(describe::kind).unwrap_or_default();
                format!("changes[{index}] ({name}): {source}")
            }
            _ => error.to_string(),
        })
    })
}
