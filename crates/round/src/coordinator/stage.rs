//! The phases, one at a time.

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::transaction::Transaction;
use rand_core::CryptoRngCore;

use super::computing::Computing;
use super::gathering::Gathering;
use super::proving::{Bits, Polynomials, Postings, Settling, Shares, Signatures};
use super::{Failure, Phase, ReportError, Scene, Timing};
use crate::envelope::Signed;
use crate::message::{Attempt, Instruction, Reason, Refusal, Report};
use crate::settlement::Roll;

/// A phase with what has come in it so far.
pub(super) enum Stage {
    Gathering(Gathering),
    Computing(Computing),
    Postings(Postings),
    Bits(Bits),
    Polynomials(Polynomials),
    Shares(Shares),
    Signatures(Signatures),
    Settling(Settling),
    Over,
}

/// What became of a report.
pub(super) enum Taken {
    Kept,
    /// It ends the attempt. Another one may succeed, with other parties.
    Again(Failure),
    /// It ends the round.
    Doom(Failure),
}

/// The next phase, and what is to be said and submitted when it begins.
pub(super) struct Next {
    pub(super) stage: Stage,
    pub(super) say: Option<(BTreeSet<InstitutionId>, Instruction)>,
    pub(super) submit: Option<Transaction>,
    /// What was refused before the phase began.
    pub(super) faults: BTreeMap<InstitutionId, ReportError>,
}

impl Next {
    pub(super) fn silent(stage: Stage) -> Self {
        Self { stage, say: None, submit: None, faults: BTreeMap::new() }
    }

    pub(super) fn say(stage: Stage, to: BTreeSet<InstitutionId>, what: Instruction) -> Self {
        Self { say: Some((to, what)), ..Self::silent(stage) }
    }
}

impl Stage {
    pub(super) fn phase(&self) -> Phase {
        match self {
            Self::Gathering(_) => Phase::Gathering,
            Self::Computing(_) => Phase::Computing,
            Self::Postings(_) => Phase::Postings,
            Self::Bits(_) => Phase::Bits,
            Self::Polynomials(_) => Phase::Polynomials,
            Self::Shares(_) => Phase::Shares,
            Self::Signatures(_) => Phase::Signatures,
            Self::Settling(_) => Phase::Settling,
            Self::Over => Phase::Over,
        }
    }

    /// Keeps what belongs to this phase.
    pub(super) fn take(
        &mut self,
        scene: &Scene<'_>,
        from: InstitutionId,
        report: Report,
    ) -> Result<Taken, ReportError> {
        let early = |attempt: &Attempt| attempt.number > scene.attempt().number;
        if let Some(attempt) = attempt(&report).filter(early) {
            return Err(ReportError::OtherAttempt(attempt));
        }
        let out_of_turn = ReportError::OutOfTurn { report: report.name(), phase: self.phase() };
        if let Report::Refused(refusal) = &report {
            let roll = self.roll().ok_or(out_of_turn)?;
            return refuse(scene, roll, from, refusal);
        }
        match (self, report) {
            (
                stage @ (Self::Computing(_)
                | Self::Postings(_)
                | Self::Bits(_)
                | Self::Polynomials(_)
                | Self::Shares(_)
                | Self::Signatures(_)),
                Report::Declined { reason, .. },
            ) => stage.withdraw(scene, from, reason),
            (Self::Gathering(stage), report @ (Report::Declined { .. } | Report::Dealt { .. })) => {
                stage.take(scene, from, report)
            }
            (
                Self::Computing(stage),
                report @ (Report::Posting { .. } | Report::Computed { .. } | Report::Failed { .. }),
            ) => stage.take(scene.turn, from, report),
            (
                stage @ (Self::Computing(_) | Self::Postings(_)),
                Report::NoResult { parties, reason, .. },
            ) => {
                let place = stage.roll().and_then(|roll| roll.roster.place(&from));
                place.ok_or(ReportError::NotInRoster)?;
                Ok(Taken::Again(Failure::NoResult { institution: from, parties, reason }))
            }
            (Self::Postings(stage), Report::Posting { posting, .. }) => stage.take(from, posting),
            (Self::Bits(stage), Report::Bits { message, .. }) => stage.take(from, message),
            (Self::Polynomials(stage), Report::Polynomials { message, .. }) => {
                stage.take(from, message)
            }
            (Self::Shares(stage), Report::Share { message, .. }) => stage.take(from, message),
            (Self::Signatures(stage), Report::Signature { signature, .. }) => {
                stage.take(scene, from, signature)
            }
            _ => Err(out_of_turn),
        }
    }

    /// A bank that was to take part does not, since it has been restarted: it has forgotten what it
    /// would have to go on with. What it has signed before stays signed.
    fn withdraw(
        &self,
        scene: &Scene<'_>,
        from: InstitutionId,
        reason: Reason,
    ) -> Result<Taken, ReportError> {
        let place = self.roll().and_then(|roll| roll.roster.place(&from));
        place.ok_or(ReportError::NotInRoster)?;
        let has_signed =
            matches!(self, Self::Signatures(_)) && !self.missing(scene).contains(&from);
        Ok(match has_signed {
            true => Taken::Kept,
            false => Taken::Doom(Failure::Withdrawn { institution: from, reason }),
        })
    }

