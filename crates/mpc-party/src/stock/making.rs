//! Batches are made in the background, when there are too few and no round computes.
//!
//! Party 1 of a committee proposes a number that was not given, by the call `Party.Prepare`; if all
//! others agree, all run the session whose name follows from chain, committee, number and amount.
//! In a committee of more than 2t + 1 parties these are the first 2t + 1, which compute unless one of
//! them is missing or was named: for other active parties there is no stock, and their sessions make
//! what they need.
//!
//! *What a lying party 1 can do.* It has no say in what a batch contains: the session sees to that.
//! A number can be made to fail, by anybody; it is then given, and never tried again. A party makes
//! a batch only if it has too few itself, one at a time, not while a round computes, and not within
//! [`REST`] of the last one. Its numbers grow, by at most [`MAX_JUMP`] at a time, so that they do not
//! run out. A proposal that is repeated has a number that is given.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::counter;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode, Writer};
use quittance_crypto::signature::{Purpose, VerifyingKey};
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::state::Committee;
use quittance_mpc::session::{Binding, Machine};
use quittance_mpc::stock::{Amount, STORED_WIDTH};
use quittance_mpc::{Engine, Parties, PartyId};
use quittance_round::book::Book;
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::frames;
use quittance_rpc::metrics as names;
use quittance_rpc::proto::party::v1::{PrepareRequest, PrepareResponse};
use rand_core::OsRng;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::Stock;
use super::settings::Settings;
use crate::core::Core;
use crate::session::RoundKeys;

/// The longest that making a batch may take.
const MAKING_TIME: Duration = Duration::from_secs(30);

/// The longest wait for another party's answer to a proposal.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Between two batches, at least.
const REST: Duration = Duration::from_millis(500);

/// The first and the longest pause after a batch that could not be made.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The most numbers that a proposal may leave out.
const MAX_JUMP: u64 = 1 << 32;

/// A committee among whose first 2t + 1 parties this one is.
pub(crate) struct Place {
    members: Vec<InstitutionId>,
    keys: Vec<VerifyingKey>,
    me: PartyId,
    /// The name of those who compute, and all that a session needs but what it is for.
    name: Digest,
    binding: Binding,
}

/// The stock of a party with all that keeps it full.
pub(crate) struct Making {
    pub(crate) stock: Arc<Stock>,
    settings: Settings,
    places: Vec<Place>,
    work: Mutex<Work>,
}

/// What the party is at.
struct Work {
    /// Rounds that compute.
    rounds: usize,
    /// The batch that is being made.
    making: Option<CancellationToken>,
    /// When the next one may be.
    rested: Instant,
}

/// A round computes as long as this lives.
pub(crate) struct Computing(Arc<Making>);

/// A batch is being made as long as this lives.
struct Turn {
    making: Arc<Making>,
    cancel: CancellationToken,
}

impl Place {
    /// The places of an institution in these committees, with the keys that the ledger has now.
    pub(crate) fn all(book: &Book, committees: &[Committee], own: InstitutionId) -> Vec<Self> {
        committees.iter().filter_map(|committee| Self::new(book, committee, own)).collect()
    }

    fn new(
        book: &Book,
        Committee { parties, threshold }: &Committee,
        own: InstitutionId,
    ) -> Option<Self> {
        let position = parties.iter().position(|party| *party == own)?;
        let active = Parties::new(parties.len(), *threshold).ok()?.first_active();
        let me = active.ids().find(|id| id.position() == position)?;
        let keys = parties.iter().map(|party| book.key(party, Purpose::Round).cloned());
        let keys: Vec<_> = keys.collect::<Option<_>>()?;
        let binding = Binding {
            chain: book.chain().0,
            round: Digest::ZERO,
            attempt: 0,
            circuit: Digest::ZERO,
            roster: Digest::ZERO,
            dealings: Digest::ZERO,
            committee: keys.iter().map(VerifyingKey::fingerprint).collect(),
            threshold: *threshold,
            active,
        };
        Some(Self { members: parties.clone(), keys, me, name: binding.setting(), binding })
    }

    /// The name of those who compute.
    pub(crate) fn name(&self) -> &Digest {
        &self.name
    }

    /// The other active parties.
    fn others(&self) -> impl Iterator<Item = InstitutionId> {
        let others = self.binding.active.others(self.me);
        others.filter_map(|id| self.members.get(id.position()).copied())
    }

