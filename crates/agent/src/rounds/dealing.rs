//! From the bank's join to the acknowledgements of all parties.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_round::announcement::Announcement;
use quittance_round::dealing::{Acknowledgement, Dealings, deal};
use quittance_round::message::Report;
use quittance_round::queue::FrozenQueue;
use quittance_rpc::convert;
use quittance_rpc::proto::agent::v1::round_event::Stage as Shown;
use quittance_rpc::proto::party::v1::DealRequest;
use quittance_rpc::proto::party::v1::party_client::PartyClient;
use rand_core::OsRng;
use tokio::time::sleep;
use tonic::transport::Channel;
use tonic::{Code, Status};
use zeroize::Zeroizing;

use super::Stage;
use crate::core::{Core, Failure};
use crate::exchange::CallError;

/// How long another process that does not answer is called again.
const PATIENCE: Duration = Duration::from_secs(120);

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
        let member = facts.and_then(|facts| facts.members.get(&self.setting.institution));
        let Some(joined) = member.map(|member| member.joined) else { return };
        let all = |ranges: &mut BTreeMap<usize, _>| ranges.len() == queue.groups();
        let Some(ranges) = seat.ranges.take_if(all) else { return };
        let (ranges, opening) = (ranges.into_values().collect(), opening.clone());
        let payees = self.parts.rounds.payees.clone();
        self.compute(
            move || deal(&joined, &opening, &queue, ranges, &payees, parties, &mut OsRng),
            move |core, dealings| match dealings {
                Ok(Ok(dealings)) => core.send_dealings(round, &dealings),
                Ok(Err(error)) => core.decline(round, &error.to_string()),
                Err(panicked) => core.decline(round, &panicked.to_string()),
            },
        );
    }

    fn send_dealings(&mut self, round: RoundId, dealings: &Dealings) -> Result<(), Failure> {
        let Some((committee, _)) = self.parts.rounds.committee(&round) else { return Ok(()) };
        let Some(seat) = self.parts.rounds.seats.get_mut(&round) else { return Ok(()) };
        let digest = dealings.digest();
        seat.dealing = Some(digest);
        for (number, party) in (1u8..).zip(committee) {
            let Some(message) = dealings.message(number) else { continue };
            let client = match self.party(party) {
                Ok(client) => client,
                Err(reason) => return self.decline(round, &reason),
            };
            self.spawn(send(client, message), move |core, answer| {
                core.acknowledged(round, party, digest, answer)
            });
        }
        Ok(())
    }

    /// A party has answered.
    fn acknowledged(
        &mut self,
        round: RoundId,
        party: InstitutionId,
        dealing: Digest,
        answer: Result<Vec<u8>, Status>,
    ) -> Result<(), Failure> {
        let us = self.setting.institution;
        let checked = answer.map_err(|status| status.message().to_owned()).and_then(|bytes| {
            let word: Acknowledgement =
                convert::decode("acknowledgement", &bytes).map_err(|error| error.to_string())?;
            let expected = (round, us, party, dealing);
            if (word.round, word.dealer, word.party, word.dealing) != expected {
                return Err("it acknowledges something else".to_owned());
            }
            let key = self.parts.rounds.book.key(&party, Purpose::Round);
            let key = key.ok_or_else(|| "it has no round key".to_owned())?;
            word.verify(key).map_err(|error| error.to_string())?;
            Ok(word)
        });
        let word = match checked {
            Ok(word) => word,
            Err(reason) => {
                let reason = format!("party {party} does not acknowledge the dealing: {reason}");
                return self.decline(round, &reason);
            }
        };
        let Some((committee, _)) = self.parts.rounds.committee(&round) else { return Ok(()) };
        let seat = self.parts.rounds.seats.get_mut(&round);
        let Some(seat) = seat.filter(|seat| seat.stage == Stage::Dealing) else { return Ok(()) };
        seat.acknowledgements.insert(party, word);
        if seat.acknowledgements.len() < committee.len() {
            return Ok(());
        }
        seat.stage = Stage::Dealt;
        let acknowledgements = std::mem::take(&mut seat.acknowledgements).into_values().collect();
        self.report(round, Report::Dealt { round, acknowledgements });
        self.tell(round, Shown::Dealt, "")
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
) -> Result<Vec<u8>, Status> {
    let began = Instant::now();
    loop {
        let request = DealRequest { dealing: dealing.to_vec() };
        match client.deal(request).await {
            Ok(answer) => return Ok(answer.into_inner().acknowledgement),
            Err(status) if is_passing(&status) && began.elapsed() < PATIENCE => sleep(PAUSE).await,
            Err(status) => return Err(status),
        }
    }
}
