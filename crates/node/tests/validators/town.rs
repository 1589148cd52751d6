//! The validators of one chain, their folders, and a bank that transacts with them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Purpose;
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{Height, TransactionId};
use quittance_ledger::state::{PublicKey, Role};
use quittance_ledger::transaction::Transaction;
use quittance_node::NodeFile;
use quittance_rpc::client::Dialer;
use quittance_rpc::config::{Listen, Target, TlsFiles, TrustedAuthority};
use quittance_rpc::convert::{ChainView, FinalBlock, TransactionStatus};
use quittance_rpc::identity::{Identity, Process as Kind, ProcessName};
use quittance_rpc::limits::Limits;
use quittance_rpc::ports::free_range;
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::trust::{Scope, Trust};
use quittance_rpc::tls::{Credentials, KeyExchange, Tls};
use tokio::time::{Instant, sleep};

use crate::common::Client;
use crate::common::banks::{Banks, ISSUER, SUITE, VALIDATOR, id, terms};
use crate::process::{AHEAD, Process};

/// Longer than anything takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a transaction may wait, in blocks.
const EXPIRY: u64 = 900;

/// Credits that the ledger lets wait for one receiver; later transactions only count up.
const CREDITS: usize = 60;

/// Validators change in a file of its own.
#[path = "members.rs"]
mod members;

#[allow(dead_code, reason = "each test uses its own part")]
pub struct Town {
    banks: Banks,
    genesis: Genesis,
    authority: Authority,
    client: Tls,
    /// Where each listens.
    addresses: Vec<String>,
    /// How each is started.
    pub ways: Vec<Way>,
    folder: tempfile::TempDir,
    /// The keys of all who are or may become validators.
    rings: Vec<KeyRing>,
    /// Every set of validators that the tests expect, by its digest.
    sets: BTreeMap<Digest, ValidatorSet>,
    /// The number of the last decision.
    decisions: u64,
    processes: Vec<Option<Process>>,
    /// All that were ever sent.
    sent: Vec<Transaction>,
    /// Where somebody has said that they are.
    acknowledged: BTreeMap<TransactionId, (Height, u32)>,
}

/// How a validator's process is started.
#[derive(Default, Clone)]
pub struct Way {
    /// The command line of a program that becomes the node; empty if there is none.
    pub before: Vec<String>,
    /// By how many milliseconds its clock is ahead.
    pub ahead: i64,
}

pub fn name(at: usize) -> String {
    format!("VALDZZ{:02}", at + 1)
}

fn node_name(at: usize) -> ProcessName {
    ProcessName { institution: id(&name(at)), process: Kind::Node }
}

fn write(path: &Path, content: &[u8], mode: u32) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[allow(dead_code, reason = "each test uses its own part")]
impl Town {
    /// So many validators, all of them running.
    pub fn new(count: usize) -> Self {
        Self::with(count, 0)
    }

    /// The same, and some who are not validators yet and do not run: the genesis knows neither them
    /// nor their keys.
    pub fn with(validators: usize, others: usize) -> Self {
        let mut town = Self::among(Self::free(validators + others), validators);
        (0..validators).for_each(|at| town.start(at));
        town
    }

    /// So many validators on this machine, none of them running.
    pub fn furnished(count: usize) -> Self {
        Self::at(Self::free(count))
    }

    /// Validators that listen at these addresses, none of them running.
    pub fn at(addresses: Vec<String>) -> Self {
        let count = addresses.len();
        Self::among(addresses, count)
    }

    fn free(count: usize) -> Vec<String> {
        let base = free_range(count as u16).unwrap();
        (0..count as u16).map(|at| format!("127.0.0.1:{}", base + at)).collect()
    }

