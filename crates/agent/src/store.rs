//! What an agent must not lose, or does not want to read from the chain again.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `meta` | `processed` | the height up to which lines and events are written |
//! | `instructions` | UETR | [`Instruction`] |
//! | `open` | place (8 bytes), UETR | UETR of a transfer that has neither been carried out nor failed |
//! | `payments` | place in the queue (8 bytes) | [`Payment`] |
//! | `queue_seeds` | asset | seed of its next queue |
//! | `queue_proofs` | asset, group (4 bytes) | [`ProvenGroup`] of that queue |
//! | `exchanges`, `rounds` | | of the modules of those names |
//! | `lines` | asset, height, index | `StatementLine` of the bank's interface, as protobuf |
//! | `events` | position (8 bytes) | `Event` of the bank's interface, as protobuf |
//!
//! Numbers in keys are big-endian, so that the order of keys is that of numbers. One batch is
//! written for each block that means anything for the institution, and one for each instruction:
//! all of it or nothing is there after a crash.
//!
//! The store is plain: it holds amounts, and the seeds that hide them in the next queues, but no
//! keys. Whoever can read the disk of the agent can read the bank's statement.

mod instruction;
mod payment;
mod prepared;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::ids::{AssetId, ChainId, Height, InstitutionId, Uetr};
use quittance_round::queue::{MAX_GROUPS, QueueSeed};
use quittance_rpc::proto::agent::v1 as api;
use quittance_storage::{Batch, Database, Identity, Row, StorageError, Table};

pub(crate) use instruction::{Instruction, State, Transfer, TransferReceiver, What};
pub(crate) use payment::{Payment, PaymentState};
pub(crate) use prepared::ProvenGroup;

const META: Table = Table("meta");
const INSTRUCTIONS: Table = Table("instructions");
const OPEN: Table = Table("open");
const PAYMENTS: Table = Table("payments");
const QUEUE_SEEDS: Table = Table("queue_seeds");
const QUEUE_PROOFS: Table = Table("queue_proofs");
const LINES: Table = Table("lines");
const EVENTS: Table = Table("events");
/// Kept by the module `exchange`.
pub(crate) const EXCHANGES: Table = Table("exchanges");
/// Kept by the module `rounds`.
pub(crate) const ROUNDS: Table = Table("rounds");

const TABLES: [Table; 10] = [
    META,
    INSTRUCTIONS,
    OPEN,
    PAYMENTS,
    QUEUE_SEEDS,
    QUEUE_PROOFS,
    LINES,
    EVENTS,
    EXCHANGES,
    ROUNDS,
];

const PROCESSED: &[u8] = b"processed";

/// The version of all formats of the store.
const FORMAT: u32 = 1;

/// Rows that are read at a time.
const PAGE: usize = 512;

/// The records of one institution on one chain. Reads may come from any thread; only the core
/// writes.
pub(crate) struct Store {
    database: Database,
}

impl Store {
    /// Opens the store in a folder, or makes it there.
    pub(crate) fn open(
        folder: &Path,
        chain: ChainId,
        institution: InstitutionId,
    ) -> Result<Self, StorageError> {
        let owner = Digest::of(
            "quittance/v1/agent-store",
            &[chain.0.as_bytes(), institution.as_str().as_bytes()],
        );
        let identity = Identity { kind: "agent".to_owned(), format: FORMAT, owner };
        Ok(Self { database: Database::open(folder, &identity, &TABLES)? })
    }

    /// For tables that other modules keep.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// The height of the last block whose lines and events are written. Later blocks that mean
    /// nothing for the institution do not count.
    pub(crate) fn processed(&self) -> Result<Height, StorageError> {
        let height: Option<u64> = self.database.get(META, PROCESSED)?;
        Ok(height.map_or(Height::GENESIS, Height))
    }

    pub(crate) fn instruction(&self, uetr: &Uetr) -> Result<Option<Instruction>, StorageError> {
        self.database.get(INSTRUCTIONS, &uetr.0)
    }

    /// Transfers that have neither been carried out nor failed, in the order of their arrival.
    pub(crate) fn open_instructions(&self) -> Result<Vec<Instruction>, StorageError> {
        let mut open = Vec::new();
        self.each(OPEN, &[], |_, uetr| {
            let uetr: Uetr = self.database.decode(OPEN, uetr)?;
            open.extend(self.instruction(&uetr)?);
            Ok(true)
        })?;
        Ok(open)
    }

