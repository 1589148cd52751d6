//! Hidden payees against the netting that knows them.

use proptest::prelude::*;
use quittance_circuit::price::{Committee, Price, Task};
use quittance_circuit::{Destination, Fr, Owner, Part, Program, Repetition};
use quittance_circuit_library::netting::hidden::{
    Hidden, HiddenBank, HiddenPayment, HiddenResults, places, settled,
};
use quittance_circuit_library::netting::{NettingError, truncate};

use super::reference::{Case, in_parallel, one_by_one};
use super::{MAX, case, queue, signed};

/// Some pad, another one for each payment.
fn pad(payer: usize, place: usize) -> Fr {
    -Fr::from((1 + payer as u64) * 1_000_003) * Fr::from(place as u64 + 7)
}

/// The case with queues padded to `places`, by payer.
fn hide(case: &Case, places: impl Fn(usize) -> usize) -> (Hidden, Vec<HiddenBank>) {
    let bank = |(payer, queue): (usize, &Vec<(usize, u64)>)| {
        let payment = |(place, &(payee, amount)): (usize, &(usize, u64))| HiddenPayment {
            amount,
            payee: Some(Owner(payee as u16)),
            pad: pad(payer, place),
        };
        let mut hidden: Vec<_> = queue.iter().enumerate().map(payment).collect();
        let padding = (queue.len()..places(queue.len())).map(|place| pad(payer, place));
        hidden.extend(padding.map(HiddenPayment::padding));
        HiddenBank { liquidity: case.liquidity[payer], queue: hidden }
    };
    let banks: Vec<_> = case.queues.iter().enumerate().map(bank).collect();
    (Hidden::new(banks.iter().map(|bank| bank.queue.len()).collect()).unwrap(), banks)
}

fn run(hidden: &Hidden, banks: &[HiddenBank], program: &Program) -> (HiddenResults<Fr>, u32) {
    let run = program.run_in_clear(hidden.inputs(banks).unwrap()).unwrap();
    (hidden.results(run.outputs).unwrap(), run.steps)
}

/// What the notices say, by bank and place.
fn read(results: &HiddenResults<Fr>) -> Vec<Vec<bool>> {
    let bank = |(payer, bank): (usize, &Vec<Fr>)| {
        let notice = |(place, &notice)| settled(notice, pad(payer, place)).unwrap();
        bank.iter().enumerate().map(notice).collect()
    };
    let notices: Vec<_> = results.banks.iter().map(|bank| bank.notices.clone()).collect();
    notices.iter().enumerate().map(bank).collect()
}

