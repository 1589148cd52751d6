//! What handlers, follower and sessions share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::{Purpose, SigningKey};
use quittance_ledger::block::Block;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_ledger::state::Settled;
use quittance_mpc::{Parties, PartyId};
use quittance_round::book::{Book, BookError, RoundFacts};
use quittance_round::committee::Outcome;
use quittance_round::message::{Attempt, Reason, Report};
use quittance_round::payees::Payees;
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::frames::Frames;
use quittance_storage::StorageError;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::desk::Desk;
use crate::programs::Programs;
use crate::receipts::Receipts;
use crate::stock::making::Making;

/// Dealings that are checked at the same time.
const CHECKS: usize = 2;

/// One party.
pub(crate) struct Core {
    pub(crate) institution: InstitutionId,
    pub(crate) keys: KeyRing,
    /// Whose process coordinates.
    pub(crate) coordinator: InstitutionId,
    pub(crate) compute: Duration,
    pub(crate) programs: Programs,
    pub(crate) frames: Frames,
    /// Calls the other parties of this one's committees.
    pub(crate) dialer: Dialer,
    /// Where they are.
    pub(crate) others: BTreeMap<InstitutionId, Target>,
    pub(crate) receipts: Receipts,
    /// Preprocessing, if there is to be any.
    pub(crate) making: Option<Arc<Making>>,
    pub(crate) checks: Semaphore,
    pub(crate) stopping: CancellationToken,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

/// What changes.
pub(crate) struct State {
    pub(crate) book: Book,
    pub(crate) desks: BTreeMap<RoundId, Desk>,
    /// Rounds that have settled and whose receipts are not yet stored.
    pub(crate) signing: BTreeSet<RoundId>,
}

/// A party's place in the committee of a round.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    /// Who can be paid in the round.
    pub(crate) payees: Arc<Payees>,
    pub(crate) members: Vec<InstitutionId>,
    pub(crate) parties: Parties,
    pub(crate) me: PartyId,
}

/// A settled round whose results were computed here.
struct Final {
    round: RoundId,
    settled: Settled,
    me: PartyId,
    outcome: Arc<Outcome>,
}

