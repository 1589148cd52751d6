//! From the bank's join to the parties' acknowledgements.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use quittance_crypto::encoding::Encode;
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_round::announcement::Announcement;
use quittance_round::dealing::{Answer, Answers, Dealings, Standing, deal};
use quittance_round::queue::FrozenQueue;
use quittance_rpc::convert;
use quittance_rpc::proto::agent::v1::round_event::Stage as Shown;
use quittance_rpc::proto::party::v1::party_client::PartyClient;
use quittance_rpc::proto::party::v1::{DealRequest, DealResponse, PublishRequest, PublishResponse};
use rand_core::OsRng;
use tokio::time::sleep;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use zeroize::Zeroizing;

use super::Stage;
use crate::core::{Core, Failure};
use crate::exchange::CallError;

/// How long another process that does not answer is called again.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the other parties may take to answer a dealing once as many have as compute.
const REST: Duration = Duration::from_secs(5);

/// Before it is called again.
const PAUSE: Duration = Duration::from_millis(250);

/// Whether it may help to call again.
pub(super) fn is_passing(status: &Status) -> bool {
    let codes = [
        Code::Unavailable,
        Code::DeadlineExceeded,
        Code::ResourceExhausted,
        Code::Aborted,
        Code::Cancelled,
        Code::Unknown,
    ];
    codes.contains(&status.code())
}

impl Core {
    /// A way to an MPC party; connections are kept.
    pub(super) fn party(&mut self, party: InstitutionId) -> Result<PartyClient<Channel>, String> {
        if let Some(client) = self.parts.rounds.parties.get(&party) {
            return Ok(client.clone());
        }
        let target = self.setting.directory.parties.get(&party);
        let target = target.ok_or_else(|| format!("the directory has no party {party}"))?;
        let client = self.setting.dialer.party(target).map_err(|error| error.to_string())?;
        self.parts.rounds.parties.insert(party, client.clone());
        Ok(client)
    }

    /// Deals balance and queue to all parties, and tells payees what they are to be paid.
    pub(super) fn deal_out(&mut self, round: RoundId) {
        let Some(seat) = self.parts.rounds.seats.get_mut(&round) else { return };
        seat.stage = Stage::Dealing;
        let queue = seat.queue.clone();
        let Some(queue) = queue else { return };
        self.announce(round, &queue);
        self.deal_once_proven(round);
    }

    /// Deals as soon as the join is final and all amounts are proven.
    pub(super) fn deal_once_proven(&mut self, round: RoundId) {
        let Some((_, parties)) = self.parts.rounds.committee(&round) else { return };
        let seat = self.parts.rounds.seats.get_mut(&round);
        let Some(seat) = seat.filter(|seat| seat.stage == Stage::Dealing) else { return };
        let (Some(queue), Ok(opening)) = (seat.queue.clone(), self.wallet.opening(seat.asset))
        else {
            return;
        };
        let facts = self.parts.rounds.book.round(&round);
        let member = facts.and_then(|facts| {
            Some((facts.members.get(&self.setting.institution)?, facts.payees.clone()))
        });
        let Some((joined, payees)) = member.map(|(member, payees)| (member.joined, payees)) else {
            return;
        };
        let all = |ranges: &mut BTreeMap<usize, _>| ranges.len() == queue.groups();
        let Some(ranges) = seat.ranges.take_if(all) else { return };
        let (ranges, opening) = (ranges.into_values().collect(), opening.clone());
        self.compute(
            move || deal(&joined, &opening, &queue, ranges, &payees, parties, &mut OsRng),
            move |core, dealings| match dealings {
                Ok(Ok(dealings)) => core.send_dealings(round, dealings),
                Ok(Err(error)) => core.decline(round, &error.to_string()),
                Err(panicked) => core.decline(round, &panicked.to_string()),
            },
        );
    }

    fn send_dealings(&mut self, round: RoundId, dealings: Dealings) -> Result<(), Failure> {
        let Some((committee, parties)) = self.parts.rounds.committee(&round) else { return Ok(()) };
        let Some(seat) = self.parts.rounds.seats.get_mut(&round) else { return Ok(()) };
        seat.dealing = Some(dealings.digest());
        let messages: Vec<_> = (1u8..)
            .zip(&committee)
            .filter_map(|(number, party)| Some((*party, dealings.message(number)?)))
            .collect();
        seat.answers = Some(Box::new(Answers::new(dealings, parties, committee)));
        for (party, message) in messages {
            match self.party(party) {
                Ok(client) => self.spawn(send(client, message), move |core, answer| {
                    core.dealing_answered(round, party, answer)
                }),
                Err(reason) => self.dealing_answered(round, party, Err(reason))?,
            }
        }
        Ok(())
    }

    /// Tells all parties what was owed to the one that complains.
    fn publish(&mut self, round: RoundId, publication: &[u8]) -> Result<(), Failure> {
        let Some((committee, _)) = self.parts.rounds.committee(&round) else { return Ok(()) };
        for party in committee {
            let message = Zeroizing::new(publication.to_vec());
            match self.party(party) {
                Ok(client) => {
                    self.spawn(publish(client, message), move |core, answer| {
                        match answer.transpose() {
                            Some(answer) => core.dealing_answered(round, party, answer),
                            None => Ok(()),
                        }
                    })
                }
                Err(reason) => self.dealing_answered(round, party, Err(reason))?,
            }
        }
        Ok(())
    }

