//! Reading is paid for by the institution at the other end.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::raw::*;
use common::*;
use quittance_rpc::proto::party::v1::{DealRequest, party_client};

/// Pings that were answered in two seconds of a flood on four connections of one institution; and
/// how long the faster of two calls took meanwhile, of another institution and of the same.
async fn pinged(share: Duration) -> (usize, [Duration; 2]) {
    let network = Network::with(|limits| {
        limits.reading_share = share;
        limits.reading_burst = share;
    })
    .await;
    let mut callers = ["BANKDEFF", "EVILXXXX"].map(|id| network.node(id));
    for caller in &mut callers {
        caller.submit(submit(1)).await.unwrap();
    }
    let mut attacks = Vec::new();
    for _ in 0..4 {
        let attacker = attacker(&network).await;
        let flood = std::iter::repeat(frame(PING, 0, 0, &[0; 8]).repeat(500));
        attacks.push(tokio::spawn(attacker.send(flood, Duration::from_secs(2))));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut times = [Duration::MAX; 2];
    for (caller, time) in callers.iter_mut().zip(&mut times) {
        for _ in 0..2 {
            let begin = Instant::now();
            caller.submit(submit(1)).await.unwrap();
            *time = begin.elapsed().min(*time);
        }
    }
    let mut answered = 0;
    for attack in attacks {
        let kinds = attack.await.unwrap().kinds();
        answered += kinds.iter().filter(|kind| **kind == PING).count();
    }
    (answered, times)
}

/// Whoever sends what is dear to read waits on all his connections, and nobody else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_read_as_far_as_its_institution_may() {
    let (few, [other, sibling]) = pinged(Duration::from_millis(2)).await;
    let (many, _) = pinged(Duration::from_secs(10)).await;
    assert!(few > 0 && many > 3 * few, "{few} and {many} pings were answered");
    assert!(sibling > 2 * other, "a sibling waited {sibling:?}, another institution {other:?}");
}

/// A dealing, of a bank that has done nothing before: what it costs to read it fits its budget.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dealing_of_8_mib_is_read_at_once() {
    let network = Network::with(|_| ()).await;
    let channel = network.dialer(agent("BANKDEFF")).connect(network.target()).await.unwrap();
    let mut party = party_client::PartyClient::new(channel);
    let request = DealRequest { dealing: vec![1; (8 << 20) - 64] };
    let begin = Instant::now();
    party.deal(request).await.unwrap();
    let time = begin.elapsed();
    assert!(time < Duration::from_secs(2), "{time:?}");
}
