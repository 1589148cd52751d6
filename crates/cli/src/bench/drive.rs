//! Submitting: one transfer after the other, or so many in a second whatever becomes of them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use quittance_rpc::proto::node::v1::SubmitRequest;
use quittance_rpc::proto::node::v1::status::State as Fate;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Code;

use super::error::BenchError;
use super::follow::{Clock, Followed, Load, Seen};
use crate::demo::progress::Stage;

/// Calls of one bank that are under way.
const CALLS: usize = 64;

/// Until a submission is repeated that the validator had no room for.
const PAUSE: Duration = Duration::from_millis(20);

/// For how long nothing may become final while something waits.
const STALLED: Duration = Duration::from_secs(60);

/// How often the progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// What happened to a transfer, when, since the start of the run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// It should have been submitted.
    pub due: Duration,
    /// It was.
    pub sent: Duration,
    /// The validator had verified it, and said so.
    pub admitted: Duration,
    /// The proposer made the block with it.
    pub proposed: Duration,
    /// The validator that it was submitted to had sent that block, final.
    pub seen: Option<Duration>,
}

/// What happens during a run.
enum Event {
    /// A transfer was submitted and admitted; so often there was no room for it before.
    Admitted { place: usize, due: Duration, sent: Duration, at: Duration, refusals: u64 },
    /// A block came.
    Seen(Seen),
}

/// Banks that submit, and validators that are followed.
pub struct Run {
    load: Arc<Load>,
    clock: Clock,
    /// The validator of each bank, over the bank's own connection.
    banks: Vec<Followed>,
    seen: mpsc::UnboundedReceiver<Seen>,
    /// Followers, and banks at work. None of them ends but by an error or at the end of its work.
    tasks: JoinSet<Result<(), BenchError>>,
    /// What happened to each transfer.
    pub times: Vec<Times>,
    /// How often there was no room for a transfer.
    pub refusals: u64,
    /// How many of the load's transfers each block had, by the first validator.
    pub blocks: Vec<usize>,
    left: usize,
}

