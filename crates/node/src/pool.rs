//! Transactions on their way into a block.
//!
//! A transaction enters when its verification begins ([`Pool::reserve`]), is a candidate once it is
//! verified ([`Pool::admit`]), and leaves when it is final or rejected. Each is charged to the
//! institution that submitted it, by its certificate: none can use up the room of another, and
//! [`Pool::select`] lets all take turns. What another validator has passed on is charged to that
//! validator, and takes its turn with those of the institution that has signed it first: no
//! validator can use up what another institution may have here, and none gets more turns by
//! submitting at several.
//!
//! Within an institution the order is that of sequence numbers. A candidate whose sequence is
//! ahead of its account's waits for those before it, at most [`WINDOW`] numbers ahead. Candidates
//! for the same number all wait; the first that executes wins.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use quittance_ledger::ids::{AccountId, Height, InstitutionId, TransactionId};
use quittance_ledger::state::State;
use quittance_ledger::transaction::{Action, Body, Transaction, Verified};
use quittance_ledger::verify::Verdict;
use thiserror::Error;

use crate::rejection::Rejection;

/// How far ahead of its account's next sequence number a candidate may wait.
pub(crate) const WINDOW: u64 = 1024;

/// Bounds of a pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolLimits {
    /// What all institutions together may have in it.
    pub total: Load,
    /// What one institution may have in it.
    pub institution: Load,
    /// How many rejections are remembered, and how many verdicts.
    pub memory: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            total: Load { transactions: 1 << 16, bytes: 512 << 20 },
            institution: Load { transactions: 1 << 12, bytes: 64 << 20 },
            memory: 1 << 16,
        }
    }
}

/// An amount of transactions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub transactions: usize,
    pub bytes: usize,
}

/// No room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Full {
    /// The pool is full.
    #[error("too many transactions are waiting; try again later")]
    Total,
    /// This institution has as much in it as it may have.
    #[error("{0} has too many transactions waiting; try again when some are final")]
    Institution(InstitutionId),
}

/// Where a transaction in the pool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Being verified.
    Verifying,
    /// Verified, waiting for a block.
    Candidate {
        /// The last height at which it can be included.
        expiry: Height,
    },
}

/// See the [module](self).
pub(crate) struct Pool {
    limits: PoolLimits,
    load: Load,
    entries: BTreeMap<TransactionId, Entry>,
    institutions: BTreeMap<InstitutionId, Queue>,
    arrivals: u64,
    rejections: Memory<Rejection>,
    verdicts: Memory<Verdict>,
}

struct Entry {
    submitter: InstitutionId,
    /// With whose transactions it takes turns.
    line: InstitutionId,
    /// Another validator has passed it on.
    relayed: bool,
    bytes: usize,
    candidate: Option<Arc<Candidate>>,
}

struct Candidate {
    transaction: Transaction<Verified>,
    slots: Vec<Slot>,
    turn: Turn,
}

/// A sequence number of an account that a transaction takes.
type Slot = (AccountId, u64);

/// The order within an institution: by the highest sequence number, then by arrival. So no
/// candidate on one account comes before another that it has to wait for.
type Turn = (u64, u64);

/// What one institution has submitted, and the candidates that take turns as its own.
#[derive(Default)]
struct Queue {
    load: Load,
    turns: BTreeMap<Turn, Arc<Candidate>>,
}

/// Who hands a transaction in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// An institution's process, by its certificate.
    Caller(InstitutionId),
    /// Another validator, to which it was submitted, and who has signed it first.
    Validator { validator: InstitutionId, signer: InstitutionId },
}

impl Source {
    fn charged(self) -> InstitutionId {
        match self {
            Self::Caller(institution) => institution,
            Self::Validator { validator, .. } => validator,
        }
    }

    fn line(self) -> InstitutionId {
        match self {
            Self::Caller(institution) => institution,
            Self::Validator { signer, .. } => signer,
        }
    }
}

