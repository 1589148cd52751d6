//! One task that knows everything: the chain, who attends, and the rounds in hand.
//!
//! Nothing else changes any of it, so nothing has to be locked, and what happens has an order.

pub(crate) mod attendance;
mod opening;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, histogram};
use quittance_crypto::encoding::Encode;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::{AssetId, InstitutionId, RoundId};
use quittance_ledger::transaction::Transaction;
use quittance_round::book::{Book, MissingKey};
use quittance_round::coordinator::{Coordinator, Effect, Ending, Turn};
use quittance_round::message::{Attempt, Instruction, Reason, Report};
use quittance_rpc::convert::{FieldError, FinalBlock, TransactionStatus};
use quittance_rpc::follow::Following;
use quittance_rpc::identity::ProcessName;
use quittance_rpc::metrics as names;
use quittance_rpc::server::Health;
use quittance_rpc::submit::Submitter;
use rand_core::OsRng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval};
use tonic::Status;

use crate::CoordinatorError;
use crate::config::{PURPOSES, Rules};
use crate::service::Admitted;
use attendance::{Attendance, Attendee};
use opening::{Opening, Openings, WAITING};

/// How often rounds in hand look at the clock.
const TICK: Duration = Duration::from_millis(100);

/// What is done about a round that this process did not open itself.
const FORGOTTEN: &str = "the coordinator has been restarted; a new round can be asked for";

/// Something that happens to the hub.
pub(crate) enum Event {
    /// A process has begun to attend.
    Attend { name: ProcessName, attendee: Attendee },
    /// A stream has ended.
    Left { name: ProcessName, stream: u64 },
    /// An attendee says something.
    Report { name: ProcessName, stream: u64, report: Box<Report> },
    /// An attendee says something that is not canonical.
    Malformed { name: ProcessName, stream: u64, error: FieldError },
    /// A participant asks for a round.
    Request { asset: AssetId, by: InstitutionId, answer: Answer },
    /// An opening was not included.
    NotOpened { asset: AssetId, round: RoundId, reason: String },
    /// A settlement will not be included.
    NotIncluded { round: RoundId, reason: String },
}

/// Where the answer to a request for a round goes.
type Answer = oneshot::Sender<Result<RoundId, Status>>;

/// Whose hub it is, and how it runs rounds.
pub(crate) struct Me {
    pub(crate) institution: InstitutionId,
    pub(crate) keys: KeyRing,
    pub(crate) rules: Rules,
}

/// See the [module](self).
pub(crate) struct Hub {
    me: Me,
    book: Book,
    admitted: Arc<Admitted>,
    chain: Following,
    /// Whether the chain has been read as far as the node had it.
    ready: bool,
    submitter: Submitter,
    events: mpsc::Sender<Event>,
    inbox: mpsc::Receiver<Event>,
    health: Health,
    attendance: Attendance,
    opening: BTreeMap<AssetId, Opening>,
    openings: Openings,
    running: BTreeMap<RoundId, Coordinator>,
    /// Where the clock of rounds begins.
    began: Instant,
    /// Why rounds that can still settle are no longer run.
    given_up: BTreeMap<RoundId, Reason>,
    /// Requests that came before the chain was read.
    early: Vec<(AssetId, InstitutionId, Answer)>,
}

impl Hub {
    pub(crate) fn new(
        me: Me,
        (book, admitted): (Book, Arc<Admitted>),
        chain: Following,
        submitter: Submitter,
        events: mpsc::Sender<Event>,
        inbox: mpsc::Receiver<Event>,
        health: Health,
    ) -> Self {
        Self {
            me,
            book,
            admitted,
            chain,
            ready: false,
            submitter,
            events,
            inbox,
            health,
            attendance: Attendance::default(),
            opening: BTreeMap::new(),
            openings: Openings::default(),
            running: BTreeMap::new(),
            began: Instant::now(),
            given_up: BTreeMap::new(),
            early: Vec::new(),
        }
    }

