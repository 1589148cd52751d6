//! The state as typed records: what a leaf holds under which key, and what storage keeps.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};

use super::account::Account;
use super::governance::{Decision, SettlementRule};
use super::pending::PendingCredit;
use super::registry::{Asset, Chain, Committee, Institution, Limits};
use super::round::Round;
use crate::certificate::ValidatorSet;
use crate::ids::{AccountId, AssetId, CommitteeId, Height, InstitutionId, RoundId};
use crate::tree;

/// Where a record is kept. Storage sorts keys by their canonical bytes; so do we.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Which chain this is. Tag 0.
    Chain,
    /// The chain's limits. Tag 1.
    Limits,
    /// The current validators. Tag 2.
    Validators,
    /// An institution of the register. Tag 3.
    Institution(InstitutionId),
    /// An asset. Tag 4.
    Asset(AssetId),
    /// A committee. Tag 5.
    Committee(CommitteeId),
    /// An account. Tag 6.
    Account(AccountId),
    /// A round. Tag 7.
    Round(RoundId),
    /// A pending credit, by account and number of arrival. Tag 8.
    ///
    /// The only record without a leaf of its own: the account's leaf covers it by the root of all
    /// its pending credits.
    Credit(AccountId, u64),
    /// The number of the last decision that was included; on record from the first one on. Tag 9.
    Governance,
    /// A decision that waits, by the height of its effect and its number. Tag 10.
    Decision(Height, u64),
    /// That an institution is suspended, and from which height on. Tag 11.
    Suspension(InstitutionId),
    /// That an asset is retired, and from which height on. Tag 12.
    Retirement(AssetId),
    /// What settlements must carry; on record where it differs from the default. Tag 13.
    SettlementRule,
}

/// A record with its key. The canonical bytes are those of the value alone; see
/// [`Record::decode`] for the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // The variants are those of `Key`.
pub enum Record {
    Chain(Chain),
    Limits(Limits),
    Validators(ValidatorSet),
    Institution(InstitutionId, Institution),
    Asset(AssetId, Asset),
    Committee(CommitteeId, Committee),
    Account(AccountId, Box<Account>),
    Round(RoundId, Box<Round>),
    Credit(AccountId, Box<PendingCredit>),
    Governance(u64),
    Decision(Height, u64, Box<Decision>),
    Suspension(InstitutionId, Height),
    Retirement(AssetId, Height),
    SettlementRule(SettlementRule),
}

impl Key {
    /// The key of the record's leaf in the trie: `H("quittance/v1/state-key", key)`.
    pub fn leaf(&self) -> Option<Digest> {
        match self {
            Self::Credit(..) => None,
            _ => Some(Digest::of_value("quittance/v1/state-key", self)),
        }
    }

    /// Checks that the state with this `root` holds `record` under this key, or nothing if `None`.
    ///
    /// `record` is the record's canonical bytes. Fails for pending credits, which have no leaf.
    pub fn verify(
        &self,
        root: &Digest,
        record: Option<&[u8]>,
        proof: &tree::Proof,
    ) -> Result<(), tree::ProofError> {
        let key = self.leaf().ok_or(tree::ProofError::Absent)?;
        proof.verify(root, &key, record)
    }
}

impl Record {
    /// Where the record is kept.
    pub fn key(&self) -> Key {
        match self {
            Self::Chain(_) => Key::Chain,
            Self::Limits(_) => Key::Limits,
            Self::Validators(_) => Key::Validators,
            Self::Institution(id, _) => Key::Institution(*id),
            Self::Asset(id, _) => Key::Asset(*id),
            Self::Committee(id, _) => Key::Committee(*id),
            Self::Account(id, _) => Key::Account(*id),
            Self::Round(id, _) => Key::Round(*id),
            Self::Credit(account, credit) => Key::Credit(*account, credit.number),
            Self::Governance(_) => Key::Governance,
            Self::Decision(effective, number, _) => Key::Decision(*effective, *number),
            Self::Suspension(id, _) => Key::Suspension(*id),
            Self::Retirement(id, _) => Key::Retirement(*id),
            Self::SettlementRule(_) => Key::SettlementRule,
        }
    }

