//! Masked openings: a shared value becomes public under a mask whose low bits are shared bits.
//!
//! Catrina, de Hoogh, *Improved primitives for secure multiparty integer computation* (SCN 2010).
//! For a value `0 <= a < 2^k`, random bits `r_0 .. r_(m-1)` and a large random integer `r"`, open
//!
//! `c = a + r' + 2^m * r"` with `r' = sum of 2^i * r_i`.
//!
//! As integers, no sum wraps modulo l; so `c mod 2^m` and the bits of `r'` determine
//! `a mod 2^m`, whatever `r"` is. The integer `r"` is the sum of one summand from each set of n - t
//! parties; the one summand that any t parties do not know is uniform below `2^(k - m + s)`, so that
//! c shows them nothing of a but with statistical distance `2^-s`.

use ark_ff::{AdditiveGroup, BigInt, BigInteger, Field, PrimeField};
use quittance_crypto::field::Fr;
use quittance_crypto::planted;

use super::{BitPair, Engine};
use crate::prss::UNIFORM_BITS;
use crate::session::Abort;
use crate::share::Share;

/// The statistical security `s` of masked openings, where the field has room for it.
pub const STATISTICAL_BITS: u32 = 128;
/// The least statistical security; wider values are refused.
pub const MIN_STATISTICAL_BITS: u32 = 40;

/// The shape of a mask.
#[derive(Clone, Copy)]
pub(super) struct Mask {
    /// m, how many low bits of the mask are shared bits.
    low: u32,
    /// The width of the summands of `r"`; 0 if the low bits alone mask the value.
    high: u32,
}

impl Mask {
    /// For integers below `2^value_bits` of which the lowest `low <= value_bits` bits are wanted.
    pub(super) fn integer(low: u32, value_bits: u32, sets: usize) -> Result<Self, Abort> {
        Ok(Self { low, high: summand_bits(value_bits, sets)? - low })
    }

    /// For any field element: 252 random bits, which hide it up to `2^-127`.
    pub(super) fn field() -> Self {
        Self { low: UNIFORM_BITS, high: 0 }
    }

    fn pairs(self) -> usize {
        self.low.div_ceil(2) as usize
    }
}

/// `k + s`, for masks of integers below `2^k` that have one summand below `2^(k + s)` of each set.
pub(super) fn summand_bits(value_bits: u32, sets: usize) -> Result<u32, Abort> {
    // c < 2^k + 2^m + sets * 2^(k + s) <= (sets + 1) * 2^(k + s) must stay below 2^252 < l.
    let carry = (sets + 1).next_power_of_two().trailing_zeros();
    let room = UNIFORM_BITS.saturating_sub(value_bits + carry);
    if room < MIN_STATISTICAL_BITS {
        let why = format!("masking {value_bits}-bit integers needs more room than the field has");
        return Err(Abort::Unsupported(why));
    }
    Ok(value_bits + planted!("masks-too-short", 0, room.min(STATISTICAL_BITS)))
}

/// A value opened under a mask.
pub(super) struct Masked {
    /// c, as an integer.
    pub(super) public: BigInt<4>,
    /// m.
    pub(super) low: u32,
    /// The bits of the mask in pairs; if m is odd, the last high bit is not part of it.
    pub(super) pairs: Vec<BitPair>,
}

impl Masked {
    /// Bit `place` of c.
    pub(super) fn public_bit(&self, place: u32) -> bool {
        self.public.get_bit(place as usize)
    }

    /// `r_place`.
    pub(super) fn mask_bit(&self, place: u32) -> &Share {
        let pair = &self.pairs[(place / 2) as usize];
        if place.is_multiple_of(2) { &pair.low } else { &pair.high }
    }

    /// `(c mod 2^m) - r' + 2^m * wrap`, with `wrap = [c mod 2^m < r']`: the value modulo `2^m`.
    pub(super) fn low_part(&self, wrap: &Share) -> Share {
        let mask = mask_low(&self.pairs, self.low);
        Share(self.public_low() - mask.0 + power_of_two(self.low) * wrap.0)
    }

    /// `c mod 2^m`.
    fn public_low(&self) -> Fr {
        let mut limbs = self.public.0;
        for (index, limb) in limbs.iter_mut().enumerate() {
            let keep = self.low.saturating_sub(64 * index as u32).min(64);
            *limb &= u64::MAX.checked_shr(64 - keep).unwrap_or(0);
        }
        Fr::from_bigint(BigInt::new(limbs)).expect("at most 252 bits are below l")
    }
}

/// `r'`.
fn mask_low(pairs: &[BitPair], low: u32) -> Share {
    let bits = pairs.iter().flat_map(|pair| [&pair.low, &pair.high]).take(low as usize);
    let bits: Vec<_> = bits.collect();
    Share(bits.iter().rev().fold(Fr::ZERO, |sum, bit| sum.double() + bit.0))
}

/// `2^k`.
pub(super) fn power_of_two(k: u32) -> Fr {
    Fr::from(2u64).pow([u64::from(k)])
}

impl Engine {
    /// Opens values, each under a mask of its own. One exchange, if enough bits were prepared.
    pub(super) async fn open_masked(
        &mut self,
        values: Vec<(Share, Mask)>,
    ) -> Result<Vec<Masked>, Abort> {
        let count = values.iter().map(|(_, mask)| mask.pairs()).sum();
        let mut pairs = self.take_pairs(count).await?;
        let widths: Vec<_> = values.iter().map(|(_, mask)| mask.high).collect();
        let high = self.keys.integers(&widths);

        let mut masked = Vec::with_capacity(values.len());
        let mut masks = Vec::with_capacity(values.len());
        for ((value, mask), high) in values.into_iter().zip(&high) {
            let pairs = pairs.split_off(pairs.len() - mask.pairs());
            let mut sum = value;
            sum += &mask_low(&pairs, mask.low);
            sum += &(high * power_of_two(mask.low));
            masked.push(sum);
            masks.push((mask.low, pairs));
        }
        let opened = self.open(&masked.iter().collect::<Vec<_>>()).await?;
        let opened = opened.into_iter().zip(masks);
        Ok(opened.map(|(c, (low, pairs))| Masked { public: c.into_bigint(), low, pairs }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_use_the_room_that_the_field_has() {
        // 72-bit signed values, three parties: full statistical security.
        assert_eq!(Mask::integer(71, 72, 3).map(|mask| mask.high), Ok(1 + STATISTICAL_BITS));
        // The widest comparison, 128-bit operands: 252 - 129 - 2.
        assert_eq!(Mask::integer(128, 129, 3).map(|mask| mask.high), Ok(1 + 121));
        assert!(matches!(Mask::integer(211, 211, 3), Err(Abort::Unsupported(_))));
        assert!(Mask::integer(210, 210, 3).is_ok());
    }
}
