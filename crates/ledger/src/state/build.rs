//! States from records: at the start, after a block, and again from storage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use rayon::prelude::*;
use thiserror::Error;

use super::pending::Pending;
use super::records::{Key, Record};
use super::registry::{Chain, Institution, RegisteredKey};
use super::{Changes, Leaf, SettlementRule, State};
use crate::genesis::{Genesis, GenesisError};
use crate::ids::{AccountId, CreditId, Height, InstitutionId};
use crate::tree::{Tree, Write, value_hash};

/// Fewer records than this are not worth a second processor.
const SMALLEST_SHARE: usize = 64;

/// Why records do not make a state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateError {
    /// The genesis contradicts itself.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// A record that every state has is missing.
    #[error("there is no record {0:?}")]
    Missing(Key),
    /// The pending credits of an account are not those that its record has the root of.
    #[error("{account}: the pending credits have the root {found}, the account says {expected}")]
    PendingRoot {
        /// Which account.
        account: AccountId,
        /// The root in the account's record.
        expected: Digest,
        /// The root of the credits.
        found: Digest,
    },
    /// A pending credit has an impossible number, or pends there already.
    #[error("{account}: credit {credit} cannot pend with number {number}")]
    CreditMisplaced {
        /// On which account.
        account: AccountId,
        /// Which credit.
        credit: CreditId,
        /// Its number.
        number: u64,
    },
    /// A credit is removed that does not pend.
    #[error("{account}: there is no pending credit number {number}")]
    CreditMissing {
        /// On which account.
        account: AccountId,
        /// Its number.
        number: u64,
    },
    /// Pending credits change but the account does not.
    #[error("{account}: pending credits without a record of the account")]
    CreditWithoutAccount {
        /// Which account.
        account: AccountId,
    },
    /// Two institutions have one number.
    #[error("{one} and {two} both have the number {number}")]
    NumberTwice {
        /// One of them.
        one: InstitutionId,
        /// The other.
        two: InstitutionId,
        /// The number.
        number: u32,
    },
    /// One key is registered twice.
    #[error("{institution}: key {fingerprint} is registered already")]
    KeyTwice {
        /// Whose second registration it is.
        institution: InstitutionId,
        /// Which key.
        fingerprint: Digest,
    },
}

impl State {
    /// The state at height 0. Its accounts are all empty, so none is on record.
    pub fn genesis(genesis: &Genesis) -> Result<Self, StateError> {
        genesis.check()?;
        let mut changes = Changes::new();
        changes.put(Record::Chain(Chain { id: genesis.chain_id(), suite: genesis.suite }));
        changes.put(Record::Limits(genesis.limits));
        changes.put(Record::Validators(genesis.validators.clone()));
        for (number, (id, entry)) in (1..).zip(&genesis.institutions) {
            let keys = entry.keys.iter().cloned();
            let keys = keys.map(|key| RegisteredKey::new(key, Height::GENESIS)).collect();
            let institution = Institution { number, roles: entry.roles.clone(), keys };
            changes.put(Record::Institution(*id, institution));
        }
        for (id, asset) in &genesis.assets {
            changes.put(Record::Asset(*id, *asset));
        }
        for (id, committee) in &genesis.committees {
            changes.put(Record::Committee(*id, committee.clone()));
        }
        Self::after(None, &changes)
    }

    /// The state that consists of these records: what storage has kept of all [`Changes`].
    ///
    /// Whoever calls compares the root with that of the latest block.
    pub fn from_records(records: impl IntoIterator<Item = Record>) -> Result<Self, StateError> {
        let changes = records.into_iter().collect();
        Self::after(None, &changes)
    }

    /// The state after `changes`.
    pub fn replay(&self, changes: &Changes) -> Result<Self, StateError> {
        Self::after(Some(self), changes)
    }

