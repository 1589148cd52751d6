//! Candidates on their way to the ledger: one lane for each account, in the order of sequence
//! numbers.
//!
//! A candidate enters its lane when it is drafted, is submitted once it and all before it are
//! complete, and leaves the lane when its block has come or when the wallet has lost it. A node
//! that is away is called again. A node that has forgotten a candidate, which it does when it
//! restarts, is given it anew, with all that come after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quittance_ledger::build::BuildError;
use quittance_ledger::ids::{AssetId, RoundId, TransactionId, Uetr};
use quittance_ledger::transaction::Transaction;
use quittance_rpc::convert::TransactionStatus;
use quittance_rpc::submit::SubmitError;
use rand_core::OsRng;
use tonic::{Code, Status};

use crate::core::{Core, Failure, Setting};
use crate::count;
use crate::wallet::{CandidateId, Draft, Lost, WalletError, WalletEvent};

/// Candidates of one account that are being submitted at a time.
const WINDOW: usize = 16;

/// The first and the longest pause before a node is called again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long a candidate may be with the node before the node is asked what has become of it; also
/// how often that is looked at.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a candidate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errand {
    /// A transfer of the bank.
    Transfer(Uetr),
    /// Taking in credits, or taking up a sequence number.
    Absorption,
    /// One side of an exchange.
    Exchange(Uetr),
    /// Joining a round.
    Join(RoundId),
}

/// All candidates under way.
#[derive(Default)]
pub(crate) struct Lanes(BTreeMap<AssetId, Lane>);

#[derive(Default)]
struct Lane {
    /// By sequence number.
    jobs: BTreeMap<u64, Job>,
    /// Nothing is submitted until the pause is over.
    pausing: bool,
    /// Pauses since the node has last answered.
    pauses: u32,
    /// The node is being asked about the first candidate.
    asking: bool,
}

struct Job {
    candidate: CandidateId,
    errand: Errand,
    stage: Stage,
}

enum Stage {
    /// Not complete.
    Preparing,
    /// Complete.
    Ready(Arc<Transaction>),
    /// On the way to the node.
    Sending,
    /// With the node, since then.
    Sent(Arc<Transaction>, Instant),
}

impl Lanes {
    fn job(&mut self, candidate: CandidateId) -> Option<&mut Job> {
        let lane = self.0.get_mut(&candidate.asset)?;
        let job = lane.jobs.get_mut(&candidate.sequence);
        job.filter(|job| job.candidate == candidate)
    }

    /// Takes a candidate out of its lane.
    fn remove(&mut self, candidate: CandidateId) -> Option<Errand> {
        let errand = self.job(candidate)?.errand;
        self.0.get_mut(&candidate.asset)?.jobs.remove(&candidate.sequence);
        Some(errand)
    }

    /// A candidate is in a block.
    pub(crate) fn landed(&mut self, candidate: CandidateId) {
        self.remove(candidate);
    }
}

/// How drafts become transactions: [`prove`], unless a test wants it to fail.
pub(crate) type Prover = fn(Draft, &Setting) -> Result<Transaction, BuildError>;

/// Proves and signs a draft whose entry is the whole transaction. Takes long.
pub(crate) fn prove(draft: Draft, setting: &Setting) -> Result<Transaction, BuildError> {
    let unsigned = draft.complete(&mut OsRng)?;
    let signature = unsigned.sign(setting.institution, setting.key_for(&unsigned))?;
    unsigned.assemble(vec![signature])
}

impl Core {
    /// Puts a candidate that has just been drafted into its lane. Those after it wait there until
    /// it is [`Core::ready`], or lost: withdrawn with [`Core::withdraw`], for example.
    pub(crate) fn enlist(&mut self, candidate: CandidateId, errand: Errand) {
        let lane = self.lanes.0.entry(candidate.asset).or_default();
        lane.jobs.insert(candidate.sequence, Job { candidate, errand, stage: Stage::Preparing });
    }

