//! Peers that do not keep to the rules.

use std::sync::Arc;

use bytes::Bytes;
use quittance_consensus::Role;
use quittance_consensus::transport::{Connection, DeliveryError, Inbox, Peer};
use quittance_consensus::wire::{
    DecidedBlock, Frame, MAX_FRAME_BYTES, Polka, Response, SignedProposal, SignedVote, Status,
    parts_of,
};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_ledger::block::{Block, Header};
use quittance_ledger::certificate::{Certificate, Vote, VoteKind};
use quittance_ledger::ids::{BlockId, ChainId, Height, Timestamp};
use quittance_ledger::proposal::Proposal;
use quittance_ledger::transaction::Transaction;

use crate::chain::{CHAIN, Chain};
use crate::net::Weather;
use crate::town::{House, Town, key, name, peer, set};

const OTHER: ChainId = ChainId(Digest([8; 32]));
const BLOCK: BlockId = BlockId(Digest([66; 32]));

fn vote(chain: ChainId, height: u64, round: u32, kind: VoteKind) -> Vote {
    Vote { chain, height: Height(height), round, kind, block: Some(BLOCK) }
}

/// A vote in the name of validator `of`, signed by `by`.
fn forged(vote: Vote, of: u8, by: u8) -> Frame {
    let signature = vote.sign(&key(by));
    Frame::Vote(SignedVote { institution: name(of), vote, signature })
}

/// What an outsider with a key of its own (number 9) says around `height`.
fn lies(height: u64) -> Vec<Bytes> {
    let mut frames = vec![];
    for kind in [VoteKind::Prevote, VoteKind::Precommit] {
        for of in 0..4 {
            // Another's name; a stranger's; another chain inside; far heights and rounds.
            frames.push(forged(vote(CHAIN, height, 0, kind), of, 9));
            frames.push(forged(vote(CHAIN, height + 1, 0, kind), of, 9));
            frames.push(forged(vote(OTHER, height, 0, kind), of, of));
            frames.push(forged(vote(CHAIN, height + 1000, 0, kind), of, of));
            frames.push(forged(vote(CHAIN, height, 1 << 19, kind), of, of));
        }
        frames.push(forged(vote(CHAIN, height, 0, kind), 9, 9));
    }
    let (of, height) = (name(0), Height(height));
    let proposal = Proposal { chain: CHAIN, height, round: 0, block: BLOCK, valid_round: None };
    let signature = proposal.sign(&key(9));
    frames.push(Frame::Proposal(SignedProposal { institution: of, proposal, signature }));
    for part in parts_of(CHAIN, height, 0, BLOCK, &Bytes::from_static(b"no block")) {
        frames.push(Frame::Part(part.clone().sign(name(0), &key(9))));
        frames.push(Frame::Part(part.sign(name(9), &key(9))));
    }
    frames.push(Frame::Polka(Polka { height, round: 0, block: BLOCK, signatures: vec![] }));
    frames.push(Frame::Status(Status { tip: Height(1 << 60), first: Height(1) }));
    frames.push(Frame::Begun(Height(u64::MAX)));
    let certificate = Certificate { height, round: 0, block: BLOCK, signatures: vec![] };
    let blocks = vec![DecidedBlock { block: Bytes::from_static(b"no block"), certificate }];
    frames.push(Frame::Response(Response { id: 1, first: height, blocks }));
    frames.iter().map(|frame| frame.to_frame(CHAIN)).collect()
}

/// An outsider's connection to a validator.
fn connect(town: &Town, inbox: &Inbox, number: u8) -> Connection {
    let outsider = Peer(Digest([200 + number; 32]));
    town.runtime.block_on(inbox.connect(outsider)).unwrap()
}

#[test]
fn what_is_not_signed_by_a_validator_changes_nothing() {
    let town = Town::new(4, Weather::default());
    town.reach(2);
    for round in 0..12 {
        for (number, frame) in lies(town.top()).into_iter().enumerate() {
            for house in &town.houses {
                let connection = connect(&town, house.inbox(), (number % 50) as u8);
                let _ = town.runtime.block_on(connection.deliver(frame.clone()));
            }
        }
        town.reach(town.top() + 1 + round % 2);
    }
    town.agree();
    assert!(town.houses.iter().all(|house| house.disk.reports().is_empty()));
}

