//! What this party has signed for receipts, kept so that banks can fetch it after the round.
//!
//! For each settled round that is one signature, over all notices. It says nothing to who has no
//! pad. Those of the last [`MAX_ROUNDS`] settled rounds are kept, for the banks that took part.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::ids::{ChainId, Height, InstitutionId, RoundId};
use quittance_ledger::state::MAX_MEMBERS;
use quittance_round::receipt::Attestation;
use quittance_storage::{Batch, Database, Identity, StorageError, Table};

/// Settled rounds whose receipts are kept.
pub(crate) const MAX_ROUNDS: usize = 1024;

/// By round: what was signed, and for whom.
const RECEIPTS: Table = Table("receipts");
/// By height and round: that there is something.
const SETTLED: Table = Table("settled");

const KIND: &str = "party";
const FORMAT: u32 = 2;

/// The receipts on disk.
pub(crate) struct Receipts {
    database: Database,
    most: usize,
    /// The rounds on disk, the oldest first.
    rounds: Mutex<BTreeSet<SettledKey>>,
}

/// What is kept of a settled round.
struct Kept {
    banks: Vec<InstitutionId>,
    word: Attestation,
}

impl Receipts {
    /// Opens the store in the folder, or makes it. `most` rounds are kept.
    pub(crate) fn open(
        folder: &Path,
        chain: ChainId,
        party: InstitutionId,
        most: usize,
    ) -> Result<Self, StorageError> {
        let owner = [chain.to_bytes(), party.to_bytes()].concat();
        let owner = Digest::of("quittance/v1/party-store", &[&owner]);
        let identity = Identity { kind: KIND.to_owned(), format: FORMAT, owner };
        let database = Database::open(folder, &identity, &[RECEIPTS, SETTLED])?;
        let mut rounds = BTreeSet::new();
        for (key, _) in database.scan(SETTLED, &[], usize::MAX)? {
            rounds.insert(database.decode(SETTLED, &key)?);
        }
        Ok(Self { database, most, rounds: Mutex::new(rounds) })
    }

    /// Keeps what was signed of a round that has settled at `height`, for the banks that took part;
    /// the oldest rounds make room.
    pub(crate) fn keep(
        &self,
        height: Height,
        banks: Vec<InstitutionId>,
        word: Attestation,
    ) -> Result<(), StorageError> {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = Batch::new();
        let key = SettledKey(height, word.subject.round);
        batch.put(SETTLED, &key.to_bytes(), &key.1);
        batch.put(RECEIPTS, &key.1.to_bytes(), &Kept { banks, word });
        rounds.insert(key);
        while rounds.len() > self.most {
            let Some(oldest) = rounds.pop_first() else { break };
            batch.delete(RECEIPTS, &oldest.1.to_bytes());
            batch.delete(SETTLED, &oldest.to_bytes());
        }
        self.database.write(batch)
    }

    /// What was signed of a round, if the bank took part in it.
    pub(crate) fn get(
        &self,
        round: RoundId,
        bank: InstitutionId,
    ) -> Result<Option<Attestation>, StorageError> {
        let found: Option<Kept> = self.database.get(RECEIPTS, &round.to_bytes())?;
        Ok(found.filter(|found| found.banks.contains(&bank)).map(|found| found.word))
    }
}

/// Sorted by height.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct SettledKey(Height, RoundId);

impl Encode for SettledKey {
    fn encode(&self, out: &mut Writer) {
        out.array(&self.0.0.to_be_bytes());
        self.1.encode(out);
    }
}

impl Decode for SettledKey {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let height = Height(u64::from_be_bytes(input.array("height")?));
        Ok(Self(height, RoundId::decode(input)?))
    }
}

impl Encode for Kept {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.banks);
        self.word.encode(out);
    }
}

impl Decode for Kept {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { banks: input.list(MAX_MEMBERS, "banks")?, word: Attestation::decode(input)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quittance_crypto::signature::{SigningKey, Suite};
    use quittance_ledger::ids::TransactionId;
    use quittance_mpc::Parties;
    use quittance_round::receipt::Subject;

    fn bank(number: u32) -> InstitutionId {
        format!("BANKZZ{number:02}").parse().unwrap()
    }

    fn round(number: u8) -> RoundId {
        RoundId(Digest([number; 32]))
    }

    fn word(round: RoundId) -> Attestation {
        let (settlement, notices) = (TransactionId(Digest([9; 32])), Digest([7; 32]));
        let subject = Subject { round, settlement, attempt: 0, notices };
        let me = Parties::new(3, 1).unwrap().id(2).unwrap();
        Attestation::sign(subject, me, &SigningKey::from_seed(Suite::MlDsa65MlKem768, &[1; 32]))
    }

    fn open(folder: &Path, most: usize) -> Receipts {
        let party = "MPCAZZ01".parse().unwrap();
        Receipts::open(folder, ChainId(Digest([3; 32])), party, most).unwrap()
    }

    #[test]
    fn what_was_signed_outlives_the_process_and_is_told_to_the_roster_only() {
        let folder = tempfile::tempdir().unwrap();
        let receipts = open(folder.path(), 9);
        let signed = word(round(1));
        receipts.keep(Height(7), vec![bank(1), bank(3)], signed.clone()).unwrap();
        drop(receipts);
        let receipts = open(folder.path(), 9);
        assert_eq!(receipts.get(round(1), bank(1)).unwrap(), Some(signed.clone()));
        assert_eq!(receipts.get(round(1), bank(3)).unwrap(), Some(signed));
        assert_eq!(receipts.get(round(1), bank(2)).unwrap(), None);
        assert_eq!(receipts.get(round(2), bank(1)).unwrap(), None);
    }

    #[test]
    fn the_oldest_rounds_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let keep = |receipts: &Receipts, height, number| {
            receipts.keep(Height(height), vec![bank(1)], word(round(number))).unwrap();
        };
        let receipts = open(folder.path(), 2);
        // Heights above 255 show that they are sorted as numbers.
        keep(&receipts, 300, 1);
        keep(&receipts, 5, 2);
        drop(receipts);
        let receipts = open(folder.path(), 2);
        keep(&receipts, 301, 3);
        let has = |number| receipts.get(round(number), bank(1)).unwrap().is_some();
        assert_eq!([1, 2, 3].map(has), [true, false, true]);
        assert_eq!(receipts.database.scan(SETTLED, &[], 9).unwrap().len(), 2);
        assert_eq!(receipts.database.scan(RECEIPTS, &[], 9).unwrap().len(), 2);
    }

    #[test]
    fn another_partys_store_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path(), 2));
        let other = "MPCBZZ01".parse().unwrap();
        assert!(Receipts::open(folder.path(), ChainId(Digest([3; 32])), other, 2).is_err());
    }
}
