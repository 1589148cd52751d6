//! The parties compute; each says what has come out.

use std::collections::BTreeMap;

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::transaction::Posting;
use quittance_mpc::PartyId;
use quittance_mpc::session::Evidence;

use super::collected::Collected;
use super::gathering::parties;
use super::proving::Postings;
use super::stage::{Next, Stage, Taken};
use super::{Failure, ReportError, Scene};
use crate::book::Book;
use crate::envelope::Signed;
use crate::message::{Instruction, Report};
use crate::settlement::Roll;
use crate::start::{Roster, Start};

pub(super) struct Computing {
    pub(super) roll: Roll,
    /// The active parties, in order.
    parties: Vec<InstitutionId>,
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

/// Begins an attempt with this number among this roster. Who computes is chosen now.
pub(super) fn begin(scene: &Scene<'_>, number: u8, roster: Roster) -> Result<Next, Failure> {
    let facts = scene.facts.ok_or(Failure::NotOpened)?;
    let (book, round) = (scene.turn.book, scene.cast.round);
    let active = scene.cast.attempts.choose(scene)?;
    let start = Start { round, attempt: number, active, roster };
    let roll = Roll::new(book, &start)?;
    let signed = Signed::sign(start, scene.cast.institution, scene.turn.key);
    let committee = parties(book, facts);
    let mut to = scene.cast.attending.clone();
    to.extend(&committee);
    to.extend(roll.roster.institutions());
    let computing = Computing::new(roll, &committee);
    Ok(Next::say(Stage::Computing(computing), to, Instruction::Start(signed)))
}

impl Computing {
    fn new(roll: Roll, committee: &[InstitutionId]) -> Self {
        let member = |id: PartyId| committee.get(id.position()).copied();
        let parties = roll.active.ids().filter_map(member).collect();
        let (words, early) = (Collected::default(), Collected::default());
        Self { roll, parties, words, early }
    }

    pub(super) fn take(
        &mut self,
        book: &Book,
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
            Report::Failed { named, evidence, reason, .. } => {
                self.party(from)?;
                if let Some(failure) = evidence.and_then(|evidence| self.prove(book, evidence)) {
                    return Ok(Taken::Again(failure));
                }
                return Ok(Taken::Again(Failure::PartyFailed { party: from, named, reason }));
            }
            _ => unreachable!("other reports do not belong to computing"),
        }
        Ok(Taken::Kept)
    }

    /// Evidence that holds. What does not hold is worth no more than any other word of its sender.
    fn prove(&self, book: &Book, evidence: Evidence) -> Option<Failure> {
        let number = evidence.party();
        let place = self.roll.active.ids().position(|id| id.number() == number)?;
        let party = *self.parties.get(place)?;
        let holds = evidence.verify(book.key(&party, Purpose::Round)?).is_ok();
        holds.then(|| Failure::Contradiction { party, evidence: Box::new(evidence) })
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
                parties: disputed(&self.parties, self.roll.active.threshold(), &words),
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

/// Those who contradict `t + 1` parties that agree; all if there are no such.
///
/// Of `t + 1` that agree at least one is honest, so the others either lie or have been lied to.
fn disputed(parties: &[InstitutionId], threshold: usize, words: &[Word]) -> Vec<InstitutionId> {
    let agree = |word: &Word| words.iter().filter(|other| *other == word).count();
    let enough = parties.len().saturating_sub(threshold);
    let said = parties.iter().zip(words);
    match words.iter().find(|word| agree(word) >= enough) {
        Some(common) => said.filter(|(_, word)| *word != common).map(|(party, _)| *party).collect(),
        None => parties.to_vec(),
    }
}
