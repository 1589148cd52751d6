//! What reading costs, and who pays for it.
//!
//! Frames without meaning cost the peer nothing and us a lot: a kilobyte of pings is a hundred
//! frames, each of which HTTP/2 looks at and answers. So reading is paid for, in processor time,
//! by the institution at the other end. All its connections draw on one [`Budget`], which fills at
//! [`reading_share`](crate::limits::Limits::reading_share) a second up to
//! [`reading_burst`](crate::limits::Limits::reading_burst). While it is empty nothing is read from
//! them, and TCP holds the peer back.
//!
//! **What is charged.** HTTP/2 reads a piece, works off its frames, and reads the next, all in one
//! poll of the connection's task, until a read says that there is no more or that it has to wait.
//! The thread's processor time from the first of these reads to that last one is charged: the
//! decryption, the frames, and the answers that HTTP/2 gives by itself and that it writes when they
//! fill its buffer. It writes the rest of them after the last read; that is charged too. Waiting
//! takes no processor time, and nothing is charged between two polls of the task. The work of a
//! call, in tasks of its own, is not charged, nor is the writing of its response.
//!
//! **Who waits for how long.** The time at which the budget will be full says how much is left.
//! A connection that finds it overdrawn books its next piece there, which moves that time on, and
//! sleeps until that piece is paid for. So connections of one institution come one after the other,
//! in the order in which they began to wait, and never wake all at once. What a piece costs beyond
//! that is charged when it is known; what is left over is given back.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use metrics::histogram;
use quittance_ledger::ids::InstitutionId;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::Limits;
use crate::metrics::READ_WAIT;

/// The most that is charged at a time, should a clock or HTTP/2 do what is not expected here. A
/// piece costs much less.
const LONGEST: Duration = Duration::from_millis(10);

/// The least that is booked: a piece with one small frame costs about that.
const LEAST: Duration = Duration::from_micros(50);

/// The most that is booked.
const MOST: Duration = Duration::from_millis(2);

/// The processor time that this thread has had.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is ever negative.
    let (seconds, nanoseconds) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}

/// The budgets of all institutions that are connected or owe something.
#[derive(Debug)]
pub(super) struct Budgets {
    rate: Rate,
    by_institution: Mutex<BTreeMap<InstitutionId, Arc<Budget>>>,
}

impl Budgets {
    pub(super) fn new(limits: &Limits) -> Self {
        let rate = Rate { share: limits.reading_share, burst: limits.reading_burst };
        Self { rate, by_institution: Mutex::default() }
    }

    /// The share of a new connection in the budget of its institution.
    pub(super) fn reading(&self, institution: InstitutionId) -> Reading {
        Reading::new(self.of(institution, Instant::now()), thread_time)
    }

    fn of(&self, institution: InstitutionId, now: Instant) -> Arc<Budget> {
        let mut all = self.by_institution.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever hangs up and comes again finds its debts.
        all.retain(|_, budget| Arc::strong_count(budget) > 1 || !budget.is_full(now));
        let new = || Arc::new(Budget { rate: self.rate, full_at: Mutex::new(now) });
        all.entry(institution).or_insert_with(new).clone()
    }
}

/// How a budget fills.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// Processor time that comes in a second.
    share: Duration,
    /// The most that it holds.
    burst: Duration,
}

