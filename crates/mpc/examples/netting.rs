//! Measures netting on shares: three parties in one thread. Times of a party include its waiting
//! for the others.
//!
//! `cargo run --release -p quittance-mpc --example netting -- [banks] [payments]`

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use quittance_circuit::{Owner, Part, Program};
use quittance_circuit_library::netting::{Bank, Netting};
use quittance_crypto::commitment::{Blinding, commit_scalar};
use quittance_crypto::digest::Digest;
use quittance_crypto::field::to_scalar;
use quittance_mpc::memory::Network;
use quittance_mpc::session::Binding;
use quittance_mpc::vss::deal;
use quittance_mpc::{Inputs, Parties, Shared};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let banks = arguments.next().transpose()?.unwrap_or(10);
    let payments = arguments.next().transpose()?.unwrap_or(100);
    let parties = Parties::new(3, 1)?;
    let mut rng = ChaCha20Rng::seed_from_u64(7);

    let (netting, inputs) = gridlock(banks, payments, &mut rng)?;
    let inputs = netting.inputs(&inputs)?;
    let program = netting.until_settled()?;
    let clear = program.run_in_clear(inputs.clone())?;

    let dealt = Instant::now();
    let mut verifying = std::time::Duration::ZERO;
    let mut shares: Vec<_> = parties.ids().map(|_| Inputs::new()).collect();
    for (owner, values) in inputs.iter().enumerate() {
        let owner = Owner(owner as u16);
        let secrets: Vec<_> =
            values.iter().map(|value| (*value, Blinding::random(&mut rng))).collect();
        let commitments: Vec<_> = secrets
            .iter()
            .map(|(value, r)| Some(commit_scalar(&to_scalar(value), r.as_scalar())))
            .collect();
        let (dealing, dealt) = deal(parties, &secrets, &mut rng);
        let start = Instant::now();
        for ((me, inputs), dealt) in parties.ids().zip(&mut shares).zip(&dealt) {
            inputs.set(owner, dealing.verify(owner, parties, me, &commitments, dealt, &mut rng)?);
        }
        verifying += start.elapsed();
    }
    println!("{banks} banks, {payments} payments, {} steps", clear.steps);
    println!("dealing and verifying, all together: {:.1?}", dealt.elapsed());
    println!("verifying, each party: {:.1?}", verifying / 3);
    run(parties, program, shares, clear.steps)
}

fn run(parties: Parties, program: Program, shares: Vec<Inputs>, steps: u32) -> Result<()> {
    let name = |text| Digest::of(text, &[]);
    let binding = Binding {
        chain: name("chain"),
        round: name("round"),
        attempt: 0,
        circuit: program.fingerprint(),
        roster: name("roster"),
        dealings: name("dealings"),
        committee: parties.ids().map(|id| Digest([id.number(); 32])).collect(),
        threshold: parties.threshold() as u8,
    };
    let gates = program.part(Part::Step).gates().len();
    let (program, shares) = (Arc::new(program), Arc::new(shares));
    let network = Network::of_engines(&binding, 1, move |engine| async move {
        let own = shares[engine.me().position()].clone();
        let mut shared = Shared::new(engine, own);
        let start = Instant::now();
        shared.prepare(&program, steps).await?;
        let (prepared, bytes) = (start.elapsed(), shared.engine().traffic().bytes);
        let start = Instant::now();
        let run = shared.run(&program).await?;
        Ok((run.steps, prepared, bytes, start.elapsed()))
    })?;
    let start = Instant::now();
    let outcome = network.run();
    let elapsed = start.elapsed();
    for (party, result) in parties.ids().zip(outcome.results) {
        let (taken, prepared, bytes, online) = result?;
        assert_eq!(taken, steps);
        let megabytes = bytes as f64 / 1e6;
        println!("{party}: random bits {prepared:.1?} ({megabytes:.2} MB), then {online:.1?}");
    }
    let traffic = outcome.traffic[0];
    println!("{gates} gates per step");
    println!("in one thread, waiting included: {elapsed:.1?}, each about {:.1?}", elapsed / 3);
    println!(
        "each party sends {:.2} MB in {} exchanges",
        traffic.bytes as f64 / 1e6,
        traffic.exchanges
    );
    Ok(())
}

/// Queues between random banks, with little liquidity.
fn gridlock(banks: usize, payments: usize, rng: &mut ChaCha20Rng) -> Result<(Netting, Vec<Bank>)> {
    let mut queues = vec![vec![]; banks];
    let mut inputs: Vec<_> = (0..banks).map(|_| Bank { liquidity: 0, amounts: vec![] }).collect();
    for number in 0..payments {
        let payer = number % banks;
        let payee = (payer + 1 + rng.next_u32() as usize % (banks - 1)) % banks;
        let amount = 1 + rng.next_u64() % 1_000_000;
        queues[payer].push(Owner(payee as u16));
        inputs[payer].amounts.push(amount);
        inputs[payer].liquidity += amount / 10;
    }
    Ok((Netting::new(queues)?, inputs))
}
