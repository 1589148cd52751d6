//! Comparison of shared integers.

use ark_ff::Field;
use quittance_crypto::field::Fr;

use super::Engine;
use super::mask::{Mask, Masked, power_of_two};
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
    /// all comparisons together, plus three if random bits were not prepared. Three parties compute
    /// the bit on [bits shared over Z_2](super::binary): two exchanges and about `log2(bits)`, plus
    /// five if comparisons were not [prepared](Self::prepare_comparisons).
    pub async fn less_than(&mut self, batch: &[LessThan<'_>]) -> Result<Vec<Share>, Abort> {
        match self.has_binary() {
            true => self.less_than_on_bits(batch).await,
            false => self.less_than_on_elements(batch).await,
        }
    }

    pub(super) async fn less_than_on_elements(
        &mut self,
        batch: &[LessThan<'_>],
    ) -> Result<Vec<Share>, Abort> {
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

        let bit = |((value, masked), wrap): ((&Share, &Masked), &Share)| {
            let scale = power_of_two(masked.low).inverse().expect("a power of two is not zero");
            Share(Fr::ONE - (value.0 - masked.low_part(wrap).0) * scale)
        };
        Ok(values.iter().zip(&masked).zip(&wraps).map(bit).collect())
    }

    /// Whether shared values are integers below `2^width`, made known to all; of a value that is,
    /// nothing else becomes known. Each value comes with its width.
    ///
    /// For *any* field element a, `(c mod 2^m) - r' + 2^m * [c mod 2^m < r']` is an integer from 0 to
    /// `2^m - 1`. So if it equals a, then a is one; and if a is one, it equals a.
    pub async fn in_range(&mut self, batch: &[(&Share, u32)]) -> Result<Vec<bool>, Abort> {
        let sets = self.parties().key_set_count();
        let masks = batch.iter().map(|&(value, width)| {
            Mask::integer(width, width, sets).map(|mask| (value.clone(), mask))
        });
        let masked = self.open_masked(masks.collect::<Result<_, _>>()?).await?;
        let wraps = self.public_less(&masked).await?;
        let parts = masked.iter().zip(&wraps).map(|(masked, wrap)| masked.low_part(wrap));
        let excess: Vec<_> =
            batch.iter().zip(parts).map(|(&(value, _), part)| value - &part).collect();
        self.are_zero(&excess.iter().collect::<Vec<_>>()).await
    }
}
