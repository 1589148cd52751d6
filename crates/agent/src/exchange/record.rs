//! What an institution keeps of each exchange, durably.

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use quittance_ledger::ids::{Height, InstitutionId, Timestamp, TransactionId, Uetr};
use quittance_ledger::transaction::Transaction;

use super::{Agreement, Money};

const VERSION: u8 = 1;

/// Bytes of a reason; what is longer is cut.
const MAX_REASON: usize = 512;

/// One exchange, offered by this institution or to it. Canonical bytes for the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Counts the exchanges of this institution in the order in which they became known.
    pub number: u64,
    /// Who exchanges what with whom.
    pub agreement: Agreement,
    /// When it became known here.
    pub made: Timestamp,
    /// End of the offer.
    pub valid_until: Timestamp,
    /// How far it is.
    pub stage: Stage,
}

/// How far an exchange is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Offered. This side has signed nothing. Tag 0.
    Offered,
    /// This side, the accepting one, wants it, and has signed nothing. Tag 1.
    Accepted,
    /// This side has signed. Nothing else is ever signed for the reference. Tag 2.
    Signed {
        /// The last height at which the transaction may be included.
        expiry: Height,
        /// The sequence number that it takes on this side's account.
        sequence: u64,
        /// The transaction with both signatures, where this side has it.
        transaction: Option<Box<Transaction>>,
    },
    /// Final. Tag 3.
    Final {
        /// The transaction.
        transaction: TransactionId,
        /// Its block.
        height: Height,
    },
    /// The offer has ended; nothing has moved and nothing will. Tag 4.
    Expired {
        /// What was missing, for people.
        reason: String,
    },
    /// Nothing has moved and nothing will. Tag 5.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

impl Stage {
    /// Whether nothing can change any more.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Final { .. } | Self::Expired { .. } | Self::Failed { .. })
    }

    /// The offer has ended.
    pub(super) fn expired(reason: impl std::fmt::Display) -> Self {
        Self::Expired { reason: readable(&reason.to_string()) }
    }

    /// Given up.
    pub(super) fn failed(reason: impl std::fmt::Display) -> Self {
        Self::Failed { reason: readable(&reason.to_string()) }
    }
}

/// A text that may come from another institution: control characters replaced, cut to its bound.
fn readable(text: &str) -> String {
    let mut out = String::new();
    for shown in text.chars().map(|symbol| if symbol.is_control() { '\u{fffd}' } else { symbol }) {
        if out.len() + shown.len_utf8() > MAX_REASON {
            break;
        }
        out.push(shown);
    }
    out
}

impl Record {
    /// The reference.
    pub fn uetr(&self) -> Uetr {
        self.agreement.uetr
    }

    /// Whether `us` has made the offer.
    pub fn offered_by(&self, us: InstitutionId) -> bool {
        self.agreement.offerer == us
    }

    /// The other institution, as `us` sees it.
    pub fn counterparty(&self, us: InstitutionId) -> InstitutionId {
        match self.offered_by(us) {
            true => self.agreement.accepter,
            false => self.agreement.offerer,
        }
    }

    /// What `us` gives and what it gets.
    pub fn give_and_get(&self, us: InstitutionId) -> (Money, Money) {
        let Agreement { offered, asked, .. } = self.agreement;
        match self.offered_by(us) {
            true => (offered, asked),
            false => (asked, offered),
        }
    }
}

impl Encode for Record {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        out.u64(self.number);
        self.agreement.encode(out);
        self.made.encode(out);
        self.valid_until.encode(out);
        self.stage.encode(out);
    }
}

impl Decode for Record {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        match input.u8("version of an exchange")? {
            VERSION => {}
            found => {
                let problem = Problem::UnknownTag(found);
                return Err(input.error_at(offset, "version of an exchange", problem));
            }
        }
        Ok(Self {
            number: input.u64("number of an exchange")?,
            agreement: Agreement::decode(input)?,
            made: Timestamp::decode(input)?,
            valid_until: Timestamp::decode(input)?,
            stage: Stage::decode(input)?,
        })
    }
}

impl Encode for Stage {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Offered => out.u8(0),
            Self::Accepted => out.u8(1),
            Self::Signed { expiry, sequence, transaction } => {
                out.u8(2);
                expiry.encode(out);
                out.u64(*sequence);
                out.option(transaction.as_deref());
            }
            Self::Final { transaction, height } => {
                out.u8(3);
                transaction.encode(out);
                height.encode(out);
            }
            Self::Expired { reason } => {
                out.u8(4);
                out.bytes(reason.as_bytes());
            }
            Self::Failed { reason } => {
                out.u8(5);
                out.bytes(reason.as_bytes());
            }
        }
    }
}

impl Decode for Stage {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.tag(6, "stage of an exchange")? {
            0 => Self::Offered,
            1 => Self::Accepted,
            2 => Self::Signed {
                expiry: Height::decode(input)?,
                sequence: input.u64("sequence")?,
                transaction: input.option("transaction")?.map(Box::new),
            },
            3 => Self::Final {
                transaction: TransactionId::decode(input)?,
                height: Height::decode(input)?,
            },
            4 => Self::Expired { reason: reason(input)? },
            _ => Self::Failed { reason: reason(input)? },
        })
    }
}

fn reason(input: &mut Reader<'_>) -> Result<String, DecodeError> {
    let bytes = input.bytes(MAX_REASON, "reason")?.to_vec();
    String::from_utf8(bytes).map_err(|_| input.invalid("reason", "it is not UTF-8"))
}
