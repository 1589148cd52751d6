mod shelf;

use std::collections::{BTreeMap, BTreeSet};

use ark_ff::Field;
use quittance_crypto::field::Fr;

use super::*;
use crate::engine::LessThan;
use crate::engine::tests::{binding, network};
use crate::memory::{Network, Outcome};
use crate::parties::Parties;
use crate::session::{Binding, Frame, Traffic};
use crate::share::Share;
use crate::stock::{Amount, Empty, Material};

use shelf::{Shared, Shelf, batch, making, stocks};

const AMOUNT: Amount = Amount { comparisons: 9, bits: 131 };

type Compared = (Option<BatchId>, Vec<Fr>, Traffic);

/// Draws, compares nine pairs of different widths, uses some random bits, and opens the results.
fn session(stocks: &[Shared], interfere: impl FnMut(Frame) -> Vec<Frame>) -> Outcome<Compared> {
    let committee = (stocks.len() as u8, (stocks.len() as u8 - 1) / 2);
    let stocks = stocks.to_vec();
    let secrets = [Fr::from(12u64), Fr::from(13u64)];
    let binding = binding(committee.0, committee.1);
    let protocol = move |mut engine: Engine, shares: Vec<Share>| async move {
        let mut stock = stocks[engine.me().position()].clone();
        let drawn = engine.draw(&mut stock).await?;
        let before = engine.traffic();
        let [low, high] = &shares[..] else { unreachable!() };
        let widths = [64, 72, 80, 5, 4, 4, 64, 64, 64];
        let pairs = widths.iter().zip((0..).map(|k| k % 2 == 0));
        let batch: Vec<_> = pairs
            .map(|(&bits, ascending)| match ascending {
                true => LessThan { left: low, right: high, bits },
                false => LessThan { left: high, right: low, bits },
            })
            .collect();
        let mut results = engine.less_than(&batch).await?;
        results.extend(engine.decompose(&[(low, 64), (high, 64)]).await?.concat());
        let opened = engine.open(&results.iter().collect::<Vec<_>>()).await?;
        Ok((drawn, opened, engine.traffic() - before))
    };
    network(&binding, &secrets, protocol).interfering(interfere).run()
}

fn expected() -> Vec<Fr> {
    let bit = |value: bool| Fr::from(u64::from(value));
    let comparisons = (0..9).map(|k| bit(k % 2 == 0));
    let bits = [12u64, 13].into_iter().flat_map(|n| (0..64).map(move |at| n >> at & 1 == 1));
    comparisons.chain(bits.map(bit)).collect()
}

fn honest(frame: Frame) -> Vec<Frame> {
    vec![frame]
}

/// The batch that all have used; their results were right.
fn used(outcome: Outcome<Compared>) -> (Option<BatchId>, Vec<Traffic>) {
    let results: Vec<_> = outcome.results.into_iter().map(Result::unwrap).collect();
    let drawn = results[0].0;
    for (id, opened, _) in &results {
        assert_eq!((*id, opened), (drawn, &expected()));
    }
    (drawn, results.into_iter().map(|(.., traffic)| traffic).collect())
}

/// The results are those without a stock, and less is sent once there are inputs.
#[test]
fn a_stored_batch_gives_the_same_results_for_fewer_bytes() {
    for parties in [3, 5] {
        let (with, ids) = stocks(&vec![&[1, 2][..]; parties]);
        let (without, _) = stocks(&vec![&[][..]; parties]);
        let (drawn, stored) = used(session(&with, honest));
        let (none, made) = used(session(&without, honest));
        assert_eq!((drawn, none), (Some(ids[&1]), None));
        for (stored, made) in stored.iter().zip(&made) {
            assert!(4 * stored.bytes < 3 * made.bytes, "{} of {} bytes", stored.bytes, made.bytes);
            assert!(stored.exchanges < made.exchanges);
        }
        // The next session uses the next one, and the one after it has none left.
        assert_eq!(used(session(&with, honest)).0, Some(ids[&2]));
        assert_eq!(used(session(&with, honest)).0, None);
        for stock in &with {
            let shelf = stock.0.lock().unwrap();
            assert_eq!((shelf.agreed, &shelf.taken), (2, &vec![ids[&1], ids[&2]]));
        }
    }
}

