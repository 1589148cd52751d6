//! Decisions of the validators, and keys that institutions replace themselves.
//!
//! A decision is included at one height and takes effect at a later one, as a whole. The validators
//! of the including block approve it, each by its institution's transaction key.

use std::collections::BTreeSet;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::signature::{Signature, SignatureError};
use serde::{Deserialize, Serialize};

use super::limits::{MAX_APPROVALS, MAX_CHANGES};
use crate::ids::{AssetId, ChainId, CommitteeId, Height, InstitutionId};
use crate::state::{
    Asset, Committee, Limits, MAX_USES, PublicKey, Role, SettlementRule, decode_roles,
};

/// A decision, with those who approve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Governance {
    /// The number of the decision: that of the one included before, and 1. From 1.
    pub number: u64,
    /// From which height on the changes hold: that block is the first to be decided and executed
    /// under them.
    pub effective: Height,
    /// What changes, one after the other.
    pub changes: Vec<Change>,
    /// Validators of the including block, in strict order of institution; all of them sign.
    pub approvals: Vec<Approval>,
}

/// A validator's institution that approves a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval {
    /// Who.
    pub institution: InstitutionId,
    /// Fingerprint of the transaction key that signs for it.
    pub key_fingerprint: Digest,
}

/// One change, by tag. In JSON by its name, such as `{"suspend": {"institution": "BANKZZ01"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// A validator is added, or has another weight. It votes with its institution's vote key.
    /// Tag 0.
    PutValidator {
        /// Who.
        institution: InstitutionId,
        /// Its voting power; not zero.
        power: u64,
    },
    /// A validator decides no more. Tag 1.
    RemoveValidator {
        /// Who.
        institution: InstitutionId,
    },
    /// An institution enters the register, with the next free number. Tag 2.
    Admit {
        /// Under which id.
        institution: InstitutionId,
        /// What it may do.
        roles: BTreeSet<Role>,
        /// One key for each use, in order of use.
        #[serde(with = "crate::genesis::keys_by_use")]
        keys: Vec<PublicKey>,
    },
    /// An institution signs nothing and is credited nothing until it is readmitted. Tag 3.
    Suspend {
        /// Who.
        institution: InstitutionId,
    },
    /// A suspension ends. Tag 4.
    Readmit {
        /// Whose.
        institution: InstitutionId,
    },
    /// An institution has these roles and no others. Tag 5.
    SetRoles {
        /// Who.
        institution: InstitutionId,
        /// What it may do.
        roles: BTreeSet<Role>,
    },
    /// A key is replaced that its institution has lost. No account changes. Tag 6.
    ReplaceKey {
        /// Whose.
        institution: InstitutionId,
        /// The new one, with its use.
        #[serde(with = "crate::genesis::key_by_use")]
        key: PublicKey,
    },
    /// An asset is listed; or listed again, if it was retired, on the same terms. Tag 7.
    ListAsset {
        /// Under which id.
        asset: AssetId,
        /// Issuer and decimals.
        terms: Asset,
    },
    /// Of an asset nothing more is issued or netted; it can still be paid and redeemed. Tag 8.
    RetireAsset {
        /// Which.
        asset: AssetId,
    },
    /// A committee is new, or has other parties. Tag 9.
    PutCommittee {
        /// Under which number.
        id: CommitteeId,
        /// Who.
        committee: Committee,
    },
    /// No more rounds are opened with a committee. Tag 10.
    RemoveCommittee {
        /// Which.
        id: CommitteeId,
    },
    /// Other limits. Tag 11.
    SetLimits(Limits),
    /// What settlements must carry from then on. Tag 12.
    SetSettlementRule(SettlementRule),
    /// A decision that waits for its height never takes effect. Tag 13.
    Withdraw {
        /// Which.
        number: u64,
    },
}

/// An institution registers a key of its own, in place of the one that it has for the same use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRotation {
    /// Who.
    pub institution: InstitutionId,
    /// Fingerprint of the transaction key that signs for it: the one of before, if the transaction
    /// key itself is replaced.
    pub key_fingerprint: Digest,
    /// The new key, with its use.
    pub key: PublicKey,
    /// From which height on it is current.
    pub effective: Height,
    /// The new key's own signature, for its purpose, under [`KeyRotation::possession_digest`].
    /// A sealing key signs nothing and has none.
    pub possession: Option<Signature>,
}

impl KeyRotation {
    /// What the new key signs, so that nobody registers a key that another has.
    pub fn possession_digest(&self, chain: ChainId) -> Digest {
        let mut statement = Writer::new();
        self.institution.encode(&mut statement);
        self.key.encode(&mut statement);
        self.effective.encode(&mut statement);
        let parts = [&chain.0.as_bytes()[..], &statement.into_bytes()];
        Digest::of("quittance/v1/key-possession", &parts)
    }

