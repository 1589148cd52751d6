//! What a payment is about, beside its amount.

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use thiserror::Error;

use crate::ids::Uetr;

/// Bytes of an EndToEndId (ISO 20022, `Max35Text`).
pub const MAX_END_TO_END_ID: usize = 35;

/// Bytes of the remittance text.
pub const MAX_REMITTANCE: usize = 140;

/// What a payment is about, as its receiver learns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Particulars {
    uetr: Uetr,
    end_to_end_id: String,
    remittance: String,
}

/// Why texts are not a payment's particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParticularsError {
    /// Too long, or not printable ASCII.
    #[error("an EndToEndId has at most {MAX_END_TO_END_ID} printable ASCII characters")]
    EndToEndId,
    /// Too long, or with control characters.
    #[error("a remittance text has at most {MAX_REMITTANCE} bytes and no control characters")]
    Remittance,
}

impl Particulars {
    /// Checks lengths and characters.
    pub fn new(
        uetr: Uetr,
        end_to_end_id: &str,
        remittance: &str,
    ) -> Result<Self, ParticularsError> {
        let printable = |byte: u8| matches!(byte, b' '..=b'~');
        if end_to_end_id.len() > MAX_END_TO_END_ID || !end_to_end_id.bytes().all(printable) {
            return Err(ParticularsError::EndToEndId);
        }
        if remittance.len() > MAX_REMITTANCE || remittance.chars().any(char::is_control) {
            return Err(ParticularsError::Remittance);
        }
        let (end_to_end_id, remittance) = (end_to_end_id.to_owned(), remittance.to_owned());
        Ok(Self { uetr, end_to_end_id, remittance })
    }

    /// How many bytes the texts are short of their longest.
    pub(super) fn slack(&self) -> usize {
        MAX_END_TO_END_ID + MAX_REMITTANCE - self.end_to_end_id.len() - self.remittance.len()
    }

    /// The payment's reference, which stays the same from end to end.
    pub fn uetr(&self) -> Uetr {
        self.uetr
    }

    /// The reference that the payer's customer gave.
    pub fn end_to_end_id(&self) -> &str {
        &self.end_to_end_id
    }

    /// Text for the payee.
    pub fn remittance(&self) -> &str {
        &self.remittance
    }
}

impl Encode for Particulars {
    fn encode(&self, out: &mut Writer) {
        self.uetr.encode(out);
        out.bytes(self.end_to_end_id.as_bytes());
        out.bytes(self.remittance.as_bytes());
    }
}

impl Decode for Particulars {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let uetr = Uetr::decode(input)?;
        let offset = input.offset();
        let end_to_end_id = input.bytes(MAX_END_TO_END_ID, "EndToEndId")?;
        let remittance = input.bytes(MAX_REMITTANCE, "remittance text")?;
        let invalid = |why| input.error_at(offset, "particulars", Problem::Invalid(why));
        let end_to_end_id =
            std::str::from_utf8(end_to_end_id).map_err(|_| invalid("EndToEndId is not UTF-8"))?;
        let remittance =
            std::str::from_utf8(remittance).map_err(|_| invalid("remittance is not UTF-8"))?;
        Self::new(uetr, end_to_end_id, remittance)
            .map_err(|_| invalid("characters that are not allowed"))
    }
}