/// Every comparison of every width below is made with masks of the stored one.
#[test]
fn wide_masks_serve_all_narrower_comparisons() {
    let amount = Amount { comparisons: 160, bits: 0 };
    let (id, sides) = batch((3, 1), 1, amount);
    let secrets: Vec<_> = (0..80).flat_map(|w| [1u128 << w, (1 << w) - 1]).map(Fr::from).collect();
    let protocol = move |mut engine: Engine, shares: Vec<Share>| async move {
        let stock = Shared::default();
        stock.keep(id, sides[engine.me().position()].clone());
        engine.draw(&mut stock.clone()).await?;
        let before = engine.traffic().exchanges;
        let pairs = shares.chunks_exact(2).zip(1..);
        let batch = pairs.flat_map(|(pair, bits)| {
            let [high, low] = pair else { unreachable!() };
            [LessThan { left: low, right: high, bits }, LessThan { left: high, right: low, bits }]
        });
        let results = engine.less_than(&batch.collect::<Vec<_>>()).await?;
        let exchanges = engine.traffic().exchanges - before;
        Ok((exchanges, engine.open(&results.iter().collect::<Vec<_>>()).await?))
    };
    let outcome = network(&binding(3, 1), &secrets, protocol).run();
    let expected: Vec<_> = (0..80).flat_map(|_| [Fr::ONE, Fr::from(0u64)]).collect();
    for result in outcome.results {
        // Opening c, seven levels of a tree over 79 places, and opening the results.
        assert_eq!(result.unwrap(), (9, expected.clone()));
    }
}

/// The lowest batch that all have is used; what a party has alone it is told of.
#[test]
fn parties_with_different_stocks_use_what_all_have() {
    let (stocks, ids) = stocks(&[&[1, 2, 4], &[2, 3, 4], &[1, 2, 3, 4]]);
    assert_eq!(used(session(&stocks, honest)).0, Some(ids[&2]));
    let shelf = stocks[0].0.lock().unwrap();
    assert_eq!(shelf.compared[0], Comparison { common: vec![ids[&2], ids[&4]], outdated: None });
}

#[test]
fn a_party_without_a_stock_makes_none_use_theirs() {
    let (stocks, ids) = stocks(&[&[1], &[], &[1]]);
    assert_eq!(used(session(&stocks, honest)).0, None);
    for stock in [&stocks[0], &stocks[2]] {
        let shelf = stock.0.lock().unwrap();
        assert!(shelf.taken.is_empty() && shelf.batches.contains_key(&ids[&1]));
    }
    let outcome =
        network(&binding(3, 1), &[], |mut engine, _| async move { engine.draw(&mut Empty).await });
    assert!(outcome.run().results.iter().all(|drawn| *drawn == Ok(None)));
}

/// Two parties put an old copy of their stock back: the third remembers, and that is enough.
#[test]
fn a_restored_stock_is_found_by_what_the_others_remember() {
    let (stocks, ids) = stocks(&[&[1, 2], &[1, 2], &[1, 2]]);
    let copies: Vec<_> =
        stocks[..2].iter().map(|stock| stock.0.lock().unwrap().batches.clone()).collect();
    assert_eq!(used(session(&stocks, honest)).0, Some(ids[&1]));
    for (stock, copy) in stocks.iter().zip(copies) {
        *stock.0.lock().unwrap() = Shelf { batches: copy, ..Shelf::default() };
    }
    assert_eq!(used(session(&stocks, honest)).0, Some(ids[&2]));
    let outdated = |stock: &Shared| stock.0.lock().unwrap().compared.last().unwrap().outdated;
    let three = binding(3, 1).parties().unwrap().id(3).unwrap();
    assert_eq!(outdated(&stocks[0]), Some((three, 1)));
    assert_eq!(outdated(&stocks[1]), Some((three, 1)));
    assert_eq!(outdated(&stocks[2]), None);
}

/// One who says that all batches were used can keep the others from using theirs, and no more.
#[test]
fn a_party_that_claims_a_late_batch_spoils_the_stock_and_not_the_session() {
    let (stocks, _) = stocks(&[&[1], &[1], &[1]]);
    stocks[1].0.lock().unwrap().agreed = u64::MAX;
    assert_eq!(used(session(&stocks, honest)).0, None);
    assert!(stocks.iter().all(|stock| stock.0.lock().unwrap().taken.is_empty()));
}

