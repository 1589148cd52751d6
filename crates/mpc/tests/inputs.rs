//! Inputs that are not what the circuit promises, or not there, are refused before anything else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod committee;

use quittance_circuit::{Builder, Circuit, Destination, Fr, Owner, evaluate};
use quittance_mpc::Shared;
use quittance_mpc::memory::Outcome;
use quittance_mpc::session::Abort;

use committee::Committee;

/// Bob has an amount and a bit, Alice an amount and anything.
fn circuit() -> Circuit {
    Builder::build("inputs", 2, |b| {
        let (alice, any) = (b.committed(Owner(0)).uint(64), b.private(Owner(0)).field());
        let (bob, bit) = (b.committed(Owner(1)).uint(64), b.private(Owner(1)).bit());
        b.output(bit.select(alice, bob).less_than(bob), Destination::Public);
        b.output(any, Destination::Public);
    })
    .unwrap()
}

fn run(inputs: [Vec<Fr>; 2], committed: [bool; 2]) -> Result<usize, Abort> {
    let results = Committee::new(3, 1).run(
        &inputs,
        |_| committed.to_vec(),
        |mut shared| async move { Ok(shared.evaluate(&circuit()).await?.outputs.len()) },
    );
    results.map(|results| results[0])
}

fn honest() -> [Vec<Fr>; 2] {
    let [five, max, one] = [5, u64::MAX, 1].map(Fr::from);
    [vec![five, -one], vec![max, one]]
}

#[test]
fn inputs_in_range_are_taken() {
    assert_eq!(run(honest(), [true, false]), Ok(2));
    // More committed than needed does no harm.
    assert_eq!(run(honest(), [true, true]), Ok(2));
}

#[test]
fn whoever_deals_out_of_range_is_named() {
    let wide = Fr::from(1u128 << 64);
    for (owner, index, value) in [
        (0, 0, wide),
        (0, 0, -Fr::from(1u64)),
        (1, 0, wide * wide * wide),
        (1, 1, Fr::from(2u64)),
        (1, 1, -Fr::from(1u64)),
    ] {
        let mut inputs = honest();
        inputs[owner][index] = value;
        let (owner, index) = (Owner(owner as u16), index as u32);
        assert_eq!(run(inputs, [true, false]), Err(Abort::OutOfRange { owner, index }));
    }
}

#[test]
fn missing_and_uncommitted_inputs_are_named() {
    let mut inputs = honest();
    inputs[1].pop();
    assert_eq!(run(inputs, [true, false]), Err(Abort::Input { owner: Owner(1), index: 1 }));
    let owner = Owner(0);
    assert_eq!(run(honest(), [false, false]), Err(Abort::Input { owner, index: 0 }));
}

#[test]
fn unchecked_inputs_cannot_be_used() {
    let results =
        Committee::new(3, 1).run(
            &honest(),
            |_| vec![true, false],
            |mut shared| async move {
                Ok(evaluate(&circuit(), &mut shared, vec![]).await?.outputs.len())
            },
        );
    let abort = results.unwrap_err();
    assert!(matches!(abort.cause(), Abort::Unsupported(_)), "{abort}");
}

/// Runs with inputs whose commitments are said to be proven within these widths.
fn run_proven(
    inputs: [Vec<Fr>; 2],
    committed: bool,
    widths: [Option<u32>; 2],
) -> (Result<usize, Abort>, u64) {
    let mut committee = Committee::new(3, 1);
    committee.proven = widths.to_vec();
    let dealt = committee.inputs(&inputs, |_| vec![true, committed]);
    let protocol =
        |mut shared: Shared| async move { Ok(shared.evaluate(&circuit()).await?.outputs.len()) };
    let Outcome { results, traffic, .. } = committee.network(dealt, protocol).run();
    let results: Result<Vec<_>, _> = results.into_iter().collect();
    (results.map(|results| results[0]), traffic[0].bytes)
}

/// What was proven is not checked again, which saves messages. That is up to who proves: nothing
/// else notices.
#[test]
fn proven_inputs_are_not_checked_again() {
    let (all, more) = run_proven(honest(), true, [None, None]);
    let (none, fewer) = run_proven(honest(), true, [Some(64), Some(1)]);
    assert_eq!((all, none), (Ok(2), Ok(2)));
    assert!(fewer < more, "{fewer} bytes, not {more}");
    let mut wrong = honest();
    wrong[1][1] = Fr::from(2u64);
    assert!(run_proven(wrong, true, [Some(64), Some(1)]).0.is_ok());
}

/// A proof covers its own input, within its width, and no value without a commitment.
#[test]
fn what_is_not_proven_is_checked_all_the_same() {
    let named = |index| Err(Abort::OutOfRange { owner: Owner(1), index });
    let with = |index: usize, value: Fr| {
        let mut inputs = honest();
        inputs[1][index] = value;
        inputs
    };
    let wide = || Fr::from(1u128 << 64);
    assert_eq!(run_proven(with(0, wide()), true, [None, Some(1)]).0, named(0));
    assert_eq!(run_proven(with(1, wide()), true, [Some(64), None]).0, named(1));
    // Proven to be within more bits than the circuit relies on.
    assert_eq!(run_proven(with(0, wide()), true, [Some(65), Some(1)]).0, named(0));
    assert_eq!(run_proven(with(1, Fr::from(2u64)), true, [Some(64), Some(2)]).0, named(1));
    // Said of an input to which nobody is committed.
    assert_eq!(run_proven(with(1, Fr::from(2u64)), false, [Some(64), Some(1)]).0, named(1));
}
