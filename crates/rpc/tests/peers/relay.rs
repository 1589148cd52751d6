//! A stranger between two validators who has the certificates of both their nodes, but no key that
//! votes: it answers A as B, and calls B as A.

use quittance_rpc::config::Target;
use quittance_rpc::identity::Process;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, sleep, timeout};

use crate::common::{loopback, process};
use crate::strangers::{Caller, town};
use crate::town::{LONG, id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_both_certificates_cannot_stand_between() {
    let mut town = town().await;
    let (between, mut connections) = town.bind(1, loopback()).await;
    let target = Target {
        address: between.address().to_string(),
        identity: process(id(1).as_str(), Process::Node),
    };
    let real = town.targets.insert(id(1), target).unwrap();
    tokio::spawn(between.serve(std::future::pending()));
    // The real A finds C, and the stranger in the place of B.
    let (at, own_connections) = town.bind(0, loopback()).await;
    let a = town.house(0, at, own_connections);
    town.targets.insert(id(1), real);
    for _ in 0..3 {
        let mut from_a = timeout(LONG, connections.next()).await.unwrap().unwrap();
        let mut to_b = Caller::node(&town, 0).await;
        let (kind, hello) = to_b.read().await.unwrap();
        assert_eq!(kind, 1, "B takes it for the process of A, and says its hello");
        let unit = [&[kind], &(hello.len() as u32).to_be_bytes()[..], &hello].concat();
        from_a.write_all(&unit).await.unwrap();
        from_a.flush().await.unwrap();
        let answer = timeout(LONG, from_a.read_u8()).await.unwrap();
        assert!(answer.is_err(), "A says nothing to whom B's hello was not made for: {answer:?}");
    }
    let with_c = async {
        while a.peers.connected() != 1 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, with_c).await.expect("A and C are connected");
    assert_eq!(town.houses[0].peers.connected(), 1, "B has C and nobody else");
}
