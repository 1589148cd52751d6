//! Receipts on the command line.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use quittance_audit::Fault;
use quittance_audit::receipt::{Verdict as Proof, genesis_root, verify_file};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{AccountId, Height, IdError, Timestamp, TransactionId};
use quittance_ledger::receipt::{Checkpoint, MAX_RECEIPT_BYTES, ReceiptFile};
use quittance_rpc::receipt::{Query, Subject};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{AuditError, Verdict, write_json};
use crate::show;
use crate::source::{NodeArguments, fetch_receipt};

/// Bytes of a file that holds a receipt in hexadecimal, with its summary.
const MAX_FILE: u64 = 3 * MAX_RECEIPT_BYTES as u64;

/// Bytes of a genesis or a checkpoint in JSON.
const MAX_ROOT_FILE: u64 = 1 << 28;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Verifies a receipt offline, from a genesis or from a checkpoint.
    Verify(Verify),
    /// Prints what a receipt says, without verifying it.
    Show(Show),
    /// Asks a node for a receipt.
    Fetch(Fetch),
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The receipt.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The chain's genesis (JSON) as you know it.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "checkpoint",
        required_unless_present = "checkpoint"
    )]
    genesis: Option<PathBuf>,
    /// A checkpoint (JSON) that you trust, of a block before the receipt's.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Say also how old everything is by this computer's clock.
    #[arg(long)]
    now: bool,
    /// Write the result as JSON to this file; `-` for standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Once the receipt has been verified, write the checkpoint that its block is to this new file.
    #[arg(long, value_name = "FILE")]
    write_checkpoint: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The receipt.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub struct Fetch {
    #[command(flatten)]
    node: NodeArguments,
    /// The transaction, by its id.
    #[arg(
        long,
        value_name = "ID",
        conflicts_with = "account",
        required_unless_present = "account"
    )]
    transaction: Option<TransactionId>,
    /// Name the transaction by its id alone, and show nothing of what it does.
    #[arg(long, requires = "transaction")]
    id_only: bool,
    /// The account at the last block: institution and asset, such as AAAABE01/EUR.
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    account: Option<AccountId>,
    /// The height of the checkpoint that it will be verified from; 0 for the genesis.
    #[arg(long, value_name = "HEIGHT", default_value_t = 0)]
    from: u64,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// The result as JSON.
#[derive(Serialize)]
struct Report<'a> {
    verified: bool,
    #[serde(flatten)]
    proof: Option<&'a Proof>,
    /// Milliseconds from the root to now, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    root_age_now: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Fault>,
}

fn account(text: &str) -> Result<AccountId, IdError> {
    let (institution, asset) = text.split_once('/').unwrap_or((text, ""));
    Ok(AccountId { institution: institution.parse()?, asset: asset.parse()? })
}

/// Carries out a command.
pub async fn run(command: Command) -> Result<Verdict, AuditError> {
    match command {
        Command::Verify(arguments) => verify(&arguments),
        Command::Show(arguments) => show(&arguments),
        Command::Fetch(arguments) => fetch(arguments).await,
    }
}

fn verify(arguments: &Verify) -> Result<Verdict, AuditError> {
    let root = match (&arguments.genesis, &arguments.checkpoint) {
        (Some(path), _) => genesis_root(&read::<Genesis>(path, MAX_ROOT_FILE)??),
        (None, Some(path)) => Ok(read::<Checkpoint>(path, MAX_ROOT_FILE)??),
        (None, None) => unreachable!("one of them is required"),
    };
    let file: Result<ReceiptFile, _> = read(&arguments.file, MAX_FILE)?;
    let verified = root.and_then(|root| {
        // What is no receipt proves nothing.
        let file = file.map_err(Fault::format)?;
        verify_file(&file, &root)
    });
    report(arguments, &verified)?;
    let checkpoint = verified.as_ref().ok().zip(arguments.write_checkpoint.as_ref());
    if let Some((proof, path)) = checkpoint {
        let failed =
            |problem: &str| AuditError::File { path: path.clone(), problem: problem.into() };
        let unknown = "the block announces other validators, which the receipt does not hold";
        let checkpoint = proof.checkpoint.as_ref().ok_or_else(|| failed(unknown))?;
        super::write_checkpoint(path, checkpoint)?;
    }
    Ok(if verified.is_ok() { Verdict::Sound } else { Verdict::Faulty })
}

fn report(arguments: &Verify, verified: &Result<Proof, Fault>) -> Result<(), AuditError> {
    let now = arguments.now.then(now);
    let (proof, failure) = (verified.as_ref().ok(), verified.as_ref().err());
    let age_of = |proof: &Proof| Some(now?.0.saturating_sub(proof.root.time.0));
    let report = Report {
        verified: failure.is_none(),
        proof,
        root_age_now: proof.and_then(age_of),
        failure,
    };
    match (&arguments.json, verified) {
        (Some(path), _) => write_json(path, &report),
        (None, Ok(proof)) => {
            show::proof(proof, now);
            Ok(())
        }
        (None, Err(fault)) => {
            println!("NOT VERIFIED: {}", show::fault(fault));
            Ok(())
        }
    }
}

fn show(arguments: &Show) -> Result<Verdict, AuditError> {
    let file: ReceiptFile = read(&arguments.file, MAX_FILE)??;
    show::receipt(&file.receipt);
    println!(
        "NOT VERIFIED: this is what the receipt says; `receipt verify` finds out if it is so."
    );
    Ok(Verdict::Sound)
}

async fn fetch(arguments: Fetch) -> Result<Verdict, AuditError> {
    let complete = !arguments.id_only;
    let subject = match (arguments.transaction, arguments.account) {
        (Some(id), _) => Subject::Transaction { id, complete },
        (None, Some(id)) => Subject::Account(id),
        (None, None) => unreachable!("one of them is required"),
    };
    let query = Query { subject, from: Height(arguments.from) };
    let receipt = fetch_receipt(&arguments.node, &query).await?;
    write_new(&arguments.out, &ReceiptFile::new(receipt))?;
    println!("{}: not verified yet", arguments.out.display());
    Ok(Verdict::Sound)
}

/// A value from a JSON file: the outer error says that there is none, the inner that it is
/// something else.
fn read<T: DeserializeOwned>(path: &Path, limit: u64) -> Result<Result<T, AuditError>, AuditError> {
    let failed = |problem: String| AuditError::File { path: path.to_owned(), problem };
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut text))
        .map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > limit {
        return Ok(Err(failed(format!("more than {limit} bytes"))));
    }
    Ok(serde_json::from_slice(&text).map_err(|error| failed(error.to_string())))
}

/// Writes a new file: none is written over.
pub(super) fn write_new(path: &Path, value: &impl Serialize) -> Result<(), AuditError> {
    let failed = |problem: String| AuditError::File { path: path.to_owned(), problem };
    let text = serde_json::to_string_pretty(value).map_err(|error| failed(error.to_string()))?;
    let file = fs::File::create_new(path).map_err(|error| failed(error.to_string()))?;
    let written = std::io::Write::write_all(&mut &file, (text + "\n").as_bytes());
    written.and_then(|()| file.sync_all()).map_err(|error| failed(error.to_string()))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
