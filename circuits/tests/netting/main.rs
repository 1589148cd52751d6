//! Netting in the clear against plain references.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod hidden;
mod iterations;
mod reference;

use proptest::prelude::*;
use quittance_circuit::price::{Committee, Price, Task};
use quittance_circuit::{Circuit, Destination, Fr, Owner, Part, Program, RunError};
use quittance_circuit_library::netting::{
    Bank, BankResult, NETS, Netting, NettingError, OneByOne, Payment, Results, truncate,
};
use reference::{Case, all_feasible, one_by_one};

const MAX: u64 = u64::MAX;

fn netting(case: &Case) -> Netting {
    let payees = |queue: &Vec<(usize, u64)>| queue.iter().map(|&(p, _)| Owner(p as u16)).collect();
    Netting::new(case.queues.iter().map(payees).collect()).unwrap()
}

fn banks(case: &Case) -> Vec<Bank> {
    let bank = |(&liquidity, queue): (&u64, &Vec<(usize, u64)>)| Bank {
        liquidity,
        amounts: queue.iter().map(|&(_, amount)| amount).collect(),
    };
    case.liquidity.iter().zip(&case.queues).map(bank).collect()
}

fn signed(value: i128) -> Fr {
    let size = Fr::from(value.unsigned_abs());
    if value < 0 { -size } else { size }
}

fn bits(ones: usize, length: usize) -> Vec<Fr> {
    (0..length).map(|place| Fr::from(u64::from(place < ones))).collect()
}

/// What the outputs must be if these prefixes settle.
fn expected(case: &Case, prefixes: &[usize]) -> Results<Fr> {
    let nets = case.nets(prefixes);
    let received = |bank| {
        let mut received = vec![];
        for (payer, queue) in case.queues.iter().enumerate() {
            let settled = bits(prefixes[payer], queue.len());
            received.extend(
                queue.iter().zip(settled).filter(|((to, _), _)| *to == bank).map(|(_, bit)| bit),
            );
        }
        received
    };
    let banks = (0..case.queues.len()).map(|bank| BankResult {
        settled: bits(prefixes[bank], case.queues[bank].len()),
        received: received(bank),
        inflow: Fr::from(case.inflow(bank, prefixes)),
        net: signed(nets[bank]),
    });
    Results { banks: banks.collect(), converged: None }
}

/// Runs the circuits; returns the results and the number of steps.
fn run(case: &Case) -> (Results<Fr>, u32) {
    run_program(case, &netting(case).until_settled().unwrap())
}

fn run_program(case: &Case, program: &Program) -> (Results<Fr>, u32) {
    let netting = netting(case);
    let run = program.run_in_clear(netting.inputs(&banks(case)).unwrap()).unwrap();
    (netting.results(run.outputs).unwrap(), run.steps)
}

fn check(case: &Case) -> Vec<usize> {
    let prefixes = one_by_one(case, |_| 0);
    assert!(case.feasible(&prefixes));
    assert_eq!(run(case).0, expected(case, &prefixes), "{case:?}");
    prefixes
}

/// Amounts small enough to tie, large enough to overflow 64 bits in sum, and nothing.
fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..6u64, 2 => 0..1000u64, 1 => any::<u64>(), 1 => MAX - 2..=MAX]
}

fn liquidity() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0u64), 4 => 0..10u64, 1 => any::<u64>(), 1 => Just(MAX)]
}