    /// A party has answered, or will not.
    fn dealing_answered(
        &mut self,
        round: RoundId,
        party: InstitutionId,
        answer: Result<Answer, String>,
    ) -> Result<(), Failure> {
        let key = self.parts.rounds.book.key(&party, Purpose::Round).cloned();
        let Some(seat) = self.parts.rounds.seats.get_mut(&round) else { return Ok(()) };
        let Some(answers) = seat.answers.as_mut() else { return Ok(()) };
        let taken = answer.and_then(|answer| {
            if let Answer::Complained(complaint) = &answer {
                let reason = &complaint.unverified().reason;
                tracing::warn!(%round, %party, %reason, "a party complains of the dealing");
            }
            let key = key.ok_or_else(|| "it has no round key".to_owned())?;
            answers.take(party, answer, &key).map_err(|error| error.to_string())
        });
        let (publication, reason) = match taken {
            Ok(publication) => (publication, String::new()),
            Err(reason) => {
                tracing::warn!(%round, %party, reason, "a party does not acknowledge the dealing");
                answers.fail(&party);
                (None, format!("party {party} does not acknowledge the dealing: {reason}"))
            }
        };
        if let Some(publication) = publication {
            self.publish(round, &publication)?;
        }
        self.look_at_answers(round, &reason)
    }

    /// Tells the coordinator as soon as enough parties have answered; `reason` is why the last one
    /// has not.
    fn look_at_answers(&mut self, round: RoundId, reason: &str) -> Result<(), Failure> {
        let Some(seat) = self.parts.rounds.seats.get_mut(&round) else { return Ok(()) };
        let Some(answers) = &seat.answers else { return Ok(()) };
        let report = match answers.standing() {
            Standing::Waiting => return Ok(()),
            Standing::Hopeless if seat.stage == Stage::Dealing => {
                return self.decline(round, reason);
            }
            Standing::Hopeless => return Ok(()),
            Standing::Enough(report) if seat.rest_is_over => report,
            Standing::Enough(_) => {
                if !std::mem::replace(&mut seat.waits_for_rest, true) {
                    self.after(REST, move |core| {
                        let seat = core.parts.rounds.seats.get_mut(&round);
                        seat.into_iter().for_each(|seat| seat.rest_is_over = true);
                        core.look_at_answers(round, "")
                    });
                }
                return Ok(());
            }
            Standing::Complete(report) => report,
        };
        let first = std::mem::replace(&mut seat.stage, Stage::Dealt) == Stage::Dealing;
        if seat.last.as_ref() != Some(&report) {
            self.report(round, report);
        }
        match first {
            true => self.tell(round, Shown::Dealt, ""),
            false => Ok(()),
        }
    }

    /// Tells each payee of its payments; again until it has answered, or the round is started.
    fn announce(&self, round: RoundId, queue: &FrozenQueue) {
        let mut by_payee: BTreeMap<InstitutionId, Vec<Vec<u8>>> = BTreeMap::new();
        for (place, payment) in (0u32..).zip(queue.payments()) {
            let announcement = Announcement::new(round, queue, place);
            let bytes = announcement.map(|announcement| announcement.to_bytes());
            by_payee.entry(payment.payee).or_default().extend(bytes);
        }
        for (payee, announcements) in by_payee {
            let peers = self.parts.rounds.peers.clone();
            let began = Instant::now();
            let tell = async move {
                loop {
                    match peers.announce(payee, round, announcements.clone()).await {
                        Err(CallError::Again(_)) if began.elapsed() < PATIENCE => {
                            sleep(PAUSE).await;
                        }
                        answer => return answer,
                    }
                }
            };
            self.spawn(tell, move |_, answer| {
                if let Err(error) = answer {
                    tracing::warn!(%round, %payee, %error, "payments could not be announced");
                }
                Ok(())
            });
        }
    }
}

/// Sends a dealing until it is answered.
async fn send(
    mut client: PartyClient<Channel>,
    dealing: Zeroizing<Vec<u8>>,
) -> Result<Answer, String> {
    let began = Instant::now();
    loop {
        let request = DealRequest { dealing: dealing.to_vec() };
        match client.deal(request).await.map(Response::into_inner) {
            Ok(DealResponse { acknowledgement, complaint }) if complaint.is_empty() => {
                return acknowledged(&acknowledgement);
            }
            Ok(DealResponse { complaint, .. }) => {
                let complaint = convert::decode("complaint", &complaint);
                return complaint.map(Answer::Complained).map_err(|error| error.to_string());
            }
            Err(status) if is_passing(&status) && began.elapsed() < PATIENCE => sleep(PAUSE).await,
            Err(status) => return Err(status.message().to_owned()),
        }
    }
}

/// Sends a publication until it is answered; nothing if the party waits for another one.
async fn publish(
    mut client: PartyClient<Channel>,
    publication: Zeroizing<Vec<u8>>,
) -> Result<Option<Answer>, String> {
    let began = Instant::now();
    loop {
        let request = PublishRequest { publication: publication.to_vec() };
        match client.publish(request).await.map(Response::into_inner) {
            Ok(PublishResponse { acknowledgement }) if acknowledgement.is_empty() => {
                return Ok(None);
            }
            Ok(PublishResponse { acknowledgement }) => {
                return acknowledged(&acknowledgement).map(Some);
            }
            Err(status) if is_passing(&status) && began.elapsed() < PATIENCE => sleep(PAUSE).await,
            Err(status) => return Err(status.message().to_owned()),
        }
    }
}

fn acknowledged(bytes: &[u8]) -> Result<Answer, String> {
    let word = convert::decode("acknowledgement", bytes);
    word.map(Answer::Acknowledged).map_err(|error| error.to_string())
}
