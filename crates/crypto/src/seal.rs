//! Sealing to an institution: openings of credits travel on the ledger in this form.
//!
//! A seal is an ephemeral key, encapsulated with X25519 and ML-KEM (see the module `kem`), and the
//! text encrypted under it with ChaCha20-Poly1305 (RFC 8439). The key serves once, so the nonce is
//! zero. Whoever records seals today learns nothing from them later, while ML-KEM (or, against a
//! classical attacker, X25519) and the AEAD hold.
//!
//! Anybody can seal to anybody: a seal says nothing about who made it.

mod kem;
#[cfg(test)]
mod known_answers;
#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use aws_lc_rs::kem::DecapsulationKey;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::digest::Digest;
use crate::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use crate::planted;
use crate::signature::{Suite, exactly};
use kem::X25519_LENGTH;

/// The longest text that can be sealed, in bytes.
pub const MAX_TEXT: usize = 64 * 1024;

const TAG_LENGTH: usize = 16;

/// Why a text could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// The text is too long.
    #[error("a text of {length} bytes cannot be sealed; the limit is {MAX_TEXT}")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The library gave up: no entropy, or no memory.
    #[error("no key could be encapsulated to {key}")]
    Encapsulation {
        /// Fingerprint of the receiver's key.
        key: Digest,
    },
}

/// Why a seal could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The seal is of another suite than the key.
    #[error("the key is of suite {expected}, the seal of suite {found}")]
    WrongSuite {
        /// The suite of the key.
        expected: Suite,
        /// The suite of the seal.
        found: Suite,
    },
    /// The sender's X25519 share has small order.
    #[error("the sender's key share has small order")]
    DegenerateShare,
    /// Made for another key or other associated data, or changed.
    #[error("the seal was not made for this key and this place, or it was changed")]
    Undecipherable,
}

/// Why bytes are not the secret half of a sealing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealingKeyError {
    /// Not the length that the suite prescribes.
    #[error("a sealing key of suite {suite} has {expected} bytes, not {found}")]
    WrongLength {
        /// The suite.
        suite: Suite,
        /// The length prescribed.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// The parts do not belong together.
    #[error("the parts of the sealing key do not belong together")]
    Inconsistent,
}

/// Where others seal to: an ML-KEM encapsulation key and an X25519 public key.
///
/// Encoded as the suite's tag and the byte string `pk_M || pk_X`. Decoding accepts usable keys
/// only: each coefficient of `pk_M` below `q = 3329` (FIPS 203, section 7.2), `pk_X` canonical and
/// not of small order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealingPublicKey {
    suite: Suite,
    ml_kem: Box<[u8]>,
    x25519: [u8; X25519_LENGTH],
}

impl SealingPublicKey {
    /// The suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// What the ledger calls this key: the digest of its encoding, suite included.
    pub fn fingerprint(&self) -> Digest {
        Digest::of_value("quittance/v1/sealing-key", self)
    }
}

impl fmt::Debug for SealingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPublicKey({})", self.fingerprint())
    }
}

impl Encode for SealingPublicKey {
    fn encode(&self, out: &mut Writer) {
        self.suite.encode(out);
        out.bytes(&[&self.ml_kem, &self.x25519[..]].concat());
    }
}

impl Decode for SealingPublicKey {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const WHAT: &str = "sealing key";
        let suite = Suite::decode(input)?;
        let length = suite.encapsulation_key_length() + X25519_LENGTH;
        let bytes = exactly(length, WHAT, input)?;
        let Some((ml_kem, x25519)) = bytes.split_last_chunk() else {
            return Err(input.invalid(WHAT, "too short"));
        };
        if !is_reduced(&ml_kem[..suite.kem_vector_length()]) {
            return Err(input.invalid(WHAT, "an ML-KEM coefficient is not below q"));
        }
        if !is_canonical(x25519) {
            return Err(input.invalid(WHAT, "the X25519 key is not below 2^255 - 19"));
        }
        if planted!("small-order-key-accepted", false, has_small_order(x25519)) {
            return Err(input.invalid(WHAT, "the X25519 key has small order"));
        }
        Ok(Self { suite, ml_kem: ml_kem.into(), x25519: *x25519 })
    }
}

