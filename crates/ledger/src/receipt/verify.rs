//! Whether a receipt proves what it claims.

use quittance_crypto::encoding::Encode;
use quittance_crypto::planted;
use thiserror::Error;

use super::{Checkpoint, Claim, Receipt, SetChange};
use crate::block::{Header, HeaderError};
use crate::certificate::{Certificate, CertificateError, ValidatorSet};
use crate::ids::{AccountId, BlockId, Height, Timestamp, TransactionId};
use crate::state::Key;
use crate::{merkle, tree};

/// Why a receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReceiptError {
    /// A block that does not come after the one before it, or after the root.
    #[error("block {found} does not come after {before}, which the receipt begins or goes on from")]
    Order {
        /// The height before.
        before: Height,
        /// The height found.
        found: Height,
    },
    /// A header of another chain, or that does not follow.
    #[error("block {height}: {source}")]
    Header {
        /// Of which block.
        height: Height,
        /// Why not.
        source: HeaderError,
    },
    /// A certificate of another block.
    #[error("the certificate that comes with block {0} is of another block")]
    OtherBlock(Height),
    /// A certificate that does not hold.
    #[error("the certificate of block {height}: {source}")]
    Certificate {
        /// Of which block.
        height: Height,
        /// Why not.
        source: CertificateError,
    },
    /// A block that is said to change the validators, and does not.
    #[error("block {0} does not change the validators")]
    NoChange(Height),
    /// Other validators than a block announces.
    #[error("the validators that come with block {0} are not those that it announces")]
    Announced(Height),
    /// Nothing is claimed.
    #[error("the receipt claims nothing")]
    NoClaim,
    /// A transaction that is not shown to be in the block.
    #[error("transaction {id}: {source}")]
    Transaction {
        /// Which one.
        id: TransactionId,
        /// Why not.
        source: merkle::ProofError,
    },
    /// An account that is not shown to be so.
    #[error("account {id}: {source}")]
    Account {
        /// Which one.
        id: AccountId,
        /// Why not.
        source: tree::ProofError,
    },
}

/// What a receipt has proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proven<'a> {
    /// Who decided the receipt's block.
    pub validators: &'a ValidatorSet,
}

/// A block of the chain, and who decides after it.
struct Link<'a> {
    height: Height,
    block: BlockId,
    time: Timestamp,
    validators: &'a ValidatorSet,
}

impl Receipt {
    /// Checks that everything claimed is so on the chain of `root`, if that is to be trusted; see
    /// `docs/protocols/receipts.md` for what is assumed of the validators.
    pub fn verify<'a>(&'a self, root: &'a Checkpoint) -> Result<Proven<'a>, ReceiptError> {
        let mut link = Link {
            height: root.height,
            block: root.block,
            time: root.time,
            validators: &root.validators,
        };
        for change in &self.changes {
            link = link.change(root, change)?;
        }
        link.check(root, &self.header, &self.certificate)?;
        if self.claims.is_empty() {
            return Err(ReceiptError::NoClaim);
        }
        self.claims.iter().try_for_each(|claim| claim.verify(&self.header))?;
        Ok(Proven { validators: link.validators })
    }
}

impl<'a> Link<'a> {
    /// Goes on to the validators that `change` announces.
    fn change(self, root: &Checkpoint, change: &'a SetChange) -> Result<Self, ReceiptError> {
        let SetChange { header, certificate, validators } = change;
        self.check(root, header, certificate)?;
        if header.next_validators == header.validators {
            return Err(ReceiptError::NoChange(header.height));
        }
        let other = header.next_validators != validators.digest();
        if planted!("receipt-set-not-announced", false, other) {
            return Err(ReceiptError::Announced(header.height));
        }
        Ok(Self { height: header.height, block: header.id(), time: header.time, validators })
    }

    /// Checks that a later block was decided by these validators.
    fn check(
        &self,
        root: &Checkpoint,
        header: &Header,
        certificate: &Certificate,
    ) -> Result<(), ReceiptError> {
        let (before, height) = (self.height, header.height);
        if height <= before {
            return Err(ReceiptError::Order { before, found: height });
        }
        self.check_header(root, header)
            .map_err(|source| ReceiptError::Header { height, source })?;
        let other = certificate.height != height || certificate.block != header.id();
        if planted!("receipt-of-another-block", false, other) {
            return Err(ReceiptError::OtherBlock(height));
        }
        certificate
            .verify(root.chain, self.validators)
            .map_err(|source| ReceiptError::Certificate { height, source })
    }

    fn check_header(&self, root: &Checkpoint, header: &Header) -> Result<(), HeaderError> {
        if header.chain != root.chain {
            return Err(HeaderError::Chain { expected: root.chain, found: header.chain });
        }
        if header.suite != root.suite {
            return Err(HeaderError::Suite { expected: root.suite, found: header.suite });
        }
        let next = header.height == self.height.next();
        if next && header.parent != self.block {
            return Err(HeaderError::Parent { expected: self.block, found: header.parent });
        }
        if header.time <= self.time {
            return Err(HeaderError::Time { before: self.time, found: header.time });
        }
        let expected = self.validators.digest();
        match planted!("receipt-set-not-named", true, header.validators == expected) {
            true => Ok(()),
            false => Err(HeaderError::Validators { expected, found: header.validators }),
        }
    }
}

impl Claim {
    /// Checks the claim against the header of its block.
    fn verify(&self, header: &Header) -> Result<(), ReceiptError> {
        match self {
            Self::Transaction { transaction, path } => {
                let id = transaction.id();
                path.verify(&header.transactions_root, &id.to_bytes())
                    .map_err(|source| ReceiptError::Transaction { id, source })
            }
            Self::Account { id, account, proof } => {
                let record = account.as_ref().map(|account| account.to_bytes());
                Key::Account(*id)
                    .verify(&header.state_root, record.as_deref(), proof)
                    .map_err(|source| ReceiptError::Account { id: *id, source })
            }
        }
    }
}
