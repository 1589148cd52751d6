//! Queued payments, proven before any round.

use std::time::Duration;

use quittance_crypto::digest::Digest;
use quittance_ledger::ids::Uetr;
use quittance_ledger::payload::Particulars;
use quittance_round::queue::QueuedPayment;
use quittance_rpc::proto::agent::v1 as api;

use super::super::{Seat, Stage};
use super::*;
use crate::core::{Handle, View};
use crate::site::{Bank, ONE, Site, TWO, uetr};
use crate::{Agent, Config};

fn eur() -> AssetId {
    "EUR".parse().unwrap()
}

/// An agent, with a look into its store.
async fn start(site: &Site) -> (Bank, Handle, View) {
    let agent = Agent::start(Config::load(&site.config(ONE)).unwrap()).await.unwrap();
    let (core, view) = (agent.core.clone(), agent.view.clone());
    (site.serve(ONE, agent).caught_up().await, core, view)
}

async fn queue(bank: &Bank, numbers: std::ops::RangeInclusive<u8>) {
    for number in numbers {
        let request = api::QueuePaymentRequest {
            uetr: uetr(number),
            asset: "EUR".to_owned(),
            payee: TWO.to_owned(),
            amount: number.to_string(),
            ..api::QueuePaymentRequest::default()
        };
        bank.client.clone().queue_payment(request).await.unwrap();
    }
}

async fn cancel(bank: &Bank, number: u8) {
    let request = api::CancelPaymentRequest { uetr: uetr(number) };
    bank.client.clone().cancel_payment(request).await.unwrap();
}