impl Run {
    /// Connects to the validators; each bank over the connection `banks` has for it.
    pub fn start(load: Arc<Load>, banks: Vec<Followed>, validators: Vec<Followed>) -> Self {
        let clock = Clock::start();
        let (sender, seen) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for validator in validators {
            tasks.spawn(validator.follow(load.clone(), clock, sender.clone()));
        }
        let times = vec![Times::default(); load.transfers.len()];
        Self { load, clock, banks, seen, tasks, times, refusals: 0, blocks: Vec::new(), left: 0 }
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Submits each of these when the one before is final.
    pub async fn one_by_one(
        &mut self,
        places: Range<usize>,
        stage: &Stage,
    ) -> Result<(), BenchError> {
        for place in places.clone() {
            stage.note(&format!("{} of {}", place - places.start, places.len()));
            self.at_rate(place..place + 1, f64::INFINITY, &mut |_| ()).await?;
        }
        Ok(())
    }

    /// Submits these evenly, `rate` in a second, and waits until all are final. Those of one bank are
    /// submitted in order; one that is due waits only for a place among the bank's calls.
    pub async fn at_rate(
        &mut self,
        places: Range<usize>,
        rate: f64,
        progress: &mut impl FnMut(usize),
    ) -> Result<(), BenchError> {
        let (events, mut happened) = mpsc::unbounded_channel();
        let begin = self.clock.now();
        let mut lanes = vec![Vec::new(); self.banks.len()];
        for (number, place) in places.clone().enumerate() {
            let due = begin + Duration::from_secs_f64(number as f64 / rate);
            let payer = self.load.transfers.get(place).map(|transfer| transfer.payer);
            if let Some(lane) = payer.and_then(|payer| lanes.get_mut(payer)) {
                lane.push((place, due));
            }
        }
        for (lane, bank) in lanes.into_iter().zip(&self.banks) {
            let (load, clock) = (self.load.clone(), self.clock);
            self.tasks.spawn(submit_all(load, clock, bank.clone(), lane, events.clone()));
        }
        self.left = places.len();
        let mut last = (self.left, self.clock.now());
        while self.left > 0 {
            match timeout(TICK, self.next(&mut happened)).await {
                Ok(event) => self.take(event?),
                Err(_) => progress(places.len() - self.left),
            }
            let now = self.clock.now();
            if self.left < last.0 {
                last = (self.left, now);
            } else if now - last.1 > STALLED {
                let (left, all, seconds) = (self.left, places.len(), STALLED.as_secs());
                return Err(BenchError::Stalled { left, all, seconds });
            }
        }
        // What was admitted is heard of late if a block was faster than the answer.
        while self.times.get(places.clone()).is_some_and(|all| all.iter().any(unanswered)) {
            let event = self.next(&mut happened).await?;
            self.take(event);
        }
        Ok(())
    }

    async fn next(
        &mut self,
        happened: &mut mpsc::UnboundedReceiver<Event>,
    ) -> Result<Event, BenchError> {
        loop {
            tokio::select! {
                Some(seen) = self.seen.recv() => return Ok(Event::Seen(seen)),
                Some(event) = happened.recv() => return Ok(event),
                Some(ended) = self.tasks.join_next() => {
                    ended.unwrap_or(Err(BenchError::Interrupted))?;
                }
                else => return Err(BenchError::Interrupted),
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Admitted { place, due, sent, at, refusals } => {
                self.refusals += refusals;
                if let Some(times) = self.times.get_mut(place) {
                    (times.due, times.sent, times.admitted) = (due, sent, at);
                }
            }
            Event::Seen(Seen { validator, proposed, at, transfers }) => {
                if validator == 0 {
                    self.blocks.push(transfers.len());
                }
                for place in transfers {
                    let payer = self.load.transfers.get(place).map(|transfer| transfer.payer);
                    let bank = payer.and_then(|payer| self.banks.get(payer));
                    let own = bank.is_some_and(|bank| bank.place == validator);
                    if let Some(times) = self.times.get_mut(place).filter(|_| own) {
                        (times.proposed, times.seen) = (proposed, Some(at));
                        self.left = self.left.saturating_sub(1);
                    }
                }
            }
        }
    }
}

fn unanswered(times: &Times) -> bool {
    times.admitted == Duration::ZERO
}

/// Submits a bank's transfers, each when it is due.
async fn submit_all(
    load: Arc<Load>,
    clock: Clock,
    bank: Followed,
    lane: Vec<(usize, Duration)>,
    events: mpsc::UnboundedSender<Event>,
) -> Result<(), BenchError> {
    let calls = Arc::new(Semaphore::new(CALLS));
    let mut under_way = JoinSet::new();
    for (place, due) in lane {
        sleep(due.saturating_sub(clock.now())).await;
        // It is never closed.
        let Ok(call) = calls.clone().acquire_owned().await else { break };
        while let Some(ended) = under_way.try_join_next() {
            ended.unwrap_or(Err(BenchError::Interrupted))?;
        }
        let Some(transfer) = load.transfers.get(place) else { break };
        let request = SubmitRequest { transaction: transfer.bytes.clone() };
        let (mut bank, events) = (bank.clone(), events.clone());
        under_way.spawn(async move {
            let sent = clock.now();
            let refusals = submit(&mut bank, request).await?;
            let at = clock.now();
            drop(call);
            // Nobody listens any more only if the run has failed.
            let _ = events.send(Event::Admitted { place, due, sent, at, refusals });
            Ok(())
        });
    }
    while let Some(ended) = under_way.join_next().await {
        ended.unwrap_or(Err(BenchError::Interrupted))?;
    }
    Ok(())
}

/// Submits until it is admitted. How often there was no room.
async fn submit(bank: &mut Followed, request: SubmitRequest) -> Result<u64, BenchError> {
    let mut refusals = 0;
    loop {
        let status = match bank.client.submit(request.clone()).await {
            Ok(response) => response.into_inner().status.and_then(|status| status.state),
            Err(status) if status.code() == Code::ResourceExhausted => {
                refusals += 1;
                sleep(PAUSE).await;
                continue;
            }
            Err(status) => return Err(bank.refused(status)),
        };
        let validator = bank.id;
        return match status {
            Some(Fate::Pending(_) | Fate::Final(_)) => Ok(refusals),
            Some(Fate::Rejected(rejected)) => {
                Err(BenchError::Rejected { validator, reason: rejected.reason })
            }
            other => Err(BenchError::Answer { validator, reason: format!("{other:?}") }),
        };
    }
}