    /// Sees what the ledger says by now; gives what turns out to be wrong.
    pub(super) fn look(&mut self, scene: &Scene<'_>) -> BTreeMap<InstitutionId, ReportError> {
        match self {
            Self::Gathering(stage) => stage.look(scene),
            _ => BTreeMap::new(),
        }
    }

    /// Who has yet to do its part.
    pub(super) fn missing(&self, scene: &Scene<'_>) -> Vec<InstitutionId> {
        match self {
            Self::Gathering(stage) => stage.missing(scene),
            Self::Computing(stage) => stage.missing(),
            Self::Postings(stage) => stage.missing(),
            Self::Bits(stage) => stage.missing(),
            Self::Polynomials(stage) => stage.missing(),
            Self::Shares(stage) => stage.missing(),
            Self::Signatures(stage) => stage.missing(),
            Self::Settling(_) | Self::Over => Vec::new(),
        }
    }

    /// Whether the next phase can begin.
    pub(super) fn is_ready(&self, scene: &Scene<'_>) -> bool {
        match self {
            Self::Gathering(stage) => stage.is_ready(scene),
            Self::Computing(stage) => stage.is_ready(scene),
            Self::Settling(_) | Self::Over => false,
            _ => self.missing(scene).is_empty(),
        }
    }

    /// How long the phase may last; gathering sees to that itself, settling ends by the ledger.
    pub(super) fn limit(&self, timing: &Timing) -> Option<u64> {
        match self {
            Self::Gathering(_) | Self::Settling(_) | Self::Over => None,
            Self::Computing(_) => Some(timing.compute_ms),
            Self::Postings(_) => Some(timing.postings_ms),
            Self::Bits(_) | Self::Polynomials(_) | Self::Shares(_) => Some(timing.proof_ms),
            Self::Signatures(_) => Some(timing.signatures_ms),
        }
    }

    /// The settlement, if it is time to submit it again.
    pub(super) fn resubmit(&mut self, scene: &Scene<'_>) -> Option<Transaction> {
        match self {
            Self::Settling(stage) => stage.resubmit(scene),
            _ => None,
        }
    }

    /// The phase after this one, which is ready.
    pub(super) fn next(
        self,
        scene: &Scene<'_>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Next, Failure> {
        match self {
            Self::Gathering(stage) => stage.next(scene),
            Self::Computing(stage) => stage.next(),
            Self::Postings(stage) => stage.next(scene, rng),
            Self::Bits(stage) => stage.next(rng),
            Self::Polynomials(stage) => stage.next(),
            Self::Shares(stage) => stage.next(rng),
            Self::Signatures(stage) => stage.next(scene),
            Self::Settling(_) | Self::Over => Ok(Next::silent(Self::Over)),
        }
    }

    /// Who takes part, from the start until all have signed.
    pub(super) fn roll(&self) -> Option<&Roll> {
        match self {
            Self::Gathering(_) | Self::Settling(_) | Self::Over => None,
            Self::Computing(stage) => Some(&stage.roll),
            Self::Postings(stage) => Some(&stage.plan.roll),
            Self::Bits(stage) => Some(&stage.proposal.plan.roll),
            Self::Polynomials(stage) => Some(&stage.proposal.plan.roll),
            Self::Shares(stage) => Some(&stage.proposal.plan.roll),
            Self::Signatures(stage) => Some(&stage.roll),
        }
    }
}

/// Whether a report is about an attempt before this one. Whoever refuses an attempt takes no part in
/// later ones: a refusal is never late.
pub(super) fn is_late(report: &Report, current: Attempt) -> bool {
    let earlier = attempt(report).is_some_and(|attempt| attempt.number < current.number);
    earlier && !matches!(report, Report::Refused(_))
}

fn attempt(report: &Report) -> Option<Attempt> {
    match report {
        Report::Declined { .. } | Report::Dealt { .. } => None,
        Report::Posting { attempt, .. }
        | Report::Bits { attempt, .. }
        | Report::Polynomials { attempt, .. }
        | Report::Share { attempt, .. }
        | Report::Signature { attempt, .. }
        | Report::Computed { attempt, .. }
        | Report::NoResult { attempt, .. }
        | Report::Failed { attempt, .. } => Some(*attempt),
        Report::Refused(refusal) => Some(refusal.unverified().attempt),
    }
}

/// A refusal ends the round if its signer cannot deny it.
fn refuse(
    scene: &Scene<'_>,
    roll: &Roll,
    from: InstitutionId,
    refusal: &Signed<Refusal>,
) -> Result<Taken, ReportError> {
    if refusal.signer() != from {
        return Err(ReportError::OtherSigner(refusal.signer()));
    }
    roll.roster.place(&from).ok_or(ReportError::NotInRoster)?;
    let key = scene.turn.book.key(&from, Purpose::Round).ok_or(ReportError::NoKey)?;
    let reason = refusal.verify(key)?.reason.clone();
    Ok(Taken::Doom(Failure::Refused { institution: from, reason }))
}
