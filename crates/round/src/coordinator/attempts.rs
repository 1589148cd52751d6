//! Which parties compute, attempt by attempt.
//!
//! A failed attempt leaves words of parties about others: whose messages were missing or wrong. Such
//! a word convinces nobody. Where a message was wrong, either the named party is at fault, or the
//! one that names it, or the network between them, which both need. So the next attempt is made
//! without one of each such pair, as far as the committee has parties to spare.
//!
//! *Missing* says less: an honest party that a liar keeps waiting is missing for the others, which
//! are honest as well. So a liar can have an honest party left out in its place, once for each
//! attempt. The choice is a matter of getting on, not of safety.

use std::collections::BTreeSet;

use quittance_ledger::ids::InstitutionId;
use quittance_mpc::{ActiveSet, Parties, PartiesError, PartyId};

use super::{Failure, Scene};
use crate::settlement::Roll;
use crate::start::Roster;

/// What is known from the attempts of a round.
#[derive(Default)]
pub(super) struct Attempts {
    /// The number of the current one, from 0.
    number: u8,
    /// The roster of the first one, which stays.
    roster: Option<Roster>,
    /// Who has been proven to have contradicted itself.
    proven: BTreeSet<InstitutionId>,
    /// Who has named whom.
    named: BTreeSet<(InstitutionId, InstitutionId)>,
    /// Who has computed before.
    tried: Vec<ActiveSet>,
}

/// The committee of a round, as far as choices are made from it.
struct Candidates {
    parties: Parties,
    members: Vec<InstitutionId>,
}

impl Candidates {
    fn of(scene: &Scene<'_>) -> Result<Self, PartiesError> {
        let committee = scene.facts.and_then(|facts| scene.turn.book.committee(facts));
        let (members, threshold) = committee
            .map(|committee| (committee.parties.clone(), committee.threshold))
            .unwrap_or_default();
        Ok(Self { parties: Parties::new(members.len(), threshold)?, members })
    }

    fn members(&self, active: ActiveSet) -> BTreeSet<InstitutionId> {
        let member = |id: PartyId| self.members.get(id.position()).copied();
        active.ids().filter_map(member).collect()
    }
}

impl Attempts {
    pub(super) fn number(&self) -> u8 {
        self.number
    }

    /// An attempt has begun.
    pub(super) fn begun(&mut self, roll: &Roll) {
        self.roster.get_or_insert_with(|| roll.roster.clone());
        self.number = roll.attempt.number;
        self.tried.push(roll.active);
    }

    /// The next attempt's number and roster, if the terms allow for one.
    pub(super) fn next(&self, scene: &Scene<'_>) -> Option<(u8, Roster)> {
        let (facts, number) = (scene.facts?, self.number.checked_add(1)?);
        let allowed = number < facts.terms.attempts && !facts.is_over(scene.turn.book.height());
        allowed.then(|| self.roster.clone()).flatten().map(|roster| (number, roster))
    }

    /// Keeps what a failure says about parties; `coordinator` is who has seen it, if no party has.
    pub(super) fn note(&mut self, failure: &Failure, coordinator: InstitutionId) {
        match failure {
            Failure::PartyFailed { party, named, .. } => {
                self.named.extend(named.iter().map(|named| (*party, *named)));
            }
            Failure::Contradiction { party, .. } => drop(self.proven.insert(*party)),
            Failure::NoResult { institution, parties, .. } => {
                self.named.extend(parties.iter().map(|named| (*institution, *named)));
            }
            Failure::Disputed { parties } => {
                self.named.extend(parties.iter().map(|named| (coordinator, *named)));
            }
            Failure::TimedOut { missing, .. } => {
                let named = missing.iter().map(|missing| (coordinator, missing.institution));
                self.named.extend(named);
            }
            _ => {}
        }
    }

    /// Who computes: with the fewest parties that do not attend, then that have contradicted
    /// themselves, then with the fewest pairs of which one names the other, the fewest that are
    /// named, that name others, and not as before. The first of those that are equally good.
    pub(super) fn choose(&self, scene: &Scene<'_>) -> Result<ActiveSet, PartiesError> {
        let candidates = Candidates::of(scene)?;
        let cost = |active: &ActiveSet| {
            let members = candidates.members(*active);
            let inside = |who| members.contains(who);
            let pairs = self.named.iter().filter(|(by, named)| inside(by) && inside(named));
            let named: BTreeSet<_> = self.named.iter().map(|(_, named)| named).collect();
            let naming: BTreeSet<_> = self.named.iter().map(|(by, _)| by).collect();
            (
                members.difference(&scene.cast.attending).count(),
                self.proven.iter().filter(|who| inside(who)).count(),
                pairs.count(),
                named.into_iter().filter(|who| inside(who)).count(),
                naming.into_iter().filter(|who| inside(who)).count(),
                self.tried.contains(active),
            )
        };
        let best = candidates.parties.choices().min_by_key(cost);
        Ok(best.unwrap_or_else(|| candidates.parties.first_active()))
    }
}
