//! A validator's chain: blocks with their certificates, the state after the last one, where each
//! transaction is, and where the validators changed.

use std::path::Path;
use std::sync::Mutex;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::planted;
use quittance_ledger::block::{Block, Header};
use quittance_ledger::certificate::{Certificate, ValidatorSet};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{BlockId, Height, TransactionId};
use quittance_ledger::state::{Changes, Key, Record, State, StateError};
use quittance_ledger::transaction::Verified;
use thiserror::Error;

use crate::database::{Batch, Database, Identity, Table};
use crate::error::StorageError;

const BLOCKS: Table = Table("blocks");
const CERTIFICATES: Table = Table("certificates");
const TRANSACTIONS: Table = Table("transactions");
const STATE: Table = Table("state");
const TIP: Table = Table("tip");
pub(crate) const EVIDENCE: Table = Table("evidence");
/// By the height of a block after which others decide, who they are.
const SETS: Table = Table("sets");
const TABLES: [Table; 7] = [BLOCKS, CERTIFICATES, TRANSACTIONS, STATE, TIP, EVIDENCE, SETS];
const TIP_KEY: &[u8] = b"tip";

/// The version of what the tables hold.
const FORMAT: u32 = 2;

/// A chain on disk.
pub struct ChainStore {
    pub(crate) database: Database,
    /// Held while evidence is added.
    pub(crate) accusing: Mutex<()>,
}

/// What was found when the store was opened: a chain whose parts agree.
pub struct Recovered {
    /// The state after the last block, or the genesis state.
    pub state: State,
    /// The header of the last block; `None` if there is no block yet.
    pub tip: Option<Header>,
}

/// A block with its certificate, as canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// Canonical bytes of the block.
    pub block: Vec<u8>,
    /// Canonical bytes of its certificate.
    pub certificate: Vec<u8>,
}

/// Why a chain was not opened or a block not taken.
#[derive(Debug, Error)]
pub enum ChainError {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The genesis or the stored records contradict themselves.
    #[error("the state on disk contradicts itself: {0}")]
    State(#[from] StateError),
    /// The stored state is not the one that the last block leads to.
    #[error("the state on disk has root {found}, the block at height {height} leads to {expected}")]
    Root {
        /// Height of the last block.
        height: Height,
        /// The root in its header; at height 0, that of the genesis.
        expected: Digest,
        /// The root of the stored records.
        found: Digest,
    },
    /// The last block, its certificate or the tip record does not fit the others.
    #[error("the block at height {height} on disk is not the one that the tip names: {problem}")]
    Tip {
        /// The height that the tip names.
        height: u64,
        /// What does not fit.
        problem: String,
    },
    /// A block that does not come next.
    #[error("block {found} cannot follow block {tip}")]
    NotNext {
        /// The height of the block.
        found: u64,
        /// The height of the tip.
        tip: u64,
    },
    /// A block announces other validators, and what it changes does not name them.
    #[error("block {0} announces validators that it does not name")]
    NextSet(Height),
}

/// The last block by height and id; height 0 and zeros before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tip {
    height: Height,
    block: BlockId,
}

/// Where a transaction is.
struct Location {
    height: Height,
    index: u32,
}

impl ChainStore {
    /// Opens the chain of `genesis` in the folder `path`, or begins it there.
    ///
    /// The state is built again from its records, and its root compared with the last header; the
    /// last block's certificate is verified. Blocks before it are not looked at.
    pub fn open(path: &Path, genesis: &Genesis) -> Result<(Self, Recovered), ChainError> {
        let initial = State::genesis(genesis)?;
        let owner = genesis.chain_id().0;
        let identity = Identity { kind: "chain".into(), format: FORMAT, owner };
        let database = Database::open(path, &identity, &TABLES)?;
        let store = Self { database, accusing: Mutex::new(()) };
        let tip = match store.database.get::<Tip>(TIP, TIP_KEY)? {
            Some(tip) => tip,
            None => store.begin(&initial)?,
        };
        let state = store.read_state()?;
        let tip = match tip.height.0 {
            0 => {
                store.check_root(tip.height, initial.root(), &state)?;
                None
            }
            _ => Some(store.check_tip(tip, &state, genesis)?),
        };
        Ok((store, Recovered { state, tip }))
    }

