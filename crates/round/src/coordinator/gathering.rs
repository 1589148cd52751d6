//! Who takes part: banks join on the ledger, deal to the parties, and say so.

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::digest::Digest;
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::state::Role;

use super::computing;
use super::stage::{Next, Taken};
use super::{AcknowledgementsError, Failure, ReportError, Scene};
use crate::book::{Book, RoundFacts};
use crate::dealing::Acknowledgement;
use crate::message::Report;
use crate::start::{MIN_ROSTER, Roster, Seat};

#[derive(Default)]
pub(super) struct Gathering {
    /// When the opening was seen on the ledger.
    opened_ms: Option<u64>,
    /// Digests of the dealings that all parties have acknowledged.
    dealt: BTreeMap<InstitutionId, Digest>,
    /// Dealings of banks that this coordinator has not seen on the ledger yet.
    early: BTreeMap<InstitutionId, Vec<Acknowledgement>>,
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
            Report::Dealt { acknowledgements, .. } => match scene.facts {
                Some(facts) if facts.members.contains_key(&from) => {
                    let digest = check(scene.turn.book, facts, from, &acknowledgements)?;
                    self.keep(from, digest)?;
                }
                // At most as many as have a connection.
                _ => drop(self.early.insert(from, acknowledgements)),
            },
            _ => unreachable!("other reports do not belong to gathering"),
        }
        Ok(Taken::Kept)
    }

    fn keep(&mut self, from: InstitutionId, digest: Digest) -> Result<(), ReportError> {
        match self.dealt.get(&from) {
            Some(kept) if *kept != digest => return Err(ReportError::Repeated),
            _ => self.dealt.insert(from, digest),
        };
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
            let acknowledgements = self.early.remove(&bank).unwrap_or_default();
            let kept = check(scene.turn.book, facts, bank, &acknowledgements)
                .map_err(ReportError::from)
                .and_then(|digest| self.keep(bank, digest));
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
        let seat = |(institution, dealing)| Seat { institution, dealing };
        let roster = Roster::new(self.dealt.into_iter().map(seat).collect())?;
        computing::begin(scene, 0, roster)
    }
}

fn minimum(facts: &RoundFacts) -> usize {
    usize::from(facts.terms.minimum_roster).max(MIN_ROSTER)
}

/// The round's committee, in order.
pub(super) fn parties(book: &Book, facts: &RoundFacts) -> Vec<InstitutionId> {
    book.committee(facts).map(|committee| committee.parties.clone()).unwrap_or_default()
}

/// The digest of the dealing that every party of the committee has acknowledged.
fn check(
    book: &Book,
    facts: &RoundFacts,
    dealer: InstitutionId,
    acknowledgements: &[Acknowledgement],
) -> Result<Digest, AcknowledgementsError> {
    let committee = parties(book, facts);
    let named: BTreeSet<_> = acknowledgements.iter().map(|word| word.party).collect();
    let complete = acknowledgements.len() == committee.len()
        && committee.iter().all(|party| named.contains(party));
    let first = acknowledgements.first().filter(|_| complete);
    let expected = first.ok_or(AcknowledgementsError::Parties)?.dealing;
    let round = facts.members.get(&dealer).map(|member| member.joined.round);
    for word in acknowledgements {
        let (party, found) = (word.party, word.dealing);
        if Some(word.round) != round {
            return Err(AcknowledgementsError::OtherRound(party));
        }
        if word.dealer != dealer {
            return Err(AcknowledgementsError::OtherDealer { party, dealer: word.dealer });
        }
        if found != expected {
            return Err(AcknowledgementsError::OtherDealing { party, expected, found });
        }
        let key = book.key(&party, Purpose::Round);
        let key = key.ok_or(AcknowledgementsError::NoKey(party))?;
        word.verify(key).map_err(|source| AcknowledgementsError::Signature { party, source })?;
    }
    Ok(expected)
}