/// What is stored, once it is proven for these amounts (in cents).
async fn proven(view: &View, amounts: &[u64]) -> PreparedQueue {
    let groups = groups(amounts);
    for _ in 0..1200 {
        let prepared = view.store.prepared().unwrap().remove(&eur());
        if let Some(prepared) = prepared {
            let stored: Vec<_> =
                prepared.groups.values().map(|proven| proven.amounts.clone()).collect();
            if stored == groups {
                return prepared;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{amounts:?} are not proven in time");
}

fn cents(numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
    numbers.into_iter().map(|number| 100 * number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_payments_are_proven_at_once_and_the_proofs_survive_a_restart() {
    let site = Site::new();
    let node = site.node().await;
    let (one, core, view) = start(&site).await;
    assert!(view.store.prepared().unwrap().is_empty());
    queue(&one, 1..=3).await;
    let first = proven(&view, &cents([1, 2, 3])).await;
    drop((core, view));
    one.stop().await;

    // Found again, not made again.
    let (one, core, view) = start(&site).await;
    let again = proven(&view, &cents([1, 2, 3])).await;
    assert!(again.seed == first.seed && again.groups == first.groups);
    // Only what has changed is proven anew.
    queue(&one, 4..=9).await;
    let more = proven(&view, &cents(1..=9)).await;
    queue(&one, 10..=10).await;
    let last = proven(&view, &cents(1..=10)).await;
    assert!(last.groups.get(&0) == more.groups.get(&0));
    assert!(last.groups.get(&1) != more.groups.get(&1));
    assert!(last.seed == first.seed);
    cancel(&one, 2).await;
    let shorter = proven(&view, &cents([1, 3, 4, 5, 6, 7, 8, 9, 10])).await;
    assert!(shorter.seed == first.seed && shorter.groups.get(&0) != last.groups.get(&0));

    // What a round takes is gone from the store, and another seed is drawn.
    let taken = core.call(|core| {
        let mut changes = Changes::now();
        let taken = core.parts.rounds.take_prepared(eur(), &mut changes);
        core.commit(changes)?;
        Ok(taken)
    });
    let (seed, groups) = taken.await.unwrap();
    assert!(seed == first.seed && groups == shorter.groups);
    assert!(view.store.prepared().unwrap().is_empty());
    cancel(&one, 3).await;
    let other = proven(&view, &cents([1, 4, 5, 6, 7, 8, 9, 10])).await;
    assert!(other.seed != first.seed);
    drop((core, view));
    one.stop().await;
    node.stop().await;
}

/// What can wait leaves the processors to a round.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_proven_in_advance_while_the_bank_is_in_a_round() {
    let site = Site::new();
    let node = site.node().await;
    let (one, core, view) = start(&site).await;
    let round = RoundId(Digest([7; 32]));
    queue(&one, 1..=3).await;
    proven(&view, &cents([1, 2, 3])).await;
    let looked = core.call(move |core| {
        let before = core.is_queue_proven(eur());
        let mut changes = Changes::now();
        core.parts.rounds.take_prepared(eur(), &mut changes);
        core.commit(changes)?;
        let mut begun = |stage| {
            core.parts.rounds.seats.insert(round, Seat::new(eur(), stage));
            core.payments.mark_changed(eur());
            core.prepare_queues()?;
            Ok::<_, Failure>(core.parts.rounds.prepared.contains_key(&eur()))
        };
        let (during, after) = (begun(Stage::Dealing)?, begun(Stage::Left)?);
        Ok((before, during, after, core.is_queue_proven(eur())))
    });
    assert_eq!(looked.await.unwrap(), (true, false, true, false));
    proven(&view, &cents([1, 2, 3])).await;
    assert!(core.call(|core| Ok(core.is_queue_proven(eur()))).await.unwrap());
    drop((core, view));
    one.stop().await;
    node.stop().await;
}

/// A store that was restored from a copy has the seed of a queue that has joined a round since.
#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_is_on_the_chain_is_not_used_again() {
    let site = Site::new();
    let node = site.node().await;
    let (one, core, view) = start(&site).await;
    queue(&one, 1..=1).await;
    let prepared = proven(&view, &cents([1])).await;
    let frozen = |seed: &QueueSeed| {
        let particulars = Particulars::new(Uetr([9; 16]), "", "").unwrap();
        let payment = QueuedPayment { payee: TWO.parse().unwrap(), amount: 100, particulars };
        let queue =
            FrozenQueue::freeze(ONE.parse().unwrap(), vec![payment], |_| Some(2), seed.clone());
        queue.unwrap_or_else(|error| panic!("{error}"))
    };
    let mut rounds = Rounds::open(&view.setting, &view.store).unwrap();
    rounds.forget_used(eur(), &frozen(&QueueSeed::random(&mut OsRng)));
    assert!(rounds.prepared.contains_key(&eur()));
    rounds.forget_used(eur(), &frozen(&prepared.seed));
    assert!(rounds.prepared.is_empty());
    drop((core, view, rounds));
    one.stop().await;
    node.stop().await;
}

/// A proof made in advance is for the amounts that it was made for.
#[test]
fn only_proofs_that_fit_the_frozen_queue_are_taken() {
    let amounts = cents(1..=9);
    let groups = groups(&amounts);
    assert_eq!(groups.len(), 2);
    assert_eq!(*groups[1], [900, 0, 0, 0, 0, 0, 0, 0]);
    let (seed, account) = (QueueSeed::random(&mut OsRng), account());
    let chain = quittance_ledger::ids::ChainId(quittance_crypto::digest::Digest::ZERO);
    let prove = |group: usize| {
        seed.prove_amounts(chain, &account, group, &groups[group], &mut OsRng).unwrap()
    };
    let proven = |group: usize| ProvenGroup { amounts: groups[group].clone(), proof: prove(group) };
    let ready = BTreeMap::from([(0, proven(0)), (1, proven(1))]);
    let payment = |number: u64| {
        let particulars = Particulars::new(Uetr([number as u8; 16]), "", "").unwrap();
        QueuedPayment { payee: TWO.parse().unwrap(), amount: 100 * number, particulars }
    };
    let frozen = |numbers: &[u64]| {
        let payments = numbers.iter().map(|number| payment(*number)).collect();
        let queue = FrozenQueue::freeze(account.institution, payments, |_| Some(2), seed.clone());
        queue.unwrap_or_else(|error| panic!("{error}"))
    };
    let taken =
        |numbers: &[u64]| fitting(&frozen(numbers), ready.clone()).into_keys().collect::<Vec<_>>();
    assert_eq!(taken(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), [0, 1]);
    assert_eq!(taken(&[1, 2, 3, 4, 5, 6, 7, 8]), [0]);
    assert_eq!(taken(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), [0]);
    assert_eq!(taken(&[2, 1, 3, 4, 5, 6, 7, 8, 9]), [1]);
}

fn account() -> AccountId {
    AccountId { institution: ONE.parse().unwrap(), asset: eur() }
}
