//! Dealings that a party has complained of, as the coordinator sees them.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_round::coordinator::{AcknowledgementsError, Ending, ReportError};
use quittance_round::dealing::{Acknowledgement, Complaint, ComplaintError, PublishedPart};
use quittance_round::envelope::Signed;
use quittance_round::message::{Reason, Report};

use crate::attempts::party;
use crate::table::{Honest, Table, acknowledgement_of, dealing, dealt_to};
use crate::world::{bank, signing};

const NETS: [i64; 3] = [40, -50, 10];

fn part(number: u8) -> PublishedPart {
    PublishedPart { party: number, part: Digest([number; 32]) }
}

fn complaint(round: RoundId) -> Complaint {
    let (dealer, reason) = (bank(1), Reason::new("a bad share"));
    Complaint { round, dealer, dealing: dealing(dealer), reason }
}

fn signed(complaint: Complaint, by: u8, with: u8) -> Signed<Complaint> {
    Signed::sign(complaint, party(by), &signing(party(with), Purpose::Round))
}

/// What bank 1 shows: acknowledgements with these published parts, complaints of these parties.
fn shown(round: RoundId, words: &[u8], parts: &[PublishedPart], complain: &[u8]) -> Dealt {
    let word =
        |number: &u8| acknowledgement_of(round, bank(1), party(*number), dealing(bank(1)), parts);
    let complain = complain.iter().map(|number| signed(complaint(round), *number, *number));
    Dealt { words: words.iter().map(word).collect(), complaints: complain.collect() }
}

struct Dealt {
    words: Vec<Acknowledgement>,
    complaints: Vec<Signed<Complaint>>,
}

impl Table {
    fn show(&mut self, dealt: Dealt) -> Result<(), AcknowledgementsError> {
        let Dealt { words: acknowledgements, complaints } = dealt;
        let report = Report::Dealt { round: self.round, acknowledgements, complaints };
        match self.report(bank(1), report) {
            Ok(()) => Ok(()),
            Err(ReportError::Acknowledgements(error)) => Err(error),
            Err(other) => panic!("{other}"),
        }
    }

    fn deal_others(&mut self) {
        for bank in [bank(2), bank(3)] {
            let dealt = dealt_to(&self.world.parties, self.round, bank);
            self.report(bank, dealt).unwrap();
        }
    }
}

fn table(spare: usize) -> Table {
    let mut table = Table::with_spare(&NETS, spare, 1);
    table.attend(table.everybody());
    table
}

/// One of three parties complains falsely of bank 1: the bank is in the round, which settles.
#[test]
fn a_complaint_whose_part_was_published_leaves_nobody_out() {
    for complainant in 1..=3 {
        let mut table = table(0);
        let others: Vec<u8> = (1..=3).filter(|number| *number != complainant).collect();
        let dealt = shown(table.round, &others, &[part(complainant)], &[complainant]);
        table.show(dealt).unwrap();
        table.deal_others();
        assert_eq!(table.started().0, table.banks());
        table.carry(&mut Honest);
        table.world.include(vec![table.submitted[0].clone()]);
        table.advance(0);
        assert!(matches!(table.ending, Some(Ending::Settled(_))));
    }
}

/// A complaint that is not answered: the bank is left out when the time is over, and the others go on.
#[test]
fn a_complaint_that_was_not_answered_leaves_the_dealer_out() {
    let mut table = table(0);
    let round = table.round;
    let unanswered = shown(round, &[1, 2], &[], &[3]);
    assert_eq!(table.show(unanswered), Err(AcknowledgementsError::NotPublished));
    let without = shown(round, &[1, 2], &[], &[]);
    assert_eq!(table.show(without), Err(AcknowledgementsError::Parties));
    table.deal_others();
    table.advance(15_000);
    assert_eq!(table.started().0, [bank(2), bank(3)]);
}

