//! Tests for zero.

use ark_ff::AdditiveGroup;
use quittance_crypto::field::Fr;

use super::mask::Mask;
use super::{Engine, Products};
use crate::prss::UNIFORM_BITS;
use crate::session::Abort;
use crate::share::Share;

impl Engine {
    /// Shares of the bits `[value = 0]`. Each value comes with its width in bits, if it is known to
    /// be an integer that narrow; otherwise it is any field element.
    ///
    /// A masked value c equals its mask exactly if the value is zero: one exchange for the opening
    /// and about `log2(width / 2)` for comparing the bits of c with those of the mask.
    pub async fn is_zero(&mut self, batch: &[(&Share, Option<u32>)]) -> Result<Vec<Share>, Abort> {
        let sets = self.parties().key_set_count();
        let mut values = Vec::with_capacity(batch.len());
        for &(value, width) in batch {
            let mask = match width {
                Some(width) => Mask::integer(width, width, sets)?,
                None => Mask::field(),
            };
            values.push((value.clone(), mask));
        }
        let masked = self.open_masked(values).await?;
        let mut equal = self.public_equal(&masked).await?;
        for ((masked, equal), (_, width)) in masked.iter().zip(&mut equal).zip(batch) {
            // A mask of 252 bits never reaches 2^252, although c can (with probability 2^-127).
            if width.is_none() && masked.public_bit(UNIFORM_BITS) {
                *equal = Share::zero();
            }
        }
        Ok(equal)
    }

    /// Whether shared values are zero, made known to all, and nothing else about them: each is
    /// opened times a random factor. Two exchanges.
    ///
    /// The answer is wrong with probability `2^-252`, when the factor is zero.
    pub async fn are_zero(&mut self, batch: &[&Share]) -> Result<Vec<bool>, Abort> {
        let factors = self.random(batch.len());
        let products = Products::of_pairs(batch.iter().copied().zip(&factors));
        let blinded = self.inner_products(products).await?;
        let opened = self.open(&blinded.iter().collect::<Vec<_>>()).await?;
        Ok(opened.into_iter().map(|value| value == Fr::ZERO).collect())
    }
}
