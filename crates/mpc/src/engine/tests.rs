use std::future::Future;
use std::sync::Arc;

use ark_ff::{AdditiveGroup, Field};
use quittance_crypto::field::random_field;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::mask::power_of_two;
use super::*;
use crate::memory::Network;
use crate::parties::Parties;
use crate::session::Binding;
use crate::shamir::split;

const COMMITTEES: [(u8, u8); 6] = [(3, 1), (4, 1), (5, 1), (5, 2), (7, 2), (7, 3)];

/// A session of the committee's last parties: of all, unless it has slack.
pub(super) fn binding(committee: u8, threshold: u8) -> Binding {
    let name = |text| Digest::of(text, &[]);
    let parties = Parties::new(committee.into(), threshold).unwrap();
    Binding {
        chain: name("chain"),
        round: name("round"),
        attempt: 0,
        circuit: name("circuit"),
        roster: name("roster"),
        dealings: name("dealings"),
        committee: (0..committee).map(|number| Digest([number; 32])).collect(),
        threshold,
        active: parties.choices().last().unwrap(),
    }
}

/// Runs a protocol at all parties of a committee, each with its shares of `secrets`.
fn run_on<T, F, P>(binding: &Binding, secrets: &[Fr], protocol: P) -> Vec<Result<T, Abort>>
where
    F: Future<Output = Result<T, Abort>> + Send + 'static,
    P: FnOnce(Engine, Vec<Share>) -> F + Clone + Send + 'static,
    T: 'static,
{
    network(binding, secrets, protocol).run().results
}

pub(super) fn network<'a, T, F, P>(binding: &Binding, secrets: &[Fr], protocol: P) -> Network<'a, T>
where
    F: Future<Output = Result<T, Abort>> + Send + 'static,
    P: FnOnce(Engine, Vec<Share>) -> F + Clone + Send + 'static,
    T: 'static,
{
    let parties = binding.committee().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(99);
    let mut shares = vec![vec![]; parties.count()];
    for secret in secrets {
        let split = split(*secret, parties, &mut rng);
        shares.iter_mut().zip(split).for_each(|(shares, share)| shares.push(share));
    }
    let shares = Arc::new(shares);
    Network::of_engines(binding, 1, move |engine| {
        let own = shares[engine.me().position()].clone();
        protocol(engine, own)
    })
    .unwrap()
}

/// As [`run_on`], for protocols whose results are shares: opened, the same at all parties.
fn opened<F, P>(binding: &Binding, secrets: &[Fr], protocol: P) -> Vec<Fr>
where
    F: Future<Output = Result<(Engine, Vec<Share>), Abort>> + Send + 'static,
    P: FnOnce(Engine, Vec<Share>) -> F + Clone + Send + 'static,
{
    let results = run_on(binding, secrets, |engine, shares| async move {
        let (mut engine, shares) = protocol(engine, shares).await?;
        engine.open(&shares.iter().collect::<Vec<_>>()).await
    });
    let first = results[0].clone().unwrap();
    assert!(results.iter().all(|result| result.as_ref() == Ok(&first)));
    first
}

fn bit(value: bool) -> Fr {
    Fr::from(u64::from(value))
}

#[test]
fn sums_and_products_are_those_of_the_secrets() {
    for (n, t) in COMMITTEES {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let secrets: Vec<_> = (0..4).map(|_| random_field(&mut rng)).collect();
        let [a, b, c, d] = secrets[..] else { unreachable!() };
        let results = opened(&binding(n, t), &secrets, |mut engine, shares| async move {
            let [a, b, c, d] = &shares[..] else { unreachable!() };
            let mut products = Products::new();
            products.push([(a, b), (c, d)]);
            products.push([(a, a)]);
            products.push([]);
            let mut results = engine.inner_products(products).await?;
            results.extend(engine.multiply(&[(a, b), (c, d)]).await?);
            results.extend([&(a + b) - c, &(d * Fr::from(3u64)) + Fr::ONE]);
            Ok((engine, results))
        });
        let expected =
            [a * b + c * d, a * a, Fr::ZERO, a * b, c * d, a + b - c, d * Fr::from(3u64) + Fr::ONE];
        assert_eq!(results, expected);
    }
}

