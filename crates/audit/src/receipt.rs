//! Receipts, verified from `docs/protocols/receipts.md` with nothing but a root: a genesis, or a
//! checkpoint that somebody trusts.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::planted;
use quittance_ledger::block::Header;
use quittance_ledger::certificate::{Certificate, ValidatorSet};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{BlockId, ChainId, Height, Timestamp};
use quittance_ledger::receipt::{
    Checkpoint, Claim, NamedTransaction, Receipt, ReceiptFile, SetChange, Summary, SummaryClaim,
    SummaryPosting,
};
use quittance_ledger::transaction::Transaction;
use serde::Serialize;

use crate::certificate::{self, Signed, set_digest};
use crate::digests::TransactionDigests;
use crate::fault::{Fault, require};
use crate::paths::{verify_in_list, verify_in_trie};

/// What a receipt proves, if its root is the chain's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What was trusted.
    pub root: Root,
    /// What the receipt says; all of it holds.
    pub proven: Summary,
    /// Who has made the block final.
    pub signed: Signed,
    /// Of who decides the next block, if that is known: a root for later receipts.
    #[serde(skip)]
    pub checkpoint: Option<Checkpoint>,
}

/// Where the chain of validator sets begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Root {
    /// Height of the trusted block; 0 for a genesis.
    pub height: Height,
    /// The trusted block; all zeros for a genesis.
    pub block: BlockId,
    /// Its time, in milliseconds since 1970-01-01T00:00:00Z.
    pub time: Timestamp,
    /// The digest of the checkpoint, in hexadecimal; also a genesis has one.
    pub digest: String,
    /// How old the root was at the time of the last block, in milliseconds.
    pub age: u64,
}

/// The root that a genesis is.
pub fn genesis_root(genesis: &Genesis) -> Result<Checkpoint, Fault> {
    genesis.check().map_err(|error| Fault::new("genesis", error))?;
    Ok(Checkpoint {
        chain: ChainId(Digest::of("quittance/v1/genesis", &[&genesis.to_bytes()])),
        suite: genesis.suite,
        height: Height(0),
        block: BlockId(Digest::ZERO),
        time: genesis.time,
        validators: genesis.validators.clone(),
    })
}

/// Verifies a receipt and what its file says of it.
pub fn verify_file(file: &ReceiptFile, root: &Checkpoint) -> Result<Verdict, Fault> {
    let verdict = verify(&file.receipt, root)?;
    require(file.summary == verdict.proven, "summary", || {
        "the file's summary does not say what its receipt says".to_owned()
    })
    .map_err(|fault| fault.at(verdict.proven.height.0))?;
    Ok(verdict)
}

/// Verifies a receipt.
pub fn verify(receipt: &Receipt, root: &Checkpoint) -> Result<Verdict, Fault> {
    let mut reached = Reached::of(root);
    for change in &receipt.changes {
        reached = reached.after(change).map_err(|fault| fault.at(change.header.height.0))?;
    }
    let header = &receipt.header;
    reached.finish(receipt).map_err(|fault| fault.at(header.height.0))
}

/// As far as a verifier has come: a block, and who decides after it.
#[derive(Clone, Copy)]
pub(crate) struct Reached<'a> {
    root: &'a Checkpoint,
    height: Height,
    block: Digest,
    time: Timestamp,
    validators: &'a ValidatorSet,
}

impl<'a> Reached<'a> {
    /// The root.
    pub(crate) fn of(root: &'a Checkpoint) -> Self {
        Self {
            root,
            height: root.height,
            block: root.block.0,
            time: root.time,
            validators: &root.validators,
        }
    }

    pub(crate) fn height(&self) -> Height {
        self.height
    }

