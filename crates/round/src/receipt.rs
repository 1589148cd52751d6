//! What discharges a debt: the notice of a payment, signed by parties, with what makes it readable.
//!
//! When the settlement is final each party signs once, for everybody, all notices of the attempt
//! that has settled: the root of a Merkle tree over them ([`Statement`]). No party learns what a
//! notice says. A bank takes from it the notices of its own payments and of those announced to it,
//! and keeps with each what it needs for others to read it: the leaf of the queue with its place
//! under the queue's root, and the openings of payee and pad. With the settlement on the ledger that
//! shows whoever reads it that the payment is made, or is not.
//!
//! *One signature for all.* A bank cannot ask for the word on single payments, for it would say who
//! is paid by which; and a signature for each place of each queue, given to each bank, is some
//! kilobytes for each of thousands of places. The tree's leaves name payer, root of the queue, place
//! and notice, so the parties have signed these as if each by itself.
//!
//! *Why `t + 1` signatures.* One of them is honest. A notice is no share: an honest party signs what
//! all were told, and the pad under which it is read is the one that the payer was committed to when
//! it joined.

mod statement;

pub use statement::{Notice, Queue, Statement};

use quittance_crypto::commitment::Opening;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::planted;
use quittance_crypto::signature::{Purpose, Signature, SignatureError, SigningKey, VerifyingKey};
use quittance_ledger::ids::{RoundId, TransactionId};
use quittance_ledger::merkle::{Proof, ProofError};
use quittance_mpc::{MAX_PARTIES, Parties, PartyId};
use thiserror::Error;

use crate::queue::{Leaf, Pad};
use crate::{VERSION, expect_version};

/// What a party's signature is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Which round. Its id binds the chain.
    pub round: RoundId,
    /// The transaction that has settled the round.
    pub settlement: TransactionId,
    /// Which attempt of the round it has settled: that of the pads.
    pub attempt: u8,
    /// Root of the tree of all notices; see [`Statement`].
    pub notices: Digest,
}

/// One party's word. Public: it says nothing to who has no pad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// What it is about.
    pub subject: Subject,
    /// The number of the party, from 1.
    pub party: u8,
    /// By the party's receipt key, over all that stands before.
    pub signature: Signature,
}

/// What makes a notice readable. As secret as the payment that it is about, but for the amount.
#[derive(Clone)]
pub struct Disclosure {
    /// What the payer's queue has at the place of the notice.
    pub leaf: Leaf,
    /// That it has.
    pub inclusion: Proof,
    /// Opens the number of the leaf's payee.
    pub payee: Opening,
    /// Opens the leaf's pad for the attempt.
    pub pad: Pad,
}

/// A notice with the word of several parties, and with what makes it readable.
pub struct Receipt {
    subject: Subject,
    /// In order of their numbers.
    signatures: Vec<Signed>,
    notice: Notice,
    /// That the notice stands in the tree that was signed.
    inclusion: Proof,
    disclosure: Disclosure,
}

struct Signed {
    party: u8,
    signature: Signature,
}

/// What a receipt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The number of the payee in the ledger's register; 0 for padding.
    pub payee: u64,
    /// Whether the payment has settled.
    pub settled: bool,
}

/// Those whose word a receipt is made of.
#[derive(Debug, Clone, Copy)]
pub struct Signers<'a> {
    /// The committee of the round.
    pub parties: Parties,
    /// The receipt keys of its parties, party 1 first.
    pub keys: &'a [VerifyingKey],
}

