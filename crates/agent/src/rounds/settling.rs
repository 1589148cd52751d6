//! From the start to the settlement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quittance_crypto::encoding::Encode;
use quittance_ledger::ids::RoundId;
use quittance_ledger::transaction::Transaction;
use quittance_mpc::{Parties, PartyId};
use quittance_round::envelope::Signed;
use quittance_round::message::{Attempt, Instruction, Report};
use quittance_round::participant::{self, Answer, BeginError, Participant};
use quittance_round::queue::FrozenQueue;
use quittance_round::result::{Announced, BankResult, CheckError, Expected, ResultShare, combine};
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
use super::{Stage, event, keys};
use crate::core::{Changes, Core, Failure};
use crate::store::ROUNDS;

/// How long a party may be asked for a result in one call.
const WAIT_MS: u32 = 20_000;

/// How long it is asked again.
const PATIENCE: Duration = Duration::from_secs(600);

/// Before anything is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// How often a result is looked at whose inflow is not yet what was announced.
const LOOKS: u32 = 50;

/// Why a result is not accepted.
enum Unaccepted {
    /// A payer has still to announce a payment.
    NotYet(CheckError),
    Wrong(String),
}

impl Core {
    /// The coordinator says that the computation begins.
    pub(super) fn start(&mut self, round: RoundId, start: Signed<Start>) -> Result<(), Failure> {
        let setting = self.setting.clone();
        let (rounds, us) = (&mut self.parts.rounds, setting.institution);
        let Some(seat) = rounds.seats.get_mut(&round) else { return Ok(()) };
        let (Stage::Dealt, Some(dealing)) = (seat.stage, seat.dealing) else { return Ok(()) };
        match Participant::new(&rounds.book, us, &dealing, &start) {
            Ok(participant) => {
                tracing::info!(%round, banks = participant.roster().size(), "the round is started");
                seat.participant = Some(Box::new(participant));
                (seat.stage, seat.held) = (Stage::Started, None);
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

    /// Asks all parties for this bank's shares of its result.
    fn fetch_results(&mut self, round: RoundId) -> Result<(), Failure> {
        let Some((committee, _)) = self.parts.rounds.committee(&round) else { return Ok(()) };
        let seat = self.parts.rounds.seats.get(&round);
        let participant = seat.and_then(|seat| seat.participant.as_ref());
        let Some(attempt) = participant.map(|participant| participant.attempt()) else {
            return Ok(());
        };
        for (number, party) in (1u8..).zip(committee) {
            match self.party(party) {
                Ok(client) => self.spawn(ask(client, attempt), move |core, answer| {
                    core.has_result(round, number, answer)
                }),
                Err(reason) => self.has_result(round, number, Err(reason))?,
            }
        }
        Ok(())
    }

    /// A party has answered.
    fn has_result(
        &mut self,
        round: RoundId,
        number: u8,
        answer: Result<ResultShare, String>,
    ) -> Result<(), Failure> {
        let Some((committee, parties)) = self.parts.rounds.committee(&round) else { return Ok(()) };
        let Some(seat) = self.parts.rounds.seats.get_mut(&round) else { return Ok(()) };
        match answer {
            Ok(share) => drop(seat.results.shares.insert(number, Arc::new(share))),
            Err(reason) => drop(seat.results.failed.insert(number, reason)),
        }
        let (shares, failed) = (seat.results.shares.len(), &seat.results.failed);
        if shares + failed.len() < committee.len() {
            return Ok(());
        }
        if shares > 2 * parties.threshold() {
            return self.look_at_result(round, parties, LOOKS);
        }
        let named = failed.iter().filter_map(|(number, reason)| {
            let party = committee.get(usize::from(*number).checked_sub(1)?)?;
            Some(format!("{party}: {reason}"))
        });
        let reason = named.collect::<Vec<_>>().join("; ");
        self.refuse(round, &format!("no result from {reason}"))
    }

    /// Combines the parties' shares, and holds the result against what the bank knows.
    fn look_at_result(
        &mut self,
        round: RoundId,
        parties: Parties,
        looks: u32,
    ) -> Result<(), Failure> {
        let announced = self.announced(&round);
        let Some(seat) = self.parts.rounds.seats.get(&round) else { return Ok(()) };
        let (Some(participant), Some(queue)) = (&seat.participant, seat.queue.clone()) else {
            return Ok(());
        };
        let Some(expected) = Expected::new(participant.start(), &queue, parties) else {
            return Ok(());
        };
        let shares: Vec<_> = seat.results.shares.iter().collect();
        let shares: Vec<(PartyId, Arc<ResultShare>)> = shares
            .into_iter()
            .filter_map(|(number, share)| Some((parties.id(*number)?, share.clone())))
            .collect();
        self.compute(
            move || accept(&expected, &shares, &queue, announced),
            move |core, result| match result {
                Err(panicked) => core.refuse(round, &panicked.to_string()),
                Ok(Ok(result)) => core.post(round, &result),
                Ok(Err(Unaccepted::NotYet(_))) if looks > 0 => {
                    core.after(PAUSE, move |core| core.look_at_result(round, parties, looks - 1));
                    Ok(())
                }
                Ok(Err(Unaccepted::NotYet(error))) => core.refuse(round, &error.to_string()),
                Ok(Err(Unaccepted::Wrong(reason))) => core.refuse(round, &reason),
            },
        );
        Ok(())
    }

    /// The payments that others have announced, and that the ledger confirms.
    fn announced(&self, round: &RoundId) -> Vec<Announced> {
        let facts = self.parts.rounds.book.round(round);
        let register = self.setting.registry.institution(&self.setting.institution);
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
    fn post(&mut self, round: RoundId, result: &BankResult) -> Result<(), Failure> {
        let setting = self.setting.clone();
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
            Err(error) => return self.refuse(round, &error.to_string()),
        };
        let seat = self.parts.rounds.seats.get_mut(&round);
        let Some(participant) = seat.and_then(|seat| seat.participant.as_mut()) else {
            return Ok(());
        };
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
    fn refuse(&mut self, round: RoundId, reason: &str) -> Result<(), Failure> {
        let setting = self.setting.clone();
        let seat = self.parts.rounds.seats.get_mut(&round);
        let participant = seat.and_then(|seat| seat.participant.as_mut());
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
    let combined = combined.map_err(|error| Unaccepted::Wrong(error.to_string()))?;
    combined.check(queue, announced).map_err(|error| match error {
        // Who pays what is missing cannot be told: nobody but payer and payee knows of it.
        CheckError::Inflow => Unaccepted::NotYet(error),
        error => Unaccepted::Wrong(error.to_string()),
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
