//! A node and the agents of three banks, in folders as an operator would set them up, and clients
//! of the agents.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses its own part")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use quittance_agent::{Agent, AgentError, AgentFile};
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::{Purpose, Suite};
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{InstitutionId, Timestamp};
use quittance_ledger::state::{Asset, Limits, PublicKey, Role};
use quittance_node::{Node, NodeError, NodeFile};
use quittance_rpc::client::Dialer;
use quittance_rpc::config::{Listen, Target, TlsFiles, TrustedAuthority};
use quittance_rpc::identity::{Identity, Process, ProcessName, Role as Client, Roles};
use quittance_rpc::limits::Limits as WireLimits;
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::agent_client::AgentClient;
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::trust::{Scope, Trust};
use quittance_rpc::tls::{Credentials, KeyExchange, Tls};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

pub const CENTRAL: &str = "CBNKZZ01";
pub const ONE: &str = "AAAABE01";
pub const TWO: &str = "BBBBDE01";
const VALIDATOR: &str = "VALDZZ01";
const COORDINATOR: &str = "CORDZZ01";
const SUITE: Suite = Suite::MlDsa65MlKem768;

fn id(text: &str) -> InstitutionId {
    text.parse().unwrap()
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    quittance_rpc::ports::free_range(1).unwrap()
}

/// Something that runs in this process.
pub struct Running<E> {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), E>>,
}

impl<E: std::fmt::Debug> Running<E> {
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

/// Folders, ports and certificates.
pub struct Site {
    folder: tempfile::TempDir,
    authority: Authority,
    node_port: u16,
    peer_ports: BTreeMap<&'static str, u16>,
}

impl Site {
    pub fn new() -> Self {
        let (folder, authority) =
            (tempfile::tempdir().unwrap(), Authority::create("test").unwrap());
        let peer_ports = [CENTRAL, ONE, TWO].map(|who| (who, free_port())).into();
        let site = Self { folder, authority, node_port: free_port(), peer_ports };
        let rings: BTreeMap<_, _> = [CENTRAL, ONE, TWO, VALIDATOR]
            .map(|who| (who, KeyRing::generate(who, SUITE).unwrap()))
            .into();
        let genesis = genesis(&rings);
        site.write("genesis.json", &serde_json::to_vec(&genesis).unwrap(), 0o644);
        site.write("ca.pem", site.authority.certificate_pem().as_bytes(), 0o644);
        site.write("directory.toml", site.directory().as_bytes(), 0o644);
        for (who, ring) in &rings {
            let process = if *who == VALIDATOR { Process::Node } else { Process::Agent };
            let name = ProcessName { institution: id(who), process };
            let issued = site.authority.issue(Identity::Process(name), &["127.0.0.1"]).unwrap();
            site.write(&format!("{who}/tls.pem"), issued.certificate_pem.as_bytes(), 0o644);
            site.write(&format!("{who}/tls.key"), issued.key_pem.as_bytes(), 0o600);
            site.write(&format!("{who}/keys.age"), &ring.to_encrypted("secret", 1).unwrap(), 0o644);
            site.write(&format!("{who}/passphrase"), b"secret\n", 0o600);
            let config = match process {
                Process::Node => toml::to_string(&site.node_file()).unwrap(),
                _ => toml::to_string(&site.agent_file(who)).unwrap(),
            };
            site.write(&format!("{who}/config.toml"), config.as_bytes(), 0o644);
        }
        site
    }

    fn write(&self, name: &str, content: &[u8], mode: u32) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }

    fn directory(&self) -> String {
        let node = format!("127.0.0.1:{}", self.node_port);
        let mut text = format!(
            "[node]\naddress = \"{node}\"\nidentity = \"urn:quittance:{VALIDATOR}:node\"\n\
             [coordinator]\naddress = \"127.0.0.1:1\"\n\
             identity = \"urn:quittance:{COORDINATOR}:coordinator\"\n[parties]\n[agents]\n"
        );
        for (who, port) in &self.peer_ports {
            text += &format!("{who} = \"127.0.0.1:{port}\"\n");
        }
        text
    }

    fn tls() -> TlsFiles {
        TlsFiles {
            certificate: "tls.pem".into(),
            key: "tls.key".into(),
            trust: vec![TrustedAuthority { file: "../ca.pem".into(), institutions: None }],
        }
    }

    fn node_file(&self) -> NodeFile {
        let address = format!("127.0.0.1:{}", self.node_port);
        NodeFile {
            institution: VALIDATOR.into(),
            genesis: "../genesis.json".into(),
            data: "data".into(),
            keys: "keys.age".into(),
            passphrase: "passphrase".into(),
            directory: None,
            votes: true,
            log: None,
            log_format: Default::default(),
            metrics: None,
            min_block_interval_ms: 5,
            heartbeat_ms: 100,
            listen: Listen { address, key_exchange: KeyExchange::Hybrid },
            tls: Self::tls(),
        }
    }