/// A liar changes one of its three statements to one of the others.
fn lie(exchange: u32, to: u8, change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Result<Compared, Abort>> {
    let (stocks, _) = stocks(&[&[1, 2], &[1, 2], &[1, 2]]);
    let outcome = session(&stocks, move |mut frame| {
        if (frame.exchange, frame.from, frame.to) == (exchange, 3, to) {
            frame.payload = Zeroizing::new(change(&frame.payload));
        }
        vec![frame]
    });
    for stock in &stocks[..2] {
        let shelf = stock.0.lock().unwrap();
        assert!(shelf.taken.len() <= 1, "an honest party takes one batch for one session");
    }
    outcome.results
}

/// Whatever party 3 tells party 1 alone, the honest ones never use different batches.
#[test]
fn namings_that_differ_between_their_receivers_end_the_session() {
    let nothing = |naming: &[u8]| [&Digest::ZERO.0, &naming[32..]].concat();
    let results = lie(4, 1, nothing);
    let [two, three] = [2, 3].map(|number| binding(3, 1).parties().unwrap().id(number).unwrap());
    assert_eq!(results[0].as_ref().unwrap_err(), &Abort::Equivocation { party: two });
    assert!(results[1].is_err());
    // What it says it was told is compared as well.
    let results = lie(5, 1, |echo| [&[echo[0] ^ 1], &echo[1..]].concat());
    assert_eq!(results[0].as_ref().unwrap_err(), &Abort::Equivocation { party: three });
}

/// Party 1 is told of a stock that lacks the batch which party 2 would use.
#[test]
fn holdings_that_differ_between_their_receivers_burn_what_was_taken() {
    let results = lie(3, 1, |bytes| {
        let mut holdings = Holdings::from_bytes(bytes).unwrap();
        holdings.ready.remove(0);
        holdings.to_bytes()
    });
    // They have named different batches, and use neither.
    for result in &results[..2] {
        assert!(matches!(result, Ok((None, opened, _)) if *opened == expected()));
    }
}

#[test]
fn statements_that_make_no_sense_name_their_sender() {
    for (exchange, bytes) in [(3, vec![9; 5]), (4, vec![2]), (5, vec![])] {
        let results = lie(exchange, 1, |_| bytes.clone());
        let abort = results[0].as_ref().unwrap_err();
        assert_eq!(abort.culprit().map(PartyId::number), Some(3), "{abort}");
    }
    let ids = [2, 1].map(|number| BatchId { number, maker: Digest::ZERO });
    assert!(Holdings::from_bytes(&Holdings { agreed: 0, ready: ids.to_vec() }.to_bytes()).is_err());
}

/// What a stock hands out is not believed to be this party's.
#[test]
fn the_side_of_another_party_or_committee_is_not_used() {
    let (id, mut sides) = batch((3, 1), 1, AMOUNT);
    sides.swap(0, 1);
    let swapped: Vec<_> = sides.into_iter().map(|side| (id, side)).collect();
    let mut elsewhere = making((3, 1), 1);
    elsewhere.chain = Digest([9; 32]);
    let made = Network::of_engines(&elsewhere, 1, |engine| engine.into_material(1, AMOUNT));
    let made = made.unwrap().run().results.into_iter().map(Result::unwrap);
    let foreign: Vec<_> = made.map(|made| (*made.id(), made.to_secret_bytes().to_vec())).collect();
    for sides in [swapped, foreign] {
        let stocks = sides.into_iter().map(|(id, side)| {
            let stock = Shared::default();
            stock.keep(id, side);
            stock
        });
        let stocks: Vec<_> = stocks.collect();
        assert_eq!(used(session(&stocks, honest)).0, None);
        assert!(stocks[0].0.lock().unwrap().batches.is_empty(), "taken all the same, thus burnt");
    }
}

/// Any wrong product, of bits or of elements, ends the session in which a batch is made, and leaves
/// nobody with a batch.
#[test]
fn a_wrong_product_is_found_before_a_batch_leaves_its_session() {
    let amount = Amount { comparisons: 1, bits: 2 };
    let run = |flips: BTreeSet<(u32, usize)>, lies: BTreeMap<(u32, usize), Fr>| {
        let network = Network::of_engines(&making((3, 1), 1), 1, move |mut engine| {
            if engine.me().number() == 2 {
                (engine.flips, engine.lies) = (flips, lies);
            }
            engine.into_material(1, amount)
        });
        let mut sent = BTreeMap::new();
        let outcome = network.unwrap().interfering(|frame| {
            if !frame.payload.is_empty() && frame.from == 2 {
                sent.insert(frame.exchange, (frame.kind, frame.payload.len()));
            }
            vec![frame]
        });
        (outcome.run().results, sent)
    };
    let (results, sent) = run(BTreeSet::new(), BTreeMap::new());
    assert!(results.iter().all(Result::is_ok));
    let mut tried = 0;
    for (exchange, (kind, length)) in sent {
        let results = match kind {
            Kind::BinaryProduct => {
                run(BTreeSet::from([(exchange, 8 * length / 2)]), BTreeMap::new())
            }
            Kind::Multiply => run(BTreeSet::new(), BTreeMap::from([((exchange, 0), Fr::ONE)])),
            _ => continue,
        };
        tried += 1;
        assert!(results.0.iter().all(Result::is_err), "exchange {exchange}, {kind}");
    }
    assert!(tried > 6, "{tried}");
}

/// A party that goes away before it has confirmed leaves nobody with a batch.
#[test]
fn nobody_has_its_side_before_all_have_passed_the_check() {
    let network =
        Network::of_engines(&making((3, 1), 1), 1, |engine| engine.into_material(1, AMOUNT));
    let mut last = 0;
    let all = network.unwrap().interfering(|frame| {
        last = last.max(frame.exchange);
        vec![frame]
    });
    assert!(all.run().results.iter().all(Result::is_ok));
    let network =
        Network::of_engines(&making((3, 1), 1), 1, |engine| engine.into_material(1, AMOUNT));
    let silent = network.unwrap().interfering(|frame| match (frame.from, frame.exchange) {
        (3, exchange) if exchange == last => vec![],
        _ => vec![frame],
    });
    let results = silent.run().results;
    assert!(results[0].is_err() && results[1].is_err());
}

#[test]
fn amounts_beyond_the_bounds_are_refused() {
    let refused = |committee, comparisons, bits| {
        let amount = Amount { comparisons, bits };
        let network = Network::of_engines(&making(committee, 1), 1, move |engine| {
            engine.into_material(1, amount)
        });
        let results = network.unwrap().run().results;
        results.iter().all(|result| matches!(result, Err(Abort::Unsupported(_))))
    };
    assert!(refused((3, 1), 0, 0));
    assert!(refused((3, 1), 65_537, 0));
    assert!(refused((3, 1), 1, (1 << 20) + 1));
    // 13,108 comparisons of 80 bits each.
    assert!(refused((5, 2), 13_108, 0));
}

/// One meaning for each encoding, and no byte less or more.
#[test]
fn batches_are_read_back_as_they_were_written() {
    let (id, sides) = batch((3, 1), 7, Amount { comparisons: 9, bits: 3 });
    let material = Material::from_bytes(&sides[1]).unwrap();
    assert_eq!((*material.id(), material.party()), (id, 2));
    assert_eq!(*material.setting(), binding(3, 1).setting());
    assert_eq!(material.amount(), Amount { comparisons: 9, bits: 4 });
    assert_eq!(material.to_bytes(), sides[1]);
    assert_eq!(format!("{material:?}"), format!("Material({id}, {:?})", material.amount()));
    for end in 0..sides[1].len() {
        assert!(Material::from_bytes(&sides[1][..end]).is_err(), "{end}");
    }
    // The width and the number of masks, after head, two pairs, and tag.
    let masks = 32 + 1 + 8 + 32 + 4 + 2 * 96 + 1;
    for (at, value) in [(masks, 79), (masks + 4, 0), (masks + 4, 10), (masks - 1, 2)] {
        let mut changed = sides[1].clone();
        changed[at] = value;
        assert!(Material::from_bytes(&changed).is_err(), "{at}: {value}");
    }
}

/// A number is given again, in a session of the same name, after all have lost their stocks.
#[test]
fn batches_of_one_number_have_different_names() {
    let ids = [1, 2].map(|seed| {
        let made = Network::of_engines(&making((3, 1), 1), seed, |engine| {
            engine.into_material(1, Amount { comparisons: 1, bits: 0 })
        });
        *made.unwrap().run().results.swap_remove(0).unwrap().id()
    });
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_setting_is_named_by_chain_keys_in_order_threshold_and_who_takes_part() {
    let one = binding(5, 2);
    let name = |change: fn(&mut Binding)| {
        let mut other = one.clone();
        change(&mut other);
        other.setting()
    };
    let names = BTreeSet::from([
        one.setting(),
        name(|it| it.chain = Digest([1; 32])),
        name(|it| it.committee.swap(0, 1)),
        name(|it| it.committee[4] = Digest([9; 32])),
        name(|it| it.threshold = 1),
        name(|it| it.active = Parties::new(5, 1).unwrap().first_active()),
    ]);
    assert_eq!(names.len(), 6);
    assert_eq!(name(|it| it.round = Digest([1; 32])), one.setting());
}