/// Whether each 12-bit coefficient is below `q` (`ByteEncode_12`, FIPS 203, algorithm 5).
fn is_reduced(vector: &[u8]) -> bool {
    const Q: u16 = 3329;
    vector.chunks_exact(3).all(|bytes| {
        let [low, middle, high] = [bytes[0], bytes[1], bytes[2]].map(u16::from);
        (low | (middle & 0xf) << 8) < Q && (middle >> 4 | high << 4) < Q
    })
}

/// Whether the little-endian number is below `p = 2^255 - 19`.
fn is_canonical(u: &[u8; X25519_LENGTH]) -> bool {
    let mut p = [0xff; X25519_LENGTH];
    (p[0], p[X25519_LENGTH - 1]) = (0xed, 0x7f);
    u.iter().rev().lt(p.iter().rev())
}

/// Whether the point vanishes under every private key: these are multiples of 8, so trying any one
/// of them tells.
fn has_small_order(u: &[u8; X25519_LENGTH]) -> bool {
    let any = PrivateKey::from_private_key(&X25519, &[1; X25519_LENGTH])
        .expect("every 32 bytes are an X25519 private key");
    kem::shared_secret(&any, u).is_none()
}

/// The secret half of a sealing key.
pub struct SealingKey {
    ml_kem: DecapsulationKey,
    x25519: PrivateKey,
    x25519_bytes: Zeroizing<[u8; X25519_LENGTH]>,
    public: SealingPublicKey,
}

impl SealingKey {
    /// A fresh key, from the entropy of the operating system.
    ///
    /// # Panics
    /// If the operating system gives neither entropy nor memory: there is no way to go on then.
    pub fn generate(suite: Suite) -> Self {
        let ml_kem = DecapsulationKey::generate(suite.kem())
            .and_then(|key| key.key_bytes())
            .expect("the operating system gives entropy and memory");
        let mut x25519 = Zeroizing::new([0; X25519_LENGTH]);
        aws_lc_rs::rand::fill(x25519.as_mut()).expect("the operating system gives entropy");
        Self::from_parts(suite, ml_kem.as_ref(), &x25519).expect("a generated key is consistent")
    }

    /// The key that [`Self::to_secret_bytes`] wrote. Its parts are checked against one another.
    pub fn from_secret_bytes(suite: Suite, bytes: &[u8]) -> Result<Self, SealingKeyError> {
        let expected = Self::secret_length(suite);
        let found = bytes.len();
        match bytes.split_last_chunk() {
            Some((ml_kem, x25519)) if found == expected => Self::from_parts(suite, ml_kem, x25519),
            _ => Err(SealingKeyError::WrongLength { suite, expected, found }),
        }
    }

