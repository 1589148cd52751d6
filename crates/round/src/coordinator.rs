//! One round as its coordinator leads it, from the opening on the ledger to its end.
//!
//! ```text
//! gathering   Dealt, Declined      -> Start
//! computing   Computed             (and postings, from banks that were quick)
//! postings    Posting              -> Proposal
//! bits        Bits                 -> AllBits
//! polynomials Polynomials          -> AllPolynomials
//! shares      Share                -> Proven
//! signatures  Signature            -> Settled, and to the node
//! settling    a block              -> the end
//! ```
//!
//! The coordinator is trusted with nothing: it sees commitments, proofs and signatures, and each
//! bank checks what it is asked to prove and to sign. It keeps nothing: a coordinator that is
//! killed has forgotten the round, whose locks end at its deadline.
//!
//! An attempt that fails while the parties compute, or because banks cannot have their results, is
//! followed by another one as long as the round's terms allow: on the same dealings, by other
//! parties if the committee has some to spare. Nothing has been signed by then.
//!
//! What one participant or party sends wrongly, twice or out of turn is refused, and harms only
//! itself as long as time is left to send what is right. A phase that is not complete in time ends
//! the round, and the failure names who was missing.

mod attempts;
mod collected;
mod computing;
mod failure;
mod gathering;
mod proving;
mod stage;
mod words;

pub use failure::{AcknowledgementsError, Ending, Failure, Missing, PartyFailure, ReportError};

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::signature::SigningKey;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_ledger::transaction::Transaction;
use rand_core::CryptoRngCore;

use crate::book::{Book, RoundFacts};
use crate::message::{Attempt, Instruction, Reason, Report};
use attempts::Attempts;
use gathering::Gathering;
use stage::{Next, Stage, Taken};

/// How long the phases of a round may last, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the opening until those that have dealt are enough.
    pub gather_ms: u64,
    /// Until all parties have computed.
    pub compute_ms: u64,
    /// From the first party that has no result until all others have said how they have ended.
    pub failures_ms: u64,
    /// Until all postings are there.
    pub postings_ms: u64,
    /// For each of the three exchanges of the proof.
    pub proof_ms: u64,
    /// Until all have signed.
    pub signatures_ms: u64,
    /// After which time a settlement that is not on the ledger is submitted again.
    pub resubmit_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            gather_ms: 15_000,
            compute_ms: 120_000,
            failures_ms: 5_000,
            postings_ms: 15_000,
            proof_ms: 15_000,
            signatures_ms: 15_000,
            resubmit_ms: 2_000,
        }
    }
}

/// Where a round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Banks join and deal.
    Gathering,
    /// The parties compute.
    Computing,
    /// Banks post.
    Postings,
    /// First exchange of the proof.
    Bits,
    /// Second exchange.
    Polynomials,
    /// Third exchange.
    Shares,
    /// Banks sign.
    Signatures,
    /// The settlement has been submitted.
    Settling,
    /// See [`Coordinator::ending`].
    Over,
}

/// What a coordinator wants to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Tell all of these that attend. Who attends later is told by [`Coordinator::attend`].
    Send {
        /// Whom.
        to: BTreeSet<InstitutionId>,
        /// What.
        instruction: Instruction,
    },
    /// An attempt has failed in this way, and another one is made.
    Again(Failure),
    /// Submit the settlement to the node.
    Submit(Transaction),
    /// The round is over.
    Ended(Ending),
}

/// With what a coordinator acts: the ledger, its round key, the time.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    /// What the ledger says by now.
    pub book: &'a Book,
    /// The round key of the institution that has opened the round.
    pub key: &'a SigningKey,
    /// Milliseconds on any clock that does not go back.
    pub now_ms: u64,
}

/// The coordinator's side of one round.
pub struct Coordinator {
    cast: Cast,
    stage: Stage,
    /// Since when the phase lasts.
    since_ms: u64,
    /// The last wrong report of each sender in this phase.
    faults: BTreeMap<InstitutionId, ReportError>,
    /// What has been said so far, and to whom: for those who attend later.
    said: Vec<(BTreeSet<InstitutionId>, Instruction)>,
    ending: Option<Ending>,
}

