//! The party's stock of preprocessing: made ahead of rounds, kept on disk, used once.
//!
//! ```text
//! making: a session of all parties --checked batch--> sealed row
//! round:  session --take--> row deleted and mark written, synced --> batch in memory
//! ```
//!
//! A batch leaves the store for good before anybody is told that it did. So whatever happens then
//! (the round fails, the process ends, the power goes), it is not used again. What is lost with it
//! costs time, and nothing else.
//!
//! The store has a folder of its own, which is not to be backed up. An older copy of it holds batches
//! that were used since; how they are found is in [`quittance_mpc::stock`], and what follows from
//! it is here: they are burnt.

pub(crate) mod making;
mod record;
pub(crate) mod settings;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{counter, gauge};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::note::NoteKey;
use quittance_crypto::planted;
use quittance_ledger::ids::{ChainId, InstitutionId};
use quittance_mpc::stock::{self, Amount, BatchId, Comparison, Holdings, MAX_LISTED, Material};
use quittance_rpc::metrics as names;
use quittance_storage::{Batch, Database, Identity, StorageError, Table};

use record::{Damage, Marks, Place, Row, Sealer};

/// By committee and number: batches that were not used.
const BATCHES: Table = Table("batches");
/// By committee: how far they were used.
const MARKS: Table = Table("marks");

const KIND: &str = "stock";
const FORMAT: u32 = 1;

/// All batches of a party.
pub(crate) struct Stock {
    database: Database,
    sealer: Sealer,
    shelves: Mutex<BTreeMap<Digest, Shelf>>,
}

/// The batches of one committee.
#[derive(Default)]
struct Shelf {
    batches: BTreeMap<u64, (Digest, Amount)>,
    marks: Marks,
    /// The last number that this party knows to be given.
    highest: u64,
}

/// Why batches are burnt; the label of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Burnt {
    /// The session that took it has ended without a result.
    Aborted,
    /// It was taken, but not all parties have named it.
    NotAgreed,
    /// Not all parties have it.
    NotCommon,
    /// The store is older than what the others remember.
    Restored,
    /// It cannot be read.
    Damaged,
    /// It belongs to a committee that this party is no longer in, or not with these keys.
    OtherCommittee,
}

impl Burnt {
    fn label(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::NotAgreed => "not_agreed",
            Self::NotCommon => "not_common",
            Self::Restored => "restored",
            Self::Damaged => "damaged",
            Self::OtherCommittee => "other_committee",
        }
    }

    fn count(self, batches: usize) {
        let counter = counter!(names::PARTY_STOCK_BURNT, "reason" => self.label());
        counter.increment(batches as u64);
    }
}

impl Stock {
    /// Opens the store in the folder, or makes it. Every batch is read: what is damaged, or of none
    /// of these committees, is burnt.
    pub(crate) fn open(
        folder: &Path,
        (chain, party): (ChainId, InstitutionId),
        notes: &NoteKey,
        committees: &[Digest],
    ) -> Result<Self, StorageError> {
        let owner = [chain.to_bytes(), party.to_bytes()].concat();
        let owner = Digest::of("quittance/v1/party-stock", &[&owner]);
        let identity = Identity { kind: KIND.to_owned(), format: FORMAT, owner };
        let database = Database::open(folder, &identity, &[BATCHES, MARKS])?;
        let shelves = committees.iter().map(|committee| (*committee, Shelf::default())).collect();
        let stock = Self {
            database,
            sealer: Sealer::new(notes, chain, party),
            shelves: Mutex::new(shelves),
        };
        stock.read()?;
        Ok(stock)
    }

    /// Reads what is on disk.
    fn read(&self) -> Result<(), StorageError> {
        let mut shelves = self.shelves();
        for (committee, shelf) in shelves.iter_mut() {
            let Some(bytes) = self.database.get_bytes(MARKS, &record::key(committee, None))? else {
                continue;
            };
            shelf.marks = self.sealer.open_marks(committee, &bytes).unwrap_or_else(|damage| {
                self.complain("the marks of used batches", &damage);
                // Nothing that is there can be told from what was used.
                Marks { used: u64::MAX, agreed: 0 }
            });
        }
        let mut burnt = vec![];
        let mut from = vec![];
        // One at a time: a batch can have megabytes.
        while let Some((key, bytes)) = self.database.scan(BATCHES, &from, 1)?.pop() {
            from = [&key[..], &[0]].concat();
            let at: Place = self.database.decode(BATCHES, &key)?;
            let Some(shelf) = shelves.get_mut(&at.committee) else {
                burnt.push((key, Burnt::OtherCommittee));
                continue;
            };
            shelf.highest = shelf.highest.max(at.number);
            match self.open_row(&at, &bytes) {
                _ if at.number <= shelf.marks.used => burnt.push((key, Burnt::Damaged)),
                Ok(material) => {
                    shelf.batches.insert(at.number, (material.id().maker, material.amount()));
                }
                Err(damage) => {
                    self.complain(&format!("batch {}", at.number), &damage);
                    burnt.push((key, Burnt::Damaged));
                }
            }
        }
        let mut batch = Batch::new();
        for (key, reason) in &burnt {
            batch.delete(BATCHES, key);
            reason.count(1);
        }
        for (committee, shelf) in shelves.iter_mut() {
            if shelf.marks.used == u64::MAX {
                shelf.marks.used = shelf.highest;
                self.put_marks(&mut batch, committee, &shelf.marks);
            }
            shelf.highest = shelf.highest.max(shelf.marks.used);
        }
        if !batch.is_empty() {
            self.database.write(batch)?;
        }
        show(&shelves);
        Ok(())
    }

