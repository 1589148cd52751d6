//! Three parties with their servers, and a small computation.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quittance_circuit::{Builder, Circuit, Destination, Fr, Owner};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::ids::InstitutionId;
use quittance_mpc::session::{Binding, Frame, Kind, Machine, Traffic};
use quittance_mpc::{Engine, Inputs, Output, Parties, Shared, vss};
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::frames::{Assignment, Failure, Frames, FramesStream};
use quittance_rpc::identity::{Identity, Process};
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::party::v1 as proto;
use quittance_rpc::proto::party::v1::party_server;
use quittance_rpc::server::{Bound, ServeError, Server};
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::trust::Admission;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use zeroize::Zeroizing;

use crate::common::{loopback, process, tls};

pub const NAMES: [&str; 3] = ["MPCAZZ01", "MPCBZZ01", "MPCCZZ01"];
pub const LONG: Duration = Duration::from_secs(30);

pub fn id(name: &str) -> InstitutionId {
    name.parse().unwrap()
}

/// The service of a party, as far as frames go. It listens before it knows where the others do.
#[derive(Clone, Default)]
pub struct Service(Arc<OnceLock<Handler>>);

/// Who gets the frames of others.
pub enum Handler {
    Party(Frames),
    /// The test itself.
    Test(mpsc::Sender<Frame>),
}

impl Service {
    pub fn party(&self, frames: Frames) {
        self.0.set(Handler::Party(frames)).ok().unwrap();
    }
}

/// Hands on what comes, and answers nothing.
fn hand_on(
    mut frames: Streaming<proto::FramesRequest>,
    to: mpsc::Sender<Frame>,
) -> Response<FramesStream> {
    let (answers, response) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok(Some(request)) = frames.message().await {
            to.send(Frame::from_bytes(&request.frame).unwrap()).await.unwrap();
        }
        drop(answers);
    });
    Response::new(Box::pin(ReceiverStream::new(response)))
}

#[tonic::async_trait]
impl party_server::Party for Service {
    type FramesStream = FramesStream;

    async fn deal(
        &self,
        _: Request<proto::DealRequest>,
    ) -> Result<Response<proto::DealResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn publish(
        &self,
        _: Request<proto::PublishRequest>,
    ) -> Result<Response<proto::PublishResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn published(
        &self,
        _: Request<proto::PublishedRequest>,
    ) -> Result<Response<proto::PublishedResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn results(
        &self,
        _: Request<proto::ResultsRequest>,
    ) -> Result<Response<proto::ResultsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn receipts(
        &self,
        _: Request<proto::ReceiptsRequest>,
    ) -> Result<Response<proto::ReceiptsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn frames(
        &self,
        request: Request<Streaming<proto::FramesRequest>>,
    ) -> Result<Response<FramesStream>, Status> {
        match self.0.get().unwrap() {
            Handler::Party(frames) => frames.accept(request),
            Handler::Test(to) => Ok(hand_on(request.into_inner(), to.clone())),
        }
    }
}

/// One party: its server, and what drives its sessions.
pub struct Party {
    pub name: &'static str,
    pub frames: Frames,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Party {
    /// As when its process is killed.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        drop(self.frames);
        self.ended.await.unwrap().unwrap();
    }
}

pub struct Committee {
    pub authority: Authority,
    pub targets: BTreeMap<InstitutionId, Target>,
    pub bound: Vec<(&'static str, Bound, Service)>,
}

impl Committee {
    /// All listen; none is running yet.
    pub async fn bind() -> Self {
        let authority = Authority::create("test").unwrap();
        let (mut targets, mut bound) = (BTreeMap::new(), vec![]);
        for name in NAMES {
            let identity = process(name, Process::Party);
            let tls = tls(&authority, Identity::Process(identity));
            let service = Service::default();
            let limits = Limits { drain_time: Duration::from_millis(100), ..Limits::default() };
            let server = Server::new(limits).party(service.clone());
            let at = server.bind(&tls, &loopback(), Admission::everybody()).await.unwrap();
            targets.insert(id(name), Target { address: at.address().to_string(), identity });
            bound.push((name, at, service));
        }
        Self { authority, targets, bound }
    }

    pub fn dialer(&self, name: &str) -> Dialer {
        let identity = Identity::Process(process(name, Process::Party));
        Dialer::new(tls(&self.authority, identity), Limits::default())
    }

    /// The first `count` parties; the others' sockets are closed.
    pub fn run(&mut self, count: usize) -> Vec<Party> {
        let mut parties = vec![];
        for (name, bound, service) in std::mem::take(&mut self.bound).into_iter().take(count) {
            let mut others = self.targets.clone();
            others.remove(&id(name));
            let frames = Frames::new(self.dialer(name), others, &CancellationToken::new());
            service.party(frames.clone());
            let (stop, stopped) = oneshot::channel::<()>();
            let ended = tokio::spawn(bound.serve(async { drop(stopped.await) }));
            parties.push(Party { name, frames, stop, ended });
        }
        parties
    }