    /// The ML-KEM decapsulation key (FIPS 203, algorithm 16), then the X25519 private key.
    pub fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        let ml_kem = self.ml_kem.key_bytes().expect("raw keys can be written");
        let mut bytes = Vec::with_capacity(Self::secret_length(self.public.suite));
        bytes.extend_from_slice(ml_kem.as_ref());
        bytes.extend_from_slice(self.x25519_bytes.as_ref());
        Zeroizing::new(bytes)
    }

    /// Length of the secret bytes.
    pub const fn secret_length(suite: Suite) -> usize {
        suite.decapsulation_key_length() + X25519_LENGTH
    }

    /// The public half.
    pub fn public_key(&self) -> &SealingPublicKey {
        &self.public
    }

    /// Opens a seal that [`seal`] made for this key with the same `associated`.
    pub fn open(
        &self,
        associated: &[u8],
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (expected, found) = (self.public.suite, sealed.suite);
        if expected != found {
            return Err(OpenError::WrongSuite { expected, found });
        }
        let key = kem::decapsulate(self, &sealed.encapsulation)?;
        ChaCha20Poly1305::new((&*key).into())
            .decrypt(&Nonce::default(), Payload { msg: &sealed.ciphertext, aad: associated })
            .map(Zeroizing::new)
            .map_err(|_| OpenError::Undecipherable)
    }

    fn from_parts(
        suite: Suite,
        ml_kem: &[u8],
        x25519: &[u8; X25519_LENGTH],
    ) -> Result<Self, SealingKeyError> {
        // dk = s || ek || H(ek) || z: the library does not give the encapsulation key back.
        let start = suite.kem_vector_length();
        let encapsulation_key = ml_kem
            .get(start..start + suite.encapsulation_key_length())
            .ok_or(SealingKeyError::Inconsistent)?;
        let share = PrivateKey::from_private_key(&X25519, x25519)
            .map_err(|_| SealingKeyError::Inconsistent)?;
        let public = SealingPublicKey {
            suite,
            ml_kem: encapsulation_key.into(),
            x25519: kem::public_share(&share),
        };
        let key = Self {
            ml_kem: DecapsulationKey::new(suite.kem(), ml_kem)
                .map_err(|_| SealingKeyError::Inconsistent)?,
            x25519: share,
            x25519_bytes: Zeroizing::new(*x25519),
            public,
        };
        key.works().then_some(key).ok_or(SealingKeyError::Inconsistent)
    }

    /// Pairwise consistency: whether this key finds what was encapsulated to its public half.
    fn works(&self) -> bool {
        is_reduced(&self.public.ml_kem[..self.public.suite.kem_vector_length()])
            && kem::encapsulate(&self.public).is_ok_and(|(encapsulation, expected)| {
                kem::decapsulate(self, &encapsulation).is_ok_and(|found| *found == *expected)
            })
    }
}

/// A sealed text. Encoded as the suite's tag, the byte string `ct_M || ct_X`, and the ciphertext
/// with its tag as a byte string.
///
/// Decoding checks lengths alone: whether it can be opened is known to its receiver only.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    suite: Suite,
    encapsulation: Box<[u8]>,
    ciphertext: Vec<u8>,
}

impl Sealed {
    /// The suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Length of the text inside, which a seal does not hide. Pad texts that must not tell.
    pub fn text_length(&self) -> usize {
        self.ciphertext.len() - TAG_LENGTH
    }

    /// Length of the encoding of a seal over `text_length` bytes.
    pub const fn encoded_length(suite: Suite, text_length: usize) -> usize {
        1 + 4 + suite.encapsulation_length() + 4 + text_length + TAG_LENGTH
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.text_length())
    }
}

impl Encode for Sealed {
    fn encode(&self, out: &mut Writer) {
        self.suite.encode(out);
        out.bytes(&self.encapsulation);
        out.bytes(&self.ciphertext);
    }
}

impl Decode for Sealed {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let suite = Suite::decode(input)?;
        let encapsulation = exactly(suite.encapsulation_length(), "encapsulation", input)?;
        let offset = input.offset();
        let ciphertext = input.bytes(MAX_TEXT + TAG_LENGTH, "sealed text")?.to_vec();
        if ciphertext.len() < TAG_LENGTH {
            let problem = Problem::Invalid("shorter than its authentication tag");
            return Err(input.error_at(offset, "sealed text", problem));
        }
        Ok(Self { suite, encapsulation, ciphertext })
    }
}

/// Seals `text` to the owner of `to`. The receiver must give the same `associated` to open it: a
/// seal that is moved to another place does not open there.
pub fn seal(to: &SealingPublicKey, associated: &[u8], text: &[u8]) -> Result<Sealed, SealError> {
    if text.len() > MAX_TEXT {
        return Err(SealError::TooLong { length: text.len() });
    }
    let (encapsulation, key) = kem::encapsulate(to)?;
    let ciphertext = ChaCha20Poly1305::new((&*key).into())
        .encrypt(&Nonce::default(), Payload { msg: text, aad: associated })
        .expect("texts are far below the cipher's limit of 2^38 bytes");
    Ok(Sealed { suite: to.suite, encapsulation, ciphertext })
}
