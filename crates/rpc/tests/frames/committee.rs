//! Three parties with their servers, and a small computation.

use std::collections::BTreeMap;
use std::time::Duration;

use quittance_circuit::{Builder, Circuit, Destination, Fr, Owner};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::ids::InstitutionId;
use quittance_mpc::session::{Binding, Frame, Kind, Machine, Traffic};
use quittance_mpc::{Engine, Inputs, Output, Parties, Shared, vss};
use quittance_rpc::client::{ConnectError, Dialer, FramesStream};
use quittance_rpc::config::Target;
use quittance_rpc::frames::{Assignment, Failure, Frames, Word};
use quittance_rpc::identity::{Identity, Process};
use quittance_rpc::limits::Limits;
use quittance_rpc::server::{Bound, Connections, ServeError, Server};
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::trust::Admission;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::common::{loopback, process, tls};

pub const NAMES: [&str; 3] = ["MPCAZZ01", "MPCBZZ01", "MPCCZZ01"];
pub const LONG: Duration = Duration::from_secs(30);

pub fn id(name: &str) -> InstitutionId {
    name.parse().unwrap()
}

/// Hands on the frames that come, and says nothing but that it is there.
async fn hand_on(mut connections: Connections, to: mpsc::Sender<Frame>) {
    while let Some(mut connection) = connections.next().await {
        let to = to.clone();
        tokio::spawn(async move {
            connection.write_all(&[Word::Here as u8]).await.unwrap();
            connection.flush().await.unwrap();
            while let Ok(length) = connection.read_u32().await {
                let mut bytes = vec![0; length as usize];
                connection.read_exact(&mut bytes).await.unwrap();
                to.send(Frame::from_bytes(&bytes).unwrap()).await.unwrap();
            }
        });
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
    pub bound: Vec<(&'static str, Bound, Connections)>,
    /// Of all parties, as servers and as callers.
    pub limits: Limits,
}

impl Committee {
    /// All listen; none is running yet.
    pub async fn bind() -> Self {
        Self::bind_with(Limits::default()).await
    }

    pub async fn bind_with(limits: Limits) -> Self {
        let limits = Limits { drain_time: Duration::from_millis(100), ..limits };
        let authority = Authority::create("test").unwrap();
        let (mut targets, mut bound) = (BTreeMap::new(), vec![]);
        for name in NAMES {
            let identity = process(name, Process::Party);
            let tls = tls(&authority, Identity::Process(identity));
            let (server, connections) = Server::new(limits.clone()).frames();
            let at = server.bind(&tls, &loopback(), Admission::everybody()).await.unwrap();
            targets.insert(id(name), Target { address: at.address().to_string(), identity });
            bound.push((name, at, connections));
        }
        Self { authority, targets, bound, limits }
    }

    pub fn dialer(&self, name: &str) -> Dialer {
        let identity = Identity::Process(process(name, Process::Party));
        Dialer::new(tls(&self.authority, identity), self.limits.clone())
    }

    /// The first `count` parties; the others' sockets are closed.
    pub fn run(&mut self, count: usize) -> Vec<Party> {
        let mut parties = vec![];
        for (name, bound, connections) in std::mem::take(&mut self.bound).into_iter().take(count) {
            let mut others = self.targets.clone();
            others.remove(&id(name));
            let never = CancellationToken::new();
            let frames = Frames::new(self.dialer(name), others, connections, &never).unwrap();
            let (stop, stopped) = oneshot::channel::<()>();
            let ended = tokio::spawn(bound.serve(async { drop(stopped.await) }));
            parties.push(Party { name, frames, stop, ended });
        }
        parties
    }

    /// The first two parties; what they send to the third comes to the test.
    pub fn run_two(&mut self) -> (Vec<Party>, mpsc::Receiver<Frame>) {
        let (to, arriving) = mpsc::channel(64);
        let (_, bound, connections) = self.bound.pop().unwrap();
        tokio::spawn(hand_on(connections, to));
        tokio::spawn(bound.serve(std::future::pending()));
        (self.run(2), arriving)
    }

    /// A connection for frames of somebody who sends whatever he likes.
    pub async fn stream(&self, from: Identity, to: &str) -> Result<Stream, ConnectError> {
        let dialer = Dialer::new(tls(&self.authority, from), Limits::default());
        Ok(Stream(dialer.frames(&self.targets[&id(to)]).await?))
    }
}

/// A connection for frames, as bytes.
pub struct Stream(pub FramesStream);

impl Stream {
    pub async fn send(&mut self, frame: &Frame) {
        self.send_bytes(&frame.to_bytes()).await.unwrap();
    }

    /// A length, and as many bytes.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(&(bytes.len() as u32).to_be_bytes()).await?;
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// What the other side says next; `None` if it has closed the connection.
    pub async fn word(&mut self) -> Option<Word> {
        let byte = timeout(LONG, self.0.read_u8()).await.unwrap().ok()?;
        Some(Word::of(byte).unwrap())
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

pub fn frame(session: Digest, from: u8, exchange: u32, payload: usize) -> Frame {
    let payload = Zeroizing::new(vec![0; payload]);
    Frame { session, from, to: 1, exchange, kind: Kind::Commit, part: 0, last: true, payload }
}