/// Why there is no receipt, or it does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReceiptError {
    /// Nothing at all.
    #[error("no signatures")]
    Empty,
    /// A signature about something else than the others.
    #[error("party {party} has signed another settlement or other notices than the first")]
    OtherSubject {
        /// Whose signature.
        party: u8,
    },
    /// A party outside the committee, or one without a key.
    #[error("the committee has no party {party}")]
    Unknown {
        /// The number.
        party: u8,
    },
    /// Two signatures of one party.
    #[error("two signatures of party {party}")]
    Repeated {
        /// Whose.
        party: u8,
    },
    /// Not signed by the party.
    #[error("the signature of party {party}: {source}")]
    Signature {
        /// Whose.
        party: u8,
        /// What is wrong with it.
        source: SignatureError,
    },
    /// Fewer than `t + 1`.
    #[error("signatures of {found} parties where {needed} are needed")]
    TooFew {
        /// How many there are.
        found: usize,
        /// How many there must be.
        needed: usize,
    },
    /// The notice is not among those that were signed.
    #[error("the notice was not signed: {0}")]
    NotSigned(ProofError),
    /// The leaf does not stand in the payer's queue.
    #[error("the leaf is not in the queue: {0}")]
    NotInQueue(ProofError),
    /// The leaf stands at another place of the queue.
    #[error(
        "the leaf is at place {found} of {length}, the notice is about place {place} of {places}"
    )]
    OtherPlace {
        /// The place of the notice.
        place: u32,
        /// How many places its queue has.
        places: u32,
        /// The place of the leaf.
        found: u64,
        /// How many leaves its queue has.
        length: u64,
    },
    /// The leaf commits to another payee.
    #[error("the payee shown is not the one in the queue")]
    Payee,
    /// The leaf commits to another pad for the attempt, or to none.
    #[error("the pad shown is not the one in the queue for this attempt")]
    Pad,
    /// Under this pad the notice says neither that the payment has settled nor that it has not.
    #[error("the notice says neither that the payment has settled nor that it has not")]
    Neither,
}

impl Attestation {
    /// The word of `party` about `subject`, signed. The caller has seen that the settlement is
    /// final, and that it is the one of the attempt whose notices these are.
    pub fn sign(subject: Subject, party: PartyId, key: &SigningKey) -> Self {
        let party = party.number();
        let signature = key.sign(Purpose::Receipt, &signed(&subject, party));
        Self { subject, party, signature }
    }

    /// Checks the signature by the receipt key of party number `self.party`.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), SignatureError> {
        key.verify(Purpose::Receipt, &signed(&self.subject, self.party), &self.signature)
    }
}

/// `H("quittance/v1/notices", subject || party)`.
fn signed(subject: &Subject, party: u8) -> Digest {
    let mut out = Writer::new();
    subject.encode(&mut out);
    out.u8(party);
    Digest::of("quittance/v1/notices", &[&out.into_bytes()])
}

impl Receipt {
    /// The receipt of a notice with the proof that it stands in the tree that these parties have
    /// signed, each once. What it says is looked at by [`Self::verify`].
    pub fn new(
        attestations: &[Attestation],
        (notice, inclusion): (Notice, Proof),
        disclosure: Disclosure,
    ) -> Result<Self, ReceiptError> {
        let subject = attestations.first().ok_or(ReceiptError::Empty)?.subject;
        if let Some(other) = attestations.iter().find(|word| word.subject != subject) {
            return Err(ReceiptError::OtherSubject { party: other.party });
        }
        let signed = attestations
            .iter()
            .map(|word| Signed { party: word.party, signature: word.signature.clone() });
        let mut signatures: Vec<_> = signed.collect();
        signatures.sort_by_key(|signed| signed.party);
        let mut pairs = signatures.iter().zip(signatures.iter().skip(1));
        if let Some((signed, _)) = pairs.find(|(one, next)| one.party == next.party) {
            return Err(ReceiptError::Repeated { party: signed.party });
        }
        Ok(Self { subject, signatures, notice, inclusion, disclosure })
    }

    /// What the parties have signed. The caller finds the settlement of this attempt on the ledger.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Which payment it is about. The caller finds on the ledger that the payer joined the round
    /// with this root and so many leaves.
    pub fn notice(&self) -> &Notice {
        &self.notice
    }

    /// What the payer's queue has at the place of the notice, and what opens it.
    pub fn disclosure(&self) -> &Disclosure {
        &self.disclosure
    }

