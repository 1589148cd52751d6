//! Evidence against validators on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use quittance_audit::Fault;
use quittance_audit::evidence::{EvidenceFile, Verdict as Proof, verify_file};
use quittance_ledger::ids::Height;
use serde::Serialize;

use super::files::{RootArguments, read, write_new};
use super::{AuditError, Verdict, write_json};
use crate::show;
use crate::source::{NodeArguments, fetch_evidence};

/// Bytes of a file of evidence.
const MAX_FILE: u64 = 1 << 28;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Verifies evidence offline, from a genesis or from a checkpoint.
    Verify(Verify),
    /// Prints what a file of evidence says, without verifying it.
    Show(Show),
    /// Asks a node for all evidence that it has stored.
    Fetch(Fetch),
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The evidence.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    root: RootArguments,
    /// Write the result as JSON to this file; `-` for standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The evidence.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub struct Fetch {
    #[command(flatten)]
    node: NodeArguments,
    /// The height of the checkpoint that it will be verified from; 0 for the genesis. Evidence of
    /// that height and those before is left out.
    #[arg(long, value_name = "HEIGHT", default_value_t = 0)]
    from: u64,
    /// The file to write. None is written if there is no evidence.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// The result as JSON.
#[derive(Serialize)]
struct Report<'a> {
    verified: bool,
    #[serde(flatten)]
    proof: Option<&'a Proof>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Fault>,
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
    let file: Result<EvidenceFile, _> = read(&arguments.file, MAX_FILE)?;
    let verified = root.and_then(|root| {
        // What is no evidence proves nothing.
        let file = file.map_err(Fault::format)?;
        verify_file(&file, &root)
    });
    let (proof, failure) = (verified.as_ref().ok(), verified.as_ref().err());
    let report = Report { verified: failure.is_none(), proof, failure };
    match (&arguments.json, &verified) {
        (Some(path), _) => write_json(path, &report)?,
        (None, Ok(proof)) => show::convicted(proof),
        (None, Err(fault)) => println!("NOT VERIFIED: {}", show::fault(fault)),
    }
    Ok(if verified.is_ok() { Verdict::Sound } else { Verdict::Faulty })
}

fn show(arguments: &Show) -> Result<Verdict, AuditError> {
    let file: EvidenceFile = read(&arguments.file, MAX_FILE)??;
    show::cases(file.evidence.chain, &file.evidence.cases());
    println!(
        "NOT VERIFIED: this is what the evidence says; `evidence verify` finds out if it is so."
    );
    Ok(Verdict::Sound)
}

async fn fetch(arguments: Fetch) -> Result<Verdict, AuditError> {
    let fetched = fetch_evidence(&arguments.node, Height(arguments.from)).await?;
    let Some(dossier) = fetched else {
        println!("the node has no evidence of a height after {}", arguments.from);
        return Ok(Verdict::Sound);
    };
    let cases = dossier.evidence.len();
    write_new(&arguments.out, &EvidenceFile::new(dossier))?;
    println!("{}: {cases} contradictions, not verified yet", arguments.out.display());
    Ok(Verdict::Sound)
}