    /// Writes the state before the first block.
    fn begin(&self, initial: &State) -> Result<Tip, ChainError> {
        if let Some((height, _)) = self.database.last(BLOCKS)? {
            let height = self.database.decode::<Height>(BLOCKS, &height)?.0;
            return Err(ChainError::Tip { height, problem: "the tip record is missing".into() });
        }
        let tip = Tip { height: Height(0), block: BlockId(Digest::ZERO) };
        let mut batch = Batch::new();
        put_changes(&mut batch, &initial.to_changes());
        batch.put(TIP, TIP_KEY, &tip);
        self.database.write(batch)?;
        Ok(tip)
    }

    fn read_state(&self) -> Result<State, ChainError> {
        let records = self.database.scan(STATE, b"", usize::MAX)?;
        let records: Vec<Record> = records
            .iter()
            .map(|(key, value)| self.read_record(key, value))
            .collect::<Result<_, _>>()
            .map_err(|error| self.database.damaged(STATE, error))?;
        Ok(State::from_records(records)?)
    }

    fn read_record(&self, key: &[u8], value: &[u8]) -> Result<Record, DecodeError> {
        let mut input = Reader::new(value);
        let record = Record::decode(&Key::from_bytes(key)?, &mut input)?;
        input.finish()?;
        Ok(record)
    }

    fn check_root(
        &self,
        height: Height,
        expected: Digest,
        state: &State,
    ) -> Result<(), ChainError> {
        let found = state.root();
        match expected == found {
            true => Ok(()),
            false => Err(ChainError::Root { height, expected, found }),
        }
    }

    fn check_tip(&self, tip: Tip, state: &State, genesis: &Genesis) -> Result<Header, ChainError> {
        let height = tip.height.0;
        let wrong = |problem: String| ChainError::Tip { height, problem };
        let stored = self.block(tip.height)?.ok_or_else(|| wrong("it is missing".into()))?;
        let block =
            Block::from_bytes(&stored.block).map_err(|e| self.database.damaged(BLOCKS, e))?;
        let certificate = Certificate::from_bytes(&stored.certificate)
            .map_err(|e| self.database.damaged(CERTIFICATES, e))?;
        if block.id() != tip.block || certificate.block != tip.block {
            return Err(wrong("block, certificate and tip name different blocks".into()));
        }
        block.check_transactions_root().map_err(|error| wrong(error.to_string()))?;
        self.check_root(tip.height, block.header.state_root, state)?;
        let validators = self.decided_by(tip.height, genesis)?;
        let next = self.set_after(tip.height)?;
        let next = next.as_ref().unwrap_or(&validators);
        if validators.digest() != block.header.validators
            || next.digest() != block.header.next_validators
        {
            return Err(wrong("the validators are not those of its header".into()));
        }
        certificate
            .verify(state.chain().id, &validators)
            .map_err(|error| wrong(error.to_string()))?;
        Ok(block.header)
    }

    /// Who decided on the block at `height`: whom the last change before it names, or the genesis.
    fn decided_by(&self, height: Height, genesis: &Genesis) -> Result<ValidatorSet, ChainError> {
        let changes = self.set_changes(Height::GENESIS, height, usize::MAX)?;
        let last = changes.into_iter().next_back();
        Ok(last.map_or_else(|| genesis.validators.clone(), |(_, validators)| validators))
    }

