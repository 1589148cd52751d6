//! A validator that breaks every rule that it can: for tests of the others.
//!
//! `byzantine-validator CONFIG` takes the configuration of a node. It must be that of the validator
//! that calls all others, whose institution comes first: it does not listen. It follows the chain by
//! the interface that clients have, so that it knows what a good block would be, and says in which
//! height it has proposed which bad one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "it runs in tests, which see it fail")]

mod attacks;
mod chain;
mod lies;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use quittance_consensus::wire::{Frame, MAX_RESPONSE_BLOCKS, Request};
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{Purpose, SigningKey};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{Height, InstitutionId};
use quittance_node::NodeFile;
use quittance_rpc::client::Dialer;
use quittance_rpc::config::{self, Target};
use quittance_rpc::convert::FinalBlock;
use quittance_rpc::identity::{Process, ProcessName};
use quittance_rpc::limits::Limits;
use quittance_rpc::peers::{Own, Peers, Priority, Validators};
use quittance_rpc::proto::node::v1::BlocksRequest;
use quittance_rpc::server::Server;
use quittance_rpc::tls::Tls;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use attacks::{ATTACKS, Attack};
use chain::Chain;

/// The first byte of a frame between nodes: one of the engine's, or a transaction.
const ENGINE: u8 = 0;
const TRANSACTION: u8 = 1;

/// Frames that are kept to be sent again.
const KEPT: usize = 400;

/// Frames that are sent again at each height.
const REPLAYED: usize = 40;

struct Config {
    institution: InstitutionId,
    genesis: Genesis,
    key: SigningKey,
    others: BTreeMap<InstitutionId, Target>,
    tls: Tls,
}

/// As a node reads it.
fn load(file: &Path) -> Config {
    let (read, mut check): (NodeFile, _) = config::read(file).unwrap();
    let institution: InstitutionId = read.institution.parse().unwrap();
    let genesis = check.genesis("genesis", &read.genesis).unwrap();
    let ring = check.key_ring(&read.keys, &read.passphrase, Some(institution)).unwrap();
    let key = SigningKey::from_seed(ring.suite(), ring.signing(Purpose::Vote).seed());
    let mut others = check.directory("directory", &read.directory.unwrap()).unwrap().validators;
    others.remove(&institution);
    let name = ProcessName { institution, process: Process::Node };
    let tls = read.tls.check("tls", Some(name), Some(&genesis), &mut check).unwrap();
    Config { institution, genesis, key, others, tls }
}

struct Liar {
    institution: InstitutionId,
    key: Arc<SigningKey>,
    peers: Peers,
    /// Fingerprints of the others' keys.
    others: Vec<Digest>,
    chain: Chain,
    random: ChaCha20Rng,
    /// Frames that were heard, of any height.
    kept: VecDeque<Bytes>,
    /// The places that it has voted at: height, round, and 0 or 1.
    voted: BTreeSet<(Height, u32, u8)>,
    /// The attacks that are to come.
    attacks: VecDeque<Attack>,
}

#[tokio::main]
async fn main() {
    let file = std::env::args_os().nth(1).expect("byzantine-validator CONFIG");
    let Config { institution, genesis, key, others, tls } = load(file.as_ref());
    let key = Arc::new(key);
    let dialer = Dialer::new(tls, Limits::default());
    let own = Own { institution, key: key.clone(), chain: genesis.chain_id() };
    let (_validators, watched) = watch::channel(Validators::of([&genesis.validators]));
    // Nobody calls it, so that there is nothing to listen for.
    let (_server, connections) = Server::new(Limits::default()).validators();
    let node = others.values().next().expect("there are others").clone();
    let stopping = CancellationToken::new();
    let (peers, arrived) =
        Peers::start(dialer.clone(), own, others, connections, watched, &stopping);
    let fingerprints = genesis.validators.validators().iter();
    let others = fingerprints.filter(|each| each.institution != institution);
    let mut liar = Liar {
        institution,
        key,
        peers,
        others: others.map(|each| each.key.fingerprint()).collect(),
        chain: Chain::new(&genesis),
        random: ChaCha20Rng::seed_from_u64(1),
        kept: VecDeque::new(),
        voted: BTreeSet::new(),
        attacks: ATTACKS.into(),
    };
    let mut frames = hear(arrived);
    let mut blocks = follow(dialer, node);
    liar.begin();
    loop {
        tokio::select! {
            Some((from, frame)) = frames.recv() => liar.heard(from, frame),
            block = blocks.recv() => match block {
                Some(block) => {
                    liar.chain.advance(block);
                    liar.begin();
                }
                None => return,
            },
        }
    }
}