    /// A candidate is complete and is to be submitted as soon as those before it have been. One
    /// that has been lost in the meantime is dropped.
    pub(crate) fn ready(
        &mut self,
        candidate: CandidateId,
        transaction: Transaction,
    ) -> Result<(), Failure> {
        match self.wallet.submitted(candidate, &transaction) {
            Ok(()) => {}
            Err(WalletError::NotInFlight { .. }) => return Ok(()),
            Err(error) => return Err(Status::internal(error.to_string()).into()),
        }
        if let Some(job) = self.lanes.job(candidate) {
            job.stage = Stage::Ready(Arc::new(transaction));
        }
        self.send(candidate.asset);
        Ok(())
    }

    /// Has a draft proven and signed on another thread, then submitted.
    pub(crate) fn dispatch(&mut self, draft: Draft, errand: Errand) {
        let (candidate, setting) = (draft.id(), self.setting.clone());
        self.enlist(candidate, errand);
        self.complete(candidate, move || count::proving(|| (setting.prover)(draft, &setting)));
    }

    /// Has an enlisted candidate completed on another thread, then submitted. It is given up if it
    /// cannot be.
    pub(crate) fn complete(
        &mut self,
        candidate: CandidateId,
        work: impl FnOnce() -> Result<Transaction, BuildError> + Send + 'static,
    ) {
        self.compute(work, move |core, result| match result {
            Ok(Ok(transaction)) => core.ready(candidate, transaction),
            Ok(Err(error)) => core.withdraw(candidate, &error.to_string()),
            Err(panicked) => core.withdraw(candidate, &panicked.to_string()),
        });
    }

    /// Gives a candidate up, with all that stand on it. What has been submitted may still land.
    pub(crate) fn withdraw(&mut self, candidate: CandidateId, why: &str) -> Result<(), Failure> {
        let events = self.wallet.withdraw(candidate);
        self.all_lost(&events, why)
    }

    /// Submits what is complete, in order.
    fn send(&mut self, asset: AssetId) {
        let Some(lane) = self.lanes.0.get_mut(&asset).filter(|lane| !lane.pausing) else { return };
        let sending = lane.jobs.values().filter(|job| matches!(job.stage, Stage::Sending));
        let mut free = WINDOW.saturating_sub(sending.count());
        let mut leaving = Vec::new();
        for job in lane.jobs.values_mut() {
            match &job.stage {
                Stage::Preparing => break,
                Stage::Ready(_) if free == 0 => break,
                Stage::Ready(transaction) => {
                    free -= 1;
                    leaving.push((job.candidate, transaction.clone()));
                    job.stage = Stage::Sending;
                }
                Stage::Sending | Stage::Sent(..) => {}
            }
        }
        for (candidate, transaction) in leaving {
            let submitter = self.setting.submitter.clone();
            self.spawn(
                async move { (submitter.submit(&transaction).await, transaction) },
                move |core, (answer, transaction)| core.answered(candidate, &transaction, answer),
            );
        }
    }

    /// The node has answered a submission, or has not.
    fn answered(
        &mut self,
        candidate: CandidateId,
        transaction: &Arc<Transaction>,
        answer: Result<TransactionStatus, SubmitError>,
    ) -> Result<(), Failure> {
        let Some(job) = self.lanes.job(candidate) else {
            self.send(candidate.asset);
            return Ok(());
        };
        let errand = job.errand;
        match answer {
            Ok(TransactionStatus::Pending { .. } | TransactionStatus::Final { .. }) => {
                job.stage = Stage::Sent(transaction.clone(), Instant::now());
                if let Some(lane) = self.lanes.0.get_mut(&candidate.asset) {
                    lane.pauses = 0;
                }
                self.send(candidate.asset);
                match errand {
                    Errand::Transfer(uetr) => self.transfer_submitted(uetr, transaction.id()),
                    _ => Ok(()),
                }
            }
            Ok(TransactionStatus::Rejected { reason, .. }) => {
                self.rejected(transaction.id(), &reason)
            }
            Err(SubmitError::Node(status))
                if matches!(status.code(), Code::InvalidArgument | Code::OutOfRange) =>
            {
                self.rejected(transaction.id(), status.message())
            }
            Ok(TransactionStatus::Unknown) | Err(_) => {
                job.stage = Stage::Ready(transaction.clone());
                self.pause(candidate.asset);
                Ok(())
            }
        }
    }