    /// The session that makes a batch.
    fn binding(&self, number: u64, amount: Amount) -> Binding {
        let mut what = Writer::new();
        what.u32(STORED_WIDTH);
        what.u32(amount.comparisons);
        what.u32(amount.bits);
        let number = number.to_be_bytes();
        Binding {
            round: Digest::of("quittance/v1/mpc-batch", &[self.name.as_bytes(), &number]),
            circuit: Digest::of("quittance/v1/mpc-batch-amount", &[&what.into_bytes()]),
            ..self.binding.clone()
        }
    }
}

impl Making {
    pub(crate) fn new(stock: Stock, settings: Settings, places: Vec<Place>) -> Arc<Self> {
        let work = Work { rounds: 0, making: None, rested: Instant::now() };
        Arc::new(Self { stock: Arc::new(stock), settings, places, work: Mutex::new(work) })
    }

    /// State is whole after each use, so a panic elsewhere does not spoil it.
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A round computes from now on: what is being made is given up for it.
    pub(crate) fn computing(self: &Arc<Self>) -> Computing {
        let mut work = self.work();
        work.rounds += 1;
        if let Some(making) = &work.making {
            making.cancel();
        }
        drop(work);
        Computing(self.clone())
    }

    /// Begins with a batch, or says why not now.
    fn begin(self: &Arc<Self>, parent: &CancellationToken) -> Result<Turn, &'static str> {
        let mut work = self.work();
        if work.rounds > 0 {
            return Err("a round is being computed");
        }
        if work.making.is_some() {
            return Err("a batch is being made");
        }
        if work.rested > Instant::now() {
            return Err("the last batch was made just now");
        }
        let cancel = parent.child_token();
        work.making = Some(cancel.clone());
        Ok(Turn { making: self.clone(), cancel })
    }

    /// Whether a committee has too few batches.
    fn is_short(&self, committee: &Digest) -> bool {
        self.stock.stand(committee).0 < self.settings.batches
    }
}

impl Drop for Computing {
    fn drop(&mut self) {
        self.0.work().rounds -= 1;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut work = self.making.work();
        work.making = None;
        work.rested = Instant::now() + REST;
    }
}

/// Answers a proposal of `caller`, and begins with the batch if it is agreed to.
pub(crate) fn answer(
    core: &Arc<Core>,
    caller: InstitutionId,
    request: &PrepareRequest,
) -> Result<PrepareResponse, Status> {
    let committee = Digest::from_bytes(&request.committee)
        .map_err(|error| Status::invalid_argument(format!("committee: {error}")))?;
    let off = || Status::failed_precondition("this party keeps no stock of preprocessing");
    let making = core.making.as_ref().ok_or_else(off)?;
    let place =
        making.places.iter().position(|place| place.name == committee).ok_or_else(|| {
            Status::failed_precondition("this party is in no such committee, with these keys")
        })?;
    let of = |place: usize| making.places.get(place);
    let Some(Place { members, .. }) = of(place) else { return Err(off()) };
    if members.first() != Some(&caller) {
        let reason = format!("{caller} is not the first party of this committee");
        return Err(Status::permission_denied(reason));
    }
    let amount = Amount { comparisons: request.comparisons, bits: request.bits };
    let (_, highest) = making.stock.stand(&committee);
    let refused =
        |reason: &str| Ok(PrepareResponse { accepted: false, highest, reason: reason.to_owned() });
    let Amount { comparisons, bits } = making.settings.amount;
    if !amount.is_possible() || amount.comparisons > comparisons || amount.bits > bits {
        return refused("batches are smaller here: see [preprocessing] in its configuration");
    }
    if !making.is_short(&committee) {
        return refused("there are enough batches");
    }
    if !(1..=MAX_JUMP).contains(&request.number.saturating_sub(highest)) {
        return refused("the number is given, or too far from those that are");
    }
    let turn = match making.begin(&core.stopping) {
        Ok(turn) => turn,
        Err(reason) => return refused(reason),
    };
    making.stock.give(&committee, request.number);
    let (core, number) = (core.clone(), request.number);
    tokio::spawn(async move {
        if let Err(reason) = make(&core, turn, place, number, amount).await {
            failed(number, &reason);
        }
    });
    Ok(PrepareResponse { accepted: true, highest, reason: String::new() })
}

fn failed(number: u64, reason: &str) {
    counter!(names::PARTY_STOCK_FAILURES).increment(1);
    tracing::warn!(number, reason, "preprocessing was not made");
}

