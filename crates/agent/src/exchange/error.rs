//! What one side of an exchange does not accept from the other.

use quittance_crypto::range_proof::RangeProofError;
use quittance_crypto::signature::SignatureError;
use quittance_ledger::build::BuildError;
use quittance_ledger::ids::{AssetId, Height, InstitutionId, Uetr};
use quittance_ledger::payload::{ParticularsError, PayloadError};
use quittance_ledger::transaction::Malformed;
use quittance_ledger::verify::VerificationError;
use thiserror::Error;

use crate::wallet::WalletError;

/// Why a step of an exchange is not taken. None of the texts tells an amount of this side, except
/// those of [`ExchangeError::Wallet`] and [`ExchangeError::Build`], which stay at home.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExchangeError {
    /// The entry is in another asset than was agreed.
    #[error("the entry is in {found}, not in {expected}")]
    OtherAsset {
        /// As agreed.
        expected: AssetId,
        /// In the entry.
        found: AssetId,
    },
    /// The entry has not exactly one posting.
    #[error("the entry has {0} postings, not one")]
    Postings(usize),
    /// The posting is of another account.
    #[error("the posting is of {found}, not of {expected}")]
    OtherPoster {
        /// As agreed.
        expected: InstitutionId,
        /// In the entry.
        found: InstitutionId,
    },
    /// The posting names a key that is not the institution's present one.
    #[error("the posting does not name the present transaction key of {0}")]
    OtherKey(InstitutionId),
    /// The entry has not exactly one credit.
    #[error("the entry has {0} credits, not one")]
    Credits(usize),
    /// The credit is to somebody else.
    #[error("the credit is to {0}")]
    OtherReceiver(InstitutionId),
    /// The credit is from somebody else.
    #[error("the credit is from {0}")]
    OtherSender(InstitutionId),
    /// What is sealed to this institution is of no use.
    #[error("the credit: {0}")]
    Payload(#[from] PayloadError),
    /// The credit is not of the agreed amount.
    #[error("the credit is not of the agreed amount")]
    OtherAmount,
    /// The credit is for another instruction.
    #[error("the credit has the reference {found}, not {expected}")]
    OtherReference {
        /// Of the exchange.
        expected: Uetr,
        /// Of the credit.
        found: Uetr,
    },
    /// The institution has no key of the kind that is needed.
    #[error("{0} has no key on the ledger that is needed for this")]
    NoKey(InstitutionId),
    /// The ledger has no such asset.
    #[error("{0} is no asset of the chain")]
    UnknownAsset(AssetId),
    /// The expiry has passed, or is further away than the ledger allows.
    #[error("the expiry {found} is not between the heights {earliest} and {latest}")]
    Expiry {
        /// In the message.
        found: Height,
        /// The next block's.
        earliest: Height,
        /// The last that the ledger allows.
        latest: Height,
    },
    /// Chain, suite or expiry of the body is not what this side has drafted for.
    #[error("the body is for another chain, suite or expiry")]
    OtherTerms,
    /// The body is not made of exactly the two entries.
    #[error("the body does not have exactly the two entries")]
    NotTheTwoEntries,
    /// The body does not have this side's entry as it was drafted.
    #[error("the body does not have this side's entry unchanged")]
    OwnEntryChanged,
    /// The range proof of the other side's entry does not hold.
    #[error("the range proof of the entry in {asset}: {source}")]
    RangeProof {
        /// Of the entry in which asset.
        asset: AssetId,
        /// What is wrong.
        source: RangeProofError,
    },
    /// The other side's signature does not hold.
    #[error("the signature of {institution}: {source}")]
    Signature {
        /// Whose.
        institution: InstitutionId,
        /// What is wrong.
        source: SignatureError,
    },
    /// The complete transaction is not the one that this side has signed.
    #[error("the transaction is not the one that was signed")]
    OtherTransaction,
    /// The complete transaction does not verify.
    #[error("the transaction does not verify: {0}")]
    Verification(#[from] VerificationError),
    /// Texts that the ledger's payloads cannot hold.
    #[error(transparent)]
    Particulars(#[from] ParticularsError),
    /// The body breaks a rule of the ledger.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// This side's own wallet refuses.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// This side's part cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl ExchangeError {
    /// Whether this side is the one that cannot, and not the other that has sent something wrong.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Wallet(_) | Self::Build(_) | Self::NoKey(_))
    }
}
