//! The chain of headers.

use quittance_crypto::digest::Digest;
use quittance_crypto::planted;
use quittance_crypto::signature::Suite;
use thiserror::Error;

use super::Header;
use crate::certificate::ValidatorSet;
use crate::genesis::Genesis;
use crate::ids::{BlockId, ChainId, Height, Timestamp};

/// The end of a chain of headers: what the next header has to follow.
///
/// What the next header says about transactions and state is for [`crate::execute::apply`] to
/// compare, and whether validators have signed it for [`crate::certificate::Certificate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    chain: ChainId,
    suite: Suite,
    height: Height,
    block: BlockId,
    time: Timestamp,
    validators: Digest,
}

/// Why a header does not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Of another chain.
    #[error("the header is of chain {found}, not of {expected}")]
    Chain {
        /// This chain.
        expected: ChainId,
        /// What the header says.
        found: ChainId,
    },
    /// Of another suite.
    #[error("the header names suite {found}, the chain has {expected}")]
    Suite {
        /// The chain's suite.
        expected: Suite,
        /// What the header says.
        found: Suite,
    },
    /// Not the next height.
    #[error("the header has height {found}, the next one is {expected}")]
    Height {
        /// The next height.
        expected: Height,
        /// What the header says.
        found: Height,
    },
    /// Another block before.
    #[error("the header follows block {found}, the last one is {expected}")]
    Parent {
        /// The last block.
        expected: BlockId,
        /// What the header says.
        found: BlockId,
    },
    /// Not later than the block before.
    #[error("the header's time {found} is not after {before}")]
    Time {
        /// The time of the block before.
        before: Timestamp,
        /// What the header says.
        found: Timestamp,
    },
    /// Other validators than the block before has announced.
    #[error("the header names validators {found}, announced were {expected}")]
    Validators {
        /// The digest announced.
        expected: Digest,
        /// What the header says.
        found: Digest,
    },
}

impl Tip {
    /// Before the first block.
    pub fn genesis(genesis: &Genesis) -> Self {
        Self {
            chain: genesis.chain_id(),
            suite: genesis.suite,
            height: Height::GENESIS,
            block: BlockId(Digest::ZERO),
            time: genesis.time,
            validators: genesis.validators.digest(),
        }
    }

    /// After the block with this header.
    pub fn after(header: &Header) -> Self {
        Self {
            chain: header.chain,
            suite: header.suite,
            height: header.height,
            block: header.id(),
            time: header.time,
            validators: header.next_validators,
        }
    }

    /// The last block; all zeros before the first.
    pub fn block(&self) -> BlockId {
        self.block
    }

    /// The height of the last block.
    pub fn height(&self) -> Height {
        self.height
    }

    /// The time of the last block, or of the genesis.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The digest of the validators that decide the next block.
    pub fn validators(&self) -> Digest {
        self.validators
    }

    /// Whether this set decides the next block. So whoever follows headers alone learns of a new
    /// set: from anybody, since the header before has its digest.
    pub fn is_decided_by(&self, set: &ValidatorSet) -> bool {
        set.digest() == self.validators
    }

    /// Checks that `next` follows.
    pub fn check(&self, next: &Header) -> Result<(), HeaderError> {
        if next.chain != self.chain {
            return Err(HeaderError::Chain { expected: self.chain, found: next.chain });
        }
        if next.suite != self.suite {
            return Err(HeaderError::Suite { expected: self.suite, found: next.suite });
        }
        if next.height != self.height.next() {
            let (expected, found) = (self.height.next(), next.height);
            return Err(HeaderError::Height { expected, found });
        }
        if next.parent != self.block {
            return Err(HeaderError::Parent { expected: self.block, found: next.parent });
        }
        if next.time <= self.time {
            return Err(HeaderError::Time { before: self.time, found: next.time });
        }
        let changed = next.validators != self.validators;
        if planted!("certificate-by-another-set", false, changed) {
            let (expected, found) = (self.validators, next.validators);
            return Err(HeaderError::Validators { expected, found });
        }
        Ok(())
    }
}