    fn open_row(&self, at: &Place, bytes: &[u8]) -> Result<Material, Damage> {
        self.sealer.open(at, &Row::from_bytes(bytes)?)
    }

    fn complain(&self, what: &str, damage: &Damage) {
        let folder = self.database.path().display();
        tracing::error!(
            %folder, %damage,
            "stored preprocessing: {what} cannot be used and is burnt; look at the disk, or move \
             the folder away to begin anew: nothing else is in it"
        );
    }

    /// State is whole after each use, so a panic elsewhere does not spoil it.
    fn shelves(&self) -> MutexGuard<'_, BTreeMap<Digest, Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_marks(&self, batch: &mut Batch, committee: &Digest, marks: &Marks) {
        let sealed = self.sealer.seal_marks(committee, marks);
        batch.put_bytes(MARKS, &record::key(committee, None), sealed);
    }

    /// How many batches of a committee there are, and the last number that was given.
    pub(crate) fn stand(&self, committee: &Digest) -> (usize, u64) {
        let shelves = self.shelves();
        shelves.get(committee).map_or((0, 0), |shelf| (shelf.batches.len(), shelf.highest))
    }

    /// Takes note that this number is given, if it is later than those known.
    pub(crate) fn give(&self, committee: &Digest, number: u64) {
        if let Some(shelf) = self.shelves().get_mut(committee) {
            shelf.highest = shelf.highest.max(number);
        }
    }

    /// Keeps a batch, unless its number was used or burnt meanwhile, or there is no room.
    pub(crate) fn keep(&self, material: &Material) -> Result<bool, StorageError> {
        let (committee, id) = (material.setting(), material.id());
        let mut shelves = self.shelves();
        let Some(shelf) = shelves.get_mut(committee) else { return Ok(false) };
        if id.number <= shelf.marks.used
            || shelf.batches.contains_key(&id.number)
            || shelf.batches.len() >= MAX_LISTED
        {
            return Ok(false);
        }
        let mut batch = Batch::new();
        batch.put(BATCHES, &record::key(committee, Some(id.number)), &self.sealer.seal(material));
        self.write(shelf, batch)?;
        shelf.batches.insert(id.number, (id.maker, material.amount()));
        shelf.highest = shelf.highest.max(id.number);
        counter!(names::PARTY_STOCK_MADE).increment(1);
        show(&shelves);
        Ok(true)
    }

    /// Writes, or gives the shelf up: after a write that failed nobody knows what is on the disk.
    fn write(&self, shelf: &mut Shelf, batch: Batch) -> Result<(), StorageError> {
        let written = self.database.write(batch);
        if let Err(error) = &written {
            tracing::error!(%error, "stored preprocessing is given up until the next start");
            shelf.batches.clear();
        }
        written
    }

    fn holdings(&self, committee: &Digest) -> Holdings {
        let shelves = self.shelves();
        let Some(shelf) = shelves.get(committee) else { return Holdings::default() };
        let ready = shelf.batches.iter().take(MAX_LISTED);
        let ready = ready.map(|(&number, &(maker, _))| BatchId { number, maker }).collect();
        Holdings { agreed: shelf.marks.agreed, ready }
    }

    /// Burns these batches.
    fn burn(&self, committee: &Digest, gone: &[u64], reason: Burnt) {
        let mut shelves = self.shelves();
        let Some(shelf) = shelves.get_mut(committee) else { return };
        let mut batch = Batch::new();
        for number in gone {
            batch.delete(BATCHES, &record::key(committee, Some(*number)));
            shelf.batches.remove(number);
        }
        let last = gone.iter().max().copied().unwrap_or(0);
        let kept = shelf.batches.keys().next();
        let below = kept.map_or(last, |first| last.min(first.saturating_sub(1)));
        shelf.marks.used = shelf.marks.used.max(below);
        self.put_marks(&mut batch, committee, &shelf.marks);
        if self.write(shelf, batch).is_ok() {
            reason.count(gone.len());
        }
        show(&shelves);
    }

    /// Burns what not all parties have.
    fn compare(&self, committee: &Digest, Comparison { common, outdated }: &Comparison) {
        let ready = self.holdings(committee).ready;
        let agreed = outdated.map_or(0, |(_, number)| number);
        let (old, new): (Vec<_>, Vec<_>) = ready.iter().partition(|id| id.number <= agreed);
        if let Some((party, number)) = outdated {
            let folder = self.database.path().display();
            let batches = old.len();
            tracing::warn!(
                %folder, %party, number, batches,
                "stored preprocessing that all parties have used is in this store again: the folder \
                 was restored from a backup, or that party lies. The batches are burnt, and the \
                 session makes what it needs"
            );
            self.burn(committee, &numbers(&old), Burnt::Restored);
        }
        let alone: Vec<_> = new.into_iter().filter(|id| !common.contains(id)).collect();
        if !alone.is_empty() {
            self.burn(committee, &numbers(&alone), Burnt::NotCommon);
        }
    }

    /// Takes a batch out. When this returns it is marked as used on disk, and so are all before it.
    fn take(&self, committee: &Digest, id: &BatchId) -> Option<Material> {
        let mut shelves = self.shelves();
        let shelf = shelves.get_mut(committee)?;
        shelf.batches.get(&id.number).filter(|(maker, _)| *maker == id.maker)?;
        let key = record::key(committee, Some(id.number));
        let row = self.database.get_bytes(BATCHES, &key);
        let row =
            row.inspect_err(|error| tracing::error!(%error, "stored preprocessing")).ok()??;

        let mut batch = Batch::new();
        let rest = shelf.batches.split_off(&(id.number + 1));
        let before = std::mem::replace(&mut shelf.batches, rest);
        for number in before.keys() {
            batch.delete(BATCHES, &record::key(committee, Some(*number)));
        }
        shelf.marks.used = shelf.marks.used.max(id.number);
        self.put_marks(&mut batch, committee, &shelf.marks);
        planted!("stock-used-before-it-is-marked", (), self.write(shelf, batch).ok()?);
        Burnt::NotCommon.count(before.len() - 1);
        show(&shelves);

        let at = Place { committee: *committee, number: id.number };
        let opened = self.open_row(&at, &row);
        let opened = opened.inspect_err(|damage| {
            self.complain(&format!("batch {}", id.number), damage);
            Burnt::Damaged.count(1);
        });
        opened.ok()
    }

    fn agreed(&self, committee: &Digest, id: &BatchId) {
        let mut shelves = self.shelves();
        let Some(shelf) = shelves.get_mut(committee) else { return };
        shelf.marks.agreed = shelf.marks.agreed.max(id.number);
        let mut batch = Batch::new();
        self.put_marks(&mut batch, committee, &shelf.marks);
        // Without it a restored store of another party is found a session later.
        let _ = self.write(shelf, batch);
    }
}

