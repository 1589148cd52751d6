//! All exchanges of one institution, as a state machine without clock, network or disk.
//!
//! Whatever happens is told to the [`Desk`]: what the bank wants, what other agents call, how own
//! calls end, that time has passed. It answers with [`Effect`]s, which are carried out in order.
//! **An [`Effect::Save`] must be on disk before anything that comes after it, and before the call
//! that caused it is answered**: a signature leaves only after the record says that there is one.

mod accepting;
mod offering;
mod time;

use std::collections::BTreeMap;

use quittance_crypto::range_proof::RangeProof;
use quittance_crypto::signature::{Signature, SigningKey};
use quittance_ledger::ids::{AssetId, InstitutionId, Timestamp, Uetr};
use quittance_ledger::state::{Role, State};
use quittance_ledger::transaction::{Transaction, Verified};
use thiserror::Error;

use super::{Agreement, Answered, ExchangeError, Join, Joining, Money, Record, Signed, Stage};
use crate::wallet::{CandidateId, InstructionStatus, Wallet, WalletEvent};

/// How long an unsigned draft waits for the other side, in milliseconds.
pub const TALK_MS: u64 = 5_000;

/// How long the accepting side, once it has signed, keeps its account for a transaction that it
/// does not get, in milliseconds.
pub const KEEP_MS: u64 = 30_000;

/// Shortest and longest time that an offer may be valid, in milliseconds.
const VALID_MS: std::ops::RangeInclusive<u64> = 1_000..=600_000;
/// By how much the clocks of two institutions may differ, in milliseconds.
const SKEW_MS: u64 = 60_000;
/// Offers of one other institution that are open, or have ended unaccepted a short time after they
/// were made: so nobody fills the store with offers that end at once.
const MAX_OPEN: usize = 64;
/// What a short time is, in milliseconds.
const RECENT_MS: u64 = 60_000;
/// Offers of one other institution that have ended unaccepted and are still shown.
const MAX_ENDED: usize = 256;
/// Joins of one offer that are answered.
const MAX_JOINS: usize = 16;

/// What the desk works with; all of it belongs to the agent.
pub struct Means<'a, R> {
    /// The institution's accounts.
    pub wallet: &'a mut Wallet,
    /// Keys, assets and limits of the chain.
    pub register: &'a State,
    /// The institution's transaction key.
    pub key: &'a SigningKey,
    /// Fresh randomness.
    pub rng: &'a mut R,
    /// The time.
    pub now: Timestamp,
    /// A draft expires so many blocks ahead.
    pub expiry_blocks: u64,
    /// Whether the wallet has read the chain to its present end.
    pub ready: bool,
    /// What is to be done, in order.
    pub effects: &'a mut Vec<Effect>,
}

/// What is to be done.
pub enum Effect {
    /// Stores a record before anything else happens.
    Save {
        /// The record.
        record: Box<Record>,
        /// Whether the bank sees a change: if so it is told.
        changed: bool,
    },
    /// Deletes a record.
    Forget(Uetr),
    /// A candidate was drafted; what is drafted after it stands on it.
    Drafted {
        /// Which.
        candidate: CandidateId,
        /// For which exchange.
        uetr: Uetr,
    },
    /// A candidate was withdrawn, with what stood on it.
    Withdrawn(Vec<WalletEvent>),
    /// Has the next sequence number of an account used by a posting of no effect, so that what was
    /// signed for it can no longer land.
    UseUp(AssetId),
    /// Calls `OfferExchange`; the end goes to [`Desk::offer_delivered`].
    Offer {
        /// Whom.
        to: InstitutionId,
        /// With what.
        offer: Offer,
    },
    /// Calls `JoinExchange`; the end goes to [`Desk::join_answered`].
    Join {
        /// Whom.
        to: InstitutionId,
        /// Which exchange.
        uetr: Uetr,
        /// Which attempt.
        candidate: CandidateId,
        /// With what.
        join: Box<Join>,
    },
    /// Calls `CompleteExchange`; the end goes to [`Desk::complete_answered`].
    Complete {
        /// Whom.
        to: InstitutionId,
        /// Which exchange.
        uetr: Uetr,
        /// The range proof of this side's entry.
        range_proof: RangeProof,
        /// This side's signature.
        signature: Signature,
    },
    /// Sends a transaction to the ledger.
    Submit {
        /// The candidate of this side; none if it is of an earlier life of the wallet.
        candidate: Option<CandidateId>,
        /// The transaction.
        transaction: Box<Transaction<Verified>>,
    },
}