#[test]
fn one_element_travels_each_way_per_product_of_three_parties() {
    let outcome = network(&binding(3, 1), &[Fr::ONE, Fr::ONE], |mut engine, shares| async move {
        let before = engine.traffic();
        engine.multiply(&[(&shares[0], &shares[1]); 100]).await?;
        let after = engine.traffic();
        Ok((after.exchanges - before.exchanges, after.bytes - before.bytes))
    })
    .run();
    assert!(outcome.results.iter().all(|result| *result == Ok((1, 3200))));
}

/// As `docs/protocols/mpc.md` says.
#[test]
fn a_check_costs_little_whatever_the_number_of_products() {
    for (count, power) in [(2, 1), (32, 1), (33, 2), (1024, 2), (1025, 3), (40_000, 4)] {
        let outcome = network(&binding(3, 1), &[Fr::ONE], move |mut engine, shares| async move {
            engine.multiply(&vec![(&shares[0], &shares[0]); count]).await?;
            engine.check().await?;
            engine.check().await?;
            Ok(engine.checking())
        })
        .run();
        for checking in outcome.results.into_iter().map(Result::unwrap) {
            assert_eq!(checking.exchanges, 3 + 3 * power, "{count}");
            assert!(checking.bytes <= 32 * (10 + 64 * u64::from(power)), "{count}: {checking:?}");
        }
    }
}

#[test]
fn a_long_record_of_products_is_checked_without_an_opening() {
    let outcome = network(&binding(3, 1), &[Fr::ONE], |mut engine, shares| async move {
        let mut checking = vec![];
        for pairs in [1 << 20, 1] {
            let mut products = Products::with_capacity(pairs);
            products.push(std::iter::repeat_n((&shares[0], &shares[0]), pairs));
            engine.inner_products(products).await?;
            checking.push(engine.checking().exchanges > 0);
        }
        Ok((checking, engine.unchecked.is_empty()))
    })
    .run();
    assert!(outcome.results.iter().all(|result| *result == Ok((vec![false, true], true))));
}

#[test]
fn batches_beyond_one_message_are_split() {
    let secrets: Vec<_> = (0..11u64).map(Fr::from).collect();
    let results = run_on(&binding(3, 1), &secrets, |mut engine, shares| async move {
        assert!(engine.batch * ELEMENT <= MAX_MESSAGE);
        engine.batch = 4;
        let before = engine.traffic().exchanges;
        let pairs: Vec<_> = shares.iter().map(|share| (share, share)).collect();
        let products = engine.multiply(&pairs).await?;
        let squares = engine.open(&products.iter().collect::<Vec<_>>()).await?;
        let exchanges = engine.traffic().exchanges - engine.checking().exchanges - before;
        Ok((exchanges, squares))
    });
    let expected = Ok((3 + 3, secrets.iter().map(Field::square).collect()));
    assert!(results.iter().all(|result| *result == expected));
}

#[test]
fn random_elements_are_agreed_upon_and_differ() {
    for (n, t) in COMMITTEES {
        let mut values = opened(&binding(n, t), &[], |mut engine, _| async move {
            let mut shares = engine.random(20);
            shares.extend(engine.random(20));
            Ok((engine, shares))
        });
        values.sort();
        assert!(values.windows(2).all(|pair| pair[0] != pair[1]));
    }
}

#[test]
fn both_ways_give_random_bits() {
    for (n, t) in COMMITTEES {
        for by_xor in [true, false] {
            let count = 400;
            let bits = opened(&binding(n, t), &[], move |mut engine, _| async move {
                let bits = match by_xor {
                    true => engine.bits_by_xor(count).await?,
                    false => engine.bits_by_square_roots(count).await?,
                };
                Ok((engine, bits))
            });
            let ones = bits.iter().filter(|bit| **bit == Fr::ONE).count();
            assert_eq!(ones + bits.iter().filter(|bit| **bit == Fr::ZERO).count(), count);
            // Six standard deviations.
            assert!((140..=260).contains(&ones), "{ones} of {count}");
        }
    }
}

