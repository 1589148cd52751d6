//! `SYNCED`: what a database must hold.
//!
//! The end of RocksDB's log looks the same whether a write was under way when the power went or
//! somebody, or a failing disk, has taken away what had been acknowledged. The first must be
//! recovered, the second must not pass. So a small file beside the database tells how far
//! acknowledgements have come. Each write is entered there before it is acknowledged, and brought
//! to the disk by a thread of its own: nobody waits for that, since a marker that lags behind
//! still tells the truth about what must be there. It lags by the writes of one sync's duration,
//! and only after a loss of power; until then the system has all of it.
//!
//! There are two places, written in turn and each with a checksum of its own, for a loss of power
//! can tear the one that is being written.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use quittance_crypto::digest::Digest;
use quittance_crypto::planted;

use crate::error::StorageError;

/// The file's name.
const NAME: &str = "SYNCED";

/// How far the two places are apart: whatever unit a disk writes at once, they do not share one.
const PLACE: u64 = 4096;

/// Bytes of a mark: three numbers, the digest of a list of files, and a checksum of all of it.
const LENGTH: usize = 3 * 8 + 2 * 32;

/// What a database must hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// RocksDB's number of the last change that was acknowledged.
    pub(crate) sequence: u64,
    /// Its list of files.
    pub(crate) manifest: Manifest,
}

/// A state of RocksDB's list of files, which is only ever continued, or replaced by one with a
/// higher number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manifest {
    number: u64,
    length: u64,
    digest: Digest,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { number: 0, length: 0, digest: checksum(&[]) }
    }
}

impl Manifest {
    /// The list that is in use in a folder; its content is read only if it is not as it was.
    pub(crate) fn read(folder: &Path, before: Self) -> io::Result<Self> {
        let (number, path) = current(folder)?;
        let length = fs::metadata(&path)?.len();
        if (number, length) == (before.number, before.length) {
            return Ok(before);
        }
        let mut bytes = fs::read(path)?;
        // It may have become longer meanwhile.
        bytes.truncate(length as usize);
        Ok(Self { number, length, digest: checksum(&bytes) })
    }

    /// Whether the list in use in a folder is this one or comes after it; if not, why.
    pub(crate) fn check(&self, folder: &Path) -> Result<(), String> {
        let read = current(folder).and_then(|(number, path)| Ok((number, fs::read(path)?)));
        let (number, bytes) = read.map_err(|error| format!("its list of files: {error}"))?;
        let beginning = bytes.get(..self.length as usize).map(checksum);
        let continued = number == self.number && beginning == Some(self.digest);
        match number > self.number || planted!("other-list-accepted", true, continued) {
            true => Ok(()),
            false => Err(format!(
                "its list of files, number {number} with {} bytes, does not continue number {} \
                 with {} bytes",
                bytes.len(),
                self.number,
                self.length
            )),
        }
    }
}

/// The list of files that is in use in a folder: its number, and where it is.
fn current(folder: &Path) -> io::Result<(u64, PathBuf)> {
    let current = fs::read_to_string(folder.join("CURRENT"))?;
    let name = current.trim_end();
    let number = name.strip_prefix("MANIFEST-").and_then(|number| number.parse().ok());
    let number = number.ok_or_else(|| io::Error::other(format!("CURRENT names {name:?}")))?;
    Ok((number, folder.join(name)))
}

impl Mark {
    /// Whether nothing was ever acknowledged.
    pub(crate) fn is_nothing(&self) -> bool {
        self.sequence == 0
    }

    /// What the marker in a folder says; `None` if there is none, or none that was ever completed.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(folder.join(NAME)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let marks = bytes.chunks(PLACE as usize).filter_map(Self::from_bytes);
        Ok(marks.max_by_key(|mark| (mark.sequence, mark.manifest.number, mark.manifest.length)))
    }

    fn to_bytes(self) -> Vec<u8> {
        let Self { sequence, manifest: Manifest { number, length, digest } } = self;
        let mut bytes = [sequence, number, length].map(u64::to_be_bytes).concat();
        bytes.extend(digest.0);
        bytes.extend(checksum(&bytes).0);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (content, sum) = bytes.get(..LENGTH)?.split_at_checked(LENGTH - 32)?;
        if checksum(content).0 != sum {
            return None;
        }
        let number = |place: usize| Some(u64::from_be_bytes(*content.get(place..)?.first_chunk()?));
        let digest = Digest(*content.last_chunk()?);
        let manifest = Manifest { number: number(8)?, length: number(16)?, digest };
        Some(Self { sequence: number(0)?, manifest })
    }
}

fn checksum(bytes: &[u8]) -> Digest {
    Digest::of("quittance/v1/synced", &[bytes])
}

/// An open marker.
pub(crate) struct Marker {
    shared: Arc<Shared>,
    /// The place that is written next.
    turn: u64,
    /// Tells the thread that there is something to sync. Closed to end it.
    waker: Option<SyncSender<()>>,
    syncer: Option<JoinHandle<()>>,
}

struct Shared {
    file: File,
    path: PathBuf,
    /// Why syncing has failed.
    failure: Mutex<Option<io::Error>>,
}

impl Marker {
    /// The marker of a folder.
    pub(crate) fn path(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }

