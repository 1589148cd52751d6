//! How a validator proves its key on a connection.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::planted;
use quittance_crypto::signature::{Purpose, Signature, SignatureError, SigningKey};
use quittance_ledger::ids::{ChainId, InstitutionId};
use thiserror::Error;

use super::{PeerName, Validators};

/// The label under which both ends take keying material out of TLS (RFC 5705, section 4: labels
/// that begin so need no registration).
pub const EXPORTER_LABEL: &[u8] = b"EXPERIMENTAL-quittance-validators/1";

/// Which end of a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that has called.
    Dialler = 0,
    /// The one that was called.
    Listener = 1,
}

/// What a hello is signed for, under the purpose `Vote`: its digest has a label of its own, so no
/// hello is a vote and no vote a hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The chain.
    pub chain: ChainId,
    /// Who of the two signs.
    pub side: Side,
    /// Who has called.
    pub dialler: InstitutionId,
    /// Who was called.
    pub listener: InstitutionId,
    /// Fingerprint of the key that signs.
    pub key: Digest,
    /// 32 bytes of keying material of this connection, under [`EXPORTER_LABEL`] without a context.
    pub exporter: [u8; 32],
}

impl Statement {
    /// What is signed.
    pub fn digest(&self) -> Digest {
        Digest::of_value("quittance/v1/validator-hello", self)
    }
}

impl Encode for Statement {
    fn encode(&self, out: &mut Writer) {
        self.chain.encode(out);
        out.u8(self.side as u8);
        self.dialler.encode(out);
        self.listener.encode(out);
        self.key.encode(out);
        out.array(&self.exporter);
    }
}

/// Who speaks, and the proof of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// A validator.
    pub institution: InstitutionId,
    /// Fingerprint of the key that it votes with.
    pub key: Digest,
    /// By that key, over [`Statement::digest`], for the purpose `Vote`.
    pub signature: Signature,
}

impl Encode for Hello {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        self.key.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for Hello {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            institution: InstitutionId::decode(input)?,
            key: Digest::decode(input)?,
            signature: Signature::decode(input)?,
        })
    }
}

/// Why a hello was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// Not the canonical bytes of one.
    #[error("not a hello: {0}")]
    Malformed(#[from] DecodeError),
    /// It names another institution than the certificate of the connection.
    #[error("the certificate is that of {certificate}, the hello that of {hello}")]
    Institution {
        /// By the certificate.
        certificate: InstitutionId,
        /// By the hello.
        hello: InstitutionId,
    },
    /// In no set of validators that counts at present.
    #[error("{0} is no validator")]
    Stranger(InstitutionId),
    /// A validator, but with another key.
    #[error("{institution} does not vote with the key {key}")]
    Key {
        /// The validator.
        institution: InstitutionId,
        /// What it claims to vote with.
        key: Digest,
    },
    /// The key has not signed this hello for this connection.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl Refused {
    /// The label in the metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Institution { .. } => "institution",
            Self::Stranger(_) => "stranger",
            Self::Key { .. } => "key",
            Self::Signature(_) => "signature",
        }
    }
}

/// Two validators and what only their connection has.
#[derive(Debug, Clone)]
pub(super) struct Encounter {
    pub(super) chain: ChainId,
    pub(super) dialler: InstitutionId,
    pub(super) listener: InstitutionId,
    pub(super) exporter: [u8; 32],
}

impl Encounter {
    fn statement(&self, side: Side, key: Digest) -> Statement {
        let Self { chain, dialler, listener, .. } = *self;
        let exporter = planted!("hello-not-bound-to-its-connection", [0; 32], self.exporter);
        Statement { chain, side, dialler, listener, key, exporter }
    }

    fn institution(&self, side: Side) -> InstitutionId {
        match side {
            Side::Dialler => self.dialler,
            Side::Listener => self.listener,
        }
    }

    /// The hello of the one at this end.
    pub(super) fn hello(&self, side: Side, signer: &SigningKey) -> Hello {
        let key = signer.verifying_key().fingerprint();
        let signature = signer.sign(Purpose::Vote, &self.statement(side, key).digest());
        Hello { institution: self.institution(side), key, signature }
    }

    /// Who has sent these bytes as the hello of the one at the end `side`, whose institution the
    /// certificate has shown.
    pub(super) fn check(
        &self,
        side: Side,
        bytes: &[u8],
        validators: &Validators,
    ) -> Result<PeerName, Refused> {
        let Hello { institution, key, signature } = Hello::from_bytes(bytes)?;
        let certificate = self.institution(side);
        if planted!("certificate-of-another-process", false, institution != certificate) {
            return Err(Refused::Institution { certificate, hello: institution });
        }
        if !validators.contains(institution) {
            return Err(Refused::Stranger(institution));
        }
        let found = validators.key(institution, &key);
        let found = found.ok_or(Refused::Key { institution, key })?;
        let verified = found.verify(Purpose::Vote, &self.statement(side, key).digest(), &signature);
        planted!("hello-not-verified", Ok(()), verified)?;
        Ok(PeerName { institution, key })
    }
}

#[cfg(test)]
mod tests;
