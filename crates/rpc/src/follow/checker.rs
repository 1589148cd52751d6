//! What the blocks of a chain are held against.

use quittance_crypto::digest::Digest;
use quittance_crypto::planted;
use quittance_ledger::block::{Header, HeaderError, Tip};
use quittance_ledger::certificate::{CertificateError, ValidatorSet};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{ChainId, Height};
use thiserror::Error;

use crate::convert::{FieldError, FinalBlock};

/// How a chain is not the one that is followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WrongChain {
    /// It began with another genesis.
    #[error("it is chain {found}; our genesis begins chain {expected}")]
    Chain {
        /// Ours.
        expected: ChainId,
        /// The node's.
        found: ChainId,
    },
    /// Not canonical bytes.
    #[error("after height {after}: {reason}")]
    Malformed {
        /// The last good block.
        after: Height,
        /// What does not decode.
        reason: FieldError,
    },
    /// A header that does not follow the one before.
    #[error("after height {after}: {reason}")]
    Header {
        /// The last good block.
        after: Height,
        /// Why it does not follow.
        reason: HeaderError,
    },
    /// Other transactions than the header's.
    #[error("the transactions of block {0} are not those of its header")]
    Transactions(Height),
    /// A certificate for something else.
    #[error("the certificate that comes with block {0} is of another block")]
    OtherBlock(Height),
    /// A certificate that does not hold.
    #[error("the certificate of block {height}: {reason}")]
    Certificate {
        /// Of the block.
        height: Height,
        /// What is wrong.
        reason: CertificateError,
    },
    /// The validators that come with a block are not those that it announces.
    #[error("block {height} {reason}")]
    Validators {
        /// Of the block.
        height: Height,
        /// What is wrong.
        reason: WrongSet,
    },
}

/// How the validators that come with a block are not those that its header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WrongSet {
    /// They do not come.
    #[error("announces validators {announced}, and comes without them")]
    Missing {
        /// The digest in the header.
        announced: Digest,
    },
    /// Others come.
    #[error("comes with validators {found}, and announces others")]
    Another {
        /// The digest of those that came.
        found: Digest,
    },
    /// Some come although they stay who they were.
    #[error("comes with validators {found}, and announces no change of them")]
    Untimely {
        /// The digest of those that came.
        found: Digest,
    },
}

/// The end of a chain, as far as it is known, and who decides on the next block.
#[derive(Debug, Clone)]
pub struct ChainChecker {
    chain: ChainId,
    /// Always those that the tip names.
    validators: ValidatorSet,
    tip: Tip,
}

impl ChainChecker {
    /// Before the first block.
    pub fn genesis(genesis: &Genesis) -> Self {
        let validators = genesis.validators.clone();
        Self { chain: genesis.chain_id(), validators, tip: Tip::genesis(genesis) }
    }

    /// After the block with this header, if `validators` are those that it announces. The header is
    /// believed.
    pub fn after(header: &Header, validators: &ValidatorSet) -> Option<Self> {
        let tip = Tip::after(header);
        tip.is_decided_by(validators).then(|| Self {
            chain: header.chain,
            validators: validators.clone(),
            tip,
        })
    }

    /// The chain.
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// The last block that was taken.
    pub fn height(&self) -> Height {
        self.tip.height()
    }

    /// Takes the next block, if it is the next block.
    pub fn take(&mut self, next: &FinalBlock) -> Result<(), WrongChain> {
        let FinalBlock { block, certificate, next_validators } = next;
        let (after, height) = (self.tip.height(), block.header.height);
        self.tip.check(&block.header).map_err(|reason| WrongChain::Header { after, reason })?;
        block.check_transactions_root().map_err(|_| WrongChain::Transactions(height))?;
        if certificate.block != block.id() || certificate.height != height {
            return Err(WrongChain::OtherBlock(height));
        }
        let verdict = certificate.verify(self.chain, &self.validators);
        planted!("certificate-not-verified", Ok(()), verdict)
            .map_err(|reason| WrongChain::Certificate { height, reason })?;
        let changed = changed(&block.header, next_validators.as_ref());
        if let Some(next) = changed.map_err(|reason| WrongChain::Validators { height, reason })? {
            self.validators = next.clone();
        }
        self.tip = Tip::after(&block.header);
        Ok(())
    }
}

/// The set that decides after the block with this header, if it is not the one before.
fn changed<'a>(
    header: &Header,
    next: Option<&'a ValidatorSet>,
) -> Result<Option<&'a ValidatorSet>, WrongSet> {
    let announced = header.next_validators;
    match (announced == header.validators, next) {
        (true, None) => Ok(None),
        (true, Some(next)) => Err(WrongSet::Untimely { found: next.digest() }),
        (false, None) => Err(WrongSet::Missing { announced }),
        (false, Some(next)) => match next.digest() {
            found if found == announced => Ok(Some(next)),
            found => Err(WrongSet::Another { found }),
        },
    }
}
