use ark_ff::AdditiveGroup;

use super::*;
use crate::engine::tests::{binding, network};
use crate::memory::Outcome;
use crate::shamir::lagrange;

const DEALER: Owner = Owner(3);

/// A vector and the index that its dealer is committed to.
type Vector = (Vec<Fr>, Fr);

fn vector<const K: usize>(entries: [i64; K], index: i64) -> Vector {
    (entries.map(Fr::from).to_vec(), Fr::from(index))
}

/// Labels 10, 11, ...
fn labels(count: i64) -> Vec<Fr> {
    (0..count).map(|k| Fr::from(10 + k)).collect()
}

/// Checks two dealers: one with a good vector, and one with these. `change` is added to the share
/// of the second dealer's first entry that the party of this number holds.
fn check_on(
    committee: (u8, u8),
    vectors: &[Vector],
    labels: &[Fr],
    change: Option<u8>,
) -> Outcome<Vec<bool>> {
    let mut good = vec![Fr::ZERO; labels.len()];
    good[0] = Fr::ONE;
    let good = (good, labels[0]);
    let all: Vec<_> = [&good].into_iter().chain(vectors).cloned().collect();
    let secrets: Vec<_> =
        all.iter().flat_map(|(entries, index)| entries.iter().chain([index])).copied().collect();
    let labels = labels.to_vec();
    let protocol = move |mut engine: Engine, mut shares: Vec<Share>| async move {
        if change == Some(engine.me().number()) {
            shares[labels.len() + 1].0 += Fr::ONE;
        }
        let mut vectors = shares.chunks(labels.len() + 1).map(|shares| {
            let (index, entries) = shares.split_last().unwrap();
            OneHot { entries: entries.iter().collect(), index }
        });
        let first = vectors.next().into_iter().collect();
        let dealers = [(Owner(0), first), (DEALER, vectors.collect())];
        engine.one_hot(&dealers, &labels).await
    };
    network(&binding(committee.0, committee.1), &secrets, protocol).run()
}

fn sound(vectors: &[Vector], labels: &[Fr]) -> bool {
    let verdicts = [(3, 1), (5, 2)].map(|committee| {
        let results = check_on(committee, vectors, labels, None).results;
        let first = results[0].clone().unwrap();
        assert!(results.iter().all(|result| result.as_ref() == Ok(&first)));
        assert_eq!(first.len(), 2);
        assert!(first[0], "the other dealer's vector is good");
        first[1]
    });
    assert_eq!(verdicts[0], verdicts[1]);
    verdicts[0]
}

#[test]
fn one_hot_vectors_at_the_committed_place_pass() {
    for length in 1..=5 {
        for place in 0..length {
            let entries = (0..length).map(|k| Fr::from(u64::from(k == place))).collect();
            let vector = (entries, Fr::from(10 + place));
            assert!(sound(&[vector.clone(), vector], &labels(length)));
        }
    }
    assert!(sound(&[], &labels(3)));
}

/// By attack: which of square, sum and index is not as it should be, in the clear.
fn violated((entries, index): &Vector, labels: &[Fr]) -> [bool; 3] {
    let r = Fr::from(0x1234_5678_9abc_def1u64);
    let powers = || std::iter::successors(Some(Fr::ONE), move |power| Some(*power * r));
    let at: Fr = entries.iter().zip(powers()).map(|(e, power)| power * e).sum();
    let squares: Fr = entries.iter().zip(powers().step_by(2)).map(|(e, power)| power * e).sum();
    let sum: Fr = entries.iter().sum();
    let label: Fr = entries.iter().zip(labels).map(|(e, label)| label * e).sum();
    [at * at != squares, sum != Fr::ONE, label != *index]
}

