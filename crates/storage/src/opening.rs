//! How a database is opened: looked at first, and changed only if all is there.

use std::fs::{self, File};
use std::path::Path;

use quittance_crypto::planted;
use rocksdb::{ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, Options};

use crate::error::StorageError;
use crate::marker::{Mark, Marker};

/// Opens the database in a folder, or makes it there; with what was acknowledged before.
pub(crate) fn open(path: &Path, tables: &[&str]) -> Result<(DB, Mark), StorageError> {
    check_processor()?;
    let mark = match Mark::read(path).map_err(|source| file(path, source))? {
        Some(mark) => mark,
        None => {
            make_folder(path)?;
            refuse_remains(path)?;
            Marker::create(path)?;
            Mark::default()
        }
    };
    let mut options = database_options();
    match mark.is_nothing() {
        true => {
            // What an attempt that was cut short has left, if anything.
            DB::destroy(&options, path).map_err(|source| failed(path, "clear", source))?;
            options.create_if_missing(true);
            options.create_missing_column_families(true);
        }
        false => examine(path, tables, &mark)?,
    }
    let db = DB::open_cf_descriptors(&options, path, families(tables));
    Ok((db.map_err(|source| failed(path, "open the database", source))?, mark))
}

/// `.cargo/config.toml` has RocksDB use these instructions unasked.
fn check_processor() -> Result<(), StorageError> {
    #[cfg(target_arch = "x86_64")]
    for (there, name) in [
        (std::arch::is_x86_feature_detected!("sse4.2"), "SSE 4.2"),
        (std::arch::is_x86_feature_detected!("pclmulqdq"), "PCLMULQDQ"),
    ] {
        if !there {
            return Err(StorageError::Processor(name));
        }
    }
    Ok(())
}

/// Compares what is there with what was acknowledged. RocksDB changes nothing of it meanwhile.
fn examine(path: &Path, tables: &[&str], mark: &Mark) -> Result<(), StorageError> {
    let lost = |what: String| StorageError::Lost { path: path.to_owned(), what };
    mark.manifest.check(path).map_err(lost)?;
    let options = database_options();
    let found = DB::list_cf(&options, path);
    let found = found.map_err(|source| failed(path, "open the database", source))?;
    compare_tables(path, &found, tables)?;
    let db = DB::open_cf_descriptors_read_only(&options, path, families(tables), false)
        .map_err(|source| failed(path, "open the database", source))?;
    let (found, expected) = (db.latest_sequence_number(), mark.sequence);
    match planted!("shortened-log-accepted", false, found < expected) {
        true => {
            Err(lost(format!("it ends with change {found}, change {expected} was acknowledged")))
        }
        false => Ok(()),
    }
}

/// RocksDB opens only what it is told of, and says of anything else that it cannot.
fn compare_tables(path: &Path, found: &[String], tables: &[&str]) -> Result<(), StorageError> {
    let missing: Vec<_> =
        tables.iter().filter(|name| !found.iter().any(|it| it == *name)).collect();
    let unknown: Vec<_> = found.iter().filter(|name| !tables.contains(&name.as_str())).collect();
    if missing.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    let missing = missing.iter().map(|name| format!("table {name} is missing"));
    let unknown = unknown.iter().map(|name| format!("table {name} is unknown"));
    let what = missing.chain(unknown).collect::<Vec<_>>().join(", ");
    Err(StorageError::OtherTables { path: path.to_owned(), what })
}

/// Makes a folder and those above it, with their names on the disk.
fn make_folder(path: &Path) -> Result<(), StorageError> {
    let above = match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => return Ok(()),
    };
    let sync = || File::open(above).and_then(|folder| folder.sync_all());
    if path.is_dir() {
        // Somebody else has made it, maybe just now. The folder above it may be unreadable for us.
        let _ = sync();
        return Ok(());
    }
    make_folder(above)?;
    fs::create_dir(path).map_err(|source| file(path, source))?;
    planted!("folder-not-synced", Ok(()), sync()).map_err(|source| file(above, source))
}

/// A database whose marker is gone or unreadable is not begun anew.
fn refuse_remains(path: &Path) -> Result<(), StorageError> {
    let entries = fs::read_dir(path).map_err(|source| file(path, source))?;
    for entry in entries {
        let name = entry.map_err(|source| file(path, source))?.file_name();
        let name = name.to_string_lossy();
        let remains = name == "CURRENT"
            || name.starts_with("MANIFEST-")
            || name.ends_with(".sst")
            || name.ends_with(".log");
        if remains {
            let problem = format!("missing or unreadable, although there is {name} beside it");
            return Err(StorageError::Marker { path: Marker::path(path), problem });
        }
    }
    Ok(())
}

fn families(tables: &[&str]) -> Vec<ColumnFamilyDescriptor> {
    tables.iter().map(|name| ColumnFamilyDescriptor::new(*name, table_options())).collect()
}

fn database_options() -> Options {
    let mut options = Options::default();
    options.set_paranoid_checks(true);
    // Whatever is torn, recovery ends before it; the marker tells whether that was the end.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    // A log that is not the last one is missed when it is gone or too short.
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_keep_log_file_num(4);
    options
}

fn table_options() -> Options {
    let mut options = Options::default();
    // Commitments, proofs, signatures and seals are random bytes: nothing compresses.
    options.set_compression_type(DBCompressionType::None);
    options.set_paranoid_checks(true);
    options
}

pub(crate) fn failed(path: &Path, action: &'static str, source: rocksdb::Error) -> StorageError {
    StorageError::Database { path: path.to_owned(), action, source }
}

fn file(path: &Path, source: std::io::Error) -> StorageError {
    StorageError::File { path: path.to_owned(), source }
}
