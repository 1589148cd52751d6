//! What hides from all others whether a payment settles.
//!
//! A committee that does not know payees says to everybody, of each place of each queue, `x + w`:
//! the *notice*, x being 1 if the payment there settles and 0 if not, w the place's *pad*. It says
//! nothing to those who do not have the pad, which is uniform. Payer and payee have it. Neither can
//! be told another x than the other, for the leaf commits to the pad and the pad that is computed
//! with is the one committed to.
//!
//! A pad serves one attempt of one round: two notices under one pad show whether they say the same.
//! So a leaf has a pad for each attempt that a round can have.

use quittance_circuit::Fr;
use quittance_crypto::commitment::{Blinding, Commitment, commit_scalar};
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::field::{Scalar, to_field};
use quittance_crypto::planted;
use quittance_ledger::transaction::MAX_ATTEMPTS;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How many pads a place of a queue has: one for each attempt.
pub const PADS: usize = MAX_ATTEMPTS as usize;

/// A pad, with the blinding of the commitment to it. Erased on drop, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Pad {
    value: Scalar,
    blinding: Blinding,
}

impl Pad {
    /// The pad with this value, under this blinding.
    pub fn new(value: Scalar, blinding: Blinding) -> Self {
        Self { value, blinding }
    }

    /// `Com(value; blinding)`, in constant time.
    pub fn commit(&self) -> Commitment {
        commit_scalar(&self.value, self.blinding.as_scalar())
    }

    /// Whether this opens `commitment`.
    pub fn opens(&self, commitment: &Commitment) -> bool {
        self.commit() == *commitment
    }

    /// What is dealt to the parties: the value, and the blinding of its commitment.
    pub(crate) fn secret(&self) -> (Fr, Blinding) {
        (to_field(&self.value), self.blinding.clone())
    }

    /// Whether the payment settles, by a notice under this pad. Nothing if it is none: it says
    /// neither.
    pub fn read(&self, notice: &Fr) -> Option<bool> {
        let says = *notice - to_field(&self.value);
        match () {
            () if says == Fr::from(1u64) => Some(true),
            () if planted!("notice-of-neither-read", true, says == Fr::from(0u64)) => Some(false),
            () => None,
        }
    }
}

/// 64 bytes: the value, then the blinding. As secret as whether the payment settles.
impl Encode for Pad {
    fn encode(&self, out: &mut Writer) {
        self.value.encode(out);
        self.blinding.encode(out);
    }
}

impl Decode for Pad {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { value: Scalar::decode(input)?, blinding: Blinding::decode(input)? })
    }
}