/// What stays the same over the phases, but for who attends and what attempts have shown.
struct Cast {
    round: RoundId,
    institution: InstitutionId,
    timing: Timing,
    attending: BTreeSet<InstitutionId>,
    attempts: Attempts,
}

/// What a phase sees of the world.
struct Scene<'a> {
    turn: Turn<'a>,
    /// Nothing before the opening is final.
    facts: Option<&'a RoundFacts>,
    cast: &'a Cast,
    since_ms: u64,
}

impl Cast {
    fn attempt(&self) -> Attempt {
        Attempt { round: self.round, number: self.attempts.number() }
    }
}

impl Scene<'_> {
    fn attempt(&self) -> Attempt {
        self.cast.attempt()
    }

    fn lasts_ms(&self) -> u64 {
        self.turn.now_ms.saturating_sub(self.since_ms)
    }
}

impl Coordinator {
    /// Leads the round whose opening `institution` has submitted at `now_ms`.
    pub fn new(round: RoundId, institution: InstitutionId, timing: Timing, now_ms: u64) -> Self {
        let (attending, attempts) = (BTreeSet::new(), Attempts::default());
        Self {
            cast: Cast { round, institution, timing, attending, attempts },
            stage: Stage::Gathering(Gathering::default()),
            since_ms: now_ms,
            faults: BTreeMap::new(),
            said: Vec::new(),
            ending: None,
        }
    }

    /// Which round.
    pub fn round(&self) -> RoundId {
        self.cast.round
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        self.stage.phase()
    }

    /// Since when it is there, on the clock of [`Turn::now_ms`].
    pub fn phase_began_ms(&self) -> u64 {
        self.since_ms
    }

    /// How it ended, once it has.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Says who attends from now on. Newcomers are told what has been said so far; one that has
    /// been away only for a moment may hear it twice.
    pub fn attend(
        &mut self,
        turn: Turn<'_>,
        present: BTreeSet<InstitutionId>,
        rng: &mut impl CryptoRngCore,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        for newcomer in present.difference(&self.cast.attending) {
            for (_, instruction) in self.said.iter().filter(|(to, _)| to.contains(newcomer)) {
                let (to, instruction) = ([*newcomer].into(), instruction.clone());
                effects.push(Effect::Send { to, instruction });
            }
        }
        self.cast.attending = present;
        self.proceed(turn, rng, &mut effects);
        effects
    }

