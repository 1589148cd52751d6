//! Ordered tables with atomic, synced batches.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::planted;
use rocksdb::{ColumnFamily, DB, Direction, IteratorMode, WriteBatch, WriteOptions};

use crate::error::StorageError;
use crate::marker::{Manifest, Mark, Marker};
use crate::opening::{self, failed};

/// The table that every database has besides its own: what it is.
pub(crate) const IDENTITY_TABLE: &str = "default";
const IDENTITY_KEY: &[u8] = b"identity";

/// A table by its name. Keys are sorted as byte strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table(pub &'static str);

/// A key with its value, as bytes.
pub type Row = (Vec<u8>, Vec<u8>);

/// What a database is, written when it is made and compared when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What is kept in it, such as `chain` or `agent`; at most 64 bytes.
    pub kind: String,
    /// The version of its format. A database of any other version is refused.
    pub format: u32,
    /// Whose it is: the chain's id, or a digest of chain and institution.
    pub owner: Digest,
}

/// Writes that happen together or not at all.
#[derive(Default)]
pub struct Batch(Vec<Change>);

struct Change {
    table: Table,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Batch {
    /// No writes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value, in place of any other under the key.
    pub fn put(&mut self, table: Table, key: &[u8], value: &impl Encode) {
        self.put_bytes(table, key, value.to_bytes());
    }

    /// Puts raw bytes.
    pub fn put_bytes(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.0.push(Change { table, key: key.to_vec(), value: Some(value) });
    }

    /// Removes what is under the key, if anything.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.0.push(Change { table, key: key.to_vec(), value: None });
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As many bytes as RocksDB needs for it: a block of megabytes is not moved as it grows.
    fn capacity(&self) -> usize {
        // Kind, table, and two lengths.
        const HEAD: usize = 16;
        let length = |value: &Vec<u8>| value.len();
        let changes = self.0.iter();
        changes.map(|it| HEAD + it.key.len() + it.value.as_ref().map_or(0, length)).sum::<usize>()
            + HEAD
    }
}

/// An open database. One process at a time can have it open.
pub struct Database {
    /// Nothing once a write has failed: a closed database has no threads that could stumble over
    /// the end of the process, or try again to write.
    db: RwLock<Option<DB>>,
    path: PathBuf,
    writer: Mutex<Acknowledged>,
}

/// What has been acknowledged, and where that is written down.
struct Acknowledged {
    marker: Marker,
    mark: Mark,
}

impl Database {
    /// Opens the database in the folder `path`, or makes it there if the folder is empty or
    /// missing. Refuses a database with another identity or with other tables, and one that does
    /// not hold all that was acknowledged.
    pub fn open(path: &Path, identity: &Identity, tables: &[Table]) -> Result<Self, StorageError> {
        let names: Vec<&str> = tables.iter().map(|table| table.0).chain([IDENTITY_TABLE]).collect();
        let (db, mark) = opening::open(path, &names)?;
        let writer = Mutex::new(Acknowledged { marker: Marker::open(path)?, mark });
        let database = Self { db: RwLock::new(Some(db)), path: path.to_owned(), writer };
        database.check_identity(identity, mark.is_nothing())?;
        database.settle()?;
        Ok(database)
    }

    /// The folder it lies in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn check_identity(&self, expected: &Identity, new: bool) -> Result<(), StorageError> {
        let table = Table(IDENTITY_TABLE);
        let found = match self.get::<Identity>(table, IDENTITY_KEY)? {
            Some(found) if found == *expected => return Ok(()),
            Some(found) => found.to_string(),
            None if new => {
                let mut batch = Batch::new();
                batch.put(table, IDENTITY_KEY, expected);
                return self.write(batch);
            }
            None => "something without an identity".to_owned(),
        };
        let (path, expected) = (self.path.clone(), expected.to_string());
        Err(StorageError::OtherDatabase { path, found, expected })
    }

    /// Writes down, in both places of the marker and on the disk, what opening has left.
    fn settle(&self) -> Result<(), StorageError> {
        let mut writer = self.writer();
        writer.mark = self.with(|db| Ok(self.mark(db, writer.mark)))?;
        let mark = writer.mark;
        writer.marker.settle(mark)
    }

