use std::cell::Cell;

use quittance_crypto::encoding::{Decode, Encode};

use super::*;
use crate::testing::{Bank, SUITE, World, chain, resigned, rng, single};

fn header(root: Digest) -> Header {
    Header {
        suite: SUITE,
        chain: chain(),
        height: Height(1),
        parent: BlockId(Digest::ZERO),
        transactions_root: root,
        state_root: Digest([1; 32]),
        time: Timestamp(2),
        validators: Digest([3; 32]),
        next_validators: Digest([4; 32]),
    }
}

fn block() -> (Block, World, Bank) {
    let (a, b) = (Bank::new("BANKDEFF"), Bank::new("BANKFRPP"));
    let transactions: Vec<_> =
        (0..3).map(|seed| single(a.pays("EUR", 9, &[b.receives(1)], seed), &a, seed)).collect();
    let header = header(transactions_root(&transactions));
    (Block { header, transactions }, World::new(&[&a]), a)
}

#[test]
fn a_block_is_known_by_every_field_of_its_header() {
    let one = header(Digest::ZERO);
    let other = Digest([9; 32]);
    let ids = [
        one.id(),
        Header { suite: Suite::MlDsa87MlKem1024, ..one.clone() }.id(),
        Header { chain: ChainId(other), ..one.clone() }.id(),
        Header { height: Height(2), ..one.clone() }.id(),
        Header { parent: BlockId(other), ..one.clone() }.id(),
        Header { transactions_root: other, ..one.clone() }.id(),
        Header { state_root: other, ..one.clone() }.id(),
        Header { time: Timestamp(3), ..one.clone() }.id(),
        Header { validators: other, ..one.clone() }.id(),
        Header { next_validators: other, ..one.clone() }.id(),
    ];
    for (index, id) in ids.iter().enumerate() {
        assert!(!ids[index + 1..].contains(id));
    }
    let bytes = one.to_bytes();
    assert_eq!(Header::from_bytes(&bytes), Ok(one));
    for end in 0..bytes.len() {
        assert!(Header::from_bytes(&bytes[..end]).is_err());
    }
    let mut versioned = bytes;
    versioned[0] = 0;
    assert!(Header::from_bytes(&versioned).is_err());
}

#[test]
fn a_block_of_the_largest_transactions_leaves_room_for_its_header() {
    let empty = Block::<Unverified> { header: header(Digest::ZERO), transactions: vec![] };
    assert!(empty.to_bytes().len() <= MAX_BLOCK_BYTES - MAX_TRANSACTIONS_BYTES);
}

#[test]
fn a_block_of_more_bytes_than_the_limit_is_refused() {
    let limit = MAX_BLOCK_BYTES;
    assert_eq!(check_length(limit), Ok(()));
    assert_eq!(check_length(limit + 1), Err(Problem::TooLong { found: limit + 1, limit }));

    let transaction = block().0.transactions.remove(0);
    let count = limit / transaction.size() + 1;
    let long = Block { header: header(Digest::ZERO), transactions: vec![transaction; count] };
    let error = Block::from_bytes(&long.to_bytes()).unwrap_err();
    assert_eq!(error.problem, Problem::TooLong { found: long.to_bytes().len(), limit });
}

#[test]
fn a_block_verifies_all_of_its_transactions_in_their_order() {
    let (block, world, _) = block();
    assert_eq!(Block::from_bytes(&block.to_bytes()).as_ref(), Ok(&block));
    let ids: Vec<_> = block.transactions.iter().map(Transaction::id).collect();
    let verified = block.verify(&world, |_| None, &mut rng(1)).unwrap();
    assert_eq!(verified.transactions.iter().map(Transaction::id).collect::<Vec<_>>(), ids);
}

#[test]
fn known_verdicts_spare_verification_and_change_nothing_else() {
    let (block, world, _) = block();
    let known = block.transactions[1].clone().verify(&world).unwrap().verdict();
    let asked = Cell::new(0);
    let lookup = |id: &TransactionId| {
        asked.set(asked.get() + 1);
        (*id == known.id()).then_some(known)
    };
    let verified = block.clone().verify(&world, lookup, &mut rng(1)).unwrap();
    assert_eq!(asked.get(), 3);
    assert_eq!(verified, block.clone().verify(&world, |_| None, &mut rng(1)).unwrap());
    // A cache that answers with another's verdict only costs the time to verify.
    assert_eq!(verified, block.clone().verify(&world, |_| Some(known), &mut rng(1)).unwrap());

    // The known one needs no key any more; the others still do.
    let error = block.verify(&World::new(&[]), lookup, &mut rng(1)).unwrap_err();
    assert!(matches!(error, BlockError::Transaction { index: 0, .. }));
}

#[test]
fn a_block_names_the_transaction_that_fails() {
    let (mut block, world, a) = block();
    let bad = resigned(&block.transactions[2], |body| body.expiry = Height(3), &[&a]);
    let expected = bad.id();
    block.transactions[2] = bad;
    let stale = block.clone().verify(&world, |_| None, &mut rng(1)).unwrap_err();
    assert!(matches!(stale, BlockError::TransactionsRoot { .. }));
    block.header = header(transactions_root(&block.transactions));
    let error = block.verify(&world, |_| None, &mut rng(1)).unwrap_err();
    let BlockError::Transaction { index: 2, id, .. } = error else { panic!("{error}") };
    assert_eq!(id, expected);
}

#[test]
fn the_transactions_root_covers_order_and_number() {
    let (block, ..) = block();
    let root = transactions_root(&block.transactions);
    let mut swapped = block.transactions.clone();
    swapped.swap(0, 1);
    let doubled = [&block.transactions[..], &block.transactions[2..]].concat();
    for other in [&swapped[..], &doubled, &block.transactions[..2], &[]] {
        assert_ne!(transactions_root(other), root);
    }
}

#[test]
fn headers_form_a_chain() {
    let one = header(Digest::ZERO);
    let good = Header {
        height: Height(2),
        parent: one.id(),
        time: Timestamp(3),
        validators: one.next_validators,
        ..one.clone()
    };
    let tip = Tip::after(&one);
    assert_eq!(tip.check(&good), Ok(()));
    let other = Digest([9; 32]);
    let refused = |header: Header| tip.check(&header).unwrap_err();
    assert!(matches!(
        refused(Header { chain: ChainId(other), ..good.clone() }),
        HeaderError::Chain { .. }
    ));
    assert!(matches!(
        refused(Header { suite: Suite::MlDsa87MlKem1024, ..good.clone() }),
        HeaderError::Suite { .. }
    ));
    for height in [1, 3] {
        assert!(matches!(
            refused(Header { height: Height(height), ..good.clone() }),
            HeaderError::Height { expected: Height(2), .. }
        ));
    }
    assert!(matches!(
        refused(Header { parent: BlockId(other), ..good.clone() }),
        HeaderError::Parent { .. }
    ));
    assert!(matches!(
        refused(Header { time: one.time, ..good.clone() }),
        HeaderError::Time { before: Timestamp(2), found: Timestamp(2) }
    ));
    assert!(matches!(
        refused(Header { validators: one.validators, ..good.clone() }),
        HeaderError::Validators { .. }
    ));
}
