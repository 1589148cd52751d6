//! The commands and what they print.

mod evidence;
mod files;
mod receipt;

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use quittance_audit::archive;
use quittance_audit::{Audit, Fault};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::receipt::Checkpoint;
use serde::Serialize;
use thiserror::Error;

use crate::source::{NodeArguments, Source, SourceError};

/// Verifies a Quittance chain with code of its own, trusting no node.
#[derive(Debug, Parser)]
#[command(name = "quittance-audit", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replays a chain from its genesis and verifies everything in it.
    Verify(Verify),
    /// Writes a chain as a node tells it to a file, to be verified elsewhere.
    Export(Export),
    /// Verifies receipts, offline, and shows and fetches them.
    #[command(subcommand)]
    Receipt(receipt::Command),
    /// Verifies, offline, that validators have contradicted themselves; fetches and shows the evidence.
    #[command(subcommand)]
    Evidence(evidence::Command),
}

#[derive(Debug, Args)]
struct Verify {
    /// A file written by `quittance-audit export`.
    #[arg(long, value_name = "FILE", conflicts_with = "node", required_unless_present = "node")]
    file: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArguments,
    /// The chain's genesis (JSON) as you know it. Without it the source's own is used, and all you
    /// know is that the chain follows from that: compare the chain id.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Write the result as JSON to this file; `-` for standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// If the chain is sound, write its last block as a checkpoint for receipts to this new file.
    #[arg(long, value_name = "FILE")]
    write_checkpoint: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Export {
    #[command(flatten)]
    node: NodeArguments,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What came of an audit.
pub enum Verdict {
    /// Everything holds.
    Sound,
    /// A fault was found and reported.
    Faulty,
}

/// Why an audit could not be carried out.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The chain could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file could not be read or written.
    #[error("{path}: {problem}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The source is of another chain than the genesis given.
    #[error("this is chain {found}; the genesis given is that of chain {expected}")]
    OtherChain {
        /// By the genesis given.
        expected: String,
        /// By the source.
        found: String,
    },
}

/// The result as JSON.
#[derive(Serialize)]
struct Report<'a> {
    verified: bool,
    chain: String,
    height: u64,
    blocks: u64,
    transactions: u64,
    range_proofs: u64,
    signatures: u64,
    state_root: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Fault>,
}

/// Carries out a command.
pub async fn run(arguments: Arguments) -> Result<Verdict, AuditError> {
    match arguments.command {
        Command::Verify(verify) => run_verify(verify).await,
        Command::Export(export) => run_export(export).await,
        Command::Receipt(command) => receipt::run(command).await,
        Command::Evidence(command) => evidence::run(command).await,
    }
}

async fn run_verify(arguments: Verify) -> Result<Verdict, AuditError> {
    let mut source = match &arguments.file {
        Some(file) => Source::file(file)?,
        None => Source::node(&arguments.node).await?,
    };
    let genesis = match &arguments.genesis {
        Some(path) => known_genesis(path, source.genesis())?,
        None => source.genesis().clone(),
    };
    let (audit, fault) = match Audit::begin(&genesis) {
        Ok(mut audit) => {
            let fault = replay(&mut audit, &mut source).await?;
            (Some(audit), fault)
        }
        Err(fault) => (None, Some(fault)),
    };
    let totals = audit.as_ref().map(Audit::totals).unwrap_or_default();
    let report = Report {
        verified: fault.is_none(),
        chain: genesis.chain_id().to_string(),
        height: audit.as_ref().map_or(0, Audit::height),
        blocks: totals.blocks,
        transactions: totals.transactions,
        range_proofs: totals.range_proofs,
        signatures: totals.signatures,
        state_root: audit.as_ref().map(|audit| audit.root().to_string()).unwrap_or_default(),
        failure: fault.as_ref(),
    };
    publish(&report, arguments.json.as_deref(), arguments.genesis.is_some())?;
    let sound = audit.as_ref().filter(|_| fault.is_none());
    if let Some((audit, path)) = sound.zip(arguments.write_checkpoint.as_ref()) {
        write_checkpoint(path, &audit.checkpoint())?;
    }
    Ok(if fault.is_none() { Verdict::Sound } else { Verdict::Faulty })
}

fn known_genesis(path: &Path, found: &Genesis) -> Result<Genesis, AuditError> {
    let failed = |problem: String| AuditError::File { path: path.to_owned(), problem };
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let genesis: Genesis =
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    let (expected, found) = (genesis.chain_id().to_string(), found.chain_id().to_string());
    match expected == found {
        true => Ok(genesis),
        false => Err(AuditError::OtherChain { expected, found }),
    }
}

/// The first fault, if there is one.
async fn replay(audit: &mut Audit, source: &mut Source) -> Result<Option<Fault>, AuditError> {
    while let Some((block, certificate)) = source.next().await? {
        if let Err(fault) = audit.block(&block, &certificate) {
            return Ok(Some(fault));
        }
        if audit.height().is_multiple_of(1_000) {
            eprintln!("verified up to block {}", audit.height());
        }
    }
    Ok(None)
}

fn publish(report: &Report<'_>, json: Option<&Path>, known: bool) -> Result<(), AuditError> {
    match json {
        Some(path) => write_json(path, report),
        None => {
            print_report(report, known);
            Ok(())
        }
    }
}

/// Writes a result as JSON to a file; `-` for standard output.
fn write_json(path: &Path, result: &impl Serialize) -> Result<(), AuditError> {
    let text = serde_json::to_string_pretty(result).unwrap_or_default();
    if path == Path::new("-") {
        println!("{text}");
        return Ok(());
    }
    fs::write(path, text + "\n")
        .map_err(|error| AuditError::File { path: path.to_owned(), problem: error.to_string() })
}

/// Writes a checkpoint, and says where and what it is known by.
fn write_checkpoint(path: &Path, checkpoint: &Checkpoint) -> Result<(), AuditError> {
    files::write_new(path, checkpoint)?;
    let (height, digest) = (checkpoint.height, checkpoint.digest());
    eprintln!("{}: checkpoint at block {height}, digest {digest}", path.display());
    Ok(())
}

fn print_report(report: &Report<'_>, known: bool) {
    let genesis = if known { "as given" } else { "as told by the source: compare it" };
    println!("chain          {} ({genesis})", report.chain);
    println!("blocks         {}", report.blocks);
    println!("transactions   {}", report.transactions);
    println!("range proofs   {}", report.range_proofs);
    println!("signatures     {}", report.signatures);
    println!("state root     {} after block {}", report.state_root, report.height);
    match report.failure {
        None => println!("VERIFIED: every rule holds, and each asset sums to zero."),
        Some(fault) => println!("NOT VERIFIED: {fault}"),
    }
}

async fn run_export(arguments: Export) -> Result<Verdict, AuditError> {
    let path = arguments.out;
    let failed =
        |error: std::io::Error| AuditError::File { path: path.clone(), problem: error.to_string() };
    let mut source = Source::node(&arguments.node).await?;
    let file = fs::File::create_new(&path).map_err(failed)?;
    let mut out = archive::Writer::begin(BufWriter::new(file), source.genesis()).map_err(failed)?;
    let mut blocks = 0u64;
    while let Some((block, certificate)) = source.next().await? {
        out.block(&block, &certificate).map_err(failed)?;
        blocks += 1;
    }
    let mut file = out.finish().map_err(failed)?;
    file.flush().and_then(|()| file.get_ref().sync_all()).map_err(failed)?;
    println!("{}: {blocks} blocks of chain {}", path.display(), source.genesis().chain_id());
    Ok(Verdict::Sound)
}