    /// Does something with the database, unless a write has failed.
    fn with<T>(
        &self,
        work: impl FnOnce(&DB) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        work(db.as_ref().ok_or_else(|| StorageError::Halted { path: self.path.clone() })?)
    }

    /// Waits for those who read, and closes the database.
    fn halt(&self) {
        drop(self.db.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn writer(&self) -> MutexGuard<'_, Acknowledged> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a batch: all of it is on the disk when this returns `Ok`. After an error the process
    /// must end: the database is closed, nothing more is written or read, and opening it again tells
    /// what was written.
    pub fn write(&self, batch: Batch) -> Result<(), StorageError> {
        let mut writer = self.writer();
        let written = self.with(|db| {
            let writes = self.writes(db, batch)?;
            self.write_synced(db, writes, &mut writer)
        });
        if planted!("written-after-a-failure", false, written.is_err()) {
            self.halt();
        }
        written
    }

    fn writes(&self, db: &DB, batch: Batch) -> Result<WriteBatch, StorageError> {
        let mut writes = WriteBatch::with_capacity_bytes(batch.capacity());
        for Change { table, key, value } in batch.0 {
            let family = self.family(db, table)?;
            match value {
                Some(value) => writes.put_cf(family, key, value),
                None => writes.delete_cf(family, key),
            }
        }
        Ok(writes)
    }

    fn write_synced(
        &self,
        db: &DB,
        writes: WriteBatch,
        writer: &mut Acknowledged,
    ) -> Result<(), StorageError> {
        let mut synced = WriteOptions::default();
        synced.set_sync(planted!("acknowledged-before-sync", false, true));
        db.write_opt(writes, &synced).map_err(|source| self.failed("write", source))?;
        writer.mark = self.mark(db, writer.mark);
        writer.marker.set(writer.mark)
    }

    /// What the database holds for certain, after a write has returned.
    fn mark(&self, db: &DB, before: Mark) -> Mark {
        let sequence = db.latest_sequence_number();
        // In this order: what runs only after the length was read cannot have added to it.
        let manifest = Manifest::read(&self.path, before.manifest).ok().filter(|_| is_quiet(db));
        Mark { sequence, manifest: manifest.unwrap_or(before.manifest) }
    }

    /// The raw bytes under a key.
    pub fn get_bytes(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.with(|db| {
            let family = self.family(db, table)?;
            db.get_cf(family, key).map_err(|source| self.failed("read", source))
        })
    }

    /// The value under a key.
    pub fn get<T: Decode>(&self, table: Table, key: &[u8]) -> Result<Option<T>, StorageError> {
        let bytes = self.get_bytes(table, key)?;
        bytes.map(|bytes| self.decode(table, &bytes)).transpose()
    }

    /// Up to `limit` keys with their bytes, from `first` on in ascending order.
    pub fn scan(&self, table: Table, first: &[u8], limit: usize) -> Result<Vec<Row>, StorageError> {
        self.rows(table, IteratorMode::From(first, Direction::Forward), limit)
    }

    /// The last key with its bytes.
    pub fn last(&self, table: Table) -> Result<Option<Row>, StorageError> {
        Ok(self.rows(table, IteratorMode::End, 1)?.pop())
    }

    /// Decodes bytes read from `table`; an error names this database.
    pub fn decode<T: Decode>(&self, table: Table, bytes: &[u8]) -> Result<T, StorageError> {
        T::from_bytes(bytes).map_err(|source| self.damaged(table, source))
    }

    pub(crate) fn damaged(&self, table: Table, source: DecodeError) -> StorageError {
        StorageError::Damaged { path: self.path.clone(), table: table.0, source }
    }

    fn rows(
        &self,
        table: Table,
        mode: IteratorMode<'_>,
        limit: usize,
    ) -> Result<Vec<Row>, StorageError> {
        self.with(|db| {
            let rows = db.iterator_cf(self.family(db, table)?, mode).take(limit);
            rows.map(|row| match row {
                Ok((key, value)) => Ok((key.into_vec(), value.into_vec())),
                Err(source) => Err(self.failed("read", source)),
            })
            .collect()
        })
    }

    fn family<'a>(&self, db: &'a DB, table: Table) -> Result<&'a ColumnFamily, StorageError> {
        db.cf_handle(table.0)
            .ok_or_else(|| StorageError::NoTable { path: self.path.clone(), table: table.0 })
    }

