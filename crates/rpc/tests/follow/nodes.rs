//! Several nodes: one that is away, lags behind or lies is left for the next.

use std::time::Duration;

use quittance_ledger::ids::Height;
use quittance_rpc::client::{ConnectError, Dialer};
use quittance_rpc::follow::{FollowError, Following, WrongChain};
use quittance_rpc::limits::Limits;
use quittance_rpc::nodes::Nodes;
use quittance_rpc::proto::node::v1 as node;
use tokio::time::timeout;

use crate::common::{agent, tls};
use crate::site::*;

async fn expect(following: &mut Following, blocks: &[quittance_rpc::convert::FinalBlock]) {
    for block in blocks {
        assert_eq!(next(following).await.as_ref(), Ok(block));
    }
}

#[tokio::test]
async fn a_node_that_is_away_is_not_needed() {
    let site = Site::new();
    let blocks = chain(&site.genesis, 6);
    let first = site.serve(StandIn::new(&site.genesis, &blocks[..3]), "127.0.0.1:0").await;
    let second = StandIn::new(&site.genesis, &blocks);
    let asked = second.asked.clone();
    let second = site.serve(second, "127.0.0.1:0").await;
    let targets = [site.away(), first.target.clone(), second.target.clone()];
    let mut following = site.follow(&targets);
    expect(&mut following, &blocks[..3]).await;
    assert!(asked.lock().unwrap().is_empty(), "the second is not asked while the first serves");
    first.stop().await;
    expect(&mut following, &blocks[3..]).await;
    assert_eq!(*asked.lock().unwrap(), [4]);
    second.stop().await;
}

/// The stream of the first stays open, and nothing comes.
#[tokio::test]
async fn a_node_that_lags_behind_is_left_for_one_that_has_more() {
    let site = Site::new();
    let blocks = chain(&site.genesis, 6);
    let first = StandIn::new(&site.genesis, &blocks[..3]);
    let first_asked = first.asked.clone();
    let first = site.serve(first, "127.0.0.1:0").await;
    let second = StandIn::new(&site.genesis, &blocks[..3]);
    let grows = second.blocks.clone();
    let second = site.serve(second, "127.0.0.1:0").await;
    let mut following = site.follow(&[first.target.clone(), second.target.clone()]);
    expect(&mut following, &blocks[..3]).await;
    // As long as nobody has more, it is a quiet chain.
    let waiting = timeout(Duration::from_secs(8), following.next()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    assert_eq!(first_asked.lock().unwrap().len(), 1);
    grows.lock().unwrap().extend(blocks[3..].iter().map(node::BlocksResponse::from));
    expect(&mut following, &blocks[3..]).await;
    assert_eq!(following.node_height(), Some(Height(6)));
    drop(following);
    first.stop().await;
    second.stop().await;
}

/// The second claims to have more than there is: it is tried, and left again.
#[tokio::test]
async fn a_node_that_promises_blocks_and_sends_none_is_left() {
    let site = Site::new();
    let blocks = chain(&site.genesis, 4);
    let liar = StandIn::new(&site.genesis, &blocks[..2]);
    let liar = StandIn { promises: 9, ..liar };
    let liar = site.serve(liar, "127.0.0.1:0").await;
    let honest = site.serve(StandIn::new(&site.genesis, &blocks), "127.0.0.1:0").await;
    let mut following = site.follow(&[liar.target.clone(), honest.target.clone()]);
    expect(&mut following, &blocks).await;
    assert!(following.has_caught_up(Height(4)), "{:?}", following.node_height());
    drop(following);
    liar.stop().await;
    honest.stop().await;
}

#[tokio::test]
async fn a_node_that_serves_a_wrong_chain_is_left_alone() {
    let site = Site::new();
    let blocks = chain(&site.genesis, 6);
    let mut forged = blocks[..4].to_vec();
    forged[2].certificate.signatures.clear();
    let liar = StandIn::new(&site.genesis, &forged);
    let liar_asked = liar.asked.clone();
    let liar = site.serve(liar, "127.0.0.1:0").await;
    // Breaks every stream, so that another would be followed if there were one.
    let honest = StandIn { breaks_after: 1, ..StandIn::new(&site.genesis, &blocks) };
    let honest_asked = honest.asked.clone();
    let honest = site.serve(honest, "127.0.0.1:0").await;
    let mut following = site.follow(&[liar.target.clone(), honest.target.clone()]);
    expect(&mut following, &blocks).await;
    assert_eq!(*liar_asked.lock().unwrap(), [1]);
    assert!(honest_asked.lock().unwrap().starts_with(&[3, 4, 5, 6]));
    drop(following);
    liar.stop().await;
    honest.stop().await;
}

#[tokio::test]
async fn following_ends_when_every_node_serves_a_wrong_chain() {
    let site = Site::new();
    let other = genesis("another");
    let first = site.serve(StandIn::new(&other, &chain(&other, 3)), "127.0.0.1:0").await;
    let mut forged = chain(&site.genesis, 2);
    forged[1].certificate.signatures.clear();
    let second = site.serve(StandIn::new(&site.genesis, &forged), "127.0.0.1:0").await;
    let mut following = site.follow(&[first.target.clone(), second.target.clone()]);
    assert_eq!(next(&mut following).await.as_ref(), Ok(&forged[0]));
    let Err(FollowError::Wrong { node, wrong }) = next(&mut following).await else { panic!() };
    assert_eq!(node, second.target);
    assert!(matches!(wrong, WrongChain::Certificate { .. }), "{wrong}");
    assert_eq!(next(&mut following).await, Err(FollowError::Ended));
    first.stop().await;
    second.stop().await;
}

#[test]
fn there_must_be_a_node() {
    let site = Site::new();
    let dialer = Dialer::new(tls(&site.authority, agent("BANKDEFF")), Limits::default());
    assert_eq!(Nodes::new(&dialer, &[]).err(), Some(ConnectError::Nobody));
}
