//! Liars that have others left out, and parties that are down: who computes then.

use quittance_ledger::ids::InstitutionId;
use quittance_round::coordinator::{AcknowledgementsError, Ending, Failure, Phase, ReportError};

use crate::attempts::{active, party, started, word};
use crate::table::{Honest, Table, dealt_to};
use crate::world::bank;

/// What active parties say: the party, the exchange in which it has ended, whom it names.
type Word<'a> = (u8, u32, &'a [u8]);

/// Who computes in the second attempt after these words, with so many parties to spare.
fn second(words: &[Word<'_>], spare: usize) -> Vec<u8> {
    let mut table = started(spare, 2);
    for (from, exchange, named) in words {
        let report = word(&table, *exchange, named);
        table.report(party(*from), report).unwrap();
    }
    if words.len() < 3 {
        assert!(table.failed.is_empty(), "the others have time to speak");
        table.advance(4_999);
        assert!(table.failed.is_empty());
        table.advance(1);
    }
    assert!(matches!(table.failed[..], [Failure::NotComputed { .. }]));
    active(&table).last().unwrap().clone()
}

/// Party 2 sends nothing to party 1 in exchange 7. So party 1 misses it there; and party 3, which has
/// everything of exchange 7, misses party 1 in exchange 8.
const VICTIM: Word<'_> = (1, 7, &[2]);
const MISLED: Word<'_> = (3, 8, &[1]);

#[test]
fn a_liar_that_keeps_one_party_waiting_is_left_out_and_not_that_party() {
    let liar: [&[Word<'_>]; 6] = [
        // It says nothing; blames the one that it has misled, or both, then or later.
        &[],
        &[(2, 7, &[3])],
        &[(2, 8, &[3])],
        &[(2, 8, &[1])],
        &[(2, 8, &[1, 3])],
        // It was the first, and somebody else was silent: the two numbers cannot both be.
        &[(2, 6, &[1])],
    ];
    for liar in liar {
        let mut words = vec![VICTIM, MISLED];
        words.extend(liar);
        for order in 0..words.len() {
            words.rotate_left(order);
            assert_eq!(second(&words, 1), [1, 3, 4], "{words:?}");
        }
    }
}

/// Whoever names another number than all honest parties can have is believed in nothing.
#[test]
fn numbers_that_no_honest_party_has_do_not_count() {
    for named in [&[1][..], &[3], &[1, 3], &[]] {
        for exchange in [0, 4, 5, 10, u32::MAX] {
            let words = [(2, exchange, named), VICTIM, MISLED];
            assert_eq!(second(&words, 1), [1, 3, 4], "{exchange} {named:?}");
        }
    }
}

/// What remains: who understates by one and names the other, or blames its victim in the same
/// exchange, makes a pair with an honest party. Without a second party to spare one of both is left
/// out, and it may be the honest one; with two both are.
#[test]
fn a_liar_that_understates_by_one_is_one_of_a_pair() {
    for (lie, pair) in [((2, 6, &[3][..]), [2, 3]), ((2, 7, &[1]), [1, 2])] {
        let words = [lie, VICTIM, MISLED];
        let with_one = second(&words, 1);
        let left = pair.iter().filter(|number| with_one.contains(number)).count();
        assert_eq!(left, 1, "{lie:?}");
        let with_two = second(&words, 2);
        assert!(pair.iter().all(|number| !with_two.contains(number)), "{lie:?}");
    }
    // It is not always the liar that is left out.
    assert!(second(&[(2, 6, &[3]), VICTIM, MISLED], 1).contains(&2));
}

/// All that a liar can say. With one party to spare it is left out but after the two lies above; with
/// two after every one.
#[test]
fn no_other_lie_keeps_the_liar() {
    for exchange in 5..=10 {
        for named in [&[][..], &[1], &[3], &[1, 3]] {
            let words = [(2, exchange, named), VICTIM, MISLED];
            let makes_a_pair = (exchange == 6 && named == [3]) || (exchange == 7 && named == [1]);
            if !makes_a_pair {
                assert_eq!(second(&words, 1), [1, 3, 4], "{exchange} {named:?}");
            }
            assert!(!second(&words, 2).contains(&2), "{exchange} {named:?}");
        }
    }
}

#[test]
fn one_who_has_failed_has_not_computed_and_says_so_once() {
    let mut table = started(1, 2);
    let failed = word(&table, 7, &[2]);
    table.report(party(1), failed.clone()).unwrap();
    table.report(party(1), failed).unwrap();
    let other = word(&table, 8, &[3]);
    assert_eq!(table.report(party(1), other), Err(ReportError::Repeated));
    let computed = table.computed(table.net_commitments());
    assert_eq!(table.report(party(1), computed.clone()), Err(ReportError::Repeated));
    table.report(party(2), computed).unwrap();
    let failed = word(&table, 8, &[3]);
    assert_eq!(table.report(party(2), failed), Err(ReportError::Repeated));
    assert!(table.failed.is_empty());
    table.advance(5_000);
    let [Failure::NotComputed { words, silent, .. }] = &table.failed[..] else { panic!() };
    assert_eq!((words.len(), &silent[..]), (1, &[party(3)][..]));
}

/// All banks have dealt to these parties.
fn deal(table: &mut Table, bank: InstitutionId, parties: &[u8]) -> Result<(), ReportError> {
    let parties: Vec<_> = parties.iter().copied().map(party).collect();
    let dealt = dealt_to(&parties, table.round, bank);
    table.report(bank, dealt)
}

/// A committee of four; the party with this number is down.
fn without(down: u8) -> Table {
    let mut table = Table::with_spare(&[40, -50, 10], 1, 2);
    let mut present = table.everybody();
    present.remove(&party(down));
    table.attend(present);
    table
}

#[test]
fn a_round_settles_although_a_party_was_down_from_the_beginning() {
    for down in 1..=4 {
        let mut table = without(down);
        let up: Vec<u8> = (1..=4).filter(|number| *number != down).collect();
        for bank in table.banks() {
            deal(&mut table, bank, &up).unwrap();
        }
        assert_eq!(table.started(), (table.banks(), up));
        table.carry(&mut Honest);
        table.world.include(vec![table.submitted[0].clone()]);
        table.advance(0);
        assert!(matches!(table.ending, Some(Ending::Settled(_))));
    }
}

#[test]
fn fewer_parties_than_compute_are_not_enough() {
    let mut table = without(4);
    let refused = deal(&mut table, bank(1), &[1, 2]);
    let expected = ReportError::Acknowledgements(AcknowledgementsError::Parties);
    assert_eq!(refused, Err(expected));
}

/// It comes back, and attends: but nothing was dealt to it.
#[test]
fn a_party_that_holds_nothing_computes_in_no_attempt() {
    let mut table = without(1);
    for bank in table.banks() {
        deal(&mut table, bank, &[2, 3, 4]).unwrap();
    }
    table.attend(table.everybody());
    for from in [2, 3, 4] {
        let report = word(&table, 5, if from == 2 { &[3] } else { &[] });
        table.report(party(from), report).unwrap();
    }
    assert_eq!(active(&table), [[2, 3, 4], [2, 3, 4]]);
}

/// Those that hold the most dealings compute, and who has not dealt to them is left out.
#[test]
fn who_has_dealt_to_other_parties_than_most_is_left_out() {
    let mut table = Table::with_spare(&[40, -50, 10], 1, 1);
    table.attend(table.everybody());
    deal(&mut table, bank(1), &[1, 2, 4]).unwrap();
    deal(&mut table, bank(2), &[1, 2, 3]).unwrap();
    deal(&mut table, bank(3), &[1, 2, 4]).unwrap();
    assert_eq!(table.started(), (vec![bank(1), bank(3)], vec![1, 2, 4]));

    // More acknowledgements may follow, of the same dealing.
    let mut table = Table::with_spare(&[40, -50, 10], 1, 1);
    table.attend(table.everybody());
    deal(&mut table, bank(1), &[1, 2, 4]).unwrap();
    deal(&mut table, bank(2), &[1, 2, 3]).unwrap();
    deal(&mut table, bank(2), &[2, 3, 4]).unwrap();
    deal(&mut table, bank(3), &[1, 2, 4]).unwrap();
    assert_eq!(table.started().0, table.banks());
}

/// Two banks at least must be left, or the round ends.
#[test]
fn dealings_that_no_parties_hold_together_are_no_round() {
    let mut table = Table::with_spare(&[5, -5], 2, 1);
    table.attend(table.everybody());
    deal(&mut table, bank(1), &[1, 2, 3]).unwrap();
    deal(&mut table, bank(2), &[3, 4, 5]).unwrap();
    assert_eq!(*table.failure(), Failure::TooFew { found: 1, minimum: 2 });
    assert_eq!(table.coordinator.phase(), Phase::Over);
}