    fn failed(&self, action: &'static str, source: rocksdb::Error) -> StorageError {
        failed(&self.path, action, source)
    }
}

/// Whether nothing is about to change the list of files: what is being written there may not be on
/// the disk.
fn is_quiet(db: &DB) -> bool {
    let counters = ["rocksdb.num-running-flushes", "rocksdb.num-running-compactions"];
    counters.iter().all(|name| matches!(db.property_int_value(*name), Ok(Some(0))))
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {} store, format {}, of {}", self.kind, self.format, self.owner)
    }
}

impl Encode for Identity {
    fn encode(&self, out: &mut Writer) {
        out.bytes(self.kind.as_bytes());
        out.u32(self.format);
        self.owner.encode(out);
    }
}

impl Decode for Identity {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = String::from_utf8(input.bytes(64, "kind of store")?.to_vec())
            .map_err(|_| input.invalid("kind of store", "not UTF-8"))?;
        Ok(Self { kind, format: input.u32("format")?, owner: Digest::decode(input)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Table = Table("one");
    const TWO: Table = Table("two");

    fn identity() -> Identity {
        Identity { kind: "test".into(), format: 1, owner: Digest([7; 32]) }
    }

    fn open(path: &Path, identity: &Identity) -> Result<Database, StorageError> {
        Database::open(path, identity, &[ONE, TWO])
    }

    #[test]
    fn a_batch_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(folder.path(), &identity()).unwrap();
        let mut batch = Batch::new();
        batch.put(ONE, b"b", &2u64);
        batch.put(ONE, b"a", &1u64);
        batch.put(TWO, b"a", &3u64);
        batch.delete(TWO, b"a");
        database.write(batch).unwrap();
        drop(database);

        let database = open(folder.path(), &identity()).unwrap();
        assert_eq!(database.get::<u64>(ONE, b"a").unwrap(), Some(1));
        assert_eq!(database.get::<u64>(TWO, b"a").unwrap(), None);
        let keys: Vec<_> =
            database.scan(ONE, b"", 9).unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [b"a", b"b"]);
        assert_eq!(database.scan(ONE, b"b", 9).unwrap().len(), 1);
        assert_eq!(database.last(ONE).unwrap().unwrap().0, b"b");
        assert!(database.last(TWO).unwrap().is_none());
    }

    #[test]
    fn a_database_of_another_kind_format_or_owner_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path(), &identity()).unwrap());
        let others = [
            Identity { kind: "other".into(), ..identity() },
            Identity { format: 2, ..identity() },
            Identity { owner: Digest::ZERO, ..identity() },
        ];
        for other in others {
            let error = open(folder.path(), &other).err().unwrap();
            assert!(matches!(error, StorageError::OtherDatabase { .. }), "{error}");
        }
        open(folder.path(), &identity()).unwrap();
    }

    #[test]
    fn a_database_with_other_tables_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path(), &identity()).unwrap());
        let others = [Table("three"), TWO];
        let error = Database::open(folder.path(), &identity(), &others).err().unwrap();
        let expected = "is the database of another version, or of another process: table three is \
                        missing, table one is unknown";
        assert!(error.to_string().contains(expected), "{error}");
        open(folder.path(), &identity()).unwrap();
    }

    #[test]
    fn a_second_opening_and_damaged_values_are_refused_with_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(folder.path(), &identity()).unwrap();
        assert!(matches!(
            open(folder.path(), &identity()).err().unwrap(),
            StorageError::Database { action: "open the database", .. }
        ));
        let mut batch = Batch::new();
        batch.put_bytes(ONE, b"a", vec![1, 2, 3]);
        database.write(batch).unwrap();
        let error = database.get::<u64>(ONE, b"a").unwrap_err();
        assert!(error.to_string().contains("table one is damaged: integer: input ends early"));
    }
}
