//! Where verified peers have called from. They keep getting in when strangers have taken every place
//! of those that shake hands.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use quittance_ledger::ids::InstitutionId;

/// Addresses of institutions, each with the time when it was last called from.
#[derive(Debug)]
pub(super) struct Known {
    per_institution: usize,
    time: Duration,
    seen: Mutex<BTreeMap<IpAddr, (InstitutionId, Instant)>>,
}

impl Known {
    /// Remembers so many addresses of an institution, for so long.
    pub(super) fn new(per_institution: usize, time: Duration) -> Self {
        Self { per_institution, time, seen: Mutex::default() }
    }

    /// `institution` has proven itself from `address`.
    pub(super) fn note(&self, address: IpAddr, institution: InstitutionId) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(address, (institution, Instant::now()));
        let own = seen.iter().filter(|(_, (of, _))| *of == institution);
        if own.clone().count() > self.per_institution {
            // One institution forgets its own, and nobody else's.
            let oldest = own.min_by_key(|(_, (_, when))| *when).map(|(address, _)| *address);
            if let Some(address) = oldest {
                seen.remove(&address);
            }
        }
    }

    /// Who has last called from `address`, if that is not long ago.
    pub(super) fn of(&self, address: IpAddr) -> Option<InstitutionId> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (institution, when) = seen.get(&address)?;
        (when.elapsed() < self.time).then_some(*institution)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_institution_forgets_its_own_oldest_address() {
        let known = Known::new(2, Duration::from_secs(600));
        let [bank, other] = ["BANKDEFF", "BANKFRPP"].map(|id| id.parse().unwrap());
        let address = |last| IpAddr::from([192, 0, 2, last]);
        known.note(address(9), other);
        for last in [1, 2, 1, 3] {
            known.note(address(last), bank);
        }
        assert_eq!([1, 2, 3].map(|last| known.of(address(last))), [Some(bank), None, Some(bank)]);
        assert_eq!(known.of(address(9)), Some(other));
        known.note(address(9), bank);
        assert_eq!(known.of(address(9)), Some(bank));
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let known = Known::new(2, Duration::ZERO);
        known.note(IpAddr::from([192, 0, 2, 1]), "BANKDEFF".parse().unwrap());
        assert_eq!(known.of(IpAddr::from([192, 0, 2, 1])), None);
    }
}
