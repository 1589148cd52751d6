//! Stocks in memory, and batches that were really made for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Decode;

use super::AMOUNT;
use crate::engine::tests::binding;
use crate::memory::Network;
use crate::session::Binding;
use crate::stock::{Amount, BatchId, Comparison, Holdings, Material, Stock};

/// A stock in memory, with what has happened to it.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) agreed: u64,
    pub(super) batches: BTreeMap<BatchId, Vec<u8>>,
    pub(super) compared: Vec<Comparison>,
    pub(super) taken: Vec<BatchId>,
}

#[derive(Clone, Default)]
pub(super) struct Shared(pub(super) Arc<Mutex<Shelf>>);

impl Stock for Shared {
    fn holdings(&mut self) -> Holdings {
        let shelf = self.0.lock().unwrap();
        Holdings { agreed: shelf.agreed, ready: shelf.batches.keys().copied().collect() }
    }

    fn compare(&mut self, comparison: &Comparison) {
        self.0.lock().unwrap().compared.push(comparison.clone());
    }

    fn take(&mut self, id: &BatchId) -> Option<Material> {
        let mut shelf = self.0.lock().unwrap();
        shelf.taken.push(*id);
        Some(Material::from_bytes(&shelf.batches.remove(id)?).unwrap())
    }

    fn agreed(&mut self, id: &BatchId) {
        self.0.lock().unwrap().agreed = id.number;
    }
}

impl Shared {
    pub(super) fn keep(&self, id: BatchId, bytes: Vec<u8>) {
        self.0.lock().unwrap().batches.insert(id, bytes);
    }
}

/// The session in which a batch is made.
pub(super) fn making(committee: (u8, u8), number: u64) -> Binding {
    let round = Digest::of("batch", &[&number.to_be_bytes()]);
    Binding { round, ..binding(committee.0, committee.1) }
}

/// All parties' sides of a batch, as bytes.
pub(super) fn batch(committee: (u8, u8), number: u64, amount: Amount) -> (BatchId, Vec<Vec<u8>>) {
    let network = Network::of_engines(&making(committee, number), number, move |engine| {
        engine.into_material(number, amount)
    });
    let made = network.unwrap().run().results.into_iter();
    let made: Vec<_> = made.map(|made| made.unwrap_or_else(|error| panic!("{error}"))).collect();
    let id = *made[0].id();
    assert!(id.number == number && made.iter().all(|material| *material.id() == id));
    (id, made.iter().map(|material| material.to_secret_bytes().to_vec()).collect())
}

/// A stock for each party, with these batches of theirs: by party, numbers.
pub(super) fn stocks(held: &[&[u64]]) -> (Vec<Shared>, BTreeMap<u64, BatchId>) {
    let stocks: Vec<Shared> = held.iter().map(|_| Shared::default()).collect();
    let mut ids = BTreeMap::new();
    for number in held.iter().copied().flatten().copied().collect::<BTreeSet<_>>() {
        let (id, sides) = batch((held.len() as u8, (held.len() as u8 - 1) / 2), number, AMOUNT);
        ids.insert(number, id);
        for ((stock, held), side) in stocks.iter().zip(held).zip(sides) {
            if held.contains(&number) {
                stock.keep(id, side);
            }
        }
    }
    (stocks, ids)
}
