//! Everything takes 200 ms from one validator to another.

use std::time::Duration;

use quittance_ledger::ids::Height;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::top;
use crate::town::Town;

const DELAY: Duration = Duration::from_millis(200);

/// A way to `to` on which everything takes so long in each direction.
async fn slow_way(to: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(&to).await else { continue };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_in, far_out));
            tokio::spawn(carry(far_in, near_out));
        }
    });
    address
}

/// Carries what comes in, each piece as late as the next.
async fn carry(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf) {
    let (sender, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    tokio::spawn(async move {
        while let Some((when, piece)) = under_way.recv().await {
            sleep_until(when).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let late = (Instant::now() + DELAY, piece[..length].to_vec());
        if sender.send(late).await.is_err() {
            return;
        }
    }
}

/// Blocks are decided in the first round all the same: nobody loses patience.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_delay_of_200_milliseconds_blocks_are_decided_in_the_first_round() {
    let mut town = Town::furnished(4);
    for at in 0..4 {
        let mut ways = vec![];
        for to in 0..4 {
            ways.push(slow_way(town.address(to).to_owned()).await);
        }
        town.direct(at, |to| ways[to].clone());
    }
    (0..4).for_each(|at| town.start(at));
    town.settle(0, 2).await;
    let first = top(&town).await;
    for at in 0..4 {
        town.settle(at, 1).await;
    }
    let last = top(&town).await;
    let blocks = town.blocks(0, Height(first.0 + 1), last).await;
    for block in &blocks {
        let (height, round) = (block.certificate.height, block.certificate.round);
        assert!(round <= 1, "height {height} was decided in round {round}");
    }
    let at_once = blocks.iter().filter(|block| block.certificate.round == 0).count();
    assert!(2 * at_once > blocks.len(), "{at_once} of {} in the first round", blocks.len());
    town.compare().await;
}
