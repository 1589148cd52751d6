use ark_ff::{AdditiveGroup, Field};
use quittance_crypto::field::Fr;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use super::*;
use crate::engine::LessThan;
use crate::engine::tests::{binding, network};

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

pub(super) fn random_bits(engine: &mut Engine, count: usize) -> Bits {
    let words = engine.keys.random_words(count.div_ceil(64));
    let string = |words| BitString::from_words(words, count);
    Bits { next: string(words.next), last: string(words.last) }
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