fn check(case: &Case, places: impl Fn(usize) -> usize) {
    let (hidden, banks) = hide(case, places);
    let (results, steps) = run(&hidden, &banks, &hidden.until_settled().unwrap());
    let (prefixes, plain) = in_parallel(case);
    assert_eq!(prefixes, one_by_one(case, |_| 0));
    assert_eq!(steps, plain, "padding takes no step");
    let nets = case.nets(&prefixes);
    for (bank, (found, notices)) in results.banks.iter().zip(read(&results)).enumerate() {
        let expected: Vec<_> = (0..notices.len()).map(|place| place < prefixes[bank]).collect();
        assert_eq!(notices, expected, "{case:?}");
        assert_eq!(found.inflow, Fr::from(case.inflow(bank, &prefixes)));
        assert_eq!(found.net, signed(nets[bank]));
    }
    assert_eq!(results.converged, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn hidden_payees_give_what_known_ones_give(case in case(5, 6), padded in 0..4usize) {
        check(&case, |length| if padded == 0 { places(length) } else { length + padded - 1 });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Some of all banks take part. Each queue is cut at the first payment to one that does not,
    /// whoever is paid behind it.
    #[test]
    fn payments_to_banks_that_take_no_part_end_their_queues(
        case in case(6, 5),
        part in 0..64u8,
        padding in 0..2usize,
    ) {
        check_part(&case, part, padding);
    }

    #[test]
    fn other_endings_give_the_same(case in case(4, 3), steps in 1..6u32) {
        let (hidden, banks) = hide(&case, places);
        let (results, needed) = run(&hidden, &banks, &hidden.until_settled().unwrap());
        let doubling = hidden.in_doubling_steps().unwrap();
        let expected = (results.clone(), needed.next_power_of_two());
        prop_assert_eq!(run(&hidden, &banks, &doubling), expected);

        let fixed = hidden.program(Repetition::Exactly { steps }).unwrap();
        if steps >= needed {
            let expected = HiddenResults { converged: Some(Fr::from(1u64)), ..results };
            prop_assert_eq!(run(&hidden, &banks, &fixed).0, expected);
        } else {
            let outputs = fixed.run_in_clear(hidden.inputs(&banks).unwrap()).unwrap().outputs;
            prop_assert!(outputs.iter().all(|output| *output == Fr::from(0u64)));
        }
    }
}

#[test]
fn extremes_are_exact() {
    let cycle = (0..5).map(|bank| queue(&[((bank + 1) % 5, MAX)])).collect();
    check(&Case { liquidity: vec![0; 5], queues: cycle }, places);
    let mut queues = vec![queue(&[(9, MAX)]); 9];
    queues.push((0..9).map(|payee| (payee, MAX)).collect());
    check(&Case { liquidity: vec![MAX; 10], queues }, places);
    for banks in [2, 4] {
        check(&Case { liquidity: vec![0; banks], queues: vec![vec![]; banks] }, |_| 0);
        check(&Case { liquidity: vec![0; banks], queues: vec![vec![]; banks] }, places);
    }
}

/// To oneself: it settles as soon as those before it do, and changes nobody else's result.
#[test]
fn a_payment_to_oneself_does_no_harm() {
    let case = |own| Case {
        liquidity: vec![5, 0],
        queues: vec![queue(&[(0, own), (1, 5), (1, 1)]), queue(&[(0, 2)])],
    };
    for own in [0, 1, 1000, MAX] {
        assert_eq!(in_parallel(&case(own)).0, [3, 1]);
        check(&case(own), places);
    }
    // It is no liquidity: without the second bank's payment the third payment fails.
    let mut poor = case(MAX);
    poor.queues[1].clear();
    assert_eq!(in_parallel(&poor).0, [2, 0]);
    check(&poor, places);
}

/// The netting of those banks whose bits are 1 in `part`, against the plain one of what is left of
/// their queues.
fn check_part(case: &Case, part: u8, padding: usize) {
    let all: Vec<usize> = (0..case.queues.len()).collect();
    let mut roster: Vec<_> = all.iter().copied().filter(|bank| part >> bank & 1 == 1).collect();
    if roster.len() < 2 {
        roster = all[..2].to_vec();
    }
    let place = |payee| roster.iter().position(|member| *member == payee);
    let bank = |&payer: &usize| {
        let payment = |(at, &(payee, amount)): (usize, &(usize, u64))| {
            let payee = place(payee).map(|place| Owner(place as u16));
            HiddenPayment { amount, payee, pad: pad(place(payer).unwrap(), at) }
        };
        let queue = &case.queues[payer];
        let mut hidden: Vec<_> = queue.iter().enumerate().map(payment).collect();
        let end = queue.len() + padding;
        let more = (queue.len()..end).map(|at| pad(place(payer).unwrap(), at));
        hidden.extend(more.map(HiddenPayment::padding));
        HiddenBank { liquidity: case.liquidity[payer], queue: hidden }
    };
    let banks: Vec<_> = roster.iter().map(bank).collect();
    let hidden = Hidden::new(banks.iter().map(|bank| bank.queue.len()).collect()).unwrap();

    let cut = |&payer: &usize| {
        let queue = &case.queues[payer];
        let payees: Vec<_> = queue.iter().map(|(payee, _)| *payee).collect();
        let roles = truncate(&roster, &payees).into_iter().map(|owner| usize::from(owner.0));
        roles.zip(queue).map(|(payee, (_, amount))| (payee, *amount)).collect::<Vec<_>>()
    };
    let liquidity = roster.iter().map(|&bank| case.liquidity[bank]).collect();
    let plain = Case { liquidity, queues: roster.iter().map(cut).collect() };
    let (prefixes, steps) = in_parallel(&plain);
    assert_eq!(prefixes, one_by_one(&plain, |_| 0));
    let (results, found) = run(&hidden, &banks, &hidden.until_settled().unwrap());
    assert_eq!(found, steps);
    let nets = plain.nets(&prefixes);
    for (bank, notices) in read(&results).into_iter().enumerate() {
        let expected: Vec<_> = (0..notices.len()).map(|at| at < prefixes[bank]).collect();
        assert_eq!(notices, expected, "{case:?} {roster:?}");
        assert_eq!(results.banks[bank].inflow, Fr::from(plain.inflow(bank, &prefixes)));
        assert_eq!(results.banks[bank].net, signed(nets[bank]));
    }
}

/// Nobody in front, in the middle, between somebody twice, and everywhere; also with the largest
/// amounts, which must not count.
#[test]
fn a_queue_ends_at_nobody_wherever_it_stands() {
    let queue = |payees: &[usize], amount| payees.iter().map(|&payee| (payee, amount)).collect();
    for amount in [0, 1, 5, MAX] {
        for payees in [
            &[2, 1, 1][..],
            &[1, 2, 1],
            &[1, 1, 2],
            &[1, 2, 1, 2, 1, 1, 1, 2],
            &[2, 2, 2],
            &[2],
            &[1, 1, 1, 1, 2, 1, 1, 1, 1],
        ] {
            for own in [0, 5, 12, MAX] {
                let queues = vec![queue(payees, amount), queue(&[2, 0, 0], 3), queue(&[0], MAX)];
                let case = Case { liquidity: vec![own, 3, MAX], queues };
                for padding in [0, 1, 3] {
                    check_part(&case, 0b011, padding);
                    check_part(&case, 0b111, padding);
                }
            }
        }
    }
}

/// Truncating takes as many levels as the logarithm of the length, once, and is in no step.
#[test]
fn truncating_takes_a_logarithm_of_levels() {
    let committee = Committee::new(3, 1).unwrap();
    for (length, levels) in [(1, 0), (2, 1), (8, 3), (32, 5), (33, 6), (1024, 10)] {
        let program = Hidden::new(vec![length; 2]).unwrap().until_settled().unwrap();
        let start = Price::of(program.part(Part::Start), &committee);
        // One more for the amounts.
        assert_eq!(start.levels, levels + 1, "{length}");
        let products = start.tasks[&Task::Product] as usize;
        assert!(products <= 2 * (length + length / 2 * levels as usize + length), "{length}");
        let comparisons = |(task, _): (&Task, _)| matches!(task, Task::LessThan { .. });
        assert!(!start.tasks.iter().any(comparisons));
    }
}

#[test]
fn the_circuit_depends_on_places_alone() {
    let case = |payee| Case {
        liquidity: vec![0; 3],
        queues: vec![queue(&[(payee, 1)]), queue(&[(0, 5), (2, 7)]), vec![]],
    };
    let print = |case: &Case, padded| {
        let (hidden, _) = hide(case, |_| padded);
        hidden.until_settled().unwrap().fingerprint()
    };
    assert_eq!(print(&case(1), 4), print(&case(2), 4));
    let nothing = Case { liquidity: vec![0; 3], queues: vec![vec![]; 3] };
    assert_eq!(print(&case(1), 4), print(&nothing, 4));
    assert_ne!(print(&case(1), 4), print(&case(1), 5));
}

/// Public are the notices, and the flag of a step; nothing goes to a payee by name but its inflow.
#[test]
fn what_is_shown_is_what_is_documented() {
    let (hidden, _) = hide(&Case { liquidity: vec![0; 2], queues: vec![vec![]; 2] }, |_| 2);
    let program = hidden.until_settled().unwrap();
    let reveals = |part| program.part(part).reveals().count();
    assert_eq!([Part::Start, Part::Step, Part::Finish].map(reveals), [0, 1, 0]);
    let destinations: Vec<_> = program.part(Part::Finish).outputs().collect();
    for (role, bank) in hidden.results(destinations).unwrap().banks.into_iter().enumerate() {
        let owner = Owner(role as u16);
        assert_eq!(bank.notices, [Destination::Public; 2]);
        assert_eq!(bank.inflow, Destination::Owner(owner));
        assert_eq!(bank.net, Destination::Commitment { owner, group: super::NETS });
    }
}

/// Committed inputs first, then for each payment whether somebody is paid, and which bank.
#[test]
fn inputs_are_in_the_documented_order() {
    let case =
        Case { liquidity: vec![3, 4], queues: vec![queue(&[(1, 5)]), queue(&[(0, 6), (0, 7)])] };
    let (hidden, banks) = hide(&case, |length| length + 1);
    let inputs = hidden.inputs(&banks).unwrap();
    let program = hidden.until_settled().unwrap();
    let small = |values: &[u64]| values.iter().map(|&value| Fr::from(value)).collect::<Vec<_>>();
    let committed = [Fr::from(3u64), Fr::from(5u64), pad(0, 0), Fr::from(0u64), pad(0, 1)];
    assert_eq!(inputs[0], [&committed[..], &small(&[1, 0, 1, 0, 0, 0])].concat());
    assert_eq!(inputs[1][7..], small(&[1, 1, 0, 1, 1, 0, 0, 0, 0]));
    for (owner, inputs) in (0..).map(Owner).zip(&inputs) {
        let kinds: Vec<_> = program.part(Part::Start).inputs_of(owner).collect();
        assert_eq!(kinds.len(), inputs.len());
        let places = banks[usize::from(owner.0)].queue.len();
        for (place, (committed, kind)) in kinds.into_iter().enumerate() {
            assert_eq!(committed, place <= 2 * places);
            let pad = place > 0 && place % 2 == 0;
            let bits = if committed { (!pad).then_some(64) } else { Some(1) };
            assert_eq!(kind.bits(), bits, "{place}");
        }
    }
}

#[test]
fn wrong_shapes_are_refused() {
    assert_eq!(Hidden::new(vec![1]).unwrap_err(), NettingError::Banks(1));
    assert!(matches!(Hidden::new(vec![usize::MAX; 2]), Err(NettingError::Payments(_))));
    let hidden = Hidden::new(vec![1, 0]).unwrap();
    let bank = |payee: &[u16]| {
        let payment = |&payee| HiddenPayment {
            payee: Some(Owner(payee)),
            ..HiddenPayment::padding(Fr::from(3u64))
        };
        HiddenBank { liquidity: 0, queue: payee.iter().map(payment).collect() }
    };
    let refused = |banks: &[HiddenBank]| hidden.inputs(banks).unwrap_err();
    assert_eq!(refused(&[bank(&[1])]), NettingError::Roster { expected: 2, found: 1 });
    let shape = NettingError::Shape { bank: Owner(0), expected: 1, found: 0 };
    assert_eq!(refused(&[bank(&[]), bank(&[])]), shape);
    let unknown = NettingError::UnknownPayee { payer: Owner(0), place: 0, payee: Owner(2) };
    assert_eq!(refused(&[bank(&[2]), bank(&[])]), unknown);
    for found in [0, 4, 7] {
        let error = hidden.results(vec![(); found]).unwrap_err();
        assert_eq!(error, NettingError::Outputs { expected: 5, found });
    }
    assert_eq!(settled(Fr::from(9u64), Fr::from(7u64)), None);
}

#[test]
fn the_circuit_is_pinned() {
    let hidden = Hidden::new(vec![4, 2, 0]).unwrap();
    let programs = [hidden.until_settled().unwrap(), hidden.in_doubling_steps().unwrap()];
    let pinned = [
        "99232204783e2b9e37d9b5efeca9dd9c49c39e37d1f339096271e2bc114ecba1",
        "a898be26ca66f4274f85ef73677096475c4d085d2db8ef16f85a57c900bbce23",
    ];
    assert_eq!(programs.map(|program| program.fingerprint().to_string()), pinned);
}
