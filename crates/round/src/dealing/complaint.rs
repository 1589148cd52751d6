//! What becomes of a dealing that a party finds wrong.
//!
//! The party signs a [`Complaint`], and the dealer publishes to all parties what it owed that one: a
//! [`Publication`], which everybody checks as the complainant should have. It costs an honest dealer
//! nothing. An honest party complains of no right part, so whoever does is corrupt, and its
//! accomplices know its part. So up to t parts may be published; with one more complaint than that,
//! an honest party is among the complainants, and the dealer is at fault.

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::planted;
use quittance_crypto::signature::{SignatureError, VerifyingKey};
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_mpc::{Parties, PartyId};
use rand_core::CryptoRngCore;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{CommonPart, Dealing, DealtError, DealtInputs, PrivatePart};
use crate::Joined;
use crate::envelope::{Content, Signed};
use crate::message::Reason;
use crate::payees::Payees;
use crate::{VERSION, expect_version};

/// The most parts of a dealing that are published: as many as the largest committee has corrupt
/// parties.
pub const MAX_PUBLISHED: usize = 4;

/// A party's word that what it was dealt is wrong. It is signed with the party's round key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// In which round. Its id binds the chain.
    pub round: RoundId,
    /// Whose dealing.
    pub dealer: InstitutionId,
    /// Digest of the common part that the party was sent.
    pub dealing: Digest,
    /// What is wrong, for people.
    pub reason: Reason,
}

impl Content for Complaint {
    const LABEL: &'static str = "quittance/v1/dealing-complaint";
}

/// A complaint that does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ComplaintError {
    /// Of another round.
    #[error("a complaint in another round")]
    OtherRound,
    /// Of another bank's dealing.
    #[error("a complaint of a dealing of {0}")]
    OtherDealer(InstitutionId),
    /// Of another dealing of this bank.
    #[error("a complaint of the dealing {0}")]
    OtherDealing(Digest),
    /// Not signed by the party.
    #[error("a complaint: {0}")]
    Signature(#[from] SignatureError),
}

impl Complaint {
    /// Whether `signed` is a complaint of this dealing, by the holder of `key`. The caller has taken
    /// the key from the register: the round key of the signer, who is a party of the committee.
    pub fn verify(
        signed: &Signed<Self>,
        key: &VerifyingKey,
        (round, dealer, dealing): (RoundId, InstitutionId, &Digest),
    ) -> Result<(), ComplaintError> {
        let found = signed.unverified();
        if found.round != round {
            return Err(ComplaintError::OtherRound);
        }
        if found.dealer != dealer {
            return Err(ComplaintError::OtherDealer(found.dealer));
        }
        if planted!("complaint-of-another-dealing-counts", false, found.dealing != *dealing) {
            return Err(ComplaintError::OtherDealing(found.dealing));
        }
        let verified = signed.verify(key).map(drop);
        planted!("complaint-signature-not-verified", Ok(()), Ok(verified?))
    }
}

/// Whose part of a dealing has been published, and which. By number of the party, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublishedPart {
    /// The number of the party that has complained.
    pub party: u8,
    /// [`PrivatePart::digest`].
    pub part: Digest,
}

/// A dealer's answer to a complaint, the same to all parties. With the part of one party it is as
/// secret as that.
pub struct Publication {
    /// The dealing.
    pub common: CommonPart,
    /// Whose complaint is answered: its signer's.
    pub complaint: Signed<Complaint>,
    /// What was owed to the complainant.
    pub private: PrivatePart,
}

/// A publication that a party has checked.
pub struct Settled {
    /// Whose part it is.
    pub complainant: PartyId,
    /// What all acknowledge.
    pub published: PublishedPart,
    /// The complainant's inputs. They are of use to the complainant alone: others drop them.
    pub inputs: DealtInputs,
}

/// Why a publication does not settle a complaint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PublicationError {
    /// Nobody of the committee has complained.
    #[error("{0} is not a party of the committee")]
    NotAParty(InstitutionId),
    /// Not a complaint of this dealing.
    #[error("{0}")]
    Complaint(#[from] ComplaintError),
    /// Not what the complainant was owed.
    #[error("the published part: {0}")]
    Part(#[from] DealtError),
}

impl PrivatePart {
    /// `H("quittance/v1/published-part", private part)`: what parties acknowledge when it has been
    /// published.
    pub fn digest(&self) -> Digest {
        let bytes = Zeroizing::new(self.to_bytes());
        Digest::of("quittance/v1/published-part", &[&bytes])
    }
}

impl Publication {
    /// Checks that the complaint is one, and that the published part is what the complainant should
    /// have been dealt, by the very checks of [`Dealing::accept`].
    ///
    /// `key` gives the round key of a member of the committee, whose `members` stand in order.
    pub fn accept<'a>(
        self,
        dealer: &Joined,
        balance: &Commitment,
        payees: &Payees,
        (parties, members): (Parties, &[InstitutionId]),
        key: impl FnOnce(&InstitutionId) -> Option<&'a VerifyingKey>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Settled, PublicationError> {
        let Self { common, complaint, private } = self;
        let signer = complaint.signer();
        let stranger = PublicationError::NotAParty(signer);
        let position = members.iter().position(|member| *member == signer);
        let complainant = position.and_then(|position| parties.ids().nth(position));
        let (Some(complainant), Some(key)) = (complainant, key(&signer)) else {
            return Err(stranger);
        };
        let dealing = common.digest();
        Complaint::verify(&complaint, key, (dealer.round, dealer.institution, &dealing))?;
        let published = PublishedPart { party: complainant.number(), part: private.digest() };
        let committee = (parties, complainant);
        let inputs = Dealing { common, private }.accept(dealer, balance, payees, committee, rng)?;
        Ok(Settled { complainant, published, inputs })
    }
}

impl Encode for Complaint {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.round.encode(out);
        self.dealer.encode(out);
        self.dealing.encode(out);
        self.reason.encode(out);
    }
}

impl Decode for Complaint {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of a complaint")?;
        Ok(Self {
            round: RoundId::decode(input)?,
            dealer: InstitutionId::decode(input)?,
            dealing: Digest::decode(input)?,
            reason: Reason::decode(input)?,
        })
    }
}

impl Encode for PublishedPart {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.party);
        self.part.encode(out);
    }
}

impl Decode for PublishedPart {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { party: input.u8("number of a party")?, part: Digest::decode(input)? })
    }
}

/// As secret as the part; wrap the bytes in [`zeroize::Zeroizing`].
impl Encode for Publication {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.complaint.encode(out);
        self.common.encode(out);
        self.private.encode(out);
    }
}

impl Decode for Publication {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of a publication")?;
        Ok(Self {
            complaint: Signed::decode(input)?,
            common: CommonPart::decode(input)?,
            private: PrivatePart::decode(input)?,
        })
    }
}
