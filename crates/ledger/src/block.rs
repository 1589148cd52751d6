//! Blocks: a header and the transactions that lead to its state root.

#[cfg(test)]
mod tests;
mod tip;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use quittance_crypto::signature::Suite;
use rand_core::CryptoRngCore;
use thiserror::Error;

pub use tip::{HeaderError, Tip};

use crate::ids::{BlockId, ChainId, Height, Timestamp, TransactionId};
use crate::merkle;
use crate::transaction::{Transaction, Unverified, Verified, expect_version};
use crate::verify::{Directory, Verdict, VerificationError, verify_batch};

/// The version of the header's format; its first byte.
pub const HEADER_VERSION: u8 = 1;

/// Bytes of all transactions of a block that decoding accepts. A chain's own limit is not higher.
pub const MAX_TRANSACTIONS_BYTES: usize = 32 << 20;

/// Complete bytes of a block that decoding accepts: header and count of transactions besides.
pub const MAX_BLOCK_BYTES: usize = MAX_TRANSACTIONS_BYTES + 1024;

/// Transactions of a block that decoding accepts. A chain's own limit is not higher.
pub const MAX_BLOCK_TRANSACTIONS: usize = 1 << 14;

/// What a block is known by. Its digest is what validators sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The algorithms of the chain.
    pub suite: Suite,
    /// The chain.
    pub chain: ChainId,
    /// Its number: the parent's and 1, from 1.
    pub height: Height,
    /// The block before; all zeros for the first.
    pub parent: BlockId,
    /// See [`transactions_root`].
    pub transactions_root: Digest,
    /// Root of the state *after* this block.
    pub state_root: Digest,
    /// When it was proposed: later than its parent, the first later than the genesis.
    pub time: Timestamp,
    /// Digest of the validators that decide this block.
    pub validators: Digest,
    /// Digest of the validators that decide the next one.
    pub next_validators: Digest,
}

/// A header with its transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block<S = Unverified> {
    /// The header.
    pub header: Header,
    /// The transactions, in the order of their execution.
    pub transactions: Vec<Transaction<S>>,
}

/// Why a block's transactions are not valid by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BlockError {
    /// The header is of other transactions.
    #[error("the header's transactions root is {stated}, that of the transactions {computed}")]
    TransactionsRoot {
        /// What the header says.
        stated: Digest,
        /// What the transactions give.
        computed: Digest,
    },
    /// A transaction does not verify.
    #[error("transaction {index} ({id}): {source}")]
    Transaction {
        /// Its position in the block.
        index: usize,
        /// Its id.
        id: TransactionId,
        /// Why not.
        source: VerificationError,
    },
}

/// Merkle root of the list of transaction ids, in block order.
pub fn transactions_root<S>(transactions: &[Transaction<S>]) -> Digest {
    let ids: Vec<TransactionId> = transactions.iter().map(Transaction::id).collect();
    merkle::root_of(&ids)
}

impl Header {
    /// The digest of the header: the block's id.
    pub fn id(&self) -> BlockId {
        BlockId(Digest::of_value("quittance/v1/block", self))
    }
}

impl<S> Block<S> {
    /// The block's id.
    pub fn id(&self) -> BlockId {
        self.header.id()
    }

    /// Whether the header is of these transactions.
    pub fn check_transactions_root(&self) -> Result<(), BlockError> {
        let (stated, computed) =
            (self.header.transactions_root, transactions_root(&self.transactions));
        match stated == computed {
            true => Ok(()),
            false => Err(BlockError::TransactionsRoot { stated, computed }),
        }
    }
}

impl Block<Unverified> {
    /// Verifies the transactions root and all transactions, those that `known` has no verdict on in
    /// one batch; `entropy` as for [`verify_batch`]. Names the first transaction that fails.
    pub fn verify(
        self,
        directory: &(impl Directory + Sync),
        known: impl Fn(&TransactionId) -> Option<Verdict>,
        entropy: &mut impl CryptoRngCore,
    ) -> Result<Block<Verified>, BlockError> {
        self.check_transactions_root()?;
        let mut unknown = Vec::new();
        let slots: Vec<_> = self
            .transactions
            .into_iter()
            .map(|transaction| {
                let id = transaction.id();
                let recalled = match known(&id) {
                    Some(verdict) => transaction.recall(&verdict),
                    None => Err(Box::new(transaction)),
                };
                recalled.map_err(|transaction| {
                    unknown.push(*transaction);
                    id
                })
            })
            .collect();
        let mut verdicts = verify_batch(unknown, directory, entropy).into_iter();
        let mut verdict = || verdicts.next().expect("one verdict for each unknown transaction");
        let transactions = slots
            .into_iter()
            .enumerate()
            .map(|(index, slot)| {
                slot.or_else(|id| {
                    verdict().map_err(|source| BlockError::Transaction { index, id, source })
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Block { header: self.header, transactions })
    }
}

impl Encode for Header {
    fn encode(&self, out: &mut Writer) {
        out.u8(HEADER_VERSION);
        self.suite.encode(out);
        self.chain.encode(out);
        self.height.encode(out);
        self.parent.encode(out);
        self.transactions_root.encode(out);
        self.state_root.encode(out);
        self.time.encode(out);
        self.validators.encode(out);
        self.next_validators.encode(out);
    }
}

impl Decode for Header {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, HEADER_VERSION, "header version")?;
        Ok(Self {
            suite: Suite::decode(input)?,
            chain: ChainId::decode(input)?,
            height: Height::decode(input)?,
            parent: BlockId::decode(input)?,
            transactions_root: Digest::decode(input)?,
            state_root: Digest::decode(input)?,
            time: Timestamp::decode(input)?,
            validators: Digest::decode(input)?,
            next_validators: Digest::decode(input)?,
        })
    }
}

impl<S> Encode for Block<S> {
    fn encode(&self, out: &mut Writer) {
        self.header.encode(out);
        out.list(&self.transactions);
    }

    /// Megabytes, whose length is known.
    fn to_bytes(&self) -> Vec<u8> {
        let transactions: usize = self.transactions.iter().map(Transaction::size).sum();
        let mut out =
            Writer::with_capacity(transactions + MAX_BLOCK_BYTES - MAX_TRANSACTIONS_BYTES);
        self.encode(&mut out);
        out.into_bytes()
    }
}

impl Decode for Block<Unverified> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = input.offset();
        let header = Header::decode(input)?;
        let transactions = input.list(MAX_BLOCK_TRANSACTIONS, "transactions")?;
        check_length(input.since(start).len())
            .map_err(|problem| input.error_at(start, "block", problem))?;
        Ok(Self { header, transactions })
    }
}

fn check_length(found: usize) -> Result<(), Problem> {
    match found {
        ..=MAX_BLOCK_BYTES => Ok(()),
        _ => Err(Problem::TooLong { found, limit: MAX_BLOCK_BYTES }),
    }
}
