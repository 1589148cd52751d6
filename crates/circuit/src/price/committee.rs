//! The tariff of a committee on Shamir shares.

use super::{Cost, Tariff, Task};

/// Bytes of a field element, and of a commitment.
const ELEMENT: u64 = 32;
/// The low bits of a mask that hides any field element.
const FIELD_BITS: u32 = 252;
/// With more sets of `parties - threshold` parties than this, random bits come from square roots.
const XOR_SETS: u64 = 3;

/// A committee of `parties` parties of which `threshold` may be corrupt.
///
/// - Multiplication: re-sharing (Gennaro, Rabin, Rabin 1998) with `threshold` sub-shares derived
///   from common keys: one round, `parties - 1 - threshold` elements sent.
/// - Random bits: the exclusive or of the bits of all sets of `parties - threshold` parties, or
///   square roots (Damgård et al. 2006), in pairs with their product.
/// - Comparison, decomposition and test for zero: a masked opening (Catrina and de Hoogh 2010), and
///   a tree over the bits of the mask. Three parties compare on bits shared over Z_2, a product of
///   which costs one bit (Araki et al. 2016).
///
/// Figures are for one of the parties that re-share, and leave out framing, the dealing of inputs,
/// the agreement on keys, and the checks of products before openings, whose size grows with the
/// logarithm of the number of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committee {
    parties: u32,
    threshold: u32,
}

impl Committee {
    /// `None` unless `1 <= threshold < parties / 2` and `parties <= 32`.
    pub fn new(parties: u32, threshold: u32) -> Option<Self> {
        let valid = threshold >= 1 && threshold < parties.div_ceil(2) && parties <= 32;
        valid.then_some(Self { parties, threshold })
    }

    fn multiplications(self, count: u64) -> Cost {
        let bytes = count * ELEMENT * u64::from(self.parties - 1 - self.threshold);
        Cost { multiplications: count, bytes, ..Cost::default() }
    }

    /// Each party sends its share to all others.
    fn openings(self, count: u64) -> Cost {
        Cost { bytes: count * ELEMENT * u64::from(self.parties - 1), ..Cost::default() }
    }

    /// The number of sets of `parties - threshold` parties.
    fn sets(self) -> u64 {
        (0..u64::from(self.threshold))
            .fold(1, |sets, i| sets * (u64::from(self.parties) - i) / (i + 1))
    }

    /// Pairs of random bits with their product.
    fn random_pairs(self, pairs: u64) -> Cost {
        let bits = 2 * pairs;
        let bare = match self.sets() {
            sets @ ..=XOR_SETS => self.multiplications(bits * (sets - 1)),
            _ => self.multiplications(bits) + self.openings(bits),
        };
        Cost { random_bits: bits, ..bare + self.multiplications(pairs) }
    }

    /// A comparison of three parties. Of the bits, all but those of the tree and of the opening are
    /// sent before the operands are needed, as are the products, which make a bit that is shared over
    /// both Z_2 and the field of the circuit.
    fn less_than_on_bits(self, width: u32) -> Cost {
        let width = u64::from(width.max(1));
        // The carries of three summands, and the products of bits and carries of neighbouring places.
        let prepared = width + 2 * (width - 1) + width.saturating_sub(2);
        // All places but the lowest and the highest are leaves; see below.
        let leaves = width - 1;
        let levels = depth(leaves);
        let tree = (2 * leaves.saturating_sub(1)).saturating_sub(u64::from(levels));
        let opened = u64::from(self.parties - 1);
        let cost = self.multiplications(2) + self.openings(1);
        Cost { rounds: 2 + u64::from(levels), bits: prepared + tree + opened, ..cost }
    }

    /// A masked opening, then `products` products in `rounds` rounds.
    fn masked(self, bits: u32, products: u64, rounds: u32) -> Cost {
        let cost = self.random_pairs(pairs(bits)) + self.openings(1);
        Cost { rounds: 1 + u64::from(rounds), ..cost + self.multiplications(products) }
    }
}

fn pairs(bits: u32) -> u64 {
    u64::from(bits.div_ceil(2))
}

/// `ceil(log2(count))` for a positive count.
fn depth(count: u64) -> u32 {
    count.next_power_of_two().trailing_zeros()
}

