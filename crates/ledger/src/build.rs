//! Building transactions: what an agent does with the openings of its account.
//!
//! ```text
//! Poster::transfer / absorb -> EntryDraft --prove(body)--> Proven { proof, new balance }
//! Poster::settle            -> PostingDraft, proven jointly (`range_proof::joint`)
//! Terms::entries / settlement / governance / rotation / act -> Body
//! Unsigned::new(body, proofs) --sign--> InstitutionSignature ... --assemble--> Transaction
//! ```
//!
//! Every draft takes a fresh seed, and a proof consumes its draft: no two candidates, also for one
//! sequence number, share a blinding, a salt or a nonce.
//!
//! **Exchange.** Two banks draft one entry each, in two assets, and show each other the entries
//! (which reveal nothing). Both put the same entries into the same terms and so have the same
//! body; each proves its own entry, both sign, anybody assembles.
//!
//! **Settlement.** Every bank drafts a posting from its net. The body holds all postings; its one
//! proof is made by all banks together, with [`Body::proof_context`] as context and
//! [`crate::transaction::Entry::statement`] as statement; then every bank signs.
//!
//! The functions are pure but for sealing and signing, which draw entropy of their own.

mod assemble;
mod entry;
mod governance;
mod post;
#[cfg(test)]
mod tests;

use quittance_crypto::range_proof::RangeProofError;
use quittance_crypto::seal::SealError;
use thiserror::Error;

pub use assemble::{Terms, Unsigned};
pub use entry::{EntryDraft, Proven, Receiver};
pub use governance::NewKey;
pub use post::{Absorbed, Poster, PostingDraft};

use crate::ids::{AccountId, AssetId, InstitutionId};
use crate::transaction::Malformed;

/// Why a transaction cannot be built. Amounts are the institution's own.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// The account holds too little.
    #[error("{account}: {needed} minor units are needed, {available} are available")]
    InsufficientFunds {
        /// Which account.
        account: AccountId,
        /// What it would take.
        needed: u128,
        /// Balance and absorbed credits.
        available: u128,
    },
    /// The new balance would not fit 64 bits.
    #[error("{account}: a balance of {balance} minor units is above 2^64 - 1")]
    BalanceTooLarge {
        /// Which account.
        account: AccountId,
        /// The balance that it would have.
        balance: u128,
    },
    /// A transfer to nobody.
    #[error("{account}: a transfer needs at least one receiver")]
    NoReceivers {
        /// From which account.
        account: AccountId,
    },
    /// An issuer takes no part in the netting of its own asset.
    #[error("{account}: an issuer does not settle in its own asset")]
    IssuerSettles {
        /// Which account.
        account: AccountId,
    },
    /// The account cannot post any more.
    #[error("{account}: its sequence numbers are used up")]
    SequenceUsedUp {
        /// Which account.
        account: AccountId,
    },
    /// A payload could not be sealed to its receiver.
    #[error("sealing to {receiver}: {source}")]
    Seal {
        /// To whom.
        receiver: InstitutionId,
        /// Why not.
        source: SealError,
    },
    /// The body would break a rule that holds whatever the state.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The body does not contain the entry that was drafted.
    #[error("the body does not contain the drafted entry in {asset}")]
    EntryNotInBody {
        /// The asset of the entry.
        asset: AssetId,
    },
    /// The range proof could not be made.
    #[error(transparent)]
    Proof(#[from] RangeProofError),
    /// There must be one range proof per entry.
    #[error("{found} range proofs for {expected} entries")]
    ProofCount {
        /// Range proofs given.
        found: usize,
        /// Entries of the body.
        expected: usize,
    },
    /// The signer neither posts nor acts.
    #[error("{0} neither posts nor acts")]
    NotASigner(InstitutionId),
    /// The key is not the one that the body names.
    #[error("{0}: the body names another key")]
    OtherKey(InstitutionId),
    /// Two signatures of one institution.
    #[error("{0} signs twice")]
    SignedTwice(InstitutionId),
    /// A signature is missing.
    #[error("{0} has not signed")]
    NotSigned(InstitutionId),
}
