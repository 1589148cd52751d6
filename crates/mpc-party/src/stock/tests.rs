use quittance_mpc::Parties;
use quittance_mpc::memory::Network;
use quittance_mpc::session::Binding;
use quittance_mpc::stock::Stock as _;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;

/// The chain of the committee of these tests.
pub(super) const COMMITTEE_CHAIN: u8 = 1;

const AMOUNT: Amount = Amount { comparisons: 2, bits: 4 };

fn party(name: &str) -> InstitutionId {
    name.parse().unwrap()
}

fn notes(seed: u64) -> NoteKey {
    NoteKey::random(&mut ChaCha20Rng::seed_from_u64(seed))
}

fn binding(chain: u8, round: u8) -> Binding {
    let digest = |number| Digest([number; 32]);
    Binding {
        chain: digest(chain),
        round: digest(round),
        attempt: 0,
        circuit: digest(0),
        roster: digest(0),
        dealings: digest(0),
        committee: vec![digest(1), digest(2), digest(3)],
        threshold: 1,
        active: Parties::new(3, 1).unwrap().first_active(),
    }
}

pub(super) fn committee(chain: u8) -> Digest {
    binding(chain, 0).setting()
}

/// All parties' sides of a batch that was really made.
fn batch(chain: u8, number: u64) -> Vec<Material> {
    let binding = binding(chain, number as u8);
    let network =
        Network::of_engines(&binding, number, move |engine| engine.into_material(number, AMOUNT));
    network.unwrap().run().results.into_iter().map(Result::unwrap).collect()
}

pub(super) fn first_side(chain: u8, number: u64) -> Material {
    batch(chain, number).swap_remove(0)
}

fn open_as(folder: &Path, chain: u8, name: &str, key: u64) -> Result<Arc<Stock>, StorageError> {
    let whose = (ChainId(Digest([chain; 32])), party(name));
    Stock::open(folder, whose, &notes(key), &[committee(chain)]).map(Arc::new)
}

pub(super) fn open(folder: &Path) -> Arc<Stock> {
    open_as(folder, COMMITTEE_CHAIN, "MPCAZZ01", 1).unwrap()
}

pub(super) fn ready(stock: &Stock) -> Vec<u64> {
    stock.holdings(&committee(1)).ready.iter().map(|id| id.number).collect()
}

pub(super) fn id(stock: &Stock, number: u64) -> BatchId {
    let all = stock.holdings(&committee(1)).ready;
    *all.iter().find(|id| id.number == number).unwrap()
}

/// With batches of these numbers.
pub(super) fn filled(folder: &Path, numbers: &[u64]) -> Arc<Stock> {
    let stock = open(folder);
    for number in numbers {
        assert!(stock.keep(&first_side(1, *number)).unwrap());
    }
    stock
}

#[test]
fn batches_outlive_the_process_and_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let stock = filled(folder.path(), &[1, 2, 5]);
    assert_eq!(stock.stand(&committee(1)), (3, 5));
    drop(stock);
    let stock = open(folder.path());
    assert_eq!(ready(&stock), [1, 2, 5]);
    assert_eq!(stock.stand(&committee(1)), (3, 5));
    let id = id(&stock, 2);
    let material = stock.take(&committee(1), &id).unwrap();
    assert_eq!(material.to_secret_bytes(), first_side(1, 2).to_secret_bytes());
    // What came before it is not to be used after it.
    assert_eq!(ready(&stock), [5]);
}

/// The process ends between the mark and the use, at the latest moment at which that matters.
#[test]
fn a_batch_that_was_taken_is_gone_whatever_happens_next() {
    let folder = tempfile::tempdir().unwrap();
    let stock = filled(folder.path(), &[1, 2]);
    let first = id(&stock, 1);
    let mut draw = Draw::new(Some(stock.clone()), committee(1));
    let material = draw.take(&first).unwrap();
    assert!(draw.take(&first).is_none(), "a second time in the same session");
    assert!(stock.take(&committee(1), &first).is_none(), "in another session");
    drop((draw, stock));
    let stock = open(folder.path());
    assert_eq!(ready(&stock), [2]);
    assert!(stock.take(&committee(1), &first).is_none());
    assert!(!stock.keep(&material).unwrap(), "nor is it put back");
    assert_eq!(stock.stand(&committee(1)), (1, 2));
}

