//! Comparison of integers shared over Z_l, on bits.
//!
//! Both operands are below `2^w`, so `a = left - right + 2^w` lies above 0 and below `2^(w + 1)`,
//! and its bit w is `[left >= right]`. The parties
//!
//! 1. open `c = a + r` under a mask (Catrina, de Hoogh, SCN 2010; see [`mask`](super::super::mask))
//!    whose summands are `s` bits longer than a, and one of which any one party does not know;
//! 2. compute bit w of `c - r mod 2^(w + 1)`, for all comparisons at once: the sum of two shared
//!    numbers S' and C' (see [`masks`](super::masks)), whose carries come from a tree;
//! 3. open that bit plus a random bit b, which is uniform whatever the bit is, and take b or 1 - b
//!    over Z_l.
//!
//! *What is shown.* c is within `2^-s` of independent of a, like every masked opening; it is opened
//! after the check of all products, on which a depends. The products of bits in the second step need
//! not be checked before the third: an error there makes the bit another bit, but what is opened is
//! still uniform, and the result is 0 or 1. It is checked, with all other products, before the
//! result can have an influence on anything that is opened.

use std::collections::BTreeMap;

use ark_ff::PrimeField;
use quittance_crypto::field::Fr;

use super::masks::Masks;
use super::string::planes;
use super::{BitString, Bits, Gates, Results};
use crate::engine::mask::{power_of_two, summand_bits};
use crate::engine::{Engine, LessThan};
use crate::session::Abort;
use crate::share::Share;

/// The comparisons of one width.
struct Group {
    bits: usize,
    /// Their places in the batch.
    places: Vec<usize>,
    masks: Masks,
    /// The bits of c, by place.
    public: Vec<BitString>,
}

/// What is known of a block of neighbouring places of a sum: whether it passes a carry on, and
/// whether it makes one. Never both. Of the lowest block, into which no carry comes, the first is
/// not needed.
struct Block {
    passes: Option<Bits>,
    makes: Bits,
}

impl Group {
    /// `S'_j + C'_j` for `j >= 1`: the bit of the sum but for the carry, and whether that is passed
    /// on.
    fn passes(&self, place: usize, engine: &Engine) -> Bits {
        let carry = self.carry(place);
        self.masks.sum(place).xor_public(&self.public[place], engine.held()).xor(&carry)
    }

    /// `C'_j` for `j >= 1`.
    fn carry(&self, place: usize) -> Bits {
        let carry = self.masks.sum(place - 1).and_public(&self.public[place - 1]);
        match self.masks.carry(place - 1) {
            Some(saved) => carry.xor(saved),
            None => carry,
        }
    }

    /// `S'_j C'_j` for `j >= 1`: `U_j C'_j` is made of prepared products, like C'_j of prepared bits.
    fn makes(&self, place: usize) -> Bits {
        let with_sum = self.masks.sum_with_sum(place).and_public(&self.public[place - 1]);
        let with_public = self.carry(place).and_public(&self.public[place]);
        let makes = with_sum.xor(&with_public);
        match self.masks.sum_with_carry(place) {
            Some(with_carry) => makes.xor(with_carry),
            None => makes,
        }
    }

    /// The places below w, each a block. No carry comes from place 0, as `C'_0 = 0`.
    fn leaves(&self, engine: &Engine) -> Vec<Block> {
        let leaf = |place| Block {
            passes: (place > 1).then(|| self.passes(place, engine)),
            makes: self.makes(place),
        };
        (1..self.bits).map(leaf).collect()
    }
}

