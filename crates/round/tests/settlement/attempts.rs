//! Attempts that fail, and what follows them.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::InstitutionId;
use quittance_mpc::session::Evidence;
use quittance_round::coordinator::{Ending, Failure, Phase, ReportError};
use quittance_round::message::{Attempt, Reason, Report};

use crate::table::{Honest, Table, dealt_to};
use crate::world::{bank, id, signing};

const NETS: [i64; 3] = [40, -50, 10];

pub fn party(number: u8) -> InstitutionId {
    id(&format!("PARTZZ{number:02}"))
}

/// All banks have dealt, and the computation begins.
pub fn started(spare: usize, attempts: u8) -> Table {
    let mut table = Table::with_spare(&NETS, spare, attempts);
    table.attend(table.everybody());
    for bank in table.banks() {
        let dealt = dealt_to(&table.world.parties, table.round, bank);
        table.report(bank, dealt).unwrap();
    }
    assert_eq!(table.coordinator.phase(), Phase::Computing);
    table
}

/// A party says in which exchange it has ended, and who is at fault.
pub fn word(table: &Table, exchange: u32, named: &[u8]) -> Report {
    let named = named.iter().copied().map(party).collect();
    let (attempt, reason) = (table.attempt(), Reason::new("no"));
    Report::Failed { attempt, exchange, named, evidence: None, reason }
}

/// Party `from` says that these are at fault. It is missing for the others, an exchange later.
fn fail(table: &mut Table, from: u8, named: &[u8]) {
    let report = word(table, 5, named);
    table.report(party(from), report).unwrap();
    let active = table.starts.last().unwrap().active.numbers();
    for other in active.into_iter().filter(|other| *other != from) {
        let report = if named.is_empty() { word(table, 5, &[]) } else { word(table, 6, &[from]) };
        table.report(party(other), report).unwrap();
    }
}

/// That party `number` has said two things, signed by `signer`, as `docs/protocols/mpc.md` has it.
fn evidence(number: u8, signer: InstitutionId) -> Evidence {
    let (session, exchange) = (Digest([8; 32]), [0, 0, 0, 5]);
    let (kind, party) = ([6], [number]);
    let mut bytes = [session.as_bytes(), &exchange[..], &kind, &party].concat();
    for content in [Digest([1; 32]), Digest([2; 32])] {
        let parts: [&[u8]; 5] = [session.as_bytes(), &party, &exchange, &kind, content.as_bytes()];
        let statement = Digest::of("quittance/v1/mpc-statement", &parts);
        let signature = signing(signer, Purpose::Round).sign(Purpose::Round, &statement);
        bytes.extend_from_slice(content.as_bytes());
        bytes.extend_from_slice(&signature.to_bytes());
    }
    Evidence::from_bytes(&bytes).unwrap()
}

/// Who computes, attempt by attempt.
pub fn active(table: &Table) -> Vec<Vec<u8>> {
    assert!(table.starts.iter().zip(0..).all(|(start, number)| start.attempt == number));
    assert!(table.starts.iter().all(|start| start.roster == table.starts[0].roster));
    table.starts.iter().map(|start| start.active.numbers()).collect()
}

#[test]
fn a_round_settles_without_the_party_that_was_named() {
    for spare in [1, 2] {
        let mut table = started(spare, 2);
        fail(&mut table, 3, &[2]);
        // Either of the two is at fault. With two parties to spare both are left out.
        let second = if spare == 1 { vec![1, 3, 4] } else { vec![1, 4, 5] };
        assert_eq!(active(&table), [vec![1, 2, 3], second]);
        assert!(matches!(table.failed[..], [Failure::NotComputed { .. }]));
        table.carry(&mut Honest);
        assert_eq!(table.submitted.len(), 4, "by the coordinator and all banks");
        table.world.include(vec![table.submitted[0].clone()]);
        table.advance(0);
        assert!(matches!(table.ending, Some(Ending::Settled(settled)) if settled.attempt == 1));
    }
}

#[test]
fn a_party_that_does_not_attend_or_cannot_compute_is_left_out() {
    let mut table = Table::with_spare(&NETS, 2, 2);
    let mut present = table.everybody();
    present.remove(&party(2));
    table.attend(present);
    for bank in table.banks() {
        let dealt = dealt_to(&table.world.parties, table.round, bank);
        table.report(bank, dealt).unwrap();
    }
    // As one that was restarted since.
    fail(&mut table, 4, &[4]);
    assert_eq!(active(&table), [[1, 3, 4], [1, 3, 5]]);
}

