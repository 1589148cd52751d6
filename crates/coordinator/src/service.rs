//! The calls: who may make them, and what they bring to the [hub](crate::hub).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quittance_crypto::encoding::Decode;
use quittance_ledger::ids::{CommitteeId, InstitutionId};
use quittance_ledger::state::{Role, State};
use quittance_round::message::Report;
use quittance_rpc::convert::{FieldError, text};
use quittance_rpc::identity::{Identity, Process, ProcessName};
use quittance_rpc::proto::coordinator::v1 as proto;
use quittance_rpc::proto::coordinator::v1::coordinator_server::Coordinator;
use quittance_rpc::server::Peer;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::hub::Event;
use crate::hub::attendance::{Attendee, QUEUE};

/// Who takes part in rounds, as governance has it.
#[derive(Debug)]
pub(crate) struct Admitted {
    committee: CommitteeId,
    members: watch::Sender<Members>,
}

#[derive(Debug, Default)]
struct Members {
    participants: BTreeSet<InstitutionId>,
    /// Also those who were in the committee: rounds that were opened with it may be under way.
    parties: BTreeSet<InstitutionId>,
}

impl Admitted {
    /// The participants of the chain, and the members of one committee.
    pub(crate) fn new(registry: &State, committee: CommitteeId) -> Self {
        let admitted = Self { committee, members: watch::Sender::default() };
        admitted.follow(registry);
        admitted
    }

    /// Governance has decided something. Nobody is admitted who is suspended.
    pub(crate) fn follow(&self, registry: &State) {
        let suspended = |id: &InstitutionId| registry.suspended(id).is_some();
        let committee = registry.committee(self.committee);
        let participants = registry.institutions().filter(|(id, institution)| {
            institution.roles.contains(&Role::Participant) && !suspended(id)
        });
        let participants = participants.map(|(id, _)| id).collect();
        self.members.send_modify(|members| {
            members.participants = participants;
            members.parties.extend(committee.iter().flat_map(|it| &it.parties));
            members.parties.retain(|id| !suspended(id));
        });
    }

    /// Whether the holder of a certificate has anything to do here.
    pub(crate) fn admits(&self, identity: &Identity) -> bool {
        matches!(identity, Identity::Process(name) if self.admits_process(name))
    }

    fn admits_process(&self, name: &ProcessName) -> bool {
        match name.process {
            Process::Agent => self.members.borrow().participants.contains(&name.institution),
            Process::Party => self.members.borrow().parties.contains(&name.institution),
            Process::Node | Process::Coordinator => false,
        }
    }
}

/// The service's side of the hub. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    admitted: Arc<Admitted>,
    hub: mpsc::Sender<Event>,
    stopping: CancellationToken,
    /// Numbers the streams, so that the end of one is not taken for the end of the next.
    streams: Arc<AtomicU64>,
}

fn stopping() -> Status {
    Status::unavailable("the coordinator is stopping")
}

impl Service {
    pub(crate) fn new(
        admitted: Arc<Admitted>,
        hub: mpsc::Sender<Event>,
        stopping: CancellationToken,
    ) -> Self {
        Self { admitted, hub, stopping, streams: Arc::default() }
    }

    /// The process that calls, if it takes part in rounds.
    fn caller<T>(&self, request: &Request<T>) -> Result<ProcessName, Status> {
        let identity = Peer::of(request)?.identity;
        match identity {
            Identity::Process(name) if self.admitted.admits_process(&name) => Ok(name),
            _ => Err(Status::permission_denied(format!(
                "{identity} is neither a participant's agent nor a party of the committee"
            ))),
        }
    }
}

#[tonic::async_trait]
impl Coordinator for Service {
    type AttendStream = ReceiverStream<Result<proto::AttendResponse, Status>>;

    async fn request_round(
        &self,
        request: Request<proto::RequestRoundRequest>,
    ) -> Result<Response<proto::RequestRoundResponse>, Status> {
        let by = self.caller(&request)?;
        if by.process != Process::Agent {
            return Err(Status::permission_denied("only participants ask for rounds"));
        }
        let asset = text("asset", &request.get_ref().asset)?;
        let (answer, answered) = oneshot::channel();
        let event = Event::Request { asset, by: by.institution, answer };
        self.hub.send(event).await.map_err(|_| stopping())?;
        let round = answered.await.unwrap_or_else(|_| Err(stopping()))?;
        Ok(Response::new(proto::RequestRoundResponse { round_id: round.0.0.to_vec() }))
    }

    async fn attend(
        &self,
        request: Request<Streaming<proto::AttendRequest>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let name = self.caller(&request)?;
        let stream = self.streams.fetch_add(1, Ordering::Relaxed);
        let (attendee, outbox) = Attendee::new(stream, QUEUE);
        let replaced = attendee.replaced();
        self.hub.send(Event::Attend { name, attendee }).await.map_err(|_| stopping())?;
        let (hub, stopping) = (self.hub.clone(), self.stopping.clone());
        let reports = request.into_inner();
        tokio::spawn(async move {
            tokio::select! {
                () = read(reports, name, stream, &hub) => {}
                () = replaced.cancelled() => return,
                () = stopping.cancelled() => {}
            }
            // Fails only if the hub has ended.
            let _ = hub.send(Event::Left { name, stream }).await;
        });
        Ok(Response::new(ReceiverStream::new(outbox)))
    }
}

/// Brings reports to the hub until there are no more. One that is not canonical ends the stream.
async fn read(
    mut reports: Streaming<proto::AttendRequest>,
    name: ProcessName,
    stream: u64,
    hub: &mpsc::Sender<Event>,
) {
    loop {
        let message = match reports.message().await {
            Ok(Some(request)) => request.message,
            Ok(None) => return,
            Err(status) => {
                tracing::debug!(%name, reason = %status.message(), "a stream has broken");
                return;
            }
        };
        let event = match Report::from_bytes(&message) {
            Ok(report) => Event::Report { name, stream, report: Box::new(report) },
            Err(error) => {
                let error = FieldError::new("message", error);
                tracing::warn!(%name, %error, "a report is refused");
                let _ = hub.send(Event::Malformed { name, stream, error }).await;
                return;
            }
        };
        if hub.send(event).await.is_err() {
            return;
        }
    }
}
