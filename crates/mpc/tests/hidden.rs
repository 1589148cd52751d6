//! Netting with hidden payees on shares: compressed dealing, the check of payees, the run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod committee;

use proptest::prelude::*;
use quittance_circuit::{Fr, Owner, Program, Run};
use quittance_circuit_library::netting::hidden::{HiddenResults, settled};
use quittance_mpc::session::Abort;
use quittance_mpc::{Inputs, Output, Shared, VectorInput};

use committee::hidden::{Scene, labels, pad};
use committee::reference::{self, Case};
use committee::{Committee, Dealt};

/// How many places each queue has.
const PLACES: usize = 4;

/// Deals, checks payees and runs. By party: outputs and the number of steps.
fn run(
    committee: &mut Committee,
    scene: &Scene,
    dealt: Vec<(Inputs, Vec<VectorInput>)>,
    program: &Program,
) -> Vec<Result<Run<Output>, Abort>> {
    committee.network_with(dealt, scene.protocol(program)).run().results
}

fn check(scene: &Scene, committee: &mut Committee) {
    let hidden = scene.hidden();
    let program = hidden.until_settled().unwrap();
    let inputs = hidden.inputs(&scene.banks()).unwrap();
    let clear = program.run_in_clear(inputs).unwrap();
    let dealt = committee.hidden(&scene.dealt());
    let runs: Vec<_> =
        run(committee, scene, dealt, &program).into_iter().map(Result::unwrap).collect();
    assert!(runs.iter().all(|run| run.steps == clear.steps));
    let outputs: Vec<_> = runs.into_iter().map(|run| run.outputs).collect();
    let outputs = committee.combine(&outputs);
    assert_eq!(outputs, clear.outputs, "{scene:?}");
    check_results(scene, &hidden.results(outputs).unwrap());
}

fn check_results(scene: &Scene, results: &HiddenResults<Fr>) {
    check_against(scene, results, &reference::one_by_one(&scene.plain(), |_| 0));
}

fn check_against(scene: &Scene, results: &HiddenResults<Fr>, prefixes: &[usize]) {
    let plain = scene.plain();
    let nets = plain.nets(prefixes);
    for (bank, found) in results.banks.iter().enumerate() {
        for (place, notice) in found.notices.iter().enumerate() {
            let says = settled(*notice, pad(scene.roster[bank], place));
            assert_eq!(says, Some(place < prefixes[bank]), "{scene:?}");
        }
        assert_eq!(found.inflow, Fr::from(plain.inflow(bank, prefixes)));
        let size = Fr::from(nets[bank].unsigned_abs());
        assert_eq!(found.net, if nets[bank] < 0 { -size } else { size });
    }
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..6u64, 2 => 0..1000u64, 1 => any::<u64>(), 1 => u64::MAX - 2..=u64::MAX]
}

/// Two to four banks, of which two or more take part.
fn scene() -> impl Strategy<Value = Scene> {
    (2..=4usize, any::<u8>()).prop_flat_map(|(banks, part)| {
        let queue = prop::collection::vec((1..banks, amount()), 0..=PLACES);
        let liquidity = prop_oneof![3 => Just(0), 5 => amount()];
        let bank = (liquidity, queue);
        prop::collection::vec(bank, banks).prop_map(move |cases| {
            let (liquidity, mut queues): (Vec<_>, Vec<Vec<_>>) = cases.into_iter().unzip();
            // The strategy gives a distance, so that nobody pays itself.
            for (payer, queue) in queues.iter_mut().enumerate() {
                queue.iter_mut().for_each(|(to, _)| *to = (*to + payer) % banks);
            }
            let mut roster: Vec<_> = (0..banks).filter(|bank| part >> bank & 1 == 1).collect();
            if roster.len() < 2 {
                roster = (0..banks).collect();
            }
            Scene { case: Case { liquidity, queues }, places: PLACES, roster }
        })
    })
}

