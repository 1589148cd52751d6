//! Transactions that wait for a verifier.
//!
//! Whoever verifies takes what is there and does not wait for more. So a transaction that comes
//! alone is verified alone and at once, while under load the batch grows to what has arrived during
//! the last one: the busier the node, the cheaper each transaction.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use quittance_ledger::transaction::Transaction;

/// Transactions of one batch.
const MAX_BATCH: usize = 512;

/// Fewer than this are left to one verifier: two would share less work.
const SMALLEST_SHARE: usize = 32;

/// See the [module](self). The pool's limits bound it: whatever is in it is also in the pool.
pub(crate) struct Queue {
    verifiers: NonZeroUsize,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    transactions: VecDeque<Transaction>,
    closed: bool,
}

impl Queue {
    /// An empty queue for so many verifiers.
    pub(crate) fn new(verifiers: NonZeroUsize) -> Self {
        Self { verifiers, waiting: Mutex::default(), arrived: Condvar::new() }
    }

    /// How many are to take from it at the same time.
    pub(crate) fn verifiers(&self) -> usize {
        self.verifiers.get()
    }

    /// Adds a transaction. `false`, and nothing happens, once the queue is closed.
    pub(crate) fn push(&self, transaction: Transaction) -> bool {
        let mut waiting = self.lock();
        if waiting.closed {
            return false;
        }
        waiting.transactions.push_back(transaction);
        drop(waiting);
        self.arrived.notify_one();
        true
    }

    /// What one verifier is to take on, in order of arrival; waits until there is something. `None`
    /// once the queue is closed.
    pub(crate) fn take(&self) -> Option<Vec<Transaction>> {
        let idle = |waiting: &mut Waiting| !waiting.closed && waiting.transactions.is_empty();
        let mut waiting =
            self.arrived.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        if waiting.closed {
            return None;
        }
        let all = waiting.transactions.len();
        let share = all.div_ceil(self.verifiers()).clamp(SMALLEST_SHARE, MAX_BATCH).min(all);
        Some(waiting.transactions.drain(..share).collect())
    }

    /// Whether nothing waits.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().transactions.is_empty()
    }

    /// Nothing more is taken in or given out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Each change is complete, so what another thread's panic leaves is sound.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
