//! A coordinator that says what the test wants, and remembers what it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::ids::InstitutionId;
use quittance_round::message::{Instruction, Report};
use quittance_rpc::identity::Process;
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::coordinator::v1 as proto;
use quittance_rpc::proto::coordinator::v1::coordinator_server;
use quittance_rpc::server::{Peer, Server};
use quittance_rpc::tls::Tls;
use quittance_rpc::tls::trust::Admission;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{eventually, node::loopback};

type Answer = Result<proto::AttendResponse, Status>;

#[derive(Clone, Default)]
struct Service {
    attending: Arc<Mutex<BTreeMap<InstitutionId, mpsc::Sender<Answer>>>>,
    reports: Arc<Mutex<Vec<(InstitutionId, Report)>>>,
}

pub struct Coordinator {
    pub address: SocketAddr,
    service: Service,
}

impl Coordinator {
    pub async fn start(tls: &Tls) -> Self {
        let service = Service::default();
        let server = Server::new(Limits::default()).coordinator(service.clone());
        let bound = server.bind(tls, &loopback(), Admission::everybody()).await.unwrap();
        let address = bound.address();
        tokio::spawn(bound.serve(std::future::pending()));
        Self { address, service }
    }

    pub async fn attended(&self, party: InstitutionId) {
        let attends = || self.service.attending.lock().unwrap().contains_key(&party);
        eventually("attendance", attends).await;
    }

    /// Ends a party's stream.
    pub fn cut(&self, party: InstitutionId) {
        self.service.attending.lock().unwrap().remove(&party);
    }

    pub async fn send(&self, party: InstitutionId, instruction: &Instruction) {
        let to = self.service.attending.lock().unwrap()[&party].clone();
        let message = instruction.to_bytes();
        to.send(Ok(proto::AttendResponse { message })).await.unwrap();
    }

    pub async fn broadcast(&self, instruction: &Instruction) {
        let all: Vec<_> = self.service.attending.lock().unwrap().keys().copied().collect();
        for party in all {
            self.send(party, instruction).await;
        }
    }

    pub fn reports(&self) -> Vec<(InstitutionId, Report)> {
        self.service.reports.lock().unwrap().clone()
    }

    /// So many reports of this kind, as soon as they are there.
    pub async fn reported(&self, kind: &str, count: usize) -> Vec<(InstitutionId, Report)> {
        let of_kind = || -> Vec<_> {
            self.reports().into_iter().filter(|(_, report)| report.name() == kind).collect()
        };
        eventually(kind, || of_kind().len() >= count).await;
        of_kind()
    }
}

#[tonic::async_trait]
impl coordinator_server::Coordinator for Service {
    type AttendStream = ReceiverStream<Answer>;

    async fn request_round(
        &self,
        _: Request<proto::RequestRoundRequest>,
    ) -> Result<Response<proto::RequestRoundResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn attend(
        &self,
        request: Request<Streaming<proto::AttendRequest>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let party = Peer::of(&request)?.require_process(Process::Party)?.institution;
        let (to, answers) = mpsc::channel(16);
        self.attending.lock().unwrap().insert(party, to);
        let (mut messages, reports) = (request.into_inner(), self.reports.clone());
        tokio::spawn(async move {
            while let Ok(Some(request)) = messages.message().await {
                let report = Report::from_bytes(&request.message).unwrap();
                reports.lock().unwrap().push((party, report));
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}
