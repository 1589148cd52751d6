//! What is ready for the next queue of an account.

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::range_proof::RangeProof;
use quittance_round::queue::GROUP;
use zeroize::Zeroizing;

const VERSION: u8 = 1;

/// A group of leaves that has been proven for certain amounts: 0 for padding.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ProvenGroup {
    pub(crate) amounts: Zeroizing<[u64; GROUP]>,
    pub(crate) proof: RangeProof,
}

impl Encode for ProvenGroup {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.amounts.iter().for_each(|amount| out.u64(*amount));
        self.proof.encode(out);
    }
}

impl Decode for ProvenGroup {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.u8("version of a proven group")? != VERSION {
            return Err(input.invalid("version of a proven group", "unknown version"));
        }
        let mut amounts = Zeroizing::new([0; GROUP]);
        for amount in amounts.iter_mut() {
            *amount = input.u64("amount")?;
        }
        Ok(Self { amounts, proof: RangeProof::decode(input)? })
    }
}