    /// Reads the record that is kept under `key`.
    pub fn decode(key: &Key, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match *key {
            Key::Chain => Self::Chain(Chain::decode(input)?),
            Key::Limits => Self::Limits(Limits::decode(input)?),
            Key::Validators => Self::Validators(ValidatorSet::decode(input)?),
            Key::Institution(id) => Self::Institution(id, Institution::decode(input)?),
            Key::Asset(id) => Self::Asset(id, Asset::decode(input)?),
            Key::Committee(id) => Self::Committee(id, Committee::decode(input)?),
            Key::Account(id) => Self::Account(id, Box::new(Account::decode(input)?)),
            Key::Round(id) => Self::Round(id, Box::new(Round::decode(input)?)),
            Key::Credit(account, number) => {
                let offset = input.offset();
                let credit = PendingCredit::decode(input)?;
                if credit.number != number {
                    let problem = Problem::Invalid("kept under the number of another credit");
                    return Err(input.error_at(offset, "pending credit", problem));
                }
                Self::Credit(account, Box::new(credit))
            }
            Key::Governance => Self::Governance(input.u64("number of a decision")?),
            Key::Decision(effective, number) => {
                Self::Decision(effective, number, Box::new(Decision::decode(input)?))
            }
            Key::Suspension(id) => Self::Suspension(id, Height::decode(input)?),
            Key::Retirement(id) => Self::Retirement(id, Height::decode(input)?),
            Key::SettlementRule => Self::SettlementRule(SettlementRule::decode(input)?),
        })
    }

    /// Reads the record that is kept under `key` from its canonical bytes alone.
    pub fn from_bytes(key: &Key, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let record = Self::decode(key, &mut input)?;
        input.finish()?;
        Ok(record)
    }
}

/// The value alone: what the record says beyond its key.
impl Encode for Record {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Chain(chain) => chain.encode(out),
            Self::Limits(limits) => limits.encode(out),
            Self::Validators(validators) => validators.encode(out),
            Self::Institution(_, institution) => institution.encode(out),
            Self::Asset(_, asset) => asset.encode(out),
            Self::Committee(_, committee) => committee.encode(out),
            Self::Account(_, account) => account.encode(out),
            Self::Round(_, round) => round.encode(out),
            Self::Credit(_, credit) => credit.encode(out),
            Self::Governance(number) => out.u64(*number),
            Self::Decision(_, _, decision) => decision.encode(out),
            Self::Suspension(_, since) | Self::Retirement(_, since) => since.encode(out),
            Self::SettlementRule(rule) => rule.encode(out),
        }
    }
}

impl Encode for Key {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Chain => out.u8(0),
            Self::Limits => out.u8(1),
            Self::Validators => out.u8(2),
            Self::Institution(id) => {
                out.u8(3);
                id.encode(out);
            }
            Self::Asset(id) => {
                out.u8(4);
                id.encode(out);
            }
            Self::Committee(id) => {
                out.u8(5);
                id.encode(out);
            }
            Self::Account(id) => {
                out.u8(6);
                id.encode(out);
            }
            Self::Round(id) => {
                out.u8(7);
                id.encode(out);
            }
            Self::Credit(account, number) => {
                out.u8(8);
                account.encode(out);
                out.u64(*number);
            }
            Self::Governance => out.u8(9),
            Self::Decision(effective, number) => {
                out.u8(10);
                effective.encode(out);
                out.u64(*number);
            }
            Self::Suspension(id) => {
                out.u8(11);
                id.encode(out);
            }
            Self::Retirement(id) => {
                out.u8(12);
                id.encode(out);
            }
            Self::SettlementRule => out.u8(13),
        }
    }
}

impl Decode for Key {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.tag(14, "key of a record")? {
            0 => Self::Chain,
            1 => Self::Limits,
            2 => Self::Validators,
            3 => Self::Institution(InstitutionId::decode(input)?),
            4 => Self::Asset(AssetId::decode(input)?),
            5 => Self::Committee(CommitteeId::decode(input)?),
            6 => Self::Account(AccountId::decode(input)?),
            7 => Self::Round(RoundId::decode(input)?),
            8 => Self::Credit(AccountId::decode(input)?, input.u64("number of a credit")?),
            9 => Self::Governance,
            10 => Self::Decision(Height::decode(input)?, input.u64("number of a decision")?),
            11 => Self::Suspension(InstitutionId::decode(input)?),
            12 => Self::Retirement(AssetId::decode(input)?),
            _ => Self::SettlementRule,
        })
    }
}
