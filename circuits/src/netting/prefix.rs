//! The longest prefix of a queue that a bank can pay for, by few comparisons.
//!
//! Cumulative amounts `P_1 <= ... <= P_m` of a queue do not decrease. So the bits `[P_j <= V]`, for
//! what the bank has available V, are ones followed by zeros, and m comparisons are more than it
//! takes to find where they change: there are only `m + 1` outcomes. They are searched in levels,
//! as numbers are looked up digit by digit. With radices `c_1, ..., c_d` whose product is at least
//! `m + 1`,
//!
//! 1. the outcomes are cut into `c_1` blocks, and V is compared with P at the `c_1 - 1` boundaries;
//! 2. the block in which the prefix ends is cut into `c_2` smaller ones, and V is compared with P
//!    at those boundaries; and so on until blocks are single outcomes.
//!
//! Which block that is, is secret. Let `G_0 = 1 >= G_1 >= ... >= G_(b-1)` be the bits at the
//! boundaries so far, for blocks of size s. Then `G_i - G_(i+1)` is 1 for the block in which the
//! prefix ends, 0 for all others, and P at its place t is
//!
//! ```text
//! S_t = sum over i of (G_i - G_(i+1)) * P_(is+t)
//!     = P_t + sum over i > 0 of G_i * (P_(is+t) - P_((i-1)s+t)),
//! ```
//!
//! one inner product. In the second form all factors are sums of amounts, so that the largest value
//! that `S_t` can have is that of `P_m`: comparisons are as wide as if each were made with P itself.
//! With the bit `z_t = [S_t <= V]`, the bit at `is + t` is `G_(i+1) + (G_i - G_(i+1)) * z_t`: 1 if
//! the next block is reached, 0 if this one is not, otherwise z_t. That is one product for each
//! payment but the first few, over all levels together.
//!
//! *Exact.* The bits at the boundaries of a level are those of P itself. If they are right, `S_t`
//! is P at that place of the block in which the prefix ends, and so `z_t` is the bit there; in
//! the other blocks all bits are equal to those at their ends. By induction all bits are
//! `[P_j <= V]`.
//!
//! *Padding.* Where the product N of the radices exceeds `m + 1`, `N - m - 1` payments of nothing
//! are put in front of the queue, which any bank can pay for. Padding behind the queue would need
//! amounts that nobody can pay for, and wider comparisons.
//!
//! Two levels take about `2 * sqrt(m)` comparisons. In Atapoor, Smart, Talibi Alaoui (*Private
//! Liquidity Matching using MPC*, CT-RSA 2022) prefixes shrink by one payment at a time, and
//! `x_j * x_(j+1) = x_(j+1)` saves a product there; here products of neighbouring bits do not occur.

use quittance_circuit::{Bit, Builder, Uint};

/// What one more level of a search is worth, in comparisons.
///
/// A level adds some 25 messages that wait for each other, most of them for the check of products
/// before something is opened: 2 ms between processes on one machine, 25 ms at 1 ms each way. A
/// comparison of three parties on one machine takes some 0.03 ms, preparing included.
const LEVEL: usize = 64;

/// The number of levels with which searches through queues of these lengths, all at once, cost
/// least.
pub(super) fn cheapest(lengths: impl Iterator<Item = usize> + Clone) -> u32 {
    let most = lengths.clone().max().unwrap_or(0) + 1;
    let cost = |levels: &u32| {
        let comparisons = lengths.clone().map(|length| comparisons(&radices(length + 1, *levels)));
        comparisons.sum::<usize>() + LEVEL * *levels as usize
    };
    (1..=most.next_power_of_two().trailing_zeros().max(1)).min_by_key(cost).unwrap_or(1)
}

/// At most `levels` radices, at least 2 each, whose product is at least `outcomes`, with a small
/// sum. None for one outcome.
///
/// The product less `outcomes` is less than that of all radices but the first, so that the padding
/// does not fill the first block.
pub(super) fn radices(outcomes: usize, levels: u32) -> Vec<usize> {
    if outcomes <= 1 {
        return vec![];
    }
    if levels <= 1 {
        return vec![outcomes];
    }
    let reaches = |radix: &usize| radix.saturating_pow(levels) >= outcomes;
    let radix = (2..outcomes).find(reaches).unwrap_or(outcomes);
    let rest = radices(outcomes.div_ceil(radix), levels - 1);
    let first = outcomes.div_ceil(rest.iter().product());
    [first].into_iter().chain(rest).filter(|&radix| radix > 1).collect()
}

/// How many comparisons a search takes.
fn comparisons(radices: &[usize]) -> usize {
    radices.iter().map(|radix| radix - 1).sum()
}

/// For each payment of a queue, whether `available` pays for all up to it: `[P_j <= available]`.
///
/// `radices` are those of one outcome more than there are amounts.
pub(super) fn affordable<'b>(
    b: &'b Builder,
    amounts: &[Uint<'b>],
    available: Uint<'b>,
    radices: &[usize],
) -> Vec<Bit<'b>> {
    let queue = Queue::new(b, amounts, radices.iter().product());
    let mut size = queue.outcomes;
    let mut reached = vec![b.bit(true)];
    for radix in radices {
        let step = size / radix;
        let inner = (1..*radix).map(|place| queue.selected(&reached, size, place * step));
        let within: Vec<_> = inner.map(|sum| sum.at_most(available)).collect();
        reached = queue.refine(&reached, size, &within);
        size = step;
    }
    reached.split_off(queue.padding + 1)
}