#[test]
fn who_does_not_speak_the_language_is_not_listened_to() {
    let town = Town::new(4, Weather::default());
    town.reach(2);
    let good = forged(vote(CHAIN, 1, 0, VoteKind::Prevote), 0, 0);
    let good = good.to_frame(CHAIN);
    let garbage = [
        Bytes::new(),
        Bytes::from_static(&[1]),
        Bytes::from(vec![0xff; 5000]),
        good.slice(..good.len() - 1),
        Bytes::from([&good[..], &[0]].concat()),
        forged(vote(CHAIN, 1, 0, VoteKind::Prevote), 0, 0).to_frame(OTHER),
        Bytes::from([&good[..2], &vec![7; 20_000]].concat()),
        forged(vote(CHAIN, 1, u32::MAX, VoteKind::Prevote), 0, 0).to_frame(CHAIN),
    ];
    for (number, frame) in garbage.into_iter().enumerate() {
        let connection = connect(&town, town.houses[0].inbox(), number as u8);
        town.runtime.block_on(async {
            connection.deliver(good.clone()).await.unwrap();
            connection.deliver(frame).await.unwrap();
            connection.closed().await;
            assert_eq!(connection.deliver(good.clone()).await, Err(DeliveryError::Closed));
        });
    }
    let connection = connect(&town, town.houses[0].inbox(), 50);
    let huge = Bytes::from(vec![1; MAX_FRAME_BYTES + 1]);
    let refused = town.runtime.block_on(connection.deliver(huge));
    assert_eq!(refused, Err(DeliveryError::TooLong(MAX_FRAME_BYTES + 1)));
    town.reach(town.top() + 3);
    town.agree();
}

#[test]
fn a_validator_with_two_engines_is_convicted() {
    let fixed = set(&[0, 1, 2, 3]);
    let sets = fixed.clone();
    let mut town = Town::empty(Arc::new(move |_| sets.clone()), Weather::default());
    for number in 0..4 {
        town.add(House::new(number), Role::Voter);
    }
    let mut twin = House::new(3);
    twin.peer = Peer(Digest([3; 32]));
    town.add(twin, Role::Voter);
    let mut goal = 5;
    let found = loop {
        town.reach(goal);
        goal += 5;
        let honest = town.houses.iter().take(3);
        let found: Vec<_> = honest.flat_map(|house| house.disk.reports()).collect();
        if !found.is_empty() {
            break found;
        }
        assert!(goal < 400, "two engines with one key have not contradicted each other");
    };
    town.agree();
    for evidence in found {
        assert_eq!(evidence.institution(), name(3));
        assert_eq!(evidence.verify(CHAIN, &fixed), Ok(()));
    }
}

/// A validator without an engine: what it says is made here.
struct Liar {
    connections: Vec<Connection>,
}

impl Liar {
    /// Validator 3, connected to all others.
    fn new(town: &Town) -> Self {
        let connect = |house: &House| town.runtime.block_on(house.inbox().connect(peer(3)));
        Self { connections: town.houses.iter().map(|house| connect(house).unwrap()).collect() }
    }

    /// Proposes this block in round 0 of its height.
    fn propose(&self, town: &Town, height: Height, block: BlockId, bytes: Bytes) {
        let proposal = Proposal { chain: CHAIN, height, round: 0, block, valid_round: None };
        let signature = proposal.sign(&key(3));
        let institution = name(3);
        let mut frames = vec![Frame::Proposal(SignedProposal { institution, proposal, signature })];
        let parts = parts_of(CHAIN, height, 0, block, &bytes);
        frames.extend(parts.into_iter().map(|part| Frame::Part(part.sign(institution, &key(3)))));
        for frame in frames {
            for connection in &self.connections {
                town.runtime.block_on(connection.deliver(frame.to_frame(CHAIN))).unwrap();
            }
        }
    }
}

/// Makes a good header another.
type Change = fn(&mut Header);

#[test]
fn a_block_that_the_application_refuses_is_not_decided() {
    let mut town = Town::empty(Arc::new(|_| set(&[0, 1, 2, 3])), Weather::default());
    for number in 0..3 {
        town.add(House::new(number), Role::Voter);
    }
    let liar = Liar::new(&town);
    let changes: [(bool, Change); 8] = [
        (true, |_| {}),
        (false, |header| header.state_root = Digest::ZERO),
        (false, |header| header.transactions_root = Digest::ZERO),
        (false, |header| header.parent = BLOCK),
        (false, |header| header.time.0 += 60_000),
        (false, |header| header.time.0 = 0),
        (false, |header| header.validators = Digest::ZERO),
        (false, |header| header.next_validators = Digest::ZERO),
    ];
    for (good, change) in changes {
        let height = loop {
            let next = town.top() + 1;
            town.reach(next - 1);
            match next % 4 {
                3 => break Height(next),
                _ => std::thread::sleep(std::time::Duration::from_millis(1)),
            }
        };
        let chain = Chain { disk: town.houses[0].disk.clone(), sets: town.sets.clone() };
        let mut header = chain.expected(now());
        change(&mut header);
        let transactions: Vec<Transaction> = vec![];
        let block = Block { header, transactions };
        liar.propose(&town, height, block.id(), block.to_bytes().into());
        town.reach(height.0);
        let (decided, certificate) = town.houses[0].disk.blocks()[height.0 as usize - 1].clone();
        assert_eq!((decided.id() == block.id(), certificate.round == 0), (good, good));
    }
    town.agree();
}

fn now() -> Timestamp {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    Timestamp(since.as_millis() as u64)
}
