//! Joint computations of three parties over TLS: with each other, and with one that misbehaves.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::*;
use quittance_circuit::{Builder, Circuit, Destination, Fr, Owner};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
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
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming};
use zeroize::Zeroizing;

const NAMES: [&str; 3] = ["MPCAZZ01", "MPCBZZ01", "MPCCZZ01"];
const LONG: Duration = Duration::from_secs(30);

fn id(name: &str) -> InstitutionId {
    name.parse().unwrap()
}

/// The service of a party, as far as frames go. It listens before it knows where the others do.
#[derive(Clone, Default)]
struct Service(Arc<OnceLock<Frames>>);

#[tonic::async_trait]
impl party_server::Party for Service {
    type FramesStream = FramesStream;

    async fn deal(
        &self,
        _: Request<proto::DealRequest>,
    ) -> Result<Response<proto::DealResponse>, Status> {
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
        self.0.get().unwrap().accept(request)
    }
}

/// One party: its server, and what drives its sessions.
struct Party {
    name: &'static str,
    frames: Frames,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Party {
    /// As when its process is killed.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        drop(self.frames);
        self.ended.await.unwrap().unwrap();
    }
}

struct Committee {
    authority: Authority,
    targets: BTreeMap<InstitutionId, Target>,
    bound: Vec<(&'static str, Bound, Service)>,
}

impl Committee {
    /// All listen; none is running yet.
    async fn bind() -> Self {
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

    fn dialer(&self, name: &str) -> Dialer {
        let identity = Identity::Process(process(name, Process::Party));
        Dialer::new(tls(&self.authority, identity), Limits::default())
    }

    /// The first `count` parties; the others' sockets are closed.
    fn run(&mut self, count: usize) -> Vec<Party> {
        let mut parties = vec![];
        for (name, bound, service) in std::mem::take(&mut self.bound).into_iter().take(count) {
            let mut others = self.targets.clone();
            others.remove(&id(name));
            let frames = Frames::new(self.dialer(name), others, &CancellationToken::new());
            service.0.set(frames.clone()).ok().unwrap();
            let (stop, stopped) = oneshot::channel::<()>();
            let ended = tokio::spawn(bound.serve(async { drop(stopped.await) }));
            parties.push(Party { name, frames, stop, ended });
        }
        parties
    }

    /// A stream of frames by somebody who sends whatever he likes; with the answers.
    async fn stream(
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

fn binding(round: u8) -> Binding {
    let [chain, roster, dealings] = [Digest::ZERO; 3];
    let committee = (1..=3).map(|number| Digest([number; 32])).collect();
    let (round, circuit) = (Digest([round; 32]), circuit().fingerprint());
    Binding { chain, round, attempt: 0, circuit, roster, dealings, committee, threshold: 1 }
}

/// Whose number is larger, and their product.
fn circuit() -> Circuit {
    Builder::build("larger", 2, |b| {
        let (alice, bob) = (b.private(Owner(0)).uint(64), b.private(Owner(1)).uint(64));
        b.output(alice.less_than(bob), Destination::Public);
        b.output(alice * bob, Destination::Public);
    })
    .unwrap()
}

/// Each party's inputs, dealt by the owners.
fn inputs(values: [u64; 2]) -> Vec<Inputs> {
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

fn machine(binding: &Binding, me: usize, values: [u64; 2]) -> Machine<Vec<Fr>> {
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

fn assignment(binding: &Binding, within: Duration) -> Assignment {
    Assignment {
        session: binding.session(),
        committee: NAMES.map(id).to_vec(),
        deadline: Instant::now() + within,
        cancel: CancellationToken::new(),
    }
}

type Outcome = Result<(Vec<Fr>, Traffic), Failure>;

fn start(party: &Party, round: u8, values: [u64; 2], within: Duration) -> JoinHandle<Outcome> {
    let frames = party.frames.clone();
    let binding = binding(round);
    let me = NAMES.iter().position(|name| *name == party.name).unwrap();
    let machine = machine(&binding, me, values);
    tokio::spawn(async move { frames.drive(machine, assignment(&binding, within)).await })
}

fn expected([alice, bob]: [u64; 2]) -> Vec<Fr> {
    vec![Fr::from(u64::from(alice < bob)), Fr::from(alice) * Fr::from(bob)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_parties_compute_whoever_begins_first() {
    let mut committee = Committee::bind().await;
    let parties = committee.run(3);
    let mut running = vec![];
    for party in &parties {
        running.push(start(party, 1, [3, u64::MAX], LONG));
        // The first frames of those who began earlier wait with the others.
        sleep(Duration::from_millis(50)).await;
    }
    let mut traffic = vec![];
    for run in running {
        let (outputs, sent) = run.await.unwrap().unwrap();
        assert_eq!(outputs, expected([3, u64::MAX]));
        traffic.push(sent);
    }
    assert!(
        traffic[0].exchanges > 10 && traffic.iter().all(|t| t.exchanges == traffic[0].exchanges)
    );

    // The same streams carry further sessions, also two at a time; and none twice.
    let runs: Vec<_> = parties
        .iter()
        .flat_map(|party| [start(party, 2, [5, 4], LONG), start(party, 3, [7, 9], LONG)])
        .collect();
    for (index, run) in runs.into_iter().enumerate() {
        let values = if index % 2 == 0 { [5, 4] } else { [7, 9] };
        assert_eq!(run.await.unwrap().unwrap().0, expected(values));
    }
    let again = start(&parties[0], 2, [5, 4], LONG).await.unwrap().unwrap_err();
    assert_eq!(again, Failure::Twice { session: binding(2).session() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_names_who_never_came() {
    let mut committee = Committee::bind().await;
    let parties = committee.run(2);
    let within = Duration::from_millis(600);
    let runs: Vec<_> = parties.iter().map(|party| start(party, 1, [1, 2], within)).collect();
    for run in runs {
        let failure = run.await.unwrap().unwrap_err();
        let Failure::Deadline { waiting } = &failure else { panic!("{failure}") };
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].party, id("MPCCZZ01"));
        let text = failure.to_string();
        let expected = "no result in time; waiting for MPCCZZ01 (urn:quittance:MPCCZZ01:party at";
        assert!(text.starts_with(expected) && text.contains("cannot be reached"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_ended_from_outside() {
    let mut committee = Committee::bind().await;
    let parties = committee.run(3);
    let first = start(&parties[0], 1, [1, 2], LONG);
    let (binding, frames) = (binding(1), parties[1].frames.clone());
    let (machine, assignment) = (machine(&binding, 1, [1, 2]), assignment(&binding, LONG));
    let cancel = assignment.cancel.clone();
    let second = tokio::spawn(async move { frames.drive(machine, assignment).await });
    sleep(Duration::from_millis(200)).await;
    cancel.cancel();
    let failure = second.await.unwrap().unwrap_err();
    let text = failure.to_string();
    assert_eq!(text, "ended from outside; waiting for MPCCZZ01");
    first.abort();
    assert!(first.await.is_err());
    // A session that was dropped is over as well.
    let again = start(&parties[0], 1, [1, 2], LONG).await.unwrap().unwrap_err();
    assert_eq!(again, Failure::Twice { session: binding.session() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_disconnects_in_the_middle_ends_the_session_at_once() {
    let mut committee = Committee::bind().await;
    let mut parties = committee.run(3);
    // The third party sends what comes before it hears from the others, and stops.
    let third = parties.pop().unwrap();
    let (to_first, first_answers) = committee.stream(party_of(third.name), NAMES[0]).await.unwrap();
    let (to_second, second_answers) =
        committee.stream(party_of(third.name), NAMES[1]).await.unwrap();
    let mut machine = machine(&binding(1), 2, [1, 2]);
    for frame in machine.poll().outgoing {
        let to = if frame.to == 1 { &to_first } else { &to_second };
        to.send(request(&frame)).await.unwrap();
    }
    let runs: Vec<_> = parties.iter().map(|party| start(party, 1, [1, 2], LONG)).collect();
    sleep(Duration::from_millis(300)).await;
    assert!(runs.iter().all(|run| !run.is_finished()));
    drop((to_first, to_second, first_answers, second_answers));
    third.stop().await;
    for run in runs {
        let failure = timeout(Duration::from_secs(5), run).await.unwrap().unwrap().unwrap_err();
        let Failure::Disconnected { peer, .. } = failure else { panic!("{failure}") };
        assert_eq!(peer, id("MPCCZZ01"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_that_was_restarted_is_reached_by_the_next_session() {
    let mut committee = Committee::bind().await;
    let mut parties = committee.run(3);
    let runs: Vec<_> = parties.iter().map(|party| start(party, 1, [1, 2], LONG)).collect();
    for run in runs {
        run.await.unwrap().unwrap();
    }
    parties.pop().unwrap().stop().await;
    let address = committee.targets[&id(NAMES[2])].address.parse().unwrap();
    let tls = tls(&committee.authority, party_of(NAMES[2]));
    let service = Service::default();
    let server = Server::new(Limits::default()).party(service.clone());
    let listen = quittance_rpc::config::ListenAddress { socket: address, ..loopback() };
    let bound = server.bind(&tls, &listen, Admission::everybody()).await.unwrap();
    committee.bound.push((NAMES[2], bound, service));
    parties.extend(committee.run(1));
    sleep(Duration::from_millis(200)).await;
    let runs: Vec<_> = parties.iter().map(|party| start(party, 2, [4, 3], LONG)).collect();
    for run in runs {
        assert_eq!(run.await.unwrap().unwrap().0, expected([4, 3]));
    }
}

fn party_of(name: &str) -> Identity {
    Identity::Process(process(name, Process::Party))
}

fn request(frame: &Frame) -> proto::FramesRequest {
    proto::FramesRequest { frame: frame.to_bytes() }
}

fn frame(session: Digest, from: u8, exchange: u32, payload: usize) -> Frame {
    let payload = Zeroizing::new(vec![0; payload]);
    Frame { session, from, to: 1, exchange, kind: Kind::Commit, part: 0, last: true, payload }
}

/// Frames that are replayed, foreign, in another's name, or ahead do not disturb the parties that
/// follow the protocol; the third party sends them beside its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_do_not_belong_are_refused_and_change_nothing() {
    let mut committee = Committee::bind().await;
    let parties = committee.run(3);
    let (to_first, mut answers) = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    let session = binding(1).session();
    let first = start(&parties[0], 1, [6, 7], LONG);
    let second = start(&parties[1], 1, [6, 7], LONG);
    sleep(Duration::from_millis(100)).await;

    // Everything that the third party sends to the first goes through our hands.
    let mut third = machine(&binding(1), 2, [6, 7]);
    let commit = third.poll().outgoing.into_iter().find(|frame| frame.to == 1).unwrap();
    for frame in [
        frame(Digest([9; 32]), 3, 0, 8),   // another session
        frame(session, 2, 0, 8),           // in another's name
        Frame { to: 2, ..commit.clone() }, // for another party
        frame(session, 3, 2, 8),           // ahead
        commit.clone(),
        commit.clone(), // again
    ] {
        to_first.send(request(&frame)).await.unwrap();
    }
    // As a stranger to the committee, or no party at all, one cannot even begin.
    for stranger in [party_of("MPCDZZ01"), agent("BANKDEFF"), agent(NAMES[1])] {
        let status = committee.stream(stranger, NAMES[0]).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    }
    sleep(Duration::from_millis(300)).await;
    assert!(!first.is_finished() && !second.is_finished(), "nothing of it ends the session");

    // Bytes that are no frame end the stream, and with it what needs it.
    to_first.send(proto::FramesRequest { frame: vec![1, 2, 3] }).await.unwrap();
    let status = answers.message().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let failure = first.await.unwrap().unwrap_err();
    assert!(matches!(failure, Failure::Disconnected { peer, .. } if peer == id(NAMES[2])));
    second.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_frames_and_floods_end_their_stream() {
    let mut committee = Committee::bind().await;
    let _parties = committee.run(1);
    let status = |frame: Vec<u8>| async {
        let (to, mut answers) = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
        to.send(proto::FramesRequest { frame }).await.unwrap();
        answers.message().await.unwrap_err()
    };
    let of = |payload| frame(Digest([1; 32]), 3, 0, payload).to_bytes();
    // More than a frame may have, but less than a message; and more than a message.
    assert_eq!(status(of((1 << 20) + 1)).await.code(), Code::InvalidArgument);
    assert_eq!(status(of(17 << 20)).await.code(), Code::OutOfRange);

    // Frames of sessions that never begin are kept up to a bound, then refused, then enough.
    let (to, mut answers) = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    tokio::spawn(async move {
        for number in 0..200 {
            let frame = frame(Digest([number; 32]), 3, 0, 1);
            if to.send(request(&frame)).await.is_err() {
                break;
            }
        }
        sleep(LONG).await;
    });
    let status = timeout(LONG, answers.message()).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_stream_replaces_the_first() {
    let mut committee = Committee::bind().await;
    let _parties = committee.run(1);
    let (_to, mut answers) = committee.stream(party_of(NAMES[1]), NAMES[0]).await.unwrap();
    let (_to, mut later) = committee.stream(party_of(NAMES[1]), NAMES[0]).await.unwrap();
    assert_eq!(answers.message().await.unwrap_err().code(), Code::Aborted);
    let silent = timeout(Duration::from_millis(200), later.message()).await;
    assert!(silent.is_err(), "the later stream goes on");
}