    /// Appends a block with all that it changes: one atomic write, on the disk when this returns.
    pub fn append(
        &self,
        block: &Block<Verified>,
        certificate: &Certificate,
        changes: &Changes,
    ) -> Result<(), ChainError> {
        let height = block.header.height;
        let before = self.database.get::<Tip>(TIP, TIP_KEY)?.map_or(0, |tip| tip.height.0);
        let next = before.checked_add(1) == Some(height.0);
        if planted!("gap-in-the-chain-stored", false, !next) {
            return Err(ChainError::NotNext { found: height.0, tip: before });
        }
        let mut batch = Batch::new();
        batch.put(BLOCKS, &height.to_bytes(), block);
        batch.put(CERTIFICATES, &height.to_bytes(), certificate);
        for (index, transaction) in (0u32..).zip(&block.transactions) {
            let location = Location { height, index };
            batch.put(TRANSACTIONS, &transaction.id().to_bytes(), &location);
        }
        if block.header.next_validators != block.header.validators {
            let next = next_set(&block.header, changes).ok_or(ChainError::NextSet(height))?;
            batch.put(SETS, &height.to_bytes(), next);
        }
        put_changes(&mut batch, changes);
        batch.put(TIP, TIP_KEY, &Tip { height, block: block.id() });
        Ok(self.database.write(batch)?)
    }

    /// The block at a height.
    pub fn block(&self, height: Height) -> Result<Option<StoredBlock>, ChainError> {
        let key = height.to_bytes();
        let block = self.database.get_bytes(BLOCKS, &key)?;
        let certificate = self.database.get_bytes(CERTIFICATES, &key)?;
        Ok(block.zip(certificate).map(|(block, certificate)| StoredBlock { block, certificate }))
    }

    /// The height and position of a transaction, if it is in a block.
    pub fn transaction(&self, id: &TransactionId) -> Result<Option<(Height, u32)>, ChainError> {
        let location = self.database.get::<Location>(TRANSACTIONS, &id.to_bytes())?;
        Ok(location.map(|Location { height, index }| (height, index)))
    }

    /// Who decides from the block after `height` on, if they are others than those who decided on
    /// that block.
    pub fn set_after(&self, height: Height) -> Result<Option<ValidatorSet>, ChainError> {
        Ok(self.database.get(SETS, &height.to_bytes())?)
    }

    /// The heights above `after` and below `before` at which the validators changed, with those who
    /// decide from then on; in ascending order, the first `limit` of them.
    pub fn set_changes(
        &self,
        after: Height,
        before: Height,
        limit: usize,
    ) -> Result<Vec<(Height, ValidatorSet)>, ChainError> {
        let rows = self.database.scan(SETS, &after.next().to_bytes(), limit)?;
        let mut changes = Vec::new();
        for (key, value) in rows {
            let height: Height = self.database.decode(SETS, &key)?;
            if height >= before {
                break;
            }
            changes.push((height, self.database.decode(SETS, &value)?));
        }
        Ok(changes)
    }
}

/// The set that a header announces, among what its block changes.
fn next_set<'a>(header: &Header, changes: &'a Changes) -> Option<&'a ValidatorSet> {
    match changes.get(&Key::Validators)? {
        Some(Record::Validators(next)) if next.digest() == header.next_validators => Some(next),
        _ => None,
    }
}

fn put_changes(batch: &mut Batch, changes: &Changes) {
    for (key, record) in changes.iter() {
        match record {
            Some(record) => batch.put(STATE, &key.to_bytes(), record),
            None => batch.delete(STATE, &key.to_bytes()),
        }
    }
}

impl Encode for Tip {
    fn encode(&self, out: &mut Writer) {
        self.height.encode(out);
        self.block.encode(out);
    }
}

impl Decode for Tip {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let height = Height::decode(input)?;
        Ok(Self { height, block: BlockId::decode(input)? })
    }
}

impl Encode for Location {
    fn encode(&self, out: &mut Writer) {
        self.height.encode(out);
        out.u32(self.index);
    }
}

impl Decode for Location {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { height: Height::decode(input)?, index: input.u32("position")? })
    }
}
