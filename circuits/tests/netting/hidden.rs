//! Hidden payees against the netting that knows them.

use proptest::prelude::*;
use quittance_circuit::{
    Destination, EvaluationError, Fr, GateId, Owner, Part, Program, Repetition, RunError,
};
use quittance_circuit_library::netting::NettingError;
use quittance_circuit_library::netting::hidden::{
    Hidden, HiddenBank, HiddenPayment, HiddenResults, PayeeInput, places, settled,
};

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
            index: Fr::from(100 + payee as u64),
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

    /// The queue is cut at a payment to somebody who takes no part, whatever stands there.
    #[test]
    fn payments_to_nobody_end_the_queue(
        case in case(4, 5),
        payer in 0..4usize,
        place in 0..5usize,
    ) {
        let payer = payer % case.queues.len();
        let place = place.min(case.queues[payer].len());
        let (hidden, mut banks) = hide(&case, |length| length + 1);
        let (queue, padding) = (&mut banks[payer].queue, case.queues[payer].len());
        queue[place..padding].iter_mut().for_each(|payment| payment.payee = None);
        let mut cut = case.clone();
        cut.queues[payer].truncate(place);
        let program = hidden.until_settled().unwrap();
        let (results, steps) = run(&hidden, &banks, &program);
        let (prefixes, expected) = in_parallel(&cut);
        prop_assert_eq!(steps, expected);
        for (bank, notices) in read(&results).into_iter().enumerate() {
            let settles = |place| place < prefixes[bank];
            prop_assert!(notices.iter().enumerate().all(|(place, &bit)| bit == settles(place)));
        }
        let inflows = results.banks.iter().map(|bank| bank.inflow);
        let plain = (0..banks.len()).map(|bank| Fr::from(cut.inflow(bank, &prefixes)));
        prop_assert!(inflows.eq(plain));
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

#[test]
fn a_payment_behind_nobody_is_refused_and_its_payer_named() {
    let case = Case {
        liquidity: vec![9; 3],
        queues: vec![queue(&[(1, 1)]), queue(&[(2, 1), (0, 1)]), queue(&[(0, 1), (1, 1), (0, 1)])],
    };
    let (hidden, banks) = hide(&case, |length| length);
    let program = hidden.until_settled().unwrap();
    for (payer, place) in [(1, 0), (2, 0), (2, 1)] {
        let mut banks = banks.clone();
        banks[payer].queue[place].payee = None;
        let error = program.run_in_clear(hidden.inputs(&banks).unwrap()).unwrap_err();
        let RunError::Evaluation { source: EvaluationError::Assertion { gate, .. }, .. } = error
        else {
            unreachable!("{error}")
        };
        assert_eq!(hidden.refused(&program, gate), Some(Owner(payer as u16)));
    }
    assert_eq!(hidden.refused(&program, GateId(0)), None);
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

#[test]
fn vectors_are_found_where_they_are() {
    let case =
        Case { liquidity: vec![3, 4], queues: vec![queue(&[(1, 5)]), queue(&[(0, 6), (0, 7)])] };
    let (hidden, banks) = hide(&case, |length| length + 1);
    let inputs = hidden.inputs(&banks).unwrap();
    let program = hidden.until_settled().unwrap();
    let mut payments = banks.iter().flat_map(|bank| &bank.queue);
    for PayeeInput { owner, index, entries } in hidden.payees() {
        let payment = payments.next().unwrap();
        let inputs = &inputs[usize::from(owner.0)];
        let kinds: Vec<_> = program.part(Part::Start).inputs_of(owner).collect();
        assert_eq!(kinds.len(), inputs.len());
        assert_eq!(inputs[index as usize], payment.index);
        assert!(kinds[index as usize].0, "the index is committed");
        let entries = entries.start as usize..entries.end as usize;
        let one = payment.payee.map_or(0, |payee| 1 + usize::from(payee.0));
        for (place, (entry, kind)) in
            inputs[entries.clone()].iter().zip(&kinds[entries]).enumerate()
        {
            assert_eq!(*entry, Fr::from(u64::from(place == one)));
            assert_eq!((kind.0, kind.1.bits()), (false, Some(1)));
        }
    }
    assert_eq!(payments.next(), None);
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
        "c379dd8d251a5d3dfe44e314b349f89ba192c7c88d8b1c6aa57a6121c5bef19c",
        "f50e10a132241b6595a53625447630e85b9fbbf800f0b898b9c76a8cbe70fab3",
    ];
    assert_eq!(programs.map(|program| program.fingerprint().to_string()), pinned);
}