    /// Those who listen at these addresses, the first of them validators.
    fn among(addresses: Vec<String>, validators: usize) -> Self {
        let (banks, count) = (Banks::new(), addresses.len());
        let rings: Vec<_> =
            (0..count).map(|at| KeyRing::generate(&name(at), SUITE).unwrap()).collect();
        let genesis = genesis(&banks, &rings[..validators]);
        let authority = Authority::create("test").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(&root.join("genesis.json"), &serde_json::to_vec(&genesis).unwrap(), 0o644);
        write(&root.join("ca.pem"), authority.certificate_pem().as_bytes(), 0o644);
        let client = ProcessName { institution: id(ISSUER), process: Kind::Agent };
        let client = tls(&authority, client);
        let town = Self {
            banks,
            client,
            addresses,
            ways: vec![Way::default(); count],
            folder,
            authority,
            sets: [(genesis.validators.digest(), genesis.validators.clone())].into(),
            rings,
            decisions: 0,
            genesis,
            processes: (0..count).map(|_| None).collect(),
            sent: vec![],
            acknowledged: BTreeMap::new(),
        };
        for at in 0..count {
            town.furnish(at);
            town.direct(at, |to| town.addresses[to].clone());
        }
        town
    }

    pub fn home(&self, at: usize) -> PathBuf {
        self.folder.path().join(name(at))
    }

    pub fn config(&self, at: usize) -> PathBuf {
        self.home(at).join("config.toml")
    }

    /// Has a validator look for the others at these addresses.
    pub fn direct(&self, at: usize, address: impl Fn(usize) -> String) {
        let text = directory((0..self.addresses.len()).map(address));
        write(&self.home(at).join("directory.toml"), text.as_bytes(), 0o644);
    }

    /// Changes a validator's configuration, for its next start.
    pub fn configure(&self, at: usize, change: impl FnOnce(&mut NodeFile)) {
        let text = std::fs::read_to_string(self.config(at)).unwrap();
        let mut file = toml::from_str(&text).unwrap();
        change(&mut file);
        write(&self.config(at), toml::to_string(&file).unwrap().as_bytes(), 0o644);
    }

    pub fn address(&self, at: usize) -> &str {
        &self.addresses[at]
    }

    /// The folder of one validator.
    fn furnish(&self, at: usize) {
        let home = self.home(at);
        std::fs::create_dir(&home).unwrap();
        let issued =
            self.authority.issue(Identity::Process(node_name(at)), &["127.0.0.1"]).unwrap();
        write(&home.join("tls.pem"), issued.certificate_pem.as_bytes(), 0o644);
        write(&home.join("tls.key"), issued.key_pem.as_bytes(), 0o600);
        self.write_keys(at);
        write(&home.join("passphrase"), b"secret\n", 0o600);
        let file = NodeFile {
            institution: name(at),
            genesis: "../genesis.json".into(),
            data: "data".into(),
            keys: "keys.age".into(),
            passphrase: "passphrase".into(),
            directory: Some("directory.toml".into()),
            votes: true,
            log: None,
            log_format: Default::default(),
            metrics: None,
            min_block_interval_ms: 5,
            heartbeat_ms: 500,
            listen: Listen { address: self.address(at).into(), key_exchange: KeyExchange::Hybrid },
            tls: TlsFiles {
                certificate: "tls.pem".into(),
                key: "tls.key".into(),
                trust: vec![TrustedAuthority { file: "../ca.pem".into(), institutions: None }],
            },
        };
        write(&self.config(at), toml::to_string(&file).unwrap().as_bytes(), 0o644);
    }

    fn write_keys(&self, at: usize) {
        let sealed = self.rings[at].to_encrypted("secret", 1).unwrap();
        write(&self.home(at).join("keys.age"), &sealed, 0o644);
    }

    pub fn start(&mut self, at: usize) {
        self.start_with(at, |_| {});
    }

    pub fn start_with(&mut self, at: usize, prepare: impl FnOnce(&mut Command)) {
        let Way { before, ahead } = &self.ways[at];
        let process = Process::start_by(before, &self.config(at), |command| {
            command.env(AHEAD, ahead.to_string());
            prepare(command);
        });
        self.processes[at] = Some(process);
    }

    /// The process of a validator that runs.
    pub fn process(&mut self, at: usize) -> &mut Process {
        self.processes[at].as_mut().unwrap()
    }