    /// Takes what `from` says, whom the caller knows by its connection.
    ///
    /// # Errors
    /// If the report is refused. Then the round goes on as if it had not been made. The same holds for
    /// one that belongs to an earlier attempt.
    pub fn report(
        &mut self,
        turn: Turn<'_>,
        from: InstitutionId,
        report: Report,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Vec<Effect>, ReportError> {
        if report.round() != self.cast.round {
            return Err(ReportError::OtherRound(report.round()));
        }
        if stage::is_late(&report, self.cast.attempt()) {
            return Ok(Vec::new());
        }
        let scene = scene(&self.cast, turn, self.since_ms);
        let mut effects = Vec::new();
        match self.stage.take(&scene, from, report) {
            Ok(Taken::Kept) => {
                self.faults.remove(&from);
                self.proceed(turn, rng, &mut effects);
            }
            Ok(Taken::Again(failure)) => self.fail_attempt(failure, turn, &mut effects),
            Ok(Taken::Doom(failure)) => self.end(Ending::Failed(failure), &mut effects),
            Err(error) => {
                self.faults.insert(from, error.clone());
                return Err(error);
            }
        }
        Ok(effects)
    }

    /// Goes on as far as ledger and time allow. To be called after each block and now and then.
    pub fn advance(&mut self, turn: Turn<'_>, rng: &mut impl CryptoRngCore) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.proceed(turn, rng, &mut effects);
        effects
    }

    fn proceed(&mut self, turn: Turn<'_>, rng: &mut impl CryptoRngCore, effects: &mut Vec<Effect>) {
        while self.ending.is_none() {
            let scene = scene(&self.cast, turn, self.since_ms);
            if let Some(ending) = fate(&scene, self.stage.phase()) {
                return self.end(ending, effects);
            }
            self.faults.extend(self.stage.look(&scene));
            if !self.stage.is_ready(&scene) {
                return self.wait(turn, effects);
            }
            let phase = self.stage.phase();
            let stage = std::mem::replace(&mut self.stage, Stage::Over);
            match stage.next(&scene, rng) {
                Ok(next) => self.enter(next, turn, effects),
                Err(failure) if phase == Phase::Computing => {
                    self.fail_attempt(failure, turn, effects);
                }
                Err(failure) => return self.end(Ending::Failed(failure), effects),
            }
        }
    }

    /// Makes another attempt, if there is one; else the round ends with the failure of this one.
    fn fail_attempt(&mut self, failure: Failure, turn: Turn<'_>, effects: &mut Vec<Effect>) {
        self.cast.attempts.note(&failure, self.cast.institution);
        let scene = scene(&self.cast, turn, self.since_ms);
        let next = self.cast.attempts.next(&scene);
        let begin = |(number, dealt): (u8, BTreeMap<_, _>)| {
            let all = dealt.len();
            computing::begin(&scene, number, dealt, all)
        };
        match next.map(begin) {
            Some(Ok(next)) => {
                // What was said belongs to the attempt that is over.
                self.said.clear();
                effects.push(Effect::Again(failure));
                self.enter(next, turn, effects);
            }
            _ => self.end(Ending::Failed(failure), effects),
        }
    }

    fn enter(&mut self, next: Next, turn: Turn<'_>, effects: &mut Vec<Effect>) {
        let Next { stage, say, submit, faults } = next;
        (self.stage, self.since_ms, self.faults) = (stage, turn.now_ms, faults);
        if let Stage::Computing(computing) = &self.stage {
            self.cast.attempts.begun(&computing.roll, &computing.dealt);
        }
        if let Some((to, instruction)) = say {
            self.say(to, instruction, effects);
        }
        effects.extend(submit.map(Effect::Submit));
    }

    /// Nothing to do but to see whether time is over, or a settlement has to be submitted again.
    fn wait(&mut self, turn: Turn<'_>, effects: &mut Vec<Effect>) {
        let scene = scene(&self.cast, turn, self.since_ms);
        if let Some(transaction) = self.stage.resubmit(&scene) {
            effects.push(Effect::Submit(transaction));
        }
        let limit = self.stage.limit(&self.cast.timing);
        if limit.is_some_and(|limit| scene.lasts_ms() >= limit) {
            let missing = self.stage.missing(&scene).into_iter().map(|institution| Missing {
                institution,
                fault: self.faults.get(&institution).cloned(),
            });
            let (phase, missing) = (self.stage.phase(), missing.collect());
            let failure = Failure::TimedOut { phase, missing };
            match phase {
                Phase::Computing | Phase::Postings => self.fail_attempt(failure, turn, effects),
                _ => self.end(Ending::Failed(failure), effects),
            }
        }
    }

    fn say(
        &mut self,
        to: BTreeSet<InstitutionId>,
        instruction: Instruction,
        effects: &mut Vec<Effect>,
    ) {
        self.said.push((to.clone(), instruction.clone()));
        effects.push(Effect::Send { to, instruction });
    }

    fn end(&mut self, ending: Ending, effects: &mut Vec<Effect>) {
        if let Ending::Failed(failure) = &ending {
            let attempt = self.cast.attempt();
            let reason = Reason::new(failure);
            let mut to = self.cast.attending.clone();
            to.extend(self.said.iter().flat_map(|(to, _)| to));
            self.say(to, Instruction::Abandoned { attempt, reason }, effects);
        }
        self.stage = Stage::Over;
        self.ending = Some(ending.clone());
        effects.push(Effect::Ended(ending));
    }
}

fn scene<'a>(cast: &'a Cast, turn: Turn<'a>, since_ms: u64) -> Scene<'a> {
    Scene { turn, facts: turn.book.round(&cast.round), cast, since_ms }
}

/// What the ledger has decided.
fn fate(scene: &Scene<'_>, phase: Phase) -> Option<Ending> {
    let facts = scene.facts?;
    if let Some(settled) = facts.settled {
        return Some(Ending::Settled(settled));
    }
    let over = facts.is_over(scene.turn.book.height());
    over.then_some(Ending::Failed(Failure::DeadlinePassed { phase }))
}