/// By a committee of three or of five.
fn check_with(scene: &Scene, seed: u64, five: bool) {
    let mut committee = if five { Committee::new(5, 2) } else { Committee::new(3, 1) };
    committee.seed = seed >> 1;
    check(scene, &mut committee);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn shares_agree_with_the_reference(scene in scene(), seed in any::<u64>(), five in 0..4u8) {
        check_with(&scene, seed, five == 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    #[ignore = "minutes"]
    fn three_parties_agree_with_the_reference_in_many_cases(
        scene in scene(),
        seed in any::<u64>(),
    ) {
        check_with(&scene, seed, false);
    }

    #[test]
    #[ignore = "minutes"]
    fn five_parties_agree_with_the_reference_in_many_cases(
        scene in scene(),
        seed in any::<u64>(),
    ) {
        check_with(&scene, seed, true);
    }
}

/// So many banks with full queues, and liquidity for about a tenth of what they pay.
fn check_large(banks: usize, places: usize) {
    let scene = Scene::whole(committee::large(banks, places, 10), places);
    let hidden = scene.hidden();
    let program = hidden.until_settled().unwrap();
    let mut committee = Committee::new(3, 1);
    let dealt = committee.hidden(&scene.dealt());
    let runs = run(&mut committee, &scene, dealt, &program);
    let outputs: Vec<_> = runs.into_iter().map(|run| run.unwrap().outputs).collect();
    let results = hidden.results(committee.combine(&outputs)).unwrap();
    let (prefixes, _) = reference::in_parallel(&scene.case);
    assert!(prefixes.iter().any(|&k| k > 0) && prefixes.iter().any(|&k| k < places));
    check_against(&scene, &results, &prefixes);
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

/// What was dealt for four banks serves for three of them, as in an attempt that leaves one out.
#[test]
fn the_same_dealing_serves_for_a_smaller_roster() {
    let queues = vec![
        vec![(1, 5), (3, 1), (1, 1)],
        vec![(2, 7), (0, 2)],
        vec![(0, 6), (3, 2)],
        vec![(0, 1)],
    ];
    let scene = Scene::whole(Case { liquidity: vec![5, 2, 0, 1], queues }, PLACES);
    let smaller = Scene { roster: vec![0, 1, 2], ..scene.clone() };
    let all = scene.dealt();
    for (one, other) in smaller.dealt().iter().zip(&all) {
        assert_eq!((&one.inputs, &one.vectors), (&other.inputs, &other.vectors));
    }
    check_with(&scene, 1, false);
    check_with(&smaller, 1, false);
}

fn small() -> Scene {
    let queues = vec![vec![(1, 5)], vec![(2, 7)], vec![(0, 1)]];
    Scene::whole(Case { liquidity: vec![5, 0, 0], queues }, PLACES)
}

/// What all parties say of a dealing where bank 1 has dealt something else.
fn refused(change: impl Fn(&mut Dealt)) -> Abort {
    let scene = small();
    let mut dealt = scene.dealt();
    change(&mut dealt[1]);
    let mut committee = Committee::new(3, 1);
    let dealt = committee.hidden(&dealt);
    let program = scene.hidden().until_settled().unwrap();
    let mut results = run(&mut committee, &scene, dealt, &program).into_iter();
    let first = results.next().unwrap().err().unwrap();
    assert!(results.all(|result| result.err().as_ref() == Some(&first)));
    first
}

#[test]
fn whoever_deals_no_payee_is_named() {
    let named = Abort::NotOneHot { owner: Owner(1) };
    // Twice the payment to bank 2, and minus it to bank 0: the sum is 1.
    let twice = |dealt: &mut Dealt| {
        let (index, entries) = &mut dealt.vectors[0];
        entries[3] = Fr::from(2u64);
        entries[1] = -Fr::from(1u64);
        *index = Fr::from(2u64 * 1002 - 1000);
    };
    assert_eq!(refused(twice), named);
    // Nothing at all; two payees; another payee than the committed one; nobody, with a payee
    // committed to, and the other way round; padding with an index that nobody has.
    assert_eq!(refused(|dealt| dealt.vectors[0].1[3] = Fr::from(0u64)), named);
    assert_eq!(refused(|dealt| dealt.vectors[0].1[1] = Fr::from(1u64)), named);
    assert_eq!(refused(|dealt| dealt.vectors[0].1.swap(1, 3)), named);
    assert_eq!(refused(|dealt| dealt.vectors[0].0 = Fr::from(1000u64)), named);
    assert_eq!(refused(|dealt| dealt.vectors[0].1.swap(0, 3)), named);
    assert_eq!(refused(|dealt| dealt.vectors[0].0 = Fr::from(0u64)), named);
    assert_eq!(refused(|dealt| dealt.vectors[3].0 = Fr::from(7u64)), named);
}

/// A payment behind padding: the queue ends before it, and the session does not.
#[test]
fn a_payment_behind_padding_is_as_none() {
    let mut scene = small();
    scene.case.queues[1] = vec![(2, 7), (0, 3)];
    let mut dealt = scene.dealt();
    dealt[1].vectors.swap(0, 3);
    dealt[1].inputs.swap(1, 7);
    let mut committee = Committee::new(3, 1);
    let dealt = committee.hidden(&dealt);
    let program = scene.hidden().until_settled().unwrap();
    let runs = run(&mut committee, &scene, dealt, &program);
    let outputs: Vec<_> = runs.into_iter().map(|run| run.unwrap().outputs).collect();
    let results = scene.hidden().results(committee.combine(&outputs)).unwrap();
    for (place, notice) in results.banks[1].notices.iter().enumerate() {
        assert_eq!(settled(*notice, pad(1, place)), Some(false));
    }
    assert_eq!(results.banks[2].inflow, Fr::from(0u64));
}

/// The circuit takes nothing for a bit that was not checked; and what is kept twice is no bit.
#[test]
fn unchecked_vectors_are_no_inputs() {
    let scene = small();
    let program = scene.hidden().until_settled().unwrap();
    let mut committee = Committee::new(3, 1);
    let dealt = committee.hidden(&scene.dealt());
    let of_program = program.clone();
    let unchecked = move |mut shared: Shared, _: Vec<VectorInput>| async move {
        Ok(shared.run(&of_program).await?.steps)
    };
    let results = committee.network_with(dealt.clone(), unchecked).run().results;
    let missing = Abort::Input { owner: Owner(0), index: 1 + 2 * PLACES as u32 };
    assert!(results.into_iter().all(|result| result == Err(missing.clone())));

    for kept in [vec![1, 2, 2], vec![1, 2, 4]] {
        let twice = move |mut shared: Shared, vectors: Vec<VectorInput>| async move {
            shared.check_one_hot(&vectors, &labels(3), &kept).await
        };
        let results = committee.network_with(dealt.clone(), twice).run().results;
        assert!(results.iter().all(|result| matches!(result, Err(Abort::Unsupported(_)))));
    }
    let loose = move |mut shared: Shared, mut vectors: Vec<VectorInput>| async move {
        vectors[1].index.committed = false;
        shared.check_one_hot(&vectors, &labels(3), &[1, 2, 3]).await
    };
    let results = committee.network_with(dealt, loose).run().results;
    assert!(results.iter().all(|result| matches!(result, Err(Abort::Unsupported(_)))));
}
