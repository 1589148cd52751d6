use std::collections::{BTreeMap, BTreeSet};

use ark_ff::{AdditiveGroup, Field};
use quittance_crypto::field::Fr;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use super::field::Gf;
use super::*;
use crate::engine::LessThan;
use crate::engine::tests::{binding, network};
use crate::memory::Outcome;
use crate::session::Frame;
use crate::share::Share;

/// Compares numbers of 5 bits, two at a time, and opens the first result.
fn compare(
    liar: u8,
    flips: BTreeSet<(u32, usize)>,
    outcome: impl FnMut(Frame) -> Vec<Frame>,
) -> Outcome<Vec<Fr>> {
    let secrets = [Fr::from(12u64), Fr::from(13u64)];
    let protocol = move |mut engine: Engine, shares: Vec<Share>| async move {
        if engine.me().number() == liar {
            engine.flips = flips;
        }
        let [left, right] = &shares[..] else { unreachable!() };
        let batch = [(left, right), (right, left)];
        let batch = batch.map(|(left, right)| LessThan { left, right, bits: 5 });
        let less = engine.less_than(&batch).await?;
        engine.open(&[&less[0]]).await
    };
    network(&binding(3, 1), &secrets, protocol).interfering(outcome).run()
}

fn is_wrong_product<T>(result: &Result<T, Abort>) -> bool {
    matches!(result, Err(Abort::WrongProduct { .. }))
}

#[test]
fn random_comparisons_are_those_of_plain_integers() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut cases = vec![];
    for case in 0..1000u32 {
        let bits = 1 + case % 128;
        let number = |rng: &mut ChaCha20Rng| {
            (u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())) >> (128 - bits)
        };
        let left = number(&mut rng);
        // Every third pair is close together.
        let right = match case % 3 {
            0 => left ^ u128::from(rng.next_u32() & 1),
            _ => number(&mut rng),
        };
        cases.push((left, right, bits));
    }
    let secrets: Vec<_> = cases.iter().flat_map(|&(a, b, _)| [Fr::from(a), Fr::from(b)]).collect();
    let widths: Vec<_> = cases.iter().map(|&(_, _, bits)| bits).collect();
    let outcome = network(&binding(3, 1), &secrets, move |mut engine, shares| async move {
        // Half of them with masks made in advance.
        let prepared: Vec<_> = (1..=128).map(|bits| (bits, 4)).collect();
        engine.prepare_comparisons(&prepared).await?;
        let pairs = shares.chunks_exact(2).zip(widths);
        let batch = pairs.map(|(pair, bits)| LessThan { left: &pair[0], right: &pair[1], bits });
        let results = engine.less_than(&batch.collect::<Vec<_>>()).await?;
        engine.open(&results.iter().collect::<Vec<_>>()).await
    })
    .run();
    let expected: Vec<_> = cases.iter().map(|(a, b, _)| Fr::from(u64::from(a < b))).collect();
    assert!(outcome.results.iter().all(|result| result.as_ref() == Ok(&expected)));
}

#[test]
fn masks_serve_once_and_are_made_when_they_are_missing() {
    let secrets = [Fr::from(3u64), Fr::from(4u64)];
    let outcome = network(&binding(3, 1), &secrets, |mut engine, shares| async move {
        let [left, right] = &shares[..] else { unreachable!() };
        let one = || LessThan { left, right, bits: 64 };
        engine.prepare_comparisons(&[(64, 100), (64, 30), (8, 1)]).await?;
        let mut ready = vec![engine.masks[&64].len(), engine.masks[&8].len()];
        assert!(engine.unchecked_bits.is_empty() && engine.unchecked.is_empty());
        let mut results = vec![];
        for count in [1, 63, 64, 10] {
            let batch: Vec<_> = (0..count).map(|_| one()).collect();
            results.extend(engine.less_than(&batch).await?);
            ready.push(engine.masks[&64].len());
        }
        let opened = engine.open(&results.iter().collect::<Vec<_>>()).await?;
        Ok((ready, opened))
    })
    .run();
    let expected = Ok((vec![130, 1, 129, 66, 2, 0], vec![Fr::ONE; 138]));
    assert!(outcome.results.iter().all(|result| *result == expected));
}

