//! Chains of one validator, and nodes that serve them or something else.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::block::{Block, Header, Tip, transactions_root};
use quittance_ledger::certificate::{Certificate, Validator, ValidatorSet, ValidatorSignature};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::Timestamp;
use quittance_ledger::state::{Limits as ChainLimits, PublicKey, Role};
use quittance_ledger::transaction::Unverified;
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::convert::{FinalBlock, TransactionStatus};
use quittance_rpc::follow::{self, ChainChecker, FollowError, Following, WrongChain};
use quittance_rpc::identity::Identity;
use quittance_rpc::limits::Limits;
use quittance_rpc::nodes::Nodes;
use quittance_rpc::proto::node::v1 as node;
use quittance_rpc::server::Server;
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::trust::Admission;
use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status};

use crate::common::{Running, agent, loopback, the_node, tls};

pub const SUITE: Suite = Suite::MlDsa65MlKem768;
pub const VALIDATOR: &str = "NODEXXAA";

pub fn vote_key(seed: u8) -> SigningKey {
    SigningKey::from_seed(SUITE, &[seed; 32])
}

pub fn genesis(name: &str) -> Genesis {
    let (institution, key) = (VALIDATOR.parse().unwrap(), vote_key(1).verifying_key());
    let registered = GenesisInstitution {
        roles: [Role::Validator].into(),
        keys: vec![PublicKey::Signing(Purpose::Vote, key.clone())],
    };
    Genesis {
        name: name.to_owned(),
        time: Timestamp(0),
        suite: SUITE,
        institutions: BTreeMap::from([(institution, registered)]),
        assets: BTreeMap::new(),
        validators: ValidatorSet::new(vec![Validator { institution, key, power: 1 }]).unwrap(),
        committees: BTreeMap::new(),
        limits: ChainLimits::default(),
    }
}

/// The block after `tip`; `salt` makes it differ from others.
pub fn block(tip: &Tip, genesis: &Genesis, salt: u8) -> Block {
    let validators = tip.validators();
    let header = Header {
        suite: SUITE,
        chain: genesis.chain_id(),
        height: tip.height().next(),
        parent: tip.block(),
        transactions_root: transactions_root::<Unverified>(&[]),
        state_root: Digest([salt; 32]),
        time: Timestamp(tip.time().0 + 1),
        validators,
        next_validators: validators,
    };
    Block { header, transactions: vec![] }
}

pub fn certify(block: Block, genesis: &Genesis, key: &SigningKey) -> FinalBlock {
    let mut certificate = Certificate {
        height: block.header.height,
        round: 0,
        block: block.id(),
        signatures: vec![],
    };
    let signature = certificate.vote(genesis.chain_id()).sign(key);
    let institution = VALIDATOR.parse().unwrap();
    certificate.signatures.push(ValidatorSignature { institution, signature });
    FinalBlock { block, certificate, next_validators: None }
}

/// The only validator with another key.
pub fn set(seed: u8) -> ValidatorSet {
    let (institution, key) = (VALIDATOR.parse().unwrap(), vote_key(seed).verifying_key());
    ValidatorSet::new(vec![Validator { institution, key, power: 1 }]).unwrap()
}

/// The block after `tip`, signed with the key `by`, after which the key `next` decides.
pub fn change(tip: &Tip, genesis: &Genesis, by: u8, next: u8) -> FinalBlock {
    let mut block = block(tip, genesis, 0);
    block.header.next_validators = set(next).digest();
    let certified = certify(block, genesis, &vote_key(by));
    FinalBlock { next_validators: Some(set(next)), ..certified }
}

/// Nine blocks; the keys 1, 2 and 3 decide on three each.
pub fn changing_chain(genesis: &Genesis) -> Vec<FinalBlock> {
    let mut tip = Tip::genesis(genesis);
    let next = |height: u8| {
        let by = height.div_ceil(3);
        let made = match height % 3 {
            0 => change(&tip, genesis, by, by + 1),
            _ => certify(block(&tip, genesis, 0), genesis, &vote_key(by)),
        };
        tip = Tip::after(&made.block.header);
        made
    };
    (1..=9).map(next).collect()
}

pub fn chain(genesis: &Genesis, length: usize) -> Vec<FinalBlock> {
    let mut tip = Tip::genesis(genesis);
    let next = |_| {
        let made = certify(block(&tip, genesis, 0), genesis, &vote_key(1));
        tip = Tip::after(&made.block.header);
        made
    };
    (0..length).map(next).collect()
}

/// A node that serves what it is told to.
#[derive(Clone)]
pub struct StandIn {
    pub genesis: Genesis,
    /// What is answered, from the block with the height asked for on.
    pub blocks: Arc<Mutex<Vec<node::BlocksResponse>>>,
    /// From which heights it was asked.
    pub asked: Arc<Mutex<Vec<u64>>>,
    /// Blocks of one stream before it breaks.
    pub breaks_after: usize,
    /// It says that it has so many blocks at least.
    pub promises: u64,
    /// What it says of every transaction, if it is asked at all.
    pub verdict: Result<TransactionStatus, Code>,
    /// How many transactions it got.
    pub submitted: Arc<AtomicUsize>,
}

