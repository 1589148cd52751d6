//! Validators in one process.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quittance_consensus::store::FolderStore;
use quittance_consensus::transport::{Inbox, Peer};
use quittance_consensus::{Bell, Clock, Engine, EngineConfig, Pace, Patience, Role};
use quittance_crypto::signature::SigningKey;
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::ids::{Height, InstitutionId};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::chain::{CHAIN, Chain, Disk, SUITE, Sets};
use crate::net::{Net, Weather};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn name(number: u8) -> InstitutionId {
    format!("VAL{}XX2A", char::from(b'A' + number)).parse().unwrap()
}

pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(SUITE, &[number + 1; 32])
}

pub fn peer(number: u8) -> Peer {
    Peer::of(&key(number).verifying_key())
}

pub fn set(numbers: &[u8]) -> ValidatorSet {
    let validator = |number: &u8| Validator {
        institution: name(*number),
        key: key(*number).verifying_key(),
        power: 1,
    };
    ValidatorSet::new(numbers.iter().map(validator).collect()).unwrap()
}

/// Quick, so that tests are.
pub fn patience() -> Patience {
    Patience {
        propose: Duration::from_millis(1500),
        vote: Duration::from_millis(500),
        growth: Duration::from_millis(250),
        status: Duration::from_millis(500),
        request: Duration::from_secs(3),
    }
}

pub struct Town {
    pub net: Net,
    pub runtime: Runtime,
    pub sets: Sets,
    pub pace: Pace,
    pub houses: Vec<House>,
}

/// A validator: its disk stays while it is stopped.
pub struct House {
    pub number: u8,
    pub disk: Disk,
    folder: PathBuf,
    /// Removes the folder in the end, if it is to be.
    _guard: Option<TempDir>,
    /// How the network knows it.
    pub peer: Peer,
    inbox: Option<Inbox>,
    running: Option<(Bell, JoinHandle<Result<(), String>>)>,
}

impl House {
    pub fn new(number: u8) -> Self {
        let guard = tempfile::tempdir().unwrap();
        let folder = guard.path().to_owned();
        Self::with(number, Disk::new(), folder, Some(guard))
    }

    /// A validator all of whose things are in this folder, and survive the process.
    pub fn at(number: u8, folder: PathBuf) -> Self {
        Self::with(number, Disk::open(folder.join("chain")), folder, None)
    }

    fn with(number: u8, disk: Disk, folder: PathBuf, _guard: Option<TempDir>) -> Self {
        let peer = peer(number);
        Self { number, disk, folder, _guard, peer, inbox: None, running: None }
    }

    pub fn bell(&self) -> &Bell {
        &self.running.as_ref().unwrap().0
    }

    /// Where a stranger may connect.
    pub fn inbox(&self) -> &Inbox {
        self.inbox.as_ref().unwrap()
    }

    fn path(&self, part: &str) -> PathBuf {
        self.folder.join(part)
    }
}

impl Town {
    /// As many validators as `count`, all running, without pause between blocks.
    pub fn new(count: u8, weather: Weather) -> Self {
        let numbers: Vec<u8> = (0..count).collect();
        let fixed = set(&numbers);
        let mut town = Self::empty(Arc::new(move |_| fixed.clone()), weather);
        for number in 0..count {
            town.add(House::new(number), Role::Voter);
        }
        town
    }

    pub fn empty(sets: Sets, weather: Weather) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let net = Net::new(runtime.handle().clone(), weather);
        let pace =
            Pace { min_interval: Duration::from_millis(1), heartbeat: Duration::from_secs(600) };
        Self { net, runtime, sets, pace, houses: vec![] }
    }

    pub fn add(&mut self, house: House, role: Role) {
        self.houses.push(house);
        self.start(self.houses.len() - 1, role);
    }

    pub fn start(&mut self, index: usize, role: Role) {
        let house = &mut self.houses[index];
        let (inbox, arrivals) = Inbox::new();
        house.inbox = Some(inbox.clone());
        let transport = self.net.join(house.peer, inbox);
        let config = EngineConfig {
            chain: CHAIN,
            institution: name(house.number),
            key: Arc::new(key(house.number)),
            role,
            pace: self.pace,
            patience: patience(),
            clock: Clock::default(),
            folder: house.path("engine"),
            store: Box::new(FolderStore::open(house.path("proposals")).unwrap()),
            transport,
            arrivals,
        };
        let mut chain = Chain { disk: house.disk.clone(), sets: self.sets.clone() };
        let bell = Bell::new();
        let (own, runtime) = (bell.clone(), self.runtime.handle().clone());
        let thread = std::thread::spawn(move || {
            let engine = runtime.block_on(Engine::start(config, &chain));
            let engine = engine.map_err(|error| error.to_string())?;
            engine.run(&mut chain, &own).map_err(|error| error.to_string())
        });
        house.running = Some((bell, thread));
    }

    /// Stops a validator, as far as it goes without killing the process.
    pub fn stop(&mut self, index: usize) {
        let house = &mut self.houses[index];
        if let Some((bell, thread)) = house.running.take() {
            bell.stop();
            thread.join().unwrap().unwrap();
            self.net.leave(house.peer);
            // The thread that writes the engine's log unlocks it as the last thing it does.
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Loses all that a stopped validator has.
    pub fn wipe(&mut self, index: usize) {
        let house = &mut self.houses[index];
        assert!(house.running.is_none());
        *house = House::new(house.number);
    }

    pub fn height(&self, index: usize) -> u64 {
        self.houses[index].disk.height()
    }

    /// Waits until all that run have this height.
    pub fn reach(&self, height: u64) {
        let end = Instant::now() + PATIENCE;
        for house in self.houses.iter().filter(|house| house.running.is_some()) {
            while house.disk.height() < height {
                let found = house.disk.height();
                let running = &house.running.as_ref().unwrap().1;
                assert!(!running.is_finished(), "validator {} has ended", house.number);
                assert!(Instant::now() < end, "validator {} is at {found}", house.number);
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// The greatest height of any.
    pub fn top(&self) -> u64 {
        self.houses.iter().map(|house| house.disk.height()).max().unwrap()
    }

    /// All have the same blocks, as far as they go, each with a certificate by the set of its
    /// height.
    pub fn agree(&self) {
        let chains: Vec<_> = self.houses.iter().map(|house| house.disk.blocks().clone()).collect();
        let longest = chains.iter().max_by_key(|blocks| blocks.len()).unwrap();
        for blocks in &chains {
            for (index, (header, certificate)) in blocks.iter().enumerate() {
                assert_eq!(header, &longest[index].0);
                assert_eq!(certificate.block, header.id());
                let set = (self.sets)(Height(index as u64 + 1));
                assert_eq!(certificate.verify(CHAIN, &set), Ok(()));
            }
        }
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        for house in &mut self.houses {
            if let Some((bell, thread)) = house.running.take() {
                bell.stop();
                let _ = thread.join();
            }
        }
    }
}
