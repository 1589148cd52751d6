//! Where the time of a round goes. Three parties in this process, over TLS on the loopback.
//!
//! `cargo test --release -p quittance-mpc-party --test measure -- --ignored --nocapture`
#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod common;

use std::time::Instant;

use common::*;
use quittance_crypto::signature::Purpose;
use quittance_round::envelope::Signed;
use quittance_round::message::Instruction;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and takes its time"]
async fn ten_banks_with_twenty_payments_each() {
    measure(10, 20).await;
}

/// Messages of several frames, and a computation of some length.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and takes its time"]
async fn forty_banks_with_fifty_payments_each() {
    measure(40, 50).await;
}

async fn measure(count: usize, payments: usize) {
    let logs = tracing_subscriber::fmt().with_env_filter("quittance_rpc::frames=debug");
    // Already there if another measurement runs in this process.
    let _ = logs.try_init();
    let mut world = World::new(count).await;
    let banks: Vec<_> = (1..=count)
        .map(|number| {
            let payment = |k: usize| {
                let payee = 1 + (number + k % (count - 1)) % count;
                (payee, 1 + (number * 7919 + k * 104_729) as u64 % 1_000_000)
            };
            let queue: Vec<_> = (0..payments).map(payment).collect();
            let total: u64 = queue.iter().map(|(_, amount)| amount).sum();
            world.bank(number, total / 10, &queue)
        })
        .collect();
    let round = world.open_round(&banks);
    let began = Instant::now();
    let dealings = world.deal_all(round, &banks).await;
    let dealt = began.elapsed();
    let start = world.start(round, &banks, &dealings);
    let key = world.rings[&id(COORDINATOR)].signing(Purpose::Round);
    let began = Instant::now();
    let start_message = Instruction::Start(Signed::sign(start.clone(), id(COORDINATOR), key));
    world.coordinator.broadcast(&start_message).await;
    let first = world.result(&banks[0], &start, &banks).await;
    let computed = began.elapsed();
    for bank in &banks[1..] {
        world.result(bank, &start, &banks).await;
    }
    let fetched = began.elapsed() - computed;
    println!("{count} banks with {payments} payments each, {} steps", first.steps);
    println!("dealing, one call after the other, {} calls: {dealt:.1?}", 3 * count);
    println!("start to first bank's checked result: {computed:.1?}");
    println!("slowest party: {} ms, all sent {} bytes", first.milliseconds, first.bytes_sent);
    println!("results of the other banks, one after the other: {fetched:.1?}");
}
