//! The state of the ledger: everything that decides validity, under one root.
//!
//! Typed records ([`Record`]) lie in the authenticated map of [`crate::tree`], each under the hash
//! of its [`Key`]. The only records outside are pending credits: per account they form a list in
//! the order of their arrival, whose root is part of the account's record.
//!
//! A [`State`] is immutable and cheap to clone. Execution ([`crate::execute`]) makes the next one
//! beside it, together with the [`Changes`] between the two.

mod account;
mod build;
mod changes;
mod governance;
mod pending;
mod records;
mod registry;
mod round;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{Purpose, VerifyingKey};

pub use account::{Account, Event, EventKind, Lock};
pub use build::StateError;
pub use changes::Changes;
pub use governance::{Decision, MAX_PROGRAMS, MAX_SCHEDULED, SettlementRule};
pub use pending::{Pending, PendingCredit};
pub use records::{Key, Record};
pub(crate) use registry::decode_roles;
pub use registry::{
    Asset, Chain, Committee, Institution, Limits, MAX_DECIMALS, MAX_KEYS, MAX_PARTIES, MAX_USES,
    PublicKey, RESERVED_KEYS, RegisteredKey, Role,
};
pub use round::{MAX_MEMBERS, Member, Round, Settled};

use crate::certificate::ValidatorSet;
use crate::ids::{AccountId, AssetId, CommitteeId, Height, InstitutionId, RoundId};
use crate::tree::{self, Tree};
use crate::verify::Directory;

/// The state after some block.
#[derive(Debug, Clone)]
pub struct State {
    tree: Tree<Leaf>,
    chain: Chain,
    limits: Limits,
    validators: Arc<ValidatorSet>,
    /// Whose key each fingerprint is, of all keys ever registered.
    keys: Arc<BTreeMap<Digest, InstitutionId>>,
    /// The institutions by their number.
    numbers: Arc<BTreeMap<u32, InstitutionId>>,
    /// All rounds with their deadlines, the earliest first.
    deadlines: Arc<BTreeSet<(Height, RoundId)>>,
    /// The names of all assets and committees.
    assets: Arc<BTreeSet<AssetId>>,
    committees: Arc<BTreeSet<CommitteeId>>,
    /// Decisions that wait, by height and number.
    scheduled: Arc<BTreeSet<(Height, u64)>>,
    /// Who and what is suspended or retired, and from which heights on.
    suspended: Arc<BTreeMap<InstitutionId, Height>>,
    retired: Arc<BTreeMap<AssetId, Height>>,
    rule: Arc<SettlementRule>,
}

/// A record with what its leaf only has the root of.
#[derive(Debug)]
struct Leaf {
    record: Record,
    /// The account's pending credits; empty for all other records.
    pending: Pending,
}

impl State {
    /// The hash that a block header names.
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// Which chain this is.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The chain's limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Who decides on the next block.
    pub fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// The institution with this id.
    pub fn institution(&self, id: &InstitutionId) -> Option<&Institution> {
        match self.record(&Key::Institution(*id))? {
            Record::Institution(_, institution) => Some(institution),
            _ => None,
        }
    }

    /// All institutions, in the order of their numbers.
    pub fn institutions(&self) -> impl Iterator<Item = (InstitutionId, &Institution)> {
        self.numbers.values().filter_map(|id| Some((*id, self.institution(id)?)))
    }

    /// The number of the institution that was registered last.
    pub(crate) fn last_number(&self) -> Option<u32> {
        self.numbers.last_key_value().map(|(number, _)| *number)
    }

    /// The institution with this number in the register.
    pub fn institution_by_number(&self, number: u32) -> Option<InstitutionId> {
        self.numbers.get(&number).copied()
    }

    /// Who has registered the key with this fingerprint.
    pub fn key_owner(&self, fingerprint: &Digest) -> Option<InstitutionId> {
        self.keys.get(fingerprint).copied()
    }

    /// The asset with this id.
    pub fn asset(&self, id: &AssetId) -> Option<&Asset> {
        match self.record(&Key::Asset(*id))? {
            Record::Asset(_, asset) => Some(asset),
            _ => None,
        }
    }

    /// The committee with this number.
    pub fn committee(&self, id: CommitteeId) -> Option<&Committee> {
        match self.record(&Key::Committee(id))? {
            Record::Committee(_, committee) => Some(committee),
            _ => None,
        }
    }

    /// The names of all assets.
    pub fn assets(&self) -> impl Iterator<Item = AssetId> {
        self.assets.iter().copied()
    }

