//! Who computes: the parties, their evaluation points, and the sets that hold common seeds.

use quittance_crypto::field::Fr;
use thiserror::Error;

/// The largest committee. The number of seeds grows as `n choose t`: 126 for nine parties.
pub const MAX_PARTIES: usize = 9;

/// One party, by the point at which it holds its shares: from 1 to n, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyId(u8);

impl PartyId {
    /// The number of the party, from 1.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The place of the party in lists, from 0.
    pub fn position(self) -> usize {
        usize::from(self.0) - 1
    }

    /// The party at a place in lists; the inverse of [`position`](Self::position).
    pub(crate) fn from_position(position: usize) -> Self {
        Self(position as u8 + 1)
    }

    /// The field element at which the party's shares are evaluated.
    pub(crate) fn point(self) -> Fr {
        Fr::from(u64::from(self.0))
    }
}

impl std::fmt::Display for PartyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "party {}", self.0)
    }
}

/// Why a committee is impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PartiesError {
    /// Shares of a degree-0 polynomial are the secret itself.
    #[error("the threshold must be at least 1")]
    NoThreshold,
    /// Products of shares have degree `2t`, which `2t + 1` points determine.
    #[error("{count} parties cannot tolerate {threshold} corrupt ones: at least 2t + 1 are needed")]
    TooFew {
        /// Parties named.
        count: usize,
        /// Corrupt parties to tolerate.
        threshold: u8,
    },
    /// See [`MAX_PARTIES`].
    #[error("{count} parties are more than the limit of {MAX_PARTIES}")]
    TooMany {
        /// Parties named.
        count: usize,
    },
    /// A number that no party of the committee has.
    #[error("the committee has no party number {number}")]
    Unknown {
        /// The number.
        number: u8,
    },
}

/// A committee: `count` parties of which any `threshold` learn nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parties {
    count: u8,
    threshold: u8,
}

impl Parties {
    /// A committee of `count` parties with threshold `1 <= t < count / 2`.
    pub fn new(count: usize, threshold: u8) -> Result<Self, PartiesError> {
        if threshold == 0 {
            return Err(PartiesError::NoThreshold);
        }
        if count > MAX_PARTIES {
            return Err(PartiesError::TooMany { count });
        }
        if count < 2 * usize::from(threshold) + 1 {
            return Err(PartiesError::TooFew { count, threshold });
        }
        Ok(Self { count: count as u8, threshold })
    }

    /// n, the number of parties.
    pub fn count(self) -> usize {
        usize::from(self.count)
    }

    /// t, the number of parties that may collude and still learn nothing; the degree of shares.
    pub fn threshold(self) -> usize {
        usize::from(self.threshold)
    }

    /// The party with this number, if there is one.
    pub fn id(self, number: u8) -> Option<PartyId> {
        (1..=self.count).contains(&number).then_some(PartyId(number))
    }

    /// All parties, in order.
    pub fn ids(self) -> impl Iterator<Item = PartyId> + Clone {
        (1..=self.count).map(PartyId)
    }

    /// All parties but `me`, in order.
    pub fn others(self, me: PartyId) -> impl Iterator<Item = PartyId> + Clone {
        self.ids().filter(move |&id| id != me)
    }

    /// The first `2t + 1` parties: those who re-share products.
    pub(crate) fn active(self) -> impl Iterator<Item = PartyId> + Clone {
        (1..=2 * self.threshold + 1).map(PartyId)
    }

    /// The `t` parties after `dealer` in cyclic order: those who derive their sub-shares of the
    /// dealer's products from a pairwise key, so that nothing needs to be sent to them.
    pub(crate) fn derived_from(self, dealer: PartyId) -> PartySet {
        let next = |step| (usize::from(dealer.0) - 1 + step) % self.count();
        PartySet((1..=self.threshold()).map(|step| 1 << next(step)).sum())
    }

    /// The sets of `n - t` parties, in ascending order of their bit masks.
    ///
    /// Each set holds one common seed. Any `t` parties miss exactly one seed (that of their
    /// complement), and any larger coalition is beyond what the protocol tolerates.
    pub(crate) fn key_sets(self) -> impl Iterator<Item = PartySet> + Clone {
        let size = u32::from(self.count - self.threshold);
        (0u16..1 << self.count).filter(move |mask| mask.count_ones() == size).map(PartySet)
    }

    /// How many seeds there are: `n choose t`.
    pub(crate) fn key_set_count(self) -> usize {
        self.key_sets().count()
    }
}

/// A set of parties as a bit mask: bit `i` stands for the party at position `i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartySet(u16);

impl PartySet {
    pub(crate) fn contains(self, party: PartyId) -> bool {
        self.0 >> party.position() & 1 == 1
    }

    /// The bit mask, for hashing.
    pub(crate) fn mask(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_committees_are_refused() {
        assert_eq!(Parties::new(3, 0), Err(PartiesError::NoThreshold));
        assert_eq!(Parties::new(2, 1), Err(PartiesError::TooFew { count: 2, threshold: 1 }));
        assert_eq!(Parties::new(4, 2), Err(PartiesError::TooFew { count: 4, threshold: 2 }));
        assert_eq!(Parties::new(10, 1), Err(PartiesError::TooMany { count: 10 }));
        assert!(Parties::new(3, 1).is_ok() && Parties::new(9, 4).is_ok());
    }

    #[test]
    fn no_party_has_number_zero_or_one_beyond_the_last() {
        let parties = Parties::new(3, 1).unwrap();
        assert_eq!(parties.id(0), None);
        assert_eq!(parties.id(4), None);
        assert_eq!(parties.id(3).map(PartyId::position), Some(2));
    }

    #[test]
    fn each_coalition_of_t_misses_exactly_one_seed() {
        for (n, t) in [(3, 1), (4, 1), (5, 2), (7, 3)] {
            let parties = Parties::new(n, t).unwrap();
            for coalition in (0u16..1 << n).filter(|mask| mask.count_ones() == u32::from(t)) {
                let missed = parties.key_sets().filter(|set| set.mask() & coalition == 0);
                assert_eq!(missed.count(), 1);
            }
        }
    }

    #[test]
    fn nobody_derives_from_itself() {
        for (n, t) in [(3, 1), (5, 2), (7, 3), (7, 2)] {
            let parties = Parties::new(n, t).unwrap();
            for dealer in parties.ids() {
                let set = parties.derived_from(dealer);
                assert!(!set.contains(dealer));
                assert_eq!(set.mask().count_ones(), u32::from(t));
            }
        }
    }
}