    /// Whether the payment has settled and to whom it is, by the word of at least `t + 1` parties.
    pub fn verify(&self, signers: Signers<'_>) -> Result<Verdict, ReceiptError> {
        for Signed { party, signature } in &self.signatures {
            let party = *party;
            let unknown = || ReceiptError::Unknown { party };
            let id = signers.parties.id(party).ok_or_else(unknown)?;
            let key = signers.keys.get(id.position()).ok_or_else(unknown)?;
            key.verify(Purpose::Receipt, &signed(&self.subject, party), signature)
                .map_err(|source| ReceiptError::Signature { party, source })?;
        }
        let threshold = signers.parties.threshold();
        let needed = planted!("receipt-of-too-few-parties", threshold, threshold + 1);
        let found = self.signatures.len();
        if found < needed {
            return Err(ReceiptError::TooFew { found, needed });
        }
        let signed = self.inclusion.verify(&self.subject.notices, &self.notice.to_bytes());
        planted!("notice-not-among-signed", Ok(()), signed).map_err(ReceiptError::NotSigned)?;
        self.disclosure.read(self.subject.attempt, &self.notice)
    }
}

impl Disclosure {
    /// What a notice of an attempt says.
    fn read(&self, attempt: u8, notice: &Notice) -> Result<Verdict, ReceiptError> {
        let Self { leaf, inclusion, payee, pad } = self;
        let (place, places) = (notice.place, notice.places);
        let (found, length) = (inclusion.index, inclusion.length);
        let same = (u64::from(place), u64::from(places)) == (found, length);
        if planted!("leaf-of-another-place-read", false, !same) {
            return Err(ReceiptError::OtherPlace { place, places, found, length });
        }
        inclusion.verify(&notice.queue_root, &leaf.to_bytes()).map_err(ReceiptError::NotInQueue)?;
        if !payee.opens(&leaf.payee) {
            return Err(ReceiptError::Payee);
        }
        let commitment = leaf.pads.get(usize::from(attempt));
        let fits = commitment.is_some_and(|commitment| pad.opens(commitment));
        if planted!("pad-of-a-receipt-not-opened", false, !fits) {
            return Err(ReceiptError::Pad);
        }
        let settled = pad.read(&notice.value).ok_or(ReceiptError::Neither)?;
        Ok(Verdict { payee: payee.value, settled })
    }
}

impl Encode for Subject {
    fn encode(&self, out: &mut Writer) {
        self.round.encode(out);
        self.settlement.encode(out);
        out.u8(self.attempt);
        self.notices.encode(out);
    }
}

impl Decode for Subject {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            round: RoundId::decode(input)?,
            settlement: TransactionId::decode(input)?,
            attempt: input.u8("attempt")?,
            notices: Digest::decode(input)?,
        })
    }
}

impl Encode for Attestation {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.subject.encode(out);
        out.u8(self.party);
        self.signature.encode(out);
    }
}

impl Decode for Attestation {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of an attestation")?;
        Ok(Self {
            subject: Subject::decode(input)?,
            party: input.u8("number of a party")?,
            signature: Signature::decode(input)?,
        })
    }
}

/// As secret as the payee; wrap the bytes in [`zeroize::Zeroizing`].
impl Encode for Disclosure {
    fn encode(&self, out: &mut Writer) {
        self.leaf.encode(out);
        self.inclusion.encode(out);
        self.payee.encode(out);
        self.pad.encode(out);
    }
}

impl Decode for Disclosure {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            leaf: Leaf::decode(input)?,
            inclusion: Proof::decode(input)?,
            payee: Opening::decode(input)?,
            pad: Pad::decode(input)?,
        })
    }
}

/// For payer, payee, and whom they show it to.
impl Encode for Receipt {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.subject.encode(out);
        out.list(&self.signatures);
        self.notice.encode(out);
        self.inclusion.encode(out);
        self.disclosure.encode(out);
    }
}

impl Decode for Receipt {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const WHAT: &str = "signatures of a receipt";
        expect_version(input, "version of a receipt")?;
        let subject = Subject::decode(input)?;
        let signatures: Vec<Signed> = input.list(MAX_PARTIES, WHAT)?;
        let ascending = signatures.is_sorted_by(|one, next| one.party < next.party);
        if !ascending || signatures.is_empty() {
            return Err(input.invalid(WHAT, "none, or not in order of party"));
        }
        Ok(Self {
            subject,
            signatures,
            notice: Notice::decode(input)?,
            inclusion: Proof::decode(input)?,
            disclosure: Disclosure::decode(input)?,
        })
    }
}

impl Encode for Signed {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.party);
        self.signature.encode(out);
    }
}

impl Decode for Signed {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { party: input.u8("number of a party")?, signature: Signature::decode(input)? })
    }
}

#[cfg(test)]
mod tests;