/// The sequence numbers that a body takes. Joining a round takes one on the account in the round's
/// asset; of a round that `state` does not know, none.
pub(crate) fn slots(body: &Body, state: &State) -> Vec<Slot> {
    if let Action::RoundJoin(join) = &body.action {
        let round = state.round(&join.round).into_iter();
        let account = |asset| AccountId { institution: join.institution, asset };
        return round.map(|round| (account(round.terms.asset), join.sequence)).collect();
    }
    let mut slots = Vec::new();
    for entry in body.entries() {
        for posting in &entry.postings {
            let (institution, asset) = (posting.institution, entry.asset);
            slots.push((AccountId { institution, asset }, posting.sequence));
        }
    }
    slots
}

/// The next sequence number of an account.
pub(crate) fn next_sequence(state: &State, account: &AccountId) -> u64 {
    state.account(account).map_or(0, |account| account.sequence).saturating_add(1)
}

impl Pool {
    pub(crate) fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            load: Load::default(),
            entries: BTreeMap::new(),
            institutions: BTreeMap::new(),
            arrivals: 0,
            rejections: Memory::new(limits.memory),
            verdicts: Memory::new(limits.memory),
        }
    }

    /// Transactions that are verified and wait.
    pub(crate) fn waiting(&self) -> usize {
        self.institutions.values().map(|queue| queue.turns.len()).sum()
    }

    /// All that is in it, verified or not.
    pub(crate) fn load(&self) -> Load {
        self.load
    }

    /// Where a transaction stands, if it is here.
    pub(crate) fn stage(&self, id: &TransactionId) -> Option<Stage> {
        self.entries.get(id).map(|entry| match &entry.candidate {
            None => Stage::Verifying,
            Some(candidate) => Stage::Candidate { expiry: candidate.transaction.body().expiry },
        })
    }

    /// Why a transaction was rejected, if that is remembered.
    pub(crate) fn rejection(&self, id: &TransactionId) -> Option<&Rejection> {
        self.rejections.get(id)
    }

    /// The evidence that a transaction has been verified before, if that is remembered.
    pub(crate) fn verdict(&self, id: &TransactionId) -> Option<Verdict> {
        self.verdicts.get(id).copied()
    }

    /// Takes in a transaction that is going to be verified. An earlier rejection is forgotten.
    pub(crate) fn reserve(
        &mut self,
        id: TransactionId,
        bytes: usize,
        source: Source,
    ) -> Result<(), Full> {
        let submitter = source.charged();
        if self.entries.contains_key(&id) {
            return Ok(());
        }
        let own = self.institutions.get(&submitter).map(|queue| queue.load).unwrap_or_default();
        if !own.has_room(bytes, &self.limits.institution) {
            return Err(Full::Institution(submitter));
        }
        if !self.load.has_room(bytes, &self.limits.total) {
            return Err(Full::Total);
        }
        self.load.add(bytes);
        self.institutions.entry(submitter).or_default().load.add(bytes);
        let (line, relayed) = (source.line(), matches!(source, Source::Validator { .. }));
        self.entries.insert(id, Entry { submitter, line, relayed, bytes, candidate: None });
        self.rejections.forget(&id);
        Ok(())
    }

    /// A transaction that was taken in has been verified; `state` is that of the tip. True if it is
    /// a candidate from now on, and other validators do not know it.
    pub(crate) fn admit(&mut self, transaction: Transaction<Verified>, state: &State) -> bool {
        let id = transaction.id();
        self.verdicts.remember(id, transaction.verdict());
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.candidate.is_none())
        else {
            return false;
        };
        self.arrivals += 1;
        let slots = slots(transaction.body(), state);
        let highest = slots.iter().map(|(_, sequence)| *sequence).max();
        let turn = (highest.unwrap_or(0), self.arrivals);
        let candidate = Arc::new(Candidate { transaction, slots, turn });
        entry.candidate = Some(candidate.clone());
        self.institutions.entry(entry.line).or_default().turns.insert(turn, candidate);
        !entry.relayed
    }

    /// A transaction is final: it leaves.
    pub(crate) fn remove(&mut self, id: &TransactionId) {
        let Some(entry) = self.entries.remove(id) else { return };
        self.load.subtract(entry.bytes);
        if let Some(queue) = self.institutions.get_mut(&entry.submitter) {
            queue.load.subtract(entry.bytes);
        }
        if let (Some(candidate), Some(queue)) =
            (entry.candidate, self.institutions.get_mut(&entry.line))
        {
            queue.turns.remove(&candidate.turn);
        }
        for institution in [entry.submitter, entry.line] {
            let idle = |queue: &Queue| queue.load.transactions == 0 && queue.turns.is_empty();
            if self.institutions.get(&institution).is_some_and(idle) {
                self.institutions.remove(&institution);
            }
        }
    }

    /// A transaction will not be executed: it leaves, and why is remembered.
    pub(crate) fn reject(&mut self, id: TransactionId, rejection: Rejection) {
        self.remove(&id);
        self.rejections.remember(id, rejection);
    }

    /// Candidates to try for a block at `height` on `state`, in order, at most `limit`. Those that
    /// have to wait for others are left out; those that can only fail are not, so that executing
    /// them says why.
    pub(crate) fn select(
        &self,
        state: &State,
        height: Height,
        limit: usize,
    ) -> Vec<Transaction<Verified>> {
        let mut sequences = Sequences { state, next: BTreeMap::new() };
        let mut queues: VecDeque<_> =
            self.institutions.values().map(|queue| queue.turns.values()).collect();
        let first = usize::try_from(height.0).unwrap_or(0).checked_rem(queues.len());
        queues.rotate_left(first.unwrap_or(0));
        let mut selected = Vec::new();
        // One transaction of each institution, then the next of each.
        while let Some(mut queue) = queues.pop_front() {
            let ready = queue.find(|candidate| sequences.take(candidate, height));
            let Some(candidate) = ready else { continue };
            if selected.len() == limit {
                break;
            }
            selected.push(candidate.transaction.clone());
            queues.push_back(queue);
        }
        selected
    }
}

