//! Signed statements about what was said to all, and what two of them prove that contradict each
//! other.
//!
//! A statement names the session (which binds chain, round, attempt and parties), who speaks, the
//! exchange, its kind, and the hash of what is said. Whoever follows the protocol signs one statement
//! for each exchange. So two valid ones with different hashes prove to anybody that their signer has
//! told two parties different things; and since nobody else can sign in its name, nobody can be
//! accused of it who has not done it.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::planted;
use quittance_crypto::signature::{Purpose, Signature, SignatureError, VerifyingKey};
use thiserror::Error;

use super::frame::{Kind, decode_kind};
use crate::parties::PartyId;

/// The keys of a session: how this party signs, and who the others are. Where they are kept is the
/// caller's affair.
pub trait Signer: Send + Sync {
    /// This party's signature for [`Purpose::Round`] under a statement.
    fn sign(&self, statement: &Digest) -> Signature;

    /// The key under which a party signs, if it is known: the one whose fingerprint the session's
    /// binding names.
    fn key(&self, party: PartyId) -> Option<&VerifyingKey>;
}

/// What stands in a statement besides the hash of what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) session: Digest,
    pub(super) exchange: u32,
    pub(super) kind: Kind,
}

impl Place {
    /// `H("quittance/v1/mpc-statement", session || party || exchange || kind || content)`.
    pub(super) fn statement(&self, party: u8, content: &Digest) -> Digest {
        let exchange = self.exchange.to_be_bytes();
        let parts: [&[u8]; 5] =
            [self.session.as_bytes(), &[party], &exchange, &[self.kind as u8], content.as_bytes()];
        Digest::of("quittance/v1/mpc-statement", &parts)
    }
}

/// The hash of what is said, with the speaker's signature under the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) content: Digest,
    pub(super) signature: Signature,
}

/// Proof that a party has said two different things where it had to say one to all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    place: Place,
    party: u8,
    said: [Said; 2],
}

/// Why evidence proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EvidenceError {
    /// Twice the same is no contradiction.
    #[error("both statements say the same")]
    Same,
    /// A statement is not signed by the party.
    #[error("a statement: {0}")]
    Signature(#[from] SignatureError),
}

impl Evidence {
    pub(super) fn new(place: Place, party: PartyId, said: [Said; 2]) -> Self {
        Self { place, party: party.number(), said }
    }

    #[cfg(test)]
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// The session in which it was said.
    pub fn session(&self) -> &Digest {
        &self.place.session
    }

    /// The number of the party that it is about.
    pub fn party(&self) -> u8 {
        self.party
    }

    /// Whether this proves that the holder of `key`, as party number [`Self::party`] of the session,
    /// has contradicted itself.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), EvidenceError> {
        let [one, other] = &self.said;
        if planted!("same-statement-twice-is-evidence", false, one.content == other.content) {
            return Err(EvidenceError::Same);
        }
        for Said { content, signature } in &self.said {
            let statement = self.place.statement(self.party, content);
            key.verify(Purpose::Round, &statement, signature)?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { place: Place { session, exchange, kind }, party, said: [one, other] } = self;
        let (one, other) = (one.content, other.content);
        write!(f, "party {party} of session {session} has signed both {one} and {other} ")?;
        write!(f, "in exchange {exchange} ({kind})")
    }
}

impl Encode for Evidence {
    fn encode(&self, out: &mut Writer) {
        self.place.session.encode(out);
        out.u32(self.place.exchange);
        out.u8(self.place.kind as u8);
        out.u8(self.party);
        for Said { content, signature } in &self.said {
            content.encode(out);
            signature.encode(out);
        }
    }
}

impl Decode for Evidence {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let place = Place {
            session: Digest::decode(input)?,
            exchange: input.u32("exchange")?,
            kind: decode_kind(input)?,
        };
        let party = input.u8("number of a party")?;
        let mut said = || {
            let (content, signature) = (Digest::decode(input)?, Signature::decode(input)?);
            Ok(Said { content, signature })
        };
        Ok(Self { place, party, said: [said()?, said()?] })
    }
}