    /// The numbers of all committees.
    pub fn committees(&self) -> impl Iterator<Item = CommitteeId> {
        self.committees.iter().copied()
    }

    /// From which height on the institution is suspended, if it is.
    pub fn suspended(&self, id: &InstitutionId) -> Option<Height> {
        self.suspended.get(id).copied()
    }

    /// From which height on the asset is retired, if it is.
    pub fn retired(&self, id: &AssetId) -> Option<Height> {
        self.retired.get(id).copied()
    }

    /// What settlements must carry.
    pub fn settlement_rule(&self) -> &SettlementRule {
        &self.rule
    }

    /// The number of the last decision that was included; 0 before the first.
    pub fn last_decision(&self) -> u64 {
        match self.record(&Key::Governance) {
            Some(Record::Governance(number)) => *number,
            _ => 0,
        }
    }

    /// The decisions that wait: height, number, contents, in the order in which they take effect.
    pub fn scheduled(&self) -> impl Iterator<Item = (Height, u64, &Decision)> {
        self.scheduled.iter().filter_map(|(effective, number)| {
            match self.record(&Key::Decision(*effective, *number))? {
                Record::Decision(_, _, decision) => Some((*effective, *number, &**decision)),
                _ => None,
            }
        })
    }

    /// The account, if it has ever posted or been credited. If not, it stands at
    /// [`Account::default`].
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        match self.record(&Key::Account(*id))? {
            Record::Account(_, account) => Some(account),
            _ => None,
        }
    }

    /// The credits pending on an account; `None` where [`Self::account`] is.
    pub fn pending(&self, id: &AccountId) -> Option<&Pending> {
        self.leaf(&Key::Account(*id)).map(|leaf| &leaf.pending)
    }

    /// All accounts with their pending credits, in no particular order.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, &Account, &Pending)> {
        self.tree.values().filter_map(|leaf| match &leaf.record {
            Record::Account(id, account) => Some((*id, &**account, &leaf.pending)),
            _ => None,
        })
    }

    /// The round, if it is open or was not long ago.
    pub fn round(&self, id: &RoundId) -> Option<&Round> {
        match self.record(&Key::Round(*id))? {
            Record::Round(_, round) => Some(round),
            _ => None,
        }
    }

    /// All rounds on record, by deadline.
    pub fn rounds(&self) -> impl Iterator<Item = (RoundId, &Round)> {
        self.deadlines.iter().filter_map(|(_, id)| Some((*id, self.round(id)?)))
    }

    /// The record under a key that has a leaf of its own.
    pub fn record(&self, key: &Key) -> Option<&Record> {
        self.leaf(key).map(|leaf| &leaf.record)
    }

    /// Shows what this state holds under `key`, or that it holds nothing; see [`Key::verify`].
    /// `None` for pending credits: prove the account, and the credit by [`Pending::prove`].
    pub fn prove(&self, key: &Key) -> Option<tree::Proof> {
        key.leaf().map(|leaf| self.tree.prove(&leaf))
    }

    /// Everything, as writes to an empty state.
    pub fn to_changes(&self) -> Changes {
        let mut changes = Changes::new();
        for leaf in self.tree.values() {
            changes.put(leaf.record.clone());
            if let Record::Account(id, _) = &leaf.record {
                let credits = leaf.pending.iter().cloned();
                credits.for_each(|credit| changes.put(Record::Credit(*id, Box::new(credit))));
            }
        }
        changes
    }

    /// The rounds whose records are no longer kept at `height`; see [`Round::kept_until`].
    pub(crate) fn stale_rounds(&self, height: Height) -> impl Iterator<Item = RoundId> {
        let max_expiry = self.limits.max_expiry;
        let stale = move |(deadline, _): &&(Height, RoundId)| deadline.plus(max_expiry) < height;
        self.deadlines.iter().take_while(stale).map(|(_, id)| *id)
    }

    fn leaf(&self, key: &Key) -> Option<&Leaf> {
        self.tree.get(&key.leaf()?)
    }
}

/// Two states are equal if their roots are.
impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.root() == other.root()
    }
}

impl Eq for State {}

impl Directory for State {
    fn transaction_key(
        &self,
        institution: InstitutionId,
        fingerprint: &Digest,
    ) -> Option<&VerifyingKey> {
        match self.institution(&institution)?.key(fingerprint)?.key() {
            PublicKey::Signing(Purpose::Transaction, key) => Some(key),
            _ => None,
        }
    }

    fn issuer(&self, asset: AssetId) -> Option<InstitutionId> {
        self.asset(&asset).map(|asset| asset.issuer)
    }
}