/// What the bank wants to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    /// The reference.
    pub uetr: Uetr,
    /// To whom.
    pub counterparty: InstitutionId,
    /// What this institution gives.
    pub give: Money,
    /// What it gets.
    pub get: Money,
    /// For how long, in milliseconds.
    pub valid_ms: u64,
}

/// An offer as it travels, from the point of view of the one who makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The reference.
    pub uetr: Uetr,
    /// What is given.
    pub give: Money,
    /// What is asked for.
    pub get: Money,
    /// Its end.
    pub valid_until: Timestamp,
}

/// How a call of another agent has failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// It could not be reached, did not answer, or asks for patience: to be tried again.
    #[error("{0}")]
    Again(String),
    /// It will not.
    #[error("{0}")]
    Refused(String),
}

/// Why the desk does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// There is no such exchange with the one who asks.
    #[error("there is no exchange {0}")]
    Unknown(Uetr),
    /// The reference stands for something else.
    #[error("{0} stands for another instruction")]
    Exists(Uetr),
    /// To be asked again later.
    #[error("not now: {0}")]
    NotNow(String),
    /// Not in this state.
    #[error("{0}")]
    Not(String),
    /// What was sent is wrong.
    #[error("{0}")]
    Wrong(String),
    /// Too many open offers.
    #[error("{0} has too many open offers")]
    TooMany(InstitutionId),
}

/// What goes on about one exchange, beside its record. Lost with the process.
enum Talk {
    /// The offering side: the offer is to be delivered, at that time the next time.
    Delivering { at: Timestamp, tries: u32, calling: bool },
    /// The offering side: a join has been answered.
    Answered { answered: Box<Answered>, until: Timestamp },
    /// The accepting side: to be joined, at that time the next time.
    Waiting { at: Timestamp, tries: u32, why: String },
    /// The accepting side: a join is on its way.
    Joining { joining: Box<Joining>, until: Timestamp, tries: u32 },
    /// The accepting side: signed, and the complete transaction is wanted.
    Completing { signed: Box<Signed>, at: Timestamp, until: Timestamp, tries: u32, calling: bool },
    /// Either side, after a restart: the transaction is to be submitted again.
    Submitting,
    /// The accepting side, after a restart: signed, and without the transaction. Waits for it to
    /// land until then, once the wallet is up to date.
    Left { until: Option<Timestamp> },
}

impl Talk {
    /// An unsigned draft in the wallet.
    fn draft(&self) -> Option<CandidateId> {
        match self {
            Self::Answered { answered, .. } => Some(answered.candidate()),
            Self::Joining { joining, .. } => Some(joining.candidate()),
            _ => None,
        }
    }
}

/// The exchanges of one institution.
pub struct Desk {
    us: InstitutionId,
    records: BTreeMap<Uetr, Record>,
    talks: BTreeMap<Uetr, Talk>,
    /// Joins that have been answered, by exchange: none is answered twice.
    answered: BTreeMap<Uetr, Vec<quittance_crypto::digest::Digest>>,
    next_number: u64,
}

impl Desk {
    /// The desk of `us` with what its store holds. Everything that was under way begins anew,
    /// except what has been signed, which is only waited for.
    pub fn new(us: InstitutionId, records: impl IntoIterator<Item = Record>) -> Self {
        let records: BTreeMap<_, _> =
            records.into_iter().map(|record| (record.uetr(), record)).collect();
        let next_number = records.values().map(|record| record.number + 1).max().unwrap_or(0);
        let at = Timestamp(0);
        let talk = |record: &Record| match &record.stage {
            Stage::Offered if record.offered_by(us) => {
                Some(Talk::Delivering { at, tries: 0, calling: false })
            }
            Stage::Accepted => Some(Talk::Waiting { at, tries: 0, why: String::new() }),
            Stage::Signed { transaction: Some(_), .. } => Some(Talk::Submitting),
            Stage::Signed { transaction: None, .. } => Some(Talk::Left { until: None }),
            _ => None,
        };
        let talks = records.values().filter_map(|one| Some((one.uetr(), talk(one)?))).collect();
        Self { us, records, talks, answered: BTreeMap::new(), next_number }
    }

    /// The exchange with this reference.
    pub fn get(&self, uetr: &Uetr) -> Option<&Record> {
        self.records.get(uetr)
    }

