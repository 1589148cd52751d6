//! Netting with hidden payees on shares: compressed dealing, the check of payees, the run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod committee;

use proptest::prelude::*;
use quittance_circuit::{Fr, Owner, Program, Run};
use quittance_circuit_library::netting::hidden::{Hidden, HiddenResults, settled};
use quittance_mpc::session::Abort;
use quittance_mpc::{Inputs, Output, Shared};

use committee::hidden::{hide, pad, protocol};
use committee::reference::{self, Case};
use committee::{Committee, hidden};

/// How many places each queue has.
const PLACES: usize = 4;

/// Deals, checks payees and runs. By party: outputs and the number of steps.
fn run(
    committee: &mut Committee,
    hidden: &Hidden,
    inputs: Vec<Inputs>,
    program: &Program,
) -> Vec<Result<Run<Output>, Abort>> {
    committee.network(inputs, protocol(hidden, program)).run().results
}

fn committed(_: Owner) -> usize {
    hidden::committed(PLACES)
}

fn check(case: &Case, committee: &mut Committee) {
    let (hidden, inputs) = hide(case, PLACES);
    let program = hidden.until_settled().unwrap();
    let clear = program.run_in_clear(inputs.clone()).unwrap();
    let dealt = committee.compressed(&inputs, committed);
    let runs: Vec<_> =
        run(committee, &hidden, dealt, &program).into_iter().map(Result::unwrap).collect();
    assert!(runs.iter().all(|run| run.steps == clear.steps));
    let outputs: Vec<_> = runs.into_iter().map(|run| run.outputs).collect();
    let outputs = committee.combine(&outputs);
    assert_eq!(outputs, clear.outputs, "{case:?}");
    check_results(case, &hidden.results(outputs).unwrap());
}

fn check_results(case: &Case, results: &HiddenResults<Fr>) {
    check_against(case, results, &reference::one_by_one(case, |_| 0));
}

fn check_against(case: &Case, results: &HiddenResults<Fr>, prefixes: &[usize]) {
    let nets = case.nets(prefixes);
    for (bank, found) in results.banks.iter().enumerate() {
        for (place, notice) in found.notices.iter().enumerate() {
            assert_eq!(settled(*notice, pad(bank, place)), Some(place < prefixes[bank]));
        }
        assert_eq!(found.inflow, Fr::from(case.inflow(bank, prefixes)));
        let size = Fr::from(nets[bank].unsigned_abs());
        assert_eq!(found.net, if nets[bank] < 0 { -size } else { size });
    }
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..6u64, 2 => 0..1000u64, 1 => any::<u64>(), 1 => u64::MAX - 2..=u64::MAX]
}

fn case() -> impl Strategy<Value = Case> {
    (2..=3usize).prop_flat_map(|banks| {
        let queue = prop::collection::vec((1..banks, amount()), 0..=PLACES);
        let liquidity = prop_oneof![3 => Just(0), 5 => amount()];
        let bank = (liquidity, queue);
        prop::collection::vec(bank, banks).prop_map(move |cases| {
            let (liquidity, mut queues): (Vec<_>, Vec<Vec<_>>) = cases.into_iter().unzip();
            // The strategy gives a distance, so that nobody pays itself.
            for (payer, queue) in queues.iter_mut().enumerate() {
                queue.iter_mut().for_each(|(to, _)| *to = (*to + payer) % banks);
            }
            Case { liquidity, queues }
        })
    })
}