fn case(banks: usize, payments: usize) -> impl Strategy<Value = Case> {
    (2..=banks).prop_flat_map(move |banks| {
        let payment = (1..banks, amount());
        let queue = prop::collection::vec(payment, 0..=payments);
        let queues = prop::collection::vec(queue, banks);
        (prop::collection::vec(liquidity(), banks), queues).prop_map(move |(liquidity, offsets)| {
            // The payee is given as its distance from the payer, so that nobody pays itself.
            let payees = |(payer, queue): (usize, Vec<(usize, u64)>)| {
                queue.into_iter().map(|(by, amount)| ((payer + by) % banks, amount)).collect()
            };
            Case { liquidity, queues: offsets.into_iter().enumerate().map(payees).collect() }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn circuits_agree_with_the_reference(case in case(6, 7)) {
        check(&case);
    }

    /// However prefixes are searched, and whichever algorithm finds the fixed point.
    #[test]
    fn all_programs_agree(case in case(5, 9)) {
        let (results, steps) = run(&case);
        prop_assert_eq!(steps, reference::in_parallel(&case).1);
        for levels in 1..=4 {
            let program = netting(&case).with_levels(levels).until_settled().unwrap();
            prop_assert_eq!(run_program(&case, &program), (results.clone(), steps));
        }
        let one_by_one = OneByOne::new(netting(&case)).until_settled().unwrap();
        let (same, slower) = run_program(&case, &one_by_one);
        prop_assert_eq!(same, results.clone());
        prop_assert_eq!(slower, reference::one_for_each_bank(&case).1);
        let doubling = netting(&case).in_doubling_steps().unwrap();
        prop_assert_eq!(run_program(&case, &doubling), (results, steps.next_power_of_two()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The maximum is unique: it bounds every feasible result, is feasible itself, and is reached
    /// whatever the order in which payments are taken out.
    #[test]
    fn the_maximum_is_unique(case in case(4, 3), choices in prop::collection::vec(0..64usize, 12)) {
        let prefixes = check(&case);
        let mut next = choices.iter().cycle();
        let other = one_by_one(&case, |count| next.next().unwrap() % count);
        prop_assert_eq!(&other, &prefixes);
        let all = all_feasible(&case);
        prop_assert!(all.contains(&prefixes));
        prop_assert!(all.iter().all(|other| other.iter().zip(&prefixes).all(|(a, b)| a <= b)));
    }

    /// Names do not matter: with the banks in another order, the same payments settle.
    #[test]
    fn the_order_of_banks_does_not_matter(
        (case, order) in case(5, 4).prop_flat_map(|case| {
            let roles: Vec<_> = (0..case.queues.len()).collect();
            (Just(case), Just(roles).prop_shuffle())
        })
    ) {
        let prefixes = check(&case);
        // Bank b of the case plays role order[b].
        let mut liquidity = vec![0; order.len()];
        let mut queues = vec![vec![]; order.len()];
        let mut moved = vec![0; order.len()];
        for (bank, &role) in order.iter().enumerate() {
            liquidity[role] = case.liquidity[bank];
            queues[role] = case.queues[bank].iter().map(|&(p, amount)| (order[p], amount)).collect();
            moved[role] = prefixes[bank];
        }
        let renamed = Case { liquidity, queues };
        prop_assert_eq!(run(&renamed).0, expected(&renamed, &moved));
    }

    #[test]
    fn a_fixed_number_of_steps_gives_the_result_or_nothing(case in case(4, 3), steps in 1..6u32) {
        let netting = netting(&case);
        let program = netting.in_fixed_steps(steps).unwrap();
        let inputs = netting.inputs(&banks(&case)).unwrap();
        let outputs = program.run_in_clear(inputs.clone()).unwrap().outputs;
        let (result, needed) = run(&case);
        let converged = steps >= needed;
        if converged {
            let expected = Results { converged: Some(Fr::from(1u64)), ..result };
            prop_assert_eq!(netting.results(outputs).unwrap(), expected);
        } else {
            prop_assert!(outputs.iter().all(|output| *output == Fr::from(0u64)));
        }
        let until = netting.within(steps).unwrap().run_in_clear(inputs);
        prop_assert_eq!(matches!(until, Err(RunError::NotConverged { .. })), !converged);
    }
}

fn queue(payments: &[(usize, u64)]) -> Vec<(usize, u64)> {
    payments.to_vec()
}

#[test]
fn a_cycle_settles_without_any_liquidity() {
    let queues = (0..5).map(|bank| queue(&[((bank + 1) % 5, MAX)])).collect();
    assert_eq!(check(&Case { liquidity: vec![0; 5], queues }), [1; 5]);
}

#[test]
fn one_unit_decides() {
    let case = |liquidity| Case {
        liquidity: vec![liquidity, 0],
        queues: vec![queue(&[(1, 70), (1, 30)]), queue(&[])],
    };
    assert_eq!(check(&case(100)), [2, 0]);
    assert_eq!(check(&case(99)), [1, 0]);
    assert_eq!(check(&case(70)), [1, 0]);
    assert_eq!(check(&case(69)), [0, 0]);
}

#[test]
fn queues_are_first_in_first_out() {
    // The second payment alone would be affordable.
    let queues = vec![queue(&[(1, 11), (1, 1)]), queue(&[])];
    assert_eq!(check(&Case { liquidity: vec![10, 0], queues }), [0, 0]);
}

#[test]
fn sums_above_64_bits_are_exact() {
    // Nine banks send all that 64 bits can hold to the tenth, which passes on all but one unit.
    let mut queues = vec![queue(&[(9, MAX)]); 9];
    queues.push((0..9).map(|payee| (payee, MAX)).collect());
    let liquidity = |last| [vec![MAX; 9], vec![last]].concat();
    assert_eq!(
        check(&Case { liquidity: liquidity(MAX), queues: queues.clone() }),
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 9]
    );
    let mut poor = Case { liquidity: liquidity(0), queues };
    poor.liquidity[0] = 0;
    assert_eq!(check(&poor), [1, 1, 1, 1, 1, 1, 1, 1, 1, 9]);
    poor.queues[8] = queue(&[(9, MAX - 1)]);
    assert_eq!(check(&poor)[9], 8);
}

#[test]
fn one_payer_has_everything() {
    let queues = vec![(0..40).map(|i| (1 + i % 3, 10)).collect(), vec![], vec![], vec![]];
    let case = Case { liquidity: vec![255, 0, 0, 0], queues };
    assert_eq!(check(&case), [25, 0, 0, 0]);
}

#[test]
fn nothing_to_do_is_done_in_one_step() {
    for banks in [2, 5] {
        let case = Case { liquidity: vec![0; banks], queues: vec![vec![]; banks] };
        check(&case);
        assert_eq!(run(&case).1, 1);
    }
    let zeros = Case { liquidity: vec![0; 2], queues: vec![queue(&[(1, 0), (1, 0)]), vec![]] };
    assert_eq!((check(&zeros), run(&zeros).1), (vec![2, 0], 1));
}

#[test]
fn a_collapse_takes_as_many_steps_as_the_chain_is_long() {
    // Each bank can pay only if the one before it does, and the first cannot.
    let queues = (0..8).map(|i| queue(&if i < 7 { vec![(i + 1, 1)] } else { vec![] })).collect();
    let case = Case { liquidity: vec![0; 8], queues };
    assert_eq!(check(&case), [0; 8]);
    assert_eq!(run(&case).1, 8);
    assert_eq!(case.payments() + 1, 8, "the bound is reached");
}

#[test]
fn outputs_go_to_those_concerned_and_nets_are_one_group() {
    let case = Case {
        liquidity: vec![0; 3],
        queues: vec![queue(&[(1, 5), (2, 1)]), queue(&[(2, 5)]), queue(&[(0, 5)])],
    };
    let netting = netting(&case);
    let program = netting.until_settled().unwrap();
    let destinations = program.part(Part::Finish).outputs().collect();
    let results = netting.results::<Destination>(destinations).unwrap();
    for (role, bank) in results.banks.iter().enumerate() {
        let owner = Owner(role as u16);
        let all = bank.settled.iter().chain(&bank.received).chain([&bank.inflow]);
        assert!(all.clone().all(|to| *to == Destination::Owner(owner)));
        assert_eq!(bank.net, Destination::Commitment { owner, group: NETS });
    }
    let addressed: Vec<_> = netting.addressed_to(Owner(2)).collect();
    let payment = |payer, place| Payment { payer: Owner(payer), place };
    assert_eq!(addressed, [payment(0, 1), payment(1, 0)]);
}

#[test]
fn only_the_flag_is_revealed_and_all_inputs_are_committed() {
    let case = Case { liquidity: vec![1, 2], queues: vec![queue(&[(1, 5)]), queue(&[(0, 5)])] };
    let until = netting(&case).until_settled().unwrap();
    let fixed = netting(&case).in_fixed_steps(3).unwrap();
    let reveals = |program: &Program, part| Circuit::reveals(program.part(part)).count();
    assert_eq!([Part::Start, Part::Step, Part::Finish].map(|p| reveals(&until, p)), [0, 1, 0]);
    assert_eq!([Part::Start, Part::Step, Part::Finish].map(|p| reveals(&fixed, p)), [0, 0, 0]);
    for owner in [Owner(0), Owner(1)] {
        let inputs: Vec<_> = until.part(Part::Start).inputs_of(owner).collect();
        assert_eq!(inputs.len(), 2);
        assert!(inputs.iter().all(|(committed, kind)| *committed && kind.bits() == Some(64)));
    }
    assert_ne!(until.fingerprint(), fixed.fingerprint());
}

#[test]
fn comparisons_are_as_wide_as_the_sums_can_be() {
    // Signed width 64 + ceil(log2(P + 1)) + 1 at most, for P payments.
    for payments in [1usize, 2, 3, 4, 7, 8, 40] {
        let queues = vec![vec![(1, 1); payments], vec![(0, 1); payments]];
        let program = netting(&Case { liquidity: vec![0; 2], queues }).until_settled().unwrap();
        let price = Price::of(program.part(Part::Step), &Committee::new(3, 1).unwrap());
        let wide = price.tasks.keys().filter_map(|task| match task {
            Task::LessThan { bits } if *bits >= 64 => Some(*bits),
            _ => None,
        });
        let total = 2 * payments as u32;
        let bound = 64 + (total + 1).next_power_of_two().trailing_zeros();
        let widest = wide.max().unwrap();
        assert!(widest <= bound, "{widest} > {bound}");
        // All of one bank's payments, or its liquidity and all that it can receive.
        let reach = (payments as u128 + 1) * u128::from(MAX);
        assert_eq!(widest, u128::BITS - reach.leading_zeros());
    }
}

#[test]
fn wrong_shapes_are_refused_by_name() {
    let (payer, payee) = (Owner(0), Owner(2));
    assert_eq!(
        Netting::new(vec![vec![Owner(1), payee], vec![]]).unwrap_err(),
        NettingError::UnknownPayee { payer, place: 1, payee }
    );
    for banks in [0, 1, 65536] {
        let error = Netting::new(vec![vec![]; banks]).unwrap_err();
        assert_eq!(error, NettingError::Banks(banks));
    }
    assert_eq!(
        Netting::new(vec![vec![payer], vec![]]).unwrap_err(),
        NettingError::OwnPayee { payer, place: 0 }
    );
    let netting = Netting::new(vec![vec![Owner(1)], vec![]]).unwrap();
    let bank = |amounts: &[u64]| Bank { liquidity: 0, amounts: amounts.to_vec() };
    assert_eq!(
        netting.inputs(&[bank(&[1]), bank(&[2])]).unwrap_err(),
        NettingError::Shape { bank: Owner(1), expected: 0, found: 1 }
    );
    assert_eq!(
        netting.inputs(&[bank(&[1])]).unwrap_err(),
        NettingError::Roster { expected: 2, found: 1 }
    );
    for found in [0, 5, 8] {
        assert_eq!(
            netting.results(vec![(); found]).unwrap_err(),
            NettingError::Outputs { expected: 6, found }
        );
    }
}

#[test]
fn a_payment_to_a_stranger_ends_the_queue() {
    let roster = ["A", "B", "C"];
    assert_eq!(truncate(&roster, &["B", "C", "X", "B"]), [Owner(1), Owner(2)]);
    assert_eq!(truncate(&roster, &["X", "B"]), []);
    assert_eq!(truncate(&roster, &[]), []);
    assert_eq!(truncate(&roster, &["C"]), [Owner(2)]);
}

#[test]
fn the_circuits_are_pinned() {
    // Whoever changes them changes what committees agree on.
    let netting = Netting::new(vec![vec![Owner(1), Owner(2)], vec![Owner(2)], vec![]]).unwrap();
    let programs = [
        netting.until_settled().unwrap(),
        netting.in_fixed_steps(4).unwrap(),
        netting.in_doubling_steps().unwrap(),
        OneByOne::new(netting).until_settled().unwrap(),
    ];
    let pinned = [
        "b76126934348de67fa94dc51bbcd3f2ddd0f8bfeb49b3c1d3f144d1c67d50279",
        "4c9b3de7451c413a46a370a3e3d83ac4cfc1852ceec8c2974902d6cf4f189a98",
        "851bf3fc3b17fdf326a36b99512c5c0f5c0034a707936d14c16ed15725963b93",
        "ff2ff5fafe7227bf0f5b32e07153efb0ac149d90df15199b460177b56ca6a887",
    ];
    assert_eq!(programs.map(|program| program.fingerprint().to_string()), pinned);
}
