//! Signatures of institutions, validators and MPC parties: ML-DSA (FIPS 204).
//!
//! What is signed is never a message itself but 32 bytes, the digest of a message's digest under
//! the label of its [`Purpose`]. So a signature given for one purpose proves nothing for another,
//! and the signer's work does not depend on the length of the message. The context string of
//! FIPS 204 stays empty.
//!
//! Two libraries stand behind this module (see [`VerifyingKey::verify`] and
//! [`VerifyingKey::verify_independently`]); the tests hold both to the same verdicts.

#[cfg(test)]
mod known_answers;
mod purpose;
#[cfg(test)]
mod tests;
mod verifiers;

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{KeyPair, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::digest::Digest;
use crate::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use crate::planted;
pub use purpose::Purpose;

/// The algorithms that a chain uses. Its genesis names one; nothing is negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// ML-DSA-65 signatures; X25519 and ML-KEM-768 for sealing. The default.
    MlDsa65MlKem768 = 1,
    /// ML-DSA-87 signatures; X25519 and ML-KEM-1024 for sealing.
    MlDsa87MlKem1024 = 2,
}

impl Suite {
    /// Length of a verifying key in bytes (FIPS 204, table 2).
    pub const fn verifying_key_length(self) -> usize {
        match self {
            Self::MlDsa65MlKem768 => 1952,
            Self::MlDsa87MlKem1024 => 2592,
        }
    }

    /// Length of every signature in bytes (FIPS 204, table 2).
    pub const fn signature_length(self) -> usize {
        match self {
            Self::MlDsa65MlKem768 => 3309,
            Self::MlDsa87MlKem1024 => 4627,
        }
    }

    /// The name used in configuration and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MlDsa65MlKem768 => "ml-dsa-65+x25519-ml-kem-768",
            Self::MlDsa87MlKem1024 => "ml-dsa-87+x25519-ml-kem-1024",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no suite.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "unknown suite {0:?}; known are ml-dsa-65+x25519-ml-kem-768 and ml-dsa-87+x25519-ml-kem-1024"
)]
pub struct UnknownSuite(pub String);

impl FromStr for Suite {
    type Err = UnknownSuite;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::MlDsa65MlKem768, Self::MlDsa87MlKem1024]
            .into_iter()
            .find(|suite| suite.name() == text)
            .ok_or_else(|| UnknownSuite(text.to_owned()))
    }
}

impl Encode for Suite {
    fn encode(&self, out: &mut Writer) {
        out.u8(*self as u8);
    }
}

impl Decode for Suite {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        match input.u8("suite")? {
            1 => Ok(Self::MlDsa65MlKem768),
            2 => Ok(Self::MlDsa87MlKem1024),
            tag => Err(input.error_at(offset, "suite", Problem::UnknownTag(tag))),
        }
    }
}

/// Why a signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The signature is of another suite than the key.
    #[error("key {key} is of suite {expected}, the signature of suite {found}")]
    WrongSuite {
        /// Fingerprint of the key.
        key: Digest,
        /// The suite of the key.
        expected: Suite,
        /// The suite of the signature.
        found: Suite,
    },
    /// The signature does not verify.
    #[error("the signature for {purpose} does not verify under key {key}")]
    Invalid {
        /// Fingerprint of the key.
        key: Digest,
        /// What the signature should have been for.
        purpose: Purpose,
    },
}

/// A secret signing key. Only `aws-lc-rs` touches it; that library overwrites the expanded key
/// when it frees it, and the seed is overwritten here.
pub struct SigningKey {
    suite: Suite,
    seed: Zeroizing<[u8; 32]>,
    pair: PqdsaKeyPair,
}

impl SigningKey {
    /// A fresh key, from the entropy of the operating system.
    ///
    /// # Panics
    /// If the operating system gives neither entropy nor memory: there is no way to go on then.
    pub fn generate(suite: Suite) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(seed.as_mut()).expect("the operating system gives entropy");
        Self::from_seed(suite, &seed)
    }

    /// The key that belongs to a seed: `ML-DSA.KeyGen_internal` (FIPS 204, algorithm 6).
    ///
    /// # Panics
    /// If the operating system gives no memory.
    pub fn from_seed(suite: Suite, seed: &[u8; 32]) -> Self {
        let algorithm = match suite {
            Suite::MlDsa65MlKem768 => &ML_DSA_65_SIGNING,
            Suite::MlDsa87MlKem1024 => &ML_DSA_87_SIGNING,
        };
        let pair = PqdsaKeyPair::from_seed(algorithm, seed).expect("every 32-byte seed has a key");
        Self { suite, seed: Zeroizing::new(*seed), pair }
    }

    /// The seed: all that a key file has to keep.
    pub fn seed(&self) -> &Zeroizing<[u8; 32]> {
        &self.seed
    }

    /// The suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey { suite: self.suite, bytes: self.pair.public_key().as_ref().into() }
    }

    /// Signs `digest` for `purpose`. Hedged (FIPS 204, section 3.4): the library mixes fresh
    /// entropy of the operating system in, so two signatures of one digest differ.
    ///
    /// # Panics
    /// If the operating system gives neither entropy nor memory: there is no way to go on then.
    pub fn sign(&self, purpose: Purpose, digest: &Digest) -> Signature {
        let mut bytes = vec![0; self.suite.signature_length()];
        let message = purpose.message(digest);
        self.pair
            .sign(message.as_bytes(), &mut bytes)
            .expect("signing with a valid key fails only without entropy or memory");
        Signature { suite: self.suite, bytes: bytes.into() }
    }
}

