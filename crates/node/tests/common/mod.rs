//! A node in a folder, as an operator would set it up, and a client of it.
#![allow(dead_code, missing_docs, clippy::unwrap_used, reason = "each test uses its own part")]

pub mod banks;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use quittance_crypto::encoding::Encode;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Purpose;
use quittance_ledger::build::Terms;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{AccountId, ChainId, Height, TransactionId};
use quittance_ledger::transaction::Transaction;
use quittance_node::{Config, Node, NodeError, NodeFile};
use quittance_rpc::client::Dialer;
use quittance_rpc::config::{Listen, Target, TlsFiles, TrustedAuthority};
use quittance_rpc::convert::{AccountView, ChainView, FinalBlock, TransactionStatus};
use quittance_rpc::identity::{Identity, Process, ProcessName};
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::node::v1 as proto;
use quittance_rpc::proto::node::v1::node_client::NodeClient;
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::trust::{Scope, Trust};
use quittance_rpc::tls::{Credentials, KeyExchange, Tls};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use banks::{Banks, SUITE, VALIDATOR, id, terms};

/// A folder with all that a node needs, and who transacts there.
pub struct Site {
    pub banks: Banks,
    pub genesis: Genesis,
    authority: Authority,
    folder: tempfile::TempDir,
}

fn node_name() -> ProcessName {
    ProcessName { institution: id(VALIDATOR), process: Process::Node }
}

impl Site {
    /// A node that listens on `address`.
    pub fn new(address: &str) -> Self {
        let banks = Banks::new();
        let ring = KeyRing::generate(VALIDATOR, SUITE).unwrap();
        let genesis = banks.genesis(ring.signing(Purpose::Vote));
        let authority = Authority::create("test").unwrap();
        let issued = authority.issue(Identity::Process(node_name()), &["127.0.0.1"]).unwrap();
        let site = Self { banks, genesis, authority, folder: tempfile::tempdir().unwrap() };
        site.write("genesis.json", &serde_json::to_vec(&site.genesis).unwrap(), 0o644);
        site.write("ca.pem", site.authority.certificate_pem().as_bytes(), 0o644);
        site.write("tls.pem", issued.certificate_pem.as_bytes(), 0o644);
        site.write("tls.key", issued.key_pem.as_bytes(), 0o600);
        site.write("keys.age", &ring.to_encrypted("secret", 1).unwrap(), 0o644);
        site.write("passphrase", b"secret\n", 0o600);
        site.configure(&site.file(address));
        site
    }

    pub fn file(&self, address: &str) -> NodeFile {
        NodeFile {
            institution: VALIDATOR.into(),
            genesis: "genesis.json".into(),
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
            listen: Listen { address: address.into(), key_exchange: KeyExchange::Hybrid },
            tls: TlsFiles {
                certificate: "tls.pem".into(),
                key: "tls.key".into(),
                trust: vec![TrustedAuthority { file: "ca.pem".into(), institutions: None }],
            },
        }
    }

    pub fn configure(&self, file: &NodeFile) {
        self.write("config.toml", toml::to_string(file).unwrap().as_bytes(), 0o644);
    }

    pub fn write(&self, name: &str, content: &[u8], mode: u32) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    pub fn chain(&self) -> ChainId {
        self.genesis.chain_id()
    }

    pub fn terms(&self) -> Terms {
        terms(self.chain(), 900)
    }

    /// A client with the certificate of an institution's agent.
    pub fn client(&self, address: SocketAddr, institution: &str) -> Client {
        let name = ProcessName { institution: id(institution), process: Process::Agent };
        let issued = self.authority.issue(Identity::Process(name), &["127.0.0.1"]).unwrap();
        let (chain, key) = (issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes());
        let mut trust = Trust::new();
        trust.add_pem(self.authority.certificate_pem().as_bytes(), Scope::Any).unwrap();
        let tls = Tls::new(Credentials::from_pem(chain, key).unwrap(), trust);
        let target = Target { address: address.to_string(), identity: node_name() };
        Client(Dialer::new(tls, Limits::default()).node(&target).unwrap())
    }
}

/// A node in this process.
pub struct Running {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), NodeError>>,
}

impl Running {
    pub async fn start(config: &Path) -> Self {
        let node = Node::start(Config::load(config).unwrap()).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let address = node.address();
        let ended = tokio::spawn(node.serve(async { drop(stopped.await) }));
        Self { address, stop, ended }
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

/// Calls with canonical types.
#[derive(Clone)]
pub struct Client(pub NodeClient<Channel>);

impl Client {
    pub async fn submit(&mut self, transaction: &Transaction) -> TransactionStatus {
        let response = self.submit_bytes(transaction.to_bytes()).await.unwrap();
        assert_eq!(response.transaction_id, transaction.id().to_bytes());
        response.status.try_into().unwrap()
    }

    pub async fn submit_bytes(
        &mut self,
        transaction: Vec<u8>,
    ) -> Result<proto::SubmitResponse, tonic::Status> {
        let response = self.0.submit(proto::SubmitRequest { transaction }).await?;
        Ok(response.into_inner())
    }

    pub async fn try_status(
        &mut self,
        id: TransactionId,
        wait_ms: u32,
    ) -> Result<TransactionStatus, tonic::Status> {
        let transaction_id = id.to_bytes();
        let request = proto::TransactionStatusRequest { transaction_id, wait_ms };
        let response = self.0.transaction_status(request).await?;
        Ok(response.into_inner().status.try_into().unwrap())
    }

    pub async fn status(&mut self, id: TransactionId) -> TransactionStatus {
        self.try_status(id, 0).await.unwrap()
    }

    /// Waits for the end of a transaction.
    pub async fn outcome(&mut self, transaction: &Transaction) -> TransactionStatus {
        self.try_status(transaction.id(), 30_000).await.unwrap()
    }

    /// Submits, and waits until the transaction is final.
    pub async fn settle(&mut self, transaction: &Transaction) -> (Height, u32) {
        self.submit(transaction).await;
        match self.outcome(transaction).await {
            TransactionStatus::Final { height, index } => (height, index),
            other => panic!("{other:?}"),
        }
    }

    pub async fn account(&mut self, id: AccountId) -> AccountView {
        let (institution, asset) = (id.institution.to_string(), id.asset.to_string());
        let response = self.0.account(proto::AccountRequest { institution, asset }).await.unwrap();
        AccountView::try_from(response.get_ref()).unwrap()
    }

    pub async fn chain(&mut self) -> ChainView {
        let response = self.0.chain_status(proto::ChainStatusRequest {}).await.unwrap();
        ChainView::try_from(response.get_ref()).unwrap()
    }

    pub async fn genesis(&mut self, chain: ChainId) -> Genesis {
        quittance_rpc::genesis::fetch(&mut self.0, chain).await.unwrap()
    }

    /// The blocks of these heights; waits for those that are not there yet.
    pub async fn blocks(&mut self, from_height: u64, to_height: u64) -> Vec<FinalBlock> {
        let request = proto::BlocksRequest { from_height, to_height };
        let mut stream = self.0.blocks(request).await.unwrap().into_inner();
        let mut blocks = vec![];
        while let Some(next) = stream.message().await.unwrap() {
            blocks.push(FinalBlock::try_from(&next).unwrap());
        }
        blocks
    }
}

pub fn is_rejected(status: &TransactionStatus, expected: &str) -> bool {
    matches!(status, TransactionStatus::Rejected { code, .. } if code == expected)
}
