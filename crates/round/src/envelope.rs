//! Content with the signature of an institution.

#[cfg(test)]
mod tests;

use std::fmt;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::signature::{Purpose, Signature, SignatureError, SigningKey, VerifyingKey};
use quittance_ledger::ids::InstitutionId;

use crate::{VERSION, expect_version};

/// What can be signed with a round key.
pub trait Content: Encode + Decode {
    /// Separates signatures under this kind of content from all others.
    const LABEL: &'static str;
}

/// Content with a signature that has not necessarily been verified.
///
/// The signature covers `H(label of the content, signer || content)`, for the purpose
/// [`Purpose::Round`].
#[derive(Clone, PartialEq, Eq)]
pub struct Signed<T> {
    signer: InstitutionId,
    content: T,
    signature: Signature,
}

impl<T: Content> Signed<T> {
    /// Signs `content` with the round key of `signer`.
    pub fn sign(content: T, signer: InstitutionId, key: &SigningKey) -> Self {
        let signature = key.sign(Purpose::Round, &digest(signer, &content));
        Self { signer, content, signature }
    }

    /// Who is said to have signed.
    pub fn signer(&self) -> InstitutionId {
        self.signer
    }

    /// The content, if the holder of `key` has signed it. The caller takes the key from the
    /// register: the current round key of [`Self::signer`].
    pub fn verify(&self, key: &VerifyingKey) -> Result<&T, SignatureError> {
        key.verify(Purpose::Round, &digest(self.signer, &self.content), &self.signature)?;
        Ok(&self.content)
    }

    /// The content as anybody may have written it: good for finding out where it belongs, and for
    /// nothing else.
    pub fn unverified(&self) -> &T {
        &self.content
    }
}

fn digest<T: Content>(signer: InstitutionId, content: &T) -> Digest {
    Digest::of(T::LABEL, &[&[signer.to_bytes(), content.to_bytes()].concat()])
}

impl<T: fmt::Debug> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} signed by {}", self.content, self.signer)
    }
}

impl<T: Content> Encode for Signed<T> {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.signer.encode(out);
        self.content.encode(out);
        self.signature.encode(out);
    }
}

impl<T: Content> Decode for Signed<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of a signed message")?;
        Ok(Self {
            signer: InstitutionId::decode(input)?,
            content: T::decode(input)?,
            signature: Signature::decode(input)?,
        })
    }
}
