//! Transactions: one atomic unit, with its range proofs and signatures.
//!
//! ```text
//! transaction = body || list of range proofs, one per entry || list of signatures, by institution
//! ```
//!
//! | digest | label | covers | binds |
//! | --- | --- | --- | --- |
//! | body digest | `quittance/v1/body` | body | range proofs (with chain, suite and position), round ids |
//! | signing digest | `quittance/v1/signing` | body, proofs | signatures |
//! | id | `quittance/v1/transaction-id` | body, proofs, signatures | block, credit ids, cached verdicts |
//!
//! So nobody can put another proof under a signed body, nor a body under another's verdict.

mod body;
mod change;
mod entry;
mod governance;
mod limits;
mod round;
mod signed;
mod structure;

pub(crate) use body::expect_version;
pub use body::{Action, BODY_VERSION, Body, CreditReturn, ReturnReason};
pub use change::ChangeError;
pub use entry::{Condition, Credit, Entry, Posting, Side};
pub use governance::{Approval, Change, Governance, KeyRotation};
pub use limits::{
    MAX_ABSORBED, MAX_APPROVALS, MAX_ATTEMPTS, MAX_CHANGES, MAX_CREDITS, MAX_ENTRIES, MAX_LEAD,
    MAX_POSTINGS, MAX_QUEUE_NOTE_BYTES, MAX_SEALED_BYTES, MAX_SELF_NOTE_BYTES, MAX_SIGNATURES,
    MAX_STATEMENT, MAX_TRANSACTION_BYTES,
};
pub use round::{RoundJoin, RoundOpen, Settlement};
pub use signed::{InstitutionSignature, Transaction, Unverified, Verified, signing_digest};
pub use structure::Malformed;
