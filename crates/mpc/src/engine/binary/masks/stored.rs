//! Masks that are kept: their bytes, and how wide ones serve narrow comparisons.

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};

use super::{BitString, Bits, Masks};
use crate::engine::Engine;
use crate::engine::material::secrets;
use crate::stock::{MAX_STORED_COMPARISONS, STORED_WIDTH};
use crate::wire::ELEMENT;

impl Masks {
    /// For comparisons of fewer bits. Each place depends on those below it only, and a mask of more
    /// bits hides narrower integers as well.
    fn narrow(mut self, bits: usize) -> Self {
        debug_assert!((1..=self.bits).contains(&bits));
        self.bits = bits;
        self.sums.truncate(bits + 1);
        self.carries.truncate(bits - 1);
        self.sums_with_sums.truncate(bits - 1);
        self.sums_with_carries.truncate(bits.saturating_sub(2));
        self
    }

    /// How many strings there are of each kind: sums, carries, products of sums, and of both.
    fn counts(bits: usize) -> [usize; 4] {
        [bits + 1, bits - 1, bits - 1, bits.saturating_sub(2)]
    }

    /// The number of bytes of the encoding.
    pub(in crate::engine) fn encoded_length(&self) -> usize {
        let strings = Self::counts(self.bits).iter().sum::<usize>() + 1;
        5 + 2 * ELEMENT * self.len() + 2 * strings * (4 + self.len().div_ceil(8))
    }
}

impl Engine {
    /// Takes from a batch that was adopted what comparisons lack, as far as it goes.
    pub(super) fn unpack_masks(&mut self, missing: &[(u32, usize)]) {
        for &(bits, count) in missing {
            let Some(stored) = self.stored.as_mut().filter(|stored| bits as usize <= stored.bits)
            else {
                continue;
            };
            let count = count.min(stored.len());
            if count > 0 {
                let masks = stored.split_off(count).narrow(bits as usize);
                self.store_masks(vec![masks]);
            }
        }
    }
}

impl Encode for Masks {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.bits as u8);
        out.u32(self.len() as u32);
        self.integers.iter().chain(&self.coins).for_each(|share| share.encode(out));
        let products = self.sums_with_sums.iter().chain(&self.sums_with_carries);
        let bits = self.sums.iter().chain(&self.carries).chain(products).chain([&self.coin_bits]);
        for bits in bits {
            out.bytes(&bits.next.to_bytes());
            out.bytes(&bits.last.to_bytes());
        }
    }
}

impl Decode for Masks {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bits = u32::from(input.u8("width of masks")?);
        if bits != STORED_WIDTH {
            return Err(input.invalid("width of masks", "not that of stored masks"));
        }
        let bits = bits as usize;
        let offset = input.offset();
        let found = input.u32("number of masks")? as usize;
        let limit = MAX_STORED_COMPARISONS as usize;
        if !(1..=limit).contains(&found) {
            return Err(input.error_at(offset, "masks", Problem::TooLong { found, limit }));
        }
        let (integers, coins) = (secrets(input, found)?, secrets(input, found)?);
        let [sums, carries, with_sums, with_carries] = Self::counts(bits);
        Ok(Self {
            bits,
            integers,
            coins,
            sums: strings(input, sums, found)?,
            carries: strings(input, carries, found)?,
            sums_with_sums: strings(input, with_sums, found)?,
            sums_with_carries: strings(input, with_carries, found)?,
            coin_bits: string(input, found)?,
        })
    }
}

fn strings(input: &mut Reader<'_>, count: usize, len: usize) -> Result<Vec<Bits>, DecodeError> {
    (0..count).map(|_| string(input, len)).collect()
}

fn string(input: &mut Reader<'_>, len: usize) -> Result<Bits, DecodeError> {
    let mut component = || {
        let bytes = input.bytes(len.div_ceil(8), "bits")?;
        let bits = BitString::from_bytes(bytes, len);
        bits.ok_or_else(|| input.invalid("bits", "not as many as there are masks"))
    };
    Ok(Bits { next: component()?, last: component()? })
}
