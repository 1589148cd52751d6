//! What liars can and cannot do with bits.

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::field::Fr;

use super::field::{self, Gf};
use super::tests::random_bits;
use super::*;
use crate::engine::LessThan;
use crate::engine::tests::{binding, network};
use crate::memory::Outcome;
use crate::session::Frame;
use crate::share::Share;

/// Which of two numbers below `2^bits` is less, and whether it is the other one.
#[derive(Clone, Copy)]
struct Operands(u64, u64, u32);

const SMALL: Operands = Operands(12, 13, 5);

/// Compares them both ways at once, and opens the first result.
fn compare(
    Operands(left, right, bits): Operands,
    liar: u8,
    flips: BTreeSet<(u32, usize)>,
    outcome: impl FnMut(Frame) -> Vec<Frame>,
) -> Outcome<Vec<Fr>> {
    let secrets = [left, right].map(Fr::from);
    let protocol = move |mut engine: Engine, shares: Vec<Share>| async move {
        if engine.me().number() == liar {
            engine.flips = flips;
        }
        let [left, right] = &shares[..] else { unreachable!() };
        let batch = [(left, right), (right, left)];
        let batch = batch.map(|(left, right)| LessThan { left, right, bits });
        let less = engine.less_than(&batch).await?;
        engine.open(&[&less[0]]).await
    };
    network(&binding(3, 1), &secrets, protocol).interfering(outcome).run()
}

fn is_wrong_product<T>(result: &Result<T, Abort>) -> bool {
    matches!(result, Err(Abort::WrongProduct { .. }))
}

#[test]
fn a_lie_in_any_product_of_bits_is_found_also_in_those_of_the_check() {
    // 10, 16 and 6 bits to prepare, 6 and 2 in the tree; two checks of 126 and 1 elements.
    assert_eq!(lie_in_each_bit(SMALL), (3 * (40 + 2 * 127), 3 * (6 + 2 + 2 + 6)));
}

/// Whatever is compared, the same lies are found, so that an abort says nothing of it.
#[test]
fn a_lie_in_any_product_of_bits_is_found_whatever_is_compared() {
    let values = [0, 1, 3];
    let operands = values.map(|left| values.map(|right| Operands(left, right, 2)));
    let tried: Vec<_> = operands.into_iter().flatten().map(lie_in_each_bit).collect();
    assert!(tried[0].0 > 3 * 127 && tried.iter().all(|count| *count == tried[0]), "{tried:?}");
}

