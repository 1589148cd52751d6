//! A session that runs.
//!
//! Two tasks belong to it: one drives the machine, on the threads for sessions, and one, which the
//! caller awaits, looks at the time. So no clock is asked for an exchange, and a session ends in
//! time also while it computes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quittance_crypto::digest::Digest;
use quittance_ledger::ids::InstitutionId;
use quittance_mpc::session::{Evidence, Frame, Machine, MachinePoll, Progress, Traffic};
use quittance_mpc::{ActiveSet, PartyId};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::incoming::{NoBeginning, Trouble};
use super::link::Lease;
use super::{Assignment, Failure, Hub, MAX_REFUSALS, Waiting};

/// What the caller of a session has in hand.
pub(super) struct Run {
    hub: Arc<Hub>,
    session: Digest,
    committee: Vec<InstitutionId>,
    deadline: Instant,
    patience: Duration,
    cancel: CancellationToken,
    changed: Arc<Notify>,
    waits: Arc<Mutex<Waits>>,
    began: Instant,
}

/// For whom a session waits. While it computes, for nobody.
#[derive(Default)]
struct Waits {
    since: Option<Instant>,
    parties: Vec<InstitutionId>,
    /// How many exchanges have begun.
    begun: u32,
    /// Spent on computing; the rest is waiting and sending.
    computing: Duration,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends a task when dropped.
struct Ending<T>(JoinHandle<T>);

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let (session, computing) = (self.session, lock(&self.waits).computing);
        tracing::debug!(%session, elapsed = ?self.began.elapsed(), ?computing, "session has ended");
        self.hub.incoming.end(&self.session);
    }
}

impl Run {
    pub(super) fn begin(
        hub: &Arc<Hub>,
        (parties, me): (ActiveSet, PartyId),
        assignment: Assignment,
    ) -> Result<Self, Failure> {
        let Assignment { session, committee, deadline, patience, cancel } = assignment;
        let members = committee.len();
        let member = |party: PartyId| {
            let unknown = Failure::Committee { members, number: party.number() };
            committee.get(party.position()).copied().ok_or(unknown)
        };
        member(me)?;
        let others = parties.others(me).map(member).collect::<Result<Vec<_>, _>>()?;
        if let Some(unknown) = others.iter().find(|other| !hub.links.contains_key(*other)) {
            return Err(Failure::Unknown(*unknown));
        }
        let changed =
            hub.incoming.begin(session, others.into_iter()).map_err(|error| match error {
                NoBeginning::Twice => Failure::Twice { session },
                NoBeginning::TooMany => Failure::TooMany,
            })?;
        let (hub, waits, began) = (hub.clone(), Arc::default(), Instant::now());
        Ok(Self { hub, session, committee, deadline, patience, cancel, changed, waits, began })
    }

    /// Until the machine ends, or the time does.
    pub(super) async fn drive<T: Send + 'static>(
        &self,
        machine: Machine<T>,
    ) -> Result<(T, Traffic), Failure> {
        let driver = Driver {
            hub: self.hub.clone(),
            session: self.session,
            committee: self.committee.clone(),
            changed: self.changed.clone(),
            waits: self.waits.clone(),
            leases: BTreeMap::new(),
            refusals: BTreeMap::new(),
            exchange: None,
        };
        let Some(runtime) = &self.hub.threads.0 else { return Err(self.cancelled()) };
        let mut driving = Ending(runtime.spawn(driver.run(machine)));
        // If the time ends, the machine is dropped as soon as it comes to a halt.
        tokio::select! {
            driven = &mut driving.0 => driven.map_err(|_| Failure::Panicked)?,
            () = self.cancel.cancelled() => Err(self.cancelled()),
            () = self.hub.stopping.cancelled() => Err(self.cancelled()),
            () = sleep_until(self.deadline) => {
                let (_, waiting) = self.waiting();
                Err(Failure::Deadline { waiting })
            }
            waiting = self.silence() => Err(Failure::Silent { waiting }),
        }
    }

    /// The number of the exchange that it is in, from 0.
    pub(super) fn exchange(&self) -> u32 {
        lock(&self.waits).begun.saturating_sub(1)
    }

    fn cancelled(&self) -> Failure {
        Failure::Cancelled { waiting: self.waiting().1 }
    }

    /// Comes to an end when one wait has lasted too long, with those who were waited for.
    async fn silence(&self) -> Vec<Waiting> {
        loop {
            let now = Instant::now();
            let until = |since: Instant| since + self.patience;
            match self.waiting() {
                (Some(since), waiting) if until(since) <= now => return waiting,
                (since, _) => sleep_until(until(since.unwrap_or(now))).await,
            }
        }
    }

    /// Since when for whom.
    fn waiting(&self) -> (Option<Instant>, Vec<Waiting>) {
        let waits = lock(&self.waits);
        let waiting = |party: &InstitutionId| Waiting {
            party: *party,
            unreachable: self.hub.links.get(party).and_then(|link| link.unreachable()),
        };
        (waits.since, waits.parties.iter().map(waiting).collect())
    }
}

