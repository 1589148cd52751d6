//! What this party holds of one round: in memory only, and erased with the round.

use std::collections::BTreeMap;
use std::sync::Arc;

use quittance_crypto::digest::Digest;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_mpc::session::Evidence;
use quittance_round::committee::{Assignment, AssignmentError, Computed, Outcome};
use quittance_round::dealing::DealtInputs;
use quittance_round::message::{Attempt, Reason, Report};
use quittance_round::start::Start;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// One round.
#[derive(Default)]
pub(crate) struct Desk {
    /// Shares, until no computation can need them any more.
    dealt: BTreeMap<InstitutionId, DealtInputs>,
    /// What has been acknowledged, and the acknowledgements.
    acknowledged: BTreeMap<InstitutionId, (Digest, Vec<u8>)>,
    attempts: BTreeMap<u8, Phase>,
    abandoned: Option<Reason>,
}

/// How far an attempt has come.
enum Phase {
    Running {
        start: Start,
        cancel: CancellationToken,
    },
    Computed {
        outcome: Arc<Outcome>,
        computed: Computed,
    },
    Ended(Ended),
    /// Others compute.
    StandBy,
}

/// How an attempt has ended here without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Whose messages were missing or wrong; this party itself, if it takes no part.
    pub(crate) named: Vec<InstitutionId>,
    /// What proves that one of them has contradicted itself.
    pub(crate) evidence: Option<Evidence>,
    pub(crate) reason: Reason,
}

impl Ended {
    /// By the coordinator's word.
    fn by(reason: impl std::fmt::Display) -> Self {
        Self { named: vec![], evidence: None, reason: Reason::new(reason) }
    }
}

/// What becomes of a start.
pub(crate) enum Begin {
    /// It is to be computed, until the token says otherwise.
    Compute(Box<Assignment>, CancellationToken),
    /// It has been seen before.
    Again,
}

/// Why a start is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoBegin {
    #[error("the round was abandoned: {0}")]
    Abandoned(Reason),
    #[error("this attempt was started before, with another roster or other dealings")]
    OtherStart,
    #[error("a later attempt of the round has been started")]
    Late,
    #[error("the attempt has ended: {0}")]
    Ended(Reason),
    #[error("{0}")]
    Assignment(#[from] AssignmentError),
}

/// How a bank's result stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may still come.
    Waiting,
    /// Canonical bytes, for this bank alone.
    Result(Zeroizing<Vec<u8>>),
    /// The bank has not dealt to this process.
    NotDealt,
    /// The bank is not in the roster.
    LeftOut,
    /// There will be none.
    Ended(Reason),
}

impl Desk {
    /// What was acknowledged to a dealer.
    pub(crate) fn acknowledged(&self, dealer: &InstitutionId) -> Option<(&Digest, &[u8])> {
        let (digest, acknowledgement) = self.acknowledged.get(dealer)?;
        Some((digest, acknowledgement))
    }

    /// Whether inputs may still be dealt.
    pub(crate) fn takes_dealings(&self) -> bool {
        self.attempts.is_empty() && self.abandoned.is_none()
    }

    /// Keeps checked inputs. The caller has seen that there are none of this dealer.
    pub(crate) fn accept(&mut self, inputs: DealtInputs, acknowledgement: Vec<u8>) {
        let (dealer, digest) = (inputs.dealer(), inputs.digest());
        self.acknowledged.insert(dealer, (digest, acknowledgement));
        self.dealt.insert(dealer, inputs);
    }

    /// Begins an attempt. The coordinator's signature under `start` has been verified.
    pub(crate) fn begin(
        &mut self,
        start: &Start,
        parent: &CancellationToken,
    ) -> Result<Begin, NoBegin> {
        if let Some(reason) = &self.abandoned {
            return Err(NoBegin::Abandoned(reason.clone()));
        }
        match self.attempts.get(&start.attempt) {
            Some(Phase::Running { start: first, .. }) if first == start => return Ok(Begin::Again),
            Some(Phase::Computed { outcome, .. }) if outcome.start() == start => {
                return Ok(Begin::Again);
            }
            Some(Phase::Ended(ended)) => return Err(NoBegin::Ended(ended.reason.clone())),
            Some(_) => return Err(NoBegin::OtherStart),
            None => {}
        }
        if self.attempts.keys().any(|number| *number > start.attempt) {
            return Err(NoBegin::Late);
        }
        self.end_running("the coordinator has started another attempt");
        let assignment = Assignment::new(start, &self.dealt)?;
        let cancel = parent.child_token();
        let phase = Phase::Running { start: start.clone(), cancel: cancel.clone() };
        self.attempts.insert(start.attempt, phase);
        Ok(Begin::Compute(Box::new(assignment), cancel))
    }

