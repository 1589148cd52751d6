//! What commands read and write.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use quittance_audit::Fault;
use quittance_audit::receipt::genesis_root;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::receipt::Checkpoint;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::AuditError;

/// Bytes of a genesis or a checkpoint in JSON.
const MAX_ROOT_FILE: u64 = 1 << 28;

/// What is trusted.
#[derive(Debug, Args)]
pub(super) struct RootArguments {
    /// The chain's genesis (JSON) as you know it.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "checkpoint",
        required_unless_present = "checkpoint"
    )]
    genesis: Option<PathBuf>,
    /// A checkpoint (JSON) that you trust, of a block before those that are verified.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl RootArguments {
    /// The root; the inner error says what is wrong with the genesis.
    pub(super) fn read(&self) -> Result<Result<Checkpoint, Fault>, AuditError> {
        match (&self.genesis, &self.checkpoint) {
            (Some(path), _) => Ok(genesis_root(&read::<Genesis>(path, MAX_ROOT_FILE)??)),
            (None, Some(path)) => Ok(Ok(read::<Checkpoint>(path, MAX_ROOT_FILE)??)),
            (None, None) => unreachable!("one of them is required"),
        }
    }
}

/// A value from a JSON file: the outer error says that there is none, the inner that it is
/// something else.
pub(super) fn read<T: DeserializeOwned>(
    path: &Path,
    limit: u64,
) -> Result<Result<T, AuditError>, AuditError> {
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
