//! Blocks that are proposed and not yet decided.
//!
//! A validator that has said it holds a block must still hold it after a crash, or a decision finds
//! nobody who can commit it; and one that has proposed a block must propose the same again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::block::MAX_BLOCK_BYTES;
use quittance_ledger::ids::{BlockId, Height, InstitutionId};

/// A block that somebody has proposed, checked by the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// At which height.
    pub height: Height,
    /// In which round.
    pub round: u32,
    /// By whom.
    pub proposer: InstitutionId,
    /// Which block.
    pub block: BlockId,
    /// Its complete canonical bytes.
    pub bytes: Bytes,
}

/// Keeps proposed blocks of the present height.
pub trait ProposalStore: Send {
    /// Keeps a block. It is on the disk when this returns. A block that is kept already, with the
    /// same height, round and id, stays as it is.
    fn put(&mut self, proposed: &Proposed) -> io::Result<()>;

    /// All that are kept for a height, in order of their rounds.
    fn list(&self, height: Height) -> io::Result<Vec<Proposed>>;

    /// Forgets all that are kept for this height and those before.
    fn prune(&mut self, decided: Height) -> io::Result<()>;
}

/// Keeps proposed blocks in memory: for tests, and for nothing that has to survive.
#[derive(Debug, Default)]
pub struct MemoryStore(BTreeMap<(Height, u32, BlockId), Proposed>);

impl ProposalStore for MemoryStore {
    fn put(&mut self, proposed: &Proposed) -> io::Result<()> {
        let name = (proposed.height, proposed.round, proposed.block);
        self.0.entry(name).or_insert_with(|| proposed.clone());
        Ok(())
    }

    fn list(&self, height: Height) -> io::Result<Vec<Proposed>> {
        Ok(self.0.values().filter(|kept| kept.height == height).cloned().collect())
    }

    fn prune(&mut self, decided: Height) -> io::Result<()> {
        self.0.retain(|(height, ..), _| *height > decided);
        Ok(())
    }
}

/// Keeps each proposed block in a file of its own, `<height>-<round>-<block>`: written under another
/// name, synced, and renamed, so that a file with its name is whole.
#[derive(Debug)]
pub struct FolderStore {
    folder: PathBuf,
}

/// The version of the files' format; their first byte.
const FILE_VERSION: u8 = 1;

/// The ending of a file that is being written.
const UNFINISHED: &str = "unfinished";

impl FolderStore {
    /// The store in this folder, which is made if there is none. What a crash has left unfinished
    /// is removed.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let store = Self { folder: folder.into() };
        store.tidy().map_err(|error| store.named(error))?;
        Ok(store)
    }

    fn tidy(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// An error that says in which folder.
    fn named(&self, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.folder.display()))
    }

    fn read(&self, height: Height) -> io::Result<Vec<Proposed>> {
        let mut kept = Vec::new();
        for (of, path) in self.files()? {
            if of == height {
                let read = Proposed::from_bytes(&fs::read(&path)?);
                kept.push(read.map_err(|error| {
                    let reason = format!("{}: {error}", path.display());
                    io::Error::new(io::ErrorKind::InvalidData, reason)
                })?);
            }
        }
        kept.sort_by_key(|each| (each.round, each.block));
        Ok(kept)
    }

    fn remove(&self, decided: Height) -> io::Result<()> {
        for (of, path) in self.files()? {
            if of <= decided {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The files, each with the height in its name.
    fn files(&self) -> io::Result<Vec<(Height, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let height = name.and_then(|name| name.split('-').next()?.parse().ok());
            if let Some(height) = height {
                files.push((Height(height), path));
            }
        }
        Ok(files)
    }
}

/// Writes a file that is whole or not there, and on the disk.
pub(crate) fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let (path, unfinished) = (folder.join(name), folder.join(format!("{name}.{UNFINISHED}")));
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, &path)?;
    File::open(folder)?.sync_all()
}

