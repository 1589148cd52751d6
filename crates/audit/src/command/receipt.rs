//! Receipts on the command line.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use quittance_audit::Fault;
use quittance_audit::receipt::{Verdict as Proof, verify_file};
use quittance_ledger::ids::{AccountId, Height, IdError, Timestamp, TransactionId};
use quittance_ledger::receipt::{MAX_RECEIPT_BYTES, ReceiptFile};
use quittance_rpc::receipt::{Query, Subject};
use serde::Serialize;

use super::files::{RootArguments, read, write_new};
use super::{AuditError, Verdict, write_json};
use crate::show;
use crate::source::{NodeArguments, fetch_receipt};

/// Bytes of a file that holds a receipt in hexadecimal, with its summary.
const MAX_FILE: u64 = 3 * MAX_RECEIPT_BYTES as u64;

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
    #[command(flatten)]
    root: RootArguments,
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
    let root = arguments.root.read()?;
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

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
