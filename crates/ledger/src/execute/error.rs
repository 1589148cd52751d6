//! Why a verified transaction is not valid in a state.

use quittance_crypto::digest::Digest;
use quittance_crypto::signature::Suite;
use thiserror::Error;

use crate::ids::{
    AccountId, AssetId, ChainId, CommitteeId, CreditId, Height, InstitutionId, RoundId,
};
use crate::transaction::ChangeError;

/// Why a transaction cannot be executed at this point. It leaves no trace.
///
/// Of several reasons the first is given, in the order of the rules in
/// `docs/protocols/ledger.md`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The messages say what the fields are.
pub enum ExecutionError {
    /// The block has as many transactions or bytes as the chain allows.
    #[error("the block is full")]
    BlockFull,
    /// For another chain.
    #[error("for chain {found}, not {expected}")]
    WrongChain { expected: ChainId, found: ChainId },
    /// Made with other algorithms than the chain's.
    #[error("suite {found}, not {expected}")]
    WrongSuite { expected: Suite, found: Suite },
    /// Its expiry height has passed.
    #[error("expired after height {expiry}; this is height {height}")]
    Expired { expiry: Height, height: Height },
    /// It expires later than the chain's limits allow.
    #[error("expires after height {expiry}, later than {latest}")]
    ExpiryTooFar { expiry: Height, latest: Height },

    /// Not in the register.
    #[error("{institution} is not registered")]
    UnknownInstitution { institution: InstitutionId },
    /// It neither signs nor is credited until it is readmitted.
    #[error("{institution} is suspended")]
    Suspended { institution: InstitutionId },
    /// Without the role that holding an account takes, and not the asset's issuer.
    #[error("{account}: the institution may not hold accounts")]
    NotAParticipant { account: AccountId },
    /// A key that the institution never registered.
    #[error("{institution} has no key {fingerprint}")]
    UnknownKey { institution: InstitutionId, fingerprint: Digest },
    /// A key that the institution registered for something else.
    #[error("{institution}: key {fingerprint} is not for transactions")]
    KeyOfOtherPurpose { institution: InstitutionId, fingerprint: Digest },
    /// A key that is not valid yet or was replaced.
    #[error("{institution}: key {fingerprint} is not its current one")]
    KeyNotCurrent { institution: InstitutionId, fingerprint: Digest },
    /// Not an asset of this chain.
    #[error("asset {asset} is unknown")]
    UnknownAsset { asset: AssetId },
    /// Nothing more is issued of it, and it is netted no more.
    #[error("asset {asset} is retired: it can be paid and redeemed, not issued nor netted")]
    AssetRetired { asset: AssetId },

    /// The sequence number has been used.
    #[error("{account}: sequence {found} has been used; the next is {expected}")]
    StaleSequence { account: AccountId, expected: u64, found: u64 },
    /// A sequence number before it has not been used yet.
    #[error("{account}: sequence {found} comes too early; the next is {expected}")]
    SkippedSequence { account: AccountId, expected: u64, found: u64 },
    /// The account has joined a round.
    #[error("{account} is locked by round {round} until height {until}")]
    Locked { account: AccountId, round: RoundId, until: Height },
    /// The credit does not pend on this account: it never was there, or was absorbed, or went back.
    #[error("{account}: there is no pending credit {credit}")]
    CreditNotPending { account: AccountId, credit: CreditId },
    /// Postings and credits of an entry do not sum to zero.
    #[error("entry {entry}: postings and credits do not sum to zero")]
    Imbalanced { entry: u32 },
    /// Too many credits of one sender would pend on the account.
    #[error("{account}: more than {limit} credits of {sender} would be pending")]
    QuotaExceeded { account: AccountId, sender: InstitutionId, limit: u32 },

    /// The credit has come back to its sender, who can only absorb it.
    #[error("{account}: credit {credit} has come back and can only be absorbed")]
    AlreadyReturned { account: AccountId, credit: CreditId },
    /// Refunded by somebody who did not give it.
    #[error("credit {credit} is not from {by}")]
    NotTheSender { credit: CreditId, by: InstitutionId },
    /// The receiver still has time to absorb it.
    #[error("credit {credit} can be refunded from height {from} on; this is height {height}")]
    RefundTooEarly { credit: CreditId, from: Height, height: Height },