/// Changes a row behind the store's back.
fn change(folder: &Path, table: Table, change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) {
    let stock = open(folder);
    let (mut key, mut bytes) = stock.database.scan(table, &[], 1).unwrap().pop().unwrap();
    let mut batch = Batch::new();
    batch.delete(table, &key);
    change(&mut key, &mut bytes);
    batch.put_bytes(table, &key, bytes);
    stock.database.write(batch).unwrap();
}

#[test]
fn every_changed_byte_of_a_batch_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let stock = filled(folder.path(), &[3]);
    let key = record::key(&committee(1), Some(3));
    let row = stock.database.get_bytes(BATCHES, &key).unwrap().unwrap();
    let at = Place { committee: committee(1), number: 3 };
    assert!(stock.open_row(&at, &row).is_ok());
    for place in 0..row.len() {
        for bit in [1, 0x80] {
            let mut changed = row.clone();
            changed[place] ^= bit;
            assert!(stock.open_row(&at, &changed).is_err(), "byte {place}");
        }
    }
    for length in (0..row.len()).step_by(7) {
        assert!(stock.open_row(&at, &row[..length]).is_err(), "{length} bytes");
    }
    drop(stock);

    // At the next start it is burnt, and the rest goes on.
    assert!(open(folder.path()).keep(&first_side(1, 4)).unwrap());
    change(folder.path(), BATCHES, |_, bytes| bytes[200] ^= 4);
    assert_eq!(ready(&open(folder.path())), [4]);
    // Or when it is taken.
    let stock = open(folder.path());
    let fourth = id(&stock, 4);
    let key = record::key(&committee(1), Some(4));
    let mut bytes = stock.database.get_bytes(BATCHES, &key).unwrap().unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let mut batch = Batch::new();
    batch.put_bytes(BATCHES, &key, bytes);
    stock.database.write(batch).unwrap();
    assert!(stock.take(&committee(1), &fourth).is_none());
    assert!(ready(&stock).is_empty());
}

#[test]
fn a_batch_of_another_number_committee_chain_party_or_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let stock = filled(folder.path(), &[3]);
    let key = record::key(&committee(1), Some(3));
    let row = Row::from_bytes(&stock.database.get_bytes(BATCHES, &key).unwrap().unwrap()).unwrap();
    let sealer = |chain: u8, name: &str, key: u64| {
        Sealer::new(&notes(key), ChainId(Digest([chain; 32])), party(name))
    };
    let at = |number, chain| Place { committee: committee(chain), number };
    let cases = [
        (sealer(1, "MPCAZZ01", 1), at(3, 1), true),
        (sealer(1, "MPCAZZ01", 1), at(4, 1), false),
        (sealer(1, "MPCAZZ01", 1), at(3, 2), false),
        (sealer(2, "MPCAZZ01", 1), at(3, 1), false),
        (sealer(1, "MPCBZZ01", 1), at(3, 1), false),
        (sealer(1, "MPCAZZ01", 2), at(3, 1), false),
    ];
    for (sealer, at, good) in cases {
        assert_eq!(sealer.open(&at, &row).is_ok(), good);
    }
    let mut other = Row::from_bytes(&row.to_bytes()).unwrap();
    other.maker = Digest::ZERO;
    assert!(sealer(1, "MPCAZZ01", 1).open(&at(3, 1), &other).is_err());
    drop(stock);

    // A folder of another chain or party is refused as a whole.
    let error = open_as(folder.path(), 2, "MPCAZZ01", 1).err().unwrap().to_string();
    assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
    assert!(open_as(folder.path(), 1, "MPCBZZ01", 1).is_err());
    // Of one's own with another key file, all batches are burnt.
    let stock = open_as(folder.path(), 1, "MPCAZZ01", 2).unwrap();
    assert!(ready(&stock).is_empty());
    // So are those of a committee that is no more.
    drop(stock);
    drop(filled(folder.path(), &[6]));
    let whose = (ChainId(Digest([1; 32])), party("MPCAZZ01"));
    drop(Stock::open(folder.path(), whose, &notes(1), &[committee(9)]).unwrap());
    assert!(ready(&open(folder.path())).is_empty());
}

