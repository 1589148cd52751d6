//! The book says what the ledger's state says; [`World::include`] compares them at every block.

use quittance_crypto::range_proof;
use quittance_crypto::signature::Purpose;
use quittance_ledger::block::Block;
use quittance_ledger::build::Unsigned;
use quittance_ledger::ids::{ChainId, Height, RoundId};
use quittance_ledger::transaction::Transaction;
use quittance_round::book::BookError;

use crate::world::{CENTRAL, COORDINATOR, PARTIES, World, account, bank, euro, id, sign, signing};

/// A settlement among the first banks, proven by one who knows all.
fn settlement(world: &mut World, round: RoundId, nets: &[i64]) -> Transaction {
    let blindings = world.blindings(nets.len());
    let drafts: Vec<_> = nets
        .iter()
        .zip(&blindings)
        .enumerate()
        .map(|(place, (net, blinding))| world.settle(place, *net, blinding))
        .collect();
    let postings = drafts.iter().map(|draft| draft.posting.clone()).collect();
    let body = world.terms().settlement(round, 0, euro(), postings, None).unwrap();
    let openings: Vec<_> = drafts.iter().map(|draft| draft.opening.clone()).collect();
    let context = body.proof_context(&body.digest(), 0);
    let proof = range_proof::prove(&context, &openings, &mut world.rng).unwrap();
    sign(Unsigned::new(body, vec![proof]).unwrap())
}

#[test]
fn rounds_open_fill_settle_and_are_forgotten() {
    let mut world = World::new(3);
    assert!(world.book.open_round(euro()).is_none());
    let (opening, round) = world.opening(1);
    // The first bank joins in the very block that opens.
    let join = world.joining(round, bank(1));
    let before = world.book.balance(&account(bank(1)));
    world.include(vec![opening, join]);
    assert_eq!(world.book.round(&round).unwrap().members[&bank(1)].balance, before);
    let joins = vec![world.joining(round, bank(2)), world.joining(round, bank(3))];
    world.include(joins);

    let (found, facts) = world.book.open_round(euro()).unwrap();
    assert_eq!((found, facts.members.len()), (round, 3));
    assert!(facts.is_joinable(world.book.height()) && !facts.is_over(world.book.height()));
    assert!(!facts.is_joinable(facts.terms.join_until) && facts.is_over(facts.terms.deadline));
    let deadline = facts.terms.deadline;

    let settled = settlement(&mut world, round, &[-100, 100]);
    world.include(vec![settled.clone()]);
    let facts = world.book.round(&round).unwrap();
    assert_eq!(facts.settled.unwrap().transaction, settled.id());
    assert_eq!(facts.members[&bank(1)].balance, before, "as it was on joining");
    assert_ne!(world.book.balance(&account(bank(1))), before);
    assert!(world.book.open_round(euro()).is_none());

    let (opening, second) = world.opening(2);
    world.include(vec![opening]);
    assert_eq!(world.book.open_round(euro()).unwrap().0, second);
    world.advance_to(world.book.round(&second).unwrap().terms.deadline);
    assert!(world.book.open_round(euro()).is_none(), "no further block can settle it");
    world.advance_to(deadline.plus(20));
    assert!(world.book.round(&round).is_some());
    world.advance_to(deadline.plus(21));
    assert!(world.book.round(&round).is_none() && world.book.round(&second).is_some());
}

#[test]
fn the_register_gives_keys_and_committees() {
    let mut world = World::new(2);
    let (opening, round) = world.opening(1);
    world.include(vec![opening]);
    for who in [bank(1), bank(2), id(CENTRAL), id(COORDINATOR), id(PARTIES[0])] {
        for purpose in [Purpose::Round, Purpose::Receipt, Purpose::Transaction] {
            assert_eq!(world.book.key(&who, purpose), Some(&signing(who, purpose).verifying_key()));
        }
    }
    assert_eq!(world.book.key(&bank(3), Purpose::Round), None);
    let facts = world.book.round(&round).unwrap();
    assert_eq!(facts.committee.parties, PARTIES.map(id));
}

#[test]
fn what_no_valid_block_contains_is_refused_and_leaves_no_trace() {
    let mut world = World::new(2);
    let (opening, round) = world.opening(1);
    world.include(vec![opening.clone()]);
    let joins = [1, 2].map(|number| world.joining(round, bank(number)));
    let (_, unopened) = world.opening(2);
    let stray = world.joining(unopened, bank(1));
    let unknown = world.joining(round, id("NODEZZ02"));
    world.include(joins.to_vec());
    let settled = settlement(&mut world, round, &[5, -5]);

    let height = world.tip.height().next();
    let next = world.block(vec![]);
    let with = |transactions: &[&Transaction]| {
        let transactions = transactions.iter().map(|&transaction| transaction.clone()).collect();
        Block { header: next.header.clone(), transactions }
    };
    let settled_at = |round| BookError::Settled { height, round };
    let cases = [
        (with(&[&opening]), BookError::OpenedTwice { height, round }),
        (with(&[&joins[0]]), BookError::JoinedTwice { height, round, institution: bank(1) }),
        (with(&[&stray]), BookError::UnknownRound { height, round: unopened }),
        (with(&[&unknown]), BookError::NotRegistered { height, institution: id("NODEZZ02") }),
        (with(&[&settled, &settled]), settled_at(round)),
        (with(&[&settled, &joins[1]]), settled_at(round)),
    ];
    let before = format!("{:?}", world.book);
    for (block, expected) in cases {
        assert_eq!(world.book.apply(&block), Err(expected));
        assert_eq!(format!("{:?}", world.book), before);
    }
    let mut skipped = with(&[]);
    skipped.header.height = Height(99);
    let expected = BookError::Height { expected: height, found: Height(99) };
    assert_eq!(world.book.apply(&skipped), Err(expected));
    let mut foreign = with(&[]);
    foreign.header.chain = ChainId(opening.body_digest());
    assert!(matches!(world.book.apply(&foreign), Err(BookError::Chain { .. })));

    world.include(vec![settled]);
}