    /// The place of the next instruction, and of the next payment.
    pub(crate) fn next_places(&self) -> Result<(u64, u64), StorageError> {
        Ok((self.after_last(OPEN)?, self.after_last(PAYMENTS)?))
    }

    /// The position of the last event, or zero.
    pub(crate) fn last_event(&self) -> Result<u64, StorageError> {
        Ok(self.after_last(EVENTS)? - 1)
    }

    /// The number after that of the last key, in a table that is numbered from 1.
    fn after_last(&self, table: Table) -> Result<u64, StorageError> {
        let last = self.database.last(table)?;
        let number = |key: &[u8]| Some(u64::from_be_bytes(*key.first_chunk()?));
        let last = last.and_then(|(key, _)| number(&key));
        Ok(last.unwrap_or(0).saturating_add(1))
    }

    /// The payment at this place of the queue.
    pub(crate) fn payment(&self, place: u64) -> Result<Option<Payment>, StorageError> {
        self.database.get(PAYMENTS, &place.to_be_bytes())
    }

    /// Payments in queue order, those that `wanted` says, `limit` at most.
    pub(crate) fn payments(
        &self,
        wanted: impl Fn(&Payment) -> bool,
        limit: usize,
    ) -> Result<Vec<Payment>, StorageError> {
        let mut payments = Vec::new();
        self.each(PAYMENTS, &[], |_, value| {
            let payment: Payment = self.database.decode(PAYMENTS, value)?;
            if wanted(&payment) {
                payments.push(payment);
            }
            Ok(payments.len() < limit)
        })?;
        payments.truncate(limit);
        Ok(payments)
    }

    /// What is prepared of the next queue of each asset.
    pub(crate) fn prepared(&self) -> Result<BTreeMap<AssetId, PreparedQueue>, StorageError> {
        let mut prepared = BTreeMap::new();
        self.each(QUEUE_SEEDS, &[], |key, value| {
            let asset: AssetId = self.database.decode(QUEUE_SEEDS, key)?;
            let seed: QueueSeed = self.database.decode(QUEUE_SEEDS, value)?;
            let mut groups = BTreeMap::new();
            for group in 0..MAX_GROUPS {
                let proven = self.database.get(QUEUE_PROOFS, &group_key(asset, group))?;
                groups.extend(proven.map(|proven| (group, proven)));
            }
            prepared.insert(asset, PreparedQueue { seed, groups });
            Ok(true)
        })?;
        Ok(prepared)
    }

    /// Lines of one account from a height on, `limit` at most.
    pub(crate) fn lines(
        &self,
        asset: AssetId,
        from: Height,
        limit: usize,
    ) -> Result<Vec<api::StatementLine>, StorageError> {
        let mut lines = Vec::new();
        let of_asset = asset.to_bytes();
        self.each(LINES, &line_key(asset, from, 0), |key, value| {
            if !key.starts_with(&of_asset) {
                return Ok(false);
            }
            let Stored(line) = self.database.decode(LINES, value)?;
            lines.push(line);
            Ok(lines.len() < limit)
        })?;
        lines.truncate(limit);
        Ok(lines)
    }

