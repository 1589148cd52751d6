//! Fiat-Shamir: whatever is absorbed changes every challenge that is drawn after it.

use super::super::protocol::{self, Challenges, Claim};
use super::*;
use crate::field::{Scalar, to_field};
use crate::group::value_base;
use crate::transcript::Transcript;

/// The challenges in the order in which they are drawn.
fn ordered(Challenges { y, z, x, w, u, last }: Challenges) -> Vec<crate::field::Fr> {
    [&[y, z, x, w], &u[..], &[to_field(&last)]].concat()
}

/// Changes a word of the proof to another point or scalar.
fn changed(sample: &Sample, place: usize, element: Element) -> Sample {
    sample.with_bytes(|bytes| {
        let word: &mut [u8; 32] = (&mut bytes[32 * place..32 * (place + 1)]).try_into().unwrap();
        *word = match is_scalar(element) {
            true => (Scalar::from_canonical_bytes(*word).unwrap() + Scalar::ONE).to_bytes(),
            false => (crate::group::Point::decompress(word).unwrap() + value_base()).compress(),
        };
    })
}

fn challenges(sample: &Sample) -> Vec<crate::field::Fr> {
    ordered(Claim::new(&sample.context, &sample.commitments, &sample.proof).unwrap().challenges)
}

/// `before` challenges are equal, all the rest differ.
fn assert_diverges(what: &str, changed: &Sample, before: usize) {
    let (original, changed) = (challenges(Sample::valid()), challenges(changed));
    assert_eq!(original[..before], changed[..before], "{what}");
    for k in before..original.len() {
        assert_ne!(original[k], changed[k], "{what}: challenge {k}");
    }
}

#[test]
fn each_element_of_the_proof_changes_each_later_challenge() {
    for (place, element) in layout().into_iter().enumerate() {
        let before = match element {
            Element::A | Element::S => 0,
            Element::T1 | Element::T2 => 2,
            Element::Tx | Element::TxBlinding | Element::EBlinding => 3,
            Element::L(k) | Element::R(k) => 4 + k,
            Element::LastA | Element::LastB => 10,
        };
        let sample = changed(Sample::valid(), place, element);
        assert_diverges(&element.to_string(), &sample, before);
    }
}

#[test]
fn context_and_commitments_change_every_challenge() {
    let sample = Sample { context: context("other"), ..Sample::valid().clone() };
    assert_diverges("context", &sample, 0);
    let commitments = vec![Opening::random(5, &mut rng(30)).commit()];
    assert_diverges("V", &Sample { commitments, ..Sample::valid().clone() }, 0);
}

#[test]
fn each_place_of_the_statement_changes_every_challenge() {
    let sample = Sample::new(&[1, 2, 3], &mut rng(31));
    let original = challenges(&sample);
    for place in 0..4 {
        let mut commitments = sample.commitments.clone();
        commitments.resize(4, Commitment::identity());
        commitments[place] = Opening::random(9, &mut rng(32)).commit();
        let changed = challenges(&Sample { commitments, ..sample.clone() });
        assert!(original.iter().zip(&changed).all(|(a, b)| a != b), "{place}");
    }
}

/// What the verifier sets itself is absorbed too: generators, bit length, aggregation, and the
/// names of the protocols.
#[test]
fn each_parameter_changes_every_challenge() {
    let challenge = |omitted: Option<&'static [u8]>| {
        let mut transcript = Transcript::new(b"quittance/v1/range-proof");
        transcript.omitted = omitted;
        transcript.append(b"generators", &GENERATORS);
        transcript.append(b"context", &context("sample"));
        protocol::absorb_statement(&mut transcript, &[Commitment::identity()], 1);
        transcript.challenge(b"y")
    };
    let labels: [&[u8]; 6] = [b"generators", b"context", b"dom-sep", b"n", b"m", b"V"];
    for label in labels {
        assert_ne!(challenge(Some(label)), challenge(None));
    }
    let of_crate = protocol::transcript(&context("sample"));
    let mut transcript = of_crate;
    protocol::absorb_statement(&mut transcript, &[Commitment::identity()], 1);
    assert_eq!(transcript.challenge(b"y"), challenge(None));
}
