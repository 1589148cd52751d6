//! From the coordinator's start to this party's shares of the results.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use quittance_circuit::{Program, Run};
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{Purpose, Signature, VerifyingKey};
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::state::Role;
use quittance_mpc::session::{Abort, Evidence, Machine, Session, Signer};
use quittance_mpc::{Engine, Output, PartyId};
use quittance_round::book::{Book, RoundFacts};
use quittance_round::committee::{Assignment, Computed, Outcome, SessionInputs};
use quittance_round::envelope::Signed;
use quittance_round::message::Reason;
use quittance_round::start::Start;
use quittance_rpc::frames::{self, Stopped};
use quittance_rpc::metrics as names;
use rand_core::OsRng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::core::{Core, Seat, State};
use crate::desk::{Begin, Ended};
use crate::programs::{Made, Maker};
use crate::publish;
use crate::stock::Draw;
use crate::stock::making::Making;

/// How long a start waits for the block that opens its round.
const CHAIN_WAIT: Duration = Duration::from_secs(10);

/// How long the messages of one exchange may take: longer than an honest party can compute between
/// two, or needs to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// For so many steps of the program masks and random bits are made in advance, in a dozen exchanges
/// for all of them, as far as the stock lacks them. All parties must have the same number here: it
/// is part of the protocol.
const PREPARED_STEPS: u32 = 2;

/// A computation that is to be done.
struct Job {
    assignment: Assignment,
    cancel: CancellationToken,
    make: Maker,
    seat: Seat,
    /// The parties' round keys, party 1 first.
    keys: Vec<VerifyingKey>,
    /// Whether there is no attempt after this one.
    last: bool,
}

/// Follows a start, to its end.
pub(crate) async fn start(core: Arc<Core>, signed: Signed<Start>) {
    let Start { round, attempt, .. } = *signed.unverified();
    let known = |state: &State| state.book.round(&round).map(drop);
    if core.when(CHAIN_WAIT, known).await.is_none() {
        tracing::warn!(%round, attempt, "a start of a round that is not on the ledger");
        return;
    }
    publish::collect(&core, signed.unverified()).await;
    let job = core.change(|state| begin(&core, state, &signed));
    let job = match job {
        Ok(Some(job)) => job,
        Ok(None) => return,
        Err(reason) => {
            counter!(names::PARTY_SESSIONS, "outcome" => "refused").increment(1);
            tracing::warn!(%round, attempt, reason, "a start is refused");
            let ours = |facts: &RoundFacts| facts.terms.opener == core.coordinator;
            core.change(|state| {
                let height = state.book.height();
                let facts = state.book.round(&round).filter(|facts| !facts.is_over(height));
                if facts.is_some_and(ours) {
                    let desk = state.desks.entry(round).or_default();
                    let named = vec![core.institution];
                    let reason = Reason::new(reason);
                    desk.refuse(attempt, Ended { exchange: 0, named, evidence: None, reason });
                }
            });
            return;
        }
    };
    let (last, banks) = (job.last, job.assignment.start().roster.size());
    tracing::info!(%round, attempt, banks, "computation begins");
    gauge!(names::PARTY_SESSIONS_OPEN).increment(1.0);
    let began = Instant::now();
    let result = compute(&core, job).await;
    gauge!(names::PARTY_SESSIONS_OPEN).decrement(1.0);
    histogram!(names::PARTY_SESSION_TIME).record(began.elapsed().as_secs_f64());
    let outcome = if result.is_ok() { "computed" } else { "failed" };
    counter!(names::PARTY_SESSIONS, "outcome" => outcome).increment(1);
    match &result {
        Ok((_, computed)) => {
            let Computed { session, steps, bytes_sent, milliseconds } = computed;
            tracing::info!(%round, attempt, %session, steps, bytes_sent, milliseconds, "computed");
        }
        Err(Broken { named, reason, .. }) => {
            let named: Vec<_> = named.iter().map(ToString::to_string).collect();
            tracing::warn!(%round, attempt, reason, ?named, "computation has failed");
        }
    }
    core.change(|state| {
        // Without a desk the round is over, and the result is dropped.
        if let Some(desk) = state.desks.get_mut(&round) {
            let ended = |Broken { exchange, named, evidence, reason }| Ended {
                exchange,
                named,
                evidence,
                reason: Reason::new(reason),
            };
            desk.conclude(attempt, result.map_err(ended), last);
        }
    });
}