    /// Whether the new key has signed. That a signature is there exactly if it must be is a rule
    /// of the body.
    pub fn verify_possession(&self, chain: ChainId) -> Result<(), SignatureError> {
        match (&self.key, &self.possession) {
            (PublicKey::Signing(purpose, key), Some(signature)) => {
                key.verify(*purpose, &self.possession_digest(chain), signature)
            }
            (PublicKey::Signing(..), None) | (PublicKey::Sealing(_), _) => Ok(()),
        }
    }
}

impl Encode for Governance {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.number);
        self.effective.encode(out);
        out.list(&self.changes);
        out.list(&self.approvals);
    }
}

impl Decode for Governance {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: input.u64("number of a decision")?,
            effective: Height::decode(input)?,
            changes: input.list(MAX_CHANGES, "changes")?,
            approvals: input.list(MAX_APPROVALS, "approvals")?,
        })
    }
}

impl Encode for Approval {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        self.key_fingerprint.encode(out);
    }
}

impl Decode for Approval {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let institution = InstitutionId::decode(input)?;
        Ok(Self { institution, key_fingerprint: Digest::decode(input)? })
    }
}

impl Encode for Change {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.tag());
        match self {
            Self::PutValidator { institution, power } => {
                institution.encode(out);
                out.u64(*power);
            }
            Self::RemoveValidator { institution }
            | Self::Suspend { institution }
            | Self::Readmit { institution } => institution.encode(out),
            Self::Admit { institution, roles, keys } => {
                institution.encode(out);
                encode_roles(roles, out);
                out.list(keys);
            }
            Self::SetRoles { institution, roles } => {
                institution.encode(out);
                encode_roles(roles, out);
            }
            Self::ReplaceKey { institution, key } => {
                institution.encode(out);
                key.encode(out);
            }
            Self::ListAsset { asset, terms } => {
                asset.encode(out);
                terms.encode(out);
            }
            Self::RetireAsset { asset } => asset.encode(out),
            Self::PutCommittee { id, committee } => {
                id.encode(out);
                committee.encode(out);
            }
            Self::RemoveCommittee { id } => id.encode(out),
            Self::SetLimits(limits) => limits.encode(out),
            Self::SetSettlementRule(rule) => rule.encode(out),
            Self::Withdraw { number } => out.u64(*number),
        }
    }
}

impl Change {
    const TAGS: u8 = 14;

    fn tag(&self) -> u8 {
        match self {
            Self::PutValidator { .. } => 0,
            Self::RemoveValidator { .. } => 1,
            Self::Admit { .. } => 2,
            Self::Suspend { .. } => 3,
            Self::Readmit { .. } => 4,
            Self::SetRoles { .. } => 5,
            Self::ReplaceKey { .. } => 6,
            Self::ListAsset { .. } => 7,
            Self::RetireAsset { .. } => 8,
            Self::PutCommittee { .. } => 9,
            Self::RemoveCommittee { .. } => 10,
            Self::SetLimits(_) => 11,
            Self::SetSettlementRule(_) => 12,
            Self::Withdraw { .. } => 13,
        }
    }
}

impl Decode for Change {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.tag(Self::TAGS, "change")? {
            0 => Self::PutValidator {
                institution: InstitutionId::decode(input)?,
                power: input.u64("voting power")?,
            },
            1 => Self::RemoveValidator { institution: InstitutionId::decode(input)? },
            2 => Self::Admit {
                institution: InstitutionId::decode(input)?,
                roles: decode_roles(input)?,
                keys: input.list(MAX_USES, "keys")?,
            },
            3 => Self::Suspend { institution: InstitutionId::decode(input)? },
            4 => Self::Readmit { institution: InstitutionId::decode(input)? },
            5 => Self::SetRoles {
                institution: InstitutionId::decode(input)?,
                roles: decode_roles(input)?,
            },
            6 => Self::ReplaceKey {
                institution: InstitutionId::decode(input)?,
                key: PublicKey::decode(input)?,
            },
            7 => Self::ListAsset { asset: AssetId::decode(input)?, terms: Asset::decode(input)? },
            8 => Self::RetireAsset { asset: AssetId::decode(input)? },
            9 => Self::PutCommittee {
                id: CommitteeId::decode(input)?,
                committee: Committee::decode(input)?,
            },
            10 => Self::RemoveCommittee { id: CommitteeId::decode(input)? },
            11 => Limits::decode(input).map(Self::SetLimits)?,
            12 => SettlementRule::decode(input).map(Self::SetSettlementRule)?,
            _ => Self::Withdraw { number: input.u64("number of a decision")? },
        })
    }
}

fn encode_roles(roles: &BTreeSet<Role>, out: &mut Writer) {
    out.list(&roles.iter().copied().collect::<Vec<_>>());
}

impl Encode for KeyRotation {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        self.key_fingerprint.encode(out);
        self.key.encode(out);
        self.effective.encode(out);
        out.option(self.possession.as_ref());
    }
}

impl Decode for KeyRotation {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            institution: InstitutionId::decode(input)?,
            key_fingerprint: Digest::decode(input)?,
            key: PublicKey::decode(input)?,
            effective: Height::decode(input)?,
            possession: input.option("proof of possession")?,
        })
    }
}
