//! Who can be paid in a round, in the order in which dealt payees name them.
//!
//! A dealer says who is paid by a vector that is 1 at one place and 0 at all others. It does not
//! know who will be in the roster, and the same dealing may serve for a second, smaller roster. So
//! the vector has a place for everybody who could be: the first stands for padding and has the label
//! 0, the others for the register's participants in the order of their numbers, which are the
//! labels. A leaf commits to the label.
//!
//! Dealer and parties read the same list from their books: that of the register at the height at which
//! the round was opened. The dealing states it all the same: whoever has another one refuses the
//! dealing, and the name of a session covers it.

use quittance_circuit::Fr;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::state::{Role, State};

use crate::queue::{MAX_BUCKET, MIN_BUCKET};

/// The most entries of all vectors of one dealing. With the rest of a dealing they fit 8 MiB.
pub const MAX_ENTRIES: usize = 3 << 16;

/// The most payees, padding included, that a queue can be dealt for.
const MAX_LABELS: usize = MAX_ENTRIES / MIN_BUCKET;

/// The numbers of all who can be paid, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payees(Vec<Number>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Number(u32);

impl Payees {
    /// All participants of the register.
    pub fn of(registry: &State) -> Self {
        let payable = registry
            .institutions()
            .filter(|(_, institution)| institution.roles.contains(&Role::Participant));
        let mut numbers: Vec<_> =
            payable.map(|(_, institution)| Number(institution.number)).collect();
        numbers.sort_unstable();
        Self(numbers)
    }

    /// How many entries a vector has: one for padding, and one for each payee.
    pub fn entries(&self) -> usize {
        1 + self.0.len()
    }

    /// What the places of a vector stand for.
    pub fn labels(&self) -> Vec<Fr> {
        let numbers = self.0.iter().map(|number| number.0);
        std::iter::once(0).chain(numbers).map(Fr::from).collect()
    }

    /// The place of a payee's number; of 0, which is that of padding. Nothing if there is none.
    pub fn place(&self, number: u32) -> Option<usize> {
        match number {
            0 => Some(0),
            _ => self.0.binary_search(&Number(number)).ok().map(|place| 1 + place),
        }
    }

    /// How many leaves a queue can have at most, so that its vectors can be dealt: a power of two,
    /// or 0 if there are too many payees for any queue.
    pub fn largest_bucket(&self) -> usize {
        let fits = |bucket: &usize| bucket * self.entries() <= MAX_ENTRIES;
        let buckets = std::iter::successors(Some(MAX_BUCKET), |bucket| Some(bucket / 2));
        buckets.take_while(|bucket| *bucket >= MIN_BUCKET).find(fits).unwrap_or(0)
    }
}

impl Encode for Payees {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.0);
    }
}

impl Decode for Payees {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const WHAT: &str = "numbers of payees";
        let numbers: Vec<Number> = input.list(MAX_LABELS, WHAT)?;
        let starts = numbers.first().is_none_or(|number| number.0 > 0);
        match starts && numbers.is_sorted_by(|one, next| one < next) {
            true => Ok(Self(numbers)),
            false => Err(input.invalid(WHAT, "not in strict order, or zero")),
        }
    }
}

impl Encode for Number {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.0);
    }
}

impl Decode for Number {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.u32("number of a payee")?))
    }
}

#[cfg(test)]
impl Payees {
    /// With these numbers, which ascend.
    pub(crate) fn with(numbers: impl IntoIterator<Item = u32>) -> Self {
        Self(numbers.into_iter().map(Number).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_comes_first_and_then_payees_in_order() {
        let payees = Payees::with([2, 5, 9]);
        assert_eq!(payees.labels(), [0u64, 2, 5, 9].map(Fr::from));
        assert_eq!([0, 2, 5, 9].map(|number| payees.place(number)), [0, 1, 2, 3].map(Some));
        assert!([1, 3, 10, u32::MAX].iter().all(|number| payees.place(*number).is_none()));
        assert_eq!(payees.entries(), 4);
    }

    #[test]
    fn more_payees_leave_room_for_shorter_queues() {
        let largest = |count: u32| Payees::with(1..=count).largest_bucket();
        assert_eq!([largest(1), largest(191), largest(192)], [1024, 1024, 512]);
        assert_eq!([largest(24_575), largest(24_576)], [8, 0]);
    }

    #[test]
    fn a_list_has_one_encoding() {
        let good = Payees::with([2, 5, 9]);
        assert_eq!(Payees::from_bytes(&good.to_bytes()), Ok(good));
        for bad in [vec![0, 2], vec![2, 2], vec![5, 2]] {
            assert!(Payees::from_bytes(&Payees::with(bad).to_bytes()).is_err());
        }
    }
}
