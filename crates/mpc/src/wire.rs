//! Field elements packed into messages: 32 bytes each, little-endian, canonical.

use ark_ff::{BigInt, PrimeField};
use quittance_crypto::field::Fr;
use quittance_crypto::planted;
use zeroize::Zeroizing;

use crate::session::Payload;

/// The bytes of one element.
pub(crate) const ELEMENT: usize = 32;

/// The bytes of `elements`, one after the other.
pub(crate) fn pack<'a>(elements: impl ExactSizeIterator<Item = &'a Fr>) -> Payload {
    let mut bytes = Zeroizing::new(Vec::with_capacity(ELEMENT * elements.len()));
    for element in elements {
        push(&mut bytes, element);
    }
    bytes
}

/// Appends the bytes of one element. The buffer should have room, since growing leaves a copy.
pub(crate) fn push(bytes: &mut Vec<u8>, element: &Fr) {
    for limb in element.into_bigint().0 {
        bytes.extend_from_slice(&limb.to_le_bytes());
    }
}

/// Exactly `count` elements, or what is wrong with the bytes.
pub(crate) fn unpack(bytes: &[u8], count: usize) -> Result<Zeroizing<Vec<Fr>>, &'static str> {
    if bytes.len() != ELEMENT * count {
        return Err("another number of field elements");
    }
    let mut elements = Zeroizing::new(Vec::with_capacity(count));
    for chunk in bytes.chunks_exact(ELEMENT) {
        let element = planted!(
            "element-above-order-accepted",
            Some(Fr::from_le_bytes_mod_order(chunk)),
            element(chunk),
        );
        elements.push(element.ok_or("a field element that is not canonical")?);
    }
    Ok(elements)
}

fn element(bytes: &[u8]) -> Option<Fr> {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().rev().fold(0, |limb, &byte| limb << 8 | u64::from(byte));
    }
    Fr::from_bigint(BigInt::new(limbs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::AdditiveGroup;
    use quittance_crypto::encoding::Encode;

    #[test]
    fn packing_is_the_canonical_encoding() {
        let elements = [Fr::ZERO, -Fr::from(1u64), Fr::from(u64::MAX)];
        let bytes = pack(elements.iter());
        assert_eq!(*bytes, elements.iter().flat_map(Encode::to_bytes).collect::<Vec<_>>());
        assert_eq!(*unpack(&bytes, 3).unwrap(), elements);
    }

    #[test]
    fn wrong_lengths_and_large_integers_are_refused() {
        let bytes = pack([Fr::from(5u64)].iter());
        assert!(unpack(&bytes, 2).is_err());
        assert!(unpack(&bytes[..31], 1).is_err());
        assert!(unpack(&bytes[..31], 0).is_err());
        let mut order = pack([-Fr::from(1u64)].iter());
        order[0] += 1;
        assert!(unpack(&order, 1).is_err());
        assert!(unpack(&[0xff; 32], 1).is_err());
    }
}