    fn after(base: Option<&Self>, changes: &Changes) -> Result<Self, StateError> {
        let mut pending = pending_after(base, changes)?;
        let mut accounts = BTreeMap::new();
        for (key, record) in changes.iter() {
            let (Key::Account(id), Some(Record::Account(_, account))) = (key, record) else {
                continue;
            };
            let credits = pending.remove(id).unwrap_or_else(|| pending_of(base, id));
            let (expected, found) = (account.pending_root, credits.root());
            if expected != found {
                return Err(StateError::PendingRoot { account: *id, expected, found });
            }
            accounts.insert(*id, credits);
        }
        match pending.into_keys().next() {
            Some(account) => Err(StateError::CreditWithoutAccount { account }),
            None => Self::install(base, changes, accounts),
        }
    }

    /// The state after `changes`, where `pending` has the credits of each account in them.
    pub(crate) fn install(
        base: Option<&Self>,
        changes: &Changes,
        mut pending: BTreeMap<AccountId, Pending>,
    ) -> Result<Self, StateError> {
        let writes: Vec<_> = changes
            .iter()
            .map(|(key, record)| {
                let pending = match key {
                    Key::Account(id) => pending.remove(id).unwrap_or_default(),
                    _ => Pending::default(),
                };
                (key, record, pending)
            })
            .collect();
        let writes = writes.into_par_iter().with_min_len(SMALLEST_SHARE);
        let writes: Vec<_> = writes
            .filter_map(|(key, record, pending)| {
                let write = record.map_or(Write::Remove, |record| Write::Put {
                    value_hash: value_hash(&record.to_bytes()),
                    value: Leaf { record: record.clone(), pending },
                });
                Some((key.leaf()?, write))
            })
            .collect();
        let tree = base.map(|base| base.tree.clone()).unwrap_or_default().update(writes);
        Self::with_indexes(base, changes, tree)
    }

    /// Brings what is derived from the records up to date.
    fn with_indexes(
        base: Option<&Self>,
        changes: &Changes,
        tree: Tree<Leaf>,
    ) -> Result<Self, StateError> {
        let mut state = match base {
            Some(base) => Self { tree, ..base.clone() },
            None => Self::first(changes, tree)?,
        };
        for (key, record) in changes.iter() {
            match (key, record) {
                (_, Some(Record::Chain(chain))) => state.chain = *chain,
                (_, Some(Record::Limits(limits))) => state.limits = *limits,
                (_, Some(Record::Validators(set))) => state.validators = Arc::new(set.clone()),
                (_, Some(Record::Institution(id, institution))) => {
                    state.register(*id, institution, base)?;
                }
                (_, Some(Record::Round(id, round))) => {
                    Arc::make_mut(&mut state.deadlines).insert((round.terms.deadline, *id));
                }
                (Key::Round(id), None) => {
                    if let Some(round) = base.and_then(|base| base.round(id)) {
                        let entry = (round.terms.deadline, *id);
                        Arc::make_mut(&mut state.deadlines).remove(&entry);
                    }
                }
                (key, record) => state.index(key, record),
            }
        }
        Ok(state)
    }

    /// Enters a record, or that it is gone, into the indexes of what governance decides.
    fn index(&mut self, key: &Key, record: Option<&Record>) {
        match (key, record) {
            (Key::Asset(id), _) => note(&mut self.assets, *id, record.is_some()),
            (Key::Committee(id), _) => note(&mut self.committees, *id, record.is_some()),
            (Key::Decision(effective, number), _) => {
                note(&mut self.scheduled, (*effective, *number), record.is_some());
            }
            (_, Some(Record::Suspension(id, since))) => {
                Arc::make_mut(&mut self.suspended).insert(*id, *since);
            }
            (Key::Suspension(id), None) => drop(Arc::make_mut(&mut self.suspended).remove(id)),
            (_, Some(Record::Retirement(id, since))) => {
                Arc::make_mut(&mut self.retired).insert(*id, *since);
            }
            (Key::Retirement(id), None) => drop(Arc::make_mut(&mut self.retired).remove(id)),
            (_, Some(Record::SettlementRule(rule))) => self.rule = Arc::new(rule.clone()),
            (Key::SettlementRule, None) => self.rule = Arc::new(SettlementRule::default()),
            _ => {}
        }
    }

