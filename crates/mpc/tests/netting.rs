//! Netting on shares gives what netting in the clear gives.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod committee;

use proptest::prelude::*;
use quittance_circuit::{Fr, Owner, Part};
use quittance_circuit_library::netting::{Bank, Netting};
use quittance_mpc::{Output, Shared};

use committee::Committee;

/// By bank: liquidity, and its queue of (payee, amount).
type Case = Vec<(u64, Vec<(u16, u64)>)>;

fn check(case: &Case, committee: &mut Committee) {
    let payees = |(_, queue): &(u64, Vec<(u16, u64)>)| {
        queue.iter().map(|&(to, _)| Owner(to)).collect::<Vec<_>>()
    };
    let netting = Netting::new(case.iter().map(payees).collect()).unwrap();
    let bank = |(liquidity, queue): &(u64, Vec<(u16, u64)>)| Bank {
        liquidity: *liquidity,
        amounts: queue.iter().map(|&(_, amount)| amount).collect(),
    };
    let inputs = netting.inputs(&case.iter().map(bank).collect::<Vec<_>>()).unwrap();
    let program = netting.until_settled().unwrap();
    let clear = program.run_in_clear(inputs.clone()).unwrap();

    let start = program.part(Part::Start);
    let statement = |owner| start.inputs_of(owner).map(|(committed, _)| committed).collect();
    let shared = program.clone();
    let runs = committee.run(&inputs, statement, move |mut interpreter: Shared| async move {
        interpreter.run(&shared).await
    });
    let runs = runs.unwrap();
    assert!(runs.iter().all(|run| run.steps == clear.steps));
    let outputs: Vec<Vec<Output>> = runs.into_iter().map(|run| run.outputs).collect();
    assert_eq!(committee.combine(&outputs), clear.outputs, "{case:?}");
    check_nets(&outputs[0]);
}

/// Everybody sees that the nets sum to zero: their commitments sum to the identity.
fn check_nets(outputs: &[Output]) {
    let nets = outputs.iter().filter_map(|output| match output {
        Output::Committed { public, .. } => Some(public.commitment().point()),
        _ => None,
    });
    assert!(nets.sum::<quittance_crypto::group::Point>().is_identity());
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..6u64, 2 => 0..1000u64, 1 => any::<u64>(), 1 => u64::MAX - 2..=u64::MAX]
}

fn case() -> impl Strategy<Value = Case> {
    (2..=4u16).prop_flat_map(|banks| {
        let payment = (1..banks, amount());
        let bank = (prop_oneof![3 => Just(0), 5 => amount()], prop::collection::vec(payment, 0..4));
        prop::collection::vec(bank, usize::from(banks)).prop_map(move |mut case: Case| {
            // The strategy gives a distance, so that nobody pays itself.
            for (payer, (_, queue)) in case.iter_mut().enumerate() {
                queue.iter_mut().for_each(|(to, _)| *to = (*to + payer as u16) % banks);
            }
            case
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn shares_give_what_the_clear_gives(case in case(), seed in any::<u64>()) {
        let mut committee = Committee::new(3, 1);
        committee.seed = seed >> 1;
        check(&case, &mut committee);
    }
}

#[test]
fn five_parties_give_the_same() {
    let max = u64::MAX;
    let cases: [Case; 4] = [
        // A cycle without liquidity.
        vec![(0, vec![(1, 5), (2, 1)]), (0, vec![(2, 5)]), (0, vec![(0, 5)])],
        // Maximal amounts, an exact tie, one payer with everything.
        vec![(max, vec![(1, max), (1, max)]), (0, vec![(0, max)])],
        vec![(10, vec![(1, 4), (2, 6), (1, 0), (2, 1)]), (0, vec![]), (0, vec![])],
        // Nothing at all.
        vec![(0, vec![]), (7, vec![])],
    ];
    let mut committee = Committee::new(5, 2);
    for case in &cases {
        check(case, &mut committee);
    }
}

#[test]
fn a_fixed_number_of_steps_gives_the_result_or_nothing() {
    let queues = vec![vec![Owner(1)], vec![Owner(2)], vec![]];
    let netting = Netting::new(queues).unwrap();
    let amounts = [vec![3], vec![2], vec![]];
    let banks = amounts.map(|amounts| Bank { liquidity: 0, amounts });
    let inputs = netting.inputs(&banks).unwrap();
    let mut committee = Committee::new(3, 1);
    for steps in 1..=3 {
        let program = netting.in_fixed_steps(steps).unwrap();
        let clear = program.run_in_clear(inputs.clone()).unwrap();
        let statement = |owner: Owner| vec![true; inputs[usize::from(owner.0)].len()];
        let runs = committee.run(&inputs, statement, move |mut interpreter: Shared| async move {
            Ok(interpreter.run(&program).await?.outputs)
        });
        let outputs = committee.combine(&runs.unwrap());
        assert_eq!(outputs, clear.outputs);
        assert_eq!(outputs.last(), Some(&Fr::from(u64::from(steps == 3))));
    }
}