    /// Runs until the chain cannot be followed any more.
    pub(crate) async fn run(mut self) -> CoordinatorError {
        let mut node_height = self.chain.watch_node_height();
        let mut ticks = interval(TICK);
        loop {
            tokio::select! {
                block = self.chain.next() => {
                    let taken = block.map_err(CoordinatorError::from).and_then(|b| self.block(&b));
                    if let Err(error) = taken {
                        return error;
                    }
                }
                // At a chain without blocks, or with no new ones, this is what makes us ready.
                Ok(()) = node_height.changed(), if !self.ready => {}
                // The hub holds a sender: there is always another event.
                Some(event) = self.inbox.recv() => self.event(event),
                _ = ticks.tick() => self.look(),
            }
            if let Err(missing) = self.become_ready().await {
                return CoordinatorError::Keys(missing);
            }
        }
    }

    async fn become_ready(&mut self) -> Result<(), MissingKey> {
        if self.ready || !self.chain.has_caught_up(self.book.height()) {
            return Ok(());
        }
        let Me { institution, keys, .. } = &self.me;
        let missing = self.book.missing_key(keys, institution, &PURPOSES);
        missing.map_or(Ok(()), Err)?;
        self.ready = true;
        self.health.set(true).await;
        tracing::info!(height = %self.book.height(), "coordinator is ready");
        self.give_up_forgotten();
        for (asset, by, answer) in std::mem::take(&mut self.early) {
            self.request(asset, by, answer);
        }
        Ok(())
    }

    fn block(&mut self, next: &FinalBlock) -> Result<(), CoordinatorError> {
        let before = self.book.registry().clone();
        self.book.apply(&next.block)?;
        if *self.book.registry() != before {
            self.admitted.follow(self.book.registry());
        }
        if !self.ready {
            return Ok(());
        }
        self.give_up_forgotten();
        self.look();
        self.answer_opened();
        let (book, height) = (&self.book, self.book.height());
        self.given_up.retain(|id, _| book.round(id).is_some_and(|round| !round.is_over(height)));
        Ok(())
    }

    /// Rounds of ours that can still settle, but not by us: from before a restart, or ones whose
    /// opening came when nobody waited for it any more.
    fn give_up_forgotten(&mut self) {
        let height = self.book.height();
        let forgotten: Vec<RoundId> = self
            .book
            .rounds()
            .filter(|(id, round)| {
                round.terms.opener == self.me.institution
                    && !round.is_over(height)
                    && !self.running.contains_key(id)
                    && !self.given_up.contains_key(id)
            })
            .map(|(id, _)| id)
            .collect();
        for round in forgotten {
            self.give_up(round, Reason::new(FORGOTTEN));
        }
    }

    /// Tells everybody that a round is not run any more, now and when they come.
    fn give_up(&mut self, round: RoundId, reason: Reason) {
        let message = abandoned(round, reason.clone());
        for institution in self.attendance.institutions() {
            self.attendance.send(institution, &message);
        }
        self.has_failed(round, reason);
    }

