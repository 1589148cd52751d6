//! The two sides' steps by themselves, and what lands on the ledger.

use quittance_crypto::signature::{Purpose, SigningKey};
use quittance_ledger::build::Receiver;
use quittance_ledger::ids::Height;
use quittance_ledger::payload::Particulars;
use quittance_ledger::transaction::{Transaction, Verified};

use crate::exchange::*;
use crate::wallet::tests::world::*;
use crate::wallet::{LineKind, Wallet, WalletEvent};

pub(super) fn money(asset: AssetId, amount: u64) -> Money {
    Money { asset, amount }
}

pub(super) fn signing(who: &str) -> SigningKey {
    key(who, Purpose::Transaction)
}

/// Issues an asset to a bank and brings nobody's wallet up to date.
fn issue(world: &mut World, central: &mut Wallet, to: &str, given: Money, number: u8) {
    let sealing_key = world.sealing_key(to);
    let particulars = Particulars::new(uetr(number), "", "").unwrap();
    let (institution, amount) = (id(to), given.amount);
    let to = [Receiver { institution, sealing_key: &sealing_key, amount, particulars }];
    let expiry = world.height().plus(6);
    let draft =
        central.draft_transfer(given.asset, &to, uetr(number), expiry, &mut world.rng).unwrap();
    let candidate = draft.id();
    let unsigned = draft.complete(&mut world.rng).unwrap();
    let transaction = world.sign(CENTRAL, unsigned);
    central.submitted(candidate, &transaction).unwrap();
    assert_eq!(world.block(&[transaction]), [true]);
    central.apply_block(world.last()).unwrap();
}

/// A chain on which bank ONE has 1000 cents EUR pending and bank TWO 2000 cents USD.
pub(super) fn funded() -> World {
    let mut world = World::new(7);
    let mut central = world.restore(CENTRAL);
    issue(&mut world, &mut central, ONE, money(eur(), 1000), 200);
    issue(&mut world, &mut central, TWO, money(usd(), 2000), 201);
    world
}

/// ONE offers 100 EUR cents for 250 USD cents of TWO.
pub(super) fn agreement() -> Agreement {
    Agreement {
        uetr: uetr(1),
        offerer: id(ONE),
        accepter: id(TWO),
        offered: money(eur(), 100),
        asked: money(usd(), 250),
    }
}

/// Everything in order; each side's wallet has its draft under way.
fn exchange(
    world: &mut World,
    agreement: &Agreement,
    offerer: &mut Wallet,
    accepter: &mut Wallet,
) -> Transaction<Verified> {
    let keys = [agreement.offerer, agreement.accepter].map(|who| signing(who.as_str()));
    let (state, rng) = (world.state.clone(), &mut world.rng);
    let expiry = accepter.height().plus(5);
    let joining = Joining::new(agreement, expiry, accepter, &state, rng).unwrap();
    let answered = Answered::new(agreement, &joining.join(), offerer, &state, rng).unwrap();
    assert!(answered.answers(&joining.join()));
    let (body, proof) = (answered.body().clone(), answered.range_proof().clone());
    let signed = joining.sign(body, proof, accepter, &state, &keys[1], rng).unwrap();
    let (proof, signature) = (signed.range_proof(), signed.signature());
    let complete = answered.complete(proof, signature, offerer, &state, &keys[0]).unwrap();
    let again = signed.check(complete.clone().into_unverified(), &state).unwrap();
    assert_eq!(again.id(), complete.id());
    offerer.submitted(answered.candidate(), &complete).unwrap();
    accepter.submitted(signed.candidate(), &complete).unwrap();
    complete
}

fn lines(events: &[WalletEvent]) -> Vec<(AssetId, LineKind, i128)> {
    let lines = events.iter().filter_map(|event| match event {
        WalletEvent::Booked(line) => Some((line.asset, line.kind, line.amount)),
        _ => None,
    });
    lines.collect()
}

#[test]
fn an_exchange_lands_whole_in_either_direction() {
    use LineKind::{Absorbed, Received, Sent};
    let there = agreement();
    let back = Agreement {
        offerer: there.accepter,
        accepter: there.offerer,
        offered: there.asked,
        asked: there.offered,
        ..there
    };
    for agreement in [there, back] {
        let mut world = funded();
        let [mut one, mut two] = [ONE, TWO].map(|who| world.restore(who));
        let transaction = match agreement.offerer == id(ONE) {
            true => exchange(&mut world, &agreement, &mut one, &mut two),
            false => exchange(&mut world, &agreement, &mut two, &mut one),
        };
        assert_eq!(world.block(&[transaction]), [true]);
        let booked = lines(&one.apply_block(world.last()).unwrap());
        assert!(booked.contains(&(eur(), Absorbed, 1000)));
        assert!(booked.contains(&(eur(), Sent, -100)));
        assert!(booked.contains(&(usd(), Received, 250)));
        let booked = lines(&two.apply_block(world.last()).unwrap());
        assert!(booked.contains(&(usd(), Sent, -250)));
        assert!(booked.contains(&(eur(), Received, 100)));
        for (wallet, holds, gets) in [
            (&one, money(eur(), 900), money(usd(), 250)),
            (&two, money(usd(), 1750), money(eur(), 100)),
        ] {
            assert_eq!(wallet.balance(holds.asset), Ok(i128::from(holds.amount)));
            assert_eq!(wallet.pending(gets.asset), Ok(u128::from(gets.amount)));
            assert!(wallet.in_flight(holds.asset).unwrap().is_empty());
            world.check(wallet);
        }
        let instruction = one.instruction(&agreement.uetr);
        assert!(matches!(instruction, crate::wallet::InstructionStatus::Final(_)));
        world.check(&world.restore(ONE));
    }
}

/// An issuer's leg is issuance: its range proof is over the negated balance.
#[test]
fn an_issuer_exchanges_what_it_issues() {
    let mut world = funded();
    let [mut central, mut one] = [CENTRAL, ONE].map(|who| world.restore(who));
    let agreement = Agreement {
        offerer: id(ONE),
        accepter: id(CENTRAL),
        asked: money(usd(), 7),
        ..agreement()
    };
    let transaction = exchange(&mut world, &agreement, &mut one, &mut central);
    assert_eq!(world.block(&[transaction]), [true]);
    central.apply_block(world.last()).unwrap();
    one.apply_block(world.last()).unwrap();
    assert_eq!(central.balance(usd()), Ok(-2007));
    assert_eq!(one.pending(usd()), Ok(7));
    world.check(&central);
}

/// Two exchanges, a payment and their landing in one block: drafts stand on one another.
#[test]
fn exchanges_stand_in_line_with_other_candidates() {
    let mut world = funded();
    let [mut one, mut two] = [ONE, TWO].map(|who| world.restore(who));
    let first = exchange(&mut world, &agreement(), &mut one, &mut two);
    let pay = world.pay(&mut one, &[(TWO, 5)], 9).unwrap();
    let second = Agreement { uetr: uetr(2), ..agreement() };
    let second = exchange(&mut world, &second, &mut one, &mut two);
    assert_eq!(world.block(&[first, pay, second]), [true; 3]);
    one.apply_block(world.last()).unwrap();
    assert_eq!(one.balance(eur()), Ok(1000 - 100 - 5 - 100));
    world.check(&one);
    assert!(world.height() > Height(2));
}