    /// A round opened by an institution that is no coordinator.
    #[error("{institution} is not a coordinator")]
    NotACoordinator { institution: InstitutionId },
    /// No such committee.
    #[error("committee {committee} is unknown")]
    UnknownCommittee { committee: CommitteeId },
    /// Nobody could join any more.
    #[error("joining would end at height {join_until}; this is height {height}")]
    JoiningInThePast { join_until: Height, height: Height },
    /// Accounts would be locked longer than the chain's limits allow.
    #[error("the deadline {deadline} is later than {latest}")]
    DeadlineTooFar { deadline: Height, latest: Height },
    /// This very opening was included before.
    #[error("round {round} was opened already")]
    RoundExists { round: RoundId },
    /// No such round, or it ended long ago.
    #[error("round {round} is unknown")]
    UnknownRound { round: RoundId },
    /// The round has settled.
    #[error("round {round} has settled")]
    RoundSettled { round: RoundId },
    /// Joining has ended.
    #[error("round {round} could be joined until height {until}; this is height {height}")]
    JoiningOver { round: RoundId, until: Height, height: Height },
    /// The round's deadline has passed.
    #[error("round {round} ended at height {deadline}; this is height {height}")]
    RoundOver { round: RoundId, deadline: Height, height: Height },
    /// The issuer of the asset takes no part in netting it.
    #[error("round {round}: {institution} issues the asset and may not join")]
    IssuerJoins { round: RoundId, institution: InstitutionId },
    /// It has joined before.
    #[error("round {round}: {institution} has joined already")]
    AlreadyJoined { round: RoundId, institution: InstitutionId },
    /// As many as can settle together have joined.
    #[error("round {round} is full")]
    RoundFull { round: RoundId },
    /// Settled in another asset than the round's.
    #[error("round {round} nets {expected}, not {found}")]
    WrongAsset { round: RoundId, expected: AssetId, found: AssetId },
    /// The round has fewer attempts.
    #[error("round {round} has {attempts} attempts, numbered from 0; this is number {found}")]
    NoSuchAttempt { round: RoundId, attempts: u8, found: u8 },
    /// Fewer accounts post than the round demands.
    #[error("round {round}: {found} accounts settle, fewer than {minimum}")]
    RosterTooSmall { round: RoundId, minimum: u16, found: usize },
    /// An account posts that has not joined the round.
    #[error("round {round}: {institution} has not joined")]
    NotAMember { round: RoundId, institution: InstitutionId },
    /// The rule about settlements does not name the round's program.
    #[error("program {program} may not be computed")]
    ProgramNotAllowed { program: Digest },
    /// The rule about settlements asks for an attachment.
    #[error("round {round}: a settlement must have an attachment")]
    AttachmentMissing { round: RoundId },

    /// Decisions are numbered one after the other.
    #[error("the decision has number {found}, the next one is {expected}")]
    DecisionNumber { expected: u64, found: u64 },
    /// It would have to hold already.
    #[error("it would take effect at height {effective}; this is height {height}")]
    EffectiveInThePast { effective: Height, height: Height },
    /// Nobody can foresee so much.
    #[error("it would take effect at height {effective}, later than {latest}")]
    EffectiveTooFar { effective: Height, latest: Height },
    /// Approved by somebody who does not decide this block.
    #[error("{institution}, which approves, is not a validator at this height")]
    NotAValidator { institution: InstitutionId },
    /// Not more than two thirds.
    #[error("voting power {power} of {total} is not more than two thirds")]
    NoQuorum { power: u64, total: u64 },
    /// So many decisions wait already.
    #[error("no more than {limit} decisions may wait for their heights")]
    TooManyDecisions { limit: usize },
    /// One of its changes cannot be made at its height.
    #[error("change {index}: {source}")]
    ChangeRefused { index: u32, source: ChangeError },
    /// A decision that waits could not take effect any more. It would have to be withdrawn first.
    #[error("decision {number}, which waits, could not make its change {index} any more: {source}")]
    DecisionConflict { number: u64, index: u32, source: ChangeError },
    /// The last new key for this use is not current yet.
    #[error("{institution}: the key before becomes current at height {from} only")]
    RotationPending { institution: InstitutionId, from: Height },
    /// Only a quorum can register more.
    #[error("{institution} has registered {limit} keys; only a quorum can register more")]
    TooManyKeys { institution: InstitutionId, limit: usize },
    /// A key is registered once.
    #[error("key {fingerprint} is registered already")]
    KeyTaken { fingerprint: Digest },
}