/// A public key, of the exact length of its suite.
///
/// Encoded as the suite's tag and the key as a byte string. Every key of the right length is a valid one, with one
/// exception that decoding refuses: `t1 = 0`, under which anybody can sign (the verification
/// equation `w1 = UseHint(h, A z - c t1 2^d)` then no longer contains the challenge).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyingKey {
    suite: Suite,
    bytes: Box<[u8]>,
}

impl VerifyingKey {
    /// The suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The key as FIPS 204 encodes it (`pkEncode`), without the suite's tag.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the ledger calls this key: the digest of its encoding, suite included.
    pub fn fingerprint(&self) -> Digest {
        Digest::of_value("quittance/v1/key", self)
    }

    /// Verifies with `aws-lc-rs`: what validators use.
    pub fn verify(
        &self,
        purpose: Purpose,
        digest: &Digest,
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        self.verify_with(verifiers::aws_lc, purpose, digest, signature)
    }

    /// Verifies with `ml-dsa`, which shares no code with [`Self::verify`] and is several times
    /// slower: what the auditor uses.
    pub fn verify_independently(
        &self,
        purpose: Purpose,
        digest: &Digest,
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        self.verify_with(verifiers::rust_crypto, purpose, digest, signature)
    }

    fn verify_with(
        &self,
        verifier: verifiers::Verifier,
        purpose: Purpose,
        digest: &Digest,
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        if self.suite != signature.suite {
            let (expected, found) = (self.suite, signature.suite);
            return Err(SignatureError::WrongSuite { key: self.fingerprint(), expected, found });
        }
        let message = purpose.message(digest);
        match verifier(self.suite, &self.bytes, message.as_bytes(), &signature.bytes) {
            true => Ok(()),
            false => Err(SignatureError::Invalid { key: self.fingerprint(), purpose }),
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.fingerprint())
    }
}

impl Encode for VerifyingKey {
    fn encode(&self, out: &mut Writer) {
        self.suite.encode(out);
        out.bytes(&self.bytes);
    }
}

impl Decode for VerifyingKey {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const SEED_LENGTH: usize = 32;
        let suite = Suite::decode(input)?;
        let bytes = exactly(suite.verifying_key_length(), "verifying key", input)?;
        // pkEncode(rho, t1) = rho || packed t1 (FIPS 204, algorithm 22).
        let anybody = bytes.iter().skip(SEED_LENGTH).all(|&byte| byte == 0);
        if planted!("zero-key-accepted", false, anybody) {
            return Err(input.invalid("verifying key", "t1 is zero: anybody could sign"));
        }
        Ok(Self { suite, bytes })
    }
}

/// A signature, of the exact length of its suite. Encoded as the suite's tag and
/// the signature as a byte string.
///
/// Decoding checks the length alone: whether the contents are well formed (hint order, norms) is
/// part of verification.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    suite: Suite,
    bytes: Box<[u8]>,
}

impl Signature {
    /// The suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The signature as FIPS 204 encodes it (`sigEncode`), without the suite's tag.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start: Vec<u8> = self.bytes.iter().copied().take(8).collect();
        write!(f, "Signature({}...)", hex::encode(start))
    }
}

impl Encode for Signature {
    fn encode(&self, out: &mut Writer) {
        self.suite.encode(out);
        out.bytes(&self.bytes);
    }
}

impl Decode for Signature {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let suite = Suite::decode(input)?;
        let bytes = exactly(suite.signature_length(), "signature", input)?;
        Ok(Self { suite, bytes })
    }
}

/// A byte string that must have the one length that its suite prescribes.
pub(crate) fn exactly(
    length: usize,
    what: &'static str,
    input: &mut Reader<'_>,
) -> Result<Box<[u8]>, DecodeError> {
    let offset = input.offset();
    let bytes = input.bytes(length, what)?;
    if bytes.len() != length {
        return Err(input.error_at(offset, what, Problem::Invalid("wrong length for its suite")));
    }
    Ok(bytes.into())
}
