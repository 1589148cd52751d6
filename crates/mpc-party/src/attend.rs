//! The party's place at the coordinator: instructions in, reports out.
//!
//! A report is sent once on each connection, as long as its round is open: what was lost with one
//! connection comes again with the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quittance_crypto::encoding::{Decode, Encode};
use quittance_round::message::{Attempt, Instruction};
use quittance_rpc::client::ConnectError;
use quittance_rpc::config::Target;
use quittance_rpc::proto::coordinator::v1::{AttendRequest, AttendResponse};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::core::Core;
use crate::session;

/// Reports that wait to be sent.
const QUEUE: usize = 16;

/// The first and the longest pause before the coordinator is called again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));

/// Attends until the party stops; an error if the coordinator can never be called.
pub(crate) async fn attend(core: Arc<Core>, coordinator: Target) -> Result<(), ConnectError> {
    let mut client = core.dialer.coordinator(&coordinator)?;
    let (mut pause, mut complained) = (PAUSES.0, false);
    loop {
        let began = Instant::now();
        let (reports, queue) = mpsc::channel(QUEUE);
        let attending = async {
            let answers = client.attend(ReceiverStream::new(queue)).await?.into_inner();
            tracing::info!(%coordinator, "attending");
            Err(connected(&core, answers, reports).await)
        };
        let ended: Result<(), Status> = tokio::select! {
            ended = attending => ended,
            () = core.stopping.cancelled() => return Ok(()),
        };
        let reason = ended.err().map(|status| status.message().to_owned()).unwrap_or_default();
        if began.elapsed() > PAUSES.1 {
            (pause, complained) = (PAUSES.0, false);
        }
        // Said once, and not with every attempt.
        if !complained {
            tracing::warn!(%coordinator, reason, "not attending; trying again");
            complained = true;
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = core.stopping.cancelled() => return Ok(()),
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Serves one connection to its end.
async fn connected(
    core: &Arc<Core>,
    mut answers: Streaming<AttendResponse>,
    reports: mpsc::Sender<AttendRequest>,
) -> Status {
    let mut changes = core.changes();
    let mut told = BTreeSet::new();
    loop {
        changes.mark_unchanged();
        if let Err(status) = report(core, &mut told, &reports).await {
            return status;
        }
        tokio::select! {
            answer = answers.message() => match answer {
                Ok(Some(AttendResponse { message })) => {
                    if let Err(status) = follow(core, &message) {
                        return status;
                    }
                }
                Ok(None) => return Status::unavailable("the coordinator has ended the stream"),
                Err(status) => return status,
            },
            changed = changes.changed() => {
                if changed.is_err() {
                    return Status::cancelled("this party is stopping");
                }
            }
        }
    }
}

/// Sends what has not been told on this connection.
async fn report(
    core: &Core,
    told: &mut BTreeSet<Attempt>,
    reports: &mpsc::Sender<AttendRequest>,
) -> Result<(), Status> {
    let all = core.reports();
    told.retain(|attempt| all.iter().any(|(open, _)| open == attempt));
    for (attempt, report) in all {
        if told.insert(attempt) {
            let request = AttendRequest { message: report.to_bytes() };
            let sent = reports.send(request).await;
            sent.map_err(|_| Status::unavailable("the stream is closed"))?;
        }
    }
    Ok(())
}

/// Does what the coordinator says, as far as it concerns a party.
fn follow(core: &Arc<Core>, message: &[u8]) -> Result<(), Status> {
    let instruction = Instruction::from_bytes(message).map_err(|error| {
        tracing::warn!(%error, "the coordinator makes no sense");
        Status::invalid_argument(format!("instruction: {error}"))
    })?;
    match instruction {
        Instruction::Start(start) => drop(tokio::spawn(session::start(core.clone(), start))),
        Instruction::Abandoned { attempt, reason } => core.abandon(attempt.round, &reason),
        // The banks settle among themselves; finality is read from the chain.
        Instruction::Proposal { .. }
        | Instruction::AllBits { .. }
        | Instruction::AllPolynomials { .. }
        | Instruction::Proven { .. }
        | Instruction::Settled { .. } => {}
    }
    Ok(())
}
