//! What liars can and cannot do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ark_ff::{AdditiveGroup, Field, PrimeField};

mod seeds;
use super::lockstep::Claims;
use super::mask::power_of_two;
use super::tests::{binding, network};
use super::*;
use crate::memory::Outcome;
use crate::parties::Parties;
use crate::session::{Binding, Frame};
use crate::shamir::lagrange;

/// Changes one element in the messages of one kind from one party to another.
fn corrupt(kind: Kind, from: u8, to: u8) -> impl FnMut(Frame) -> Vec<Frame> {
    move |mut frame| {
        if (frame.kind, frame.from, frame.to) == (kind, from, to) && !frame.payload.is_empty() {
            frame.payload[0] ^= 1;
        }
        vec![frame]
    }
}

fn multiply_and_open(outcome: impl FnMut(Frame) -> Vec<Frame>) -> Outcome<Vec<Fr>> {
    let secrets = [Fr::from(3u64), Fr::from(4u64)];
    network(&binding(3, 1), &secrets, |mut engine, shares| async move {
        let products = engine.multiply(&[(&shares[0], &shares[1])]).await?;
        engine.open(&products.iter().collect::<Vec<_>>()).await
    })
    .interfering(outcome)
    .run()
}

#[test]
fn a_wrong_share_in_an_opening_ends_the_session() {
    let outcome = multiply_and_open(corrupt(Kind::Open, 2, 1));
    let inconsistent = |result: &_| matches!(result, Err(Abort::Inconsistent { .. }));
    assert!(inconsistent(&outcome.results[0]), "{:?}", outcome.results[0]);
}

/// What is added to the result if this party re-shares its point with an error of 1.
fn own_weight(engine: &Engine) -> Fr {
    let points: Vec<_> = engine.parties().ids().map(PartyId::point).collect();
    lagrange(&points, Fr::ZERO)[engine.parties().place(engine.me())]
}

/// Lets a party add `error` to the result at this place of the next batch of products.
fn lie_next(engine: &mut Engine, place: usize, error: Fr) {
    let weight = own_weight(engine).inverse().unwrap();
    let exchange = engine.session.next_exchange();
    engine.lies.insert((exchange, place), error * weight);
}

fn is_wrong_product<T>(result: &Result<T, Abort>) -> bool {
    matches!(result, Err(Abort::WrongProduct { .. }))
}

#[test]
fn a_wrong_product_is_found_before_anything_is_opened() {
    for (n, t) in [(3, 1), (5, 1), (5, 2), (7, 3)] {
        let first = binding(n, t).active.numbers()[0];
        for count in [1, 8, 9, 70] {
            for (liar, place) in [(first, 0), (n, count - 1)] {
                let secrets = [Fr::from(3u64), Fr::from(4u64)];
                let protocol = move |mut engine: Engine, shares: Vec<Share>| async move {
                    if engine.me().number() == liar {
                        lie_next(&mut engine, place, Fr::ONE);
                    }
                    let pairs = vec![(&shares[0], &shares[1]); count];
                    let products = engine.multiply(&pairs).await?;
                    engine.open(&products.iter().collect::<Vec<_>>()).await
                };
                let outcome = network(&binding(n, t), &secrets, protocol).run();
                assert!(outcome.results.iter().all(is_wrong_product), "{n} {count} {place}");
            }
        }
    }
}

/// An error is found whatever the factors are. So whether a session ends says nothing of them: it
/// would if an error that is multiplied by a secret zero passed.
#[test]
fn an_error_in_a_product_is_found_whatever_its_factors() {
    for (n, t) in [(3, 1), (5, 2)] {
        for factors in [[0u64, 0], [0, 1], [1, 0], [1, 1]] {
            for error in [Fr::ONE, -Fr::ONE, power_of_two(150)] {
                for liar in [1, n] {
                    let protocol = move |mut engine: Engine, shares: Vec<Share>| async move {
                        if engine.me().number() == liar {
                            lie_next(&mut engine, 0, error);
                        }
                        engine.multiply(&[(&shares[0], &shares[1])]).await?;
                        engine.check().await
                    };
                    let outcome = network(&binding(n, t), &factors.map(Fr::from), protocol).run();
                    assert!(outcome.results.iter().all(is_wrong_product), "{factors:?} {liar}");
                }
            }
        }
    }
}

