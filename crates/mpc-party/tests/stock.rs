//! Preprocessing that parties make ahead of rounds, over TLS, and what they do with it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::gridlock::*;
use common::*;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::field::Fr;
use quittance_crypto::signature::Purpose;
use quittance_mpc::Parties;
use quittance_mpc::session::Binding;
use quittance_rpc::identity::{Process, ProcessName};
use quittance_rpc::metrics;
use quittance_rpc::proto::party::v1::{PrepareRequest, PrepareResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tonic::{Code, Status};

/// Metrics are those of this program, with three parties in it.
static ALONE: Mutex<()> = Mutex::const_new(());

/// The value of a counter, with its labels as Prometheus writes them.
async fn count(name: &str) -> u64 {
    let who = ProcessName { institution: id(PARTIES[0]), process: Process::Party };
    let endpoint = metrics::serve("127.0.0.1:0".parse().unwrap(), who, "test").await.unwrap();
    let mut stream = TcpStream::connect(endpoint.address()).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

async fn burnt(reason: &str) -> u64 {
    count(&format!("quittance_party_stock_burnt_total{{reason=\"{reason}\"}}")).await
}

/// The name of the committee.
fn name(world: &World) -> Digest {
    let key = |party: &str| world.rings[&id(party)].signing(Purpose::Round);
    let keys = PARTIES.iter().map(|party| key(party).verifying_key().fingerprint());
    let [round, circuit, roster, dealings] = [Digest::ZERO; 4];
    let (chain, committee) = (world.chain.book.chain().0, keys.collect());
    let active = Parties::new(3, 1).unwrap().first_active();
    let threshold = 1;
    Binding { chain, round, attempt: 0, circuit, roster, dealings, committee, threshold, active }
        .setting()
}

/// What a party says to a proposal that `caller` makes.
async fn propose(
    world: &World,
    caller: ProcessName,
    party: &str,
    request: PrepareRequest,
) -> Result<PrepareResponse, Status> {
    Ok(world.client(caller, party).prepare(request).await?.into_inner())
}

fn party(name: &str) -> ProcessName {
    ProcessName { institution: id(name), process: Process::Party }
}

fn request(world: &World, number: u64) -> PrepareRequest {
    PrepareRequest { committee: name(world).to_bytes(), number, comparisons: 40, bits: 1000 }
}

/// Waits until all have as many batches as they want.
async fn full(world: &World, parties: &[&str]) {
    for name in parties {
        for attempt in 0.. {
            let answer = propose(world, party(PARTIES[0]), name, request(world, 0)).await.unwrap();
            assert!(!answer.accepted);
            if answer.reason == "there are enough batches" {
                break;
            }
            assert!(attempt < 600, "{name}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A round of these banks, with right results; when it is over their accounts are free again.
async fn round(world: &mut World, banks: &[Bank]) {
    let round = world.open();
    world.join(round, banks);
    let dealings = world.deal_all(round, banks).await;
    let start = world.start(round, banks, &dealings);
    world.coordinator.broadcast(&signed(world, &start)).await;
    for (bank, (settled, inflow, _)) in banks.iter().zip(in_clear(banks)) {
        let result = world.result(bank, &start, banks).await;
        assert_eq!((result.settled, Fr::from(result.inflow)), (settled, inflow));
    }
    let deadline = world.chain.book.round(&round).unwrap().terms.deadline;
    while world.chain.tip.height() <= deadline {
        world.include(vec![]);
    }
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_use_what_is_stored_and_more_is_made() {
    let _alone = ALONE.lock().await;
    count("quittance_party_stock_made_total").await;
    let mut world = World::stocked(4, &PARTIES, &[2; 3]).await;
    let banks = gridlock(&mut world);
    world.fund(&banks);
    full(&world, &PARTIES).await;
    let (made, used) = (
        count("quittance_party_stock_made_total").await,
        count("quittance_party_stock_used_total").await,
    );
    round(&mut world, &banks).await;
    assert_eq!(count("quittance_party_stock_used_total").await, used + 3);
    full(&world, &PARTIES).await;
    assert_eq!(count("quittance_party_stock_made_total").await, made + 3);
    // Batches outlive the processes.
    for name in PARTIES {
        world.restart_party(name).await;
    }
    round(&mut world, &banks).await;
    assert_eq!(count("quittance_party_stock_used_total").await, used + 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_stock_is_burnt_and_the_round_completes() {
    let _alone = ALONE.lock().await;
    count("quittance_party_stock_made_total").await;
    let mut world = World::stocked(4, &PARTIES, &[2; 3]).await;
    let banks = gridlock(&mut world);
    world.fund(&banks);
    full(&world, &PARTIES).await;
    let (stock, backup) = (world.path(PARTIES[1]).join("stock"), world.path("backup"));
    world.stop_party(PARTIES[1]).await;
    copy(&stock, &backup);
    world.start_party(PARTIES[1]).await;
    let before = (count("quittance_party_stock_used_total").await, burnt("restored").await);
    round(&mut world, &banks).await;
    assert_eq!(count("quittance_party_stock_used_total").await, before.0 + 3);

    world.stop_party(PARTIES[1]).await;
    copy(&backup, &stock);
    world.start_party(PARTIES[1]).await;
    round(&mut world, &banks).await;
    assert_eq!(burnt("restored").await, before.1 + 1);
    // New ones are made, and used.
    full(&world, &PARTIES).await;
    let used = count("quittance_party_stock_used_total").await;
    round(&mut world, &banks).await;
    assert_eq!(count("quittance_party_stock_used_total").await, used + 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_without_a_stock_or_with_an_empty_one_computes_with_the_others() {
    let _alone = ALONE.lock().await;
    count("quittance_party_stock_made_total").await;
    let mut world = World::stocked(4, &PARTIES, &[2; 3]).await;
    let banks = gridlock(&mut world);
    world.fund(&banks);
    full(&world, &PARTIES).await;
    let used = count("quittance_party_stock_used_total").await;
    // One loses its folder, and batches that only two have are of no use.
    world.stop_party(PARTIES[2]).await;
    std::fs::remove_dir_all(world.path(PARTIES[2]).join("stock")).unwrap();
    world.start_party(PARTIES[2]).await;
    let not_common = burnt("not_common").await;
    round(&mut world, &banks).await;
    assert_eq!(count("quittance_party_stock_used_total").await, used);
    assert_eq!(burnt("not_common").await, not_common + 4);
    full(&world, &PARTIES).await;

    let mut other = World::stocked(4, &PARTIES, &[1, 0, 1]).await;
    let banks = gridlock(&mut other);
    other.fund(&banks);
    round(&mut other, &banks).await;
    let off = propose(&other, party(PARTIES[0]), PARTIES[1], request(&other, 1)).await;
    assert_eq!(off.unwrap_err().code(), Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proposals_are_refused_that_are_repeated_too_large_or_anothers() {
    let _alone = ALONE.lock().await;
    // Party 1 keeps none and proposes none: it is played by the test.
    let world = World::stocked(2, &PARTIES, &[0, 1, 1]).await;
    let [first, second, third] = PARTIES;
    let refused = |answer: Result<PrepareResponse, Status>| {
        let answer = answer.unwrap();
        assert!(!answer.accepted);
        answer.reason
    };
    let agent = ProcessName { institution: bank(1), process: Process::Agent };
    for caller in [party(third), party(second), agent] {
        let answer = propose(&world, caller, second, request(&world, 1)).await;
        assert_eq!(answer.unwrap_err().code(), Code::PermissionDenied, "{caller}");
    }
    let other = PrepareRequest { committee: Digest::ZERO.to_bytes(), ..request(&world, 1) };
    let answer = propose(&world, party(first), second, other).await.unwrap_err();
    assert_eq!(answer.code(), Code::FailedPrecondition);
    let none = PrepareRequest { committee: vec![], ..request(&world, 1) };
    let answer = propose(&world, party(first), second, none).await.unwrap_err();
    assert_eq!(answer.code(), Code::InvalidArgument);
    for number in [0, 1 + (1 << 32), u64::MAX] {
        let answer = propose(&world, party(first), second, request(&world, number)).await;
        assert!(refused(answer).starts_with("the number is given"), "{number}");
    }
    for (comparisons, bits) in [(41, 1000), (40, 1001), (0, 0), (u32::MAX, u32::MAX)] {
        let large = PrepareRequest { comparisons, bits, ..request(&world, 1) };
        let answer = propose(&world, party(first), second, large).await;
        assert!(refused(answer).starts_with("batches are smaller here"));
    }
    // A good one is followed, once and one at a time. It cannot succeed without party 1.
    let good = propose(&world, party(first), second, request(&world, 7)).await.unwrap();
    assert!(good.accepted);
    let again = propose(&world, party(first), second, request(&world, 7)).await.unwrap();
    assert_eq!((again.accepted, again.highest), (false, 7));
    let next = propose(&world, party(first), second, request(&world, 8)).await;
    assert_eq!(refused(next), "a batch is being made");
}