/// What all others send, with the fingerprint of who does.
fn hear(
    mut arrived: mpsc::Receiver<quittance_rpc::peers::Arrived>,
) -> mpsc::Receiver<(Digest, Bytes)> {
    let (sender, receiver) = mpsc::channel(1024);
    tokio::spawn(async move {
        while let Some(mut peer) = arrived.recv().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                while let Some(frame) = peer.frames.recv().await {
                    drop(sender.send((peer.name.key, frame)).await);
                }
            });
        }
    });
    receiver
}

/// The chain's blocks, from one of the others; ends with it.
fn follow(dialer: Dialer, node: Target) -> mpsc::Receiver<FinalBlock> {
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        let mut client = dialer.node(&node).unwrap();
        let mut next = 1;
        loop {
            let request = BlocksRequest { from_height: next, to_height: 0 };
            let Ok(stream) = client.blocks(request).await else {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            };
            let mut stream = stream.into_inner();
            while let Ok(Some(block)) = stream.message().await {
                next += 1;
                if sender.send(FinalBlock::try_from(&block).unwrap()).await.is_err() {
                    return;
                }
            }
        }
    });
    receiver
}

fn tagged(tag: u8, content: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(1 + content.len());
    frame.put_u8(tag);
    frame.put_slice(content);
    frame.freeze()
}

impl Liar {
    fn send_raw(&self, to: usize, frame: Bytes) {
        self.peers.send(&self.others[to], frame, Priority::Bulk);
    }

    fn send(&self, to: usize, frame: &Frame) {
        self.send_raw(to, tagged(ENGINE, &frame.to_frame(self.chain.id())));
    }

    fn send_to_all(&self, frame: &Frame) {
        (0..self.others.len()).for_each(|to| self.send(to, frame));
    }

    /// A height begins: time for lies that need no occasion.
    fn begin(&mut self) {
        let height = self.chain.next();
        self.voted.retain(|(of, ..)| *of >= height);
        self.send_to_all(&Frame::Begun(height));
        self.replay();
        self.cross();
        self.gossip();
        // Not when it proposes: nobody would hear that.
        if height.0 % 4 == 2 {
            self.talk_nonsense((height.0 / 4) as usize);
        }
        if self.chain.proposer(height, 0) == self.institution {
            if let Some(attack) = self.attacks.pop_front() {
                println!("{} {attack:?}", height.0);
                self.propose(attack);
            }
            if self.attacks.is_empty() {
                println!("done");
            }
        }
    }

    fn heard(&mut self, from: Digest, frame: Bytes) {
        let Some((&ENGINE, content)) = frame.split_first() else { return };
        let Ok(heard) = Frame::from_frame(content, self.chain.id()) else { return };
        match &heard {
            Frame::Vote(vote) => self.contradict(&vote.vote),
            Frame::Request(request) => self.answer(from, *request),
            _ => {}
        }
        self.kept.push_back(frame);
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    /// Sends again what was said at any time, by anybody.
    fn replay(&mut self) {
        for _ in 0..REPLAYED.min(self.kept.len()) {
            let index = self.random.next_u32() as usize % self.kept.len();
            let to = self.random.next_u32() as usize % self.others.len();
            self.send_raw(to, self.kept[index].clone());
        }
    }

    /// Answers a request for blocks with what nobody has decided.
    fn answer(&self, to: Digest, Request { id, first, last }: Request) {
        let wanted = (last.0 - first.0 + 1).min(MAX_RESPONSE_BLOCKS as u64);
        let blocks =
            (0..wanted).map(|_| self.chain.undecided(self.institution, &self.key)).collect();
        let response = quittance_consensus::wire::Response { id, first, blocks };
        let frame = Frame::Response(response).to_frame(self.chain.id());
        self.peers.send(&to, tagged(ENGINE, &frame), Priority::Bulk);
    }
}
