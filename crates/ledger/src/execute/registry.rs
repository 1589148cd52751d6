//! The records that governance decides on, as they stand within a block, and what is to come.

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::digest::Digest;
use quittance_crypto::planted;
use quittance_crypto::signature::Purpose;

use crate::certificate::{Validator, ValidatorSet};
use crate::ids::{AssetId, CommitteeId, Height, InstitutionId};
use crate::state::{
    Asset, Changes, Committee, Decision, Institution, Key, MAX_KEYS, PublicKey, Record,
    RegisteredKey, State,
};
use crate::transaction::ChangeError;

/// The base, read through what has been written. Cheap to clone: governance writes little.
#[derive(Clone)]
pub(super) struct Registry<'a> {
    base: &'a State,
    writes: BTreeMap<Key, Option<Record>>,
    /// Keys registered by these writes.
    fresh: BTreeSet<Digest>,
}

/// A decision that could not take effect, and the position of the change in its way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub number: u64,
    pub index: u32,
    pub source: ChangeError,
}

impl<'a> Registry<'a> {
    pub(super) fn new(base: &'a State) -> Self {
        Self { base, writes: BTreeMap::new(), fresh: BTreeSet::new() }
    }

    /// Who decides the block: decisions within it change nothing about that.
    pub(super) fn deciding(&self) -> &ValidatorSet {
        self.base.validators()
    }

    fn record(&self, key: Key) -> Option<&Record> {
        match self.writes.get(&key) {
            Some(written) => written.as_ref(),
            None => self.base.record(&key),
        }
    }

    pub(super) fn put(&mut self, record: Record) {
        self.writes.insert(record.key(), Some(record));
    }

    /// Removes a record that is there. A removal of what the base never had would be a write of
    /// nothing.
    pub(super) fn remove(&mut self, key: Key) {
        match self.base.record(&key) {
            Some(_) => self.writes.insert(key, None),
            None => self.writes.remove(&key),
        };
    }

    pub(super) fn has(&self, key: Key) -> bool {
        self.record(key).is_some()
    }

    pub(super) fn institution(&self, id: InstitutionId) -> Option<&Institution> {
        match self.record(Key::Institution(id))? {
            Record::Institution(_, institution) => Some(institution),
            _ => None,
        }
    }

    pub(super) fn asset(&self, id: AssetId) -> Option<&Asset> {
        match self.record(Key::Asset(id))? {
            Record::Asset(_, asset) => Some(asset),
            _ => None,
        }
    }

    pub(super) fn validators(&self) -> &ValidatorSet {
        match self.record(Key::Validators) {
            Some(Record::Validators(set)) => set,
            _ => self.base.validators(),
        }
    }

    pub(super) fn last_decision(&self) -> u64 {
        match self.record(Key::Governance) {
            Some(Record::Governance(number)) => *number,
            _ => 0,
        }
    }

    fn committee(&self, id: CommitteeId) -> Option<&Committee> {
        match self.record(Key::Committee(id))? {
            Record::Committee(_, committee) => Some(committee),
            _ => None,
        }
    }

    /// The names that `select` finds in the keys of records which are there: `base`, less what was
    /// removed, and what was added.
    fn names<T: Ord>(
        &self,
        base: impl Iterator<Item = T>,
        select: impl Fn(&Key) -> Option<T>,
    ) -> BTreeSet<T> {
        let mut names: BTreeSet<T> = base.collect();
        for (key, record) in &self.writes {
            match (select(key), record) {
                (Some(name), Some(_)) => drop(names.insert(name)),
                (Some(name), None) => drop(names.remove(&name)),
                (None, _) => {}
            }
        }
        names
    }

    pub(super) fn assets(&self) -> BTreeSet<AssetId> {
        self.names(self.base.assets(), |key| match key {
            Key::Asset(id) => Some(*id),
            _ => None,
        })
    }

    pub(super) fn committees(&self) -> BTreeSet<CommitteeId> {
        self.names(self.base.committees(), |key| match key {
            Key::Committee(id) => Some(*id),
            _ => None,
        })
    }

    /// The decisions that wait, by height and number.
    pub(super) fn scheduled(&self) -> BTreeSet<(Height, u64)> {
        let base = self.base.scheduled().map(|(effective, number, _)| (effective, number));
        self.names(base, |key| match key {
            Key::Decision(effective, number) => Some((*effective, *number)),
            _ => None,
        })
    }