#[test]
fn evidence_convinces_the_coordinator_if_it_holds() {
    let fail = |table: &mut Table, evidence| {
        let (attempt, named, reason) = (table.attempt(), vec![party(2)], Reason::new("no"));
        let (exchange, evidence) = (5, Some(evidence));
        let failed = Report::Failed { attempt, exchange, named, evidence, reason };
        table.report(party(1), failed).unwrap();
    };
    let mut table = started(1, 2);
    fail(&mut table, evidence(2, party(2)));
    let [Failure::Contradiction { party: named, .. }] = &table.failed[..] else { panic!() };
    assert_eq!(*named, party(2));
    assert_eq!(active(&table), [[1, 2, 3], [1, 3, 4]]);
    // Signed by somebody else it is a word against a word.
    let mut table = started(1, 2);
    fail(&mut table, evidence(2, party(1)));
    assert!(table.failed.is_empty());
    table.advance(5_000);
    assert!(matches!(table.failed[..], [Failure::NotComputed { .. }]));
}

#[test]
fn a_failure_that_names_nobody_is_followed_by_other_parties() {
    let mut table = started(1, 2);
    let first = active(&table)[0].clone();
    fail(&mut table, first[0], &[]);
    let next = active(&table).last().unwrap().clone();
    assert_ne!(next, first);
}

#[test]
fn silent_parties_end_the_attempt_at_its_deadline() {
    let mut table = started(2, 2);
    for number in [1, 3] {
        let report = table.computed(table.net_commitments());
        table.report(party(number), report).unwrap();
    }
    table.advance(120_000);
    assert_eq!(active(&table), [[1, 2, 3], [1, 3, 4]]);
    assert!(matches!(table.failed[..], [Failure::TimedOut { phase: Phase::Computing, .. }]));
    // The second attempt has as much time.
    table.advance(119_999);
    assert!(table.ending.is_none());
    table.advance(1);
    assert!(matches!(table.failure(), Failure::TimedOut { .. }));
}

#[test]
fn without_parties_to_spare_all_begin_again_as_long_as_the_terms_allow() {
    let mut table = started(0, 2);
    fail(&mut table, 1, &[2]);
    assert_eq!(active(&table), [[1, 2, 3], [1, 2, 3]]);
    fail(&mut table, 1, &[2]);
    assert!(matches!(table.failure(), Failure::NotComputed { .. }));

    let mut table = started(1, 1);
    fail(&mut table, 1, &[2]);
    assert_eq!(active(&table), [[1, 2, 3]], "one attempt is one attempt");
    assert!(matches!(table.failure(), Failure::NotComputed { .. }));
}

#[test]
fn what_is_late_is_dropped_and_what_is_early_refused() {
    let mut table = started(1, 2);
    let first = table.attempt();
    fail(&mut table, 3, &[2]);
    let (second, starts) = (table.attempt(), table.starts.len());
    let reason = || Reason::new("late");
    let late = [
        Report::Failed {
            attempt: first,
            exchange: 0,
            named: vec![party(1)],
            evidence: None,
            reason: reason(),
        },
        Report::NoResult { attempt: first, parties: vec![party(1)], reason: reason() },
    ];
    for report in late {
        table.report(party(1), report.clone()).unwrap();
        table.report(bank(1), report).unwrap();
    }
    assert_eq!((table.attempt(), table.starts.len()), (second, starts));
    let early = Attempt { number: 2, ..second };
    let failed = |attempt| Report::Failed {
        attempt,
        exchange: 0,
        named: vec![],
        evidence: None,
        reason: reason(),
    };
    let report = failed(early);
    assert_eq!(table.report(party(1), report), Err(ReportError::OtherAttempt(early)));
    // Party 2 has no part in the second attempt.
    assert_eq!(table.report(party(2), failed(second)), Err(ReportError::NotAParty));
}

#[test]
fn a_bank_without_its_result_asks_for_another_attempt() {
    let mut table = started(1, 2);
    let attempt = table.attempt();
    for number in 1..=3 {
        let report = table.computed(table.net_commitments());
        table.report(party(number), report).unwrap();
    }
    assert_eq!(table.coordinator.phase(), Phase::Postings);
    let none = |who| Report::NoResult { attempt, parties: vec![who], reason: Reason::new("no") };
    assert_eq!(table.report(party(1), none(party(2))), Err(ReportError::NotInRoster));
    table.report(bank(2), none(party(1))).unwrap();
    assert_eq!(active(&table), [[1, 2, 3], [2, 3, 4]]);
    assert_eq!(table.coordinator.phase(), Phase::Computing);
    // A party that stops after it has computed: banks wait for it in vain.
    for number in 2..=4 {
        let report = table.computed(table.net_commitments());
        table.report(party(number), report).unwrap();
    }
    table.advance(15_000);
    assert!(matches!(table.failure(), Failure::TimedOut { phase: Phase::Postings, .. }));
}