/// What a core is made of.
pub(crate) struct Parts {
    pub(crate) institution: InstitutionId,
    pub(crate) keys: KeyRing,
    pub(crate) coordinator: InstitutionId,
    pub(crate) compute: Duration,
    pub(crate) frames: Frames,
    pub(crate) dialer: Dialer,
    pub(crate) others: BTreeMap<InstitutionId, Target>,
    pub(crate) receipts: Receipts,
    pub(crate) making: Option<Arc<Making>>,
    pub(crate) stopping: CancellationToken,
    pub(crate) book: Book,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts { institution, keys, coordinator, compute, frames, .. } = parts;
        let Parts { dialer, others, receipts, making, stopping, book, .. } = parts;
        let state = State { book, desks: BTreeMap::new(), signing: BTreeSet::new() };
        Arc::new(Self {
            institution,
            keys,
            coordinator,
            compute,
            programs: Programs::known(),
            frames,
            dialer,
            others,
            receipts,
            making,
            checks: Semaphore::new(CHECKS),
            stopping,
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
        })
    }

    /// State is whole after each use, so a panic elsewhere does not spoil it.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key with which the party signs for `purpose` in the next block.
    pub(crate) fn key(&self, purpose: Purpose) -> &SigningKey {
        self.state().book.own_key(&self.keys, &self.institution, purpose)
    }

    /// Changes the state, and lets everybody look at it again.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.send_replace(());
        changed
    }

    /// Told of each change.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// What `look` finds, as soon as it finds something; nothing after so much time, or when the
    /// party stops.
    pub(crate) async fn when<T>(
        &self,
        within: Duration,
        mut look: impl FnMut(&State) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.changes();
        let deadline = Instant::now() + within;
        loop {
            changes.mark_unchanged();
            if let Some(found) = look(&self.state()) {
                return Some(found);
            }
            tokio::select! {
                changed = changes.changed() => changed.ok()?,
                () = sleep_until(deadline) => return None,
                () = self.stopping.cancelled() => return None,
            }
        }
    }

    /// This party's place in the committee of a round.
    pub(crate) fn seat(&self, round: &RoundFacts) -> Option<Seat> {
        let committee = &round.committee;
        let position = committee.parties.iter().position(|party| *party == self.institution)?;
        let parties = Parties::new(committee.parties.len(), committee.threshold).ok()?;
        let me = parties.ids().nth(position)?;
        let (members, payees) = (committee.parties.clone(), round.payees.clone());
        Some(Seat { payees, members, parties, me })
    }

    /// Takes the next block, and stores receipts of the rounds that it settles. An error of the
    /// store must end the process.
    pub(crate) async fn apply<S>(self: &Arc<Self>, block: &Block<S>) -> Result<(), ApplyError> {
        let settled = self.change(|state| state.apply(self, block))?;
        for settled in settled {
            let (core, round) = (self.clone(), settled.round);
            let signed = tokio::task::spawn_blocking(move || core.sign(settled)).await;
            signed.map_err(|_| ApplyError::Panicked)??;
            self.change(|state| state.signing.remove(&round));
        }
        Ok(())
    }

    /// Signs the notices of a round and stores the signature. With the last use of the outcome its
    /// shares are erased.
    fn sign(&self, settled: Final) -> Result<(), StorageError> {
        let Final { round, settled: Settled { height, transaction, .. }, me, outcome } = settled;
        let key = self.key(Purpose::Receipt);
        let word = outcome.attest(transaction, me, key);
        self.receipts.keep(height, outcome.start().roster.institutions().collect(), word)?;
        tracing::info!(%round, %height, "round has settled; receipts are stored");
        Ok(())
    }

    /// What the coordinator is to be told of all rounds.
    pub(crate) fn reports(&self) -> Vec<(Attempt, Report)> {
        let state = self.state();
        state.desks.iter().flat_map(|(round, desk)| desk.reports(*round)).collect()
    }

    /// The coordinator has given a round up.
    pub(crate) fn abandon(&self, round: RoundId, reason: &Reason) {
        self.change(|state| {
            let Some(facts) = state.book.round(&round) else { return };
            if facts.terms.opener != self.coordinator || facts.is_over(state.book.height()) {
                return;
            }
            tracing::info!(%round, %reason, "round is abandoned by the coordinator");
            state.desks.entry(round).or_default().abandon(reason.clone());
        });
    }
}

impl State {
    /// Drops what is held of rounds that are over.
    fn apply<S>(&mut self, core: &Core, block: &Block<S>) -> Result<Vec<Final>, BookError> {
        self.book.apply(block)?;
        let (book, height) = (&self.book, self.book.height());
        let over = |round: &RoundId| book.round(round).is_none_or(|facts| facts.is_over(height));
        let over: Vec<_> = self.desks.keys().copied().filter(over).collect();
        let mut all = vec![];
        for round in over {
            let Some(desk) = self.desks.remove(&round) else { continue };
            let facts = book.round(&round);
            let Some((facts, settled)) = facts.and_then(|facts| Some((facts, facts.settled?)))
            else {
                tracing::info!(%round, %height, "round has ended without settlement");
                continue;
            };
            let outcome = desk.outcome(settled.attempt);
            match outcome.zip(core.seat(facts)) {
                Some((outcome, Seat { me, .. })) => {
                    self.signing.insert(round);
                    all.push(Final { round, settled, me, outcome });
                }
                None => tracing::warn!(%round, "round has settled without our shares: no receipts"),
            }
        }
        Ok(all)
    }
}

/// Why a block could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error(transparent)]
    Book(#[from] BookError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the signing of receipts has panicked")]
    Panicked,
}