impl Engine {
    /// As [`less_than`](Self::less_than), for three parties: an exchange for the masked opening,
    /// `log2(bits - 1)` for the carries, and one to bring the results over to Z_l.
    pub(in crate::engine) async fn less_than_on_bits(
        &mut self,
        batch: &[LessThan<'_>],
    ) -> Result<Vec<Share>, Abort> {
        let groups = self.open_differences(batch).await?;
        let carries = self.carries(&groups).await?;
        let total = groups.iter().map(|group| group.places.len()).sum();
        let mut masked = Bits::with_capacity(total);
        for (group, carry) in groups.iter().zip(&carries) {
            let mut at_least = group.passes(group.bits, self);
            carry.iter().for_each(|carry| at_least = at_least.xor(carry));
            masked.push(&at_least.xor(&group.masks.coin_bits));
        }
        let opened = self.open_bits(&masked).await?;

        let mut results = vec![Share::zero(); batch.len()];
        let coins = groups.iter().flat_map(|group| group.places.iter().zip(&group.masks.coins));
        for (index, (place, coin)) in coins.enumerate() {
            // at_least = opened + b modulo 2, and the result is its opposite.
            results[*place] = if opened.bit(index) { coin.clone() } else { coin.not() };
        }
        Ok(results)
    }

    /// Opens `c = left - right + 2^w + r` for all comparisons.
    async fn open_differences(&mut self, batch: &[LessThan<'_>]) -> Result<Vec<Group>, Abort> {
        let sets = self.parties().key_set_count();
        let mut widths = BTreeMap::<u32, Vec<usize>>::new();
        for (place, comparison) in batch.iter().enumerate() {
            let bits = comparison.bits.max(1);
            summand_bits(bits + 1, sets)?;
            widths.entry(bits).or_default().push(place);
        }
        let wanted: Vec<_> = widths.iter().map(|(&bits, places)| (bits, places.len())).collect();
        let masks = self.take_masks(&wanted).await?;

        let mut sums = Vec::with_capacity(batch.len());
        for ((bits, places), masks) in widths.iter().zip(&masks) {
            let top = power_of_two(*bits);
            for (place, mask) in places.iter().zip(&masks.integers) {
                let LessThan { left, right, .. } = batch[*place];
                sums.push(Share(left.0 - right.0 + mask.0 + top));
            }
        }
        let opened = self.open(&sums.iter().collect::<Vec<_>>()).await?;
        let mut opened = opened.as_slice();
        let group = |((bits, places), masks): ((u32, Vec<usize>), Masks)| {
            let (own, rest) = opened.split_at(places.len());
            opened = rest;
            let bits = bits as usize;
            Group { bits, places, masks, public: public_planes(own, bits + 1) }
        };
        Ok(widths.into_iter().zip(masks).map(group).collect())
    }

    /// The carries into place w; `None` where there can be none.
    async fn carries(&mut self, groups: &[Group]) -> Result<Vec<Option<Bits>>, Abort> {
        let mut all: Vec<_> = groups.iter().map(|group| group.leaves(self)).collect();
        while all.iter().any(|blocks| blocks.len() > 1) {
            let pairs = || all.iter().flat_map(|blocks| blocks.chunks_exact(2));
            let mut gates = Gates::with_capacity(pairs().map(|pair| 2 * pair[0].makes.len()).sum());
            pairs().for_each(|pair| join(&pair[0], &pair[1], &mut gates));
            let mut results = self.and(gates).await?;
            all = all.into_iter().map(|blocks| merge(blocks, &mut results)).collect();
        }
        Ok(all.into_iter().map(|mut blocks| blocks.pop().map(|block| block.makes)).collect())
    }
}

fn public_planes(opened: &[Fr], places: usize) -> Vec<BitString> {
    let integers: Vec<_> = opened.iter().map(|value| value.into_bigint().0).collect();
    planes(&integers, places)
}

/// `makes = makes_high + passes_high * makes_low`, `passes = passes_high * passes_low`.
fn join(low: &Block, high: &Block, gates: &mut Gates) {
    if let Some(passes) = &high.passes {
        gates.push(passes, &low.makes);
        low.passes.iter().for_each(|low| gates.push(passes, low));
    }
}

/// One level: `results` are those of [`join`] for each pair of neighbours.
fn merge(blocks: Vec<Block>, results: &mut Results) -> Vec<Block> {
    let mut merged = Vec::with_capacity(blocks.len().div_ceil(2));
    let mut blocks = blocks.into_iter();
    while let Some(low) = blocks.next() {
        let Some(high) = blocks.next() else {
            merged.push(low);
            break;
        };
        let makes = high.makes.xor(&results.take(low.makes.len()));
        let passes = low.passes.map(|low| results.take(low.len()));
        merged.push(Block { passes, makes });
    }
    merged
}