    /// The first line of any account with this UETR, or `None`. Reads all lines.
    pub(crate) fn line_of(&self, uetr: &Uetr) -> Result<Option<api::StatementLine>, StorageError> {
        let (uetr, mut found) = (uetr.to_string(), None);
        self.each(LINES, &[], |_, value| {
            let Stored(line): Stored<api::StatementLine> = self.database.decode(LINES, value)?;
            if line.uetr == uetr {
                found = Some(line);
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// Events after a position, `limit` at most.
    pub(crate) fn events(&self, after: u64, limit: usize) -> Result<Vec<api::Event>, StorageError> {
        let first = after.saturating_add(1).to_be_bytes();
        let rows = self.database.scan(EVENTS, &first, limit)?;
        let event = |(_, value): &Row| self.database.decode(EVENTS, value);
        rows.iter().map(event).map(|stored| stored.map(|Stored(event)| event)).collect()
    }

    /// Writes a batch; it is on the disk when this returns.
    pub(crate) fn write(&self, batch: Batch) -> Result<(), StorageError> {
        self.database.write(batch)
    }

    /// Rows from `first` on, as long as `row` wants more.
    fn each(
        &self,
        table: Table,
        first: &[u8],
        mut row: impl FnMut(&[u8], &[u8]) -> Result<bool, StorageError>,
    ) -> Result<(), StorageError> {
        let mut first = first.to_vec();
        loop {
            let page = self.database.scan(table, &first, PAGE)?;
            for (key, value) in &page {
                if !row(key, value)? {
                    return Ok(());
                }
            }
            let Some((last, _)) = page.last().filter(|_| page.len() == PAGE) else {
                return Ok(());
            };
            // The next key after the last one.
            first = last.clone();
            first.push(0);
        }
    }
}

/// The next queue of an asset, as far as it is proven.
pub(crate) struct PreparedQueue {
    pub(crate) seed: QueueSeed,
    pub(crate) groups: BTreeMap<usize, ProvenGroup>,
}

/// Writes of the tables above, to be made in one batch.
pub(crate) trait Writes {
    /// Lines and events are written up to this height.
    fn put_processed(&mut self, height: Height);
    /// An instruction in its present state.
    fn put_instruction(&mut self, instruction: &Instruction);
    /// A payment in its present state.
    fn put_payment(&mut self, payment: &Payment);
    /// The seed of the next queue of an asset, of which nothing is proven yet.
    fn put_queue_seed(&mut self, asset: AssetId, seed: &QueueSeed);
    /// A group of that queue, proven.
    fn put_proven(&mut self, asset: AssetId, group: usize, proven: &ProvenGroup);
    /// Seed and proofs are not to be used any more.
    fn delete_prepared(&mut self, asset: AssetId);
    /// The line number `index` of a block.
    fn put_line(&mut self, asset: AssetId, height: Height, index: u32, line: api::StatementLine);
    /// An event with its position in it.
    fn put_event(&mut self, event: api::Event);
}

impl Writes for Batch {
    fn put_processed(&mut self, height: Height) {
        self.put(META, PROCESSED, &height.0);
    }

    fn put_instruction(&mut self, instruction: &Instruction) {
        if let What::Transfer(_) = instruction.what {
            // Places are given again once those that had them are not open any more.
            let place = instruction.place.to_be_bytes();
            let key = [&place[..], &instruction.uetr.0].concat();
            match instruction.state.is_terminal() {
                false => self.put(OPEN, &key, &instruction.uetr),
                true => self.delete(OPEN, &key),
            }
        }
        self.put(INSTRUCTIONS, &instruction.uetr.0, instruction);
    }

    fn put_payment(&mut self, payment: &Payment) {
        self.put(PAYMENTS, &payment.place.to_be_bytes(), payment);
    }

    fn put_queue_seed(&mut self, asset: AssetId, seed: &QueueSeed) {
        self.delete_prepared(asset);
        self.put(QUEUE_SEEDS, &asset.to_bytes(), seed);
    }

    fn put_proven(&mut self, asset: AssetId, group: usize, proven: &ProvenGroup) {
        self.put(QUEUE_PROOFS, &group_key(asset, group), proven);
    }

    fn delete_prepared(&mut self, asset: AssetId) {
        self.delete(QUEUE_SEEDS, &asset.to_bytes());
        (0..MAX_GROUPS).for_each(|group| self.delete(QUEUE_PROOFS, &group_key(asset, group)));
    }

    fn put_line(&mut self, asset: AssetId, height: Height, index: u32, line: api::StatementLine) {
        self.put(LINES, &line_key(asset, height, index), &Stored(line));
    }

    fn put_event(&mut self, event: api::Event) {
        self.put(EVENTS, &event.position.to_be_bytes(), &Stored(event));
    }
}

fn group_key(asset: AssetId, group: usize) -> Vec<u8> {
    let mut key = Writer::new();
    asset.encode(&mut key);
    key.u32(group as u32);
    key.into_bytes()
}

fn line_key(asset: AssetId, height: Height, index: u32) -> Vec<u8> {
    let mut key = Writer::new();
    asset.encode(&mut key);
    height.encode(&mut key);
    key.u32(index);
    key.into_bytes()
}

/// A message of the bank's interface, kept as it was shown.
struct Stored<M>(M);

/// The longest message that is kept.
const MAX_MESSAGE: usize = 1 << 20;

impl<M: Message> Encode for Stored<M> {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.0.encode_to_vec());
    }
}

impl<M: Message + Default> Decode for Stored<M> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let message = M::decode(input.bytes(MAX_MESSAGE, "message")?);
        message.map(Self).map_err(|_| input.invalid("message", "not protobuf of its kind"))
    }
}
