//! The body of a transaction: everything but proofs and signatures.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use quittance_crypto::planted;
use quittance_crypto::signature::Suite;

use super::entry::Entry;
use super::governance::{Governance, KeyRotation};
use super::limits::MAX_ENTRIES;
use super::round::{RoundJoin, RoundOpen, Settlement};
use crate::ids::{AccountId, ChainId, CreditId, Height, InstitutionId};

/// The version of the body's format; its first byte.
pub const BODY_VERSION: u8 = 1;

/// What a transaction does, on which chain, until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The algorithms of its signatures and seals.
    pub suite: Suite,
    /// The chain that it is for.
    pub chain: ChainId,
    /// The last height at which it may be included.
    pub expiry: Height,
    /// What it does.
    pub action: Action,
}

/// The kinds of transaction, by tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Entries in strict order of asset: a transfer, an exchange, an issuance, an absorption, or a
    /// posting that changes nothing. Tag 0.
    Entries(Vec<Entry>),
    /// A pending credit goes back to its sender. Tag 1.
    Return(CreditReturn),
    /// A round is opened. Tag 2.
    RoundOpen(RoundOpen),
    /// An account joins a round. Tag 3.
    RoundJoin(RoundJoin),
    /// A round settles. Tag 4.
    Settlement(Settlement),
    /// The validators decide. Tag 5.
    Governance(Governance),
    /// An institution replaces a key of its own. Tag 6.
    KeyRotation(KeyRotation),
}

/// A pending credit goes back to its sender, where it is pending again, to be absorbed.
///
/// It needs no sequence number: a credit can be returned once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditReturn {
    /// Which credit.
    pub credit: CreditId,
    /// The account where it is pending.
    pub holder: AccountId,
    /// Who returns it: the holder when rejected, the sender when refunded.
    pub by: InstitutionId,
    /// Fingerprint of the transaction key that signs for `by`.
    pub key_fingerprint: Digest,
    /// On what ground.
    pub reason: ReturnReason,
}

/// On what ground a credit goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnReason {
    /// The receiver does not want it. Tag 0.
    Rejected,
    /// The sender takes it back after it was left unabsorbed for long. Tag 1.
    Refunded,
}

impl Body {
    /// The digest that range proofs and round ids are bound to.
    pub fn digest(&self) -> Digest {
        Digest::of_value("quittance/v1/body", self)
    }

    /// The entries of the body, in order: the position of one is what its proof is bound to.
    pub fn entries(&self) -> &[Entry] {
        match &self.action {
            Action::Entries(entries) => entries,
            Action::Settlement(settlement) => std::slice::from_ref(&settlement.entry),
            Action::Return(_)
            | Action::RoundOpen(_)
            | Action::RoundJoin(_)
            | Action::Governance(_)
            | Action::KeyRotation(_) => &[],
        }
    }

    /// What the range proof of the entry at `position` is bound to, for a body with this digest.
    pub fn proof_context(&self, body_digest: &Digest, position: u32) -> Digest {
        let parts = [
            &self.chain.0.as_bytes()[..],
            &self.suite.to_bytes(),
            body_digest.as_bytes(),
            planted!("proof-position-not-bound", &[], &position.to_be_bytes()),
        ];
        Digest::of("quittance/v1/entry-proof", &parts)
    }
}

/// Reads the version byte of a format; any other version is refused.
pub(crate) fn expect_version(
    input: &mut Reader<'_>,
    version: u8,
    what: &'static str,
) -> Result<(), DecodeError> {
    let offset = input.offset();
    match input.u8(what)? {
        found if found == version => Ok(()),
        found => Err(input.error_at(offset, what, Problem::UnknownTag(found))),
    }
}

impl Encode for Body {
    fn encode(&self, out: &mut Writer) {
        out.u8(BODY_VERSION);
        self.suite.encode(out);
        self.chain.encode(out);
        self.expiry.encode(out);
        self.action.encode(out);
    }
}

impl Decode for Body {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, BODY_VERSION, "body version")?;
        Ok(Self {
            suite: Suite::decode(input)?,
            chain: ChainId::decode(input)?,
            expiry: Height::decode(input)?,
            action: Action::decode(input)?,
        })
    }
}

impl Encode for Action {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Entries(entries) => {
                out.u8(0);
                out.list(entries);
            }
            Self::Return(credit_return) => {
                out.u8(1);
                credit_return.encode(out);
            }
            Self::RoundOpen(open) => {
                out.u8(2);
                open.encode(out);
            }
            Self::RoundJoin(join) => {
                out.u8(3);
                join.encode(out);
            }
            Self::Settlement(settlement) => {
                out.u8(4);
                settlement.encode(out);
            }
            Self::Governance(governance) => {
                out.u8(5);
                governance.encode(out);
            }
            Self::KeyRotation(rotation) => {
                out.u8(6);
                rotation.encode(out);
            }
        }
    }
}

impl Decode for Action {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.tag(7, "action")? {
            0 => input.list(MAX_ENTRIES, "entries").map(Self::Entries),
            1 => CreditReturn::decode(input).map(Self::Return),
            2 => RoundOpen::decode(input).map(Self::RoundOpen),
            3 => RoundJoin::decode(input).map(Self::RoundJoin),
            4 => Settlement::decode(input).map(Self::Settlement),
            5 => Governance::decode(input).map(Self::Governance),
            _ => KeyRotation::decode(input).map(Self::KeyRotation),
        }
    }
}

impl Encode for CreditReturn {
    fn encode(&self, out: &mut Writer) {
        self.credit.encode(out);
        self.holder.encode(out);
        self.by.encode(out);
        self.key_fingerprint.encode(out);
        out.u8(match self.reason {
            ReturnReason::Rejected => 0,
            ReturnReason::Refunded => 1,
        });
    }
}

impl Decode for CreditReturn {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            credit: CreditId::decode(input)?,
            holder: AccountId::decode(input)?,
            by: InstitutionId::decode(input)?,
            key_fingerprint: Digest::decode(input)?,
            reason: match input.tag(2, "reason of return")? {
                0 => ReturnReason::Rejected,
                _ => ReturnReason::Refunded,
            },
        })
    }
}