    /// Whoever attends has been told.
    fn has_failed(&mut self, round: RoundId, reason: Reason) {
        counter!(names::COORDINATOR_ROUNDS, "outcome" => "abandoned").increment(1);
        tracing::warn!(%round, %reason, "round is abandoned");
        self.running.remove(&round);
        self.given_up.insert(round, reason);
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Attend { name, attendee } => self.welcome(name, attendee),
            Event::Left { name, stream } => {
                if self.attendance.remove(name, stream) {
                    tracing::info!(%name, "has left");
                    self.attendance_has_changed();
                }
            }
            Event::Malformed { name, stream, error } => {
                let status = Status::invalid_argument(error.to_string());
                if self.attendance.cut(name, stream, status) {
                    self.attendance_has_changed();
                }
            }
            Event::Report { name, stream, report } => {
                // What a replaced stream still had to say may contradict its successor.
                if self.attendance.is_current(name, stream) {
                    self.report(name, *report);
                }
            }
            Event::Request { asset, by, answer } if self.ready => self.request(asset, by, answer),
            Event::Request { asset, by, answer } => match self.early.len() {
                0..WAITING => self.early.push((asset, by, answer)),
                _ => drop(answer.send(Err(Status::unavailable("the chain is being read")))),
            },
            Event::NotOpened { asset, round, reason } => self.not_opened(asset, round, &reason),
            Event::NotIncluded { round, reason } => {
                if self.running.contains_key(&round) {
                    let reason = format!("the settlement was not included: {reason}");
                    self.give_up(round, Reason::new(reason));
                }
            }
        }
    }

    fn welcome(&mut self, name: ProcessName, attendee: Attendee) {
        tracing::info!(%name, "attends");
        if self.attendance.attends(name) {
            // For a moment it is away: rounds tell it again what they have told its first stream.
            self.attendance.replace(name);
            self.attendance_has_changed();
        }
        self.attendance.add(name, attendee);
        for (round, reason) in &self.given_up {
            self.attendance.send(name.institution, &abandoned(*round, reason.clone()));
        }
        self.attendance_has_changed();
    }

    /// Tells every round in hand who attends.
    fn attendance_has_changed(&mut self) {
        let rounds: Vec<RoundId> = self.running.keys().copied().collect();
        for round in rounds {
            let present = self.attendance.institutions();
            self.lead(round, |it, turn| it.attend(turn, present, &mut OsRng));
        }
    }

    fn report(&mut self, name: ProcessName, report: Report) {
        let (round, what) = (report.round(), report.name());
        tracing::debug!(%name, %round, report = what, "report");
        self.lead(round, |it, turn| {
            it.report(turn, name.institution, report, &mut OsRng).unwrap_or_else(|error| {
                tracing::warn!(%name, %round, report = what, %error, "a report is refused");
                Vec::new()
            })
        });
    }

    /// Lets every round in hand look at the clock and the ledger.
    fn look(&mut self) {
        let rounds: Vec<RoundId> = self.running.keys().copied().collect();
        for round in rounds {
            self.lead(round, |it, turn| it.advance(turn, &mut OsRng));
        }
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }

    /// Does something with a round in hand, and what it wants to be done then.
    fn lead(
        &mut self,
        round: RoundId,
        step: impl FnOnce(&mut Coordinator, Turn<'_>) -> Vec<Effect>,
    ) {
        let now_ms = self.now_ms();
        let Some(coordinator) = self.running.get_mut(&round) else { return };
        let key = self.book.own_key(&self.me.keys, &self.me.institution, Purpose::Round);
        let before = (coordinator.phase(), coordinator.phase_began_ms());
        let effects = step(coordinator, Turn { book: &self.book, key, now_ms });
        if coordinator.phase() != before.0 {
            let seconds = now_ms.saturating_sub(before.1) as f64 / 1000.0;
            let phase = format!("{:?}", before.0).to_lowercase();
            histogram!(names::COORDINATOR_PHASE_TIME, "phase" => phase).record(seconds);
        }
        for effect in effects {
            self.perform(round, effect);
        }
    }

    fn perform(&mut self, round: RoundId, effect: Effect) {
        match effect {
            Effect::Send { to, instruction } => {
                tracing::info!(%round, instruction = instruction.name(), to = to.len(), "sent");
                let message = instruction.to_bytes();
                for institution in to {
                    self.attendance.send(institution, &message);
                }
            }
            Effect::Again(failure) => {
                counter!(names::COORDINATOR_ATTEMPTS).increment(1);
                tracing::warn!(%round, %failure, "an attempt has failed; another one is made");
            }
            Effect::Submit(transaction) => self.submit(round, transaction),
            Effect::Ended(Ending::Settled(settled)) => {
                counter!(names::COORDINATOR_ROUNDS, "outcome" => "settled").increment(1);
                tracing::info!(%round, height = %settled.height, "round has settled");
                self.running.remove(&round);
            }
            Effect::Ended(Ending::Failed(failure)) => self.has_failed(round, Reason::new(failure)),
        }
    }

    /// Submits a settlement. The agents have it too; whoever comes first, it lands once. The round
    /// asks for it again as long as it has not.
    fn submit(&self, round: RoundId, transaction: Transaction) {
        let (submitter, events) = (self.submitter.clone(), self.events.clone());
        tokio::spawn(async move {
            match submitter.submit(&transaction).await {
                Ok(TransactionStatus::Rejected { code, reason }) => {
                    let reason = format!("{code}: {reason}");
                    let _ = events.send(Event::NotIncluded { round, reason }).await;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%round, %error, "a settlement is submitted again"),
            }
        });
    }
}

/// The message that says so.
fn abandoned(round: RoundId, reason: Reason) -> Vec<u8> {
    Instruction::Abandoned { attempt: Attempt { round, number: 0 }, reason }.to_bytes()
}
