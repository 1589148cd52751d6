//! What comparisons need beforehand: masks with their bits, and bits that are shared twice.
//!
//! The mask of a comparison is `r = r_1 + r_2 + r_3`, where r_i comes from the seed that all but
//! party i hold. Both its sharings cost nothing: over Z_l by pseudo-random secret sharing, and the
//! bits of `n_i = -r_i mod 2^(w + 1)` are component i of shared bits.
//!
//! Once c = a + r is known, bit w of `c + n_1 + n_2 + n_3` is wanted. The two steps that bring four
//! summands down to two (carry-save addition) are made in advance, as far as they do not depend on
//! c. Let `S = n_1 + n_2 + n_3` and `C` be the bits and carries of the first step, bit by bit:
//!
//! `S_j = n_1j + n_2j + n_3j`, `C_(j+1) = n_1j n_2j + n_2j n_3j + n_1j n_3j`, `C_0 = 0`
//!
//! modulo 2, so the three components of `S_j` are the bits themselves. The second step adds c: with
//! `U_j = S_j + C_j` and `M_j = S_j C_j` its bits and carries are `S'_j = U_j + c_j` and
//! `C'_(j+1) = M_j + c_j U_j`. What a carry of `S' + C'` starts from are the products `S'_j C'_j`:
//!
//! `(U_j + c_j) (M_(j-1) + c_(j-1) U_(j-1))`,
//!
//! a sum of `M_(j-1)`, `U_(j-1)`, `U_j M_(j-1)` and `U_j U_(j-1)` with public coefficients. So these
//! four are prepared: `4 w - 4` products of bits for `w > 1`, in three exchanges whatever the width.
//! (An adder that makes the bits of `n_1 + n_2 + n_3` instead takes half a bit less of each party
//! and place, and w exchanges.)
//!
//! The result is brought from Z_2 to Z_l by a random bit b that is shared over both (as in Escudero,
//! Ghosh, Keller, Rachuri, Scholl, CRYPTO 2020, and Rotaru, Wood, INDOCRYPT 2019): its components
//! b_i come from the seeds, and over Z_l two products make their exclusive or. Nobody chooses them,
//! so there is nothing to be proven but the products.

mod stored;

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::string::planes;
use super::{BitString, Bits, Gates};
use crate::engine::Engine;
use crate::engine::mask::summand_bits;
use crate::prss::{Components, Integers};
use crate::session::Abort;
use crate::share::Share;

/// How many masks are made between two checks.
const BATCH: usize = 1 << 14;

/// Masks for comparisons of one width w. Each string has one bit for each mask.
pub(in crate::engine) struct Masks {
    bits: usize,
    /// r.
    pub(super) integers: Vec<Share>,
    /// `U_0 .. U_w`.
    sums: Vec<Bits>,
    /// `M_1 .. M_(w-1)`.
    carries: Vec<Bits>,
    /// `U_j U_(j-1)` for `1 <= j < w`.
    sums_with_sums: Vec<Bits>,
    /// `U_j M_(j-1)` for `2 <= j < w`.
    sums_with_carries: Vec<Bits>,
    /// b over Z_l.
    pub(super) coins: Vec<Share>,
    /// b over Z_2.
    pub(super) coin_bits: Bits,
}

impl Masks {
    pub(in crate::engine) fn len(&self) -> usize {
        self.integers.len()
    }

    /// `U_j`.
    pub(super) fn sum(&self, place: usize) -> &Bits {
        &self.sums[place]
    }

    /// `M_j`; `None` for `M_0 = 0`.
    pub(super) fn carry(&self, place: usize) -> Option<&Bits> {
        place.checked_sub(1).map(|index| &self.carries[index])
    }

    /// `U_j U_(j-1)` for `j >= 1`.
    pub(super) fn sum_with_sum(&self, place: usize) -> &Bits {
        &self.sums_with_sums[place - 1]
    }

    /// `U_j M_(j-1)` for `j >= 1`; `None` for `U_1 M_0 = 0`.
    pub(super) fn sum_with_carry(&self, place: usize) -> Option<&Bits> {
        place.checked_sub(2).map(|index| &self.sums_with_carries[index])
    }

