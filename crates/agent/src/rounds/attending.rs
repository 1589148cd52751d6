//! The bank's place at the coordinator: reports out, instructions in.
//!
//! The connection is kept for all rounds. On each new one the last report of every open round is
//! made again, and the coordinator says again what it has said; neither side minds.

use std::time::Duration;

use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::ids::RoundId;
use quittance_round::message::{Instruction, Report};
use quittance_round::start::Start;
use quittance_rpc::proto::coordinator::v1::{AttendRequest, AttendResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::core::{Core, Failure};

/// Reports that wait to be sent.
const QUEUE: usize = 64;

/// Before the coordinator is called again.
const PAUSE: Duration = Duration::from_millis(500);

impl Core {
    /// Attends from now on.
    pub(crate) fn attend(&mut self) -> Result<(), Failure> {
        let setting = self.setting.clone();
        let (outbox, reports) = mpsc::channel(QUEUE);
        let connecting = async move {
            let client = setting.dialer.coordinator(&setting.directory.coordinator);
            let mut client = client.map_err(|error| Status::internal(error.to_string()))?;
            Ok(client.attend(ReceiverStream::new(reports)).await?.into_inner())
        };
        self.spawn(connecting, |core, connected| match connected {
            Ok(instructions) => {
                core.connected(outbox);
                core.listen(instructions);
                Ok(())
            }
            Err(status) => {
                core.disconnected(&status);
                Ok(())
            }
        });
        Ok(())
    }

    fn connected(&mut self, outbox: mpsc::Sender<AttendRequest>) {
        tracing::info!("attending the coordinator");
        let rounds = &mut self.parts.rounds;
        rounds.complained = false;
        for report in rounds.seats.values().filter_map(|seat| seat.last.as_ref()) {
            let message = report.to_bytes();
            // The queue is new, and longer than the number of open rounds.
            let _ = outbox.try_send(AttendRequest { message });
        }
        rounds.outbox = Some(outbox);
    }

    fn disconnected(&mut self, status: &Status) {
        let rounds = &mut self.parts.rounds;
        rounds.outbox = None;
        // Said once, and not with every attempt.
        if !std::mem::replace(&mut rounds.complained, true) {
            let reason = status.message();
            tracing::warn!(reason, "the coordinator is not attended; trying again");
        }
        self.after(PAUSE, Self::attend);
    }

    fn listen(&self, mut instructions: Streaming<AttendResponse>) {
        let next = async move { (instructions.message().await, instructions) };
        self.spawn(next, |core, (next, instructions)| {
            let ended = match next {
                Ok(Some(AttendResponse { message })) => {
                    let done = core.instructed(&message);
                    core.listen(instructions);
                    return done;
                }
                Ok(None) => Status::unavailable("the coordinator has ended the stream"),
                Err(status) => status,
            };
            core.disconnected(&ended);
            Ok(())
        });
    }

    /// Tells the coordinator, now and after each reconnection.
    pub(super) fn report(&mut self, round: RoundId, report: Report) {
        let rounds = &mut self.parts.rounds;
        let message = report.to_bytes();
        if let Some(seat) = rounds.seats.get_mut(&round) {
            seat.last = Some(report);
        }
        let sent = rounds.outbox.as_ref().map(|outbox| outbox.try_send(AttendRequest { message }));
        if let Some(Err(error)) = sent {
            tracing::warn!(%round, %error, "a report waits for the next connection");
        }
    }

    fn instructed(&mut self, message: &[u8]) -> Result<(), Failure> {
        let instruction = match Instruction::from_bytes(message) {
            Ok(instruction) => instruction,
            Err(error) => {
                tracing::warn!(%error, "an instruction of the coordinator makes no sense");
                return Ok(());
            }
        };
        let round = instruction.round();
        tracing::debug!(%round, instruction = instruction.name(), "instructed");
        let Some(seat) = self.parts.rounds.seats.get(&round) else { return Ok(()) };
        let number = seat.participant.as_ref().map(|participant| participant.attempt().number);
        let is_new = |start: &Start| number.is_none_or(|number| start.attempt > number);
        match instruction {
            Instruction::Start(start) if is_new(start.unverified()) => self.start(round, start),
            instruction if number.is_some() => self.follow(round, instruction),
            Instruction::Abandoned { reason, .. } => self.leave(round, reason.as_str()),
            // Meant for those who take part.
            _ => Ok(()),
        }
    }
}
