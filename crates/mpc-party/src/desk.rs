//! What this party holds of one round: in memory only, and erased with the round.

use std::collections::BTreeMap;
use std::sync::Arc;

use quittance_crypto::digest::Digest;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_mpc::session::Evidence;
use quittance_round::committee::{Assignment, AssignmentError, Computed, Outcome};
use quittance_round::dealing::{DealtInputs, PublishedPart};
use quittance_round::message::{Attempt, Reason, Report};
use quittance_round::start::Start;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// One round.
#[derive(Default)]
pub(crate) struct Desk {
    /// Shares, until no computation can need them any more.
    dealt: BTreeMap<InstitutionId, DealtInputs>,
    /// What has been answered to dealers.
    answered: BTreeMap<InstitutionId, Answered>,
    attempts: BTreeMap<u8, Phase>,
    abandoned: Option<Reason>,
}

/// What was answered to a dealer. It stays, whatever the dealer sends then.
struct Answered {
    dealing: Digest,
    word: Word,
    /// By number of the party: what the dealer has published in answer to complaints.
    published: BTreeMap<u8, Published>,
}

/// A signed answer to a dealing, canonical.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    Acknowledged(Vec<u8>),
    Complained(Vec<u8>),
}

/// A part that was published and checked.
struct Published {
    part: PublishedPart,
    /// The canonical publication, for the complainant. Erased with the dealings.
    bytes: Zeroizing<Vec<u8>>,
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
    /// The exchange that the session was in.
    pub(crate) exchange: u32,
    /// Whose messages were missing or wrong; this party itself, if it takes no part.
    pub(crate) named: Vec<InstitutionId>,
    /// What proves that one of them has contradicted itself.
    pub(crate) evidence: Option<Evidence>,
    pub(crate) reason: Reason,
}

impl Ended {
    /// By the coordinator's word.
    fn by(reason: impl std::fmt::Display) -> Self {
        Self { exchange: 0, named: vec![], evidence: None, reason: Reason::new(reason) }
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
    /// What was answered to a dealer, and of which dealing.
    pub(crate) fn answered(&self, dealer: &InstitutionId) -> Option<(&Digest, &Word)> {
        let answered = self.answered.get(dealer)?;
        Some((&answered.dealing, &answered.word))
    }

    /// Whether inputs may still be dealt.
    pub(crate) fn takes_dealings(&self) -> bool {
        self.attempts.is_empty() && self.abandoned.is_none()
    }

    /// Keeps the answer to a dealing, and checked inputs with an acknowledgement. The caller has seen
    /// that nothing was answered to this dealer.
    pub(crate) fn answer(
        &mut self,
        dealer: InstitutionId,
        dealing: Digest,
        word: Word,
        inputs: Option<DealtInputs>,
    ) {
        let published = BTreeMap::new();
        self.answered.insert(dealer, Answered { dealing, word, published });
        self.dealt.extend(inputs.map(|inputs| (dealer, inputs)));
    }

    /// Whether the part of the party with this number may be published: as many as can be corrupt
    /// may complain.
    pub(crate) fn may_publish(&self, dealer: &InstitutionId, number: u8, threshold: usize) -> bool {
        let published = self.answered.get(dealer).map(|answered| &answered.published);
        let known = |it: &BTreeMap<u8, _>| it.contains_key(&number) || it.len() < threshold;
        published.is_some_and(known)
    }

    /// Keeps what was published and checked; `inputs` if it is this party's own part. Gives all parts
    /// that were published, and the inputs, if this party has any, to acknowledge with.
    pub(crate) fn publish(
        &mut self,
        dealer: &InstitutionId,
        part: PublishedPart,
        bytes: Zeroizing<Vec<u8>>,
        inputs: Option<DealtInputs>,
    ) -> Option<(Vec<PublishedPart>, &DealtInputs)> {
        let answered = self.answered.get_mut(dealer)?;
        answered.published.entry(part.party).or_insert(Published { part, bytes });
        let parts = answered.published.values().map(|published| published.part).collect();
        if let Some(inputs) = inputs {
            self.dealt.entry(*dealer).or_insert(inputs);
        }
        Some((parts, self.dealt.get(dealer)?))
    }

    /// What `dealer` has published of the part with this number.
    pub(crate) fn published(
        &self,
        dealer: &InstitutionId,
        number: u8,
    ) -> Option<Zeroizing<Vec<u8>>> {
        Some(self.answered.get(dealer)?.published.get(&number)?.bytes.clone())
    }

    /// Banks of the roster whose dealing this party has complained of, and has not got its part of.
    pub(crate) fn owed(&self, start: &Start) -> Vec<InstitutionId> {
        let seats = start.roster.seats().iter();
        let owed = seats.filter(|seat| {
            let answered = self.answered.get(&seat.institution);
            let complained = answered.is_some_and(|it| matches!(it.word, Word::Complained(_)));
            complained && !self.dealt.contains_key(&seat.institution)
        });
        owed.map(|seat| seat.institution).collect()
    }

    /// No computation will need what was dealt.
    fn erase(&mut self) {
        self.dealt.clear();
        self.answered.values_mut().for_each(|answered| answered.published.clear());
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
                self.erase();
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
            self.erase();
        }
    }

    /// Notes that an attempt cannot be computed, unless there is something better to say of it.
    pub(crate) fn refuse(&mut self, attempt: u8, ended: Ended) {
        self.attempts.entry(attempt).or_insert(Phase::Ended(ended));
    }

    /// The coordinator has given the round up. Shares of results stay until the ledger has decided:
    /// a settlement that all have signed may still land, and then banks need their receipts.
    pub(crate) fn abandon(&mut self, reason: Reason) {
        self.erase();
        self.end_running(format_args!("abandoned: {reason}"));
        self.abandoned.get_or_insert(reason);
    }

    /// How the result of `bank` stands.
    pub(crate) fn standing(&self, attempt: u8, bank: &InstitutionId) -> Standing {
        if !self.answered.contains_key(bank) {
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
                Phase::Ended(Ended { exchange, named, evidence, reason }) => Report::Failed {
                    attempt,
                    exchange: *exchange,
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
