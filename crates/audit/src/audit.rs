//! The replay of a chain.

use std::collections::BTreeMap;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{DecodeError, Encode};
use quittance_crypto::group::Point;
use quittance_ledger::block::{Block, Header};
use quittance_ledger::certificate::Certificate;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{AssetId, BlockId, Height, Timestamp};
use quittance_ledger::receipt::Checkpoint;
use rayon::prelude::*;
use serde::Serialize;

use crate::books::Books;
use crate::certificate::{self, set_digest};
use crate::digests::{TransactionDigests, list_root};
use crate::execution::{Context, execute};
use crate::fault::{Fault, require};
use crate::{rounds, transaction};

/// How much has been verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Blocks.
    pub blocks: u64,
    /// Transactions.
    pub transactions: u64,
    /// Range proofs, each alone by the verifier of the crate `bulletproofs`.
    pub range_proofs: u64,
    /// Signatures of institutions and validators.
    pub signatures: u64,
}

/// An audit under way. It takes the blocks of one chain in order.
pub struct Audit {
    books: Books,
    totals: Totals,
    height: u64,
    parent: Digest,
    time: u64,
    root: Digest,
}

impl Audit {
    /// Begins at a genesis.
    pub fn begin(genesis: &Genesis) -> Result<Self, Fault> {
        genesis.check().map_err(|error| Fault::new("genesis", error))?;
        let mut books = Books::open(genesis);
        let root = books.root();
        let (height, parent, time) = (0, Digest::ZERO, genesis.time.0);
        Ok(Self { books, totals: Totals::default(), height, parent, time, root })
    }

    /// How much has been verified so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Height of the last block verified.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// The state root after it.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// The chain's id: the digest of its genesis.
    pub fn chain(&self) -> Digest {
        self.books.chain.0
    }

    /// The last block verified, and who decides the next one: a root for receipts.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            chain: self.books.chain,
            suite: self.books.suite,
            height: Height(self.height),
            block: BlockId(self.parent),
            time: Timestamp(self.time),
            validators: self.books.governed.validators.clone(),
        }
    }

    /// Verifies the next block with its certificate. After a fault the audit is over.
    pub fn block(&mut self, block: &Block, certificate: &Certificate) -> Result<(), Fault> {
        let height = self.height + 1;
        self.verify_block(block, certificate).map_err(|fault| fault.at(height))?;
        self.height = height;
        Ok(())
    }

    /// The fault of a block whose bytes do not decode.
    pub fn undecodable(&self, what: &'static str, error: &DecodeError) -> Fault {
        Fault::new(what, error).at(self.height + 1)
    }

    fn verify_block(&mut self, block: &Block, certificate: &Certificate) -> Result<(), Fault> {
        let header = &block.header;
        self.check_header(header)?;
        let id = Digest::of("quittance/v1/block", &[&header.to_bytes()]);
        let books = &self.books;
        let signed = certificate::verify(
            books.chain,
            &books.governed.validators,
            id,
            header.height,
            certificate,
        )?;
        let digests: Vec<_> = block.transactions.par_iter().map(TransactionDigests::of).collect();
        let ids: Vec<_> = digests.iter().map(|digests| digests.id).collect();
        require(list_root(&ids) == header.transactions_root, "transactions root", || {
            header.transactions_root.to_string()
        })?;
        self.check_room(block)?;
        let books = &self.books;
        let verdicts: Vec<_> = block
            .transactions
            .par_iter()
            .zip(&digests)
            .map(|(transaction, digests)| transaction::verify(books, transaction, digests))
            .collect();
        rounds::forget(&mut self.books, header.height);
        for (index, (verdict, digests)) in (0u32..).zip(verdicts.into_iter().zip(&digests)) {
            let Some(transaction) = block.transactions.get(index as usize) else { break };
            let context = Context { height: header.height, digests };
            verdict
                .and_then(|()| execute(&mut self.books, transaction.body(), &context))
                .map_err(|fault| fault.in_transaction(index))?;
            self.totals.range_proofs += transaction.proofs().len() as u64;
            self.totals.signatures += transaction.signatures().len() as u64;
        }
        self.books.turn(Height(header.height.0 + 1));
        let next = self.books.governed.validators.to_bytes();
        let next = Digest::of("quittance/v1/validators", &[&next]);
        require(header.next_validators == next, "next validators", || {
            header.next_validators.to_string()
        })?;
        self.check_double_entry()?;
        self.root = self.books.root();
        require(self.root == header.state_root, "state root", || {
            format!("the header says {}, the books {}", header.state_root, self.root)
        })?;
        self.parent = id;
        self.time = header.time.0;
        self.totals.blocks += 1;
        self.totals.transactions += block.transactions.len() as u64;
        self.totals.signatures += signed.signers;
        Ok(())
    }

    fn check_header(&self, header: &Header) -> Result<(), Fault> {
        let next = self.height + 1;
        require(header.height.0 == next, "height", || format!("{}, not {next}", header.height))?;
        require(header.chain == self.books.chain, "chain", || header.chain.to_string())?;
        require(header.suite == self.books.suite, "suite", || header.suite.to_string())?;
        require(header.parent.0 == self.parent, "parent", || header.parent.to_string())?;
        require(header.time.0 > self.time, "time", || {
            format!("{} is not after {}", header.time.0, self.time)
        })?;
        let validators = set_digest(&self.books.governed.validators);
        require(header.validators == validators, "validators", || header.validators.to_string())?;
        Ok(())
    }

    fn check_room(&self, block: &Block) -> Result<(), Fault> {
        let limits = &self.books.governed.limits;
        let bytes: usize =
            block.transactions.iter().map(|transaction| transaction.to_bytes().len()).sum();
        let fits = block.transactions.len() <= limits.block_transactions as usize
            && bytes <= limits.block_bytes as usize;
        require(fits, "size of the block", || {
            format!("{} transactions, {bytes} bytes", block.transactions.len())
        })
    }

    /// For each asset all accounts and pending credits sum to zero, and for each account what it
    /// holds is what came in, less what went out, plus what was settled.
    fn check_double_entry(&self) -> Result<(), Fault> {
        let mut sums: BTreeMap<AssetId, Point> = BTreeMap::new();
        for (id, account) in &self.books.accounts {
            let sum = sums.entry(id.asset).or_insert_with(Point::identity);
            *sum += account.holdings();
        }
        for (asset, sum) in sums {
            require(sum.is_identity(), "double entry", || {
                format!("the accounts in {asset} do not sum to zero")
            })?;
        }
        for id in &self.books.touched {
            let Some(account) = self.books.accounts.get(id) else { continue };
            let flows = account.inflow - account.outflow + account.net_settled;
            require((account.holdings() - flows).is_identity(), "running sums", || id.to_string())?;
        }
        Ok(())
    }
}