    /// The newest first.
    pub fn list(&self) -> Vec<&Record> {
        let mut records: Vec<_> = self.records.values().collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.number));
        records
    }

    /// Whether nothing can change any more.
    pub fn is_idle(&self) -> bool {
        self.records.values().all(|record| record.stage.is_over())
    }

    /// Whether an unsigned draft stands on the account: what is drafted on top of it now is lost if
    /// it is withdrawn, which takes at most [`TALK_MS`].
    pub fn holds(&self, asset: AssetId) -> bool {
        self.talks.values().filter_map(Talk::draft).any(|draft| draft.asset == asset)
    }

    /// Stores a record, with a new stage.
    fn save<R>(&mut self, means: &mut Means<'_, R>, uetr: &Uetr, stage: Stage) {
        let Some(record) = self.records.get_mut(uetr) else {
            return;
        };
        let changed = std::mem::discriminant(&record.stage) != std::mem::discriminant(&stage);
        record.stage = stage;
        if record.stage.is_over() {
            self.answered.remove(uetr);
        }
        means.effects.push(Effect::Save { record: Box::new(record.clone()), changed });
    }

    fn insert<R>(
        &mut self,
        means: &mut Means<'_, R>,
        agreement: Agreement,
        valid_until: Timestamp,
    ) -> Record {
        let (number, made) = (self.next_number, means.now);
        self.next_number += 1;
        let record = Record { number, agreement, made, valid_until, stage: Stage::Offered };
        self.records.insert(agreement.uetr, record.clone());
        means.effects.push(Effect::Save { record: Box::new(record.clone()), changed: true });
        record
    }

    /// Gives up an unsigned draft, if there is one.
    fn withdraw<R>(&mut self, means: &mut Means<'_, R>, uetr: &Uetr) {
        if let Some(draft) = self.talks.remove(uetr).and_then(|talk| talk.draft()) {
            means.effects.push(Effect::Withdrawn(means.wallet.withdraw(draft)));
        }
    }

    /// The terms make sense on this chain.
    fn check_terms<R>(&self, means: &Means<'_, R>, agreement: &Agreement) -> Result<(), Refusal> {
        let Agreement { offerer, accepter, offered, asked, .. } = agreement;
        let wrong = |why: String| Err(Refusal::Wrong(why));
        let counterparty = if *offerer == self.us { *accepter } else { *offerer };
        if counterparty == self.us {
            return wrong("an exchange takes two institutions".to_owned());
        }
        let registered = means.register.institution(&counterparty);
        if registered.is_none_or(|known| !known.roles.contains(&Role::Participant)) {
            return wrong(format!("{counterparty} is no participant"));
        }
        for one in [self.us, counterparty] {
            if let Some(since) = means.register.suspended(&one) {
                return wrong(format!("{one} is suspended since height {since}"));
            }
        }
        let unknown = |money: &&&Money| means.register.asset(&money.asset).is_none();
        if let Some(money) = [offered, asked].iter().find(unknown) {
            return wrong(format!("{} is no asset of the chain", money.asset));
        }
        if offered.asset == asked.asset {
            return wrong("an exchange is of two assets".to_owned());
        }
        if offered.amount == 0 || asked.amount == 0 {
            return wrong("both amounts must be above zero".to_owned());
        }
        Ok(())
    }

    /// The reference is not used by another instruction, as far as the wallet knows.
    fn check_unused<R>(&self, means: &Means<'_, R>, uetr: Uetr) -> Result<(), Refusal> {
        let wallet = &means.wallet;
        let open = wallet.instruction(&uetr) == InstructionStatus::Open;
        match open && !wallet.may_still_land(&uetr) {
            true => Ok(()),
            false => Err(Refusal::Exists(uetr)),
        }
    }

    /// The draft is still the next thing on its account: no block has taken its place.
    fn is_under_way<R>(means: &Means<'_, R>, uetr: &Uetr, draft: CandidateId) -> bool {
        means.wallet.instruction(uetr) == InstructionStatus::InFlight(draft)
    }
}

/// When to try again after so many tries.
fn again(now: Timestamp, tries: u32) -> Timestamp {
    Timestamp(now.0.saturating_add(100 << tries.min(5)))
}

fn later(now: Timestamp, milliseconds: u64) -> Timestamp {
    Timestamp(now.0.saturating_add(milliseconds))
}

/// What the other side is told of an error: nothing about this side's accounts.
fn refusal(error: &ExchangeError) -> Refusal {
    match error.is_ours() {
        true => Refusal::NotNow("this side cannot post at present".to_owned()),
        false => Refusal::Wrong(error.to_string()),
    }
}