/// A party sends one receiver sub-shares that are on no polynomial with what it deals to the others.
/// Were more than t + 1 honest parties to hold what comes of it, they would hold shares of nothing,
/// and products of those would depend on their secrets. As 2t + 1 are active, it is one more error in
/// a product, whoever is active.
#[test]
fn sub_shares_that_do_not_fit_together_are_a_wrong_product() {
    let secrets = [Fr::from(3u64), Fr::from(4u64)];
    for (n, t) in [(4, 1), (5, 1), (7, 2)] {
        for active in Parties::new(n, t).unwrap().choices() {
            let binding = Binding { active, ..binding(n as u8, t) };
            let (liar, victim) = (active.ids().next(), active.ids().last());
            let (liar, victim) = (liar.unwrap().number(), victim.unwrap().number());
            let mut sent = 0;
            let protocol = |mut engine: Engine, shares: Vec<Share>| async move {
                let square = engine.multiply(&[(&shares[0], &shares[1])]).await?;
                let products = engine.multiply(&[(&square[0], &shares[0])]).await?;
                engine.open(&[&products[0]]).await
            };
            let outcome = network(&binding, &secrets, protocol)
                .interfering(|mut frame| {
                    if (frame.kind, frame.from, frame.to) == (Kind::Multiply, liar, victim)
                        && !frame.payload.is_empty()
                    {
                        sent += 1;
                        if sent == 1 {
                            add(&mut frame, &[Fr::ONE]);
                        }
                    }
                    vec![frame]
                })
                .run();
            assert!(sent > 0, "the last party derives nothing from the first");
            // The liar's own share of the result does not fit what it has made of it.
            let found = |result: &_| {
                is_wrong_product(result) || matches!(result, Err(Abort::Inconsistent { .. }))
            };
            assert!(outcome.results.iter().all(found), "{active:?}: {:?}", outcome.results);
            assert_eq!(outcome.results.len(), 2 * usize::from(t) + 1);
        }
    }
}

/// A vector with the columns of a matrix, of which one result is wrong, or two so that their errors
/// cancel in a sum without weights.
#[test]
fn a_wrong_product_of_a_shared_vector_is_found_in_any_row() {
    const ROWS: usize = 12;
    let secrets: Vec<_> = (1..=40u64).map(Fr::from).collect();
    let run = |errors: Vec<(usize, Fr)>| {
        let protocol = move |mut engine: Engine, shares: Vec<Share>| async move {
            if engine.me().number() == 1 {
                errors.iter().for_each(|&(place, error)| lie_next(&mut engine, place, error));
            }
            let column = |k: usize| shares.iter().cycle().skip(k).take(shares.len());
            let mut products = Products::new();
            products.push([(&shares[0], &shares[1])]);
            products.push(shares.iter().zip(column(0)));
            (1..ROWS).for_each(|k| products.push_with_same_left(column(k)));
            products.push([(&shares[2], &shares[3])]);
            let results = engine.inner_products(products).await?;
            assert_eq!(engine.unchecked.pairs(), ROWS * shares.len() + 2);
            engine.open(&results.iter().collect::<Vec<_>>()).await
        };
        network(&binding(3, 1), &secrets, protocol).run().results
    };
    let row = |k: usize| -> Fr { (0..40).map(|p| secrets[p] * secrets[(p + k) % 40]).sum() };
    let mut expected = vec![secrets[0] * secrets[1]];
    expected.extend((0..ROWS).map(row));
    expected.push(secrets[2] * secrets[3]);
    assert!(run(vec![]).iter().all(|result| result.as_ref() == Ok(&expected)));
    for place in 0..ROWS + 2 {
        assert!(run(vec![(place, Fr::ONE)]).iter().all(is_wrong_product), "{place}");
        let other = (place + 1) % (ROWS + 2);
        let cancelling = vec![(place, Fr::ONE), (other, -Fr::ONE)];
        assert!(run(cancelling).iter().all(is_wrong_product), "{place} and {other}");
    }
}

#[test]
fn a_lie_in_any_product_is_found_also_in_those_of_the_check() {
    assert!(lie_in_each_product(3, 4, 24) > 100);
}

/// Whatever is compared, the same lies are found.
#[test]
fn a_lie_in_any_product_is_found_whatever_is_compared() {
    let tried: Vec<_> = [(0, 0), (0, 3), (3, 0), (3, 3), (1, 2)]
        .map(|(left, right)| lie_in_each_product(left, right, 2))
        .to_vec();
    assert!(tried[0] > 10 && tried.iter().all(|count| *count == tried[0]), "{tried:?}");
}

