//! Committees of more than 2t + 1 parties: any 2t + 1 of them compute on the same dealings.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod committee;

use quittance_circuit::{Builder, Circuit, Destination, Fr, Owner};
use quittance_mpc::session::{Abort, Kind};
use quittance_mpc::{Output, Parties, Shared};

use committee::Committee;

/// Whose number is larger, their product for the first owner, and two commitments.
fn circuit() -> Circuit {
    Builder::build("slack", 2, |b| {
        let left = b.committed(Owner(0)).uint(64);
        let right = b.committed(Owner(1)).uint(64);
        b.output(left.less_than(right), Destination::Public);
        b.output(left * right, Destination::Owner(Owner(0)));
        b.output(left, Destination::Commitment { owner: Owner(0), group: 0 });
        b.output(right, Destination::Commitment { owner: Owner(1), group: 0 });
    })
    .unwrap()
}

const COMMITTEES: [(usize, u8); 3] = [(4, 1), (5, 1), (7, 2)];

fn values() -> [Fr; 2] {
    [Fr::from(41u64), Fr::from(1u64 << 40)]
}

fn expected() -> Vec<Fr> {
    let [left, right] = values();
    vec![Fr::from(1u64), left * right, left, right]
}

async fn compute(mut shared: Shared) -> Result<Vec<Output>, Abort> {
    Ok(shared.evaluate(&circuit()).await?.outputs)
}

#[test]
fn any_2t_plus_1_parties_compute_on_the_same_dealings() {
    for (n, t) in COMMITTEES {
        let mut committee = Committee::new(n, t);
        let dealt = committee.inputs(&values().map(|value| vec![value]), |_| vec![true]);
        let mut sessions = vec![];
        for active in Parties::new(n, t).unwrap().choices() {
            committee.active = active;
            sessions.push(committee.binding().session());
            let results = committee.network(dealt.clone(), compute).run().results;
            let outputs: Vec<_> = results.into_iter().map(Result::unwrap).collect();
            assert_eq!(outputs.len(), active.count());
            assert_eq!(committee.combine(&outputs), expected(), "{active:?}");
        }
        let count = sessions.len();
        sessions.sort();
        sessions.dedup();
        assert_eq!(sessions.len(), count, "each set of active parties has its own session");
    }
}

/// What one party spoils, others complete: on the same dealings, without it.
#[test]
fn a_session_that_failed_is_run_again_without_the_party_at_fault() {
    for (n, t) in COMMITTEES {
        for kind in [Kind::Commit, Kind::Reveal, Kind::Multiply, Kind::Open, Kind::BinaryProduct] {
            if t > 1 && kind == Kind::BinaryProduct {
                continue;
            }
            let parties = Parties::new(n, t).unwrap();
            let mut committee = Committee::new(n, t);
            let dealt = committee.inputs(&values().map(|value| vec![value]), |_| vec![true]);
            let garbage = |mut frame: quittance_mpc::session::Frame| {
                if frame.from == 2 && frame.kind == kind {
                    frame.payload.push(0);
                }
                vec![frame]
            };
            let network = committee.network(dealt.clone(), compute);
            let results = network.interfering(garbage).run().results;
            let named = |result: &Result<_, Abort>| {
                let culprit = result.as_ref().err().and_then(Abort::culprit);
                culprit.is_some_and(|party| party.number() == 2)
            };
            assert!(results.iter().any(named), "{kind}");
            assert!(
                results.iter().enumerate().all(|(place, result)| place == 1 || result.is_err())
            );

            let without = parties.choices().find(|active| active.id(2).is_none());
            committee.active = without.unwrap();
            let results = committee.network(dealt, compute).run().results;
            let outputs: Vec<_> = results.into_iter().map(Result::unwrap).collect();
            assert_eq!(committee.combine(&outputs), expected());
        }
    }
}

/// A liar is silent towards one party from some exchange on. That party misses it there; all others
/// have what both have sent in that exchange, and miss the victim in the next one. So the first to be
/// missed is the liar, and the numbers of honest parties differ by one: coordinators rely on it.
#[test]
fn a_silent_liar_is_missed_an_exchange_before_its_victim_is() {
    for (n, t) in [(4, 1), (7, 2)] {
        let mut committee = Committee::new(n, t);
        let dealt = committee.inputs(&values().map(|value| vec![value]), |_| vec![true]);
        let active = committee.active;
        for (liar, victim) in
            active.ids().flat_map(|liar| active.others(liar).map(move |v| (liar, v)))
        {
            for silent_from in [0, 1, 5, 12] {
                let network = committee.network(dealt.clone(), compute).interfering(|frame| {
                    let whose = (frame.from, frame.to) == (liar.number(), victim.number());
                    if whose && frame.exchange >= silent_from { vec![] } else { vec![frame] }
                });
                let outcome = network.run();
                let ends = active.ids().zip(&outcome.results).zip(&outcome.traffic);
                for ((id, result), traffic) in ends.filter(|((id, _), _)| *id != liar) {
                    let Err(abort) = result else { panic!("{id} has a result") };
                    let Abort::Ended { missing } = abort.cause() else { panic!("{abort}") };
                    let expected = match id == victim {
                        true => (silent_from, liar),
                        false => (silent_from + 1, victim),
                    };
                    let found = (traffic.exchanges - 1, missing.contains(&expected.1));
                    assert_eq!(found, (expected.0, true), "{liar} {victim} {id}: {missing:?}");
                }
            }
        }
    }
}