/// A queue with payments of nothing in front.
struct Queue<'a, 'b> {
    b: &'b Builder,
    amounts: &'a [Uint<'b>],
    /// `P_0, ..., P_m`, without the padding.
    prefixes: Vec<Uint<'b>>,
    /// How many payments are in front.
    padding: usize,
    /// How many prefixes there are, the empty one included, with the padding.
    outcomes: usize,
}

impl<'a, 'b> Queue<'a, 'b> {
    fn new(b: &'b Builder, amounts: &'a [Uint<'b>], outcomes: usize) -> Self {
        let mut prefixes = vec![b.uint(0)];
        for &amount in amounts {
            prefixes.push(prefixes[prefixes.len() - 1] + amount);
        }
        let padding = outcomes - prefixes.len();
        Self { b, amounts, prefixes, padding, outcomes }
    }

    /// `P_place`.
    fn prefix(&self, place: usize) -> Uint<'b> {
        self.prefixes[place.saturating_sub(self.padding)]
    }

    /// The amounts that `P_to - P_from` is the sum of.
    fn between(&self, from: usize, to: usize) -> &'a [Uint<'b>] {
        &self.amounts[from.saturating_sub(self.padding)..to.saturating_sub(self.padding)]
    }

    /// `S_place`, given the bits at the boundaries of blocks of this size.
    fn selected(&self, reached: &[Bit<'b>], size: usize, place: usize) -> Uint<'b> {
        let later = reached.iter().enumerate().skip(1).map(|(block, &bit)| {
            let end = block * size + place;
            (self.between(end - size, end), Uint::from(bit))
        });
        let terms = later.filter(|(amounts, _)| !amounts.is_empty());
        let terms = terms.map(|(amounts, bit)| (self.b.sum(amounts.iter().copied()), bit));
        let terms: Vec<_> = terms.collect();
        match terms.is_empty() {
            true => self.prefix(place),
            false => self.prefix(place) + self.b.inner_product(terms),
        }
    }

    /// The bits at the boundaries of smaller blocks, given those of blocks of this size, and those
    /// `within` the one in which the prefix ends.
    fn refine(&self, reached: &[Bit<'b>], size: usize, within: &[Bit<'b>]) -> Vec<Bit<'b>> {
        let step = size / (within.len() + 1);
        let mut bits = Vec::with_capacity(reached.len() * (within.len() + 1));
        for (block, &this) in reached.iter().enumerate() {
            let next = reached.get(block + 1).copied();
            bits.push(this);
            for (place, &bit) in (1..).zip(within) {
                bits.push(match (block, next) {
                    _ if block * size + place * step <= self.padding => self.b.bit(true),
                    (0, None) => bit,
                    (0, Some(next)) => bit | next,
                    (_, None) => this & bit,
                    (_, Some(next)) => bit.select(this, next),
                });
            }
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quittance_circuit::{Clear, Destination, Fr, Owner};

    #[test]
    fn radices_reach_all_outcomes_and_leave_little_over() {
        for outcomes in 2..600usize {
            for levels in 1..=10 {
                let radices = radices(outcomes, levels);
                let product: usize = radices.iter().product();
                assert!(radices.len() <= levels as usize && radices.iter().all(|&c| c >= 2));
                assert!(product >= outcomes, "{outcomes}: {radices:?}");
                assert!(product - outcomes < product / radices[0], "{outcomes}: {radices:?}");
            }
        }
        assert!(radices(1, 3).is_empty());
        assert_eq!(radices(101, 1), [101]);
        assert_eq!(radices(101, 2), [11, 10]);
        assert_eq!(radices(101, 5), [3, 3, 3, 2, 2]);
    }

    #[test]
    fn two_levels_take_about_twice_the_square_root() {
        for length in 1..2000usize {
            let found = comparisons(&radices(length + 1, 2)) as f64;
            assert!(found <= 2.0 * (length as f64 + 1.0).sqrt(), "{length}");
        }
    }

    #[test]
    fn levels_are_as_many_as_pay_off() {
        let levels = |banks, length| cheapest(std::iter::repeat_n(length, banks));
        assert_eq!([levels(2, 0), levels(2, 1), levels(10, 10), levels(10, 20)], [1, 1, 1, 2]);
        assert_eq!([levels(100, 100), levels(1, 10_000)], [5, 3]);
    }

    /// All outcomes of all queues up to 13 payments with all numbers of levels, ties included.
    #[test]
    fn bits_are_those_of_plain_comparisons() {
        for length in 0..=13usize {
            let amounts: Vec<u64> = (0..length as u64).map(|place| place * 7 % 4).collect();
            let total: u64 = amounts.iter().sum();
            for levels in 1..=4 {
                let circuit = Builder::build("search", 1, |b| {
                    let input = || b.private(Owner(0)).uint(8);
                    let available = input();
                    let amounts: Vec<_> = amounts.iter().map(|_| input()).collect();
                    let radices = radices(length + 1, levels);
                    for bit in affordable(b, &amounts, available, &radices) {
                        b.output(bit, Destination::Public);
                    }
                });
                let circuit = circuit.unwrap();
                for available in 0..=total + 1 {
                    let inputs = [available].iter().chain(&amounts).map(|&v| Fr::from(v)).collect();
                    let found = Clear::run(&circuit, vec![inputs]).unwrap().outputs;
                    let mut sum = 0;
                    let plain = amounts.iter().map(|amount| {
                        sum += amount;
                        Fr::from(u64::from(sum <= available))
                    });
                    assert_eq!(found, plain.collect::<Vec<_>>(), "{length} {levels} {available}");
                }
            }
        }
    }
}