#[test]
fn nothing_is_readable_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let stock = filled(folder.path(), &[1]);
    let key = record::key(&committee(1), Some(1));
    let row = stock.database.get_bytes(BATCHES, &key).unwrap().unwrap();
    let secret = first_side(1, 1).to_secret_bytes();
    // Head and place are no secret; what follows are shares.
    for share in secret[77..].chunks_exact(16) {
        assert!(!row.windows(16).any(|window| window == share));
    }
    assert!(row.len() > secret.len());
}

/// An old row that somebody puts back by itself does not come back to life: its number is used.
#[test]
fn rows_that_are_put_back_are_burnt_and_so_are_all_if_the_marks_are_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let stock = filled(folder.path(), &[1, 2]);
    let key = record::key(&committee(1), Some(1));
    let row = stock.database.get_bytes(BATCHES, &key).unwrap().unwrap();
    stock.take(&committee(1), &id(&stock, 1)).unwrap();
    let mut batch = Batch::new();
    batch.put_bytes(BATCHES, &key, row);
    stock.database.write(batch).unwrap();
    drop(stock);
    assert_eq!(ready(&open(folder.path())), [2]);

    change(folder.path(), MARKS, |_, bytes| bytes[30] ^= 1);
    let stock = open(folder.path());
    assert!(ready(&stock).is_empty());
    assert_eq!(stock.stand(&committee(1)), (0, 2));
    assert!(!stock.keep(&first_side(1, 2)).unwrap());
    assert!(stock.keep(&first_side(1, 3)).unwrap());
    drop(stock);
    assert_eq!(ready(&open(folder.path())), [3]);
}

#[test]
fn what_others_lack_or_have_used_is_burnt() {
    let folder = tempfile::tempdir().unwrap();
    let stock = filled(folder.path(), &[1, 2, 3, 4]);
    let [second, fourth] = [2, 4].map(|number| id(&stock, number));
    let mut draw = Draw::new(Some(stock.clone()), committee(1));
    draw.compare(&Comparison { common: vec![second, fourth], outdated: None });
    assert_eq!(ready(&stock), [2, 4]);
    let three = binding(1, 0).parties().unwrap().id(3).unwrap();
    draw.compare(&Comparison { common: vec![fourth], outdated: Some((three, 3)) });
    assert_eq!(ready(&stock), [4]);
    // However late the batch is that the other speaks of, new ones can be made.
    draw.compare(&Comparison { common: vec![], outdated: Some((three, u64::MAX)) });
    assert_eq!(ready(&stock), [0; 0]);
    drop((draw, stock));
    let stock = open(folder.path());
    assert_eq!(stock.stand(&committee(1)), (0, 4));
    assert!(stock.keep(&first_side(1, 5)).unwrap());
}

/// A folder that was copied, used, and put back, as an operator would do it.
#[test]
fn a_restored_folder_claims_what_was_used_and_no_more_than_that() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(filled(folder.path(), &[1, 2]));
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let stock = open(folder.path());
    let first = id(&stock, 1);
    let mut draw = Draw::new(Some(stock.clone()), committee(1));
    draw.take(&first).unwrap();
    draw.agreed(&first);
    draw.finish();
    assert_eq!(stock.holdings(&committee(1)).agreed, 1);
    drop(stock);
    let stock = open(folder.path());
    assert_eq!(stock.holdings(&committee(1)).agreed, 1, "it is remembered on disk");
    assert_eq!(ready(&stock), [2]);
    let restored = open(copy.path());
    assert_eq!((restored.holdings(&committee(1)).agreed, ready(&restored)), (0, vec![1, 2]));
}

#[test]
fn there_is_no_more_room_than_can_be_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let stock = open(folder.path());
    for number in 1..=MAX_LISTED as u64 + 1 {
        let kept = stock.keep(&first_side(1, number)).unwrap();
        assert_eq!(kept, number <= MAX_LISTED as u64);
    }
    assert_eq!(stock.holdings(&committee(1)).ready.len(), MAX_LISTED);
    assert!(!stock.keep(&first_side(2, 1)).unwrap(), "of another committee");
}
