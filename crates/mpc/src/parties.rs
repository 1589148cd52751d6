//! Who computes: the committee, the active parties of a session, their evaluation points, and the
//! sets that hold common seeds.
//!
//! Inputs are dealt to all n parties of a committee, of which t may be corrupt. A session runs among
//! exactly `2t + 1` of them, its *active* parties. Shares keep their points, so any `2t + 1` parties
//! can compute on the same dealings, and a session that has failed can be run again without a party
//! that was at fault. With n = 2t + 1 all parties are active.

mod by_party;

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::field::Fr;
use thiserror::Error;

pub use by_party::ByParty;

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

    /// The place of the party in lists of the whole committee, from 0.
    pub fn position(self) -> usize {
        usize::from(self.0) - 1
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
    /// Only so many compute together: fewer could not multiply, and more would give liars more to
    /// lie about.
    #[error("{found} parties are not the 2t + 1 = {needed} that compute together")]
    NotActive {
        /// `2t + 1`.
        needed: usize,
        /// Parties named.
        found: usize,
    },
}

/// A committee: `count` parties of which any `threshold` learn nothing. Inputs are dealt to it.
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

    /// The active parties of a session of this committee: those with these numbers.
    pub fn active(self, numbers: &[u8]) -> Result<ActiveSet, PartiesError> {
        let mut set = PartySet(0);
        for &number in numbers {
            set.0 |= 1 << self.id(number).ok_or(PartiesError::Unknown { number })?.position();
        }
        let (needed, found) = (2 * self.threshold() + 1, set.len());
        match found == needed {
            true => Ok(ActiveSet(set)),
            false => Err(PartiesError::NotActive { needed, found }),
        }
    }

    /// The first `2t + 1` parties, which are all of them unless the committee has slack.
    pub fn first_active(self) -> ActiveSet {
        ActiveSet(PartySet((1 << (2 * self.threshold + 1)) - 1))
    }

    /// Every choice of `2t + 1` active parties: `n choose 2t + 1`, at most 126.
    pub fn choices(self) -> impl Iterator<Item = ActiveSet> {
        PartySet((1 << self.count) - 1).subsets(2 * self.threshold() + 1).map(ActiveSet)
    }
}

/// The parties that take part in a session: `2t + 1` of a committee, which fixes t.
///
/// Encoded as a bit mask of two bytes, bit `i` for party `i + 1`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ActiveSet(PartySet);

impl ActiveSet {
    /// How many there are: `2t + 1`.
    pub fn count(self) -> usize {
        self.0.len()
    }

    /// t, the number of parties that may collude and still learn nothing; the degree of shares.
    pub fn threshold(self) -> usize {
        self.count() / 2
    }

    /// The active party with this number, if there is one.
    pub fn id(self, number: u8) -> Option<PartyId> {
        let known = (1..=MAX_PARTIES as u8).contains(&number).then_some(PartyId(number));
        known.filter(|&id| self.contains(id))
    }

    /// Whether a party takes part.
    pub fn contains(self, party: PartyId) -> bool {
        self.0.contains(party)
    }

    /// All active parties, in order.
    pub fn ids(self) -> impl Iterator<Item = PartyId> + Clone {
        (1..=MAX_PARTIES as u8).map(PartyId).filter(move |&id| self.contains(id))
    }

    /// Their numbers, in order.
    pub fn numbers(self) -> Vec<u8> {
        self.ids().map(PartyId::number).collect()
    }

    /// All active parties but `me`, in order.
    pub fn others(self, me: PartyId) -> impl Iterator<Item = PartyId> + Clone {
        self.ids().filter(move |&id| id != me)
    }

    /// Whether these are parties of this committee, as many as its threshold calls for.
    pub fn belongs_to(self, committee: Parties) -> bool {
        committee.active(&self.numbers()).is_ok()
    }

    /// The place of an active party among them, from 0.
    pub(crate) fn place(self, party: PartyId) -> usize {
        (self.0.0 & ((1 << party.position()) - 1)).count_ones() as usize
    }

    /// The party so many places after `party` in cyclic order.
    pub(crate) fn after(self, party: PartyId, steps: usize) -> PartyId {
        let place = (self.place(party) + steps) % self.count();
        self.ids().nth(place).unwrap_or(party)
    }

    /// The `t` parties after `dealer` in cyclic order: those who derive their sub-shares of the
    /// dealer's products from a pairwise key, so that nothing needs to be sent to them.
    pub(crate) fn derived_from(self, dealer: PartyId) -> PartySet {
        let next = |step| 1 << self.after(dealer, step).position();
        PartySet((1..=self.threshold()).map(next).sum())
    }

