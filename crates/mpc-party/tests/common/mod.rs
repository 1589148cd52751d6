//! Three parties with their real configuration files, and stand-ins for everybody else: a node whose
//! blocks nobody has executed, a coordinator that says what the test wants, agents that deal.
#![allow(dead_code, missing_docs, clippy::unwrap_used, reason = "each test file uses its own part")]

pub mod chain;
pub mod coordinator;
pub mod gridlock;
pub mod node;
pub mod rounds;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quittance_crypto::commitment::Opening;
use quittance_crypto::keyfile::KeyRing;
use quittance_ledger::ids::{InstitutionId, RoundId, Uetr};
use quittance_ledger::payload::Particulars;
use quittance_mpc::Parties;
use quittance_mpc_party::{Config, Party};
use quittance_round::queue::{FrozenQueue, QueueSeed, QueuedPayment};
use quittance_round::result::Announced;
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::identity::{Identity, Process, ProcessName};
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::party::v1 as proto;
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::trust::{Scope, Trust};
use quittance_rpc::tls::{Credentials, Tls};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use chain::Chain;
use coordinator::Coordinator;
use node::Node;

pub const PARTIES: [&str; 3] = ["MPCAZZ01", "MPCBZZ01", "MPCCZZ01"];
pub const COORDINATOR: &str = "COORZZ01";
pub const NODE: &str = "NODEZZ01";
pub const CENTRAL: &str = "CENTZZ01";

pub fn id(name: &str) -> InstitutionId {
    name.parse().unwrap()
}

pub fn bank(number: usize) -> InstitutionId {
    id(&format!("BANKZZ{number:02}"))
}

/// The parties of a committee with two to spare.
pub const FIVE: [&str; 5] = ["MPCAZZ01", "MPCBZZ01", "MPCCZZ01", "MPCDZZ01", "MPCEZZ01"];

/// A bank with its queue.
pub struct Bank {
    pub id: InstitutionId,
    pub balance: Opening,
    pub queue: FrozenQueue,
}

impl Bank {
    /// What it announces to a payee.
    pub fn announced_to(&self, payee: InstitutionId) -> impl Iterator<Item = Announced> + '_ {
        let payments = self.queue.payments().iter().enumerate();
        let to_payee = payments.filter(move |(_, payment)| payment.payee == payee);
        to_payee.map(|(place, payment)| Announced {
            payer: self.id,
            place: place as u32,
            amount: payment.amount,
            pads: self.queue.pads(place),
        })
    }
}

/// A running party.
struct Running {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

pub struct World {
    /// The committee, in order.
    pub committee: Vec<&'static str>,
    folder: tempfile::TempDir,
    authority: Authority,
    pub rings: BTreeMap<InstitutionId, KeyRing>,
    pub chain: Chain,
    pub node: Node,
    pub coordinator: Coordinator,
    addresses: BTreeMap<InstitutionId, SocketAddr>,
    parties: BTreeMap<InstitutionId, Running>,
    pub rng: ChaCha20Rng,
    /// How many batches of preprocessing a party keeps.
    batches: usize,
}

fn process(name: &str, process: Process) -> ProcessName {
    ProcessName { institution: id(name), process }
}

impl World {
    /// With so many banks, three running parties, and nobody's queue yet.
    pub async fn new(banks: usize) -> Self {
        Self::stocked(banks, &PARTIES, &[0; 3]).await
    }

