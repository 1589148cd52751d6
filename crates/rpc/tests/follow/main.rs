//! Following a chain over TLS, from nodes that go away and from nodes that lie.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops where its assumption fails")]

#[path = "../common/mod.rs"]
mod common;
mod nodes;
mod sets;
mod site;
mod submit;

use std::time::Duration;

use quittance_crypto::digest::Digest;
use quittance_ledger::block::{HeaderError, Tip};
use quittance_ledger::certificate::CertificateError;
use quittance_ledger::ids::{CommitteeId, Height};
use quittance_ledger::transaction::{Action, Body, RoundOpen, Transaction};
use quittance_rpc::convert::FinalBlock;
use quittance_rpc::follow::{self, ChainChecker, FollowError, WrongChain};
use quittance_rpc::proto::node::v1 as node;
use tokio::time::timeout;

use site::*;

#[tokio::test]
async fn blocks_come_in_order_from_where_one_was() {
    let site = Site::new();
    let blocks = chain(&site.genesis, 12);
    let stand_in = StandIn::new(&site.genesis, &blocks);
    let running = site.serve(stand_in, "127.0.0.1:0").await;
    let mut following = site.follow(std::slice::from_ref(&running.target));
    for block in &blocks {
        assert_eq!(next(&mut following).await.as_ref(), Ok(block));
    }
    assert_eq!(following.node_height(), Some(Height(12)));
    assert!(following.has_caught_up(Height(12)) && !following.has_caught_up(Height(11)));
    let checker = ChainChecker::after(&blocks[9].block.header, &site.genesis.validators).unwrap();
    let mut later = follow::follow(&site.nodes(std::slice::from_ref(&running.target)), checker);
    assert_eq!(next(&mut later).await.as_ref(), Ok(&blocks[10]));
    drop((following, later));
    running.stop().await;
}

