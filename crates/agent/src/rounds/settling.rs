//! From the start to the settlement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quittance_crypto::encoding::Encode;
use quittance_ledger::ids::RoundId;
use quittance_ledger::transaction::Transaction;
use quittance_mpc::PartyId;
use quittance_round::envelope::Signed;
use quittance_round::message::{Attempt, Instruction, Reason, Report};
use quittance_round::participant::{self, Answer, BeginError, Participant};
use quittance_round::queue::FrozenQueue;
use quittance_round::result::{
    Announced, BankResult, CheckError, Expected, ResultError, ResultShare, combine,
};
use quittance_round::settlement::StartError;
use quittance_round::start::Start;
use quittance_rpc::convert;
use quittance_rpc::proto::agent::v1::round_event::Stage as Shown;
use quittance_rpc::proto::party::v1::ResultsRequest;
use quittance_rpc::proto::party::v1::party_client::PartyClient;
use rand_core::OsRng;
use tokio::time::sleep;
use tonic::Status;
use tonic::transport::Channel;
use zeroize::Zeroizing;

use super::dealing::is_passing;
use super::{Results, Stage, event, keys};
use crate::core::{Changes, Core, Failure};
use crate::store::ROUNDS;

/// How long a party may be asked for a result in one call.
const WAIT_MS: u32 = 20_000;

/// How long it is asked again.
const PATIENCE: Duration = Duration::from_secs(600);

/// Before anything is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// How long the coordinator has for another attempt before it is told that there is no result: the
/// parties may have told it themselves.
const GRACE: Duration = Duration::from_secs(2);

/// How often a result is looked at whose inflow is not yet what was announced.
const LOOKS: u32 = 50;

/// Why a result is not accepted.
enum Unaccepted {
    /// A payer has still to announce a payment.
    NotYet(CheckError),
    /// The parties' shares do not give a result.
    None(ResultError),
    Wrong(CheckError),
}

impl Core {
    /// The coordinator says that the computation begins.
    pub(super) fn start(&mut self, round: RoundId, start: Signed<Start>) -> Result<(), Failure> {
        let setting = self.setting.clone();
        let (rounds, us) = (&mut self.parts.rounds, setting.institution);
        let Some(seat) = rounds.seats.get_mut(&round) else { return Ok(()) };
        let Some(dealing) = seat.dealing else { return Ok(()) };
        // A later attempt, as long as nothing has been signed that may settle.
        let again = seat.stage == Stage::Started && !seat.may_settle;
        if seat.stage != Stage::Dealt && !again {
            return Ok(());
        }
        match Participant::new(&rounds.book, us, &dealing, &start) {
            Ok(participant) => {
                let Start { attempt, active, .. } = participant.start();
                let banks = participant.roster().size();
                tracing::info!(%round, attempt, ?active, banks, "the round is started");
                seat.results = Results::default();
                seat.participant = Some(Box::new(participant));
                (seat.stage, seat.held, seat.answers) = (Stage::Started, None, None);
                self.fetch_results(round)
            }
            // The coordinator may have read more of the chain.
            Err(BeginError::Start(StartError::NotAMember(_))) => {
                seat.held = Some(start);
                Ok(())
            }
            Err(error @ BeginError::NotInRoster) => self.leave(round, &error.to_string()),
            Err(error) => {
                let number = start.unverified().attempt;
                let attempt = Attempt { round, number };
                let refusal = participant::refuse(attempt, us, error, keys(&setting));
                self.report(round, refusal);
                self.leave(round, &error.to_string())
            }
        }
    }

    /// More of the chain has been read.
    pub(super) fn try_held_starts(&mut self) -> Result<(), Failure> {
        let seats = self.parts.rounds.seats.iter_mut();
        let held: Vec<_> =
            seats.filter_map(|(round, seat)| Some((*round, seat.held.take()?))).collect();
        held.into_iter().try_for_each(|(round, start)| self.start(round, start))
    }

    /// The bank's side of an attempt, as long as there is no later one.
    fn participant(&mut self, attempt: Attempt) -> Option<&mut Participant> {
        let participant = self.parts.rounds.seats.get_mut(&attempt.round)?.participant.as_mut()?;
        (participant.attempt() == attempt).then_some(participant)
    }

    /// Asks the active parties for this bank's shares of its result.
    fn fetch_results(&mut self, round: RoundId) -> Result<(), Failure> {
        let Some((committee, _)) = self.parts.rounds.committee(&round) else { return Ok(()) };
        let seat = self.parts.rounds.seats.get(&round);
        let Some(participant) = seat.and_then(|seat| seat.participant.as_ref()) else {
            return Ok(());
        };
        let (attempt, active) = (participant.attempt(), participant.start().active);
        for id in active.ids() {
            let client = match committee.get(id.position()) {
                Some(party) => self.party(*party),
                None => Err(format!("the committee has no {id}")),
            };
            match client {
                Ok(client) => self.spawn(ask(client, attempt), move |core, answer| {
                    core.has_result(attempt, id, answer)
                }),
                Err(reason) => self.has_result(attempt, id, Err(reason))?,
            }
        }
        Ok(())
    }

