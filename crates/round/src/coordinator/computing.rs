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
use super::failure::PartyFailure;
use super::gathering::parties;
use super::proving::Postings;
use super::stage::{Next, Stage, Taken};
use super::words::Holding;
use super::{Failure, ReportError, Scene, Turn};
use crate::book::Book;
use crate::envelope::Signed;
use crate::message::{Instruction, Report};
use crate::settlement::Roll;
use crate::start::{Roster, Seat, Start};

pub(super) struct Computing {
    pub(super) roll: Roll,
    /// The active parties, in order.
    parties: Vec<InstitutionId>,
    /// What was dealt by the roster, and who can compute with it.
    pub(super) dealt: BTreeMap<InstitutionId, Holding>,
    words: Collected<Word>,
    /// What parties say that have no result.
    failed: BTreeMap<InstitutionId, PartyFailure>,
    /// When the first of them has said so.
    failed_ms: Option<u64>,
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

/// Begins an attempt with this number, on these dealings. Who computes is chosen now, and so is who
/// takes part: at least so many banks, whose dealings all of those hold.
pub(super) fn begin(
    scene: &Scene<'_>,
    number: u8,
    dealt: BTreeMap<InstitutionId, Holding>,
    minimum: usize,
) -> Result<Next, Failure> {
    let facts = scene.facts.ok_or(Failure::NotOpened)?;
    let (book, round) = (scene.turn.book, scene.cast.round);
    let (active, dealt) = scene.cast.attempts.choose(scene, &dealt, minimum)?;
    let seat = |(institution, holding): (&InstitutionId, &Holding)| Seat {
        institution: *institution,
        dealing: holding.dealing,
    };
    let roster = Roster::new(dealt.iter().map(seat).collect())?;
    let start = Start { round, attempt: number, active, roster };
    let roll = Roll::new(book, &start)?;
    let signed = Signed::sign(start, scene.cast.institution, scene.turn.key);
    let committee = parties(facts);
    let mut to = scene.cast.attending.clone();
    to.extend(committee);
    to.extend(roll.roster.institutions());
    let computing = Computing::new(roll, dealt, committee);
    Ok(Next::say(Stage::Computing(computing), to, Instruction::Start(signed)))
}

impl Computing {
    fn new(
        roll: Roll,
        dealt: BTreeMap<InstitutionId, Holding>,
        committee: &[InstitutionId],
    ) -> Self {
        let member = |id: PartyId| committee.get(id.position()).copied();
        let parties = roll.active.ids().filter_map(member).collect();
        let (words, early) = (Collected::default(), Collected::default());
        let (failed, failed_ms) = (BTreeMap::new(), None);
        Self { roll, parties, dealt, words, failed, failed_ms, early }
    }

    pub(super) fn take(
        &mut self,
        turn: Turn<'_>,
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
                if self.failed.contains_key(&from) {
                    return Err(ReportError::Repeated);
                }
                let (expected, found) = (self.roll.roster.size(), nets.len());
                if found != expected {
                    return Err(ReportError::NetsCount { expected, found });
                }
                self.words.put(place, Word { session, steps, nets })?;
            }
            Report::Failed { exchange, named, evidence, reason, .. } => {
                let place = self.party(from)?;
                if let Some(failure) = evidence.and_then(|it| self.prove(turn.book, it)) {
                    return Ok(Taken::Again(failure));
                }
                if !self.words.lacks(place) {
                    return Err(ReportError::Repeated);
                }
                let word = PartyFailure { party: from, exchange, named, reason };
                if *self.failed.entry(from).or_insert_with(|| word.clone()) != word {
                    return Err(ReportError::Repeated);
                }
                self.failed_ms.get_or_insert(turn.now_ms);
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

    /// Who has not said how it has ended.
    pub(super) fn missing(&self) -> Vec<InstitutionId> {
        let silent = self.parties.iter().enumerate().filter(|(place, _)| self.words.lacks(*place));
        let silent = silent.map(|(_, party)| *party);
        silent.filter(|party| !self.failed.contains_key(party)).collect()
    }

    /// All have said how they have ended; or one has failed, and the others have had time to say so.
    pub(super) fn is_ready(&self, scene: &Scene<'_>) -> bool {
        let waited = self.failed_ms.map(|since| scene.turn.now_ms.saturating_sub(since));
        let enough = waited.is_some_and(|waited| waited >= scene.cast.timing.failures_ms);
        enough || self.missing().is_empty()
    }

    pub(super) fn next(self) -> Result<Next, Failure> {
        if !self.failed.is_empty() {
            return Err(Failure::NotComputed {
                threshold: u8::try_from(self.roll.active.threshold()).unwrap_or(u8::MAX),
                silent: self.missing(),
                words: self.failed.into_values().collect(),
            });
        }
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