/// Each attack violates exactly one of the three equations: without it, it would pass.
#[test]
fn each_equation_is_needed() {
    let labels = labels(3);
    // (2, -1, 0) has the sum 1, and the index 2 * 10 - 11.
    let squares = [vector([2, -1, 0], 9), vector([0, 3, -2], 9), vector([1, -1, 1], 11)];
    let sums = [vector([0, 0, 0], 0)];
    let indices = [vector([0, 1, 0], 10), vector([1, 0, 0], 0)];
    let attacks = [
        (&squares[..], [true, false, false]),
        (&sums[..], [false, true, false]),
        (&indices[..], [false, false, true]),
    ];
    for (vectors, expected) in attacks {
        for attack in vectors {
            assert_eq!(violated(attack, &labels), expected, "{attack:?}");
            assert!(!sound(std::slice::from_ref(attack), &labels), "{attack:?}");
            // Among good ones, wherever it stands.
            let good = vector([0, 0, 1], 12);
            assert!(!sound(&[attack.clone(), good.clone()], &labels));
            assert!(!sound(&[good.clone(), attack.clone(), good], &labels));
        }
    }
}

#[test]
fn errors_of_two_vectors_do_not_cancel() {
    let labels = labels(2);
    // The sums are 2 and 0, the indices off by one in both directions.
    assert!(!sound(&[vector([1, 1], 10), vector([0, 0], 10)], &labels));
    assert!(!sound(&[vector([1, 0], 11), vector([0, 1], 10)], &labels));
    let half = Fr::from(2u64).inverse().unwrap();
    assert!(!sound(&[(vec![half, half], Fr::from(10u64))], &labels));
    assert!(!sound(&[vector([2, -1], 9), vector([-1, 2], 12)], &labels));
}

#[test]
fn vectors_of_another_length_are_refused() {
    let protocol = |mut engine: Engine, shares: Vec<Share>| async move {
        let vector = OneHot { entries: vec![&shares[0]], index: &shares[1] };
        engine.one_hot(&[(DEALER, vec![vector])], &labels(2)).await
    };
    let secrets = [Fr::ONE, Fr::ONE];
    let results = network(&binding(3, 1), &secrets, protocol).run().results;
    assert!(results.iter().all(|result| matches!(result, Err(Abort::Unsupported(_)))));
}

/// A party that lies about its shares is not told from others, and no dealer is blamed.
#[test]
fn a_party_that_lies_blames_no_dealer() {
    for (n, t) in [(3, 1), (5, 2)] {
        for liar in 1..=n {
            let good = vector([0, 1], 11);
            let results = check_on((n, t), &[good], &labels(2), Some(liar)).results;
            for (party, result) in (1..).zip(results) {
                let error = result.unwrap_err();
                assert!(matches!(error, Abort::WrongProduct { .. } | Abort::Inconsistent { .. }));
                assert_eq!(error.culprit(), None, "{party}");
            }
        }
    }
}

/// A party that adds an error to the one product of a bad dealer, for the residual to vanish, does
/// not know by how much before r is known, and is found if it does anyway.
#[test]
fn a_lie_in_the_product_is_found() {
    let protocol = |mut engine: Engine, shares: Vec<Share>| async move {
        let vector = OneHot { entries: vec![&shares[0], &shares[1]], index: &shares[2] };
        if engine.me().number() == 1 {
            let points: Vec<_> = engine.parties().ids().map(|id| id.point()).collect();
            let weight = lagrange(&points, Fr::ZERO)[0].inverse().unwrap();
            // The confirmation and r come before.
            let exchange = engine.session.next_exchange() + 2;
            engine.lies.insert((exchange, 0), weight);
        }
        engine.one_hot(&[(DEALER, vec![vector])], &labels(2)).await
    };
    let secrets = [Fr::ONE, Fr::ZERO, Fr::from(10u64)];
    let results = network(&binding(3, 1), &secrets, protocol).run().results;
    assert!(results.iter().all(|result| matches!(result, Err(Abort::WrongProduct { .. }))));
}

#[test]
fn what_is_sent_does_not_depend_on_the_number_of_vectors() {
    let bytes = [1, 50].map(|count| {
        let vectors = vec![vector([0, 1], 11); count];
        check_on((3, 1), &vectors, &labels(2), None).traffic[0].bytes
    });
    // But for the check of products, by the logarithm of their number.
    assert!(bytes[1] < bytes[0] + 2048, "{bytes:?}");
}
