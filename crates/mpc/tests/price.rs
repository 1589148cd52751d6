//! The price of a circuit is what its evaluation sends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod committee;

use quittance_circuit::price::{Price, Task};
use quittance_circuit::{Builder, Circuit, Destination, Fr, Owner, evaluate};
use quittance_mpc::{Engine, Shared};

use committee::Committee;

const OWNER: Owner = Owner(0);

fn circuits() -> Vec<(Circuit, Vec<Fr>)> {
    let build = |name: &str, inputs: &[u64], define: &dyn Fn(&Builder)| {
        let circuit = Builder::build(name, 1, define).unwrap();
        (circuit, inputs.iter().map(|&value| Fr::from(value)).collect())
    };
    let compare = |bits: u32| {
        build("less-than", &[1, 0], &move |b| {
            b.reveal(b.private(OWNER).uint(bits).less_than(b.private(OWNER).uint(bits)));
        })
    };
    let decompose = |bits: u32| {
        build("decompose", &[1], &move |b| {
            b.reveal(b.private(OWNER).uint(bits).bits()[0]);
        })
    };
    let mut circuits = vec![
        build("products", &[2, 3], &|b| {
            let (left, right) = (b.private(OWNER).field(), b.private(OWNER).field());
            b.reveal(left * right * right);
            b.reveal(b.inner_product([(left, left), (right, right)]));
        }),
        build("is-zero", &[2, 3], &|b| {
            let (left, right) = (b.private(OWNER).field(), b.private(OWNER).uint(9));
            b.reveal(left.is_zero());
            b.reveal(b.sum([right, right]).equals(right));
        }),
        build("assert", &[0], &|b| b.assert_zero(b.private(OWNER).field())),
        build("outputs", &[5], &|b| {
            let value = b.private(OWNER).field();
            b.output(value, Destination::Public);
            b.output(value, Destination::Commitment { owner: OWNER, group: 0 });
            b.output(value, Destination::Commitment { owner: OWNER, group: 0 });
        }),
    ];
    circuits.extend([1, 2, 5, 64, 71, 128].map(compare));
    circuits.extend([1, 2, 5, 64, 71].map(decompose));
    circuits
}

/// Bytes sent by party 1 after the agreement on seeds, without those of checks.
fn measured(committee: &mut Committee, circuit: &Circuit, inputs: Vec<Fr>) -> u64 {
    let circuit = circuit.clone();
    let statement = |_| vec![false; inputs.len()];
    let results =
        committee.run(std::slice::from_ref(&inputs), statement, |mut shared: Shared| async move {
            shared.check_inputs(&circuit).await?;
            let sent = |engine: &Engine| engine.traffic().bytes - engine.checking().bytes;
            let before = sent(shared.engine());
            evaluate(&circuit, &mut shared, vec![]).await?;
            Ok(sent(shared.engine()) - before)
        });
    results.unwrap()[0]
}

#[test]
fn what_is_sent_is_the_price() {
    for (parties, threshold) in [(3, 1), (5, 2)] {
        let tariff = quittance_circuit::price::Committee::new(parties, threshold).unwrap();
        let mut committee = Committee::new(parties as usize, threshold as u8);
        for (circuit, inputs) in circuits() {
            let price = Price::of(&circuit, &tariff);
            // The price of a committed output includes what later goes to its owner.
            let count = price.tasks.get(&Task::CommittedOutput).copied().unwrap_or(0);
            let expected = price.cost.bytes - 64 * count;
            let name = circuit.name().to_owned();
            let sent = measured(&mut committee, &circuit, inputs);
            // Bits are packed, but for the last byte of each of at most 12 messages.
            let packed = expected + price.cost.bits.div_ceil(8);
            let room = if price.cost.bits == 0 { 0 } else { 12 };
            assert!((packed..=packed + room).contains(&sent), "{name}: {sent}, not {packed}");
        }
    }
}

#[test]
fn prepared_comparisons_leave_only_the_priced_rounds() {
    let tariff = quittance_circuit::price::Committee::new(3, 1).unwrap();
    let circuit = Builder::build("less-than", 1, |b| {
        let (left, right) = (b.private(OWNER).uint(71), b.private(OWNER).uint(71));
        b.reveal(left.less_than(right));
    })
    .unwrap();
    let rounds = Price::of(&circuit, &tariff).cost.rounds as u32;
    let mut committee = Committee::new(3, 1);
    let inputs = [vec![Fr::from(1u64), Fr::from(2u64)]];
    let results = committee.run(
        &inputs,
        |_| vec![false; 2],
        move |mut shared: Shared| async move {
            shared.check_inputs(&circuit).await?;
            shared.engine().prepare_comparisons(&[(71, 1)]).await?;
            let rounds = |engine: &Engine| engine.traffic().exchanges - engine.checking().exchanges;
            let before = rounds(shared.engine());
            let evaluation = evaluate(&circuit, &mut shared, vec![]).await?;
            Ok((evaluation.revealed, rounds(shared.engine()) - before))
        },
    );
    assert_eq!(results.unwrap()[0], (vec![Fr::from(1u64)], rounds));
}