#[test]
fn comparisons_are_right_at_and_around_every_edge() {
    for (n, t) in [(3, 1), (5, 1), (5, 2)] {
        for bits in [1u32, 2, 3, 7, 64, 71, 128] {
            let top = power_of_two(bits) - Fr::ONE;
            let half = power_of_two(bits - 1);
            let mut values = vec![Fr::ZERO, Fr::ONE, half, half - Fr::ONE, top, top - Fr::ONE];
            values.retain(|value| *value <= top);
            let pairs: Vec<_> =
                values.iter().flat_map(|a| values.iter().map(move |b| (*a, *b))).collect();
            let secrets: Vec<_> = pairs.iter().flat_map(|&(a, b)| [a, b]).collect();
            let results = opened(&binding(n, t), &secrets, move |mut engine, shares| async move {
                let batch: Vec<_> = shares
                    .chunks_exact(2)
                    .map(|pair| LessThan { left: &pair[0], right: &pair[1], bits })
                    .collect();
                let results = engine.less_than(&batch).await?;
                Ok((engine, results))
            });
            for ((a, b), result) in pairs.iter().zip(results) {
                assert_eq!(result, bit(a < b), "{bits} bits: {a} < {b}");
            }
        }
    }
}

#[test]
fn comparisons_of_different_widths_share_their_exchanges() {
    let secrets = [3u64, 5, 1 << 40, 1, 0, 1].map(Fr::from);
    let results = run_on(&binding(3, 1), &secrets, |mut engine, shares| async move {
        engine.prepare_comparisons(&[(3, 1), (64, 1), (1, 1)]).await?;
        let (before, checked) = (engine.traffic().exchanges, engine.checking());
        let batch = [(0, 3), (2, 64), (4, 1)].map(|(at, bits)| LessThan {
            left: &shares[at],
            right: &shares[at + 1],
            bits,
        });
        let results = engine.less_than(&batch).await?;
        let exchanges = engine.traffic().exchanges - before;
        assert_eq!(engine.checking(), checked);
        let opened = engine.open(&results.iter().collect::<Vec<_>>()).await?;
        Ok((exchanges, opened))
    });
    // Two openings; 63 places are merged in six steps.
    let expected = Ok((8, vec![Fr::ONE, Fr::ZERO, Fr::ONE]));
    assert!(results.iter().all(|result| *result == expected));
}

#[test]
fn zero_is_told_from_everything_else() {
    for (n, t) in [(3, 1), (5, 2)] {
        let mut secrets = vec![Fr::ZERO, Fr::ONE, -Fr::ONE, power_of_two(251), power_of_two(126)];
        secrets.extend([Fr::ZERO, Fr::ONE, Fr::from(255u64), Fr::ZERO, Fr::from(4u64)]);
        let results = opened(&binding(n, t), &secrets, |mut engine, shares| async move {
            let widths =
                [None, None, None, None, None, Some(8), Some(8), Some(8), Some(3), Some(3)];
            let batch: Vec<_> = shares.iter().zip(widths).collect();
            let zeros = engine.is_zero(&batch).await?;
            Ok((engine, zeros))
        });
        let expected: Vec<_> = secrets.iter().map(|secret| bit(*secret == Fr::ZERO)).collect();
        assert_eq!(results, expected);
    }
}

#[test]
fn public_tests_for_zero_show_nothing_else() {
    let secrets = [Fr::ZERO, Fr::from(5u64), Fr::ZERO];
    let outcome = network(&binding(3, 1), &secrets, |mut engine, shares| async move {
        engine.are_zero(&shares.iter().collect::<Vec<_>>()).await
    })
    .run();
    assert!(outcome.results.iter().all(|result| *result == Ok(vec![true, false, true])));
}

