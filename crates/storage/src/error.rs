//! What can go wrong with a store.

use std::path::PathBuf;

use quittance_crypto::encoding::DecodeError;
use thiserror::Error;

/// Why a store could not be opened, read or written.
#[derive(Debug, Error)]
pub enum StorageError {
    /// RocksDB is compiled for other processors than this one.
    #[error(
        "this processor lacks {0}, which the store needs: run on an x86-64 server of 2010 or later"
    )]
    Processor(&'static str),
    /// RocksDB failed.
    #[error("{path}: cannot {action}: {source}")]
    Database {
        /// The database's folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// RocksDB's reason.
        source: rocksdb::Error,
    },
    /// The folder holds something else.
    #[error("{path}: holds {found}, not {expected}")]
    OtherDatabase {
        /// The database's folder.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The folder holds tables of something else.
    #[error(
        "{path}: is the database of another version, or of another process: {what}; use the folder \
         of this process, or the version that made it"
    )]
    OtherTables {
        /// The database's folder.
        path: PathBuf,
        /// Which tables are missing or unknown.
        what: String,
    },
    /// Stored bytes do not decode: the disk, or something that wrote to it, is at fault.
    #[error("{path}: table {table} is damaged: {source}")]
    Damaged {
        /// The database's folder.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// What does not decode, and where.
        source: DecodeError,
    },
    /// A table that the database was not opened with: a defect of the caller.
    #[error("{path}: there is no table {table}")]
    NoTable {
        /// The database's folder.
        path: PathBuf,
        /// The table.
        table: &'static str,
    },
    /// What was acknowledged is not there any more.
    #[error("{path}: acknowledged changes are missing: {what}")]
    Lost {
        /// The database's folder.
        path: PathBuf,
        /// What is missing, and how that shows.
        what: String,
    },
    /// The file that says what was acknowledged cannot be used.
    #[error("{path}: {problem}")]
    Marker {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file or folder cannot be read or made.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A write has failed before: what is on the disk is unknown until the database is opened again.
    #[error("{path}: nothing is read or written after a write that failed")]
    Halted {
        /// The database's folder.
        path: PathBuf,
    },
}