    /// A party has answered.
    fn has_result(
        &mut self,
        attempt: Attempt,
        party: PartyId,
        answer: Result<ResultShare, String>,
    ) -> Result<(), Failure> {
        let Some(participant) = self.participant(attempt) else { return Ok(()) };
        let needed = participant.start().active.count();
        let Some(seat) = self.parts.rounds.seats.get_mut(&attempt.round) else { return Ok(()) };
        match answer {
            Ok(share) => drop(seat.results.shares.insert(party, Arc::new(share))),
            Err(reason) => drop(seat.results.failed.insert(party, reason)),
        }
        let (shares, failed) = (seat.results.shares.len(), &seat.results.failed);
        if shares + failed.len() < needed {
            return Ok(());
        }
        if failed.is_empty() {
            return self.look_at_result(attempt, LOOKS);
        }
        let silent: Vec<PartyId> = failed.keys().copied().collect();
        let reasons = failed.iter().map(|(party, reason)| format!("{party}: {reason}"));
        let reason = format!("no result from {}", reasons.collect::<Vec<_>>().join("; "));
        self.after(GRACE, move |core| core.has_none(attempt, &silent, &reason));
        Ok(())
    }

    /// There is no result of this attempt, because of these parties. Another attempt may bring one.
    fn has_none(
        &mut self,
        attempt: Attempt,
        because_of: &[PartyId],
        reason: &str,
    ) -> Result<(), Failure> {
        if self.participant(attempt).is_none_or(|participant| participant.is_over()) {
            return Ok(());
        }
        let Some((committee, _)) = self.parts.rounds.committee(&attempt.round) else {
            return Ok(());
        };
        let round = attempt.round;
        tracing::warn!(%round, attempt = attempt.number, reason, "there is no result");
        let party = |id: &PartyId| committee.get(id.position()).copied();
        let parties = because_of.iter().filter_map(party).collect();
        self.report(round, Report::NoResult { attempt, parties, reason: Reason::new(reason) });
        Ok(())
    }

    /// Combines the parties' shares, and holds the result against what the bank knows.
    fn look_at_result(&mut self, attempt: Attempt, looks: u32) -> Result<(), Failure> {
        let round = attempt.round;
        if self.participant(attempt).is_none() {
            return Ok(());
        }
        let announced = self.announced(&round);
        let Some(seat) = self.parts.rounds.seats.get(&round) else { return Ok(()) };
        let (Some(participant), Some(queue)) = (&seat.participant, seat.queue.clone()) else {
            return Ok(());
        };
        let Some(expected) = Expected::new(participant.start(), &queue) else {
            return Ok(());
        };
        let shares = seat.results.shares.iter();
        let shares: Vec<_> = shares.map(|(party, share)| (*party, share.clone())).collect();
        self.compute(
            move || accept(&expected, &shares, &queue, announced),
            move |core, result| match result {
                Err(panicked) => core.refuse(attempt, &panicked.to_string()),
                Ok(Ok(result)) => core.post(attempt, &result),
                Ok(Err(Unaccepted::NotYet(_))) if looks > 0 => {
                    core.after(PAUSE, move |core| core.look_at_result(attempt, looks - 1));
                    Ok(())
                }
                Ok(Err(Unaccepted::None(error))) => {
                    core.has_none(attempt, &error.named(), &error.to_string())
                }
                Ok(Err(Unaccepted::NotYet(error) | Unaccepted::Wrong(error))) => {
                    core.refuse(attempt, &error.to_string())
                }
            },
        );
        Ok(())
    }

    /// The payments that others have announced, and that the ledger confirms.
    fn announced(&self, round: &RoundId) -> Vec<Announced> {
        let facts = self.parts.rounds.book.round(round);
        let register = self.book.registry().institution(&self.setting.institution);
        let (Some(facts), Some(register)) = (facts, register) else { return vec![] };
        let believed = self.parts.inbox.of(round).filter_map(|announcement| {
            let payer = &facts.members.get(&announcement.payer)?.joined;
            match announcement.check(payer, register.number) {
                Ok(()) => Some(Announced::from(announcement)),
                Err(error) => {
                    let payer = announcement.payer;
                    tracing::warn!(%round, %payer, %error, "an announcement is not believed");
                    None
                }
            }
        });
        believed.collect()
    }