/// Every bit that stands for a product of bits, in preparing and comparing, and a bit of every
/// element of the checks, wrong one after the other, at each party.
#[test]
fn a_lie_in_any_product_of_bits_is_found_also_in_those_of_the_check() {
    let mut sent = BTreeMap::new();
    let outcome = compare(0, BTreeSet::new(), |frame| {
        let products = [Kind::BinaryProduct, Kind::CheckProduct].contains(&frame.kind);
        // Of a check, what party 1 sends party 2 ends with the elements.
        if products && (frame.from, frame.to) == (1, 2) && !frame.payload.is_empty() {
            sent.insert(frame.exchange, (frame.kind, frame.payload.len()));
        }
        vec![frame]
    });
    assert!(outcome.results.iter().all(|result| *result == Ok(vec![Fr::ONE])));
    let (mut tried, mut padding) = (0, 0);
    for (exchange, (kind, length)) in sent {
        let places: Vec<_> = match kind {
            Kind::CheckProduct => {
                (0..length / size_of::<Gf>()).map(|k| 128 * k + 37 * k % 128).collect()
            }
            _ => (0..8 * length).collect(),
        };
        for place in places {
            for liar in 1..=3u8 {
                let flips = BTreeSet::from([(exchange, place)]);
                let results = compare(liar, flips, |frame| vec![frame]).results;
                let honest = usize::from(liar) % 3;
                if matches!(results[honest], Err(Abort::Malformed { .. })) {
                    padding += 1;
                } else {
                    assert!(results.iter().all(is_wrong_product), "{liar} {exchange} {place}");
                    tried += 1;
                }
            }
        }
    }
    // 10, 16 and 6 bits to prepare, 6 and 2 in the tree; two checks of 126 and 1 elements.
    assert_eq!((tried, padding), (3 * (40 + 2 * 127), 3 * (6 + 2 + 2 + 6)));
}

/// Long enough for claims that are compressed more than once.
#[test]
fn one_wrong_product_among_many_is_found() {
    for (count, place) in [(1, 0), (16, 15), (17, 16), (700, 0), (40_000, 39_999), (40_000, 12_345)]
    {
        for liar in [0, 2] {
            let protocol = move |mut engine: Engine, _: Vec<Share>| async move {
                if engine.me().number() == liar {
                    engine.flips.insert((engine.session.next_exchange(), place));
                }
                let [left, right] = [(); 2].map(|()| random_bits(&mut engine, count));
                let mut gates = Gates::with_capacity(count);
                gates.push(&left, &right);
                let product = engine.and(gates).await?.take(count);
                engine.check().await?;
                let opened = [&left, &right, &product].map(Clone::clone);
                let mut bits = vec![];
                for shared in &opened {
                    bits.push(engine.open_bits(shared).await?);
                }
                Ok(bits[0].and(&bits[1]).words() == bits[2].words())
            };
            let results = network(&binding(3, 1), &[], protocol).run().results;
            match liar {
                0 => assert!(results.iter().all(|result| *result == Ok(true)), "{results:?}"),
                _ => assert!(results.iter().all(is_wrong_product), "{count} {place}"),
            }
        }
    }
}

#[test]
fn holders_who_disagree_end_an_opening() {
    let links = [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)];
    let kinds = [Kind::BinaryOpen, Kind::CheckOpen];
    for (kind, (from, to)) in kinds.iter().flat_map(|kind| links.map(|link| (*kind, link))) {
        let outcome = compare(0, BTreeSet::new(), |mut frame| {
            if (frame.kind, frame.from, frame.to) == (kind, from, to) {
                *frame.payload.last_mut().unwrap() ^= 1;
            }
            vec![frame]
        });
        let result = &outcome.results[usize::from(to) - 1];
        assert!(matches!(result, Err(Abort::Inconsistent { .. })), "{from} {to}: {result:?}");
    }
}