/// Every bit that stands for a product of bits, in preparing and comparing, and a bit of every
/// element of the checks, wrong one after the other, at each party. Returns how many, and how many
/// bits beyond the last there are in messages.
fn lie_in_each_bit(operands: Operands) -> (u32, u32) {
    let mut sent = BTreeMap::new();
    let outcome = compare(operands, 0, BTreeSet::new(), |frame| {
        let products = [Kind::BinaryProduct, Kind::CheckProduct].contains(&frame.kind);
        // Of a check, what party 1 sends party 2 ends with the elements.
        if products && (frame.from, frame.to) == (1, 2) && !frame.payload.is_empty() {
            sent.insert(frame.exchange, (frame.kind, frame.payload.len()));
        }
        vec![frame]
    });
    let expected = Ok(vec![Fr::from(u64::from(operands.0 < operands.1))]);
    assert!(outcome.results.iter().all(|result| *result == expected));
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
                let results = compare(operands, liar, flips, |frame| vec![frame]).results;
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
    (tried, padding)
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
        let outcome = compare(SMALL, 0, BTreeSet::new(), |mut frame| {
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
        let outcome = compare(SMALL, 0, BTreeSet::new(), |mut frame| {
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

/// The errors of a product are found for all factors alike: if those of products with a factor zero
/// passed, an abort would show the factor.
#[test]
fn an_error_in_a_product_of_bits_is_found_whatever_its_factors() {
    const COUNT: usize = 32;
    let run = |liar, place| {
        let protocol = move |mut engine: Engine, _: Vec<Share>| async move {
            if engine.me().number() == liar {
                engine.flips.insert((engine.session.next_exchange(), place));
            }
            multiply_and_open(&mut engine, COUNT).await
        };
        network(&binding(3, 1), &[], protocol).run().results
    };
    let honest = run(0, 0);
    let [left, right, _] = honest[0].as_ref().unwrap();
    let factors: BTreeSet<_> = (0..COUNT).map(|k| (left.bit(k), right.bit(k))).collect();
    assert_eq!(factors.len(), 4);
    for place in 0..COUNT {
        for liar in 1..=3 {
            let results = run(liar, place);
            assert!(results.iter().all(is_wrong_product), "{liar} {place}");
        }
    }
}

/// Random bits, others, and their products, all opened after the check.
async fn multiply_and_open(engine: &mut Engine, count: usize) -> Result<[BitString; 3], Abort> {
    let [left, right] = [(); 2].map(|()| random_bits(engine, count));
    let mut gates = Gates::with_capacity(count);
    gates.push(&left, &right);
    let product = engine.and(gates).await?.take(count);
    engine.check().await?;
    let left = engine.open_bits(&left).await?;
    let right = engine.open_bits(&right).await?;
    Ok([left, right, engine.open_bits(&product).await?])
}

/// Party 1 keeps party 2 waiting for its summands until it knows the weights of the check, and then
/// changes bits whose weights sum to zero. Without confirmations before the common element is shown
/// that succeeds: the check passes, and the products are wrong.
#[test]
fn flips_chosen_after_the_weights_do_not_cancel() {
    // More bits than a weight has, so that some weights sum to zero.
    const COUNT: usize = 192;
    let protocol =
        |mut engine: Engine, _| async move { multiply_and_open(&mut engine, COUNT).await };
    let (mut held, mut first, mut flips) = (vec![], None, None::<Vec<u8>>);
    let (mut shown, mut opened) = (BTreeMap::new(), 0);
    let outcome = network(&binding(3, 1), &[], protocol)
        .interfering(|mut frame| {
            let (kind, from, to) = (frame.kind, frame.from, frame.to);
            if kind == Kind::CheckOpen
                && *first.get_or_insert(frame.exchange) == frame.exchange
                && flips.is_none()
            {
                shown.insert((from, to), frame.payload.to_vec());
                // Party 1 shows two of the components, which it has, and is shown the third.
                let parts = [(1, 2), (1, 3), (3, 1)].map(|link| shown.get(&link));
                if let [Some(one), Some(two), Some(three)] = parts {
                    let element =
                        |bytes: &Vec<u8>| Gf(u128::from_le_bytes(bytes[..].try_into().unwrap()));
                    flips = Some(cancelling(element(one) + element(two) + element(three), COUNT));
                }
            }
            // What party 1 sends party 2 must stay in order.
            if (from, to) == (1, 2) && (kind == Kind::BinaryProduct || !held.is_empty()) {
                held.push(frame);
                frame = match &flips {
                    None => return vec![],
                    Some(_) => held.pop().unwrap(),
                };
            }
            if kind == Kind::BinaryOpen && (from, to) == (1, 3) {
                opened += 1;
                // The products come last.
                if let (3, Some(flips)) = (opened, &flips) {
                    flip(&mut frame, flips);
                }
            }
            let mut frames: Vec<Frame> = match &flips {
                None => vec![],
                Some(flips) => held
                    .drain(..)
                    .enumerate()
                    .map(|(place, mut frame)| {
                        if place == 0 {
                            flip(&mut frame, flips);
                        }
                        frame
                    })
                    .collect(),
            };
            frames.push(frame);
            frames
        })
        .run();
    let right = |opened: &[BitString; 3]| opened[0].and(&opened[1]).words() == opened[2].words();
    for result in &outcome.results[1..] {
        assert!(result.as_ref().map_or(true, right), "a wrong product was accepted");
        assert!(result.is_err(), "party 2 was sent nothing in time");
    }
    assert!(flips.is_none(), "the weights were known too early");
}

fn flip(frame: &mut Frame, flips: &[u8]) {
    frame.payload.iter_mut().zip(flips).for_each(|(byte, flips)| *byte ^= flips);
}

/// Bits of a string of so many, fewer than 8,192, whose weights under R sum to zero.
fn cancelling(r: Gf, count: usize) -> Vec<u8> {
    let block = count.div_ceil(64);
    let powers: Vec<_> = field::powers(r).take(65).collect();
    // Sums of weights, the largest first, no two with the same highest bit; and what they are of.
    let mut sums = Vec::<(u128, Vec<u8>)>::new();
    for place in 0..count {
        let Gf(mut sum) = powers[64 - place / block] * Gf(1 << (place % block));
        let mut bits = vec![0; count.div_ceil(8)];
        bits[place / 8] |= 1 << (place % 8);
        for (other, of_other) in &sums {
            if sum ^ other < sum {
                sum ^= other;
                bits.iter_mut().zip(of_other).for_each(|(byte, other)| *byte ^= other);
            }
        }
        if sum == 0 {
            return bits;
        }
        sums.push((sum, bits));
        sums.sort_by_key(|(sum, _)| std::cmp::Reverse(*sum));
    }
    unreachable!("more weights than dimensions")
}
