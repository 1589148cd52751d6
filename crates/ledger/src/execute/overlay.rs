//! The changes of a block so far, over the state before it.

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::commitment::Commitment;
use quittance_crypto::group::Point;
use quittance_crypto::planted;
use rayon::prelude::*;

use crate::ids::{AccountId, CreditId, Height, RoundId, TransactionId};
use crate::state::{
    Account, Changes, Event, EventKind, Key, Lock, Pending, PendingCredit, Record, Round, State,
};

/// Reads see the base through what has been written; nothing here can fail. What is not allowed
/// has been found out before anything is written.
pub(super) struct Overlay<'a> {
    base: &'a State,
    height: Height,
    /// Boxed: a map moves what it holds around, and these are large.
    accounts: BTreeMap<AccountId, Box<Work>>,
    rounds: BTreeMap<RoundId, Option<Round>>,
}

/// Fewer accounts than this are not worth a second processor.
const SMALLEST_SHARE: usize = 32;

/// An account at work. Running sums are points here: they are encoded once per block.
pub(super) struct Work {
    account: Account,
    pending: Pending,
    inflow: Point,
    outflow: Point,
    net_settled: Point,
    /// Numbers of the credits that have come or gone.
    touched: BTreeSet<u64>,
}

/// An account after the block.
struct Settled {
    account: Box<Account>,
    pending: Pending,
    touched: BTreeSet<u64>,
}

/// A posting that has been found to be in order.
pub(super) struct Posted {
    pub account: AccountId,
    pub entry: u32,
    pub sequence: u64,
    pub absorbed: Vec<CreditId>,
    pub new_balance: Commitment,
    /// What the account gave away in credits.
    pub given: Point,
    /// What is left of the change of balance after that.
    pub net: Point,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(base: &'a State, height: Height) -> Self {
        let stale = base.stale_rounds(height).map(|round| (round, None)).collect();
        Self { base, height, accounts: BTreeMap::new(), rounds: stale }
    }

    /// The account with its pending credits as they stand now, if it was ever used.
    pub(super) fn account(&self, id: &AccountId) -> Option<(&Account, &Pending)> {
        match self.accounts.get(id) {
            Some(work) => Some((&work.account, &work.pending)),
            None => self.base.account(id).zip(self.base.pending(id)),
        }
    }

    pub(super) fn round(&self, id: &RoundId) -> Option<&Round> {
        match self.rounds.get(id) {
            Some(round) => round.as_ref(),
            None => self.base.round(id),
        }
    }

    pub(super) fn put_round(&mut self, id: RoundId, round: Round) {
        self.rounds.insert(id, Some(round));
    }

    fn work(&mut self, id: AccountId) -> &mut Work {
        let base = self.base;
        self.accounts.entry(id).or_insert_with(|| {
            let account = base.account(&id).cloned().unwrap_or_default();
            let pending = base.pending(&id).cloned().unwrap_or_default();
            Box::new(Work::new(account, pending))
        })
    }

    /// Enters an event into the account's log.
    pub(super) fn log(&mut self, id: AccountId, transaction: TransactionId, kind: EventKind) {
        let height = self.height;
        let account = &mut self.work(id).account;
        account.log = Event { height, transaction, kind }.extend(&account.log);
    }

    /// Takes over a posting: the new balance counts, what it absorbs no longer pends.
    pub(super) fn post(&mut self, posted: Posted, transaction: TransactionId) {
        let work = self.work(posted.account);
        work.account.balance = posted.new_balance;
        work.account.sequence = posted.sequence;
        work.account.lock = None;
        work.outflow += posted.given;
        work.net_settled += posted.net;
        for credit in &posted.absorbed {
            planted!("absorbed-credit-stays", (), work.take(credit));
        }
        self.log(posted.account, transaction, EventKind::Posted { entry: posted.entry });
    }

