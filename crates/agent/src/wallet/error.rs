//! What a wallet refuses.

use quittance_ledger::build::BuildError;
use quittance_ledger::ids::{AssetId, Height, RoundId, TransactionId, Uetr};
use thiserror::Error;

use super::CandidateId;

/// Why a wallet does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WalletError {
    /// The chain has no such asset.
    #[error("{asset} is no asset of the chain")]
    UnknownAsset {
        /// Which.
        asset: AssetId,
    },
    /// The block is not the one after the last.
    #[error("block {found} does not follow: {expected} is next")]
    OutOfOrder {
        /// The next height.
        expected: Height,
        /// The block's.
        found: Height,
    },
    /// The block is of another chain.
    #[error("the block is of another chain")]
    OtherChain,
    /// The last posting's self note could not be opened: made with another note key.
    #[error("{asset}: the balance is unknown, since its self note does not open")]
    BalanceUnknown {
        /// Of the account in which asset.
        asset: AssetId,
    },
    /// The account is locked by a round that it has joined.
    #[error("{asset}: locked by round {round} until height {until}")]
    Locked {
        /// The account in which asset.
        asset: AssetId,
        /// By which round.
        round: RoundId,
        /// The last height at which it is locked.
        until: Height,
    },
    /// The account is not locked by the round that is to be settled.
    #[error("{asset}: not locked by round {round}")]
    NotLocked {
        /// The account in which asset.
        asset: AssetId,
        /// The round.
        round: RoundId,
    },
    /// A joining is under way: nothing can stand on it, since it locks the account.
    #[error("{asset}: joining a round is under way")]
    Joining {
        /// The account in which asset.
        asset: AssetId,
    },
    /// The last candidate under way is an absorption, on which no other may stand.
    #[error("{asset}: an absorption is under way")]
    AbsorptionInFlight {
        /// The account in which asset.
        asset: AssetId,
    },
    /// Too many candidates are under way.
    #[error("{asset}: {limit} candidates are under way")]
    TooManyInFlight {
        /// On the account in which asset.
        asset: AssetId,
        /// The limit.
        limit: usize,
    },
    /// The account's sequence numbers are used up.
    #[error("{asset}: its sequence numbers are used up")]
    SequenceUsedUp {
        /// The account in which asset.
        asset: AssetId,
    },
    /// No block that is still to come could include the candidate.
    #[error("height {expiry} has passed: the chain is at {height}")]
    ExpiryPassed {
        /// The expiry that was asked for.
        expiry: Height,
        /// The last block.
        height: Height,
    },
    /// The instruction has been carried out.
    #[error("instruction {uetr} has been carried out in transaction {transaction}")]
    CarriedOut {
        /// Which.
        uetr: Uetr,
        /// Where.
        transaction: TransactionId,
    },
    /// A candidate for the instruction is under way.
    #[error("instruction {uetr} is under way")]
    UnderWay {
        /// Which.
        uetr: Uetr,
    },
    /// A lost candidate for the instruction, on another account, can still be included.
    #[error("instruction {uetr} may still be carried out from the account in {asset}")]
    OtherAccount {
        /// Which.
        uetr: Uetr,
        /// On the account in which asset.
        asset: AssetId,
    },
    /// The round is unknown, settled or over.
    #[error("round {round} cannot be joined")]
    NoSuchRound {
        /// Which.
        round: RoundId,
    },
    /// The candidate is not under way any more.
    #[error("{}: candidate {} is not under way", candidate.asset, candidate.sequence)]
    NotInFlight {
        /// Which.
        candidate: CandidateId,
    },
    /// The transaction does not contain what was drafted, or expires at another height.
    #[error("the transaction is not of the candidate with sequence {}", candidate.sequence)]
    OtherTransaction {
        /// The candidate.
        candidate: CandidateId,
    },
    /// The entry could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}