/// Every product of a comparison and of its random bits, and every product of the checks
/// themselves, wrong one after the other. Returns how many there are.
fn lie_in_each_product(left: u64, right: u64, bits: u32) -> usize {
    let secrets = [Fr::from(left), Fr::from(right)];
    let run = |liar: u8, lie: Option<(u32, usize)>| {
        let mut sent = BTreeMap::new();
        let protocol = move |mut engine: Engine, shares: Vec<Share>| async move {
            if engine.me().number() == liar {
                engine.lies = lie.map(|place| (place, Fr::ONE)).into_iter().collect();
            }
            // A product first: it is checked before the comparison opens anything.
            let product = engine.multiply(&[(&shares[0], &Share::constant(Fr::ONE))]).await?;
            let (left, right) = (&product[0], &shares[1]);
            let batch = [LessThan { left, right, bits }];
            let less = engine.less_than_on_elements(&batch).await?;
            engine.open(&[&less[0]]).await
        };
        let outcome = network(&binding(3, 1), &secrets, protocol)
            .interfering(|frame| {
                let products = [Kind::Multiply, Kind::CheckProduct].contains(&frame.kind);
                if products && !frame.payload.is_empty() {
                    sent.insert(frame.exchange, frame.payload.len() / ELEMENT);
                }
                vec![frame]
            })
            .run();
        (outcome.results, sent)
    };
    let (results, sent) = run(1, None);
    let expected = Ok(vec![Fr::from(u64::from(left < right))]);
    assert!(results.iter().all(|result| *result == expected));
    let mut tried = 0;
    for (exchange, count) in sent {
        for place in 0..count {
            let liar = 1 + (tried % 3) as u8;
            let (results, _) = run(liar, Some((exchange, place)));
            assert!(results.iter().all(is_wrong_product), "{exchange} {place}: {results:?}");
            tried += 1;
        }
    }
    tried
}

/// Party 1 keeps party 3 waiting for its sub-shares until it knows the random element that weighs
/// the errors, and then chooses errors that cancel. Without confirmations before the random
/// element is opened that succeeds.
#[test]
fn errors_chosen_after_the_weights_do_not_cancel() {
    let secrets = [Fr::from(3u64), Fr::from(4u64)];
    // What party 1 has added to the results so far, known to both its sides.
    let errors = Arc::new(Mutex::new(None::<[Fr; 2]>));
    let known = Arc::clone(&errors);
    let protocol = move |mut engine: Engine, shares: Vec<Share>| {
        let known = Arc::clone(&known);
        async move {
            let pairs = [(&shares[0], &shares[1]); 2];
            let mut results = engine.multiply(&pairs).await?;
            if engine.me().number() != 1 {
                return engine.open(&results.iter().collect::<Vec<_>>()).await;
            }
            // As `check`, with a share of its own that fits what party 3 is told in the end.
            let products = Products::of_pairs(pairs);
            let r = engine.challenge().await?;
            if let Some(errors) = *known.lock().unwrap() {
                results.iter_mut().zip(errors).for_each(|(share, d)| share.0 -= d);
            }
            engine.unchecked = Unchecked::default();
            let mut unchecked = Unchecked::default();
            unchecked.push(products, &results);
            let elements = Some(unchecked.combine(&r));
            engine.show(Claims { elements, bits: None }).await?;
            engine.open(&results.iter().collect::<Vec<_>>()).await
        }
    };
    let mut held = None;
    let mut first_open = None;
    let mut shares = BTreeMap::new();
    let mut outcome = network(&binding(3, 1), &secrets, protocol)
        .interfering(|frame| {
            let (kind, from, to) = (frame.kind, frame.from, frame.to);
            if (kind, from, to) == (Kind::Multiply, 1, 3) && held.is_none() {
                held = Some(frame);
                return vec![];
            }
            // The shares of the random element that parties 1 and 2 send party 3.
            if kind == Kind::CheckOpen
                && to == 3
                && *first_open.get_or_insert(frame.exchange) == frame.exchange
            {
                shares.insert(from, unpack(&frame.payload, 1).unwrap()[0]);
                if let (Some(one), Some(two)) = (shares.get(&1), shares.get(&2)) {
                    let r = one.double() - two;
                    // The error polynomials d (x - 2): -2 d at 0 and -d at 1. r d_1 + r^2 d_2 = 0.
                    let d = [-r, Fr::ONE];
                    *errors.lock().unwrap() = Some(d);
                    let mut late = held.clone().unwrap();
                    add(&mut late, &d);
                    return vec![late, frame];
                }
            }
            vec![frame]
        })
        .run();
    let honest = outcome.results.split_off(1);
    let wrong = |result: &Result<Vec<Fr>, Abort>| result.is_ok();
    assert!(!honest.iter().any(wrong), "{honest:?}");
    assert!(errors.lock().unwrap().is_none(), "the random element was known too early");
}

