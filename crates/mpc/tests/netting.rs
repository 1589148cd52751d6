//! Netting on shares gives what netting in the clear gives.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod committee;

use proptest::prelude::*;
use quittance_circuit::{Fr, Owner, Part, Program};
use quittance_circuit_library::netting::{Bank, Netting, OneByOne, Results};
use quittance_mpc::{Output, Shared};

use committee::{Committee, reference};

/// By bank: liquidity, and its queue of (payee, amount).
type Case = Vec<(u64, Vec<(u16, u64)>)>;

fn netting(case: &Case) -> (Netting, Vec<Vec<Fr>>) {
    let payees = |(_, queue): &(u64, Vec<(u16, u64)>)| {
        queue.iter().map(|&(to, _)| Owner(to)).collect::<Vec<_>>()
    };
    let netting = Netting::new(case.iter().map(payees).collect()).unwrap();
    let bank = |(liquidity, queue): &(u64, Vec<(u16, u64)>)| Bank {
        liquidity: *liquidity,
        amounts: queue.iter().map(|&(_, amount)| amount).collect(),
    };
    let inputs = netting.inputs(&case.iter().map(bank).collect::<Vec<_>>()).unwrap();
    (netting, inputs)
}

/// Clear, shares and the plain reference agree, for searches in one level and in several.
fn check(case: &Case, levels: u32, committee: &mut Committee) {
    let (netting, inputs) = netting(case);
    let netting = netting.with_levels(levels);
    let program = netting.until_settled().unwrap();
    let outputs = check_program(&program, &inputs, committee);
    let results = netting.results(outputs).unwrap();
    check_results(case, &results);
}

/// Runs in the clear and on shares; returns the outputs.
fn check_program(program: &Program, inputs: &[Vec<Fr>], committee: &mut Committee) -> Vec<Fr> {
    let clear = program.run_in_clear(inputs.to_vec()).unwrap();
    let start = program.part(Part::Start);
    let statement = |owner| start.inputs_of(owner).map(|(committed, _)| committed).collect();
    let shared = program.clone();
    let runs = committee.run(inputs, statement, move |mut interpreter: Shared| async move {
        interpreter.run(&shared).await
    });
    let runs = runs.unwrap();
    assert!(runs.iter().all(|run| run.steps == clear.steps));
    let outputs: Vec<Vec<Output>> = runs.into_iter().map(|run| run.outputs).collect();
    assert_eq!(committee.combine(&outputs), clear.outputs);
    check_nets(&outputs[0]);
    clear.outputs
}

/// The prefixes that settle, by the plain reference, and the case in its form.
fn plain(case: &Case) -> (reference::Case, Vec<usize>) {
    let queue = |(_, queue): &(u64, Vec<(u16, u64)>)| {
        queue.iter().map(|&(to, amount)| (usize::from(to), amount)).collect()
    };
    let case = reference::Case {
        liquidity: case.iter().map(|&(liquidity, _)| liquidity).collect(),
        queues: case.iter().map(queue).collect(),
    };
    let prefixes = reference::one_by_one(&case, |_| 0);
    (case, prefixes)
}

fn signed(value: i128) -> Fr {
    let size = Fr::from(value.unsigned_abs());
    if value < 0 { -size } else { size }
}

fn check_results(case: &Case, results: &Results<Fr>) {
    let (case, prefixes) = plain(case);
    check_against(&case, &prefixes, results);
}

fn check_against(case: &reference::Case, prefixes: &[usize], results: &Results<Fr>) {
    let nets = case.nets(prefixes);
    for (bank, found) in results.banks.iter().enumerate() {
        let settled = (0..case.queues[bank].len()).map(|place| place < prefixes[bank]);
        let settled: Vec<_> = settled.map(|bit| Fr::from(u64::from(bit))).collect();
        assert_eq!(found.settled, settled, "{case:?}");
        assert_eq!(found.inflow, Fr::from(case.inflow(bank, prefixes)));
        assert_eq!(found.net, signed(nets[bank]));
    }
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

/// By a committee of three or of five.
fn check_with(case: &Case, levels: u32, seed: u64, five: bool) {
    let mut committee = if five { Committee::new(5, 2) } else { Committee::new(3, 1) };
    committee.seed = seed >> 1;
    check(case, levels, &mut committee);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Three parties or, in a quarter of the cases, five.
    #[test]
    fn shares_give_what_the_clear_gives(
        case in case(),
        seed in any::<u64>(),
        levels in 1..4u32,
        five in 0..4u8,
    ) {
        check_with(&case, levels, seed, five == 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    #[ignore = "minutes"]
    fn three_parties_give_what_the_clear_gives_in_many_cases(
        case in case(),
        seed in any::<u64>(),
        levels in 1..4u32,
    ) {
        check_with(&case, levels, seed, false);
    }

    #[test]
    #[ignore = "minutes"]
    fn five_parties_give_what_the_clear_gives_in_many_cases(
        case in case(),
        seed in any::<u64>(),
        levels in 1..4u32,
    ) {
        check_with(&case, levels, seed, true);
    }
}

/// A hundred banks with a hundred payments each, and liquidity for about a tenth of them.
#[test]
#[ignore = "minutes"]
fn ten_thousand_payments_of_a_hundred_banks_give_the_same() {
    let plain = committee::large(100, 100, 10);
    let queue = |queue: &Vec<(usize, u64)>| queue.iter().map(|&(to, it)| (to as u16, it)).collect();
    let queues = plain.queues.iter().map(queue);
    let case: Case = plain.liquidity.iter().copied().zip(queues).collect();
    let (netting, inputs) = netting(&case);
    let program = netting.until_settled().unwrap();
    let outputs = check_program(&program, &inputs, &mut Committee::new(3, 1));
    let (prefixes, _) = reference::in_parallel(&plain);
    assert!(prefixes.iter().any(|&k| k > 0) && prefixes.iter().any(|&k| k < 100));
    check_against(&plain, &prefixes, &netting.results(outputs).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn other_programs_give_the_same(case in case(), seed in any::<u64>()) {
        let (netting, inputs) = netting(&case);
        let doubling = netting.in_doubling_steps().unwrap();
        let one_by_one = OneByOne::new(netting.clone()).until_settled().unwrap();
        let mut committee = Committee::new(3, 1);
        committee.seed = seed >> 1;
        for program in [doubling, one_by_one] {
            let outputs = check_program(&program, &inputs, &mut committee);
            check_results(&case, &netting.results(outputs).unwrap());
        }
    }
}

#[test]
fn extreme_cases_give_the_same() {
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
    for case in &cases {
        for levels in 1..4 {
            check(case, levels, &mut Committee::new(5, 2));
        }
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