    /// The first committee that the institution is a party of.
    pub(super) fn committee_of(&self, institution: InstitutionId) -> Option<CommitteeId> {
        self.committees().into_iter().find(|id| {
            self.committee(*id).is_some_and(|committee| committee.parties.contains(&institution))
        })
    }

    /// The first asset that the institution issues.
    pub(super) fn asset_of(&self, institution: InstitutionId) -> Option<AssetId> {
        let issues = |id: &AssetId| self.asset(*id).is_some_and(|it| it.issuer == institution);
        self.assets().into_iter().find(issues)
    }

    /// Institutions of the register, and the number of the last one.
    pub(super) fn last_number(&self) -> u32 {
        let written = self.writes.values().filter_map(|record| match record {
            Some(Record::Institution(_, institution)) => Some(institution.number),
            _ => None,
        });
        written.chain(self.base.last_number()).max().unwrap_or(0)
    }

    /// Gives the institution one more key.
    pub(super) fn register(
        &mut self,
        id: InstitutionId,
        key: PublicKey,
        active_from: Height,
    ) -> Result<(), ChangeError> {
        let unknown = ChangeError::UnknownInstitution { institution: id };
        let mut institution = self.institution(id).ok_or(unknown)?.clone();
        if institution.keys.len() >= MAX_KEYS {
            return Err(ChangeError::TooMany { what: "keys", limit: MAX_KEYS });
        }
        self.claim(&key)?;
        institution.keys.push(RegisteredKey::new(key, active_from));
        self.put(Record::Institution(id, institution));
        Ok(())
    }

    /// Nobody has registered the key before.
    pub(super) fn claim(&mut self, key: &PublicKey) -> Result<(), ChangeError> {
        let fingerprint = key.fingerprint();
        match self.base.key_owner(&fingerprint).is_none() && self.fresh.insert(fingerprint) {
            true => Ok(()),
            false => Err(ChangeError::KeyTaken { fingerprint }),
        }
    }

    /// Takes a decision off the schedule.
    fn take(&mut self, (effective, number): (Height, u64)) -> Option<Decision> {
        let key = Key::Decision(effective, number);
        let decision = match self.record(key)? {
            Record::Decision(_, _, decision) => (**decision).clone(),
            _ => return None,
        };
        self.remove(key);
        Some(decision)
    }

    /// Lets a decision take effect as a whole, or not at all.
    fn decide(&mut self, place: (Height, u64)) -> Result<(), Obstacle> {
        let (effective, number) = place;
        let Some(decision) = self.take(place) else { return Ok(()) };
        let mut after = self.clone();
        for (index, change) in (0u32..).zip(&decision.changes) {
            let made = after.change(change, effective);
            made.map_err(|source| Obstacle { number, index, source })?;
        }
        *self = after;
        Ok(())
    }

    /// Whether all decisions that wait could take effect, one after the other.
    pub(super) fn rehearse(&self) -> Result<(), Obstacle> {
        let mut all = self.clone();
        while let Some(next) = all.scheduled().pop_first() {
            all.decide(next)?;
        }
        Ok(())
    }

    /// Lets the decisions for `next` take effect, in the order of their numbers, and gives each
    /// validator the vote key that its institution then has.
    ///
    /// Each decision was rehearsed when it was included, and so was whatever came after it. If one
    /// could not take effect all the same, it would lapse as a whole.
    pub(super) fn turn(&mut self, next: Height) {
        let until = planted!("decision-early", next.next(), next);
        let due = self.scheduled().into_iter().filter(|(effective, _)| *effective <= until);
        for place in due.collect::<Vec<_>>() {
            drop(self.decide(place));
        }
        let validators = self.validators().validators();
        let renewed: Vec<Validator> =
            validators.iter().map(|validator| self.renewed(validator, next)).collect();
        if renewed != validators {
            // Keys are registered once, so no two validators have the same.
            if let Ok(set) = ValidatorSet::new(renewed) {
                self.put(Record::Validators(set));
            }
        }
    }

    fn renewed(&self, validator: &Validator, height: Height) -> Validator {
        let institution = self.institution(validator.institution);
        let key = institution.and_then(|one| one.signing_key(Purpose::Vote, height));
        match key.map(RegisteredKey::key) {
            Some(PublicKey::Signing(_, key)) => Validator { key: key.clone(), ..validator.clone() },
            _ => validator.clone(),
        }
    }

    /// Adds what was written to the changes of the block.
    pub(super) fn finish(self, changes: &mut Changes) {
        for (key, record) in self.writes {
            match record {
                Some(record) => changes.put(record),
                None => changes.remove(key),
            }
        }
    }
}
