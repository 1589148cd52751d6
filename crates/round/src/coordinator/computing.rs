//! The parties compute; each says what has come out.

use std::collections::BTreeMap;

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::transaction::Posting;

use super::collected::Collected;
use super::gathering::parties;
use super::proving::Postings;
use super::stage::{Next, Stage, Taken};
use super::{Failure, ReportError};
use crate::book::{Book, RoundFacts};
use crate::message::Report;
use crate::settlement::Roll;

pub(super) struct Computing {
    pub(super) roll: Roll,
    /// The committee, in order.
    parties: Vec<InstitutionId>,
    threshold: usize,
    words: Collected<Word>,
    /// Postings of banks that had their results before the last party has spoken.
    early: Collected<Posting>,
}

/// What a party says.
#[derive(Clone, PartialEq, Eq)]
struct Word {
    session: Digest,
    steps: u32,
    nets: Vec<Commitment>,
}

impl Computing {
    pub(super) fn new(roll: Roll, book: &Book, facts: &RoundFacts) -> Self {
        let threshold = book.committee(facts).map_or(0, |committee| committee.threshold.into());
        let parties = parties(book, facts);
        let (words, early) = (Collected::default(), Collected::default());
        Self { roll, parties, threshold, words, early }
    }

    pub(super) fn take(
        &mut self,
        from: InstitutionId,
        report: Report,
    ) -> Result<Taken, ReportError> {
        match report {
            Report::Posting { posting, .. } => {
                let place = self.roll.roster.place(&from).ok_or(ReportError::NotInRoster)?;
                self.early.put(place, posting)?;
            }
            Report::Computed { session, steps, nets, .. } => {
                let place = self.party(from)?;
                let (expected, found) = (self.roll.roster.size(), nets.len());
                if found != expected {
                    return Err(ReportError::NetsCount { expected, found });
                }
                self.words.put(place, Word { session, steps, nets })?;
            }
            Report::Failed { reason, .. } => {
                self.party(from)?;
                return Ok(Taken::Doom(Failure::PartyFailed { party: from, reason }));
            }
            _ => unreachable!("other reports do not belong to computing"),
        }
        Ok(Taken::Kept)
    }

    fn party(&self, from: InstitutionId) -> Result<usize, ReportError> {
        self.parties.iter().position(|party| *party == from).ok_or(ReportError::NotAParty)
    }

    pub(super) fn missing(&self) -> Vec<InstitutionId> {
        let silent = self.parties.iter().enumerate().filter(|(place, _)| self.words.lacks(*place));
        silent.map(|(_, party)| *party).collect()
    }

    pub(super) fn next(self) -> Result<Next, Failure> {
        let words = self.words.into_vec();
        let Some(word) = words.first().filter(|first| words.iter().all(|word| word == *first))
        else {
            return Err(Failure::Disputed {
                parties: disputed(&self.parties, self.threshold, &words),
            });
        };
        let mut postings = Postings::new(self.roll.plan(&word.nets)?);
        let mut faults = BTreeMap::new();
        for (place, posting) in self.early.into_places() {
            faults.extend(postings.put(place, posting).err());
        }
        Ok(Next { faults, ..Next::silent(Stage::Postings(postings)) })
    }
}

/// Those who contradict `n - t` parties that agree; all if there are no such.
///
/// Of `n - t` that agree at least one is honest, so the others either lie or have been lied to.
fn disputed(parties: &[InstitutionId], threshold: usize, words: &[Word]) -> Vec<InstitutionId> {
    let agree = |word: &Word| words.iter().filter(|other| *other == word).count();
    let enough = parties.len().saturating_sub(threshold);
    let said = parties.iter().zip(words);
    match words.iter().find(|word| agree(word) >= enough) {
        Some(common) => said.filter(|(_, word)| *word != common).map(|(party, _)| *party).collect(),
        None => parties.to_vec(),
    }
}