impl ProposalStore for FolderStore {
    fn put(&mut self, proposed: &Proposed) -> io::Result<()> {
        let Proposed { height, round, block, .. } = proposed;
        let name = format!("{height}-{round}-{block}");
        match self.folder.join(&name).exists() {
            true => Ok(()),
            false => write_whole(&self.folder, &name, &proposed.to_bytes())
                .map_err(|error| self.named(error)),
        }
    }

    fn list(&self, height: Height) -> io::Result<Vec<Proposed>> {
        self.read(height).map_err(|error| self.named(error))
    }

    fn prune(&mut self, decided: Height) -> io::Result<()> {
        self.remove(decided).map_err(|error| self.named(error))
    }
}

impl Encode for Proposed {
    fn encode(&self, out: &mut Writer) {
        out.u8(FILE_VERSION);
        self.height.encode(out);
        out.u32(self.round);
        self.proposer.encode(out);
        self.block.encode(out);
        out.bytes(&self.bytes);
        out.array(checksum(&self.bytes).as_bytes());
    }
}

impl Decode for Proposed {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.u8("version of a proposal's file")? != FILE_VERSION {
            return Err(input.invalid("version of a proposal's file", "unknown"));
        }
        let height = Height::decode(input)?;
        let round = input.u32("round of consensus")?;
        let (proposer, block) = (InstitutionId::decode(input)?, BlockId::decode(input)?);
        let bytes = Bytes::copy_from_slice(input.bytes(MAX_BLOCK_BYTES, "block")?);
        match input.array("checksum")? == *checksum(&bytes).as_bytes() {
            true => Ok(Self { height, round, proposer, block, bytes }),
            false => Err(input.invalid("checksum", "the block is damaged")),
        }
    }
}

fn checksum(bytes: &[u8]) -> Digest {
    Digest::of("quittance/v1/proposed-block", &[bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed(height: u64, round: u32, number: u8) -> Proposed {
        Proposed {
            height: Height(height),
            round,
            proposer: "VALAXX2A".parse().unwrap(),
            block: BlockId(Digest([number; 32])),
            bytes: Bytes::from(vec![number; 100]),
        }
    }

    fn serves(store: &mut dyn ProposalStore) {
        let all = [proposed(2, 0, 9), proposed(2, 1, 1), proposed(3, 0, 5), proposed(11, 0, 7)];
        for each in all.iter().rev() {
            store.put(each).unwrap();
            store.put(each).unwrap();
        }
        assert_eq!(store.list(Height(2)).unwrap(), all[..2]);
        assert_eq!(store.list(Height(4)).unwrap(), []);
        store.prune(Height(3)).unwrap();
        assert_eq!(store.list(Height(3)).unwrap(), []);
        assert_eq!(store.list(Height(11)).unwrap(), all[3..]);
    }

    #[test]
    fn stores_keep_until_they_are_pruned() {
        serves(&mut MemoryStore::default());
        let folder = tempfile::tempdir().unwrap();
        serves(&mut FolderStore::open(folder.path()).unwrap());
        let again = FolderStore::open(folder.path()).unwrap();
        assert_eq!(again.list(Height(11)).unwrap(), [proposed(11, 0, 7)]);
    }

    #[test]
    fn half_a_file_is_not_read_and_a_damaged_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = FolderStore::open(folder.path()).unwrap();
        store.put(&proposed(1, 0, 1)).unwrap();
        fs::write(folder.path().join("1-1-aa.unfinished"), b"half").unwrap();
        let store = FolderStore::open(folder.path()).unwrap();
        assert_eq!(store.list(Height(1)).unwrap(), [proposed(1, 0, 1)]);
        let (_, path) = store.files().unwrap().pop().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[100] ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = store.list(Height(1)).unwrap_err().to_string();
        assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
        fs::write(folder.path().join("file"), b"no folder").unwrap();
        let error = FolderStore::open(folder.path().join("file")).unwrap_err().to_string();
        assert!(error.contains("file: "), "{error}");
    }
}
