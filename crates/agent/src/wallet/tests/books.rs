//! What the books say: statements, credits that arrive, come back or make no sense.

use quittance_ledger::build::{Poster, Receiver, Unsigned};
use quittance_ledger::payload::Particulars;
use quittance_ledger::transaction::MAX_ABSORBED;

use super::super::*;
use super::world::*;

fn lines(events: &[WalletEvent]) -> Vec<(LineKind, i128, Option<i128>)> {
    let lines = events.iter().filter_map(|event| match event {
        WalletEvent::Booked(line) => Some((line.kind, line.amount, line.balance)),
        _ => None,
    });
    lines.collect()
}

fn step(world: &World, wallet: &mut Wallet) -> Vec<(LineKind, i128, Option<i128>)> {
    let events = wallet.apply_block(world.last()).unwrap();
    world.check(wallet);
    lines(&events)
}

#[test]
fn statements_add_up_for_payer_payee_and_issuer() {
    use LineKind::{Absorbed, GivenBack, Received, Returned, Sent};
    let mut world = World::new(1);
    let [mut central, mut one, mut two] = [CENTRAL, ONE, TWO].map(|who| world.restore(who));

    let issue = world.pay(&mut central, &[(ONE, 100), (TWO, 0)], 1).unwrap();
    world.block(&[issue]);
    assert_eq!(step(&world, &mut central), [(Sent, -100, Some(-100))]);
    assert_eq!(step(&world, &mut one), [(Received, 100, Some(0))]);
    assert_eq!(step(&world, &mut two), [(Received, 0, Some(0))]);
    assert_eq!(one.absorbable(eur()), Ok(1));
    assert_eq!(two.absorbable(eur()), Ok(1), "zeros, too");

    let pay = world.pay(&mut one, &[(TWO, 30), (CENTRAL, 5)], 2).unwrap();
    world.block(&[pay]);
    let booked = one.apply_block(world.last()).unwrap();
    assert_eq!(lines(&booked), [(Absorbed, 100, Some(100)), (Sent, -35, Some(65))]);
    let sent = booked.iter().find_map(|event| match event {
        WalletEvent::Booked(line) if line.kind == Sent => Some(line),
        _ => None,
    });
    let others: Vec<_> =
        sent.unwrap().counterparties.iter().map(|c| (c.institution, c.amount)).collect();
    assert_eq!(others, [(id(TWO), 30), (id(CENTRAL), 5)]);
    assert_eq!(sent.unwrap().uetr, Some(uetr(2)));
    let received = two.apply_block(world.last()).unwrap();
    let WalletEvent::Booked(line) = &received[0] else { panic!("a line") };
    assert_eq!(line.uetr, Some(uetr(2)));
    assert_eq!(line.end_to_end_id.as_deref(), Some("E2E"));
    assert_eq!(line.remittance.as_deref(), Some("rent"));
    assert_eq!(line.counterparties[0].institution, id(ONE));
    assert_eq!(line.transaction, world.last().transactions[0].id());
    step(&world, &mut central);

    // The second credit goes back, and what is left is absorbed in the order of arrival.
    let credit = two.account(eur()).unwrap().pending[1].id;
    let back = world.give_back(TWO, TWO, credit);
    let absorb = world.absorb(&mut central).unwrap();
    world.block(&[back, absorb]);
    assert_eq!(step(&world, &mut two), [(GivenBack, -30, Some(0))]);
    assert_eq!(step(&world, &mut one), [(Returned, 30, Some(65))]);
    assert_eq!(step(&world, &mut central), [(Absorbed, 5, Some(-95))]);
    let absorb = world.absorb(&mut one).unwrap();
    assert_eq!(world.block(&[absorb]), [true]);
    assert_eq!(step(&world, &mut one), [(Absorbed, 30, Some(95))]);
    for (wallet, who) in [(central, CENTRAL), (one, ONE), (two, TWO)] {
        let restored = world.restore(who);
        world.check(&restored);
        assert_eq!(restored.balance(eur()), wallet.balance(eur()));
        assert_eq!(restored.pending(eur()), wallet.pending(eur()));
        assert_eq!(restored.carried_out, wallet.carried_out);
        assert!(restored.given.keys().eq(wallet.given.keys()));
    }
}