/// Adds to the first elements of a message.
fn add(frame: &mut Frame, errors: &[Fr]) {
    let count = frame.payload.len() / ELEMENT;
    let mut elements = unpack(&frame.payload, count).unwrap();
    elements.iter_mut().zip(errors).for_each(|(element, error)| *element += error);
    frame.payload = crate::wire::pack(elements.iter());
}

#[test]
fn messages_of_the_wrong_length_name_their_sender() {
    for kind in [
        Kind::Commit,
        Kind::Echo,
        Kind::Reveal,
        Kind::Multiply,
        Kind::Open,
        Kind::Confirm,
        Kind::CheckProduct,
        Kind::CheckOpen,
    ] {
        let shorten = |mut frame: Frame| {
            if (frame.kind, frame.from, frame.to) == (kind, 3, 2) {
                frame.payload.extend_from_slice(&[0; 32]);
            }
            vec![frame]
        };
        let outcome = multiply_and_open(shorten);
        let error = outcome.results[1].as_ref().unwrap_err();
        assert!(matches!(error, Abort::Malformed { kind: found, .. } if *found == kind), "{error}");
        assert_eq!(error.culprit().map(PartyId::number), Some(3));
    }
}

#[test]
fn elements_above_the_order_are_refused() {
    let outcome = multiply_and_open(|mut frame| {
        if frame.kind == Kind::Open && frame.from == 3 {
            frame.payload.fill(0xff);
        }
        vec![frame]
    });
    assert!(matches!(outcome.results[0], Err(Abort::Malformed { kind: Kind::Open, .. })));
}

/// An error in a selection bit, multiplied by an amount, would show the amount in the next
/// comparison: the mask of a 64-bit comparison and its operands stay below 2^195, and what stands
/// above shows. So products are checked before a comparison opens anything.
#[test]
fn an_error_in_a_selection_bit_does_not_show_the_amount_that_it_selects() {
    let shift = 196;
    let amount = 0x00c0_ffee_dead_beefu64;
    let secrets = [Fr::ONE, Fr::ZERO, Fr::from(amount)];
    let outcome = network(&binding(3, 1), &secrets, move |mut engine, shares| async move {
        engine.prepare(64).await?;
        if engine.me().number() == 1 {
            lie_next(&mut engine, 0, power_of_two(shift));
        }
        // The bit 1 * 0: the amount is not selected.
        let bit = engine.multiply(&[(&shares[0], &shares[1])]).await?;
        let selected = engine.multiply(&[(&bit[0], &shares[2])]).await?;
        let (left, right) = (&selected[0], &Share::constant(Fr::from(1000u64)));
        engine.less_than(&[LessThan { left, right, bits: 64 }]).await.map(|_| ())
    });
    let outcome = outcome.recording().run();
    assert!(outcome.results.iter().all(is_wrong_product));

    for opened in opened_to_first(&outcome.views[0], &[Kind::Open, Kind::CheckOpen]) {
        assert_ne!((opened.into_bigint() >> shift).0, [amount, 0, 0, 0]);
    }
}

/// What party 1 of three has seen opened: each a line through the shares of 2 and 3.
fn opened_to_first(view: &[Frame], kinds: &[Kind]) -> Vec<Fr> {
    let shares = |of: u8| {
        let opened = view.iter().filter(move |it| kinds.contains(&it.kind) && it.from == of);
        let elements = opened.flat_map(|it| it.payload.chunks_exact(ELEMENT));
        elements.map(|bytes| unpack(bytes, 1).ok().map(|element| element[0]))
    };
    // Behind the elements of a check there may be components, which are none.
    let both = shares(2).zip(shares(3)).filter_map(|(two, three)| two.zip(three));
    both.map(|(two, three)| two * Fr::from(3u64) - three.double()).collect()
}