/// A party that keeps another one waiting for its part of a product learns nothing of the random
/// elements of the check in the meantime.
#[test]
fn no_random_element_of_a_check_is_shown_before_all_have_all_products() {
    let mut shown = false;
    let protocol = |mut engine: Engine, _| async move {
        let [left, right] = [(); 2].map(|()| random_bits(&mut engine, 100));
        let mut gates = Gates::with_capacity(100);
        gates.push(&left, &right);
        engine.and(gates).await?;
        engine.check().await
    };
    let outcome = network(&binding(3, 1), &[], protocol)
        .interfering(|frame| {
            shown |= frame.kind == Kind::CheckOpen;
            match (frame.kind, frame.from, frame.to) {
                (Kind::BinaryProduct, 1, 2) => vec![],
                _ => vec![frame],
            }
        })
        .run();
    assert!(!shown && outcome.results.iter().all(Result::is_err));
}

fn random_bits(engine: &mut Engine, count: usize) -> Bits {
    let words = engine.keys.random_words(count.div_ceil(64));
    let string = |words| BitString::from_words(words, count);
    Bits { next: string(words.next), last: string(words.last) }
}

#[test]
fn messages_of_the_wrong_length_name_their_sender() {
    for (kind, from, to) in [
        (Kind::BinaryProduct, 3, 1),
        (Kind::BinaryProduct, 3, 2),
        (Kind::BinaryOpen, 3, 1),
        (Kind::BinaryOpen, 3, 2),
        (Kind::CheckProduct, 3, 1),
        (Kind::CheckProduct, 3, 2),
        (Kind::CheckOpen, 3, 1),
        (Kind::CheckOpen, 3, 2),
    ] {
        let outcome = compare(0, BTreeSet::new(), |mut frame| {
            if (frame.kind, frame.from, frame.to) == (kind, from, to) {
                frame.payload.push(0);
            }
            vec![frame]
        });
        let error = outcome.results[to as usize - 1].as_ref().unwrap_err();
        assert!(matches!(error, Abort::Malformed { kind: found, .. } if *found == kind), "{error}");
        assert_eq!(error.culprit().map(PartyId::number), Some(3));
    }
}

/// What a party is sent for bits is as often 1 as 0, whatever is compared.
#[test]
fn messages_for_bits_are_even_for_all_inputs() {
    for (left, right) in [(0u64, 0), (0, (1 << 20) - 1), ((1 << 20) - 1, 0)] {
        let secrets = [Fr::from(left), Fr::from(right)];
        let outcome = network(&binding(3, 1), &secrets, |mut engine, shares| async move {
            let [left, right] = &shares[..] else { unreachable!() };
            // 64 of them fill whole words.
            let batch: Vec<_> = (0..64).map(|_| LessThan { left, right, bits: 20 }).collect();
            engine.less_than(&batch).await?;
            engine.check().await
        })
        .recording()
        .run();
        assert!(outcome.results.iter().all(Result::is_ok));
        for view in &outcome.views {
            for kinds in [
                &[Kind::BinaryProduct][..],
                &[Kind::CheckProduct],
                &[Kind::BinaryOpen, Kind::CheckOpen],
            ] {
                let payloads = view.iter().filter(|it| kinds.contains(&it.kind));
                let payloads = payloads.map(|it| &it.payload);
                let bytes: Vec<_> = payloads.flat_map(|payload| payload.to_vec()).collect();
                let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
                let bits = 8.0 * bytes.len() as f64;
                let deviation = (f64::from(ones) - bits / 2.0) / (bits / 4.0).sqrt();
                // Openings come twice, from both holders, which doubles the variance.
                assert!(
                    bits > 2000.0 && deviation.abs() < 5.0 * 2f64.sqrt(),
                    "{kinds:?}: {deviation}"
                );
            }
        }
    }
}

#[test]
fn a_comparison_costs_half_a_kilobyte() {
    let secrets = [Fr::from(3u64), Fr::ZERO];
    let outcome = network(&binding(3, 1), &secrets, |mut engine, shares| async move {
        let before = engine.traffic();
        let [left, right] = &shares[..] else { unreachable!() };
        let batch: Vec<_> = (0..2000).map(|_| LessThan { left, right, bits: 64 }).collect();
        engine.less_than(&batch).await?;
        engine.check().await?;
        Ok(engine.traffic().bytes - before.bytes)
    })
    .run();
    let bytes: u64 = outcome.results.into_iter().map(Result::unwrap).sum();
    assert!(bytes / 2000 < 560, "{} bytes each", bytes / 2000);
}
