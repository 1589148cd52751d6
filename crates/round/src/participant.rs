//! One bank's side of the settlement of a round, from the start to the settlement.
//!
//! ```text
//! coordinator                        this machine                     agent
//! Start          ------------------> Participant::new
//!                                    Participant::post  <------------ draft, nets (checked)
//!                <-- Posting -------
//! Proposal       ------------------> checked; proof begins
//!                <-- Bits ----------
//! AllBits        ------------------> challenges recomputed
//!                <-- Polynomials ---
//! AllPolynomials ------------------> challenge recomputed
//!                <-- Share ---------
//! Proven         ------------------> verified; signed, once
//!                <-- Signature -----
//! Settled        ------------------> verified -------------------->   submit
//! ```
//!
//! Whatever is not as it must be is refused with the bank's signature, and all secrets are
//! dropped. Nothing of this can be stored: a machine that is interrupted is gone, since answering
//! a second challenge under the same secrets would reveal them.

mod deviation;
mod stage;

pub use deviation::{BeginError, Deviation};

use std::collections::BTreeMap;
use std::fmt;

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::SigningKey;
use quittance_ledger::build::PostingDraft;
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::transaction::Transaction;
use rand_core::CryptoRngCore;

use crate::book::Book;
use crate::envelope::Signed;
use crate::message::{Attempt, Instruction, Reason, Refusal, Report};
use crate::settlement::{Roll, check_start};
use crate::start::{Roster, Start};
use stage::{Place, Stage};

/// The keys with which a bank takes part.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// Signs refusals.
    pub round: &'a SigningKey,
    /// Signs the settlement.
    pub transaction: &'a SigningKey,
}

/// What a participant does about an instruction.
pub enum Answer {
    /// Nothing: it has been answered before, or the machine is over.
    Nothing,
    /// Nothing, since it is not as it must be; no harm is done.
    Ignored(Deviation),
    /// Report this to the coordinator.
    Report(Report),
    /// Submit the settlement to the node. It has been verified.
    Submit(Box<Transaction>),
    /// The bank does not go on: report that. The machine is over.
    Refused {
        /// The signed refusal.
        report: Report,
        /// Its reason.
        deviation: Deviation,
    },
    /// The coordinator has given up. A settlement that this bank has signed may still land.
    Abandoned(Reason),
}

/// One bank's side of one attempt at a settlement.
pub struct Participant {
    place: Place,
    start: Start,
    stage: Stage,
    /// Digests of the instructions answered, by name.
    answered: BTreeMap<&'static str, Digest>,
}

impl Participant {
    /// Begins where the coordinator says `start`, for the bank that has dealt the dealing with
    /// digest `dealing`.
    ///
    /// # Errors
    /// If it does not begin for this bank. [`BeginError::NotInRoster`] is no deviation: the bank
    /// is left out, and waits for the end of its lock.
    pub fn new(
        book: &Book,
        institution: InstitutionId,
        dealing: &Digest,
        start: &Signed<Start>,
    ) -> Result<Self, BeginError> {
        let start = check_start(book, start)?.clone();
        let place = start.roster.place(&institution).ok_or(BeginError::NotInRoster)?;
        let named = start.roster.seats().get(place).map(|seat| seat.dealing);
        if named != Some(*dealing) {
            return Err(BeginError::OtherDealing { own: *dealing });
        }
        let stage = Stage::Result(Roll::new(book, &start)?);
        let place = Place { institution, index: place };
        Ok(Self { place, start, stage, answered: BTreeMap::new() })
    }

    /// Which attempt of which round.
    pub fn attempt(&self) -> Attempt {
        Attempt { round: self.start.round, number: self.start.attempt }
    }

    /// What the coordinator has started.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// With whom.
    pub fn roster(&self) -> &Roster {
        &self.start.roster
    }

    /// Whether this bank has signed the settlement: from then on it may land.
    pub fn has_signed(&self) -> bool {
        matches!(self.stage, Stage::Signed(_))
    }

    /// Whether nothing more will come of it.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Takes the result: the commitments to all nets, by place in the roster, and the posting that
    /// the bank's own net leads to. The caller has checked the result itself; what does not fit the
    /// ledger is refused.
    pub fn post(&mut self, draft: PostingDraft, nets: &[Commitment], keys: Keys<'_>) -> Answer {
        let attempt = self.attempt();
        let posting = draft.posting.clone();
        match std::mem::replace(&mut self.stage, Stage::Over).post(&self.place, draft, nets) {
            Ok(stage) => {
                self.stage = stage;
                Answer::Report(Report::Posting { attempt, posting })
            }
            Err(deviation) => Answer::Refused { report: self.refuse(&deviation, keys), deviation },
        }
    }

    /// Gives up, with a signed reason.
    pub fn refuse(&mut self, reason: impl fmt::Display, keys: Keys<'_>) -> Report {
        self.stage = Stage::Over;
        refuse(self.attempt(), self.place.institution, reason, keys)
    }

    /// Takes an instruction of the coordinator.
    pub fn receive(
        &mut self,
        book: &Book,
        keys: Keys<'_>,
        instruction: Instruction,
        rng: &mut impl CryptoRngCore,
    ) -> Answer {
        let (attempt, name) = (instruction.attempt(), instruction.name());
        if self.is_over() {
            return Answer::Nothing;
        }
        if attempt.round != self.start.round {
            return Answer::Ignored(Deviation::OtherRound(attempt.round));
        }
        if let Instruction::Abandoned { reason, .. } = instruction {
            self.stage = Stage::Over;
            return Answer::Abandoned(reason);
        }
        let digest = Digest::of_value("quittance/v1/round-instruction", &instruction);
        let deviation = match self.answered.get(name) {
            Some(known) if *known == digest => return Answer::Nothing,
            Some(_) => Deviation::Contradiction { instruction: name },
            None if attempt != self.attempt() => Deviation::OtherAttempt(attempt.number),
            None => match self.follow(book, keys, instruction, rng) {
                Ok(answer) => {
                    self.answered.insert(name, digest);
                    return answer;
                }
                Err(deviation) => deviation,
            },
        };
        match self.has_signed() {
            true => Answer::Ignored(deviation),
            false => Answer::Refused { report: self.refuse(&deviation, keys), deviation },
        }
    }

    fn follow(
        &mut self,
        book: &Book,
        keys: Keys<'_>,
        instruction: Instruction,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Answer, Deviation> {
        match instruction {
            Instruction::Start(start) if *start.unverified() == self.start => Ok(Answer::Nothing),
            Instruction::Start(_) => Err(Deviation::Contradiction { instruction: "start" }),
            Instruction::Settled { transaction, .. } => self.stage.settled(book, transaction),
            instruction => {
                let stage = std::mem::replace(&mut self.stage, Stage::Over);
                let signed = matches!(stage, Stage::Signed(_));
                if signed {
                    self.stage = stage;
                    return Err(Deviation::OutOfTurn { instruction: instruction.name() });
                }
                let (stage, report) = stage.follow(&self.place, keys, instruction, rng)?;
                self.stage = stage;
                Ok(Answer::Report(report))
            }
        }
    }
}

/// A refusal signed by `institution`: also for who has no [`Participant`], since it does not accept
/// the start.
pub fn refuse(
    attempt: Attempt,
    institution: InstitutionId,
    reason: impl fmt::Display,
    keys: Keys<'_>,
) -> Report {
    let refusal = Refusal { attempt, reason: Reason::new(reason) };
    Report::Refused(Signed::sign(refusal, institution, keys.round))
}