    /// Who decides the blocks after it, up to the next change.
    pub(crate) fn validators(&self) -> &'a ValidatorSet {
        self.validators
    }

    /// The place after a change of the validators.
    pub(crate) fn after(self, change: &'a SetChange) -> Result<Self, Fault> {
        let SetChange { header, certificate, validators } = change;
        let (block, _) = self.verify_block(header, certificate)?;
        require(header.next_validators != header.validators, "change of validators", || {
            "the block changes nothing".to_owned()
        })?;
        let announced = set_digest(validators) == header.next_validators;
        require(planted!("auditor-takes-any-set", true, announced), "announced set", || {
            format!("the block announces {}", header.next_validators)
        })?;
        Ok(Self { height: header.height, block, time: header.time, validators, ..self })
    }

    /// The block that the receipt is about, and what it claims.
    fn finish(self, receipt: &Receipt) -> Result<Verdict, Fault> {
        let header = &receipt.header;
        let (block, signed) = self.verify_block(header, &receipt.certificate)?;
        require(!receipt.claims.is_empty(), "claims", || "there is none".to_owned())?;
        let claims = receipt.claims.iter().map(|claim| verify_claim(claim, header));
        let proven = Summary {
            chain: header.chain,
            height: header.height,
            block: BlockId(block),
            time: header.time,
            set_changes: receipt.changes.len(),
            claims: claims.collect::<Result<_, _>>()?,
        };
        let next = set_digest(self.validators) == header.next_validators;
        let checkpoint = next.then(|| Checkpoint {
            chain: header.chain,
            suite: header.suite,
            height: header.height,
            block: BlockId(block),
            time: header.time,
            validators: self.validators.clone(),
        });
        Ok(Verdict { root: Root::of(self.root, header.time), proven, signed, checkpoint })
    }

    /// Checks that a later block is of this chain, and final by these validators.
    pub(crate) fn verify_block(
        &self,
        header: &Header,
        certificate: &Certificate,
    ) -> Result<(Digest, Signed), Fault> {
        require(header.height > self.height, "order of blocks", || {
            format!("it must begin or go on after block {}", self.height)
        })?;
        require(header.chain == self.root.chain, "chain", || header.chain.to_string())?;
        require(header.suite == self.root.suite, "suite", || header.suite.to_string())?;
        require(header.time > self.time, "time", || {
            format!("{} is not after {}", header.time, self.time)
        })?;
        let adjacent = header.height.0 - self.height.0 == 1;
        require(!adjacent || header.parent.0 == self.block, "parent", || {
            format!("it follows block {}, not {}", header.parent, self.block)
        })?;
        let named = header.validators == set_digest(self.validators);
        require(planted!("auditor-names-no-set", true, named), "validators", || {
            format!("the block is decided by {}, who are not proven", header.validators)
        })?;
        let block = Digest::of("quittance/v1/block", &[&header.to_bytes()]);
        let (chain, height) = (header.chain, header.height);
        let signed = certificate::verify(chain, self.validators, block, height, certificate)?;
        Ok((block, signed))
    }
}

impl Root {
    pub(crate) fn of(root: &Checkpoint, at: Timestamp) -> Self {
        let digest = Digest::of("quittance/v1/checkpoint", &[&root.to_bytes()]).to_string();
        let Checkpoint { height, block, time, .. } = *root;
        Self { height, block, time, digest, age: at.0.saturating_sub(time.0) }
    }

    /// Whether it is a genesis, and no checkpoint.
    pub fn is_genesis(&self) -> bool {
        self.height.0 == 0
    }
}

/// What a claim says, once it is shown to hold.
fn verify_claim(claim: &Claim, header: &Header) -> Result<SummaryClaim, Fault> {
    match claim {
        Claim::Transaction { transaction, path } => {
            let (id, postings) = match transaction {
                NamedTransaction::Id(id) => (*id, Vec::new()),
                NamedTransaction::Complete(transaction) => {
                    (TransactionDigests::of(transaction).id, postings(transaction))
                }
            };
            verify_in_list(&header.transactions_root, &id.to_bytes(), path)?;
            Ok(SummaryClaim::Transaction { id, position: path.index, postings })
        }
        Claim::Account { id, account, proof } => {
            let key = [&[6][..], &id.to_bytes()].concat();
            let key = Digest::of("quittance/v1/state-key", &[&key]);
            let record = account.as_ref().map(|account| account.to_bytes());
            verify_in_trie(&header.state_root, &key, record.as_deref(), proof)?;
            Ok(SummaryClaim::Account {
                institution: id.institution,
                asset: id.asset,
                sequence: account.as_ref().map_or(0, |account| account.sequence),
                balance: account.as_ref().map(|account| account.balance.to_string()),
            })
        }
    }
}

fn postings(transaction: &Transaction) -> Vec<SummaryPosting> {
    let mut shown = Vec::new();
    for entry in transaction.body().entries() {
        for posting in &entry.postings {
            shown.push(SummaryPosting {
                institution: posting.institution,
                asset: entry.asset,
                sequence: posting.sequence,
                new_balance: posting.new_balance.to_string(),
            });
        }
    }
    shown
}