    fn strings(&mut self) -> impl Iterator<Item = &mut Bits> {
        let products = self.sums_with_sums.iter_mut().chain(&mut self.sums_with_carries);
        let bits = self.sums.iter_mut().chain(&mut self.carries).chain(products);
        bits.chain(std::iter::once(&mut self.coin_bits))
    }

    fn append(&mut self, mut more: Self) {
        self.integers.append(&mut more.integers);
        self.coins.append(&mut more.coins);
        self.strings().zip(more.strings()).for_each(|(bits, more)| bits.push(more));
    }

    /// The last `count`, which are here no longer.
    fn split_off(&mut self, count: usize) -> Self {
        let at = self.len() - count;
        let split =
            |strings: &mut Vec<Bits>| strings.iter_mut().map(|it| it.split_off(at)).collect();
        Self {
            bits: self.bits,
            integers: self.integers.split_off(at),
            sums: split(&mut self.sums),
            carries: split(&mut self.carries),
            sums_with_sums: split(&mut self.sums_with_sums),
            sums_with_carries: split(&mut self.sums_with_carries),
            coins: self.coins.split_off(at),
            coin_bits: self.coin_bits.split_off(at),
        }
    }

    /// Masks of which only r is known, with `n_1 + n_2 + n_3` as S in place of U.
    fn begin(bits: usize, integers: Vec<Share>, sums: Vec<Bits>) -> Self {
        Self {
            bits,
            integers,
            sums,
            carries: vec![],
            sums_with_sums: vec![],
            sums_with_carries: vec![],
            coins: vec![],
            coin_bits: Bits::default(),
        }
    }
}

/// `-r mod 2^256`.
fn negative(r: &[u64; 4]) -> [u64; 4] {
    let mut carry = true;
    r.map(|limb| {
        let (limb, overflow) = (!limb).overflowing_add(u64::from(carry));
        carry = overflow;
        limb
    })
}

/// The bits of `-r_i` for the r_i that this party knows.
fn negative_bits(integers: &Components<Integers>, places: usize) -> Vec<Bits> {
    let component = |integers: &[[u64; 4]]| {
        let mut negatives = Zeroizing::new(Vec::with_capacity(integers.len()));
        negatives.extend(integers.iter().map(negative));
        planes(&negatives, places)
    };
    let (next, last) = (component(&integers.next), component(&integers.last));
    next.into_iter().zip(last).map(|(next, last)| Bits { next, last }).collect()
}

impl Engine {
    /// Makes what comparisons need in advance, so that `count` of each width in bits can be made
    /// without it, and checks it. Five exchanges and a check for each 16,384 of them.
    ///
    /// Committees of more than three active parties compare with [random bits](Self::prepare), which are
    /// then what is made.
    pub async fn prepare_comparisons(&mut self, wanted: &[(u32, usize)]) -> Result<(), Abort> {
        if !self.has_binary() {
            let bits =
                wanted.iter().map(|&(bits, count)| bits.next_multiple_of(2) as usize * count);
            return self.prepare(bits.sum()).await;
        }
        let mut widths = BTreeMap::new();
        wanted.iter().for_each(|&(bits, count)| *widths.entry(bits.max(1)).or_default() += count);
        let wanted: Vec<_> = widths.into_iter().collect();
        self.unpack_masks(&self.missing_masks(&wanted));
        loop {
            let mut room = BATCH;
            let mut batch = vec![];
            for (bits, missing) in self.missing_masks(&wanted) {
                let count = missing.min(room);
                room -= count;
                batch.push((bits, count));
            }
            if room == BATCH {
                return Ok(());
            }
            let masks = self.make_masks(&batch).await?;
            self.check().await?;
            self.store_masks(masks);
        }
    }

    /// Takes so many masks of each width from those made in advance, making more if there are not
    /// enough.
    pub(super) async fn take_masks(
        &mut self,
        wanted: &[(u32, usize)],
    ) -> Result<Vec<Masks>, Abort> {
        self.unpack_masks(&self.missing_masks(wanted));
        let masks = self.make_masks(&self.missing_masks(wanted)).await?;
        self.store_masks(masks);
        let take = |&(bits, count): &(u32, usize)| {
            self.masks.get_mut(&bits).map(|masks| masks.split_off(count))
        };
        Ok(wanted.iter().filter_map(take).collect())
    }

