//! Candidates on top of one another, and their losses.

use super::super::*;
use super::world::*;

fn funded(amount: u64) -> (World, Wallet, Wallet) {
    let mut world = World::new(1);
    let mut central = world.restore(CENTRAL);
    let issue = world.pay(&mut central, &[(ONE, amount)], 200).unwrap();
    assert_eq!(world.block(&[issue]), [true]);
    let (one, two) = (world.restore(ONE), world.restore(TWO));
    (world, one, two)
}

fn lost(events: &[WalletEvent]) -> Vec<(u64, Loss)> {
    let lost = events.iter().filter_map(|event| match event {
        WalletEvent::Lost(lost) => Some((lost.candidate.sequence, lost.why)),
        _ => None,
    });
    lost.collect()
}

#[test]
fn many_candidates_land_in_one_block() {
    let (mut world, mut one, _) = funded(100);
    let mut block = vec![world.absorb(&mut one).unwrap()];
    for number in 1..=4 {
        block.push(world.pay(&mut one, &[(TWO, 10)], number).unwrap());
    }
    assert_eq!(one.projected_balance(eur()), Ok(60));
    assert_eq!(one.balance(eur()), Ok(0));
    assert_eq!(world.block(&block), [true; 5]);
    one.apply_block(world.last()).unwrap();
    assert_eq!(one.balance(eur()), Ok(60));
    assert!(one.in_flight(eur()).unwrap().is_empty());
    world.check(&one);
    for number in 1..=4 {
        assert!(matches!(one.instruction(&uetr(number)), InstructionStatus::Final(_)));
        let again = world.pay(&mut one, &[(TWO, 10)], number);
        assert!(matches!(again, Err(WalletError::CarriedOut { .. })));
    }
}

#[test]
fn no_absorption_stands_on_an_absorption() {
    let (mut world, mut one, _) = funded(100);
    world.absorb(&mut one).unwrap();
    let second = world.absorb(&mut one);
    assert_eq!(second.err(), Some(WalletError::AbsorptionInFlight { asset: eur() }));
    world.pay(&mut one, &[(TWO, 1)], 1).unwrap();
    world.absorb(&mut one).unwrap();
}

#[test]
fn a_rejection_loses_all_that_stand_on_it_and_numbers_are_taken_again() {
    let (mut world, mut one, _) = funded(100);
    let old: Vec<_> =
        (1..=3).map(|number| world.pay(&mut one, &[(TWO, 10)], number).unwrap()).collect();
    let events = one.rejected(&old[1].id());
    assert_eq!(lost(&events), [(2, Loss::Rejected), (3, Loss::Predecessor)]);
    assert!(one.may_still_land(&uetr(2)) && !one.may_still_land(&uetr(1)));
    assert!(one.rejected(&old[1].id()).is_empty(), "told twice");

    let again = world.pay(&mut one, &[(TWO, 10)], 2).unwrap();
    assert_eq!(one.in_flight(eur()).unwrap().last().unwrap().sequence, 2);
    // The old one lands all the same, and the one that follows it; the new one cannot.
    let tried = [old[0].clone(), old[1].clone(), again, old[2].clone()];
    assert_eq!(world.block(&tried), [true, true, false, true]);
    let events = one.apply_block(world.last()).unwrap();
    assert_eq!(lost(&events), [(2, Loss::Overtaken)]);
    assert!((1..=3).all(|n| matches!(one.instruction(&uetr(n)), InstructionStatus::Final(_))));
    assert_eq!(one.balance(eur()), Ok(70));
    world.check(&one);
}

#[test]
fn candidates_expire_and_cannot_be_included_later() {
    let (mut world, mut one, _) = funded(100);
    let old = world.pay(&mut one, &[(TWO, 10)], 1).unwrap();
    let mut events = Vec::new();
    for _ in 0..6 {
        assert!(lost(&events).is_empty());
        world.block(&[]);
        events = one.apply_block(world.last()).unwrap();
    }
    assert_eq!(lost(&events), [(1, Loss::Expired)]);
    assert!(!one.may_still_land(&uetr(1)));
    assert_eq!(world.block(&[old]), [false]);
}

#[test]
fn an_instruction_does_not_move_to_another_account_while_it_may_land() {
    let (mut world, mut one, _) = funded(100);
    let old = world.pay(&mut one, &[(TWO, 10)], 1).unwrap();
    let twice = world.pay(&mut one, &[(TWO, 10)], 1);
    assert_eq!(twice.err(), Some(WalletError::UnderWay { uetr: uetr(1) }));
    one.rejected(&old.id());
    let expiry = world.height().plus(5);
    let moved = one.draft_transfer(usd(), &[], uetr(1), expiry, &mut world.rng);
    assert_eq!(moved.err(), Some(WalletError::OtherAccount { uetr: uetr(1), asset: eur() }));
    // A posting that takes the sequence number cancels the old candidate for good.
    let cancel = world.absorb(&mut one).unwrap();
    assert_eq!(world.block(&[cancel, old]), [true, false]);
    one.apply_block(world.last()).unwrap();
    assert!(!one.may_still_land(&uetr(1)));
}

#[test]
fn a_draft_that_cannot_be_built_takes_no_number() {
    let (mut world, mut one, _) = funded(100);
    let too_much = world.pay(&mut one, &[(TWO, 101)], 1);
    assert!(matches!(too_much, Err(WalletError::Build(_))));
    assert!(one.in_flight(eur()).unwrap().is_empty());
    world.pay(&mut one, &[(TWO, 60)], 1).unwrap();
    assert!(world.pay(&mut one, &[(TWO, 41)], 2).is_err(), "the first has spent it");
    world.pay(&mut one, &[(TWO, 40)], 2).unwrap();
    let expiry = one.height();
    let late = one.draft_absorption(eur(), expiry, &mut world.rng);
    assert!(matches!(late.err(), Some(WalletError::ExpiryPassed { .. })));
}

#[test]
fn a_refund_loses_the_candidate_that_absorbs_the_credit() {
    let (mut world, mut one, _) = funded(100);
    let mut central = world.restore(CENTRAL);
    let absorbing = world.absorb(&mut one).unwrap();
    let credit = *central.given.keys().next().unwrap();
    world.block(&[]);
    one.apply_block(world.last()).unwrap();
    central.apply_block(world.last()).unwrap();
    let refund = world.give_back(ONE, CENTRAL, credit);
    assert_eq!(world.block(&[refund, absorbing]), [true, false]);
    let events = one.apply_block(world.last()).unwrap();
    assert_eq!(lost(&events), [(1, Loss::CreditGone)]);
    central.apply_block(world.last()).unwrap();
    let absorb = world.absorb(&mut central).unwrap();
    assert_eq!(world.block(&[absorb]), [true]);
    central.apply_block(world.last()).unwrap();
    assert_eq!(central.balance(eur()), Ok(0));
    world.check(&central);
}
