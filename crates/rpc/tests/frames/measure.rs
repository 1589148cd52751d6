//! What an exchange takes.
//!
//! `cargo test --release -p quittance-rpc --test frames measure -- --ignored --nocapture`

use std::time::{Duration, Instant};

use quittance_circuit::{Builder, Circuit, Destination, Owner};
use quittance_mpc::session::{Binding, Machine};
use quittance_mpc::{Engine, Shared};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::committee::*;

/// Products that wait for each other.
fn chain(length: usize) -> Circuit {
    Builder::build("chain", 2, |b| {
        let [mut product, factor] = [0, 1].map(|owner| b.private(Owner(owner)).field());
        for _ in 0..length {
            product = product * factor;
        }
        b.output(product, Destination::Public);
    })
    .unwrap()
}

async fn chained(parties: &[Party], round: u8, length: usize) -> Duration {
    let circuit = chain(length);
    let binding = Binding { circuit: circuit.fingerprint(), ..binding(round) };
    let runs: Vec<_> = parties
        .iter()
        .enumerate()
        .map(|(me, party)| {
            let (circuit, frames) = (circuit.clone(), party.frames.clone());
            let entropy = ChaCha20Rng::seed_from_u64(100 + me as u64);
            let inputs = inputs([1, 3]).swap_remove(me);
            let machine = Machine::new(&binding, me as u8 + 1, |session| async move {
                let engine = Engine::start(session, entropy).await?;
                let results = Shared::new(engine, inputs).evaluate(&circuit).await?;
                Ok(results.outputs.len())
            });
            let assignment = assignment(&binding, LONG);
            tokio::spawn(async move { frames.drive(machine.unwrap(), assignment).await })
        })
        .collect();
    let began = Instant::now();
    for run in runs {
        run.await.unwrap().unwrap();
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and takes its time"]
async fn products_that_wait_for_each_other() {
    let mut committee = Committee::bind().await;
    let parties = committee.run(3);
    for round in 0..6 {
        let (short, long) =
            (chained(&parties, 2 * round, 100).await, chained(&parties, 2 * round + 1, 1100).await);
        println!("1,000 products, one after the other: {:.1?} each", (long - short) / 1000);
    }
}