    /// What a validator has said to standard error.
    fn said(&self, at: usize) -> String {
        self.processes[at].as_ref().map(Process::said).unwrap_or_default()
    }

    /// The validators that run.
    pub fn all_running(&self) -> Vec<usize> {
        (0..self.processes.len()).filter(|at| self.processes[*at].is_some()).collect()
    }

    /// `SIGKILL`.
    pub fn kill(&mut self, at: usize) {
        self.processes[at] = None;
    }

    /// All that a validator has stored is gone.
    pub fn wipe(&self, at: usize) {
        std::fs::remove_dir_all(self.home(at).join("data")).unwrap();
    }

    /// The first that runs.
    pub fn running(&self) -> Option<usize> {
        self.processes.iter().position(Option::is_some)
    }

    fn client(&self, at: usize) -> Client {
        let target = Target { address: self.address(at).into(), identity: node_name(at) };
        Client(Dialer::new(self.client.clone(), Limits::default()).node(&target).unwrap())
    }

    /// The next transaction of the bank.
    pub fn pay(&mut self) -> Transaction {
        // Blocks are made all the time, also without transactions.
        let height = self.acknowledged.values().map(|(height, _)| height.0).max().unwrap_or(0);
        let terms = terms(self.genesis.chain_id(), height + EXPIRY);
        let to = [(&self.banks.a, 1)];
        let to = if self.sent.len() < CREDITS { &to[..] } else { &[] };
        let transaction = self.banks.issuer.pays(terms, to);
        self.sent.push(transaction.clone());
        transaction
    }