/// Sealed to a key that is not the receiver's: nobody can open it.
#[test]
fn a_malformed_credit_is_reported_left_alone_and_given_back() {
    let mut world = World::new(1);
    let [mut central, mut one] = [CENTRAL, ONE].map(|who| world.restore(who));
    let wrong = world.sealing_key(TWO);
    let receiver = Receiver {
        institution: id(ONE),
        sealing_key: &wrong,
        amount: 40,
        particulars: Particulars::new(uetr(1), "", "").unwrap(),
    };
    let expiry = world.height().plus(5);
    let draft =
        central.draft_transfer(eur(), &[receiver], uetr(1), expiry, &mut world.rng).unwrap();
    let unsigned = draft.complete(&mut world.rng).unwrap();
    let transaction = world.sign(CENTRAL, unsigned);
    let good = world.pay(&mut central, &[(ONE, 2)], 2).unwrap();
    let credit = transaction.credit_id(0, 0);
    world.block(&[transaction, good]);
    let events = one.apply_block(world.last()).unwrap();
    let WalletEvent::Malformed { credit: found, sender, reason, .. } = &events[0] else {
        panic!("a warning")
    };
    assert_eq!((*found, *sender), (credit, id(CENTRAL)));
    assert!(matches!(reason, MalformedCredit::Payload(_)));
    assert_eq!(one.malformed(eur()), Ok(vec![(credit, id(CENTRAL))]));
    assert_eq!((one.absorbable(eur()), one.pending(eur())), (Ok(1), Ok(2)));

    let absorb = world.absorb(&mut one).unwrap();
    let reject = world.give_back(ONE, ONE, credit);
    assert_eq!(world.block(&[absorb, reject]), [true, true]);
    let events = one.apply_block(world.last()).unwrap();
    assert!(!events.iter().any(|event| matches!(event, WalletEvent::Lost(_))));
    assert_eq!(one.balance(eur()), Ok(2));
    assert_eq!(one.malformed(eur()), Ok(vec![]));
    central = world.restore(CENTRAL);
    assert_eq!(central.pending(eur()), Ok(40), "re-opened from the seed");
}

#[test]
fn absorptions_are_bounded_and_in_order() {
    let mut world = World::new(1);
    let [mut central, mut one] = [CENTRAL, ONE].map(|who| world.restore(who));
    let credits = vec![(ONE, 1); 31];
    let issues: Vec<_> = (0..9).map(|n| world.pay(&mut central, &credits, n).unwrap()).collect();
    assert_eq!(world.block(&issues), [true; 9]);
    one.apply_block(world.last()).unwrap();
    assert_eq!(one.absorbable(eur()), Ok(MAX_ABSORBED));
    let absorb = world.absorb(&mut one).unwrap();
    assert_eq!(one.absorbable(eur()), Ok(9 * 31 - MAX_ABSORBED));
    let pay = world.pay(&mut one, &[(CENTRAL, 9 * 31)], 20).unwrap();
    assert_eq!(world.block(&[absorb, pay]), [true, true]);
    one.apply_block(world.last()).unwrap();
    assert_eq!(one.balance(eur()), Ok(0));
    world.check(&one);
}

/// A posting that another program made with the institution's keys, but another note key.
#[test]
fn an_unreadable_note_is_a_warning_and_stops_the_account() {
    let mut world = World::new(1);
    let mut one = world.restore(ONE);
    let note_key = quittance_crypto::note::NoteKey::random(&mut world.rng);
    let balance = Opening::zero();
    let poster = Poster {
        chain: one.facts.chain,
        account: one.account_id(eur()),
        side: Side::Holder,
        key_fingerprint: one.keys.transaction_key,
        sequence: 0,
        balance: &balance,
        note_key: &note_key,
    };
    let draft = poster.absorb(&[], &mut world.rng).unwrap();
    let body = one.terms(Height(5)).entries(vec![draft.entry().clone()]).unwrap();
    let proof = draft.prove(&body, &mut world.rng).unwrap().proof;
    let transaction = world.sign(ONE, Unsigned::new(body, vec![proof]).unwrap());
    world.block(&[transaction]);
    let events = one.apply_block(world.last()).unwrap();
    assert!(matches!(events[..], [WalletEvent::Unreadable { sequence: 1, .. }]));
    let unknown = WalletError::BalanceUnknown { asset: eur() };
    assert_eq!(one.balance(eur()), Err(unknown.clone()));
    assert_eq!(world.absorb(&mut one).err(), Some(unknown));
}

#[test]
fn blocks_apply_in_order_and_of_this_chain() {
    let mut world = World::new(1);
    let mut one = world.restore(ONE);
    world.block(&[]);
    world.block(&[]);
    let (expected, found) = (Height(1), Height(2));
    assert_eq!(one.apply_block(world.last()), Err(WalletError::OutOfOrder { expected, found }));
    let mut foreign = world.blocks[0].clone();
    foreign.header.chain = ChainId(quittance_crypto::digest::Digest::ZERO);
    assert_eq!(one.apply_block(&foreign), Err(WalletError::OtherChain));
    one.apply_block(&world.blocks[0]).unwrap();
    one.apply_block(&world.blocks[1]).unwrap();
}
