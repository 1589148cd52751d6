//! Payments queued for netting.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::ids::{AssetId, Height, InstitutionId, RoundId, Uetr};
use quittance_ledger::payload::Particulars;

const VERSION: u8 = 1;

/// A payment of the queue. It stays on record when it has settled or was cancelled.
#[derive(Clone)]
pub(crate) struct Payment {
    /// Its place in the queue, of all assets together.
    pub(crate) place: u64,
    pub(crate) asset: AssetId,
    pub(crate) payee: InstitutionId,
    /// In minor units.
    pub(crate) amount: u64,
    /// With its UETR.
    pub(crate) particulars: Particulars,
    pub(crate) state: PaymentState,
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PaymentState {
    /// Waiting for a round.
    Queued,
    /// Held by a round that is under way.
    InRound(RoundId),
    /// Settled by a round.
    Settled { round: RoundId, height: Height },
    /// Taken out of the queue.
    Cancelled,
}

impl PaymentState {
    /// Whether it is still to be settled.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::InRound(_))
    }
}

impl Payment {
    pub(crate) fn uetr(&self) -> Uetr {
        self.particulars.uetr()
    }

    /// Digest of what the bank has asked for.
    pub(crate) fn digest(&self) -> Digest {
        let mut content = Writer::new();
        self.encode_content(&mut content);
        Digest::of("quittance/v1/payment-instruction", &[&content.into_bytes()])
    }

    fn encode_content(&self, out: &mut Writer) {
        self.asset.encode(out);
        self.payee.encode(out);
        out.u64(self.amount);
        self.particulars.encode(out);
    }
}

impl Encode for Payment {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        out.u64(self.place);
        self.encode_content(out);
        match self.state {
            PaymentState::Queued => out.u8(0),
            PaymentState::InRound(round) => {
                out.u8(1);
                round.encode(out);
            }
            PaymentState::Settled { round, height } => {
                out.u8(2);
                round.encode(out);
                height.encode(out);
            }
            PaymentState::Cancelled => out.u8(3),
        }
    }
}

impl Decode for Payment {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.u8("version of a payment")? != VERSION {
            return Err(input.invalid("version of a payment", "unknown version"));
        }
        Ok(Self {
            place: input.u64("place in the queue")?,
            asset: AssetId::decode(input)?,
            payee: InstitutionId::decode(input)?,
            amount: input.u64("amount")?,
            particulars: Particulars::decode(input)?,
            state: match input.tag(4, "state of a payment")? {
                0 => PaymentState::Queued,
                1 => PaymentState::InRound(RoundId::decode(input)?),
                2 => PaymentState::Settled {
                    round: RoundId::decode(input)?,
                    height: Height::decode(input)?,
                },
                _ => PaymentState::Cancelled,
            },
        })
    }
}