    /// The first two parties; what they send to the third comes to the test.
    pub fn run_two(&mut self) -> (Vec<Party>, mpsc::Receiver<Frame>) {
        let (to, arriving) = mpsc::channel(64);
        let (_, bound, service) = self.bound.pop().unwrap();
        service.0.set(Handler::Test(to)).ok().unwrap();
        tokio::spawn(bound.serve(std::future::pending()));
        (self.run(2), arriving)
    }

    /// A stream of frames by somebody who sends whatever he likes; with the answers.
    pub async fn stream(
        &self,
        from: Identity,
        to: &str,
    ) -> Result<(mpsc::Sender<proto::FramesRequest>, Streaming<proto::FramesResponse>), Status>
    {
        let dialer = Dialer::new(tls(&self.authority, from), Limits::default());
        let (frames, queue) = mpsc::channel(256);
        // Without the limits of our own clients.
        let channel = dialer.channel(&self.targets[&id(to)]).unwrap();
        let mut party = proto::party_client::PartyClient::new(channel);
        let answers = party.frames(ReceiverStream::new(queue)).await?;
        Ok((frames, answers.into_inner()))
    }
}

pub fn binding(round: u8) -> Binding {
    let [chain, roster, dealings] = [Digest::ZERO; 3];
    let committee = (1..=3).map(|number| Digest([number; 32])).collect();
    let (round, circuit) = (Digest([round; 32]), circuit().fingerprint());
    let active = Parties::new(3, 1).unwrap().first_active();
    let (attempt, threshold) = (0, 1);
    Binding { chain, round, attempt, circuit, roster, dealings, committee, threshold, active }
}

/// Whose number is larger, and their product.
pub fn circuit() -> Circuit {
    Builder::build("larger", 2, |b| {
        let (alice, bob) = (b.private(Owner(0)).uint(64), b.private(Owner(1)).uint(64));
        b.output(alice.less_than(bob), Destination::Public);
        b.output(alice * bob, Destination::Public);
    })
    .unwrap()
}

/// Each party's inputs, dealt by the owners.
pub fn inputs(values: [u64; 2]) -> Vec<Inputs> {
    let parties = Parties::new(3, 1).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut all = vec![Inputs::new(); 3];
    for (owner, value) in values.into_iter().enumerate() {
        let owner = Owner(owner as u16);
        let blinding = quittance_crypto::commitment::Blinding::random(&mut rng);
        let (dealing, shares) = vss::deal(parties, &[(Fr::from(value), blinding)], &mut rng);
        for ((me, inputs), shares) in parties.ids().zip(&mut all).zip(&shares) {
            let share = dealing.verify(owner, parties, me, &[None], shares, &mut rng);
            inputs.set(owner, share.unwrap_or_else(|error| panic!("{error}")));
        }
    }
    all
}

pub fn machine(binding: &Binding, me: usize, values: [u64; 2]) -> Machine<Vec<Fr>> {
    let entropy = ChaCha20Rng::seed_from_u64(100 + me as u64);
    let inputs = inputs(values).swap_remove(me);
    let machine = Machine::new(binding, me as u8 + 1, |session| async move {
        let engine = Engine::start(session, entropy).await?;
        let results = Shared::new(engine, inputs).evaluate(&circuit()).await?;
        let public = |output: &Output| match output {
            Output::Public(value) => *value,
            _ => unreachable!("all outputs are public"),
        };
        Ok(results.outputs.iter().map(public).collect())
    });
    machine.unwrap()
}

pub fn assignment(binding: &Binding, within: Duration) -> Assignment {
    Assignment {
        session: binding.session(),
        committee: NAMES.map(id).to_vec(),
        deadline: Instant::now() + within,
        patience: LONG,
        cancel: CancellationToken::new(),
    }
}

pub type Outcome = Result<(Vec<Fr>, Traffic), Failure>;

pub fn start(party: &Party, round: u8, values: [u64; 2], within: Duration) -> JoinHandle<Outcome> {
    let frames = party.frames.clone();
    let binding = binding(round);
    let me = NAMES.iter().position(|name| *name == party.name).unwrap();
    let machine = machine(&binding, me, values);
    tokio::spawn(async move {
        let driven = frames.drive(machine, assignment(&binding, within)).await;
        driven.map_err(|stopped| stopped.failure)
    })
}

pub fn expected([alice, bob]: [u64; 2]) -> Vec<Fr> {
    vec![Fr::from(u64::from(alice < bob)), Fr::from(alice) * Fr::from(bob)]
}

pub fn party_of(name: &str) -> Identity {
    Identity::Process(process(name, Process::Party))
}

pub fn request(frame: &Frame) -> proto::FramesRequest {
    proto::FramesRequest { frame: frame.to_bytes() }
}

pub fn frame(session: Digest, from: u8, exchange: u32, payload: usize) -> Frame {
    let payload = Zeroizing::new(vec![0; payload]);
    Frame { session, from, to: 1, exchange, kind: Kind::Commit, part: 0, last: true, payload }
}
