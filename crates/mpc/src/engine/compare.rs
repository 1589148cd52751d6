//! Comparison of shared integers.

use ark_ff::Field;
use quittance_crypto::field::Fr;

use super::Engine;
use super::mask::{Mask, power_of_two};
use crate::session::Abort;
use crate::share::Share;

/// One comparison: both operands are below `2^bits`.
pub struct LessThan<'a> {
    /// The left operand.
    pub left: &'a Share,
    /// The right operand.
    pub right: &'a Share,
    /// The width of the operands.
    pub bits: u32,
}

impl Engine {
    /// Shares of the bits `[left < right]`, for operands within their stated widths.
    ///
    /// `a = left - right + 2^m` lies above 0 and below `2^(m + 1)`, and its bit m is
    /// `[left >= right]`. After a masked opening of a (see [`mask`](super::mask)),
    /// `a mod 2^m = (c mod 2^m) - r' + 2^m * [c mod 2^m < r']`, and
    /// `(a - a mod 2^m) / 2^m` is that bit.
    ///
    /// One exchange for the opening and about `log2(bits / 2)` for the comparison with `r'`, for
    /// all comparisons together, plus three if random bits were not prepared.
    pub async fn less_than(&mut self, batch: &[LessThan<'_>]) -> Result<Vec<Share>, Abort> {
        let sets = self.parties().key_set_count();
        let mut values = Vec::with_capacity(batch.len());
        let mut masked = Vec::with_capacity(batch.len());
        for &LessThan { left, right, bits } in batch {
            let value = &(left - right) + power_of_two(bits);
            masked.push((value.clone(), Mask::integer(bits, bits + 1, sets)?));
            values.push(value);
        }
        let masked = self.open_masked(masked).await?;
        let wraps = self.public_less(&masked).await?;

        let bit = |((value, masked), wrap): ((&Share, _), &Share)| {
            let masked: &super::mask::Masked = masked;
            let modulus = power_of_two(masked.low);
            let low = masked.public_low() - masked.mask_low().0 + modulus * wrap.0;
            let scale = modulus.inverse().expect("a power of two is not zero");
            Share(Fr::ONE - (value.0 - low) * scale)
        };
        Ok(values.iter().zip(&masked).zip(&wraps).map(bit).collect())
    }
}