/// Products of the parallel prefix computation (Sklansky 1960) over `bits` places: in each of its
/// levels each place of an upper block is joined with the lower block, by two products, or one if
/// that block reaches down to the lowest bit.
fn prefix_products(bits: u32) -> u64 {
    let joined = |block: u64| {
        let bits = u64::from(bits);
        let upper = |start: u64| bits.min(start + 2 * block).saturating_sub(start + block);
        let starts = (0..bits).step_by(2 * block as usize);
        starts.map(|start| upper(start) * if start == 0 { 1 } else { 2 }).sum::<u64>()
    };
    (0..depth(u64::from(bits))).map(|level| joined(1 << level)).sum()
}

impl Tariff for Committee {
    fn cost(&self, task: Task) -> Cost {
        let round = |cost| Cost { rounds: 1, ..cost };
        match task {
            Task::Product => round(self.multiplications(1)),
            Task::LessThan { bits } if self.parties == 3 => self.less_than_on_bits(bits),
            // Pairs of bits are the leaves of a tree. Each joint takes two products, but those that
            // reach down to the lowest bit, one in each level of the tree, take one.
            Task::LessThan { bits } => {
                let levels = depth(pairs(bits));
                self.masked(bits, 2 * (pairs(bits) - 1) - u64::from(levels), levels)
            }
            Task::IsZero { bits: Some(1) } => Cost::default(),
            Task::IsZero { bits } => {
                let bits = bits.unwrap_or(FIELD_BITS);
                self.masked(bits, pairs(bits) - 1, depth(pairs(bits)))
            }
            Task::Decompose { bits } => {
                self.masked(bits, prefix_products(bits), depth(u64::from(bits)))
            }
            // The value times a random factor is opened.
            Task::AssertZero | Task::ShowZero => {
                Cost { rounds: 2, ..self.multiplications(1) + self.openings(1) }
            }
            Task::Reveal | Task::PublicOutput => round(self.openings(1)),
            Task::OwnerOutput => Cost { bytes: ELEMENT, ..Cost::default() },
            // A commitment to everybody; a share of value and blinding to the owner.
            Task::CommittedOutput => {
                let published = self.openings(1);
                round(Cost { bytes: published.bytes + 2 * ELEMENT, ..published })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committee_has_an_honest_majority() {
        assert!(Committee::new(3, 1).is_some());
        assert!(Committee::new(5, 2).is_some());
        for (parties, threshold) in [(3, 0), (2, 1), (4, 2), (3, 3), (33, 2)] {
            assert_eq!(Committee::new(parties, threshold), None);
        }
    }

    #[test]
    fn figures_for_three_parties_counted_by_hand() {
        let committee = Committee::new(3, 1).unwrap();
        let product = Cost { multiplications: 1, rounds: 1, bytes: 32, ..Cost::default() };
        assert_eq!(committee.cost(Task::Product), product);
        // Places 0 to 3 have carries, 1 to 3 products with them and with the bits below, 2 and 3
        // products with the carries below: 4 + 3 + 3 + 2. Places 1 to 3 are leaves: 1 and 2 joined,
        // then 3, each time down to the lowest: 1 + 1. One opening: 2.
        let less = Cost { multiplications: 2, rounds: 4, bytes: 4 * 32, bits: 16, random_bits: 0 };
        assert_eq!(committee.cost(Task::LessThan { bits: 4 }), less);
        // Four bits, two pairs of mask bits: 2 * 4 for the bits, 2 for the pairs; one joint, which
        // reaches down to the lowest bit: 1. Sent: 11 elements, and 2 for the opening.
        let zero = Cost { multiplications: 11, random_bits: 4, rounds: 2, bytes: 13 * 32, bits: 0 };
        assert_eq!(committee.cost(Task::IsZero { bits: Some(4) }), zero);
        // Four places: bits 1 and 3 joined (1 + 2 products), then bits 2 and 3 (1 each).
        let bits = Cost { multiplications: 15, random_bits: 4, rounds: 3, bytes: 17 * 32, bits: 0 };
        assert_eq!(committee.cost(Task::Decompose { bits: 4 }), bits);
    }

    #[test]
    fn sets_are_counted() {
        let sets = |parties, threshold| Committee::new(parties, threshold).unwrap().sets();
        assert_eq!((sets(3, 1), sets(5, 2), sets(7, 3)), (3, 10, 35));
    }
}
