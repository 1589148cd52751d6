//! Waiting until something happens to one transaction.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quittance_ledger::ids::TransactionId;
use tokio::sync::watch;

/// Who waits for which transaction. Waiters are woken by dropping the sender, once.
#[derive(Default)]
pub(crate) struct Watchers(Mutex<BTreeMap<TransactionId, watch::Sender<()>>>);

/// One waiter.
pub(crate) struct Watch<'a> {
    watchers: &'a Watchers,
    id: TransactionId,
    receiver: watch::Receiver<()>,
}

impl Watchers {
    /// Waits for the next change from now on: subscribe first, look at the status, then wait.
    pub(crate) fn watch(&self, id: TransactionId) -> Watch<'_> {
        let mut all = self.lock();
        let receiver = all.entry(id).or_default().subscribe();
        Watch { watchers: self, id, receiver }
    }

    /// Something has happened to these.
    pub(crate) fn notify<'a>(&self, ids: impl IntoIterator<Item = &'a TransactionId>) {
        let mut all = self.lock();
        for id in ids {
            all.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TransactionId, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch<'_> {
    /// Returns after the next change.
    pub(crate) async fn changed(mut self) {
        // Nothing is ever sent: this ends, with an error, when the sender is dropped.
        let _ = self.receiver.changed().await;
    }
}

impl Drop for Watch<'_> {
    /// Ids come from outside: none stays behind when its last waiter has gone.
    fn drop(&mut self) {
        let mut all = self.watchers.lock();
        // After a change the sender under this id, if any, is that of later waiters.
        let ours = self.receiver.has_changed().is_ok();
        if ours && all.get(&self.id).is_some_and(|sender| sender.receiver_count() <= 1) {
            all.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quittance_crypto::digest::Digest;

    #[tokio::test]
    async fn waiters_are_woken_once_and_leave_nothing_behind() {
        let watchers = Watchers::default();
        let (one, two) = (TransactionId(Digest([1; 32])), TransactionId(Digest([2; 32])));
        let (first, second, other) =
            (watchers.watch(one), watchers.watch(one), watchers.watch(two));
        drop(second);
        assert_eq!(watchers.lock().len(), 2);
        watchers.notify([&one]);
        first.changed().await;
        assert_eq!(watchers.lock().len(), 1);
        drop(other);
        assert!(watchers.lock().is_empty());

        // A change between the subscription and the waiting is not missed.
        let late = watchers.watch(one);
        watchers.notify([&one]);
        let again = watchers.watch(one);
        late.changed().await;
        assert_eq!(watchers.lock().len(), 1, "the new waiter is not removed with the old one");
        drop(again);
        assert!(watchers.lock().is_empty());
    }
}
