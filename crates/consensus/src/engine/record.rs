//! What this validator has said last.
//!
//! The engine logs what it signs, and syncs its log, before anybody hears of it. After a crash it reads
//! the log back as far as that goes: a log that has lost its end, or all of it, looks like one that was
//! never written, and so does the log of a height that the chain's database does not know of any more.
//! This record is the second witness. It is written before a vote or a proposal leaves, not synced,
//! and compared with the log and the database when an engine starts: it guards against damage to them,
//! and they against a loss of power.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::Path;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::planted;
use quittance_ledger::certificate::VoteKind;
use quittance_ledger::ids::Height;

use crate::store::write_whole;
use crate::wire::{SignedProposal, SignedVote};

/// The name of the file.
const NAME: &str = "signed";

/// The version of its format; its first byte.
const VERSION: u8 = 1;

/// Bytes of a signature that tell it from all others.
const MARK_BYTES: usize = 64;

/// What a validator says in a round, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Proposal = 0,
    Prevote = 1,
    Precommit = 2,
}

/// Where it is said.
pub type Place = (Height, u32, Step);

/// The last of what was said, and how its signature begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    place: Place,
    mark: [u8; MARK_BYTES],
}

/// What the file says: nothing, before anything was said.
struct Content(Option<Said>);

/// See the [module](self).
#[derive(Debug)]
pub struct Record {
    file: File,
    last: Option<Said>,
}

impl Said {
    fn new(place: Place, signature: &[u8]) -> Self {
        let mut mark = [0; MARK_BYTES];
        mark.iter_mut().zip(signature).for_each(|(to, from)| *to = *from);
        Self { place, mark }
    }

    pub fn vote(SignedVote { vote, signature, .. }: &SignedVote) -> Self {
        let step = match vote.kind {
            VoteKind::Prevote => Step::Prevote,
            VoteKind::Precommit => Step::Precommit,
        };
        Self::new((vote.height, vote.round, step), signature.as_bytes())
    }

    pub fn proposal(SignedProposal { proposal, signature, .. }: &SignedProposal) -> Self {
        let place = (proposal.height, proposal.round, Step::Proposal);
        Self::new(place, signature.as_bytes())
    }

    /// Whether the engine's log has it.
    fn is_in(&self, log: &Path) -> io::Result<bool> {
        let bytes = std::fs::read(log)?;
        Ok(bytes.windows(MARK_BYTES).any(|window| *window == self.mark))
    }
}

impl Record {
    /// The record in the engine's folder, or why this validator must not vote. `log` is the engine's,
    /// `tip` the last height that the chain has here.
    pub fn open(folder: &Path, log: &Path, tip: Height) -> Result<Self, String> {
        let path = folder.join(NAME);
        let shown = path.display();
        if !path.exists() {
            // Both are gone when the validator is new, or has lost its folder.
            return match log.exists() {
                true => Err(format!("{shown} is missing, although there is {}", log.display())),
                false => Self::anew(folder),
            };
        }
        let record = Self::read(&path).map_err(|error| format!("{shown}: {error}"))?;
        let Some(last) = record.last else { return Ok(record) };
        let (height, round, _) = last.place;
        if planted!("vote-beyond-database-accepted", false, height > tip.next()) {
            return Err(format!(
                "{shown} says that this validator has voted at height {height}, but its database \
                 ends at {tip}"
            ));
        }
        let lost = height == tip.next() && !last.is_in(log).unwrap_or(false);
        if planted!("vote-lost-from-log-accepted", false, lost) {
            return Err(format!(
                "{shown} says that this validator has voted at height {height}, round {round}, which \
                 {} does not have",
                log.display()
            ));
        }
        Ok(record)
    }

    /// An empty record, in place of the one that there may be: for one that does not vote until all
    /// that it can have said is past.
    pub fn anew(folder: &Path) -> Result<Self, String> {
        let path = folder.join(NAME);
        let made = write_whole(folder, NAME, &Content(None).to_bytes());
        let made = made.and_then(|()| Self::read(&path));
        made.map_err(|error| format!("{} cannot be made: {error}", path.display()))
    }

    fn read(path: &Path) -> io::Result<Self> {
        let damaged = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let Content(last) = Content::from_bytes(&std::fs::read(path)?).map_err(damaged)?;
        let file = OpenOptions::new().write(true).open(path)?;
        Ok(Self { file, last })
    }

