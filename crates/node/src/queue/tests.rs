use std::sync::Arc;
use std::thread;

use super::*;
use crate::banks::{Banks, terms};
use quittance_crypto::digest::Digest;
use quittance_ledger::ids::ChainId;

fn queue(verifiers: usize) -> Queue {
    Queue::new(NonZeroUsize::new(verifiers).unwrap())
}

fn transaction() -> Transaction {
    let mut banks = Banks::new();
    banks.issuer.posts(terms(ChainId(Digest::ZERO), 1), &[], &[])
}

fn taken(queue: &Queue) -> usize {
    queue.take().unwrap().len()
}

#[test]
fn what_waits_is_shared_among_verifiers_but_not_into_crumbs() {
    let (queue, transaction) = (queue(4), transaction());
    let push = |count| (0..count).for_each(|_| assert!(queue.push(transaction.clone())));
    push(1);
    assert_eq!(taken(&queue), 1);
    push(SMALLEST_SHARE + 3);
    assert_eq!((taken(&queue), taken(&queue)), (SMALLEST_SHARE, 3));
    push(400);
    assert_eq!((taken(&queue), taken(&queue), taken(&queue)), (100, 75, 57));
    push(10_000);
    assert_eq!(taken(&queue), MAX_BATCH);
}

#[test]
fn a_verifier_waits_for_the_next_transaction_and_no_longer() {
    let queue = Arc::new(queue(2));
    let verifiers: Vec<_> = (0..2)
        .map(|_| {
            let queue = queue.clone();
            thread::spawn(move || {
                let mut found = 0;
                while let Some(batch) = queue.take() {
                    found += batch.len();
                    queue.close();
                }
                found
            })
        })
        .collect();
    assert!(queue.push(transaction()));
    // One of them has it; both end.
    let found: usize = verifiers.into_iter().map(|verifier| verifier.join().unwrap()).sum();
    assert_eq!(found, 1);
    assert!(!queue.push(transaction()));
    assert!(queue.take().is_none());
}
