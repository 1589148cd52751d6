//! Domain-separated SHA-256.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use crate::planted;

/// A 32-byte hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// All bytes zero: the parent of the first block, the root of nothing.
    pub const ZERO: Self = Self([0; 32]);

    /// `SHA-256(len(label) || label || len(part) || part || ...)` with 64-bit big-endian lengths.
    ///
    /// The lengths make the map from (label, parts) to the hashed bytes injective: no two
    /// different inputs share a preimage. Each purpose has a label of its own, such as
    /// `quittance/v1/transaction`.
    pub fn of(label: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
            let length = (part.len() as u64).to_be_bytes();
            planted!("digest-without-lengths", (), hasher.update(length));
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The digest of one value's canonical bytes under `label`.
    pub fn of_value(label: &str, value: &impl Encode) -> Self {
        Self::of(label, &[&value.to_bytes()])
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Encode for Digest {
    fn encode(&self, out: &mut Writer) {
        out.array(&self.0);
    }
}

impl Decode for Digest {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.array("digest").map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Digest {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_and_parts_are_separated_injectively() {
        let all = [
            Digest::of("ab", &[]),
            Digest::of("a", &[b"b"]),
            Digest::of("a", &[b"b", b""]),
            Digest::of("a", &[b"", b"b"]),
            Digest::of("", &[b"ab"]),
            Digest::of("", &[b"a", b"b"]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn the_preimage_is_as_documented() {
        let preimage = [&[0, 0, 0, 0, 0, 0, 0, 1, b'L'][..], &[0, 0, 0, 0, 0, 0, 0, 2, 7, 8]];
        let expected: [u8; 32] = Sha256::digest(preimage.concat()).into();
        assert_eq!(Digest::of("L", &[&[7, 8]]).0, expected);
    }
}