/// The next sequence number of each account, if all that was selected executes.
struct Sequences<'a> {
    state: &'a State,
    next: BTreeMap<AccountId, u64>,
}

impl Sequences<'_> {
    /// Whether the candidate is to be tried; then its numbers are taken.
    fn take(&mut self, candidate: &Candidate, height: Height) -> bool {
        let (mut hopeless, mut waits) = (candidate.transaction.body().expiry < height, false);
        for (account, sequence) in &candidate.slots {
            let next = self.next.entry(*account);
            let next = *next.or_insert_with(|| next_sequence(self.state, account));
            hopeless |= *sequence < next || *sequence > next.saturating_add(WINDOW);
            waits |= *sequence > next;
        }
        if !hopeless && !waits {
            let after = |(account, sequence): &Slot| (*account, sequence.saturating_add(1));
            self.next.extend(candidate.slots.iter().map(after));
        }
        hopeless || !waits
    }
}

impl Load {
    fn has_room(&self, bytes: usize, limit: &Load) -> bool {
        self.transactions < limit.transactions && self.bytes.saturating_add(bytes) <= limit.bytes
    }

    fn add(&mut self, bytes: usize) {
        self.transactions += 1;
        self.bytes += bytes;
    }

    fn subtract(&mut self, bytes: usize) {
        self.transactions -= 1;
        self.bytes -= bytes;
    }
}

/// The last things that were said about transactions.
struct Memory<T> {
    limit: usize,
    age: u64,
    by_id: BTreeMap<TransactionId, (u64, T)>,
    by_age: BTreeMap<u64, TransactionId>,
}

impl<T> Memory<T> {
    fn new(limit: usize) -> Self {
        Self { limit, age: 0, by_id: BTreeMap::new(), by_age: BTreeMap::new() }
    }

    fn get(&self, id: &TransactionId) -> Option<&T> {
        self.by_id.get(id).map(|(_, value)| value)
    }

    fn remember(&mut self, id: TransactionId, value: T) {
        self.forget(&id);
        self.age += 1;
        self.by_id.insert(id, (self.age, value));
        self.by_age.insert(self.age, id);
        if self.by_age.len() > self.limit
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_id.remove(&oldest);
        }
    }

    fn forget(&mut self, id: &TransactionId) {
        if let Some((age, _)) = self.by_id.remove(id) {
            self.by_age.remove(&age);
        }
    }
}