#[test]
fn decompositions_give_the_bits() {
    for (n, t) in [(3, 1), (5, 2)] {
        let cases: Vec<(u128, u32)> = vec![
            (0, 1),
            (1, 1),
            (0, 5),
            (31, 5),
            (22, 5),
            (u64::MAX.into(), 64),
            (0x0123_4567_89ab_cdef, 64),
            (1 << 70, 71),
            (u128::MAX, 128),
            (u128::MAX - 1, 128),
        ];
        let secrets: Vec<_> = cases.iter().map(|&(value, _)| Fr::from(value)).collect();
        let widths: Vec<_> = cases.iter().map(|&(_, width)| width).collect();
        let results = opened(&binding(n, t), &secrets, move |mut engine, shares| async move {
            let batch: Vec<_> = shares.iter().zip(widths).collect();
            let bits = engine.decompose(&batch).await?;
            Ok((engine, bits.into_iter().flatten().collect()))
        });
        let expected = cases
            .iter()
            .flat_map(|&(value, width)| (0..width).map(move |place| bit(value >> place & 1 == 1)));
        assert_eq!(results, expected.collect::<Vec<_>>());
    }
}

#[test]
fn integers_out_of_range_are_told_from_those_within() {
    for (n, t) in [(3, 1), (5, 2)] {
        let top = power_of_two(64);
        let cases = [
            (Fr::ZERO, 64, true),
            (top - Fr::ONE, 64, true),
            (top, 64, false),
            (-Fr::ONE, 64, false),
            (power_of_two(200), 64, false),
            (-top, 64, false),
            (power_of_two(251), 128, false),
            (Fr::ONE, 1, true),
            (Fr::from(2u64), 1, false),
            (-Fr::ONE, 1, false),
            (Fr::from(2u64).inverse().unwrap(), 1, false),
        ];
        let secrets = cases.map(|(secret, _, _)| secret);
        let results = run_on(&binding(n, t), &secrets, move |mut engine, shares| async move {
            let widths = cases.iter().map(|&(_, width, _)| width);
            engine.in_range(&shares.iter().zip(widths).collect::<Vec<_>>()).await
        });
        let expected = cases.map(|(_, _, within)| within).to_vec();
        assert!(results.iter().all(|result| *result == Ok(expected.clone())));
    }
}

#[test]
fn widths_without_room_for_a_mask_are_refused() {
    let results = run_on(&binding(3, 1), &[Fr::ONE, Fr::ONE], |mut engine, shares| async move {
        let [left, right] = &shares[..] else { unreachable!() };
        engine.less_than(&[LessThan { left, right, bits: 220 }]).await.map(|_| ())
    });
    assert!(results.iter().all(|result| matches!(result, Err(Abort::Unsupported(_)))));
}

#[test]
fn a_party_that_has_seen_another_session_is_noticed_before_there_is_a_result() {
    let results = |liar: u8| {
        run_on(&binding(3, 1), &[Fr::ONE], move |mut engine, shares| async move {
            engine.open(&[&shares[0]]).await?;
            if engine.me().number() == liar {
                engine.transcript = Digest([1; 32]);
            }
            engine.compare_transcripts().await
        })
    };
    assert!(results(0).iter().all(|result| *result == Ok(())));
    let party = Parties::new(3, 1).unwrap().id(2).unwrap();
    for honest in [0, 2] {
        assert_eq!(results(2)[honest], Err(Abort::OtherTranscript { party }));
    }
}

#[test]
fn machines_can_move_between_threads() {
    fn check<T: Send>(_: &T) {}
    let binding = binding(3, 1);
    let machine = crate::session::Machine::new(&binding, 1, |session| async {
        let mut engine = Engine::start(session, ChaCha20Rng::seed_from_u64(1)).await?;
        let bits = engine.random_bits(3).await?;
        engine.open(&bits.iter().collect::<Vec<_>>()).await
    });
    let mut machine = machine.unwrap();
    check(&machine.poll().outgoing);
}
