//! Entries: postings and credits in one asset that sum to zero.

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use quittance_crypto::planted;

use super::limits::{
    MAX_ABSORBED, MAX_CREDITS, MAX_POSTINGS, MAX_SEALED_BYTES, MAX_SELF_NOTE_BYTES,
};
use crate::ids::{AssetId, CreditId, InstitutionId};

/// Postings (at least one, by institution) and credits in one asset.
///
/// With `delta = new_balance - old_balance - sum(absorbed)` for each posting,
/// `sum(delta) + sum(credits) = identity`: what accounts and pending credits hold together stays
/// the same. Execution checks that; that nothing is negative is what the entry's range proof says,
/// over the commitments of [`Entry::statement`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What is moved.
    pub asset: AssetId,
    /// Changes of own accounts, each signed by its institution; in strict order of institution.
    pub postings: Vec<Posting>,
    /// Gifts to others' accounts. Their order is the senders' choice.
    pub credits: Vec<Credit>,
}

/// A signed change of one's own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// Whose account.
    pub institution: InstitutionId,
    /// Fingerprint of the transaction key that signs for the institution.
    pub key_fingerprint: Digest,
    /// The account's sequence number after this posting: its present one and 1.
    pub sequence: u64,
    /// Pending credits that are added to the balance, in strict order of id.
    pub absorbed: Vec<CreditId>,
    /// The balance after this posting. An issuer's, in its own asset, is its liability negated.
    pub new_balance: Commitment,
    /// A note to oneself, sealed under the owner's note key; see [`crate::payload::SelfNote`].
    pub self_note: Vec<u8>,
}

/// An unsigned gift to somebody's account, range-proven to be at least zero. It is *pending* there
/// until it is absorbed, rejected or refunded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    /// Which of the entry's posting institutions gives: its quota counts the credit, and to it the
    /// credit returns.
    pub sender: InstitutionId,
    /// To whose account.
    pub institution: InstitutionId,
    /// How much.
    pub commitment: Commitment,
    /// The opening and the payment's particulars, sealed to the receiver; see
    /// [`crate::payload::CreditPayload`]. Opaque here: garbage harms only its sender.
    pub sealed: Vec<u8>,
    /// Salted digest of what is sealed.
    pub details: Digest,
    /// What must hold before the receiver may absorb it.
    pub condition: Condition,
}

/// On which side of an asset an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The account holds the asset: its balance is at least zero.
    Holder,
    /// The account is the issuer's: its balance is its liability negated, at most zero.
    Issuer,
}

impl Side {
    /// The side of `institution` in an asset of `issuer`.
    pub fn of(institution: InstitutionId, issuer: InstitutionId) -> Self {
        match institution == issuer {
            true => Self::Issuer,
            false => Self::Holder,
        }
    }

    /// The commitment that is range-proven for a balance, and back: the negation for an issuer.
    pub fn proven(self, balance: Commitment) -> Commitment {
        match self {
            Self::Holder => balance,
            Self::Issuer => Commitment::from(-balance.point()),
        }
    }
}

/// What must hold before a credit may be absorbed.
///
/// Tags 1 to 6 are kept for `After`, `Before`, `Preimage`, `SignedBy`, `All` and `Any`, and are
/// refused in this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing. Tag 0.
    None,
}

impl Entry {
    /// The commitments whose values the entry's range proof shows to be in `[0, 2^64)`: all new
    /// balances, the issuer's negated, then all credits.
    pub fn statement(&self, issuer: InstitutionId) -> Vec<Commitment> {
        let balances = self.postings.iter().map(|posting| {
            let balance = posting.new_balance;
            let side = Side::of(posting.institution, issuer);
            planted!("issuer-sign-not-flipped", balance, side.proven(balance))
        });
        balances.chain(self.credits.iter().map(|credit| credit.commitment)).collect()
    }
}

impl Encode for Entry {
    fn encode(&self, out: &mut Writer) {
        self.asset.encode(out);
        out.list(&self.postings);
        out.list(&self.credits);
    }
}

impl Decode for Entry {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            asset: AssetId::decode(input)?,
            postings: input.list(MAX_POSTINGS, "postings")?,
            credits: input.list(MAX_CREDITS, "credits")?,
        })
    }
}

impl Encode for Posting {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        self.key_fingerprint.encode(out);
        out.u64(self.sequence);
        out.list(&self.absorbed);
        self.new_balance.encode(out);
        out.bytes(&self.self_note);
    }
}

impl Decode for Posting {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            institution: InstitutionId::decode(input)?,
            key_fingerprint: Digest::decode(input)?,
            sequence: input.u64("sequence")?,
            absorbed: input.list(MAX_ABSORBED, "absorbed credits")?,
            new_balance: Commitment::decode(input)?,
            self_note: input.bytes(MAX_SELF_NOTE_BYTES, "self note")?.to_vec(),
        })
    }
}

impl Encode for Credit {
    fn encode(&self, out: &mut Writer) {
        self.sender.encode(out);
        self.institution.encode(out);
        self.commitment.encode(out);
        out.bytes(&self.sealed);
        self.details.encode(out);
        self.condition.encode(out);
    }
}

impl Decode for Credit {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            sender: InstitutionId::decode(input)?,
            institution: InstitutionId::decode(input)?,
            commitment: Commitment::decode(input)?,
            sealed: input.bytes(MAX_SEALED_BYTES, "sealed payload")?.to_vec(),
            details: Digest::decode(input)?,
            condition: Condition::decode(input)?,
        })
    }
}

impl Encode for Condition {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::None => out.u8(0),
        }
    }
}

impl Decode for Condition {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let problem = match input.u8("condition")? {
            0 => return Ok(Self::None),
            1..=6 => Problem::Invalid("a kind of condition that this version does not execute"),
            tag => Problem::UnknownTag(tag),
        };
        Err(input.error_at(offset, "condition", problem))
    }
}