    /// Notes what is about to be said. In one piece: of a process that is killed, the old record or the
    /// new one is left.
    pub fn note(&mut self, said: Said) -> io::Result<()> {
        let noted = self.last.is_some_and(|last| last.place >= said.place);
        if planted!("what-is-said-not-recorded", true, noted) {
            return Ok(());
        }
        self.file.rewind()?;
        self.file.write_all(&Content(Some(said)).to_bytes())?;
        self.last = Some(said);
        Ok(())
    }
}

impl Encode for Said {
    fn encode(&self, out: &mut Writer) {
        let (height, round, step) = self.place;
        height.encode(out);
        out.u32(round);
        out.u8(step as u8);
        out.array(&self.mark);
    }
}

impl Decode for Said {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (height, round) = (Height::decode(input)?, input.u32("round of consensus")?);
        let step = match input.tag(3, "step of consensus")? {
            0 => Step::Proposal,
            1 => Step::Prevote,
            _ => Step::Precommit,
        };
        Ok(Self { place: (height, round, step), mark: input.array("start of a signature")? })
    }
}

impl Content {
    fn checksum(&self) -> Digest {
        let mut out = Writer::new();
        out.option(self.0.as_ref());
        Digest::of("quittance/v1/signed-record", &[&out.into_bytes()])
    }
}

impl Encode for Content {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        out.option(self.0.as_ref());
        self.checksum().encode(out);
    }
}

impl Decode for Content {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.u8("version of the record")? != VERSION {
            return Err(input.invalid("version of the record", "unknown"));
        }
        let content = Self(input.option("last signature")?);
        match Digest::decode(input)? == content.checksum() {
            true => Ok(content),
            false => Err(input.invalid("checksum", "the record is damaged")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(height: u64, round: u32, step: Step, number: u8) -> Said {
        Said::new((Height(height), round, step), &[number; 100])
    }

    /// A folder where a validator has voted at height 5, with its log.
    fn voted() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("votes.log");
        let mut record = Record::open(folder.path(), &log, Height(4)).unwrap();
        record.note(said(5, 0, Step::Prevote, 1)).unwrap();
        record.note(said(5, 1, Step::Precommit, 2)).unwrap();
        // It is said again, and is not the last.
        record.note(said(5, 0, Step::Precommit, 3)).unwrap();
        std::fs::write(&log, [&[9; 7][..], &[1; 100], &[8; 7], &[2; 100], &[9; 30]].concat())
            .unwrap();
        (folder, log)
    }

    #[test]
    fn what_was_said_last_must_be_in_the_log() {
        let (folder, log) = voted();
        let open = |tip| Record::open(folder.path(), &log, Height(tip)).map(|_| ());
        assert_eq!(open(4), Ok(()));
        assert_eq!(open(5), Ok(()));
        assert!(open(3).unwrap_err().contains("its database ends at 3"));
        let whole = std::fs::read(&log).unwrap();
        for damaged in [&whole[..120], &[][..]] {
            std::fs::write(&log, damaged).unwrap();
            assert!(open(4).unwrap_err().contains("does not have"));
            // The height is over: nothing is said there any more.
            assert_eq!(open(5), Ok(()));
        }
        std::fs::remove_file(&log).unwrap();
        assert!(open(4).unwrap_err().contains("does not have"));
        drop(Record::anew(folder.path()).unwrap());
        assert_eq!(open(4), Ok(()));
    }

    #[test]
    fn a_damaged_record_is_not_taken_for_another() {
        let (folder, log) = voted();
        let open = || Record::open(folder.path(), &log, Height(4)).map(|_| ());
        let path = folder.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for index in 0..whole.len() {
            let mut changed = whole.clone();
            changed[index] ^= 1;
            for damaged in [&changed[..], &whole[..index]] {
                std::fs::write(&path, damaged).unwrap();
                let refused = open().unwrap_err();
                assert!(refused.contains(path.to_str().unwrap()), "{refused}");
            }
        }
        std::fs::remove_file(&path).unwrap();
        assert!(open().unwrap_err().contains("is missing"));
        std::fs::remove_file(&log).unwrap();
        assert_eq!(open(), Ok(()));
    }
}