    /// The result is right: it is stored, and the bank posts what follows from it.
    fn post(&mut self, attempt: Attempt, result: &BankResult) -> Result<(), Failure> {
        let (setting, round) = (self.setting.clone(), attempt.round);
        if self.participant(attempt).is_none() {
            return Ok(());
        }
        let Some(seat) = self.parts.rounds.seats.get_mut(&round) else { return Ok(()) };
        seat.results.steps = result.steps;
        seat.results.milliseconds = result.milliseconds;
        seat.results.bytes = seat.results.shares.values().map(|share| share.bytes_sent).collect();
        seat.results.shares.clear();
        seat.results.notices = result.notices.clone();
        let asset = seat.asset;
        let mut changes = Changes::now();
        changes.batch.put(ROUNDS, &round.0.0, result);
        changes.event(event(round, asset, Shown::Result, "", &seat.results));
        self.commit(changes)?;

        let moved = (result.inflow, result.outflow());
        let (blinding, settled) = (&result.blinding, result.settled);
        let draft =
            self.wallet.draft_settlement(asset, round, moved, blinding, settled, &mut OsRng);
        let draft = match draft {
            Ok(draft) => draft,
            Err(error) => return self.refuse(attempt, &error.to_string()),
        };
        let Some(participant) = self.participant(attempt) else { return Ok(()) };
        let answer = participant.post(draft, &result.nets, keys(&setting));
        self.act(round, answer)
    }

    /// Takes an instruction of the coordinator.
    pub(super) fn follow(
        &mut self,
        round: RoundId,
        instruction: Instruction,
    ) -> Result<(), Failure> {
        let setting = self.setting.clone();
        let rounds = &mut self.parts.rounds;
        let seat = rounds.seats.get_mut(&round);
        let Some(participant) = seat.and_then(|seat| seat.participant.as_mut()) else {
            return Ok(());
        };
        let answer = participant.receive(&rounds.book, keys(&setting), instruction, &mut OsRng);
        self.act(round, answer)
    }

    /// Does what the bank's side of the settlement says.
    fn act(&mut self, round: RoundId, answer: Answer) -> Result<(), Failure> {
        match answer {
            Answer::Nothing => Ok(()),
            Answer::Ignored(deviation) => {
                tracing::warn!(%round, %deviation, "an instruction is ignored");
                Ok(())
            }
            Answer::Report(report) => {
                let signed = matches!(report, Report::Signature { .. });
                if let Some(seat) = self.parts.rounds.seats.get_mut(&round) {
                    seat.may_settle |= signed;
                }
                self.report(round, report);
                match signed {
                    true => self.tell(round, Shown::Signed, ""),
                    false => Ok(()),
                }
            }
            Answer::Submit(transaction) => {
                self.submit_settlement(round, *transaction);
                Ok(())
            }
            Answer::Refused { report, deviation } => {
                tracing::warn!(%round, %deviation, "the settlement is refused");
                self.report(round, report);
                self.leave(round, &deviation.to_string())
            }
            Answer::Abandoned(reason) => self.leave(round, reason.as_str()),
        }
    }

    /// The bank does not go on, and signs that it does not.
    fn refuse(&mut self, attempt: Attempt, reason: &str) -> Result<(), Failure> {
        let (setting, round) = (self.setting.clone(), attempt.round);
        let participant = self.participant(attempt);
        let Some(participant) = participant.filter(|participant| !participant.is_over()) else {
            return Ok(());
        };
        tracing::warn!(%round, reason, "the result is refused");
        let refusal = participant.refuse(reason, keys(&setting));
        self.report(round, refusal);
        self.leave(round, reason)
    }

    /// Everybody submits: one that reaches the node is enough.
    fn submit_settlement(&self, round: RoundId, transaction: Transaction) {
        let submitter = self.setting.submitter.clone();
        let submitting = async move { submitter.settle(&transaction).await };
        self.spawn(submitting, move |_, outcome| {
            match outcome {
                Ok(outcome) => tracing::info!(%round, ?outcome, "the settlement was submitted"),
                Err(error) => tracing::warn!(%round, %error, "the settlement was not taken"),
            }
            Ok(())
        });
    }
}

/// Combines and checks. Takes long.
fn accept(
    expected: &Expected,
    shares: &[(PartyId, Arc<ResultShare>)],
    queue: &FrozenQueue,
    announced: Vec<Announced>,
) -> Result<BankResult, Unaccepted> {
    let shares: Vec<_> =
        shares.iter().map(|(party, share)| (*party, ResultShare::clone(share))).collect();
    let combined = combine(expected, &shares);
    let combined = combined.map_err(Unaccepted::None)?;
    combined.check(queue, announced).map_err(|error| match error {
        // Who pays what is missing cannot be told: nobody but payer and payee knows of it.
        CheckError::Inflow => Unaccepted::NotYet(error),
        error => Unaccepted::Wrong(error),
    })
}

/// Asks a party until it has a result, or never will.
async fn ask(mut client: PartyClient<Channel>, attempt: Attempt) -> Result<ResultShare, String> {
    let began = Instant::now();
    loop {
        let request = ResultsRequest {
            round_id: attempt.round.to_bytes(),
            attempt: attempt.number.into(),
            wait_ms: WAIT_MS,
        };
        let status: Status = match client.results(request).await {
            Ok(answer) => {
                let result = Zeroizing::new(answer.into_inner().result);
                return convert::decode("result", &result).map_err(|error| error.to_string());
            }
            Err(status) => status,
        };
        if !is_passing(&status) || began.elapsed() >= PATIENCE {
            return Err(status.message().to_owned());
        }
        sleep(PAUSE).await;
    }
}