    /// The same with these parties, without preprocessing.
    pub async fn of(banks: usize, committee: &[&'static str]) -> Self {
        Self::stocked(banks, committee, &vec![0; committee.len()]).await
    }

    /// The same with parties that keep so many batches of preprocessing.
    pub async fn stocked(banks: usize, committee: &[&'static str], batches: &[usize]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create("test").unwrap();
        let ids: Vec<_> = (1..=banks).map(bank).collect();
        let (genesis, rings) = chain::genesis(&ids, committee);
        std::fs::write(folder.path().join("genesis.json"), serde_json::to_vec(&genesis).unwrap())
            .unwrap();
        let tls = |who: ProcessName| tls(&authority, Identity::Process(who));
        let node = Node::start(&tls(process(NODE, Process::Node)), &genesis).await;
        let coordinator =
            Coordinator::start(&tls(process(COORDINATOR, Process::Coordinator))).await;
        let ids = committee.iter().map(|party| id(party));
        let addresses = ids.zip(free_addresses(committee.len())).collect();
        let mut world = Self {
            committee: committee.to_vec(),
            folder,
            chain: Chain::new(genesis),
            node,
            coordinator,
            authority,
            rings,
            addresses,
            parties: BTreeMap::new(),
            rng: ChaCha20Rng::seed_from_u64(1),
            batches: 0,
        };
        world.write_directory();
        for (party, batches) in committee.iter().zip(batches) {
            world.batches = *batches;
            world.write_party(party);
            world.start_party(party).await;
        }
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_directory(&self) {
        let remote = |section: &str, address: SocketAddr, who: ProcessName| {
            format!("[{section}]\naddress = \"{address}\"\nidentity = \"{who}\"\n")
        };
        let mut text = remote("node", self.node.address, process(NODE, Process::Node));
        let who = process(COORDINATOR, Process::Coordinator);
        text += &remote("coordinator", self.coordinator.address, who);
        text += "[parties]\n";
        for (party, address) in &self.addresses {
            text += &format!("{party} = \"{address}\"\n");
        }
        std::fs::write(self.path("directory.toml"), text).unwrap();
        std::fs::write(self.path("ca.pem"), self.authority.certificate_pem()).unwrap();
    }

    fn write_party(&self, name: &str) {
        let folder = self.path(name);
        std::fs::create_dir(&folder).unwrap();
        let who = Identity::Process(process(name, Process::Party));
        let issued = self.authority.issue(who, &["127.0.0.1"]).unwrap();
        let keys = self.rings[&id(name)].to_encrypted("a passphrase", 1).unwrap();
        std::fs::write(folder.join("keys.age"), keys).unwrap();
        std::fs::write(folder.join("tls.pem"), issued.certificate_pem.as_bytes()).unwrap();
        secret(&folder.join("tls.key"), issued.key_pem.as_bytes());
        secret(&folder.join("passphrase"), b"a passphrase\n");
        let address = self.addresses[&id(name)];
        let batches = self.batches;
        let text = format!(
            "institution = \"{name}\"\ngenesis = \"../genesis.json\"\ndata = \"data\"\n\
             keys = \"keys.age\"\npassphrase = \"passphrase\"\ndirectory = \"../directory.toml\"\n\
             compute_ms = 60000\n\
             [preprocessing]\nbatches = {batches}\ncomparisons = 40\nbits = 1000\n\
             [listen]\naddress = \"{address}\"\n\
             [tls]\ncertificate = \"tls.pem\"\nkey = \"tls.key\"\n\
             [[tls.trust]]\nfile = \"../ca.pem\"\n"
        );
        std::fs::write(folder.join("config.toml"), text).unwrap();
    }

    pub fn config(&self, name: &str) -> PathBuf {
        self.path(name).join("config.toml")
    }

    pub fn parties(&self) -> Parties {
        Parties::new(self.committee.len(), 1).unwrap()
    }

    /// Starts a party and waits until it attends.
    pub async fn start_party(&mut self, name: &str) {
        let party = self.open_party(name).await;
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(async move {
            party.serve(async { drop(stopped.await) }).await.unwrap();
        });
        self.parties.insert(id(name), Running { stop, ended });
        self.coordinator.attended(id(name)).await;
    }

    /// A party that was stopped in this process may still hold its folder for a moment, while it comes
    /// to the end of what it computes.
    async fn open_party(&self, name: &str) -> Party {
        for attempt in 0.. {
            let config = Config::load(&self.config(name)).unwrap_or_else(|error| panic!("{error}"));
            match Party::start(config).await {
                Ok(party) => return party,
                Err(error) => assert!(attempt < 200, "{name}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        unreachable!("attempts do not end")
    }

    /// As when its process ends: it forgets everything but what is on disk.
    pub async fn stop_party(&mut self, name: &str) {
        let Running { stop, ended } = self.parties.remove(&id(name)).unwrap();
        stop.send(()).unwrap();
        ended.await.unwrap();
        self.coordinator.cut(id(name));
    }

    pub async fn restart_party(&mut self, name: &str) {
        self.stop_party(name).await;
        self.start_party(name).await;
    }

    /// A client of a party.
    pub fn client(
        &self,
        who: ProcessName,
        party: &str,
    ) -> proto::party_client::PartyClient<tonic::transport::Channel> {
        let tls = tls(&self.authority, Identity::Process(who));
        let identity = process(party, Process::Party);
        let address = self.addresses[&id(party)].to_string();
        Dialer::new(tls, Limits::default()).party(&Target { address, identity }).unwrap()
    }

    pub fn agent(
        &self,
        bank: InstitutionId,
        party: &str,
    ) -> proto::party_client::PartyClient<tonic::transport::Channel> {
        self.client(ProcessName { institution: bank, process: Process::Agent }, party)
    }

    /// A bank that pays (number of the payee, amount) in this order.
    pub fn bank(&mut self, number: usize, liquidity: u64, payments: &[(usize, u64)]) -> Bank {
        let payments = (0u32..).zip(payments).map(|(place, (payee, amount))| {
            let mut uetr = [number as u8; 16];
            uetr[..4].copy_from_slice(&place.to_be_bytes());
            let particulars = Particulars::new(Uetr(uetr), "E2E", "rent").unwrap();
            QueuedPayment { payee: bank(*payee), amount: *amount, particulars }
        });
        let register = self.chain.book.registry().clone();
        let number_of = |who: &InstitutionId| register.institution(who).map(|it| it.number);
        let seed = QueueSeed::random(&mut self.rng);
        let queue = FrozenQueue::freeze(bank(number), payments.collect(), number_of, seed);
        let blinding = quittance_crypto::commitment::Blinding::random(&mut self.rng);
        let balance = Opening::new(liquidity, blinding);
        Bank { id: bank(number), balance, queue: queue.unwrap_or_else(|error| panic!("{error}")) }
    }

    /// Gives the banks their balances, opens a round, and lets them join.
    pub fn open_round(&mut self, banks: &[Bank]) -> RoundId {
        self.fund(banks);
        let round = self.open();
        self.join(round, banks);
        round
    }

    pub fn fund(&mut self, banks: &[Bank]) {
        let funding = self.chain.funding(banks, &self.rings, &mut self.rng);
        self.include(vec![funding]);
    }

    pub fn open(&mut self) -> RoundId {
        let (opening, round) = self.chain.opening(&self.rings, 1);
        self.include(vec![opening]);
        round
    }

    pub fn join(&mut self, round: RoundId, banks: &[Bank]) {
        let joins = banks.iter().map(|bank| self.chain.joining(round, bank, &self.rings));
        let joins = joins.collect();
        self.include(joins);
    }

    pub fn include(&mut self, transactions: Vec<quittance_ledger::transaction::Transaction>) {
        let vote = self.rings[&id(NODE)].signing(quittance_crypto::signature::Purpose::Vote);
        self.node.publish(self.chain.next(transactions, vote));
    }
}

pub fn tls(authority: &Authority, holder: Identity) -> Tls {
    let issued = authority.issue(holder, &["127.0.0.1"]).unwrap();
    let (chain, key) = (issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes());
    let mut trust = Trust::new();
    trust.add_pem(authority.certificate_pem().as_bytes(), Scope::Any).unwrap();
    Tls::new(Credentials::from_pem(chain, key).unwrap(), trust)
}

fn secret(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Addresses that nobody listens on, for parties that are started again on the same.
fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let port = || quittance_rpc::ports::free_range(1).unwrap();
    (0..count).map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, port()))).collect()
}

/// Asks again until `look` is satisfied.
pub async fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    for _ in 0..2400 {
        if look() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what} has not come true");
}