fn numbers(ids: &[&BatchId]) -> Vec<u64> {
    ids.iter().map(|id| id.number).collect()
}

/// Shows how much there is.
fn show(shelves: &BTreeMap<Digest, Shelf>) {
    let amounts = || shelves.values().flat_map(|shelf| shelf.batches.values().map(|it| it.1));
    gauge!(names::PARTY_STOCK_BATCHES).set(amounts().count() as f64);
    let sum = |of: fn(Amount) -> u32| amounts().map(|it| f64::from(of(it))).sum::<f64>();
    gauge!(names::PARTY_STOCK_COMPARISONS).set(sum(|amount| amount.comparisons));
    gauge!(names::PARTY_STOCK_BITS).set(sum(|amount| amount.bits));
}

/// The stock of one committee in one session. What was taken and is not used to the end is burnt.
pub(crate) struct Draw {
    stock: Option<Arc<Stock>>,
    committee: Digest,
    taken: Option<Burnt>,
}

impl Draw {
    /// For a session of this committee; with nothing to draw from if the party keeps no stock.
    pub(crate) fn new(stock: Option<Arc<Stock>>, committee: Digest) -> Self {
        Self { stock, committee, taken: None }
    }

    /// The session has a result.
    pub(crate) fn finish(mut self) {
        if self.taken.take_if(|taken| *taken == Burnt::Aborted).is_some() {
            counter!(names::PARTY_STOCK_USED).increment(1);
        }
    }
}

impl Drop for Draw {
    fn drop(&mut self) {
        if let Some(reason) = self.taken {
            reason.count(1);
        }
    }
}

impl stock::Stock for Draw {
    fn holdings(&mut self) -> Holdings {
        self.stock.as_ref().map(|stock| stock.holdings(&self.committee)).unwrap_or_default()
    }

    fn compare(&mut self, comparison: &Comparison) {
        if let Some(stock) = &self.stock {
            stock.compare(&self.committee, comparison);
        }
    }

    fn take(&mut self, id: &BatchId) -> Option<Material> {
        let material = self.stock.as_ref()?.take(&self.committee, id);
        self.taken = material.is_some().then_some(Burnt::NotAgreed);
        material
    }

    fn agreed(&mut self, id: &BatchId) {
        self.taken = Some(Burnt::Aborted);
        if let Some(stock) = &self.stock {
            stock.agreed(&self.committee, id);
        }
    }
}

#[cfg(test)]
mod kills;
#[cfg(test)]
mod tests;