    fn agent_file(&self, who: &str) -> AgentFile {
        let peers = format!("127.0.0.1:{}", self.peer_ports[who]);
        let listen = |address: String| Listen { address, key_exchange: KeyExchange::Hybrid };
        AgentFile {
            institution: who.into(),
            genesis: "../genesis.json".into(),
            data: "data".into(),
            keys: "keys.age".into(),
            passphrase: "passphrase".into(),
            directory: "../directory.toml".into(),
            nodes: Vec::new(),
            log: None,
            log_format: Default::default(),
            metrics: None,
            absorb_after_ms: 20,
            expiry_blocks: 100,
            rounds: Default::default(),
            listen: listen("127.0.0.1:0".into()),
            listen_peers: listen(peers),
            tls: Self::tls(),
        }
    }

    /// A file of the process of `who`.
    pub fn file(&self, who: &str, name: &str) -> PathBuf {
        self.folder.path().join(who).join(name)
    }

    pub fn config(&self, who: &str) -> PathBuf {
        self.file(who, "config.toml")
    }

    /// Deletes what the agent of `who`, which is not running, has stored.
    pub fn lose_store(&self, who: &str) {
        std::fs::remove_dir_all(self.file(who, "data")).unwrap();
    }

    /// Where the node listens.
    pub fn node_target(&self) -> Target {
        let identity = ProcessName { institution: id(VALIDATOR), process: Process::Node };
        Target { address: format!("127.0.0.1:{}", self.node_port), identity }
    }

    pub async fn node(&self) -> Running<NodeError> {
        let config = quittance_node::Config::load(&self.config(VALIDATOR)).unwrap();
        let node = Node::start(config).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let address = node.address();
        let ended = tokio::spawn(node.serve(async { drop(stopped.await) }));
        Running { address, stop, ended }
    }

    pub async fn agent(&self, who: &str) -> Bank {
        let config = quittance_agent::Config::load(&self.config(who)).unwrap();
        self.serve(who, Agent::start(config).await.unwrap())
    }

    /// Runs an agent of `who` that has been started.
    pub fn serve(&self, who: &str, agent: Agent) -> Bank {
        let (stop, stopped) = oneshot::channel::<()>();
        let address = agent.address();
        let ended = tokio::spawn(agent.serve(async { drop(stopped.await) }));
        let running = Running { address, stop, ended };
        let roles = Roles::of(&[Client::Read, Client::Initiate]);
        let client = self.client(Identity::Client { institution: id(who), roles }, &running, who);
        Bank { who: who.to_owned(), running, client }
    }

    fn client(
        &self,
        identity: Identity,
        running: &Running<AgentError>,
        who: &str,
    ) -> AgentClient<Channel> {
        let name = ProcessName { institution: id(who), process: Process::Agent };
        let target = Target { address: running.address.to_string(), identity: name };
        self.dialer(identity).agent(&target).unwrap()
    }

    /// Dials with a certificate for `identity`.
    pub fn dialer(&self, identity: Identity) -> Dialer {
        let issued = self.authority.issue(identity, &["127.0.0.1"]).unwrap();
        let (chain, key) = (issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes());
        let mut trust = Trust::new();
        trust.add_pem(self.authority.certificate_pem().as_bytes(), Scope::Any).unwrap();
        Dialer::new(
            Tls::new(Credentials::from_pem(chain, key).unwrap(), trust),
            WireLimits::default(),
        )
    }

    /// Where the agent of `who` listens for other agents.
    pub fn peer(&self, who: &str) -> Target {
        let address = format!("127.0.0.1:{}", self.peer_ports[who]);
        let identity = ProcessName { institution: id(who), process: Process::Agent };
        Target { address, identity }
    }
}

fn genesis(rings: &BTreeMap<&'static str, KeyRing>) -> Genesis {
    let mut institutions = BTreeMap::new();
    for (who, ring) in rings {
        let role = if *who == VALIDATOR { Role::Validator } else { Role::Participant };
        let public = |purpose: &Purpose| {
            PublicKey::Signing(*purpose, ring.signing(*purpose).verifying_key())
        };
        let mut keys: Vec<_> = Purpose::ALL.iter().map(public).collect();
        keys.push(PublicKey::Sealing(ring.sealing().public_key().clone()));
        institutions.insert(id(who), GenesisInstitution { roles: [role].into(), keys });
    }
    let vote = rings[VALIDATOR].signing(Purpose::Vote).verifying_key();
    let validator = Validator { institution: id(VALIDATOR), key: vote, power: 1 };
    let issued = Asset { issuer: id(CENTRAL), decimals: 2 };
    Genesis {
        name: "Test".to_owned(),
        time: Timestamp(1_000),
        suite: SUITE,
        institutions,
        assets: [("EUR".parse().unwrap(), issued), ("USD".parse().unwrap(), issued)].into(),
        validators: ValidatorSet::new(vec![validator]).unwrap(),
        committees: BTreeMap::new(),
        limits: Limits::default(),
    }
}

