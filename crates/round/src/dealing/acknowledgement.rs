//! A party's word that a dealing is right.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::planted;
use quittance_crypto::signature::{Purpose, Signature, SignatureError, SigningKey, VerifyingKey};
use quittance_ledger::ids::{InstitutionId, RoundId};

use super::DealtInputs;
use super::complaint::{MAX_PUBLISHED, PublishedPart};
use crate::{VERSION, expect_version};

/// Says that `party` holds correct shares of the dealing with this digest, and that these parts of
/// it were published and are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// In which round. Its id binds the chain.
    pub round: RoundId,
    /// Whose dealing.
    pub dealer: InstitutionId,
    /// Who acknowledges.
    pub party: InstitutionId,
    /// Digest of the common part.
    pub dealing: Digest,
    /// What the dealer has published to this party in answer to complaints, in strict order of party.
    pub published: Vec<PublishedPart>,
    /// By the party's round key, over all the above.
    pub signature: Signature,
}

fn signed(
    (round, dealer, party): (RoundId, InstitutionId, InstitutionId),
    dealing: &Digest,
    published: &[PublishedPart],
) -> Digest {
    let mut out = Writer::new();
    round.encode(&mut out);
    dealer.encode(&mut out);
    party.encode(&mut out);
    dealing.encode(&mut out);
    out.list(planted!("acknowledgement-of-any-publication", &[], published));
    Digest::of("quittance/v1/dealing-acknowledgement", &[&out.into_bytes()])
}

impl DealtInputs {
    /// In which round it was dealt.
    pub fn round(&self) -> RoundId {
        self.round
    }

    /// Who dealt.
    pub fn dealer(&self) -> InstitutionId {
        self.dealer
    }

    /// Digest of the common part.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The signed acknowledgement. Only who has accepted a dealing can make one; `published` are the
    /// parts whose publication the party has accepted, in strict order of party.
    pub fn acknowledge(
        &self,
        published: &[PublishedPart],
        party: InstitutionId,
        key: &SigningKey,
    ) -> Acknowledgement {
        let Self { round, dealer, digest: dealing, .. } = *self;
        let digest = signed((round, dealer, party), &dealing, published);
        let signature = key.sign(Purpose::Round, &digest);
        let published = published.to_vec();
        Acknowledgement { round, dealer, party, dealing, published, signature }
    }
}

impl Acknowledgement {
    /// Checks the signature by the round key that `self.party` has registered. The caller compares
    /// round, dealer, party, digest and published parts with what it has asked for.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), SignatureError> {
        let whose = (self.round, self.dealer, self.party);
        key.verify(Purpose::Round, &signed(whose, &self.dealing, &self.published), &self.signature)
    }
}

impl Encode for Acknowledgement {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.round.encode(out);
        self.dealer.encode(out);
        self.party.encode(out);
        self.dealing.encode(out);
        out.list(&self.published);
        self.signature.encode(out);
    }
}

impl Decode for Acknowledgement {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of an acknowledgement")?;
        Ok(Self {
            round: RoundId::decode(input)?,
            dealer: InstitutionId::decode(input)?,
            party: InstitutionId::decode(input)?,
            dealing: Digest::decode(input)?,
            published: input.list(MAX_PUBLISHED, "published parts")?,
            signature: Signature::decode(input)?,
        })
    }
}