    /// Makes a marker that says that nothing was acknowledged, on the disk with its name.
    pub(crate) fn create(folder: &Path) -> Result<(), StorageError> {
        let path = folder.join(NAME);
        let made = File::create(&path).and_then(|file| {
            let mut place = Mark::default().to_bytes();
            place.resize(PLACE as usize, 0);
            file.write_all_at(&place.repeat(2), 0)?;
            file.sync_all()?;
            File::open(folder)?.sync_all()
        });
        made.map_err(|source| StorageError::File { path, source })
    }

    /// Opens the marker of a folder, to write to it.
    pub(crate) fn open(folder: &Path) -> Result<Self, StorageError> {
        let path = folder.join(NAME);
        let open = OpenOptions::new().write(true).open(&path);
        let failed = |source| StorageError::File { path: path.clone(), source };
        let shared =
            Shared { file: open.map_err(failed)?, path: path.clone(), failure: Mutex::new(None) };
        let shared = Arc::new(shared);
        let (waker, woken) = sync_channel(1);
        let of_syncer = shared.clone();
        let syncer = std::thread::Builder::new()
            .name("synced".to_owned())
            .spawn(move || of_syncer.sync_when_told(&woken))
            .map_err(failed)?;
        Ok(Self { shared, turn: 0, waker: Some(waker), syncer: Some(syncer) })
    }

    /// Enters a mark. It is on the disk some time later; an error of that comes from a later call.
    pub(crate) fn set(&mut self, mark: Mark) -> Result<(), StorageError> {
        self.shared.check()?;
        self.write(mark)?;
        // A wake-up that still waits will sync this mark too; a thread that has ended has failed,
        // which the next call says.
        if let Some(waker) = &self.waker {
            let _ = waker.try_send(());
        }
        Ok(())
    }

    /// Enters a mark in both places, one after the other, and waits until it is on the disk.
    pub(crate) fn settle(&mut self, mark: Mark) -> Result<(), StorageError> {
        for _ in 0..2 {
            self.write(mark)?;
            self.shared.file.sync_data().map_err(|source| self.shared.failed(source))?;
        }
        Ok(())
    }

    fn write(&mut self, mark: Mark) -> Result<(), StorageError> {
        let place = self.turn.wrapping_mul(PLACE);
        self.turn ^= 1;
        let written = self.shared.file.write_all_at(&mark.to_bytes(), place);
        written.map_err(|source| self.shared.failed(source))
    }
}

impl Shared {
    fn sync_when_told(&self, woken: &Receiver<()>) {
        while woken.recv().is_ok() {
            if let Err(error) = self.file.sync_data() {
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return;
            }
        }
    }

    fn check(&self) -> Result<(), StorageError> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(()), |source| Err(self.failed(source)))
    }

    fn failed(&self, source: io::Error) -> StorageError {
        StorageError::File { path: self.path.clone(), source }
    }
}

impl Drop for Marker {
    /// Waits for the last sync.
    fn drop(&mut self) {
        self.waker = None;
        if let Some(syncer) = self.syncer.take() {
            let _ = syncer.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(sequence: u64) -> Mark {
        let manifest = Manifest { number: 5, length: 300, digest: checksum(b"a list") };
        Mark { sequence, manifest }
    }

    #[test]
    fn the_later_of_two_places_counts_and_either_may_be_torn() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Mark::read(folder.path()).unwrap(), None);
        Marker::create(folder.path()).unwrap();
        assert_eq!(Mark::read(folder.path()).unwrap(), Some(Mark::default()));
        let mut marker = Marker::open(folder.path()).unwrap();
        marker.settle(mark(1)).unwrap();
        marker.set(mark(2)).unwrap();
        marker.set(mark(3)).unwrap();
        drop(marker);
        assert_eq!(Mark::read(folder.path()).unwrap(), Some(mark(3)));
        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        for (place, left) in [(0, 3), (PLACE as usize, 2)] {
            for byte in 0..LENGTH {
                let mut torn = whole.clone();
                torn[place + byte] ^= 1;
                fs::write(&path, torn).unwrap();
                assert_eq!(Mark::read(folder.path()).unwrap(), Some(mark(left)));
            }
        }
        fs::write(&path, &whole[..20]).unwrap();
        assert_eq!(Mark::read(folder.path()).unwrap(), None);
    }

    #[test]
    fn a_list_of_files_is_continued_or_replaced_by_a_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, content: &str| {
            fs::write(folder.path().join(name), content).unwrap();
            fs::write(folder.path().join("CURRENT"), format!("{name}\n")).unwrap();
        };
        put("MANIFEST-000005", "a, b");
        let manifest = Manifest::read(folder.path(), Manifest::default()).unwrap();
        let check = || manifest.check(folder.path());
        check().unwrap();
        put("MANIFEST-000005", "a, b, c");
        check().unwrap();
        assert_ne!(Manifest::read(folder.path(), manifest).unwrap(), manifest);
        for other in ["a, ", "a, d", "a, d, c"] {
            put("MANIFEST-000005", other);
            let error = check().unwrap_err();
            assert!(error.contains("does not continue number 5 with 4 bytes"), "{error}");
        }
        put("MANIFEST-000004", "a, b");
        check().unwrap_err();
        put("MANIFEST-000012", "d");
        check().unwrap();
        fs::remove_file(folder.path().join("MANIFEST-000012")).unwrap();
        check().unwrap_err();
    }
}
