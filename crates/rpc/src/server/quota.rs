//! Counting what each peer has taken of something, and giving it back by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many of something in all, and so many for each key.
#[derive(Debug)]
pub(super) struct Quota<K: Ord> {
    total: u64,
    per_key: u64,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K: Ord> {
    total: u64,
    by_key: BTreeMap<K, u64>,
}

/// Which bound has been reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// That of all together.
    Total,
    /// That of this key.
    Key,
}

/// A part of a quota, given back when dropped.
#[derive(Debug)]
pub(super) struct Share<K: Ord> {
    quota: Arc<Quota<K>>,
    key: K,
    /// Changed by the holder of the quota's lock only.
    amount: AtomicU64,
}

impl<K: Ord + Copy> Quota<K> {
    pub(super) fn new(total: u64, per_key: u64) -> Arc<Self> {
        let taken = Mutex::new(Taken { total: 0, by_key: BTreeMap::new() });
        Arc::new(Self { total, per_key, taken })
    }

    /// `amount` for `key`, or which bound forbids it.
    pub(super) fn take(self: &Arc<Self>, key: K, amount: u64) -> Result<Share<K>, Full> {
        self.count(&mut self.lock(), key, amount)?;
        Ok(Share { quota: self.clone(), key, amount: AtomicU64::new(amount) })
    }

    /// Counts `amount` for `key`, or nothing.
    fn count(&self, taken: &mut Taken<K>, key: K, amount: u64) -> Result<(), Full> {
        let of_key = taken.by_key.get(&key).copied().unwrap_or(0).saturating_add(amount);
        let total = taken.total.saturating_add(amount);
        if of_key > self.per_key {
            return Err(Full::Key);
        }
        if total > self.total {
            return Err(Full::Total);
        }
        taken.total = total;
        taken.by_key.insert(key, of_key);
        Ok(())
    }
}

impl<K: Ord + Copy> Share<K> {
    /// Whose it is.
    pub(super) fn key(&self) -> K {
        self.key
    }

    /// Makes the share larger by `amount`; or says which bound forbids it, and leaves it as it is.
    pub(super) fn grow(&self, amount: u64) -> Result<(), Full> {
        let mut taken = self.quota.lock();
        self.quota.count(&mut taken, self.key, amount)?;
        self.amount.fetch_add(amount, Ordering::Relaxed);
        Ok(())
    }
}

impl<K: Ord> Quota<K> {
    /// Counters stay right even if a holder of the lock has panicked: each change is complete.
    fn lock(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord> Drop for Share<K> {
    fn drop(&mut self) {
        let amount = *self.amount.get_mut();
        let mut taken = self.quota.lock();
        taken.total = taken.total.saturating_sub(amount);
        let left = taken.by_key.get(&self.key).map_or(0, |held| held.saturating_sub(amount));
        if left == 0 {
            // Keys come from outside: none may stay behind.
            taken.by_key.remove(&self.key);
        } else if let Some(held) = taken.by_key.get_mut(&self.key) {
            *held = left;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_bounded_and_come_back() {
        let quota = Quota::new(5, 3);
        let first = quota.take('a', 2).unwrap();
        assert_eq!(quota.take('a', 2).unwrap_err(), Full::Key);
        let second = quota.take('a', 1).unwrap();
        let other = quota.take('b', 2).unwrap();
        assert_eq!(quota.take('c', 1).unwrap_err(), Full::Total);
        drop(other);
        let third = quota.take('c', 2).unwrap();
        drop((first, second, third));
        assert!(quota.lock().by_key.is_empty());
        assert_eq!(quota.lock().total, 0);
        assert_eq!(quota.take('a', u64::MAX).unwrap_err(), Full::Key);
    }

    #[test]
    fn a_share_grows_within_the_bounds_and_comes_back_whole() {
        let quota = Quota::new(6, 4);
        let share = quota.take('a', 1).unwrap();
        share.grow(2).unwrap();
        assert_eq!(share.grow(2).unwrap_err(), Full::Key);
        assert_eq!(share.grow(u64::MAX).unwrap_err(), Full::Key);
        let other = quota.take('b', 3).unwrap();
        assert_eq!(other.grow(1).unwrap_err(), Full::Total);
        assert_eq!(quota.lock().total, 6);
        drop(share);
        assert_eq!(quota.lock().total, 3);
        assert!(!quota.lock().by_key.contains_key(&'a'));
        other.grow(1).unwrap();
        drop(other);
        assert_eq!(quota.lock().total, 0);
    }
}