    /// A state without base: chain, limits and validators must be among the records.
    fn first(changes: &Changes, tree: Tree<Leaf>) -> Result<Self, StateError> {
        let find = |key| changes.get(&key).flatten().ok_or(StateError::Missing(key));
        let Record::Chain(chain) = find(Key::Chain)? else {
            return Err(StateError::Missing(Key::Chain));
        };
        let Record::Limits(limits) = find(Key::Limits)? else {
            return Err(StateError::Missing(Key::Limits));
        };
        let Record::Validators(validators) = find(Key::Validators)? else {
            return Err(StateError::Missing(Key::Validators));
        };
        Ok(Self {
            tree,
            chain: *chain,
            limits: *limits,
            validators: Arc::new(validators.clone()),
            keys: Arc::default(),
            numbers: Arc::default(),
            deadlines: Arc::default(),
            assets: Arc::default(),
            committees: Arc::default(),
            scheduled: Arc::default(),
            suspended: Arc::default(),
            retired: Arc::default(),
            rule: Arc::default(),
        })
    }

    /// Enters an institution, new or changed, into the indexes.
    fn register(
        &mut self,
        id: InstitutionId,
        institution: &Institution,
        base: Option<&Self>,
    ) -> Result<(), StateError> {
        let number = institution.number;
        match Arc::make_mut(&mut self.numbers).insert(number, id) {
            Some(one) if one != id => {
                return Err(StateError::NumberTwice { one, two: id, number });
            }
            _ => {}
        }
        let earlier = base.and_then(|base| base.institution(&id));
        let known = earlier.map_or(0, |earlier| earlier.keys.len());
        let keys = Arc::make_mut(&mut self.keys);
        for registered in institution.keys.iter().skip(known) {
            let fingerprint = registered.fingerprint();
            if keys.insert(fingerprint, id).is_some() {
                return Err(StateError::KeyTwice { institution: id, fingerprint });
            }
        }
        Ok(())
    }
}

/// Whether `item` is in the set, from now on.
fn note<T: Ord + Clone>(set: &mut Arc<BTreeSet<T>>, item: T, present: bool) {
    match present {
        true => Arc::make_mut(set).insert(item),
        false => Arc::make_mut(set).remove(&item),
    };
}

fn pending_of(base: Option<&State>, id: &AccountId) -> Pending {
    base.and_then(|base| base.pending(id)).cloned().unwrap_or_default()
}

/// The pending credits of every account whose credits are written.
fn pending_after(
    base: Option<&State>,
    changes: &Changes,
) -> Result<BTreeMap<AccountId, Pending>, StateError> {
    let mut all: BTreeMap<AccountId, Pending> = BTreeMap::new();
    let credits = changes.iter().filter_map(|(key, record)| match (key, record) {
        (Key::Credit(account, number), record) => Some((*account, *number, record)),
        _ => None,
    });
    let (puts, removals): (Vec<_>, Vec<_>) = credits.partition(|(.., record)| record.is_some());
    for (account, number, _) in removals {
        let pending = all.entry(account).or_insert_with(|| pending_of(base, &account));
        let id = pending.by_number(number).map(|credit| credit.id);
        if id.and_then(|id| pending.remove(&id)).is_none() {
            return Err(StateError::CreditMissing { account, number });
        }
    }
    for (account, number, record) in puts {
        let Some(Record::Credit(_, credit)) = record else { continue };
        let pending = all.entry(account).or_insert_with(|| pending_of(base, &account));
        if !pending.insert((**credit).clone()) {
            return Err(StateError::CreditMisplaced { account, credit: credit.id, number });
        }
    }
    Ok(all)
}