/// Drives the machine of a session.
struct Driver {
    hub: Arc<Hub>,
    session: Digest,
    committee: Vec<InstitutionId>,
    changed: Arc<Notify>,
    waits: Arc<Mutex<Waits>>,
    leases: BTreeMap<InstitutionId, Lease>,
    refusals: BTreeMap<InstitutionId, usize>,
    /// The exchange that it waits in, and since when.
    exchange: Option<(u32, Instant)>,
}

impl Driver {
    async fn run<T: Send + 'static>(
        mut self,
        mut machine: Machine<T>,
    ) -> Result<(T, Traffic), Failure> {
        loop {
            self.deliver(&mut machine)?;
            let MachinePoll { outgoing, progress } = self.compute(&mut machine);
            let sent = self.send(outgoing).await;
            let missing: Vec<_> = match progress {
                Progress::Done(result) => {
                    if let Err(failure) = sent {
                        tracing::warn!(%failure, "the last frames of a session were not sent");
                    }
                    return Ok((result, machine.traffic()));
                }
                Progress::Aborted(abort) => {
                    let proven = abort.evidence().map(Evidence::party);
                    let named = proven.or(abort.culprit().map(PartyId::number));
                    let culprit = named.and_then(|number| self.member(number));
                    return Err(Failure::Protocol { abort, culprit });
                }
                Progress::Waiting(parties) => {
                    parties.iter().filter_map(|party| self.member(party.number())).collect()
                }
            };
            sent?;
            self.wait(machine.traffic().exchanges, missing).await?;
        }
    }

    /// Hands over all that has arrived.
    fn deliver<T>(&mut self, machine: &mut Machine<T>) -> Result<(), Failure> {
        for (peer, frame) in self.hub.incoming.take(&self.session) {
            let position = self.committee.iter().position(|member| *member == peer);
            // Committees have at most nine members.
            let number = position.map_or(0, |position| position as u8 + 1);
            if let Err(reason) = machine.deliver(number, frame) {
                let session = self.session;
                tracing::warn!(%peer, %session, %reason, "refused a frame");
                let refusals = self.refusals.entry(peer).or_default();
                *refusals += 1;
                if *refusals > MAX_REFUSALS {
                    return Err(Failure::Flooded { peer });
                }
            }
        }
        Ok(())
    }

    fn compute<T>(&mut self, machine: &mut Machine<T>) -> MachinePoll<T> {
        let began = Instant::now();
        {
            let mut waits = lock(&self.waits);
            waits.since = None;
            waits.parties.clear();
        }
        let poll = machine.poll();
        let mut waits = lock(&self.waits);
        waits.computing += began.elapsed();
        waits.begun = machine.traffic().exchanges;
        drop(waits);
        poll
    }

    /// Sends what an exchange has for each receiver, in one piece if it is small.
    async fn send(&mut self, frames: Vec<Frame>) -> Result<(), Failure> {
        let mut receivers = Vec::new();
        for frame in frames {
            let (number, members) = (frame.to, self.committee.len());
            let unknown = Failure::Committee { members, number };
            let peer = self.member(number).ok_or(unknown)?;
            let Hub { links, dialer, stopping, .. } = &*self.hub;
            let link = links.get(&peer).ok_or(Failure::Unknown(peer))?;
            let lease = || link.lease(dialer, stopping, &self.changed);
            let lease = self.leases.entry(peer).or_insert_with(lease);
            note(&self.waits, Instant::now(), vec![peer]);
            let pushed = lease.push(&frame).await;
            pushed.map_err(|reason| Failure::Disconnected { peer, reason })?;
            if !receivers.contains(&peer) {
                receivers.push(peer);
            }
        }
        receivers.iter().filter_map(|peer| self.leases.get(peer)).for_each(Lease::flush);
        Ok(())
    }

    /// Waits until there is something to deliver; an error if what is missing cannot come.
    async fn wait(&mut self, exchange: u32, missing: Vec<InstitutionId>) -> Result<(), Failure> {
        let since = match self.exchange {
            Some((same, since)) if same == exchange => since,
            _ => Instant::now(),
        };
        self.exchange = Some((exchange, since));
        note(&self.waits, since, missing.clone());
        loop {
            let (some, troubles) = self.hub.incoming.look(&self.session);
            if some {
                return Ok(());
            }
            for &peer in &missing {
                let trouble = troubles.iter().find(|(whose, _)| *whose == peer);
                let reason = match trouble {
                    Some((_, Trouble::Flooded)) => return Err(Failure::Flooded { peer }),
                    Some((_, Trouble::Disconnected)) => Some("its connection has ended".to_owned()),
                    None => self.leases.get(&peer).and_then(Lease::ended),
                };
                if let Some(reason) = reason {
                    return Err(Failure::Disconnected { peer, reason });
                }
            }
            self.changed.notified().await;
        }
    }

    /// The member of the committee with a number.
    fn member(&self, number: u8) -> Option<InstitutionId> {
        self.committee.get(usize::from(number).checked_sub(1)?).copied()
    }
}

fn note(waits: &Mutex<Waits>, since: Instant, parties: Vec<InstitutionId>) {
    let mut waits = lock(waits);
    (waits.since, waits.parties) = (Some(since), parties);
}