/// Checks a start against the ledger. `None` if it has been seen before; the error is the reason
/// why it is refused.
fn begin(core: &Core, state: &mut State, signed: &Signed<Start>) -> Result<Option<Job>, String> {
    let State { book, desks, .. } = state;
    let (signer, round) = (signed.signer(), signed.unverified().round);
    let facts = book.round(&round).ok_or("the round is not on the ledger")?;
    if facts.is_over(book.height()) {
        return Err("the round is over".to_owned());
    }
    if signer != facts.terms.opener || signer != core.coordinator {
        return Err(format!("{signer} is not the coordinator who has opened the round"));
    }
    let register = book.registry().institution(&signer);
    if !register.is_some_and(|register| register.roles.contains(&Role::Coordinator)) {
        return Err(format!("{signer} is not registered as a coordinator"));
    }
    let key = book.key(&signer, Purpose::Round);
    let key = key.ok_or_else(|| format!("{signer} has no round key"))?;
    let start = signed.verify(key).map_err(|error| format!("the start of {signer}: {error}"))?;
    check_terms(start, facts)?;
    let seat = core.seat(facts).ok_or("this party is not in the committee")?;
    let active = start.active;
    if !active.belongs_to(seat.parties) {
        return Err(format!("{active:?} are not 2t + 1 of the round's committee"));
    }
    let make = core.programs.get(&facts.terms.program);
    let make = make.ok_or_else(|| format!("unknown program {}", facts.terms.program))?;
    let keys = keys(book, &seat)?;
    let last = start.attempt.saturating_add(1) >= facts.terms.attempts;
    let desk = desks.entry(round).or_default();
    if !active.contains(seat.me) {
        desk.stand_by(start, last);
        tracing::info!(%round, attempt = start.attempt, ?active, "others compute");
        return Ok(None);
    }
    match desk.begin(start, &core.stopping) {
        Ok(Begin::Compute(assignment, cancel)) => {
            Ok(Some(Job { assignment: *assignment, cancel, make, seat, keys, last }))
        }
        Ok(Begin::Again) => Ok(None),
        Err(reason) => Err(reason.to_string()),
    }
}

/// The start is one that the round's terms allow.
fn check_terms(start: &Start, facts: &RoundFacts) -> Result<(), String> {
    let (attempts, minimum) = (facts.terms.attempts, facts.terms.minimum_roster);
    if start.attempt >= attempts {
        return Err(format!("the round has {attempts} attempts"));
    }
    let size = start.roster.size();
    if size < usize::from(minimum) {
        return Err(format!("{size} banks are fewer than the round's {minimum}"));
    }
    let stranger = start.roster.institutions().find(|bank| !facts.members.contains_key(bank));
    stranger.map_or(Ok(()), |bank| Err(format!("{bank} has not joined")))
}

fn keys(book: &Book, seat: &Seat) -> Result<Vec<VerifyingKey>, String> {
    let key = |party| {
        let key = book.key(party, Purpose::Round);
        key.cloned().ok_or_else(|| format!("{party} has no round key"))
    };
    seat.members.iter().map(key).collect()
}

/// Why there is no result.
struct Broken {
    /// In which exchange of the session.
    exchange: u32,
    /// Whose messages were missing or wrong.
    named: Vec<InstitutionId>,
    /// What proves it.
    evidence: Option<Evidence>,
    reason: String,
}

