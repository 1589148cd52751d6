//! Instructions by their UETR: what was asked, and what has become of it.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::ids::{AssetId, Height, InstitutionId, TransactionId, Uetr};
use quittance_ledger::payload::Particulars;
use quittance_ledger::transaction::MAX_CREDITS;

const VERSION: u8 = 1;

/// Reasons are for people; longer ones are cut.
const MAX_REASON: usize = 1024;

/// An instruction of the bank, or one that only the chain knows of.
#[derive(Clone)]
pub(crate) struct Instruction {
    pub(crate) uetr: Uetr,
    /// Its place among all transfers.
    pub(crate) place: u64,
    pub(crate) what: What,
    pub(crate) state: State,
    /// No candidate for it was ever made that expires later.
    pub(crate) may_land_until: Height,
}

/// What is to be done.
#[derive(Clone)]
pub(crate) enum What {
    /// Carried out, as the chain says, before this store was made. Nothing more is known.
    Unknown,
    /// Pay at once.
    Transfer(Transfer),
    /// Pay in a round: the payment at this place of the queue.
    Payment { place: u64, digest: Digest },
    /// Exchange: kept by the module `exchange`.
    Exchange { digest: Digest },
}

/// One or more receivers are paid from one account.
#[derive(Clone)]
pub(crate) struct Transfer {
    pub(crate) asset: AssetId,
    pub(crate) receivers: Vec<TransferReceiver>,
}

/// One of them.
#[derive(Clone)]
pub(crate) struct TransferReceiver {
    pub(crate) institution: InstitutionId,
    /// In minor units.
    pub(crate) amount: u64,
    pub(crate) particulars: Particulars,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It will be carried out.
    Accepted,
    /// A node has taken a candidate for it.
    Submitted { transaction: TransactionId },
    /// On the ledger.
    Final { transaction: TransactionId, height: Height },
    /// It will not be carried out.
    Failed { reason: String },
}

impl State {
    /// Whether nothing more happens to it.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Final { .. } | Self::Failed { .. })
    }

    /// Failed, for this reason.
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        while reason.len() > MAX_REASON {
            reason.pop();
        }
        Self::Failed { reason }
    }
}

impl What {
    /// Digest of the content, by which a repeated instruction is told from another one; `None` if
    /// the content is not known.
    pub(crate) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Unknown => None,
            Self::Transfer(transfer) => Some(transfer.digest()),
            Self::Payment { digest, .. } | Self::Exchange { digest } => Some(*digest),
        }
    }
}

impl Transfer {
    /// All amounts together: 32 of 64 bits at most.
    pub(crate) fn total(&self) -> u128 {
        self.receivers.iter().map(|receiver| u128::from(receiver.amount)).sum()
    }

    fn digest(&self) -> Digest {
        Digest::of_value("quittance/v1/transfer-instruction", self)
    }
}

impl Encode for Instruction {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.uetr.encode(out);
        out.u64(self.place);
        self.what.encode(out);
        self.state.encode(out);
        self.may_land_until.encode(out);
    }
}

impl Decode for Instruction {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.u8("version of an instruction")? != VERSION {
            return Err(input.invalid("version of an instruction", "unknown version"));
        }
        Ok(Self {
            uetr: Uetr::decode(input)?,
            place: input.u64("place of an instruction")?,
            what: What::decode(input)?,
            state: State::decode(input)?,
            may_land_until: Height::decode(input)?,
        })
    }
}

impl Encode for What {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Unknown => out.u8(0),
            Self::Transfer(transfer) => {
                out.u8(1);
                transfer.encode(out);
            }
            Self::Payment { place, digest } => {
                out.u8(2);
                out.u64(*place);
                digest.encode(out);
            }
            Self::Exchange { digest } => {
                out.u8(3);
                digest.encode(out);
            }
        }
    }
}

impl Decode for What {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.tag(4, "kind of instruction")? {
            0 => Self::Unknown,
            1 => Self::Transfer(Transfer::decode(input)?),
            2 => Self::Payment {
                place: input.u64("place in the queue")?,
                digest: Digest::decode(input)?,
            },
            _ => Self::Exchange { digest: Digest::decode(input)? },
        })
    }
}

impl Encode for Transfer {
    fn encode(&self, out: &mut Writer) {
        self.asset.encode(out);
        out.list(&self.receivers);
    }
}

impl Decode for Transfer {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let asset = AssetId::decode(input)?;
        Ok(Self { asset, receivers: input.list(MAX_CREDITS, "receivers")? })
    }
}

impl Encode for TransferReceiver {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        out.u64(self.amount);
        self.particulars.encode(out);
    }
}

impl Decode for TransferReceiver {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            institution: InstitutionId::decode(input)?,
            amount: input.u64("amount")?,
            particulars: Particulars::decode(input)?,
        })
    }
}

impl Encode for State {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Accepted => out.u8(0),
            Self::Submitted { transaction } => {
                out.u8(1);
                transaction.encode(out);
            }
            Self::Final { transaction, height } => {
                out.u8(2);
                transaction.encode(out);
                height.encode(out);
            }
            Self::Failed { reason } => {
                out.u8(3);
                out.bytes(reason.as_bytes());
            }
        }
    }
}

impl Decode for State {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.tag(4, "state of an instruction")? {
            0 => Self::Accepted,
            1 => Self::Submitted { transaction: TransactionId::decode(input)? },
            2 => Self::Final {
                transaction: TransactionId::decode(input)?,
                height: Height::decode(input)?,
            },
            _ => {
                let reason = std::str::from_utf8(input.bytes(MAX_REASON, "reason")?);
                let reason = reason.map_err(|_| input.invalid("reason", "not UTF-8"))?;
                Self::Failed { reason: reason.to_owned() }
            }
        })
    }
}
