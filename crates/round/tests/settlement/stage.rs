//! Rounds that settle, whatever the order of messages, and what the coordinator sees of them.

use quittance_crypto::encoding::Encode;
use quittance_ledger::state::Settled;
use quittance_round::coordinator::{Coordinator, Effect, Ending, Failure, Phase};
use quittance_round::message::{Instruction, Reason, Report};

use crate::table::{Honest, Instructions, Reports, Table, dealt};
use crate::world::{COORDINATOR, World, account, bank, euro, id, net_commitment};

/// The settlement lands, and every balance is what it has to be.
fn settles(table: &mut Table) {
    assert_eq!(table.coordinator.phase(), Phase::Settling, "{:?}", table.ending);
    let transaction = table.submitted[0].clone();
    // The coordinator submits, and every bank does.
    assert_eq!(table.submitted.len(), 1 + table.nets.len());
    assert!(table.submitted.iter().all(|other| *other == transaction));
    let before: Vec<_> =
        table.banks().iter().map(|bank| table.world.book.balance(&account(*bank))).collect();
    table.world.include(vec![transaction.clone()]);
    for (place, before) in before.into_iter().enumerate() {
        let net = net_commitment(table.nets[place], &table.blindings[place]);
        let after = table.world.state.account(&account(bank(place + 1))).unwrap();
        assert_eq!(after.balance.point(), before.point() + net.point());
        assert_eq!(after.lock, None);
    }
    table.advance(1);
    let (height, transaction) = (table.world.tip.height(), transaction.id());
    let settled = Settled { height, transaction, attempt: 0 };
    assert_eq!(table.ending, Some(Ending::Settled(settled)));
    assert_eq!(table.coordinator.phase(), Phase::Over);
}

#[test]
fn two_banks_settle() {
    let mut table = Table::new(&[1_000, -1_000]);
    table.run(&mut Honest);
    settles(&mut table);
    assert!(table.refused.is_empty() && table.deviations.is_empty());
}

#[test]
fn five_banks_settle_and_the_coordinator_sees_no_opening() {
    let mut table = Table::new(&[-1_000, 300, 0, 701, -1]);
    let openings: Vec<_> = (0..5)
        .map(|place| table.world.settle(place, table.nets[place], &table.blindings[place]))
        .collect();
    table.run(&mut Honest);
    settles(&mut table);
    assert!(table.refused.is_empty() && table.deviations.is_empty());

    let seen = |bytes: &[u8]| table.view.windows(bytes.len()).any(|window| window == bytes);
    assert!(seen(openings[0].posting.new_balance.as_bytes()), "the search finds what is there");
    for (place, draft) in openings.iter().enumerate() {
        let before = &table.world.banks[place].balance;
        for blinding in [&draft.opening.blinding, &before.blinding, &table.blindings[place]] {
            assert!(!seen(&blinding.to_bytes()), "a blinding of bank {place}");
        }
        for value in [draft.opening.value, before.value, table.nets[place].unsigned_abs()] {
            if value > 255 {
                assert!(!seen(&value.to_be_bytes()) && !seen(&value.to_le_bytes()));
            }
        }
    }
}

#[test]
fn forty_banks_settle() {
    let mut nets: Vec<i64> = (0..40).map(|place| (place * 37) % 401 - 200).collect();
    nets[39] -= nets.iter().sum::<i64>();
    assert!(nets[39] >= -1_000);
    let mut table = Table::new(&nets);
    table.run(&mut Honest);
    settles(&mut table);
}

#[test]
fn who_declines_or_does_not_deal_in_time_is_left_out() {
    let mut table = Table::new(&[5, -5, 0, 0]);
    table.attend(table.everybody());
    let reason = Reason::new("not today");
    table.put(bank(3), Report::Declined { round: table.round, reason });
    for number in [1, 2] {
        table.put(bank(number), dealt(table.round, bank(number)));
    }
    table.carry(&mut Honest);
    // The fourth bank has joined and may still deal.
    assert_eq!(table.coordinator.phase(), Phase::Gathering);
    table.advance(14_999);
    assert_eq!(table.coordinator.phase(), Phase::Gathering);
    // The parties compute for the two that are left.
    table.nets.truncate(2);
    let blinding = table.blindings[0].clone();
    table.blindings = vec![blinding.clone(), -&blinding];
    table.advance(1);
    table.carry(&mut Honest);
    let transaction = table.submitted[0].clone();
    assert_eq!(transaction.body().entries()[0].postings.len(), 2);
    table.world.include(vec![transaction]);
    assert!(table.world.book.open_round(euro()).is_none());
}