#[test]
fn different_publications_to_different_parties_are_refused() {
    let mut table = table(0);
    let round = table.round;
    let mut dealt = shown(round, &[1, 2], &[part(3)], &[3]);
    let other = PublishedPart { part: Digest([9; 32]), ..part(3) };
    dealt.words[1] = acknowledgement_of(round, bank(1), party(2), dealing(bank(1)), &[other]);
    assert_eq!(table.show(dealt), Err(AcknowledgementsError::OtherParts(party(2))));
    // Or to one of them alone.
    let mut dealt = shown(round, &[1, 2], &[part(3)], &[3]);
    dealt.words[1] = acknowledgement_of(round, bank(1), party(2), dealing(bank(1)), &[]);
    assert_eq!(table.show(dealt), Err(AcknowledgementsError::OtherParts(party(2))));
    // What was signed for another list does not serve for this one.
    let mut dealt = shown(round, &[1, 2], &[other], &[3]);
    dealt.words.iter_mut().for_each(|word| word.published = vec![part(3)]);
    let found = table.show(dealt);
    assert!(matches!(found, Err(AcknowledgementsError::Signature { .. })), "{found:?}");
}

#[test]
fn parts_are_published_for_complainants_and_for_nobody_else() {
    let mut table = table(2);
    let round = table.round;
    let not_published = Err(AcknowledgementsError::NotPublished);
    for (words, parts, complain) in [
        // Without a complaint; of another party; twice; of none.
        (vec![1, 2, 3, 4, 5], vec![part(5)], vec![]),
        (vec![1, 2, 3, 4], vec![part(4)], vec![5]),
        (vec![1, 2, 3, 4], vec![part(5), part(5)], vec![5]),
        (vec![1, 2, 3, 4], vec![part(0)], vec![5]),
        (vec![1, 2, 3, 4], vec![part(6)], vec![5]),
    ] {
        let dealt = shown(round, &words, &parts, &complain);
        assert_eq!(table.show(dealt), not_published, "{words:?} {complain:?}");
    }
    // Who acknowledges does not complain.
    let both = shown(round, &[1, 2, 3, 4, 5], &[part(5)], &[5]);
    assert_eq!(table.show(both), Err(AcknowledgementsError::Parties));
    table.show(shown(round, &[1, 2, 3, 4], &[part(5)], &[5])).unwrap();
}

/// One of t + 1 complainants is honest.
#[test]
fn more_complaints_than_parties_can_be_corrupt_are_the_dealers_fault() {
    let mut table = table(2);
    let dealt = shown(table.round, &[1, 2, 3], &[part(4), part(5)], &[4, 5]);
    assert_eq!(table.show(dealt), Err(AcknowledgementsError::TooManyComplaints));
    let mut table = self::table(0);
    let dealt = shown(table.round, &[1], &[part(2), part(3)], &[2, 3]);
    assert_eq!(table.show(dealt), Err(AcknowledgementsError::TooManyComplaints));
}

#[test]
fn a_complaint_is_its_partys_of_this_dealing_in_this_round() {
    let mut table = table(0);
    let round = table.round;
    let mut with = |complaint: Signed<Complaint>| {
        let dealt = Dealt { complaints: vec![complaint], ..shown(round, &[1, 2], &[part(3)], &[]) };
        table.show(dealt).unwrap_err()
    };
    let good = complaint(round);
    let wrong = |source| AcknowledgementsError::Complaint { party: party(3), source };
    let changed = Complaint { round: RoundId(Digest::ZERO), ..good.clone() };
    assert_eq!(with(signed(changed, 3, 3)), wrong(ComplaintError::OtherRound));
    let changed = Complaint { dealer: bank(2), ..good.clone() };
    assert_eq!(with(signed(changed, 3, 3)), wrong(ComplaintError::OtherDealer(bank(2))));
    let changed = Complaint { dealing: dealing(bank(2)), ..good.clone() };
    let other = ComplaintError::OtherDealing(dealing(bank(2)));
    assert_eq!(with(signed(changed, 3, 3)), wrong(other));
    // A bank makes no complaint up to get on without a party.
    let forged = with(signed(good.clone(), 3, 1));
    assert!(matches!(
        forged,
        AcknowledgementsError::Complaint { source: ComplaintError::Signature(_), .. }
    ));
    let by_bank =
        |who: InstitutionId| Signed::sign(complaint(round), who, &signing(who, Purpose::Round));
    assert_eq!(with(by_bank(bank(1))), AcknowledgementsError::Parties);
    let bytes = signed(good, 3, 3).to_bytes();
    for position in (0..bytes.len()).step_by(11) {
        let mut changed = bytes.clone();
        changed[position] ^= 0x10;
        let Ok(complaint) = Signed::from_bytes(&changed) else { continue };
        with(complaint);
    }
}
