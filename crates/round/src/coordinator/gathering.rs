//! Who takes part: banks join on the ledger, deal to the parties, and say so.

use std::collections::{BTreeMap, BTreeSet};

use quittance_ledger::ids::InstitutionId;
use quittance_ledger::state::Role;

use super::computing;
use super::stage::{Next, Taken};
use super::words::{Holding, Words};
use super::{Failure, ReportError, Scene};
use crate::book::RoundFacts;
use crate::message::Report;
use crate::start::MIN_ROSTER;

#[derive(Default)]
pub(super) struct Gathering {
    /// When the opening was seen on the ledger.
    opened_ms: Option<u64>,
    /// The dealings that enough parties have settled.
    dealt: BTreeMap<InstitutionId, Holding>,
    /// Dealings of banks that this coordinator has not seen on the ledger yet.
    early: BTreeMap<InstitutionId, Words>,
    declined: BTreeSet<InstitutionId>,
}

impl Gathering {
    pub(super) fn take(
        &mut self,
        scene: &Scene<'_>,
        from: InstitutionId,
        report: Report,
    ) -> Result<Taken, ReportError> {
        match report {
            Report::Declined { .. } => {
                self.dealt.remove(&from);
                self.early.remove(&from);
                self.declined.insert(from);
            }
            Report::Dealt { acknowledgements, complaints, .. } => {
                let words = Words { acknowledgements, complaints };
                match scene.facts {
                    Some(facts) if facts.members.contains_key(&from) => {
                        self.keep(from, words.check(scene.turn.book, facts, from)?)?;
                    }
                    // At most as many as have a connection.
                    _ => drop(self.early.insert(from, words)),
                }
            }
            _ => unreachable!("other reports do not belong to gathering"),
        }
        Ok(Taken::Kept)
    }

    /// More parties may settle the same dealing later.
    fn keep(&mut self, from: InstitutionId, holding: Holding) -> Result<(), ReportError> {
        match self.dealt.get_mut(&from) {
            Some(kept) if kept.dealing != holding.dealing => return Err(ReportError::Repeated),
            Some(kept) => kept.holders.extend(holding.holders),
            None => drop(self.dealt.insert(from, holding)),
        }
        self.declined.remove(&from);
        Ok(())
    }

    /// Sees what the ledger says by now; gives what turns out to be wrong.
    pub(super) fn look(&mut self, scene: &Scene<'_>) -> BTreeMap<InstitutionId, ReportError> {
        let mut faults = BTreeMap::new();
        let Some(facts) = scene.facts else { return faults };
        self.opened_ms.get_or_insert(scene.turn.now_ms);
        let joined: Vec<_> =
            self.early.keys().filter(|bank| facts.members.contains_key(bank)).copied().collect();
        for bank in joined {
            let Some(words) = self.early.remove(&bank) else { continue };
            let kept = words
                .check(scene.turn.book, facts, bank)
                .map_err(ReportError::from)
                .and_then(|holding| self.keep(bank, holding));
            faults.extend(kept.err().map(|fault| (bank, fault)));
        }
        faults
    }

    fn is_time_over(&self, scene: &Scene<'_>) -> bool {
        let since = self.opened_ms.unwrap_or(scene.since_ms);
        scene.turn.now_ms.saturating_sub(since) >= scene.cast.timing.gather_ms
    }

    pub(super) fn is_ready(&self, scene: &Scene<'_>) -> bool {
        let all_here = scene.facts.is_some_and(|facts| {
            self.dealt.len() >= minimum(facts) && self.missing(scene).is_empty()
        });
        all_here || self.is_time_over(scene)
    }

    /// Participants that attend or have joined, and have not answered.
    pub(super) fn missing(&self, scene: &Scene<'_>) -> Vec<InstitutionId> {
        let registry = scene.turn.book.registry();
        let participates = |id: &&InstitutionId| {
            let register = registry.institution(id);
            register.is_some_and(|register| register.roles.contains(&Role::Participant))
        };
        let attending = scene.cast.attending.iter().filter(participates);
        let members = scene.facts.into_iter().flat_map(|facts| facts.members.keys());
        let expected: BTreeSet<_> = attending.chain(members).copied().collect();
        let answered =
            |id: &InstitutionId| self.dealt.contains_key(id) || self.declined.contains(id);
        expected.into_iter().filter(|id| !answered(id)).collect()
    }

    pub(super) fn next(self, scene: &Scene<'_>) -> Result<Next, Failure> {
        let facts = scene.facts.ok_or(Failure::NotOpened)?;
        let (found, minimum) = (self.dealt.len(), minimum(facts));
        if found < minimum {
            return Err(Failure::TooFew { found, minimum });
        }
        computing::begin(scene, 0, self.dealt, minimum)
    }
}

fn minimum(facts: &RoundFacts) -> usize {
    usize::from(facts.terms.minimum_roster).max(MIN_ROSTER)
}

/// The round's committee, in order.
pub(super) fn parties(facts: &RoundFacts) -> &[InstitutionId] {
    &facts.committee.parties
}
