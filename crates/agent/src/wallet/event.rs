//! What a wallet tells.

use quittance_ledger::ids::{
    AssetId, CreditId, Height, InstitutionId, RoundId, Timestamp, TransactionId, Uetr,
};
use quittance_ledger::payload::{PayloadError, SelfNoteError};
use thiserror::Error;

use super::{CandidateId, CarriedOut};

/// Something that a block, or a loss, means for the institution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalletEvent {
    /// A line of the statement.
    Booked(StatementLine),
    /// An instruction is final.
    CarriedOut {
        /// Which.
        uetr: Uetr,
        /// Where.
        outcome: CarriedOut,
    },
    /// A candidate under way has been included.
    Landed {
        /// Which.
        candidate: CandidateId,
        /// In which transaction.
        transaction: TransactionId,
    },
    /// A candidate is lost. It is to be drafted anew if it is still wanted.
    Lost(Lost),
    /// A warning: a credit has arrived that cannot be absorbed. It is to be rejected.
    Malformed {
        /// Which credit.
        credit: CreditId,
        /// In which asset.
        asset: AssetId,
        /// Who gave it; for one that came back, who sent it back.
        sender: InstitutionId,
        /// What is wrong with it.
        reason: MalformedCredit,
    },
    /// A warning: the self note of an own posting does not open. The balance is unknown until the
    /// next posting whose note does.
    Unreadable {
        /// The account in which asset.
        asset: AssetId,
        /// Which posting.
        sequence: u64,
        /// Why not.
        reason: SelfNoteError,
    },
    /// The account has joined a round and is locked.
    Locked {
        /// The account in which asset.
        asset: AssetId,
        /// By which round.
        round: RoundId,
        /// The last height of the lock.
        until: Height,
    },
    /// The lock of the account has ended.
    Unlocked {
        /// The account in which asset.
        asset: AssetId,
        /// By which round it was locked.
        round: RoundId,
        /// By what it ended.
        by: Unlocked,
    },
}

/// By what a lock has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlocked {
    /// The round has settled, with this account: so many payments, from the front of its queue, are
    /// settled. None if the self note does not open.
    Settled(Option<u32>),
    /// The round has settled without this account.
    LeftOut,
    /// The deadline has passed.
    Deadline,
}

/// Why a credit cannot be absorbed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MalformedCredit {
    /// What its sender sealed is of no use.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A credit of one's own that has come back, whose opening the self note did not give.
    #[error("the opening of the returned credit is not known")]
    OpeningUnknown,
}

/// A lost candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Which.
    pub candidate: CandidateId,
    /// For which instruction.
    pub instruction: Option<Uetr>,
    /// The last height at which it may still be included.
    pub expiry: Height,
    /// Why.
    pub why: Loss,
}

/// Why a candidate is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// No later block can include it.
    Expired,
    /// The node has rejected it.
    Rejected,
    /// Its owner has withdrawn it.
    Withdrawn,
    /// Its sequence number has been used by something else.
    Overtaken,
    /// A credit that it absorbs has gone back to its sender.
    CreditGone,
    /// It stands on a candidate that is lost.
    Predecessor,
}

/// A line of an account's statement. Amounts are minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementLine {
    /// Of the account in which asset.
    pub asset: AssetId,
    /// In which block.
    pub height: Height,
    /// Its time.
    pub time: Timestamp,
    /// In which transaction.
    pub transaction: TransactionId,
    /// What happened.
    pub kind: LineKind,
    /// How much: negative for what goes away. Credits count towards the balance once absorbed:
    /// the amounts of `Sent`, `Absorbed` and `Settled` lines add up to the balance.
    pub amount: i128,
    /// The other institutions, in the order of the transaction; none for `Absorbed` and `Settled`.
    pub counterparties: Vec<Counterparty>,
    /// The instruction, where known.
    pub uetr: Option<Uetr>,
    /// The reference of the payer's customer. The chain gives it to the receiver alone.
    pub end_to_end_id: Option<String>,
    /// The text for the payee. The chain gives it to the receiver alone.
    pub remittance: Option<String>,
    /// The balance after this line, if it is known.
    pub balance: Option<i128>,
}

/// The other side of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counterparty {
    /// Who.
    pub institution: InstitutionId,
    /// Its part of the line's amount, without a sign. Zero for a decoy.
    pub amount: u64,
}

/// What a line of a statement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineKind {
    /// Paid by this institution.
    Sent,
    /// A credit has arrived.
    Received,
    /// Pending credits have been taken into the balance.
    Absorbed,
    /// The net of a round.
    Settled,
    /// A credit has come back.
    Returned,
    /// A credit that was pending here has gone back to its sender.
    GivenBack,
}