/// Makes a batch with the others, and keeps it.
async fn make(
    core: &Arc<Core>,
    turn: Turn,
    place: usize,
    number: u64,
    amount: Amount,
) -> Result<(), String> {
    let place = turn.making.places.get(place).ok_or("no such committee")?;
    let binding = place.binding(number, amount);
    let signer = RoundKeys { core: core.clone(), parties: place.keys.clone() };
    let machine = Machine::new(&binding, place.me.number(), move |session| async move {
        let session = session.signed(signer);
        Engine::start(session, OsRng).await?.into_material(number, amount).await
    });
    let machine = machine.map_err(|error| error.to_string())?;
    let assignment = frames::Assignment {
        session: binding.session(),
        committee: place.members.clone(),
        deadline: Instant::now() + MAKING_TIME,
        patience: MAKING_TIME,
        cancel: turn.cancel.clone(),
    };
    let began = Instant::now();
    let made = core.frames.drive(machine, assignment).await;
    if made.is_err() && turn.cancel.is_cancelled() {
        tracing::info!(number, "making preprocessing is cut short");
        return Ok(());
    }
    let (material, traffic) = made.map_err(|failure| failure.to_string())?;
    let stock = turn.making.stock.clone();
    let kept = tokio::task::spawn_blocking(move || stock.keep(&material)).await;
    if !kept.map_err(|_| "keeping it has panicked")?.map_err(|error| error.to_string())? {
        return Err("its number was used meanwhile, or there is no room".to_owned());
    }
    let (milliseconds, bytes_sent) = (began.elapsed().as_millis(), traffic.bytes);
    tracing::info!(number, ?amount, bytes_sent, milliseconds, "preprocessing is stored");
    Ok(())
}

/// Proposes batches for the committees whose party 1 this is, until the party stops.
pub(crate) async fn keep_stocked(core: Arc<Core>) {
    let Some(making) = core.making.clone() else { return };
    let mut failing = PAUSES.0;
    let mut pause = PAUSES.0;
    loop {
        tokio::select! {
            () = sleep(pause) => {}
            () = core.stopping.cancelled() => return,
        }
        pause = 2 * REST;
        for (place, seat) in making.places.iter().enumerate() {
            if seat.me.position() > 0 || !making.is_short(&seat.name) {
                continue;
            }
            // A round comes first.
            let Ok(turn) = making.begin(&core.stopping) else { continue };
            match propose(&core, turn, place).await {
                Ok(()) => failing = PAUSES.0,
                Err((number, reason)) => {
                    failed(number, &reason);
                    pause = failing;
                    failing = (2 * failing).min(PAUSES.1);
                }
            }
        }
    }
}

/// Asks all others for a batch of the next number, and makes it with them.
async fn propose(core: &Arc<Core>, turn: Turn, place: usize) -> Result<(), (u64, String)> {
    let making = turn.making.clone();
    let Some(seat) = making.places.get(place) else { return Ok(()) };
    let amount = making.settings.amount;
    let number = making.stock.stand(&seat.name).1 + 1;
    making.stock.give(&seat.name, number);
    let request = PrepareRequest {
        committee: seat.name.to_bytes(),
        number,
        comparisons: amount.comparisons,
        bits: amount.bits,
    };
    let answers = seat.others().map(|member| {
        let target = core.others.get(&member).cloned();
        (member, tokio::spawn(ask(core.dialer.clone(), target, request.clone())))
    });
    let answers: Vec<_> = answers.collect();
    let mut refused = None;
    for (member, answer) in answers {
        let answer = answer.await.map_err(|_| "asking has panicked".to_owned());
        match answer.and_then(|answer| answer) {
            Ok(PrepareResponse { accepted: true, .. }) => {}
            Ok(PrepareResponse { highest, reason, .. }) => {
                making.stock.give(&seat.name, highest.min(number.saturating_add(MAX_JUMP)));
                refused.get_or_insert(format!("{member} refuses: {reason}"));
            }
            Err(reason) => drop(refused.get_or_insert(format!("{member}: {reason}"))),
        }
    }
    match refused {
        None => make(core, turn, place, number, amount).await,
        Some(reason) => Err(reason),
    }
    .map_err(|reason| (number, reason))
}

/// Calls one party.
async fn ask(
    dialer: Dialer,
    target: Option<Target>,
    request: PrepareRequest,
) -> Result<PrepareResponse, String> {
    let target = target.ok_or("nobody says where it is")?;
    let mut client = dialer.party(&target).map_err(|error| error.to_string())?;
    match timeout(ANSWER_TIME, client.prepare(request)).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(status.message().to_owned()),
        Err(_) => Err("no answer".to_owned()),
    }
}