    /// Leaves the node alone for some time.
    fn pause(&mut self, asset: AssetId) {
        let Some(lane) = self.lanes.0.get_mut(&asset).filter(|lane| !lane.pausing) else { return };
        let pause = PAUSES.0.saturating_mul(1 << lane.pauses.min(8)).min(PAUSES.1);
        (lane.pausing, lane.pauses) = (true, lane.pauses + 1);
        self.after(pause, move |core| {
            if let Some(lane) = core.lanes.0.get_mut(&asset) {
                lane.pausing = false;
            }
            core.send(asset);
            Ok(())
        });
    }

    /// The node will not include a transaction of ours.
    fn rejected(&mut self, transaction: TransactionId, reason: &str) -> Result<(), Failure> {
        tracing::info!(%transaction, reason, "the node has rejected a transaction");
        let events = self.wallet.rejected(&transaction);
        self.all_lost(&events, reason)
    }

    /// Candidates have been lost outside of a block: the first for that reason, the others with it.
    fn all_lost(&mut self, events: &[WalletEvent], reason: &str) -> Result<(), Failure> {
        let mut reason = Some(reason);
        for event in events {
            if let WalletEvent::Lost(lost) = event {
                self.lost(lost, reason.take())?;
            }
        }
        self.pump()
    }

    /// A candidate is lost; `reason` is for which it has been rejected, or given up.
    pub(crate) fn lost(&mut self, lost: &Lost, reason: Option<&str>) -> Result<(), Failure> {
        match self.lanes.remove(lost.candidate) {
            Some(Errand::Transfer(uetr)) => {
                self.transfer_lost(uetr, lost.candidate, reason);
                Ok(())
            }
            Some(Errand::Absorption) | None => Ok(()),
            Some(errand) => self.on_lost(errand, lost, reason),
        }
    }

    /// Asks the node about the first candidate of each lane, if that has been with it for long.
    pub(crate) fn look_after_lanes(&mut self) -> Result<(), Failure> {
        self.ask_about(|_| true);
        Ok(())
    }

    /// Looks after the lanes from time to time.
    pub(crate) fn keep_looking_after_lanes(&mut self) -> Result<(), Failure> {
        self.ask_about(|since| since.elapsed() >= PATIENCE);
        self.after(PATIENCE, Self::keep_looking_after_lanes);
        Ok(())
    }

    fn ask_about(&mut self, long: impl Fn(&Instant) -> bool) {
        let mut questions = Vec::new();
        for (asset, lane) in self.lanes.0.iter_mut().filter(|(_, lane)| !lane.asking) {
            let first = lane.jobs.first_key_value().map(|(_, job)| &job.stage);
            if let Some(Stage::Sent(transaction, since)) = first
                && long(since)
            {
                questions.push((*asset, transaction.clone(), since.elapsed()));
                lane.asking = true;
            }
        }
        for (asset, transaction, since) in questions {
            let (submitter, id) = (self.setting.submitter.clone(), transaction.id());
            self.spawn(
                async move { submitter.look_after(&transaction, since).await },
                move |core, answer| core.told(asset, id, answer),
            );
        }
    }

    /// The node has said where the first candidate of a lane stands.
    fn told(
        &mut self,
        asset: AssetId,
        id: TransactionId,
        answer: Result<TransactionStatus, SubmitError>,
    ) -> Result<(), Failure> {
        if let Some(lane) = self.lanes.0.get_mut(&asset) {
            lane.asking = false;
            if let Ok(TransactionStatus::Unknown) = answer {
                for job in lane.jobs.values_mut() {
                    if let Stage::Sent(transaction, _) = &job.stage {
                        job.stage = Stage::Ready(transaction.clone());
                    }
                }
                self.send(asset);
            }
        }
        match answer {
            Ok(TransactionStatus::Rejected { reason, .. }) => self.rejected(id, &reason),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