    /// Submits until the validator has taken it.
    pub async fn submit(&self, at: usize, transaction: &Transaction) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let taken = self.client(at).submit_bytes(transaction.to_bytes()).await;
            match taken {
                Ok(_) => return,
                Err(status) if Instant::now() > deadline => {
                    panic!("{}: {status}: {}", name(at), self.said(at))
                }
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    pub async fn submit_to_any(&self, transaction: &Transaction) {
        if let Some(at) = self.running() {
            self.submit(at, transaction).await;
        }
    }

    /// Where the transaction is final, as this validator says.
    pub async fn outcome(&mut self, at: usize, transaction: &Transaction) -> (Height, u32) {
        let deadline = Instant::now() + PATIENCE;
        let place = loop {
            match self.client(at).try_status(transaction.id(), 1_000).await {
                Ok(TransactionStatus::Final { height, index }) => break (height, index),
                Ok(TransactionStatus::Rejected { code, reason }) => panic!("{code}: {reason}"),
                answer if Instant::now() > deadline => {
                    panic!("{}: {answer:?}: {}", name(at), self.said(at))
                }
                // It was not on the way to a block, and is forgotten.
                Ok(TransactionStatus::Unknown) => self.submit(at, transaction).await,
                Ok(_) | Err(_) => sleep(Duration::from_millis(20)).await,
            }
        };
        let known = self.acknowledged.insert(transaction.id(), place);
        assert!(known.is_none_or(|known| known == place), "{known:?} and then {place:?}");
        place
    }

    pub async fn is_final_within(
        &mut self,
        at: usize,
        transaction: &Transaction,
        time: Duration,
    ) -> bool {
        tokio::time::timeout(time, self.outcome(at, transaction)).await.is_ok()
    }

    /// Submits so many transactions, and all that are open, to a validator, and waits until it says
    /// that they are final.
    pub async fn settle(&mut self, at: usize, count: usize) {
        (0..count).for_each(|_| drop(self.pay()));
        let open = self.sent.iter().filter(|it| !self.acknowledged.contains_key(&it.id()));
        let open: Vec<Transaction> = open.cloned().collect();
        for transaction in &open {
            self.submit(at, transaction).await;
        }
        for transaction in &open {
            self.outcome(at, transaction).await;
        }
    }

    /// How far a validator is, and the state's root there; none if it does not answer.
    pub async fn view(&self, at: usize) -> Option<(Height, Digest)> {
        let request = quittance_rpc::proto::node::v1::ChainStatusRequest {};
        let status = self.client(at).0.chain_status(request).await.ok()?;
        let view = ChainView::try_from(status.get_ref()).unwrap();
        Some((view.height, view.state_root))
    }

    /// The blocks of these heights, as a validator has them; waits for those that are not there yet.
    pub async fn blocks(&self, at: usize, first: Height, last: Height) -> Vec<FinalBlock> {
        self.client(at).blocks(first.0, last.0).await
    }

    /// Waits until a validator has come to this height. `false` if it has ended instead.
    pub async fn reaches(&mut self, at: usize, height: Height) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.view(at).await.is_some_and(|(reached, _)| reached >= height) {
                return true;
            }
            if self.process(at).ends_within(Duration::ZERO) {
                return false;
            }
            let name = name(at);
            assert!(
                Instant::now() < deadline,
                "{name} does not catch up: {}",
                self.process(at).said()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// All validators that run have the same chain, with every transaction that was acknowledged where it was
    /// said to be, and each once. How many there are.
    pub async fn compare(&mut self) -> usize {
        let end = self.acknowledged.values().map(|(height, _)| *height).max().unwrap();
        let mut chains = BTreeSet::new();
        for at in self.all_running() {
            assert!(self.reaches(at, end).await, "{} has ended", name(at));
            let blocks = self.blocks(at, Height(1), end).await;
            let mut found = BTreeMap::new();
            for next in &blocks {
                let validators = &self.sets[&next.block.header.validators];
                next.certificate.verify(self.genesis.chain_id(), validators).unwrap();
                for (index, transaction) in (0..).zip(&next.block.transactions) {
                    let place = (next.block.header.height, index);
                    assert_eq!(found.insert(transaction.id(), place), None, "it happened twice");
                }
            }
            assert_eq!(found, self.acknowledged, "{}", name(at));
            let last = blocks.last().unwrap();
            chains.insert((last.block.id(), last.block.header.state_root));
        }
        assert_eq!(chains.len(), 1, "the chains are not the same");
        self.acknowledged.len()
    }
}

/// The genesis of a chain with these validators.
fn genesis(banks: &Banks, rings: &[KeyRing]) -> Genesis {
    let mut genesis = banks.genesis(rings[0].signing(Purpose::Vote));
    let mut validators = vec![];
    genesis.institutions.remove(&id(VALIDATOR));
    for (at, ring) in rings.iter().enumerate() {
        let key = ring.signing(Purpose::Vote).verifying_key();
        let institution =
            GenesisInstitution { roles: BTreeSet::from([Role::Validator]), keys: keys(ring) };
        genesis.institutions.insert(id(&name(at)), institution);
        validators.push(Validator { institution: id(&name(at)), key, power: 1 });
    }
    genesis.validators = ValidatorSet::new(validators).unwrap();
    genesis
}

/// The keys of a validator: it votes with one and approves decisions with the other.
fn keys(ring: &KeyRing) -> Vec<PublicKey> {
    let public = |purpose| PublicKey::Signing(purpose, ring.signing(purpose).verifying_key());
    [Purpose::Transaction, Purpose::Vote].map(public).into()
}

fn directory(addresses: impl Iterator<Item = String>) -> String {
    let mut text = format!(
        "[node]\naddress = \"127.0.0.1:1\"\nidentity = \"{}\"\n\
         [coordinator]\naddress = \"127.0.0.1:1\"\nidentity = \"urn:quittance:CORDZZ01:coordinator\"\n\
         [validators]\n",
        node_name(0)
    );
    for (at, address) in addresses.enumerate() {
        text += &format!("{} = \"{address}\"\n", name(at));
    }
    text
}

fn tls(authority: &Authority, holder: ProcessName) -> Tls {
    let issued = authority.issue(Identity::Process(holder), &["127.0.0.1"]).unwrap();
    let (chain, key) = (issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes());
    let mut trust = Trust::new();
    trust.add_pem(authority.certificate_pem().as_bytes(), Scope::Any).unwrap();
    Tls::new(Credentials::from_pem(chain, key).unwrap(), trust)
}