/// Nobody else is to blame.
impl<T: ToString> From<T> for Broken {
    fn from(reason: T) -> Self {
        Self { exchange: 0, named: vec![], evidence: None, reason: reason.to_string() }
    }
}

async fn compute(core: &Arc<Core>, job: Job) -> Result<(Outcome, Computed), Broken> {
    let Job { assignment, cancel, make, seat, keys, .. } = job;
    let deadline = Instant::now() + core.compute;
    let began = Instant::now();
    let places = assignment.places();
    let made = tokio::task::spawn_blocking(move || make(places)).await;
    let Made { program, sort } = made.map_err(|_| "the program's builder has panicked")??;

    let chain = core.state().book.chain();
    let threshold = seat.parties.threshold() as u8;
    let fingerprints = keys.iter().map(VerifyingKey::fingerprint).collect();
    let binding = assignment.binding(chain, program.fingerprint(), fingerprints, threshold);
    let (session, inputs) = (binding.session(), assignment.inputs());
    let signer = RoundKeys { core: core.clone(), parties: keys };
    // Nothing is made for later rounds meanwhile.
    let _computing = core.making.as_ref().map(Making::computing);
    let stock = core.making.as_ref().map(|making| making.stock.clone());
    let draw = Draw::new(stock, binding.setting());
    let machine = Machine::new(&binding, seat.me.number(), move |session| {
        protocol(session.signed(signer), draw, inputs, program)
    });
    let machine = machine.map_err(|error| error.to_string())?;
    let (committee, patience) = (seat.members, PATIENCE);
    let how = frames::Assignment { session, committee, deadline, patience, cancel };
    let run = core.frames.drive(machine, how).await;
    let (Run { outputs, steps }, traffic) =
        run.map_err(|Stopped { exchange, failure }| Broken {
            exchange,
            named: failure.named(),
            evidence: failure.evidence().cloned(),
            reason: failure.to_string(),
        })?;

    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let computed = Computed { session, steps, bytes_sent: traffic.bytes, milliseconds };
    let sorted = sort(outputs).map_err(|error| error.to_string());
    let concluded = sorted.and_then(|outputs| {
        assignment.conclude(&computed, outputs).map_err(|error| error.to_string())
    });
    let outcome = concluded.map_err(|reason| Broken {
        exchange: traffic.exchanges.saturating_sub(1),
        named: vec![],
        evidence: None,
        reason,
    })?;
    Ok((outcome, computed))
}

/// The protocol with entropy of the operating system, fresh for each session.
async fn protocol(
    session: Session,
    mut draw: Draw,
    inputs: SessionInputs,
    program: Program,
) -> Result<Run<Output>, Abort> {
    let mut engine = Engine::start(session, OsRng).await?;
    if let Some(batch) = engine.draw(&mut draw).await? {
        tracing::info!(%batch, "stored preprocessing is used");
    }
    let mut shared = inputs.check(engine).await?;
    shared.prepare(&program, PREPARED_STEPS).await?;
    let run = shared.run(&program).await?;
    shared.engine().compare_transcripts().await?;
    draw.finish();
    Ok(run)
}

/// The round keys of a committee, this party's own in its core.
pub(crate) struct RoundKeys {
    pub(crate) core: Arc<Core>,
    pub(crate) parties: Vec<VerifyingKey>,
}

impl Signer for RoundKeys {
    fn sign(&self, statement: &Digest) -> Signature {
        // The one that the others verify with, whatever becomes current meanwhile.
        let keys = self.core.keys.signing_keys(Purpose::Round);
        let key = keys.iter().find(|key| self.parties.contains(&key.verifying_key()));
        key.unwrap_or_else(|| self.core.key(Purpose::Round)).sign(Purpose::Round, statement)
    }

    fn key(&self, party: PartyId) -> Option<&VerifyingKey> {
        self.parties.get(party.position())
    }
}
