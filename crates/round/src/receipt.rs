//! What discharges a debt: the parties' signed shares of a settled bit.
//!
//! When the settlement is final each party signs, for payer and payee, its share of the bit that
//! says whether a payment has settled. No party learns the bit. Enough shares give it, and with the
//! settlement on the ledger they show whoever reads them that the payment is made, or is not.
//!
//! Any `t + 1` shares determine the bit, but a receipt takes `2t + 1`. Of `t + 1` shares one may be
//! that of a corrupt party, and the payer, who knows the others, could tell it which share turns the
//! bit over. Of `2t + 1` that lie on one polynomial of degree t, `t + 1` are honest and fix it.

use std::collections::BTreeMap;

use quittance_circuit::Fr;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::planted;
use quittance_crypto::signature::{Purpose, Signature, SignatureError, SigningKey, VerifyingKey};
use quittance_ledger::ids::{InstitutionId, RoundId, TransactionId};
use quittance_ledger::merkle;
use quittance_mpc::output::{OutputError, combine_private};
use quittance_mpc::{MAX_PARTIES, Parties, PartyId, Share};
use thiserror::Error;

use crate::queue::Leaf;
use crate::{VERSION, expect_version};

/// Which payment, in which settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// In which round. Its id binds the chain.
    pub round: RoundId,
    /// The transaction that has settled the round.
    pub settlement: TransactionId,
    /// Who pays.
    pub payer: InstitutionId,
    /// Who is paid.
    pub payee: InstitutionId,
    /// The payment's place in the payer's queue, from 0.
    pub place: u32,
    /// [`merkle::leaf_hash`] of the queue's leaf there, which the queue's root on the ledger covers.
    pub leaf: Digest,
}

/// One party's signed share. For payer and payee alone: the share is erased on drop, never printed.
#[derive(Clone)]
pub struct ReceiptShare {
    /// What it is about.
    pub subject: Subject,
    /// The number of the party, from 1.
    pub party: u8,
    /// Its share of the bit.
    pub share: Share,
    /// By the party's receipt key, over all that stands before.
    pub signature: Signature,
}

/// The shares of several parties, in order of their numbers.
pub struct Receipt {
    subject: Subject,
    shares: Vec<SignedShare>,
}

struct SignedShare {
    party: u8,
    share: Share,
    signature: Signature,
}

/// Those whose shares a receipt is made of.
#[derive(Debug, Clone, Copy)]
pub struct Signers<'a> {
    /// The committee of the round.
    pub parties: Parties,
    /// The receipt keys of its parties, party 1 first.
    pub keys: &'a [VerifyingKey],
}

/// Why shares are no receipt.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReceiptError {
    /// Nothing at all.
    #[error("no shares")]
    Empty,
    /// A share about something else than the others.
    #[error("the share of party {party} is about another payment or settlement than the first")]
    OtherSubject {
        /// Whose share.
        party: u8,
    },
    /// A party outside the committee, or one without a key.
    #[error("the committee has no party {party}")]
    Unknown {
        /// The number.
        party: u8,
    },
    /// Two shares of one party.
    #[error("two shares of party {party}")]
    Repeated {
        /// Whose shares.
        party: u8,
    },
    /// Not signed by the party.
    #[error("the share of party {party}: {source}")]
    Signature {
        /// Whose share.
        party: u8,
        /// What is wrong with the signature.
        source: SignatureError,
    },
    /// Fewer than `2t + 1`.
    #[error("shares of {found} parties where {needed} are needed")]
    TooFew {
        /// How many there are.
        found: usize,
        /// How many there must be.
        needed: usize,
    },
    /// About another leaf than the one shown.
    #[error("the receipt is about the leaf {0}")]
    OtherLeaf(Digest),
    /// Shares on no polynomial of degree t. Each is signed, so each party answers for its own.
    #[error("the shares do not fit together; disputed: all who gave them")]
    Disputed,
    /// They fit together, but to neither 0 nor 1.
    #[error("the shares give neither 0 nor 1")]
    NotABit,
}

impl ReceiptShare {
    /// The share of `party` about `subject`, signed. The caller has seen that the settlement is
    /// final, and that it is the one of the attempt that the share comes from.
    pub fn sign(subject: Subject, party: PartyId, share: Share, key: &SigningKey) -> Self {
        let party = party.number();
        let signature = key.sign(Purpose::Receipt, &signed(&subject, party, &share));
        Self { subject, party, share, signature }
    }

    /// Checks the signature by the receipt key of party number `self.party`.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), SignatureError> {
        let digest = signed(&self.subject, self.party, &self.share);
        key.verify(Purpose::Receipt, &digest, &self.signature)
    }
}

/// `H("quittance/v1/receipt-share", subject || party || share)`.
fn signed(subject: &Subject, party: u8, share: &Share) -> Digest {
    let mut out = Writer::new();
    subject.encode(&mut out);
    out.u8(party);
    share.encode(&mut out);
    let bytes = zeroize::Zeroizing::new(out.into_bytes());
    Digest::of("quittance/v1/receipt-share", &[&bytes])
}