#[tokio::test]
async fn a_node_that_goes_away_is_followed_on_from_the_same_place() {
    let site = Site::new();
    let blocks = chain(&site.genesis, 9);
    // Breaks every stream after two blocks.
    let mut stand_in = StandIn::new(&site.genesis, &blocks[..5]);
    stand_in.breaks_after = 2;
    let asked = stand_in.asked.clone();
    let address = format!("127.0.0.1:{}", quittance_rpc::ports::free_range(1).unwrap());
    let running = site.serve(stand_in, &address).await;
    let mut following = site.follow(std::slice::from_ref(&running.target));
    for block in &blocks[..5] {
        assert_eq!(next(&mut following).await.as_ref(), Ok(block));
    }
    assert_eq!(*asked.lock().unwrap(), [1, 3, 5]);
    // The whole process goes, and comes back with more.
    running.stop().await;
    let waiting = timeout(Duration::from_millis(300), following.next()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    let stand_in = StandIn::new(&site.genesis, &blocks);
    let asked = stand_in.asked.clone();
    let _running = site.serve(stand_in, &address).await;
    for block in &blocks[5..] {
        assert_eq!(next(&mut following).await.as_ref(), Ok(block));
    }
    assert_eq!(*asked.lock().unwrap(), [6]);
    assert!(following.has_caught_up(Height(9)));
}

#[tokio::test]
async fn a_node_that_has_lost_blocks_is_not_followed() {
    let site = Site::new();
    let blocks = chain(&site.genesis, 9);
    let running = site.serve(StandIn::new(&site.genesis, &blocks[..5]), "127.0.0.1:0").await;
    let mut following = site.follow(std::slice::from_ref(&running.target));
    for block in &blocks[..5] {
        assert_eq!(next(&mut following).await.as_ref(), Ok(block));
    }
    let address = running.target.address.clone();
    running.stop().await;
    // An older copy, on which the validator goes on: no block of it is even asked for.
    let older = StandIn::new(&site.genesis, &blocks[..3]);
    let (asked, grows) = (older.asked.clone(), older.blocks.clone());
    let running = site.serve(older, &address).await;
    let waiting = timeout(Duration::from_secs(1), following.next()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    assert!(asked.lock().unwrap().is_empty());
    // When it has as many blocks again, they are not the same.
    let other = block(&Tip::after(&blocks[2].block.header), &site.genesis, 7);
    let onto = block(&Tip::after(&other.header), &site.genesis, 7);
    let last = block(&Tip::after(&onto.header), &site.genesis, 7);
    let fork = [other, onto, last].map(|block| certify(block, &site.genesis, &vote_key(1)));
    grows.lock().unwrap().extend(fork.iter().map(node::BlocksResponse::from));
    let wrong = next(&mut following).await;
    assert!(
        matches!(wrong, Err(FollowError::Wrong { wrong: WrongChain::Header { .. }, .. })),
        "{wrong:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn another_chain_is_refused() {
    let site = Site::new();
    let other = genesis("another");
    // By what the node says.
    let (good, wrong) = site.wrong(StandIn::new(&other, &chain(&other, 3))).await;
    let (expected, found) = (site.genesis.chain_id(), other.chain_id());
    assert_eq!((good, wrong), (0, WrongChain::Chain { expected, found }));
    // By its blocks, when it claims to be of our chain.
    let (good, wrong) = site.wrong(StandIn::new(&site.genesis, &chain(&other, 3))).await;
    let reason = HeaderError::Chain { expected, found };
    assert_eq!((good, wrong), (0, WrongChain::Header { after: Height(0), reason }));
}

#[tokio::test]
async fn gaps_and_forks_are_refused() {
    let site = Site::new();
    let mut gap = chain(&site.genesis, 4);
    gap.remove(2);
    let (good, wrong) = site.wrong(StandIn::new(&site.genesis, &gap)).await;
    let reason = HeaderError::Height { expected: Height(3), found: Height(4) };
    assert_eq!((good, wrong), (2, WrongChain::Header { after: Height(2), reason }));
    // A certified block on another parent of the same height.
    let mut fork = chain(&site.genesis, 3);
    let before = Tip::after(&fork[0].block.header);
    let other = block(&before, &site.genesis, 7);
    let (expected, found) = (fork[1].block.id(), other.id());
    let onto = block(&Tip::after(&other.header), &site.genesis, 0);
    fork[2] = certify(onto, &site.genesis, &vote_key(1));
    let (good, wrong) = site.wrong(StandIn::new(&site.genesis, &fork)).await;
    let reason = HeaderError::Parent { expected, found };
    assert_eq!((good, wrong), (2, WrongChain::Header { after: Height(2), reason }));
}

#[tokio::test]
async fn forged_certificates_are_refused() {
    let site = Site::new();
    let good_chain = chain(&site.genesis, 2);
    let with = |last: FinalBlock| StandIn::new(&site.genesis, &[good_chain[0].clone(), last]);
    // Signed by somebody else.
    let forged = certify(good_chain[1].block.clone(), &site.genesis, &vote_key(2));
    let (good, wrong) = site.wrong(with(forged)).await;
    let is_signature =
        matches!(wrong, WrongChain::Certificate { reason: CertificateError::Signature { .. }, .. });
    assert!(good == 1 && is_signature, "{good} {wrong}");
    // Signed by nobody.
    let mut unsigned = good_chain[1].clone();
    unsigned.certificate.signatures.clear();
    let (_, wrong) = site.wrong(with(unsigned)).await;
    let reason = CertificateError::NoQuorum { found: 0, total: 1 };
    assert_eq!(wrong, WrongChain::Certificate { height: Height(2), reason });
    // The good certificate of the block before.
    let mut other = good_chain[1].clone();
    other.certificate = good_chain[0].certificate.clone();
    assert_eq!(site.wrong(with(other)).await.1, WrongChain::OtherBlock(Height(2)));
    // Good for its header, which is of other transactions.
    let mut changed = good_chain[1].clone();
    let opening = RoundOpen {
        salt: [0; 16],
        opener: "COORZZ01".parse().unwrap(),
        key_fingerprint: Digest([1; 32]),
        asset: "EUR".parse().unwrap(),
        program: Digest([2; 32]),
        committee: CommitteeId(1),
        minimum_roster: 2,
        attempts: 1,
        join_until: Height(10),
        deadline: Height(20),
    };
    let (chain, expiry) = (site.genesis.chain_id(), Height(5));
    let body = Body { suite: SUITE, chain, expiry, action: Action::RoundOpen(opening) };
    changed.block.transactions.push(Transaction::new(body, vec![], vec![]));
    assert_eq!(site.wrong(with(changed)).await.1, WrongChain::Transactions(Height(2)));
}

#[tokio::test]
async fn bytes_that_do_not_decode_are_refused() {
    let site = Site::new();
    let stand_in = StandIn::new(&site.genesis, &chain(&site.genesis, 2));
    stand_in.blocks.lock().unwrap()[1].block.push(0);
    let (good, wrong) = site.wrong(stand_in).await;
    assert!(
        matches!(&wrong, WrongChain::Malformed { after: Height(1), reason } if reason.field == "block")
    );
    assert_eq!(good, 1);
}

#[tokio::test]
async fn nobody_is_called_once_it_is_dropped() {
    let site = Site::new();
    let mut stand_in = StandIn::new(&site.genesis, &chain(&site.genesis, 2));
    stand_in.breaks_after = 0;
    let asked = stand_in.asked.clone();
    let running = site.serve(stand_in, "127.0.0.1:0").await;
    let following = site.follow(std::slice::from_ref(&running.target));
    while asked.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(following);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = asked.lock().unwrap().len();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(asked.lock().unwrap().len(), before);
}
