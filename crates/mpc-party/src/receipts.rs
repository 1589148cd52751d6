//! Signed receipts, kept so that banks can fetch them after the round.
//!
//! A receipt is this party's signed share of a settled bit, for payer and payee. One share alone
//! says nothing about the bit. Those of the last [`MAX_ROUNDS`] settled rounds are kept.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::ids::{ChainId, Height, InstitutionId, RoundId};
use quittance_ledger::state::MAX_MEMBERS;
use quittance_round::queue::MAX_BUCKET;
use quittance_round::receipt::ReceiptShare;
use quittance_round::result::MAX_RECEIVED;
use quittance_storage::{Batch, Database, Identity, StorageError, Table};

/// Settled rounds whose receipts are kept.
pub(crate) const MAX_ROUNDS: usize = 1024;

/// By round and bank: its receipts.
const RECEIPTS: Table = Table("receipts");
/// By height and round: the banks that have receipts.
const SETTLED: Table = Table("settled");

const KIND: &str = "party";
const FORMAT: u32 = 1;

/// The receipts on disk.
pub(crate) struct Receipts {
    database: Database,
    most: usize,
    /// The rounds on disk, the oldest first.
    rounds: Mutex<BTreeSet<(Height, RoundId)>>,
}

/// All receipts of one bank in one round.
struct OfBank(Vec<ReceiptShare>);

/// The banks of a settled round.
struct Banks(Vec<InstitutionId>);

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
            let settled: SettledKey = database.decode(SETTLED, &key)?;
            rounds.insert((settled.0, settled.1));
        }
        Ok(Self { database, most, rounds: Mutex::new(rounds) })
    }

    /// Keeps the receipts of a settled round; the oldest rounds make room.
    pub(crate) fn keep(
        &self,
        round: RoundId,
        height: Height,
        receipts: Vec<(InstitutionId, Vec<ReceiptShare>)>,
    ) -> Result<(), StorageError> {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = Batch::new();
        let banks = Banks(receipts.iter().map(|(bank, _)| *bank).collect());
        batch.put(SETTLED, &SettledKey(height, round).to_bytes(), &banks);
        for (bank, shares) in receipts {
            batch.put(RECEIPTS, &of_bank(round, bank), &OfBank(shares));
        }
        rounds.insert((height, round));
        while rounds.len() > self.most {
            let Some((height, round)) = rounds.pop_first() else { break };
            let key = SettledKey(height, round).to_bytes();
            let banks: Option<Banks> = self.database.get(SETTLED, &key)?;
            for bank in banks.into_iter().flat_map(|banks| banks.0) {
                batch.delete(RECEIPTS, &of_bank(round, bank));
            }
            batch.delete(SETTLED, &key);
        }
        self.database.write(batch)
    }

    /// The receipts of a bank, each as canonical bytes; `None` if there are none of this round.
    pub(crate) fn get(
        &self,
        round: RoundId,
        bank: InstitutionId,
    ) -> Result<Option<Vec<Vec<u8>>>, StorageError> {
        let found: Option<OfBank> = self.database.get(RECEIPTS, &of_bank(round, bank))?;
        Ok(found.map(|found| found.0.iter().map(Encode::to_bytes).collect()))
    }
}

fn of_bank(round: RoundId, bank: InstitutionId) -> Vec<u8> {
    [round.to_bytes(), bank.to_bytes()].concat()
}

/// Sorted by height.
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

impl Encode for OfBank {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.0);
    }
}

impl Decode for OfBank {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.list(MAX_BUCKET + MAX_RECEIVED, "receipts")?))
    }
}

impl Encode for Banks {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.0);
    }
}

impl Decode for Banks {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.list(MAX_MEMBERS, "banks")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quittance_circuit::Fr;
    use quittance_crypto::signature::{SigningKey, Suite};
    use quittance_ledger::ids::TransactionId;
    use quittance_mpc::{Parties, Share};
    use quittance_round::receipt::Subject;

    fn bank(number: u32) -> InstitutionId {
        format!("BANKZZ{number:02}").parse().unwrap()
    }

    fn round(number: u8) -> RoundId {
        RoundId(Digest([number; 32]))
    }

    fn share(round: RoundId, place: u32) -> ReceiptShare {
        let settlement = TransactionId(Digest([9; 32]));
        let (payer, payee, leaf) = (bank(1), bank(2), Digest([7; 32]));
        let subject = Subject { round, settlement, payer, payee, place, leaf };
        let me = Parties::new(3, 1).unwrap().id(2).unwrap();
        let key = SigningKey::from_seed(Suite::MlDsa65MlKem768, &[1; 32]);
        ReceiptShare::sign(subject, me, Share::constant(Fr::from(1u64)), &key)
    }

    fn open(folder: &Path, most: usize) -> Receipts {
        let party = "MPCAZZ01".parse().unwrap();
        Receipts::open(folder, ChainId(Digest([3; 32])), party, most).unwrap()
    }

    #[test]
    fn receipts_outlive_the_process_and_are_told_to_their_bank_only() {
        let folder = tempfile::tempdir().unwrap();
        let receipts = open(folder.path(), 9);
        let shares = vec![share(round(1), 0), share(round(1), 1)];
        let bytes: Vec<_> = shares.iter().map(Encode::to_bytes).collect();
        receipts.keep(round(1), Height(7), vec![(bank(1), shares), (bank(3), vec![])]).unwrap();
        drop(receipts);
        let receipts = open(folder.path(), 9);
        assert_eq!(receipts.get(round(1), bank(1)).unwrap(), Some(bytes));
        assert_eq!(receipts.get(round(1), bank(3)).unwrap(), Some(vec![]));
        assert_eq!(receipts.get(round(1), bank(2)).unwrap(), None);
        assert_eq!(receipts.get(round(2), bank(1)).unwrap(), None);
    }

    #[test]
    fn the_oldest_rounds_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let kept = |number| vec![(bank(1), vec![share(round(number), 0)])];
        let receipts = open(folder.path(), 2);
        // Heights above 255 show that they are sorted as numbers.
        receipts.keep(round(1), Height(300), kept(1)).unwrap();
        receipts.keep(round(2), Height(5), kept(2)).unwrap();
        drop(receipts);
        let receipts = open(folder.path(), 2);
        receipts.keep(round(3), Height(301), kept(3)).unwrap();
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