impl Rate {
    /// Until so much processor time has come.
    fn time_for(&self, cost: Duration) -> Duration {
        let share = self.share.as_nanos().max(1);
        let nanoseconds = cost.as_nanos().saturating_mul(1_000_000_000) / share;
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

/// The budget of an institution, which all its connections share.
#[derive(Debug)]
struct Budget {
    rate: Rate,
    /// When it is full again if nothing more is taken.
    full_at: Mutex<Instant>,
}

impl Budget {
    /// A time stays right even if a holder of the lock has panicked.
    fn lock(&self) -> MutexGuard<'_, Instant> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self, now: Instant) -> bool {
        *self.lock() <= now
    }

    /// Takes what has been used, into debt if need be.
    fn charge(&self, now: Instant, cost: Duration) {
        let mut full_at = self.lock();
        *full_at = later((*full_at).max(now), self.rate.time_for(cost));
    }

    /// Returns what was booked and not used.
    fn give_back(&self, cost: Duration) {
        let mut full_at = self.lock();
        if let Some(earlier) = full_at.checked_sub(self.rate.time_for(cost)) {
            *full_at = earlier;
        }
    }

    /// Nothing if the budget is not overdrawn. Else books `cost`: it is paid for at that time.
    fn book(&self, now: Instant, cost: Duration) -> Option<Instant> {
        let mut full_at = self.lock();
        let empty_until = full_at.checked_sub(self.rate.time_for(self.rate.burst))?;
        if empty_until <= now {
            return None;
        }
        *full_at = later(*full_at, self.rate.time_for(cost));
        Some(empty_until)
    }
}

/// No time is so late that it could not be written down: limits are hours at most.
fn later(time: Instant, by: Duration) -> Instant {
    time.checked_add(by).unwrap_or(time)
}

/// What a connection reads, and pays for.
#[derive(Debug)]
pub(super) struct Reading {
    budget: Arc<Budget>,
    /// Processor time of the thread.
    clock: fn() -> Duration,
    /// When what is being charged began, by that clock.
    since: Option<Duration>,
    /// What the dearest piece has cost since the last booking: the next is expected to cost that.
    dearest: Duration,
    /// Booked, and not yet used.
    booked: Duration,
    /// What is written next answers what has been read.
    answers: bool,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Reading {
    fn new(budget: Arc<Budget>, clock: fn() -> Duration) -> Self {
        let (dearest, booked) = (Duration::ZERO, Duration::ZERO);
        Self { budget, clock, since: None, dearest, booked, answers: false, wait: None }
    }

    /// Charges the piece before, if any, and waits until there is something to pay the next from;
    /// then that begins. The task's poll has to end soon where this is pending.
    pub(super) fn poll_begin(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let time = (self.clock)();
        self.settle(time);
        if self.wait.is_none() {
            self.wait = self.due(Instant::now()).map(|due| Box::pin(sleep_until(due)));
        }
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(context));
            self.wait = None;
        }
        self.since = Some(time);
        Poll::Ready(())
    }

    /// When the next piece may be read, if not at once.
    fn due(&mut self, now: Instant) -> Option<Instant> {
        if !self.booked.is_zero() {
            return None;
        }
        let cost = self.dearest.clamp(LEAST, MOST);
        let due = self.budget.book(now, cost)?;
        (self.booked, self.dearest) = (cost, Duration::ZERO);
        histogram!(READ_WAIT).record(due.saturating_duration_since(now));
        Some(due)
    }

    /// Something was read.
    pub(super) fn has_read(&mut self) {
        self.answers = true;
    }

    /// All that came has been read: charges for that and returns what is left of the booking.
    pub(super) fn end(&mut self) {
        self.pause();
        self.return_rest();
    }

    /// Charges until now: the task's poll ends, though more may have come.
    pub(super) fn pause(&mut self) {
        if self.since.is_some() {
            self.settle((self.clock)());
        }
    }

    /// Before a write. Whether this write alone is to be charged: an answer to what was read last.
    pub(super) fn begin_write(&mut self) -> bool {
        let alone = self.answers && self.since.is_none();
        if alone {
            self.since = Some((self.clock)());
        }
        alone
    }

    /// After a write. A pending one ends the task's poll.
    pub(super) fn end_write(&mut self, alone: bool, pending: bool) {
        if alone || pending {
            self.pause();
        }
    }

    /// What HTTP/2 had to say has been written; what follows is the responses of calls.
    pub(super) fn has_answered(&mut self) {
        self.answers = self.since.is_some();
    }

    /// Charges from the beginning of the piece to `time`.
    fn settle(&mut self, time: Duration) {
        let Some(since) = self.since.take() else { return };
        let cost = time.saturating_sub(since).min(LONGEST);
        self.dearest = self.dearest.max(cost);
        let covered = cost.min(self.booked);
        self.booked -= covered;
        if cost > covered {
            self.budget.charge(Instant::now(), cost - covered);
        }
    }

    fn return_rest(&mut self) {
        let rest = std::mem::take(&mut self.booked);
        if !rest.is_zero() {
            self.budget.give_back(rest);
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.return_rest();
    }
}

#[cfg(test)]
mod tests;
