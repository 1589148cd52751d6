//! The book says what the ledger's state says; [`World::include`] compares them at every block.

use quittance_crypto::digest::Digest;
use quittance_crypto::keyfile::{KeyRing, KeyUse};
use quittance_crypto::range_proof;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::Purpose;
use quittance_ledger::block::Block;
use quittance_ledger::build::{NewKey, Unsigned};
use quittance_ledger::ids::{ChainId, CommitteeId, Height, RoundId};
use quittance_ledger::state::{Committee, PublicKey, Role};
use quittance_ledger::transaction::{Action, Approval, Change, Governance, Transaction};
use quittance_round::book::BookError;

use crate::world::{
    CENTRAL, COORDINATOR, PARTIES, SUITE, World, account, bank, euro, fingerprint, id, sign,
    signing,
};

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

/// The validator decides; what is next is still executed as before.
fn decide(world: &mut World, changes: Vec<Change>) -> Height {
    let (validator, number) = (id("NODEZZ01"), world.state.last_decision() + 1);
    let effective = world.tip.height().plus(3);
    let approvals =
        vec![Approval { institution: validator, key_fingerprint: fingerprint(validator) }];
    let decision = Governance { number, effective, changes, approvals };
    let decision = world.act(Action::Governance(decision));
    world.include(vec![decision]);
    effective
}

#[test]
fn the_next_round_has_the_committee_and_the_payees_that_were_decided_on() {
    let mut world = World::with_spare(2, 1);
    let (opening, first) = world.opening(1);
    let before = world.parties.clone();
    let mut after = before.clone();
    after.remove(0);
    let key = |purpose| PublicKey::Signing(purpose, signing(bank(9), purpose).verifying_key());
    let sealing = SealingKey::generate(SUITE);
    let keys = vec![
        key(Purpose::Transaction),
        key(Purpose::Round),
        PublicKey::Sealing(sealing.public_key().clone()),
    ];
    let committee = Committee { parties: after.clone(), threshold: 1 };
    let admitted = Change::Admit { institution: bank(9), roles: [Role::Participant].into(), keys };
    let changes = vec![Change::PutCommittee { id: CommitteeId(1), committee }, admitted];
    let effective = decide(&mut world, changes);
    // The block at the height before is executed under the old register.
    world.include(vec![opening]);
    assert_eq!(world.book.height().next(), effective);
    let (opening, second) = world.opening(2);
    world.include(vec![opening]);
    let facts = |round| world.book.round(&round).unwrap();
    assert_eq!(
        (&facts(first).committee.parties, &facts(second).committee.parties),
        (&before, &after)
    );
    assert_eq!(world.book.registry().committee(CommitteeId(1)).unwrap().parties, after);
    let number = world.book.registry().institution(&bank(9)).unwrap().number;
    assert!(facts(first).payees.place(number).is_none());
    assert!(facts(second).payees.place(number).is_some());
    assert_eq!(facts(first).payees.entries() + 1, facts(second).payees.entries());
}

#[test]
fn a_rotated_key_is_the_one_that_counts_from_its_height_on() {
    let mut world = World::new(2);
    let effective = world.tip.height().plus(3);
    let mut ring = KeyRing::generate(bank(1).as_str(), SUITE).unwrap();
    let old = signing(bank(1), Purpose::Round);
    let rotation = world.terms().rotation(
        bank(1),
        fingerprint(bank(1)),
        &NewKey::Signing(Purpose::Round, ring.signing(Purpose::Round)),
        effective,
    );
    let rotation = sign(Unsigned::new(rotation.unwrap(), vec![]).unwrap());
    world.include(vec![rotation]);
    let purposes = [Purpose::Round];
    while world.book.height().next() < effective {
        assert_eq!(world.book.key(&bank(1), Purpose::Round), Some(&old.verifying_key()));
        let missing = world.book.missing_key(&ring, &bank(1), &purposes).unwrap();
        assert_eq!(missing.registered, Some(old.verifying_key().fingerprint()));
        world.include(vec![]);
    }
    let new = ring.signing(Purpose::Round).verifying_key();
    assert_eq!(world.book.key(&bank(1), Purpose::Round), Some(&new));
    // A still newer key that is not registered is not taken.
    ring.renew(KeyUse::Signing(Purpose::Round)).unwrap();
    assert_eq!(world.book.missing_key(&ring, &bank(1), &purposes), None);
    assert_eq!(world.book.own_key(&ring, &bank(1), Purpose::Round).verifying_key(), new);
}

#[test]
fn decisions_that_the_ledger_would_not_admit_are_refused_and_leave_no_trace() {
    let mut world = World::new(2);
    let approvals = |who| vec![Approval { institution: who, key_fingerprint: fingerprint(who) }];
    let changes = vec![Change::RemoveCommittee { id: CommitteeId(1) }];
    let effective = world.tip.height().plus(5);
    let good = world.block(vec![]);
    for (number, who) in [(2, id("NODEZZ01")), (1, bank(1))] {
        let decision =
            Governance { number, effective, changes: changes.clone(), approvals: approvals(who) };
        let mut block = good.clone();
        block.transactions = vec![world.act(Action::Governance(decision))];
        let before = world.book.registry().clone();
        let error = world.book.apply(&block).unwrap_err();
        assert!(matches!(error, BookError::Register { .. }), "{error}");
        assert_eq!(*world.book.registry(), before);
    }
    // Nor validators whom nobody has decided on.
    let mut block = good.clone();
    block.header.next_validators = Digest([9; 32]);
    let error = world.book.apply(&block).unwrap_err().to_string();
    assert!(error.contains("announces validators"), "{error}");
    world.book.apply(&good).unwrap();
}