/// A bank with its agent.
pub struct Bank {
    pub who: String,
    running: Running<AgentError>,
    pub client: AgentClient<Channel>,
}

/// A UETR.
pub fn uetr(number: u8) -> String {
    format!("00000000-0000-4000-8000-0000000000{number:02x}")
}

pub fn money(asset: &str, amount: &str) -> Option<api::Money> {
    Some(api::Money { asset: asset.to_owned(), amount: amount.to_owned() })
}

impl Bank {
    /// Where its agent listens for it.
    pub fn target(&self) -> Target {
        let identity = ProcessName { institution: id(&self.who), process: Process::Agent };
        Target { address: self.running.address.to_string(), identity }
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }

    /// Calls until the agent has caught up with the chain.
    pub async fn caught_up(mut self) -> Self {
        for _ in 0..200 {
            match self.client.balance(api::BalanceRequest::default()).await {
                Ok(_) => return self,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        panic!("{} does not catch up", self.who);
    }

    pub async fn pay(&mut self, number: u8, to: &str, asset: &str, amount: &str) {
        let receiver = api::Receiver {
            institution: to.to_owned(),
            amount: amount.to_owned(),
            ..api::Receiver::default()
        };
        let request = api::TransferRequest {
            uetr: uetr(number),
            asset: asset.to_owned(),
            receivers: vec![receiver],
            wait_ms: 20_000,
        };
        let outcome = self.client.transfer(request).await.unwrap().into_inner().outcome.unwrap();
        assert_eq!(outcome.state(), api::outcome::State::Final, "{}", outcome.reason);
    }

    /// Offers 10.00 EUR for 25.00 USD.
    pub async fn propose(
        &mut self,
        to: &str,
        valid_ms: u32,
    ) -> Result<api::Exchange, tonic::Status> {
        let request = api::ProposeExchangeRequest {
            uetr: uetr(1),
            counterparty: to.to_owned(),
            give: money("EUR", "10.00"),
            get: money("USD", "25"),
            valid_ms,
        };
        let response = self.client.propose_exchange(request).await?;
        Ok(response.into_inner().exchange.unwrap())
    }

    /// Accepts that.
    pub async fn accept(&mut self, wait_ms: u32) -> Result<api::Exchange, tonic::Status> {
        let request = api::AcceptExchangeRequest {
            uetr: uetr(1),
            give: money("USD", "25.00"),
            get: money("EUR", "10"),
            wait_ms,
        };
        let response = self.client.accept_exchange(request).await?;
        Ok(response.into_inner().exchange.unwrap())
    }

    pub async fn exchanges(&mut self) -> Vec<api::Exchange> {
        let request = api::ListExchangesRequest::default();
        self.client.list_exchanges(request).await.unwrap().into_inner().exchanges
    }

    /// Waits until the exchange is as wanted.
    pub async fn until(&mut self, wanted: impl Fn(&api::Exchange) -> bool) -> api::Exchange {
        for _ in 0..600 {
            if let Some(exchange) = self.exchanges().await.into_iter().find(&wanted) {
                return exchange;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let found = self.exchanges().await;
        panic!("{}: {found:?}", self.who);
    }

    pub async fn until_state(&mut self, state: api::exchange::State) -> api::Exchange {
        self.until(|exchange| exchange.state() == state).await
    }

    /// Waits until balance and pending together are so much.
    pub async fn holds(&mut self, asset: &str, amount: &str) {
        let request = api::BalanceRequest { asset: asset.to_owned() };
        let mut last = String::new();
        for _ in 0..200 {
            let response = self.client.balance(request.clone()).await.unwrap().into_inner();
            let found = &response.balances[0];
            if (found.balance.as_str(), found.pending.as_str()) == (amount, "0.00") {
                return;
            }
            last = format!("{} and {}", found.balance, found.pending);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} holds {last} {asset}, not {amount}", self.who);
    }

    pub async fn statement(&mut self, asset: &str) -> Vec<api::StatementLine> {
        let asset = asset.to_owned();
        let request = api::StatementRequest { asset, ..api::StatementRequest::default() };
        self.client.statement(request).await.unwrap().into_inner().lines
    }
}
