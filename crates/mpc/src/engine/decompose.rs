//! Decomposition of shared integers into shared bits.

use ark_ff::{AdditiveGroup, Field};
use quittance_crypto::field::Fr;

use super::mask::{Mask, Masked};
use super::{Engine, Products};
use crate::session::Abort;
use crate::share::Share;

/// For the bits from some place down to another: whether public and mask bits are equal there, and
/// whether the public ones make the smaller number. `equal` is `None` once the bits reach down to
/// bit 0, from when on it is not needed.
struct Prefix {
    equal: Option<Share>,
    less: Share,
}

impl Engine {
    /// The bits of shared integers, lowest first. Each comes with its width, and is below
    /// `2^width`.
    ///
    /// After a masked opening `c = a + r' + 2^m * r"`, subtracting `r'` from `c mod 2^m` gives a.
    /// With the borrows `b_i = [c mod 2^i < r mod 2^i]`, bit i of a is
    /// `c_i - r_i - b_i + 2 * b_(i + 1)`. All borrows come from one parallel prefix computation
    /// (Sklansky, 1960): `log2(width)` exchanges after the one of the opening.
    pub async fn decompose(&mut self, batch: &[(&Share, u32)]) -> Result<Vec<Vec<Share>>, Abort> {
        let sets = self.parties().key_set_count();
        let masks = batch.iter().map(|&(value, width)| {
            Mask::integer(width, width, sets).map(|mask| (value.clone(), mask))
        });
        let masked = self.open_masked(masks.collect::<Result<_, _>>()?).await?;
        let borrows = self.borrows(&masked).await?;
        Ok(masked.iter().zip(&borrows).map(|(masked, borrows)| bits(masked, borrows)).collect())
    }

    /// For each value `b_1 .. b_m`.
    async fn borrows(&mut self, masked: &[Masked]) -> Result<Vec<Vec<Share>>, Abort> {
        let mut all: Vec<Vec<_>> = masked.iter().map(single_bits).collect();
        let widest = masked.iter().map(|masked| masked.low).max().unwrap_or(0);
        let mut block = 1;
        while block < widest as usize {
            let mut products = Products::new();
            for prefixes in &all {
                for (high, low) in joints(prefixes.len(), block) {
                    let (high, low) = (&prefixes[high], &prefixes[low]);
                    let Some(equal) = &high.equal else { continue };
                    products.push([(equal, &low.less)]);
                    low.equal.iter().for_each(|low_equal| products.push([(equal, low_equal)]));
                }
            }
            let mut products = self.inner_products(products).await?.into_iter();
            for prefixes in &mut all {
                for (high, low) in joints(prefixes.len(), block) {
                    let carry_on = prefixes[low].equal.is_some();
                    if let Some(product) = products.next() {
                        prefixes[high].less += &product;
                    }
                    prefixes[high].equal = carry_on.then(|| products.next()).flatten();
                }
            }
            block *= 2;
        }
        let less = |prefixes: Vec<Prefix>| prefixes.into_iter().map(|prefix| prefix.less).collect();
        Ok(all.into_iter().map(less).collect())
    }
}

/// One level of Sklansky's construction: within each stretch of two blocks, every place of the
/// upper block is joined with the top of the lower one. Yields (place, top of the lower block).
fn joints(width: usize, block: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..width)
        .filter(move |place| place / block % 2 == 1)
        .map(move |place| (place, place / block * block - 1))
}

fn single_bits(masked: &Masked) -> Vec<Prefix> {
    let single = |place| {
        let bit = masked.mask_bit(place);
        let (equal, less) = match masked.public_bit(place) {
            true => (bit.clone(), Share::zero()),
            false => (bit.not(), bit.clone()),
        };
        Prefix { equal: (place > 0).then_some(equal), less }
    };
    (0..masked.low).map(single).collect()
}

fn bits(masked: &Masked, borrows: &[Share]) -> Vec<Share> {
    let mut below = Fr::ZERO;
    let bit = |(place, borrow): (u32, &Share)| {
        let public = if masked.public_bit(place) { Fr::ONE } else { Fr::ZERO };
        let bit = public - masked.mask_bit(place).0 - below + borrow.0.double();
        below = borrow.0;
        Share(bit)
    };
    (0..masked.low).zip(borrows).map(bit).collect()
}