/// By a committee of three or of five.
fn check_with(case: &Case, seed: u64, five: bool) {
    let mut committee = if five { Committee::new(5, 2) } else { Committee::new(3, 1) };
    committee.seed = seed >> 1;
    check(case, &mut committee);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn shares_agree_with_the_reference(case in case(), seed in any::<u64>(), five in 0..4u8) {
        check_with(&case, seed, five == 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    #[ignore = "minutes"]
    fn three_parties_agree_with_the_reference_in_many_cases(case in case(), seed in any::<u64>()) {
        check_with(&case, seed, false);
    }

    #[test]
    #[ignore = "minutes"]
    fn five_parties_agree_with_the_reference_in_many_cases(case in case(), seed in any::<u64>()) {
        check_with(&case, seed, true);
    }
}

/// So many banks with full queues, and liquidity for about a tenth of what they pay.
fn check_large(banks: usize, places: usize) {
    let case = committee::large(banks, places, 10);
    let (hidden, inputs) = hide(&case, places);
    let program = hidden.until_settled().unwrap();
    let mut committee = Committee::new(3, 1);
    let dealt = committee.compressed(&inputs, |_| hidden::committed(places));
    let runs = run(&mut committee, &hidden, dealt, &program);
    let outputs: Vec<_> = runs.into_iter().map(|run| run.unwrap().outputs).collect();
    let results = hidden.results(committee.combine(&outputs)).unwrap();
    let (prefixes, _) = reference::in_parallel(&case);
    assert!(prefixes.iter().any(|&k| k > 0) && prefixes.iter().any(|&k| k < places));
    check_against(&case, &results, &prefixes);
}

#[test]
#[ignore = "minutes"]
fn a_thousand_payments_of_twenty_banks_agree_with_the_reference() {
    check_large(20, 50);
}

#[test]
#[ignore = "many minutes, and gigabytes"]
fn ten_thousand_payments_of_a_hundred_banks_agree_with_the_reference() {
    check_large(100, 100);
}

fn small() -> Case {
    Case { liquidity: vec![5, 0, 0], queues: vec![vec![(1, 5)], vec![(2, 7)], vec![(0, 1)]] }
}

/// What all parties say of a dealing with one changed input of bank 1.
fn refused(change: impl Fn(&mut Vec<Fr>)) -> Abort {
    let (hidden, mut inputs) = hide(&small(), PLACES);
    change(&mut inputs[1]);
    let mut committee = Committee::new(3, 1);
    let dealt = committee.compressed(&inputs, committed);
    let program = hidden.until_settled().unwrap();
    let mut results = run(&mut committee, &hidden, dealt, &program).into_iter();
    let first = results.next().unwrap().err().unwrap();
    assert!(results.all(|result| result.err().as_ref() == Some(&first)));
    first
}

#[test]
fn whoever_deals_no_payee_is_named() {
    let entries = 1 + 3 * PLACES;
    let named = Abort::NotOneHot { owner: Owner(1) };
    // Twice the payment to bank 2, and minus it to bank 0: the sum is 1.
    let twice = |inputs: &mut Vec<Fr>| {
        inputs[entries + 3] = Fr::from(2u64);
        inputs[entries + 1] = -Fr::from(1u64);
        inputs[2] = Fr::from(2u64 * 1002 - 1000);
    };
    assert_eq!(refused(twice), named);
    // Nothing at all; two payees; another payee than the committed one.
    assert_eq!(refused(|inputs| inputs[entries + 3] = Fr::from(0u64)), named);
    assert_eq!(refused(|inputs| inputs[entries + 1] = Fr::from(1u64)), named);
    assert_eq!(refused(|inputs| inputs.swap(entries + 1, entries + 3)), named);
    assert_eq!(refused(|inputs| inputs[2] = Fr::from(1000u64)), named);
}

#[test]
fn a_payment_behind_nobody_ends_the_session_at_its_payer() {
    let (hidden, _) = hide(&small(), PLACES);
    let entries = 1 + 3 * PLACES;
    // The first payment is to nobody, the second to bank 0.
    let abort = refused(|inputs| {
        inputs.swap(entries, entries + 3);
        inputs.swap(entries + 4, entries + 5);
        inputs[5] = Fr::from(1000u64);
    });
    let program = hidden.until_settled().unwrap();
    match abort.cause() {
        Abort::Assertion { gate, .. } => {
            assert_eq!(hidden.refused(&program, *gate), Some(Owner(1)));
        }
        other => unreachable!("{other}"),
    }
}

#[test]
fn unchecked_payees_are_checked_as_bits_at_least() {
    let (hidden, mut inputs) = hide(&small(), PLACES);
    inputs[1][1 + 3 * PLACES + 3] = Fr::from(2u64);
    let mut committee = Committee::new(3, 1);
    let dealt = committee.compressed(&inputs, committed);
    let program = hidden.until_settled().unwrap();
    let protocol =
        move |mut shared: Shared| async move { Ok(shared.run(&program).await?.outputs.len()) };
    let results = committee.network(dealt, protocol).run().results;
    let expected = Abort::OutOfRange { owner: Owner(1), index: 1 + 3 * PLACES as u32 + 3 };
    assert!(results.into_iter().all(|result| result == Err(expected.clone())));
}
