//! Validators with their servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{SigningKey, Suite};
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::ids::{ChainId, InstitutionId};
use quittance_rpc::client::Dialer;
use quittance_rpc::config::{ListenAddress, Target};
use quittance_rpc::identity::{Identity, Process};
use quittance_rpc::limits::Limits;
use quittance_rpc::peers::{Arrived, Frames, Own, Peers, Validators};
use quittance_rpc::server::{Bound, Connections, ServeError, Server};
use quittance_rpc::tls::KeyExchange;
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::trust::Admission;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::common::{loopback, process, tls};

pub const CHAIN: ChainId = ChainId(Digest([9; 32]));
pub const LONG: Duration = Duration::from_secs(30);

pub fn id(number: u8) -> InstitutionId {
    format!("VAL{}XX2A", char::from(b'A' + number)).parse().unwrap()
}

pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(Suite::MlDsa65MlKem768, &[number + 1; 32])
}

pub fn set(numbers: &[u8]) -> ValidatorSet {
    let validator = |number: &u8| Validator {
        institution: id(*number),
        key: key(*number).verifying_key(),
        power: 1,
    };
    ValidatorSet::new(numbers.iter().map(validator).collect()).unwrap()
}

pub struct Town {
    pub authority: Authority,
    pub houses: Vec<House>,
    pub targets: BTreeMap<InstitutionId, Target>,
    limits: Limits,
    validators: watch::Sender<Validators>,
}

/// One validator.
pub struct House {
    pub peers: Peers,
    pub arrivals: mpsc::Receiver<Arrived>,
    /// By institution, what the last connection of each brings.
    pub frames: BTreeMap<InstitutionId, Frames>,
    stopping: CancellationToken,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Town {
    pub async fn new(count: u8) -> Self {
        let numbers: Vec<u8> = (0..count).collect();
        let limits = Limits {
            drain_time: Duration::from_millis(100),
            body_time: Duration::from_secs(2),
            ..Limits::default()
        };
        let (validators, _) = watch::channel(Validators::of([&set(&numbers)]));
        let authority = Authority::create("test").unwrap();
        let (houses, targets) = (vec![], BTreeMap::new());
        let mut town = Self { authority, houses, targets, limits, validators };
        let mut bound = vec![];
        for number in 0..count {
            let (at, connections) = town.bind(number, loopback()).await;
            let identity = process(id(number).as_str(), Process::Node);
            town.targets.insert(id(number), Target { address: at.address().to_string(), identity });
            bound.push((at, connections));
        }
        for (number, (at, connections)) in (0..).zip(bound) {
            let house = town.house(number, at, connections);
            town.houses.push(house);
        }
        town
    }

    pub async fn bind(&self, number: u8, address: ListenAddress) -> (Bound, Connections) {
        let identity = Identity::Process(process(id(number).as_str(), Process::Node));
        let tls = tls(&self.authority, identity);
        let (server, connections) = Server::new(self.limits.clone()).validators();
        let bound = server.bind(&tls, &address, Admission::everybody()).await.unwrap();
        (bound, connections)
    }

    pub fn dialer(&self, holder: Identity) -> Dialer {
        Dialer::new(tls(&self.authority, holder), self.limits.clone())
    }

    pub fn house(&self, number: u8, bound: Bound, connections: Connections) -> House {
        let identity = Identity::Process(process(id(number).as_str(), Process::Node));
        let own = Own { institution: id(number), key: Arc::new(key(number)), chain: CHAIN };
        let (mut book, stopping) = (self.targets.clone(), CancellationToken::new());
        book.remove(&id(number));
        let validators = self.validators.subscribe();
        let dialer = self.dialer(identity);
        let (peers, arrivals) = Peers::start(dialer, own, book, connections, validators, &stopping);
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(bound.serve(async { drop(stopped.await) }));
        House { peers, arrivals, frames: BTreeMap::new(), stopping, stop, ended }
    }

    /// Who is a validator from now on.
    pub fn validators(&self, set: &ValidatorSet) {
        self.validators.send_replace(Validators::of([set]));
    }

    /// Waits until everybody is connected with so many.
    pub async fn connected(&self, others: usize) {
        let all = async {
            while self.houses.iter().any(|house| house.peers.connected() != others) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONG, all).await.expect("all are connected");
    }

    /// The next frame that `to` gets of `from`.
    pub async fn next(&mut self, to: u8, from: u8) -> Bytes {
        let house = &mut self.houses[usize::from(to)];
        loop {
            while let Ok(Arrived { name, frames }) = house.arrivals.try_recv() {
                house.frames.insert(name.institution, frames);
            }
            match house.frames.get_mut(&id(from)) {
                Some(frames) => match timeout(LONG, frames.recv()).await.expect("a frame") {
                    Some(frame) => return frame,
                    // The connection was replaced by a later one.
                    None => drop(house.frames.remove(&id(from))),
                },
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Its process ends.
    pub async fn stop(&mut self, number: u8) {
        let House { stopping, stop, ended, .. } = self.houses.remove(usize::from(number));
        stopping.cancel();
        stop.send(()).unwrap();
        ended.await.unwrap().unwrap();
    }

    /// It ends, and is started again at the same address.
    pub async fn restart(&mut self, number: u8) {
        self.stop(number).await;
        let socket = self.targets[&id(number)].address.parse().unwrap();
        let address = ListenAddress { socket, key_exchange: KeyExchange::Hybrid };
        let (bound, connections) = self.bind(number, address).await;
        let house = self.house(number, bound, connections);
        self.houses.insert(usize::from(number), house);
    }
}