impl StandIn {
    pub fn new(genesis: &Genesis, blocks: &[FinalBlock]) -> Self {
        let blocks = blocks.iter().map(node::BlocksResponse::from).collect();
        Self {
            genesis: genesis.clone(),
            blocks: Arc::new(Mutex::new(blocks)),
            asked: Arc::default(),
            breaks_after: usize::MAX,
            promises: 0,
            verdict: Ok(TransactionStatus::Unknown),
            submitted: Arc::default(),
        }
    }
}

impl StandIn {
    fn status(&self) -> Result<node::Status, Status> {
        let status = self.verdict.clone().map_err(|code| Status::new(code, "as it was told"))?;
        Ok(status.into())
    }
}

type Blocks = Pin<Box<dyn Stream<Item = Result<node::BlocksResponse, Status>> + Send>>;

#[tonic::async_trait]
impl node::node_server::Node for StandIn {
    type BlocksStream = Blocks;
    type GenesisStream = tokio_stream::Empty<Result<node::GenesisResponse, Status>>;

    async fn submit(
        &self,
        _: Request<node::SubmitRequest>,
    ) -> Result<Response<node::SubmitResponse>, Status> {
        self.submitted.fetch_add(1, Ordering::SeqCst);
        let status = self.status()?;
        Ok(Response::new(node::SubmitResponse { transaction_id: vec![], status: Some(status) }))
    }

    async fn transaction_status(
        &self,
        _: Request<node::TransactionStatusRequest>,
    ) -> Result<Response<node::TransactionStatusResponse>, Status> {
        let status = Some(self.status()?);
        Ok(Response::new(node::TransactionStatusResponse { status }))
    }

    async fn account(
        &self,
        _: Request<node::AccountRequest>,
    ) -> Result<Response<node::AccountResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn receipt(
        &self,
        _: Request<node::ReceiptRequest>,
    ) -> Result<Response<node::ReceiptResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn round(
        &self,
        _: Request<node::RoundRequest>,
    ) -> Result<Response<node::RoundResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn blocks(
        &self,
        request: Request<node::BlocksRequest>,
    ) -> Result<Response<Blocks>, Status> {
        let from = request.get_ref().from_height;
        self.asked.lock().unwrap().push(from);
        let blocks = self.blocks.lock().unwrap().clone();
        let rest: Vec<_> = blocks.into_iter().skip(from as usize - 1).map(Ok).collect();
        let broken = rest.len() > self.breaks_after;
        let rest = tokio_stream::iter(rest.into_iter().take(self.breaks_after));
        Ok(Response::new(match broken {
            true => Box::pin(rest.chain(tokio_stream::once(Err(Status::unavailable("broken"))))),
            false => Box::pin(rest.chain(tokio_stream::pending())),
        }))
    }

    async fn chain_status(
        &self,
        _: Request<node::ChainStatusRequest>,
    ) -> Result<Response<node::ChainStatusResponse>, Status> {
        let chain_id = self.genesis.chain_id().to_bytes();
        let height = self.promises.max(self.blocks.lock().unwrap().len() as u64);
        Ok(Response::new(node::ChainStatusResponse {
            chain_id,
            height,
            state_root: vec![0; 32],
            ..Default::default()
        }))
    }

    async fn genesis(
        &self,
        _: Request<node::GenesisRequest>,
    ) -> Result<Response<Self::GenesisStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

pub struct Site {
    pub authority: Authority,
    pub genesis: Genesis,
}

impl Site {
    pub fn new() -> Self {
        Self { authority: Authority::create("test").unwrap(), genesis: genesis("followed") }
    }

    pub async fn serve(&self, stand_in: StandIn, address: &str) -> Running {
        let tls = tls(&self.authority, Identity::Process(the_node()));
        let mut listen = loopback();
        listen.socket = address.parse().unwrap();
        let server = Server::new(Limits::default()).node(stand_in);
        Running::start(server.bind(&tls, &listen, Admission::everybody()).await.unwrap())
    }

    pub fn nodes(&self, targets: &[Target]) -> Nodes {
        let tls = tls(&self.authority, agent("BANKDEFF"));
        Nodes::new(&Dialer::new(tls, Limits::default()), targets).unwrap()
    }

    /// From the first block on.
    pub fn follow(&self, targets: &[Target]) -> Following {
        follow::follow(&self.nodes(targets), ChainChecker::genesis(&self.genesis))
    }

    /// A node at which nobody listens.
    pub fn away(&self) -> Target {
        let address = format!("127.0.0.1:{}", quittance_rpc::ports::free_range(1).unwrap());
        Target { address, identity: the_node() }
    }

    /// What following this node ends with, after how many blocks.
    pub async fn wrong(&self, stand_in: StandIn) -> (usize, WrongChain) {
        let running = self.serve(stand_in, "127.0.0.1:0").await;
        let mut following = self.follow(std::slice::from_ref(&running.target));
        let mut good = 0;
        loop {
            match next(&mut following).await {
                Ok(_) => good += 1,
                Err(FollowError::Wrong { wrong, node }) => {
                    assert_eq!(node, running.target);
                    assert_eq!(next(&mut following).await, Err(FollowError::Ended));
                    return (good, wrong);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

pub async fn next(following: &mut Following) -> Result<FinalBlock, FollowError> {
    timeout(Duration::from_secs(20), following.next()).await.expect("something in time")
}