    /// Lets a credit arrive; its number and height are set here.
    pub(super) fn arrive(
        &mut self,
        id: AccountId,
        credit: PendingCredit,
        transaction: TransactionId,
    ) {
        let kind = match credit.returned {
            true => EventKind::CameBack { credit: credit.id },
            false => EventKind::Arrived { credit: credit.id },
        };
        let height = self.height;
        let work = self.work(id);
        let number = work.account.arrivals;
        work.account.arrivals += 1;
        work.inflow += credit.commitment.point();
        work.touched.insert(number);
        work.pending.insert(PendingCredit { number, arrived: height, ..credit });
        self.log(id, transaction, kind);
    }

    /// Sends a pending credit away again.
    pub(super) fn send_back(
        &mut self,
        id: AccountId,
        credit: &PendingCredit,
        transaction: TransactionId,
    ) {
        let work = self.work(id);
        work.take(&credit.id);
        work.outflow += credit.commitment.point();
        self.log(id, transaction, EventKind::WentBack { credit: credit.id });
    }

    /// Locks an account for a round; this consumes a sequence number.
    pub(super) fn join(
        &mut self,
        id: AccountId,
        sequence: u64,
        lock: Lock,
        transaction: TransactionId,
    ) {
        let account = &mut self.work(id).account;
        account.sequence = sequence;
        account.lock = Some(lock);
        self.log(id, transaction, EventKind::Joined { round: lock.round });
    }

    /// Ends the account's lock if it is by this round.
    pub(super) fn unlock(&mut self, id: AccountId, round: RoundId) {
        let lock = &mut self.work(id).account.lock;
        *lock = lock.filter(|lock| lock.round != round);
    }

    /// All writes, and the pending credits of each account in them. Encoding sums and hashing
    /// credits are most of the work: every processor takes its share of the accounts.
    pub(super) fn finish(self) -> (Changes, BTreeMap<AccountId, Pending>) {
        let works: Vec<_> = self.accounts.into_iter().collect();
        let settled = works.into_par_iter().with_min_len(SMALLEST_SHARE);
        let settled: Vec<_> = settled.map(|(id, work)| (id, work.settle())).collect();
        let mut changes = Changes::new();
        let mut all_pending = BTreeMap::new();
        for (id, Settled { account, pending, touched }) in settled {
            let before = self.base.pending(&id);
            for number in touched {
                let was_there = before.is_some_and(|pending| pending.by_number(number).is_some());
                match pending.by_number(number) {
                    Some(credit) => changes.put(Record::Credit(id, Box::new(credit.clone()))),
                    None if was_there => changes.remove(Key::Credit(id, number)),
                    None => {}
                }
            }
            changes.put(Record::Account(id, account));
            all_pending.insert(id, pending);
        }
        for (id, round) in self.rounds {
            match round {
                Some(round) => changes.put(Record::Round(id, Box::new(round))),
                None => changes.remove(Key::Round(id)),
            }
        }
        (changes, all_pending)
    }
}

impl Work {
    fn new(account: Account, pending: Pending) -> Self {
        Self {
            inflow: account.inflow.point(),
            outflow: account.outflow.point(),
            net_settled: account.net_settled.point(),
            touched: BTreeSet::new(),
            account,
            pending,
        }
    }

    fn take(&mut self, credit: &CreditId) {
        let taken = self.pending.remove(credit);
        self.touched.extend(taken.map(|credit| credit.number));
    }

    /// The account as its leaf shows it after the block.
    fn settle(self) -> Settled {
        let Self { account, pending, inflow, outflow, net_settled, touched } = self;
        let encoded = |sum: Point, before: Commitment| match sum == before.point() {
            true => before,
            false => Commitment::from(sum),
        };
        let account = Account {
            inflow: encoded(inflow, account.inflow),
            outflow: encoded(outflow, account.outflow),
            net_settled: encoded(net_settled, account.net_settled),
            pending_root: pending.root(),
            ..account
        };
        Settled { account: Box::new(account), pending, touched }
    }
}
