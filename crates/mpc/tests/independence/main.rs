//! What t parties see is distributed alike for different inputs, as far as a test can tell: a smoke
//! test, with a leak that it must find. The argument is in `docs/protocols/mpc.md`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../committee/mod.rs"]
mod committee;
mod view;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use quittance_circuit::{Fr, Owner};
use quittance_mpc::memory::Network;
use quittance_mpc::session::Abort;
use quittance_mpc::{Engine, LessThan, OneHot, Share, split};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use committee::Committee;
use view::Seen;

type Party = Pin<Box<dyn Future<Output = Result<(), Abort>> + Send>>;

/// A small computation, and two lists of inputs for which everything that becomes public is alike.
struct Circuit {
    name: &'static str,
    inputs: [Vec<Fr>; 2],
    run: fn(Engine, Vec<Share>) -> Party,
}

fn circuit(
    name: &'static str,
    inputs: [&[i64]; 2],
    run: fn(Engine, Vec<Share>) -> Party,
) -> Circuit {
    let inputs = inputs.map(|inputs| inputs.iter().map(|&input| Fr::from(input)).collect());
    Circuit { name, inputs, run }
}

fn circuits() -> Vec<Circuit> {
    vec![
        circuit("product", [&[2, 3], &[1, 6]], |mut engine, shares| {
            Box::pin(async move {
                let product = engine.multiply(&[(&shares[0], &shares[1])]).await?;
                engine.open(&[&product[0]]).await.map(drop)
            })
        }),
        circuit("comparison", [&[0, 255], &[254, 255]], |mut engine, shares| {
            Box::pin(async move {
                let (left, right) = (&shares[0], &shares[1]);
                let less = engine.less_than(&[LessThan { left, right, bits: 8 }]).await?;
                engine.open(&[&less[0]]).await.map(drop)
            })
        }),
        circuit("comparison, not opened", [&[0, 255], &[255, 0]], |mut engine, shares| {
            Box::pin(async move {
                let (left, right) = (&shares[0], &shares[1]);
                engine.less_than(&[LessThan { left, right, bits: 8 }]).await?;
                engine.check().await
            })
        }),
        circuit("equality", [&[1], &[255]], |mut engine, shares| {
            Box::pin(async move {
                let equal = engine.is_zero(&[(&shares[0], Some(8))]).await?;
                engine.open(&[&equal[0]]).await.map(drop)
            })
        }),
        circuit("test for zero in public", [&[1], &[255]], |mut engine, shares| {
            Box::pin(async move { engine.are_zero(&[&shares[0]]).await.map(drop) })
        }),
        circuit("one-hot check", [&[1, 0, 10], &[0, 1, 11]], |mut engine, shares| {
            Box::pin(async move {
                let (index, entries) = shares.split_last().unwrap();
                let vector = OneHot { entries: entries.iter().collect(), index };
                let labels = [10u64, 11].map(Fr::from);
                let sound = engine.one_hot(&[(Owner(0), vec![vector])], &labels).await?;
                assert_eq!(sound, [true]);
                Ok(())
            })
        }),
        circuit("opening", [&[2, 4], &[1, 5]], |mut engine, shares| {
            Box::pin(async move { engine.open(&[&(&shares[0] + &shares[1])]).await.map(drop) })
        }),
        circuit("commitments to outputs", [&[5, -5], &[9, -9]], |mut engine, shares| {
            Box::pin(
                async move { engine.commit(&[(&shares[0], 0), (&shares[1], 0)]).await.map(drop) },
            )
        }),
    ]
}

/// What the committee sees in so many runs, each on fresh randomness, for each list of inputs.
fn observe(circuit: &Circuit, committee: &Committee, runs: u64) -> Seen {
    let parties = committee.parties;
    let binding = committee.binding();
    let mut seen = Seen::new(parties);
    for (which, inputs) in circuit.inputs.iter().enumerate() {
        for run in 0..runs {
            // Never the same randomness for both.
            let seed = 2 * run + which as u64;
            let mut rng = ChaCha20Rng::seed_from_u64(!seed);
            let mut shares = vec![vec![]; parties.count()];
            for input in inputs {
                let split = split(*input, parties, &mut rng);
                shares.iter_mut().zip(split).for_each(|(shares, share)| shares.push(share));
            }
            let (own, run) = (Arc::new(shares), circuit.run);
            let all = Arc::clone(&own);
            let network = Network::of_engines(&binding, seed, move |engine| {
                let shares = own[engine.me().position()].clone();
                run(engine, shares)
            });
            let outcome = network.unwrap().recording().run();
            assert!(outcome.results.iter().all(Result::is_ok), "{:?}", outcome.results);
            seen.add(which, &outcome.views, &all);
        }
    }
    seen
}

/// No circuit shows anything to any t parties; prints the largest deviations.
fn check(committee: &Committee, runs: u64) {
    for circuit in circuits() {
        let seen = observe(&circuit, committee, runs);
        let (deviation, place) = seen.largest();
        println!(
            "{}, {} parties, twice {runs} runs: {} distributions, {deviation:.1} at {place}",
            circuit.name,
            committee.parties.count(),
            seen.len()
        );
        assert!(
            seen.len() > 30 && deviation < view::LIMIT,
            "{}: {deviation} {place}",
            circuit.name
        );
    }
}

#[test]
fn what_one_of_three_parties_sees_does_not_depend_on_inputs() {
    check(&Committee::new(3, 1), 300);
}

#[test]
fn what_two_of_five_parties_see_does_not_depend_on_inputs() {
    check(&Committee::new(5, 2), 120);
}

#[test]
#[ignore = "160,000 runs: minutes"]
fn what_one_of_three_parties_sees_in_ten_thousand_runs_does_not_depend_on_inputs() {
    check(&Committee::new(3, 1), 10_000);
}

#[test]
#[ignore = "32,000 runs, seen by ten coalitions: many minutes"]
fn what_two_of_five_parties_see_in_two_thousand_runs_does_not_depend_on_inputs() {
    check(&Committee::new(5, 2), 2_000);
}

/// The test of the test: an amount under a mask of its own length, and one under the same mask as
/// another, which is then opened.
#[test]
fn leaks_are_found() {
    let short = circuit("short mask", [&[0], &[128]], |mut engine, shares| {
        Box::pin(async move {
            let bits = engine.random_bits(8).await?;
            let mut sum = shares[0].clone();
            for (place, bit) in bits.iter().enumerate() {
                sum += &(bit * Fr::from(1u64 << place));
            }
            engine.open(&[&sum]).await.map(drop)
        })
    });
    let twice = circuit("mask used twice", [&[3, 5], &[3, 6]], |mut engine, shares| {
        Box::pin(async move {
            let mask = engine.random(1);
            let sums = [&shares[0] + &mask[0], &shares[1] + &mask[0]];
            engine.open(&[&sums[0], &sums[1]]).await.map(drop)
        })
    });
    for circuit in [short, twice] {
        for committee in [Committee::new(3, 1), Committee::new(5, 2)] {
            let (deviation, place) = observe(&circuit, &committee, 120).largest();
            println!("{}: {deviation:.1} at {place}", circuit.name);
            assert!(deviation > view::LIMIT, "{}: {deviation} {place}", circuit.name);
        }
    }
}
