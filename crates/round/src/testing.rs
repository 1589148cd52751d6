//! A queue of three payments, for the tests of this crate.

use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof::RangeProof;
use quittance_ledger::ids::{AccountId, AssetId, ChainId, InstitutionId, RoundId, Uetr};
use quittance_ledger::payload::Particulars;
use quittance_ledger::transaction::RoundJoin;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::Joined;
use crate::payees::Payees;
use crate::queue::{FrozenQueue, QueuePlace, QueueSeed, QueuedPayment};

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub fn bank(number: u32) -> InstitutionId {
    format!("BANKZZ{number:02}").parse().unwrap()
}

pub fn number(bank: &InstitutionId) -> Option<u32> {
    bank.to_string()[6..].parse().ok()
}

pub fn payment(payee: u32, amount: u64, reference: u8) -> QueuedPayment {
    let uetr = Uetr([reference; 16]);
    let particulars = Particulars::new(uetr, "E2E", "rent").unwrap();
    QueuedPayment { payee: bank(payee), amount, particulars }
}

/// The participants of the register: banks 1 to 9.
pub fn payees() -> Payees {
    Payees::with(1..=9)
}

pub fn queue(seed: u64) -> FrozenQueue {
    let payments = vec![payment(2, 500, 1), payment(3, u64::MAX, 2), payment(2, 7, 3)];
    FrozenQueue::freeze(bank(1), payments, number, QueueSeed::random(&mut rng(seed))).ok().unwrap()
}

pub fn place() -> QueuePlace {
    QueuePlace {
        chain: ChainId(Digest([1; 32])),
        round: RoundId(Digest([2; 32])),
        asset: "EUR".parse::<AssetId>().unwrap(),
        institution: bank(1),
        sequence: 9,
    }
}

/// The proofs of a queue's amounts, on the account of its payer.
pub fn ranges(queue: &FrozenQueue) -> Vec<RangeProof> {
    let account = AccountId { institution: queue.payer(), asset: place().asset };
    queue.prove_amounts(place().chain, &account, &mut rng(5)).unwrap()
}

pub fn join(queue: &FrozenQueue, note: Vec<u8>) -> RoundJoin {
    RoundJoin {
        round: place().round,
        institution: queue.payer(),
        key_fingerprint: Digest([3; 32]),
        sequence: place().sequence,
        queue_root: queue.root(),
        bucket: queue.bucket(),
        note,
    }
}

pub fn joined(queue: &FrozenQueue) -> Joined {
    Joined::new(&join(queue, vec![]), (place().chain, place().asset), 1)
}