    /// The sets of `t + 1` parties, in ascending order of their bit masks.
    ///
    /// Each set holds one common seed. Any `t` parties miss exactly one seed (that of their
    /// complement), and any larger coalition is beyond what the protocol tolerates.
    pub(crate) fn key_sets(self) -> impl Iterator<Item = PartySet> + Clone {
        self.0.subsets(self.threshold() + 1)
    }

    /// How many seeds there are: `2t + 1 choose t`.
    pub(crate) fn key_set_count(self) -> usize {
        self.key_sets().count()
    }
}

impl std::fmt::Debug for ActiveSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "parties {:?}", self.numbers())
    }
}

impl Encode for ActiveSet {
    fn encode(&self, out: &mut Writer) {
        out.u16(self.0.0);
    }
}

impl Decode for ActiveSet {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let set = PartySet(input.u16("active parties")?);
        let possible = set.0 < 1 << MAX_PARTIES && set.len() >= 3 && set.len() % 2 == 1;
        let why = "not 2t + 1 parties of a committee";
        possible.then_some(Self(set)).ok_or_else(|| input.invalid("active parties", why))
    }
}

/// A set of parties as a bit mask: bit `i` stands for the party at position `i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartySet(u16);

impl PartySet {
    pub(crate) fn contains(self, party: PartyId) -> bool {
        self.0 >> party.position() & 1 == 1
    }

    fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The subsets of this size, in ascending order of their bit masks.
    fn subsets(self, size: usize) -> impl Iterator<Item = Self> + Clone {
        let within = move |set: &Self| set.0 & !self.0 == 0 && set.len() == size;
        (0u16..1 << MAX_PARTIES).map(Self).filter(within)
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

    /// Every active set of committees without and with slack.
    fn active_sets() -> impl Iterator<Item = ActiveSet> {
        let committees = [(3, 1), (4, 1), (5, 1), (5, 2), (7, 2), (7, 3), (9, 3)];
        committees.into_iter().flat_map(|(n, t)| Parties::new(n, t).unwrap().choices())
    }

    #[test]
    fn each_coalition_of_t_misses_exactly_one_seed() {
        for active in active_sets() {
            for coalition in active.0.subsets(active.threshold()) {
                let missed = active.key_sets().filter(|set| set.mask() & coalition.mask() == 0);
                assert_eq!(missed.count(), 1);
            }
        }
    }

    #[test]
    fn nobody_derives_from_itself() {
        for active in active_sets() {
            for dealer in active.ids() {
                let set = active.derived_from(dealer);
                assert!(!set.contains(dealer) && set.0 & !active.0.0 == 0);
                assert_eq!(set.len(), active.threshold());
            }
        }
    }

    #[test]
    fn active_are_2t_plus_1_of_the_committee() {
        let parties = Parties::new(5, 1).unwrap();
        let active = parties.active(&[2, 5, 3]).unwrap();
        assert_eq!((active.numbers(), active.threshold()), (vec![2, 3, 5], 1));
        assert_eq!([2, 3, 5].map(|number| active.place(PartyId(number))), [0, 1, 2]);
        assert_eq!(active.after(PartyId(5), 2), PartyId(3));
        assert_eq!([1, 4, 0, 9, 17].map(|number| active.id(number)), [None; 5]);
        let refused = |numbers: &[u8]| parties.active(numbers).unwrap_err();
        assert_eq!(refused(&[1, 2]), PartiesError::NotActive { needed: 3, found: 2 });
        assert_eq!(refused(&[1, 2, 2]), PartiesError::NotActive { needed: 3, found: 2 });
        assert_eq!(refused(&[1, 2, 3, 4]), PartiesError::NotActive { needed: 3, found: 4 });
        assert_eq!(refused(&[1, 2, 6]), PartiesError::Unknown { number: 6 });
        assert_eq!(parties.choices().count(), 10);
        assert_eq!(parties.choices().next(), Some(parties.first_active()));
        assert!(active.belongs_to(parties));
        assert!(!active.belongs_to(Parties::new(4, 1).unwrap()));
        assert!(!active.belongs_to(Parties::new(5, 2).unwrap()));
    }

    #[test]
    fn what_no_session_can_have_is_not_decoded() {
        for active in active_sets() {
            assert_eq!(ActiveSet::from_bytes(&active.to_bytes()), Ok(active));
        }
        for mask in [0u16, 1, 0b11, 0b1111, 1 << 9 | 0b11, u16::MAX] {
            assert!(ActiveSet::from_bytes(&mask.to_be_bytes()).is_err(), "{mask:b}");
        }
    }
}
