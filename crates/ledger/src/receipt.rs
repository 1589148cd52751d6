//! Receipts: what shows, offline and to whoever knows the genesis, that a transaction is final and
//! what an account was at a height.
//!
//! ```text
//! root (genesis or checkpoint) --> set changes --> header --> claims
//!   height, block, time, set       header, certificate,   certificate of    list path, or
//!                                  the set that follows   the last set      trie proof
//! ```
//!
//! A header names the set that decides it and the set that decides the next block. So only the
//! headers at which the set changes are needed, each certified by the set before it: whoever knows
//! the first set learns of each later one. The format, what a receipt proves and what it assumes are
//! written down in `docs/protocols/receipts.md`.
//!
//! - [`Receipt`], [`SetChange`], [`Claim`]: what is in one. [`Checkpoint`]: where a chain of sets
//!   begins.
//! - [`Claim::of_transaction`], [`Claim::of_account`]: how claims are made.
//! - [`Receipt::verify`]: what an agent does with a node's answer. The auditor has its own.
//! - [`ReceiptFile`]: the JSON file in which receipts are handed on.

mod claim;
mod file;
mod format;
mod verify;

use quittance_crypto::digest::Digest;
use quittance_crypto::signature::Suite;
use serde::{Deserialize, Serialize};

pub use claim::{Claim, NamedTransaction};
pub use file::{ReceiptFile, Summary, SummaryClaim, SummaryPosting};
pub use verify::{Proven, ReceiptError};

use crate::block::Header;
use crate::certificate::{Certificate, ValidatorSet};
use crate::genesis::Genesis;
use crate::ids::{BlockId, ChainId, Height, Timestamp};

/// The version of a receipt's format; its first byte.
pub const RECEIPT_VERSION: u8 = 1;

/// The version of a checkpoint's format; its first byte.
pub const CHECKPOINT_VERSION: u8 = 1;

/// Bytes of a receipt. Beyond it a later checkpoint is needed to begin from.
pub const MAX_RECEIPT_BYTES: usize = 8 << 20;

/// Changes of the validators in one receipt.
pub const MAX_SET_CHANGES: usize = 256;

/// Claims of one receipt.
pub const MAX_CLAIMS: usize = 16;

/// Something about the chain, with all that it takes to believe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The blocks after the root at which the validators changed, in the order of their heights.
    pub changes: Vec<SetChange>,
    /// Header of the block that the claims are about.
    pub header: Header,
    /// What makes that block final.
    pub certificate: Certificate,
    /// What is claimed of the block, and of the state after it: at least one, in order of
    /// [`Claim::place`].
    pub claims: Vec<Claim>,
}

/// A block after which other validators decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetChange {
    /// Its header, whose `next_validators` is the digest of `validators`.
    pub header: Header,
    /// What makes it final: signatures of the set before.
    pub certificate: Certificate,
    /// The set that decides from the next block on.
    pub validators: ValidatorSet,
}

/// A block that somebody trusts, and who decides after it: where a chain of sets begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The chain.
    pub chain: ChainId,
    /// The algorithms of the chain.
    #[serde(with = "crate::json::text")]
    pub suite: Suite,
    /// Height of the block; 0 for the genesis.
    pub height: Height,
    /// The block; all zeros for the genesis.
    pub block: BlockId,
    /// The time of the block, or of the genesis.
    pub time: Timestamp,
    /// Who decides the next block.
    pub validators: ValidatorSet,
}

impl Receipt {
    /// A receipt with its claims in order.
    pub fn new(
        changes: Vec<SetChange>,
        header: Header,
        certificate: Certificate,
        mut claims: Vec<Claim>,
    ) -> Self {
        claims.sort_by_key(Claim::place);
        Self { changes, header, certificate, claims }
    }
}

impl Checkpoint {
    /// The beginning of a chain.
    pub fn genesis(genesis: &Genesis) -> Self {
        Self {
            chain: genesis.chain_id(),
            suite: genesis.suite,
            height: Height::GENESIS,
            block: BlockId(Digest::ZERO),
            time: genesis.time,
            validators: genesis.validators.clone(),
        }
    }

    /// After the block with this header, if `validators` are those that it announces.
    pub fn after(header: &Header, validators: &ValidatorSet) -> Option<Self> {
        (validators.digest() == header.next_validators).then(|| Self {
            chain: header.chain,
            suite: header.suite,
            height: header.height,
            block: header.id(),
            time: header.time,
            validators: validators.clone(),
        })
    }

    /// What two people compare who want to know whether they have the same checkpoint:
    /// `H("quittance/v1/checkpoint", checkpoint)`.
    pub fn digest(&self) -> Digest {
        Digest::of_value("quittance/v1/checkpoint", self)
    }
}