#[test]
fn messages_twice_and_after_a_reconnection_change_nothing() {
    let mut table = Table::new(&[10, -10, 0]);
    table.run(&mut Instructions(|_, instruction: Instruction| {
        vec![instruction.clone(), instruction]
    }));
    assert!(table.deviations.is_empty());
    // Everybody comes back, and is told all again.
    table.attend(Default::default());
    table.attend(table.everybody());
    table.carry(&mut Honest);
    assert!(table.deviations.is_empty());
    settles(&mut table);

    let mut table = Table::new(&[10, -10, 0]);
    struct Twice;
    impl crate::table::Tamper for Twice {
        fn report(
            &mut self,
            _: quittance_ledger::ids::InstitutionId,
            report: Report,
        ) -> Vec<Report> {
            vec![report.clone(), report]
        }
    }
    table.run(&mut Twice);
    settles(&mut table);
    // The last of each kind was late; nothing was taken for a contradiction.
    let late =
        |error: &_| matches!(error, quittance_round::coordinator::ReportError::OutOfTurn { .. });
    assert!(table.refused.iter().all(|(_, error)| late(error)), "{:?}", table.refused);
}

#[test]
fn a_bank_that_is_away_for_a_moment_hears_what_it_has_missed() {
    let mut table = Table::new(&[10, -10, 0]);
    let mut lost = 0;
    let away = bank(2);
    table.run(&mut Instructions(|to, instruction: Instruction| {
        if to == away && matches!(instruction, Instruction::AllBits { .. }) {
            lost += 1;
            return vec![];
        }
        vec![instruction]
    }));
    assert_eq!((lost, table.coordinator.phase()), (1, Phase::Polynomials));
    let mut others = table.everybody();
    others.remove(&away);
    table.attend(others);
    table.attend(table.everybody());
    table.carry(&mut Honest);
    settles(&mut table);
    assert!(table.deviations.is_empty());
}

#[test]
fn dealings_may_be_reported_before_the_coordinator_has_seen_the_joins() {
    let world = World::new(2);
    let (opening, round) = world.opening(1);
    let mut table = Table::new(&[1, -1]);
    table.coordinator = Coordinator::new(round, id(COORDINATOR), Default::default(), 0);
    (table.world, table.round) = (world, round);
    table.blindings = table.world.blindings(2);
    table.gather();
    table.carry(&mut Honest);
    assert_eq!(table.coordinator.phase(), Phase::Gathering, "there is no such round yet");
    table.world.include(vec![opening]);
    table.advance(1);
    assert_eq!(table.coordinator.phase(), Phase::Gathering, "nobody has joined yet");
    let joins = [1, 2].map(|number| table.world.joining(round, bank(number)));
    table.world.include(joins.to_vec());
    table.advance(1);
    table.carry(&mut Honest);
    settles(&mut table);
}

#[test]
fn a_settlement_that_does_not_land_is_submitted_again() {
    let mut table = Table::new(&[1, -1]);
    table.run(&mut Honest);
    let before = table.submitted.len();
    table.advance(1_999);
    assert_eq!(table.submitted.len(), before);
    table.advance(1);
    assert_eq!(table.submitted.len(), before + 1);
    table.submitted.pop();
    settles(&mut table);
    let over = table.with_coordinator(|it, turn, rng| (vec![], it.advance(turn, rng)));
    assert_eq!(over, Vec::<Effect>::new());
}

#[test]
fn too_few_dealings_no_opening_or_a_passed_deadline_end_a_round() {
    let mut table = Table::new(&[40, -50, 10]);
    table.attend(table.everybody());
    table.report(bank(1), dealt(table.round, bank(1))).unwrap();
    table.advance(15_000);
    assert_eq!(*table.failure(), Failure::TooFew { found: 1, minimum: 2 });

    let mut table = Table::new(&[40, -50, 10]);
    let (_, never) = table.world.opening(9);
    table.coordinator = Coordinator::new(never, id(COORDINATOR), Default::default(), 0);
    table.advance(14_999);
    assert!(table.ending.is_none());
    table.advance(1);
    assert_eq!(*table.failure(), Failure::NotOpened);

    let mut table = Table::new(&[40, -50, 10]);
    table.run(&mut Reports(bank(1), |report: Report| {
        if report.name() == "signature" { vec![] } else { vec![report] }
    }));
    let deadline = table.world.book.round(&table.round).unwrap().terms.deadline;
    table.world.advance_to(deadline);
    table.advance(1);
    assert_eq!(*table.failure(), Failure::DeadlinePassed { phase: Phase::Signatures });
    // The locks are gone with it.
    let height = table.world.tip.height().next();
    let unlocked = table.world.state.account(&account(bank(1))).unwrap();
    assert_eq!(unlocked.locked_at(height), None);
}
