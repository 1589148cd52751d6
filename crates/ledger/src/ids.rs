//! Names and numbers: institutions, assets, chains, heights, credits, rounds.
//!
//! Textual ids are compared byte for byte and have one encoding: their ASCII bytes, filled up with
//! zero bytes to a fixed width. Digest ids are 32 bytes, numbers big-endian.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// Not shaped like a BIC.
    #[error(
        "{0:?} is not an institution id: 4 letters or digits, 2 letters, 2 letters or digits, \
         then nothing or 3 letters or digits, in capitals"
    )]
    Institution(String),
    /// Not an asset code.
    #[error("{0:?} is not an asset id: 3 to 12 capital letters or digits")]
    Asset(String),
    /// Not a UUID.
    #[error("{0:?} is not a UETR: a UUID in lower-case hexadecimal, as 8-4-4-4-12 digits")]
    Uetr(String),
    /// Not a digest.
    #[error("{0:?} is not a digest of 64 hexadecimal digits")]
    Digest(String),
}

/// ASCII text in `N` bytes, filled up with zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Text<const N: usize>([u8; N]);

impl<const N: usize> Text<N> {
    /// `None` if `text` is longer than `N` bytes. The caller has checked that it has no zeros.
    fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self(bytes))
    }

    fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(N);
        // Only ever made from checked ASCII.
        self.0.get(..end).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }

    /// Reads text that `T` accepts: no byte may follow the first zero but zeros.
    fn decode<T: FromStr>(input: &mut Reader<'_>, what: &'static str) -> Result<T, DecodeError> {
        let offset = input.offset();
        let bytes: [u8; N] = input.array(what)?;
        let padding = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        bytes
            .get(..N - padding)
            .and_then(|text| std::str::from_utf8(text).ok())
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| input.error_at(offset, what, Problem::Invalid("malformed id")))
    }
}

fn is_upper_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

/// An institution, named like a BIC (ISO 9362): `AAAABBCC` or `AAAABBCCDDD`.
///
/// Ids are names, not addresses: `AAAABBCC` and `AAAABBCCXXX` are two institutions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstitutionId(Text<11>);

impl FromStr for InstitutionId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits = matches!(text.len(), 8 | 11)
            && text.bytes().enumerate().all(|(position, byte)| match position {
                4 | 5 => byte.is_ascii_uppercase(),
                _ => is_upper_alphanumeric(byte),
            });
        let checked = if fits { Text::new(text) } else { None };
        checked.map(Self).ok_or_else(|| IdError::Institution(text.to_owned()))
    }
}

impl Decode for InstitutionId {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Text::<11>::decode(input, "institution id")
    }
}

/// An asset: a currency or an instrument, such as `EUR` or an ISIN.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetId(Text<12>);

impl FromStr for AssetId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits = (3..=12).contains(&text.len()) && text.bytes().all(is_upper_alphanumeric);
        let checked = if fits { Text::new(text) } else { None };
        checked.map(Self).ok_or_else(|| IdError::Asset(text.to_owned()))
    }
}

impl Decode for AssetId {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Text::<12>::decode(input, "asset id")
    }
}

/// Encoding and text of the two textual ids.
macro_rules! text_id {
    ($($id:ident),*) => {$(
        impl $id {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl Encode for $id {
            fn encode(&self, out: &mut Writer) {
                out.array(&self.0.0);
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )*};
}

text_id!(InstitutionId, AssetId);

/// Ids that are digests: encoding and text.
macro_rules! digest_id {
    ($($(#[$doc:meta])* $id:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $id(pub Digest);

        impl Encode for $id {
            fn encode(&self, out: &mut Writer) {
                self.0.encode(out);
            }
        }

        impl Decode for $id {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Digest::decode(input).map(Self)
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $id {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.parse().map(Self).map_err(|_| IdError::Digest(text.to_owned()))
            }
        }
    )*};
}

digest_id! {
    /// A chain: the digest of its genesis.
    ChainId;
    /// A transaction: the digest of its complete bytes, proofs and signatures included.
    TransactionId;
    /// A block: the digest of its header.
    BlockId;
    /// A credit, for as long as it lives; see [`CreditId::of`].
    CreditId;
    /// A round; see [`RoundId::of`].
    RoundId;
}

impl CreditId {
    /// The credit at position `credit` of entry `entry` of a transaction.
    pub fn of(transaction: TransactionId, entry: u32, credit: u32) -> Self {
        let mut place = Writer::new();
        place.u32(entry);
        place.u32(credit);
        let parts = [&transaction.0.as_bytes()[..], &place.into_bytes()];
        Self(Digest::of("quittance/v1/credit-id", &parts))
    }
}

impl RoundId {
    /// The round that the body with this digest opens on `chain`.
    ///
    /// The body, not the complete transaction: whoever signs an opening twice opens one round.
    pub fn of(chain: ChainId, body_digest: &Digest) -> Self {
        let parts = [&chain.0.as_bytes()[..], body_digest.as_bytes()];
        Self(Digest::of("quittance/v1/round-id", &parts))
    }
}

/// A Unique End-to-end Transaction Reference: the 16 bytes of a UUID (RFC 9562).
///
/// Names an instruction at its agent and, sealed in a credit, the payment to its receiver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uetr(pub [u8; 16]);

impl Encode for Uetr {
    fn encode(&self, out: &mut Writer) {
        out.array(&self.0);
    }
}

impl Decode for Uetr {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.array("UETR").map(Self)
    }
}

impl fmt::Display for Uetr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Uetr {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut bytes = [0; 16];
        let digits: String = text.chars().filter(|symbol| *symbol != '-').collect();
        let decoded = hex::decode_to_slice(&digits, &mut bytes).is_ok();
        let uetr = Self(bytes);
        // Printing it again must give the same text: dashes in place, no capitals.
        if decoded && uetr.to_string() == text {
            Ok(uetr)
        } else {
            Err(IdError::Uetr(text.to_owned()))
        }
    }
}

/// `Debug` is the text, and serde reads and writes the text.
macro_rules! as_text {
    ($($id:ident),*) => {$(
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(InstitutionId, AssetId, ChainId, TransactionId, BlockId, CreditId, RoundId, Uetr);

/// Ids that are numbers: encoding and text.
macro_rules! number_id {
    ($($(#[$doc:meta])* $id:ident($number:ident);)*) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $id(pub $number);

        impl Encode for $id {
            fn encode(&self, out: &mut Writer) {
                out.$number(self.0);
            }
        }

        impl Decode for $id {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                input.$number(stringify!($id)).map(Self)
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

number_id! {
    /// The number of a block. Genesis is the state at height 0; the first block has height 1.
    Height(u64);
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp(u64);
    /// A committee of MPC parties, as numbered by governance.
    CommitteeId(u32);
}

impl Height {
    /// The height of the genesis state.
    pub const GENESIS: Self = Self(0);

    /// This height and `blocks` more; at most the largest height.
    pub fn plus(self, blocks: u64) -> Self {
        Self(self.0.saturating_add(blocks))
    }

    /// The next height. Heights do not run out: a block every millisecond lasts 10^8 years.
    pub fn next(self) -> Self {
        self.plus(1)
    }
}

/// An account: one institution's position in one asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId {
    /// Whose account.
    pub institution: InstitutionId,
    /// In which asset.
    pub asset: AssetId,
}

impl Encode for AccountId {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        self.asset.encode(out);
    }
}

impl Decode for AccountId {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { institution: InstitutionId::decode(input)?, asset: AssetId::decode(input)? })
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.institution, self.asset)
    }
}