    fn missing_masks(&self, wanted: &[(u32, usize)]) -> Vec<(u32, usize)> {
        let ready = |bits| self.masks.get(&bits).map_or(0, Masks::len);
        wanted.iter().map(|&(bits, count)| (bits, count.saturating_sub(ready(bits)))).collect()
    }

    fn store_masks(&mut self, masks: Vec<Masks>) {
        for masks in masks {
            let bits = masks.bits as u32;
            match self.masks.get_mut(&bits) {
                Some(store) => store.append(masks),
                None => {
                    self.masks.insert(bits, masks);
                }
            }
        }
    }

    /// Five exchanges, or none if nothing is wanted. What is made is not checked.
    async fn make_masks(&mut self, wanted: &[(u32, usize)]) -> Result<Vec<Masks>, Abort> {
        let total: usize = wanted.iter().map(|(_, count)| count).sum();
        let mut masks = vec![];
        for &(bits, count) in wanted {
            let width = summand_bits(bits + 1, self.parties().key_set_count())?;
            let (shares, integers) = self.keys.known_integers(width, count);
            let sums = negative_bits(&integers, bits as usize + 1);
            masks.push(Masks::begin(bits as usize, shares, sums));
        }
        if total > 0 {
            self.save_carries(&mut masks).await?;
            self.multiply_sums(&mut masks).await?;
            self.toss(&mut masks, total).await?;
        }
        Ok(masks)
    }

    /// From S to U and M, and the products of U with U.
    async fn save_carries(&mut self, masks: &mut [Masks]) -> Result<(), Abort> {
        let held = self.held();
        // The majority of three bits is (n_1 + n_2) (n_1 + n_3) + n_1.
        let mut gates = Gates::with_capacity(masks.iter().map(|it| it.bits * it.len()).sum());
        for sum in masks.iter().flat_map(|masks| &masks.sums[..masks.bits]) {
            gates.push(&sum.only(&[0, 1], held), &sum.only(&[0, 2], held));
        }
        let mut results = self.and(gates).await?;
        let mut gates =
            Gates::with_capacity(masks.iter().map(|it| 2 * (it.bits - 1) * it.len()).sum());
        for masks in &mut *masks {
            let count = masks.len();
            let mut below = masks.sums[0].clone();
            for place in 1..=masks.bits {
                let sum = &masks.sums[place];
                let carry = results.take(count).xor(&below.only(&[0], held));
                let next = sum.xor(&carry);
                if place < masks.bits {
                    gates.push(sum, &carry);
                    gates.push(&next, &masks.sums[place - 1]);
                }
                below = std::mem::replace(&mut masks.sums[place], next);
            }
        }
        let mut results = self.and(gates).await?;
        for masks in masks {
            for _ in 1..masks.bits {
                masks.carries.push(results.take(masks.integers.len()));
                masks.sums_with_sums.push(results.take(masks.integers.len()));
            }
        }
        Ok(())
    }

    /// The products of U with M.
    async fn multiply_sums(&mut self, masks: &mut [Masks]) -> Result<(), Abort> {
        let count = |masks: &Masks| masks.bits.saturating_sub(2) * masks.len();
        let mut gates = Gates::with_capacity(masks.iter().map(count).sum());
        for masks in &*masks {
            let pairs =
                masks.sums.iter().skip(2).zip(&masks.carries).take(masks.bits.saturating_sub(2));
            pairs.for_each(|(sum, carry)| gates.push(sum, carry));
        }
        let mut results = self.and(gates).await?;
        for masks in masks {
            for _ in 2..masks.bits {
                masks.sums_with_carries.push(results.take(masks.integers.len()));
            }
        }
        Ok(())
    }

    /// The bits that are shared twice.
    async fn toss(&mut self, masks: &mut [Masks], total: usize) -> Result<(), Abort> {
        let (shares, words) = self.keys.known_bits(total);
        let string = |words| BitString::from_words(words, total);
        let bits = Bits { next: string(words.next), last: string(words.last) };
        let mut coins = self.exclusive_or(shares, total).await?.into_iter();
        let mut taken = 0;
        for masks in masks {
            let count = masks.len();
            masks.coins = coins.by_ref().take(count).collect();
            masks.coin_bits = bits.slice(taken, count);
            taken += count;
        }
        Ok(())
    }
}
