//! What a queue consists of, and the seed that hides it.

use quittance_crypto::commitment::{Blinding, Commitment};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::field::hash_to_scalar;
use quittance_crypto::planted;
use quittance_ledger::payload::Particulars;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::pad::{PADS, Pad};

/// One place of a queue, as the Merkle tree holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// `Com(amount; r)`.
    pub amount: Commitment,
    /// `Com(number of the payee; s)`.
    pub payee: Commitment,
    /// By attempt: `Com(pad; t)`.
    pub pads: [Commitment; PADS],
    /// Digest of the [`Details`].
    pub details: Digest,
}

/// What a payment is about, with the salt that lets its digest say nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Details {
    /// Random to all who do not know the queue's seed.
    pub salt: [u8; 16],
    /// Reference, EndToEndId and remittance text.
    pub particulars: Particulars,
}

impl Details {
    /// `H("quittance/v1/queue-details", salt || particulars)`: what the leaf holds.
    pub fn digest(&self) -> Digest {
        Digest::of_value("quittance/v1/queue-details", self)
    }
}

/// From which all blindings and salts of one queue are derived. Each queue takes a fresh one.
#[derive(Clone, PartialEq, Eq)]
pub struct QueueSeed(pub(super) Zeroizing<[u8; 32]>);

impl QueueSeed {
    /// A fresh seed.
    pub fn random(rng: &mut impl CryptoRngCore) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self(seed)
    }

    /// `hash_to_scalar("quittance/v1/queue-amount", seed, place)`.
    pub(super) fn amount_blinding(&self, place: usize) -> Blinding {
        self.blinding("quittance/v1/queue-amount", place)
    }

    /// `hash_to_scalar("quittance/v1/queue-payee", seed, place)`.
    pub(super) fn payee_blinding(&self, place: usize) -> Blinding {
        self.blinding("quittance/v1/queue-payee", place)
    }

    /// Both of its scalars are `hash_to_scalar(label, seed, place, attempt)`, under the labels
    /// `quittance/v1/queue-pad` and `quittance/v1/queue-pad-blinding`.
    pub(super) fn pad(&self, place: usize, attempt: usize) -> Pad {
        let place = (place as u32).to_be_bytes();
        let attempt = [planted!("pad-of-another-attempt", 0, attempt as u8)];
        let scalar = |label| hash_to_scalar(label, &[&self.0[..], &place, &attempt]);
        let blinding = Blinding::from_scalar(scalar("quittance/v1/queue-pad-blinding"));
        Pad::new(scalar("quittance/v1/queue-pad"), blinding)
    }

    /// The first 16 bytes of `H("quittance/v1/queue-salt", seed, place)`.
    pub(super) fn salt(&self, place: usize) -> [u8; 16] {
        let digest = self.digest("quittance/v1/queue-salt", place);
        let mut salt = [0; 16];
        salt.iter_mut().zip(digest.0).for_each(|(byte, hashed)| *byte = hashed);
        salt
    }

    /// `H("quittance/v1/queue-padding", seed, place)`: stands for the details of no payment, and
    /// looks like any other digest.
    pub(super) fn padding(&self, place: usize) -> Digest {
        self.digest("quittance/v1/queue-padding", place)
    }

    fn blinding(&self, label: &str, place: usize) -> Blinding {
        let place = (place as u32).to_be_bytes();
        Blinding::from_scalar(hash_to_scalar(label, &[&self.0[..], &place]))
    }

    fn digest(&self, label: &str, place: usize) -> Digest {
        let place = (place as u32).to_be_bytes();
        Digest::of(label, &[&self.0[..], &place])
    }
}

/// 32 bytes, as secret as the queue's blindings.
impl Encode for QueueSeed {
    fn encode(&self, out: &mut Writer) {
        out.array(&self.0);
    }
}

impl Decode for QueueSeed {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Zeroizing::new(input.array("seed of a queue")?)))
    }
}

impl Encode for Leaf {
    fn encode(&self, out: &mut Writer) {
        self.amount.encode(out);
        self.payee.encode(out);
        self.pads.iter().for_each(|pad| pad.encode(out));
        self.details.encode(out);
    }
}

impl Decode for Leaf {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            amount: Commitment::decode(input)?,
            payee: Commitment::decode(input)?,
            pads: [Commitment::decode(input)?, Commitment::decode(input)?],
            details: Digest::decode(input)?,
        })
    }
}

impl Encode for Details {
    fn encode(&self, out: &mut Writer) {
        out.array(&self.salt);
        self.particulars.encode(out);
    }
}

impl Decode for Details {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { salt: input.array("salt")?, particulars: Particulars::decode(input)? })
    }
}