    /// Others compute in this attempt. What was dealt stays, since this party may compute in a later
    /// one, unless this is the `last`. The coordinator's signature under `start` has been verified.
    pub(crate) fn stand_by(&mut self, start: &Start, last: bool) {
        if self.attempts.keys().all(|number| *number < start.attempt) {
            self.end_running("the coordinator has started another attempt");
            self.attempts.insert(start.attempt, Phase::StandBy);
            if last {
                self.dealt.clear();
            }
        }
    }

    /// Ends what is being computed.
    fn end_running(&mut self, reason: impl std::fmt::Display) {
        for phase in self.attempts.values_mut() {
            if let Phase::Running { cancel, .. } = phase {
                cancel.cancel();
                *phase = Phase::Ended(Ended::by(&reason));
            }
        }
    }

    /// Takes what an attempt has brought; `last` if there is none after it. What comes after the
    /// attempt was ended otherwise is dropped.
    pub(crate) fn conclude(
        &mut self,
        attempt: u8,
        result: Result<(Outcome, Computed), Ended>,
        last: bool,
    ) {
        if let Some(phase @ Phase::Running { .. }) = self.attempts.get_mut(&attempt) {
            *phase = match result {
                Ok((outcome, computed)) => Phase::Computed { outcome: Arc::new(outcome), computed },
                Err(ended) => Phase::Ended(ended),
            };
        }
        if last {
            self.dealt.clear();
        }
    }

    /// Notes that an attempt cannot be computed, unless there is something better to say of it.
    pub(crate) fn refuse(&mut self, attempt: u8, ended: Ended) {
        self.attempts.entry(attempt).or_insert(Phase::Ended(ended));
    }

    /// The coordinator has given the round up. Shares of results stay until the ledger has decided:
    /// a settlement that all have signed may still land, and then banks need their receipts.
    pub(crate) fn abandon(&mut self, reason: Reason) {
        self.dealt.clear();
        self.end_running(format_args!("abandoned: {reason}"));
        self.abandoned.get_or_insert(reason);
    }

    /// How the result of `bank` stands.
    pub(crate) fn standing(&self, attempt: u8, bank: &InstitutionId) -> Standing {
        if !self.acknowledged.contains_key(bank) {
            return Standing::NotDealt;
        }
        if let Some(reason) = &self.abandoned {
            return Standing::Ended(Reason::new(format!("abandoned: {reason}")));
        }
        match self.attempts.get(&attempt) {
            None | Some(Phase::Running { .. }) => Standing::Waiting,
            Some(Phase::StandBy) => Standing::Ended(Reason::new("other parties compute")),
            Some(Phase::Ended(ended)) => Standing::Ended(ended.reason.clone()),
            Some(Phase::Computed { outcome, .. }) => {
                outcome.result(bank).map_or(Standing::LeftOut, Standing::Result)
            }
        }
    }

    /// The shares of an attempt's results.
    pub(crate) fn outcome(&self, attempt: u8) -> Option<Arc<Outcome>> {
        match self.attempts.get(&attempt) {
            Some(Phase::Computed { outcome, .. }) => Some(outcome.clone()),
            _ => None,
        }
    }

    /// What the coordinator is to be told, by attempt.
    pub(crate) fn reports(&self, round: RoundId) -> Vec<(Attempt, Report)> {
        let report = |(&number, phase): (&u8, &Phase)| {
            let attempt = Attempt { round, number };
            let report = match phase {
                Phase::Running { .. } | Phase::StandBy => return None,
                Phase::Computed { outcome, computed } => {
                    let &Computed { session, steps, .. } = computed;
                    Report::Computed { attempt, session, steps, nets: outcome.nets() }
                }
                Phase::Ended(Ended { named, evidence, reason }) => Report::Failed {
                    attempt,
                    named: named.clone(),
                    evidence: evidence.clone(),
                    reason: reason.clone(),
                },
            };
            Some((attempt, report))
        };
        match self.abandoned {
            // The coordinator has said so itself.
            Some(_) => vec![],
            None => self.attempts.iter().filter_map(report).collect(),
        }
    }
}

impl Drop for Desk {
    /// The round is over: nothing is computed for it any more.
    fn drop(&mut self) {
        for phase in self.attempts.values() {
            if let Phase::Running { cancel, .. } = phase {
                cancel.cancel();
            }
        }
    }
}
