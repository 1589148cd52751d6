//! Which parties compute, attempt by attempt.
//!
//! A failed attempt leaves words of its parties: in which exchange each has ended, and whose messages
//! were missing or wrong there. Such a word convinces nobody.
//!
//! *The earliest exchange.* A liar that keeps one honest party waiting in exchange e makes it missing
//! for the others, in e + 1, since they have what it sent in e. So only what is said of the earliest
//! exchange counts. There either the named party is at fault, or the one that names it, or the network
//! between them, which both need; and the next attempt is made without one of each such pair, as far
//! as the committee has parties to spare.
//!
//! *Numbers that cannot be.* Nobody ends an exchange before it has the messages of all honest parties,
//! so the numbers of these differ by one at most. Of two parties whose numbers differ by more one lies;
//! and whoever is so contradicted by more than t others lies itself, as one of them is honest. What it
//! says does not count, and it is left out. The same holds of whoever makes pairs of either kind with
//! more than t others.
//!
//! What remains to a liar is to understate by one, and to name an honest party: then the two are a
//! pair, and nothing shows which is which. The choice is a matter of getting on, not of safety.

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::planted;
use quittance_ledger::ids::InstitutionId;
use quittance_mpc::{ActiveSet, Parties, PartiesError, PartyId};

use super::failure::PartyFailure;
use super::words::Holding;
use super::{Failure, Scene};
use crate::settlement::Roll;

/// What is known from the attempts of a round.
#[derive(Default)]
pub(super) struct Attempts {
    /// The number of the current one, from 0.
    number: u8,
    /// The dealings of the first one's roster, which stay.
    dealt: BTreeMap<InstitutionId, Holding>,
    /// Who has been proven to have contradicted itself, or more than t others.
    proven: BTreeSet<InstitutionId>,
    /// Who has named whom.
    named: BTreeSet<(InstitutionId, InstitutionId)>,
    /// Whose numbers of exchanges cannot both be.
    apart: BTreeSet<(InstitutionId, InstitutionId)>,
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
        let (members, threshold) = scene
            .facts
            .map(|facts| (facts.committee.parties.clone(), facts.committee.threshold))
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
    pub(super) fn begun(&mut self, roll: &Roll, dealt: &BTreeMap<InstitutionId, Holding>) {
        self.dealt.clone_from(dealt);
        self.number = roll.attempt.number;
        self.tried.push(roll.active);
    }

    /// The next attempt's number and dealings, if the terms allow for one.
    pub(super) fn next(&self, scene: &Scene<'_>) -> Option<(u8, BTreeMap<InstitutionId, Holding>)> {
        let (facts, number) = (scene.facts?, self.number.checked_add(1)?);
        let allowed = number < facts.terms.attempts && !facts.is_over(scene.turn.book.height());
        let begun = allowed && !self.dealt.is_empty();
        begun.then(|| (number, self.dealt.clone()))
    }

    /// Keeps what a failure says about parties; `coordinator` is who has seen it, if no party has.
    pub(super) fn note(&mut self, failure: &Failure, coordinator: InstitutionId) {
        match failure {
            Failure::NotComputed { threshold, words, silent } => {
                self.hear(usize::from(*threshold), words);
                self.named.extend(silent.iter().map(|silent| (coordinator, *silent)));
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

    /// Keeps what the active parties say of how the attempt has ended.
    fn hear(&mut self, threshold: usize, words: &[PartyFailure]) {
        let apart = |one: &PartyFailure, other: &PartyFailure| {
            let apart = one.exchange.abs_diff(other.exchange) > 1;
            planted!("numbers-of-exchanges-not-compared", false, apart)
        };
        let against = |one: &PartyFailure| words.iter().filter(|other| apart(one, other)).count();
        let (lies, words): (Vec<_>, Vec<_>) =
            words.iter().partition(|word| against(word) > threshold);
        self.proven.extend(lies.iter().map(|word| word.party));
        for one in &words {
            let others = words.iter().filter(|other| apart(one, other));
            self.apart.extend(others.map(|other| (one.party, other.party)));
        }
        let naming = words.iter().filter(|word| !word.named.is_empty());
        let earliest = naming.clone().map(|word| word.exchange).min();
        let first = |word: &&&PartyFailure| {
            planted!("later-exchanges-count", true, Some(word.exchange) == earliest)
        };
        for word in naming.filter(first) {
            self.named.extend(word.named.iter().map(|named| (word.party, *named)));
        }
    }

    /// With how many members of the committee a party makes pairs of which one is at fault. An honest
    /// one does so with corrupt parties only, so with t at most, unless the network is at fault.
    fn pairs_of(&self, who: &InstitutionId, members: &[InstitutionId]) -> usize {
        let pairs = self.named.union(&self.apart);
        let others = pairs.filter_map(|(one, other)| {
            let by_who = (one == who).then_some(other);
            by_who.or((other == who).then_some(one))
        });
        let others: BTreeSet<_> = others.filter(|other| *other != who).collect();
        others.into_iter().filter(|other| members.contains(other)).count()
    }

    /// Who computes: with the fewest parties that do not attend, so that the fewest banks are left
    /// out since not all of them hold what these have dealt, then with the fewest that have
    /// contradicted themselves or make pairs with more than t others, then with the fewest pairs of which one names the other, the fewest
    /// that are named, that name others, and not as before. The first of those that are equally good.
    ///
    /// # Errors
    /// If no parties hold the dealings of as many banks as the `minimum`.
    pub(super) fn choose(
        &self,
        scene: &Scene<'_>,
        dealt: &BTreeMap<InstitutionId, Holding>,
        minimum: usize,
    ) -> Result<(ActiveSet, BTreeMap<InstitutionId, Holding>), Failure> {
        let candidates = Candidates::of(scene)?;
        let covered = |active: &ActiveSet| {
            let members = candidates.members(*active);
            let held = dealt.iter().filter(|(_, holding)| holding.holders.is_superset(&members));
            planted!("parties-without-dealings-compute", dealt.len(), held.count())
        };
        let cost = |active: &ActiveSet| {
            let members = candidates.members(*active);
            let inside = |who| members.contains(who);
            let pairs = self.named.union(&self.apart);
            let pairs = pairs.filter(|(one, other)| inside(one) && inside(other));
            let threshold = candidates.parties.threshold();
            let proven = members.iter().filter(|who| {
                self.proven.contains(who) || self.pairs_of(who, &candidates.members) > threshold
            });
            let named: BTreeSet<_> = self.named.iter().map(|(_, named)| named).collect();
            let naming: BTreeSet<_> = self.named.iter().map(|(by, _)| by).collect();
            (
                members.difference(&scene.cast.attending).count(),
                dealt.len() - covered(active),
                proven.count(),
                pairs.count(),
                named.into_iter().filter(|who| inside(who)).count(),
                naming.into_iter().filter(|who| inside(who)).count(),
                self.tried.contains(active),
            )
        };
        let choices = candidates.parties.choices();
        let Some(best) = choices.filter(|active| covered(active) >= minimum).min_by_key(cost)
        else {
            let found = candidates.parties.choices().map(|active| covered(&active)).max();
            return Err(Failure::TooFew { found: found.unwrap_or_default(), minimum });
        };
        let members = candidates.members(best);
        let held = dealt.iter().filter(|(_, holding)| holding.holders.is_superset(&members));
        Ok((best, held.map(|(bank, holding)| (*bank, holding.clone())).collect()))
    }
}