impl Receipt {
    /// The receipt of these shares, which are about one subject and from different parties.
    /// Signatures and values are looked at by [`Self::verify`].
    pub fn new(mut shares: Vec<ReceiptShare>) -> Result<Self, ReceiptError> {
        let subject = shares.first().ok_or(ReceiptError::Empty)?.subject;
        if let Some(other) = shares.iter().find(|share| share.subject != subject) {
            return Err(ReceiptError::OtherSubject { party: other.party });
        }
        shares.sort_by_key(|share| share.party);
        let mut pairs = shares.iter().zip(shares.iter().skip(1));
        if let Some((share, _)) = pairs.find(|(one, next)| one.party == next.party) {
            return Err(ReceiptError::Repeated { party: share.party });
        }
        let signed = shares.into_iter().map(|ReceiptShare { party, share, signature, .. }| {
            SignedShare { party, share, signature }
        });
        Ok(Self { subject, shares: signed.collect() })
    }

    /// The receipts of all payments that these shares are about, by payer and place: what payer or
    /// payee makes of the answers of all parties.
    pub fn gather(shares: Vec<ReceiptShare>) -> Vec<Result<Self, ReceiptError>> {
        let mut payments = BTreeMap::<_, Vec<_>>::new();
        for share in shares {
            let payment = (share.subject.payer, share.subject.place);
            payments.entry(payment).or_default().push(share);
        }
        payments.into_values().map(Self::new).collect()
    }

    /// What the receipt is about. The caller finds the settlement on the ledger, and the payer's
    /// queue among those who joined the round.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Whether the payment with this leaf has settled, by the word of at least `2t + 1` parties.
    pub fn verify(&self, signers: Signers<'_>, leaf: &Leaf) -> Result<bool, ReceiptError> {
        if merkle::leaf_hash(&leaf.to_bytes()) != self.subject.leaf {
            return Err(ReceiptError::OtherLeaf(self.subject.leaf));
        }
        let mut shares = Vec::with_capacity(self.shares.len());
        for SignedShare { party, share, signature } in &self.shares {
            let party = *party;
            let unknown = || ReceiptError::Unknown { party };
            let id = signers.parties.id(party).ok_or_else(unknown)?;
            let key = signers.keys.get(id.position()).ok_or_else(unknown)?;
            let digest = signed(&self.subject, party, share);
            let verified = key.verify(Purpose::Receipt, &digest, signature);
            verified.map_err(|source| ReceiptError::Signature { party, source })?;
            shares.push((id, vec![share.clone()]));
        }
        let threshold = signers.parties.threshold();
        let enough = planted!("receipt-of-too-few-shares", threshold + 1, 2 * threshold + 1);
        let (found, needed) = (shares.len(), enough);
        if found < needed {
            return Err(ReceiptError::TooFew { found, needed });
        }
        let values = combine_private(threshold, &shares).map_err(|error| match error {
            OutputError::TooFew { .. } => ReceiptError::TooFew { found, needed },
            _ => ReceiptError::Disputed,
        })?;
        match values.first() {
            Some(value) if *value == Fr::from(1u64) => Ok(true),
            Some(value) if *value == Fr::from(0u64) => Ok(false),
            _ => Err(ReceiptError::NotABit),
        }
    }
}

impl Encode for Subject {
    fn encode(&self, out: &mut Writer) {
        self.round.encode(out);
        self.settlement.encode(out);
        self.payer.encode(out);
        self.payee.encode(out);
        out.u32(self.place);
        self.leaf.encode(out);
    }
}

impl Decode for Subject {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            round: RoundId::decode(input)?,
            settlement: TransactionId::decode(input)?,
            payer: InstitutionId::decode(input)?,
            payee: InstitutionId::decode(input)?,
            place: input.u32("place in a queue")?,
            leaf: Digest::decode(input)?,
        })
    }
}

/// As secret as the share; wrap the bytes in [`zeroize::Zeroizing`].
impl Encode for ReceiptShare {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.subject.encode(out);
        out.u8(self.party);
        self.share.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for ReceiptShare {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of a receipt share")?;
        Ok(Self {
            subject: Subject::decode(input)?,
            party: input.u8("number of a party")?,
            share: Share::decode(input)?,
            signature: Signature::decode(input)?,
        })
    }
}

/// For payer, payee, and whom they show it to.
impl Encode for Receipt {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.subject.encode(out);
        out.list(&self.shares);
    }
}

impl Decode for Receipt {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of a receipt")?;
        let subject = Subject::decode(input)?;
        let shares: Vec<SignedShare> = input.list(MAX_PARTIES, "shares of a receipt")?;
        let ascending = shares.is_sorted_by(|one, next| one.party < next.party);
        match ascending && !shares.is_empty() {
            true => Ok(Self { subject, shares }),
            false => Err(input.invalid("shares of a receipt", "none, or not in order of party")),
        }
    }
}

impl Encode for SignedShare {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.party);
        self.share.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for SignedShare {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            party: input.u8("number of a party")?,
            share: Share::decode(input)?,
            signature: Signature::decode(input)?,
        })
    }
}

#[cfg(test)]
mod tests;
