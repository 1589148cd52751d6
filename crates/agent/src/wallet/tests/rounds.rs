//! Locks.

use quittance_crypto::commitment::Blinding;
use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof;
use quittance_ledger::build::Unsigned;
use quittance_ledger::transaction::Action;
use quittance_ledger::transaction::{RoundJoin, Transaction, Verified};

use super::super::*;
use super::world::*;

fn join(world: &mut World, wallet: &mut Wallet, round: RoundId) -> Transaction<Verified> {
    let expiry = world.height().plus(6);
    let candidate = wallet.reserve_join(eur(), round, expiry).unwrap();
    let join = RoundJoin {
        round,
        institution: wallet.institution(),
        key_fingerprint: wallet.keys.transaction_key,
        sequence: candidate.sequence,
        queue_root: Digest::of("test queue", &[]),
        bucket: 8,
        note: vec![1, 2, 3],
    };
    let transaction = world.act(wallet.institution().as_str(), Action::RoundJoin(join));
    wallet.submitted(candidate, &transaction).unwrap();
    transaction
}

/// Two banks with 50 each that have joined a round with this deadline.
fn joined(deadline: u64) -> (World, [Wallet; 2], RoundId) {
    let mut world = World::new(2);
    let mut central = world.restore(CENTRAL);
    let issue = world.pay(&mut central, &[(ONE, 50), (TWO, 50)], 200).unwrap();
    world.block(&[issue]);
    let mut wallets = [ONE, TWO].map(|who| world.restore(who));
    let (round, open) = world.open_round(deadline);
    let mut block = vec![open];
    block.extend(wallets.each_mut().map(|wallet| world.absorb(wallet).unwrap()));
    assert_eq!(world.block(&block), [true; 3]);
    wallets.iter_mut().for_each(|wallet| drop(wallet.apply_block(world.last()).unwrap()));
    let joins = wallets.each_mut().map(|wallet| join(&mut world, wallet, round));
    assert!(matches!(world.absorb(&mut wallets[0]), Err(WalletError::Joining { .. })));
    assert_eq!(world.block(&joins), [true; 2]);
    for wallet in &mut wallets {
        let events = wallet.apply_block(world.last()).unwrap();
        assert!(events.iter().any(|event| matches!(event, WalletEvent::Locked { .. })));
        assert!(events.iter().any(|event| matches!(event, WalletEvent::Landed { .. })));
        assert!(matches!(world.absorb(wallet), Err(WalletError::Locked { .. })));
        world.check(wallet);
    }
    (world, wallets, round)
}

#[test]
fn a_settlement_moves_the_balance_and_unlocks() {
    let (mut world, mut wallets, round) = joined(9);
    let blinding = Blinding::random(&mut world.rng);
    let nets = [((0, 20), blinding.clone()), ((20, 0), -&blinding)];
    let (mut postings, mut openings) = (Vec::new(), Vec::new());
    for (wallet, (net, blinding)) in wallets.iter().zip(&nets) {
        let draft =
            wallet.draft_settlement(eur(), round, *net, blinding, 1, &mut world.rng).unwrap();
        postings.push(draft.posting);
        openings.push(draft.opening);
    }
    let terms = wallets[0].terms(world.height().plus(5));
    let body = terms.settlement(round, 0, eur(), postings, None).unwrap();
    let context = body.proof_context(&body.digest(), 0);
    let proof = range_proof::prove(&context, &openings, &mut world.rng).unwrap();
    let unsigned = Unsigned::new(body, vec![proof]).unwrap();
    let transaction = world.sign_all(&[ONE, TWO], unsigned);
    assert_eq!(world.block(&[transaction]), [true]);
    for (wallet, (net, balance)) in wallets.iter_mut().zip([(-20, 30), (20, 70)]) {
        let events = wallet.apply_block(world.last()).unwrap();
        let by = Unlocked::Settled(Some(1));
        assert!(events.contains(&WalletEvent::Unlocked { asset: eur(), round, by }));
        let line = events.iter().find_map(|event| match event {
            WalletEvent::Booked(line) => Some((line.kind, line.amount, line.balance)),
            _ => None,
        });
        assert_eq!(line, Some((LineKind::Settled, net, Some(balance))));
        assert_eq!(wallet.lock(eur()), Ok(None));
        assert!(wallet.round(&round).is_none());
        world.check(wallet);
        world.pay(wallet, &[(CENTRAL, 1)], 9).unwrap();
    }
    world.check(&world.restore(ONE));
}

#[test]
fn a_lock_ends_with_the_deadline() {
    let (mut world, [mut one, _], round) = joined(4);
    loop {
        let locked = one.lock(eur()).unwrap().is_some();
        assert_eq!(locked, world.absorb(&mut one).is_err());
        if !locked {
            break;
        }
        world.block(&[]);
        one.apply_block(world.last()).unwrap();
    }
    assert_eq!(one.height(), Height(5), "opened on height 1 with 4 more to go");
    let blinding = Blinding::zero();
    let late = one.draft_settlement(eur(), round, (0, 0), &blinding, 0, &mut world.rng);
    assert_eq!(late.err(), Some(WalletError::NotLocked { asset: eur(), round }));
    let again = one.reserve_join(usd(), round, world.height().plus(3));
    assert_eq!(again.err(), Some(WalletError::NoSuchRound { round }));
}
