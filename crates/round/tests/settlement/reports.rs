//! What banks and parties can do to a round: delay it, and be named.

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::RoundId;
use quittance_round::coordinator::{
    AcknowledgementsError, Failure, PartyFailure, Phase, ReportError,
};
use quittance_round::envelope::Signed;
use quittance_round::message::{Attempt, Reason, Refusal, Report};
use quittance_round::participant::Participant;
use quittance_round::settlement::{NetsError, PostingError};

use crate::table::{Honest, Reports, Table, acknowledgement, dealing, dealt};
use crate::world::{PARTIES, bank, id, signing};

const NETS: [i64; 3] = [40, -50, 10];

/// One bank lies once in its reports; the round goes on without the lie, or names the bank.
fn lies(name: &'static str, lie: impl Fn(&mut Report)) -> Table {
    let mut table = Table::new(&NETS);
    table.run(&mut Reports(bank(2), |mut report: Report| {
        if report.name() == name {
            lie(&mut report);
        }
        vec![report]
    }));
    table
}

/// The lie is refused; the bank is named when it has not told the truth in time.
fn is_named(mut table: Table, phase: Phase, fault: &ReportError) {
    assert_eq!(table.refused, [(bank(2), fault.clone())]);
    assert_eq!(table.coordinator.phase(), phase);
    table.advance(20_000);
    let Failure::TimedOut { phase: found, missing } = table.failure() else {
        panic!("{}", table.failure());
    };
    assert_eq!((*found, missing.len()), (phase, 1));
    assert_eq!((missing[0].institution, missing[0].fault.as_ref()), (bank(2), Some(fault)));
}

#[test]
fn a_lie_in_a_posting_is_refused_and_its_bank_named() {
    let table = lies("posting", |report| {
        let Report::Posting { posting, .. } = report else { return };
        posting.new_balance = Commitment::identity();
    });
    // It came while the parties computed, and was looked at afterwards.
    assert_eq!(table.coordinator.phase(), Phase::Postings);
    let mut table = table;
    table.advance(20_000);
    let Failure::TimedOut { missing, .. } = table.failure() else { panic!() };
    let fault = ReportError::Posting(PostingError::NewBalance);
    assert_eq!((missing[0].institution, missing[0].fault.clone()), (bank(2), Some(fault)));
    assert!(table.failure().to_string().contains("BANKZZ02 (its posting: the new balance"));
}

#[test]
fn lies_in_the_proof_are_refused_and_their_bank_named() {
    let table = lies("bits", |report| {
        let Report::Bits { message, .. } = report else { return };
        message.commitment = Commitment::identity();
    });
    is_named(table, Phase::Bits, &ReportError::OtherCommitment);
    let table = lies("bits", |report| {
        let Report::Bits { message, .. } = report else { return };
        message.s = Commitment::identity();
    });
    let element = quittance_crypto::range_proof::Element::S;
    is_named(table, Phase::Bits, &ReportError::IdentityPoint(element));
    let table = lies("polynomials", |report| {
        let Report::Polynomials { message, .. } = report else { return };
        message.t2 = Commitment::identity();
    });
    let element = quittance_crypto::range_proof::Element::T2;
    is_named(table, Phase::Polynomials, &ReportError::IdentityPoint(element));

    // What cannot be seen at once comes out when the shares are checked.
    type Lie = fn(&mut Report);
    let lies_in: [(&str, Lie); 2] = [
        ("bits", |report| {
            let Report::Bits { message, .. } = report else { return };
            message.a = message.s;
        }),
        ("polynomials", |report| {
            let Report::Polynomials { message, .. } = report else { return };
            message.t1 = message.t2;
        }),
    ];
    for (name, lie) in lies_in {
        let table = lies(name, lie);
        // The bank itself sees another message of its own than it remembers.
        assert!(
            matches!(table.failure(), Failure::Refused { institution, .. } if *institution == bank(2))
        );
    }
}

#[test]
fn a_bad_share_names_its_bank() {
    let mut other = None;
    let mut table = Table::new(&NETS);
    table.run(&mut Reports(bank(1), |report: Report| {
        if let Report::Share { message, .. } = &report {
            other = Some(message.clone());
        }
        vec![report]
    }));
    let other = other.unwrap();
    let table = lies("share", |report| {
        let Report::Share { message, .. } = report else { return };
        *message = other.clone();
    });
    assert_eq!(*table.failure(), Failure::BadShares { institutions: vec![bank(2)] });
    assert!(table.submitted.is_empty());
}

#[test]
fn a_bad_signature_is_refused_and_its_bank_named() {
    let table = lies("signature", |report| {
        let Report::Signature { signature, .. } = report else { return };
        let key = signing(bank(2), Purpose::Transaction);
        *signature = key.sign(Purpose::Transaction, &Digest([1; 32]));
    });
    let (_, fault) = table.refused[0].clone();
    assert!(matches!(fault, ReportError::Signature(_)));
    is_named(table, Phase::Signatures, &fault);
}

#[test]
fn after_a_lie_there_is_still_time_for_the_truth() {
    let mut table = Table::new(&NETS);
    let wrong = Commitment::identity();
    table.run(&mut Reports(bank(2), |report: Report| {
        let lie = match report.clone() {
            Report::Bits { attempt, mut message } => {
                message.commitment = wrong;
                Report::Bits { attempt, message }
            }
            Report::Signature { attempt, .. } => {
                let key = signing(bank(1), Purpose::Transaction);
                let signature = key.sign(Purpose::Transaction, &Digest([1; 32]));
                Report::Signature { attempt, signature }
            }
            other => other,
        };
        vec![lie, report]
    }));
    assert_eq!(table.coordinator.phase(), Phase::Settling);
    let found: Vec<_> = table
        .refused
        .iter()
        .filter(|(_, error)| !matches!(error, ReportError::OutOfTurn { .. }))
        .collect();
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|(from, _)| *from == bank(2)));
}

#[test]
fn who_is_silent_is_named() {
    let cases = [
        ("posting", Phase::Postings),
        ("bits", Phase::Bits),
        ("polynomials", Phase::Polynomials),
        ("share", Phase::Shares),
        ("signature", Phase::Signatures),
    ];
    for (name, phase) in cases {
        let mut table = Table::new(&NETS);
        table.run(&mut Reports(
            bank(3),
            |report: Report| {
                if report.name() == name { vec![] } else { vec![report] }
            },
        ));
        assert_eq!(table.coordinator.phase(), phase);
        table.advance(14_999);
        assert_eq!(table.coordinator.phase(), phase);
        table.advance(1);
        let Failure::TimedOut { phase: found, missing } = table.failure() else { panic!() };
        assert_eq!((*found, missing.len(), missing[0].institution), (phase, 1, bank(3)));
        assert_eq!(missing[0].fault, None);
        // All are told, and nobody goes on.
        table.carry(&mut Honest);
        assert!(table.participants.values().all(Participant::is_over));
    }
}

#[test]
fn a_bank_that_withdraws_ends_the_round_unless_it_has_signed() {
    let names = ["posting", "bits", "polynomials", "share", "signature"];
    for name in names {
        let mut table = Table::new(&NETS);
        let (round, reason) = (table.round, Reason::new("restarted"));
        let declined = Report::Declined { round, reason: reason.clone() };
        table.run(&mut Reports(bank(3), |report: Report| match report.name() == name {
            true => vec![declined.clone()],
            false => vec![report],
        }));
        let institution = bank(3);
        assert_eq!(*table.failure(), Failure::Withdrawn { institution, reason }, "{name}");
    }

    let mut table = Table::new(&NETS);
    let declined = Report::Declined { round: table.round, reason: Reason::new("restarted") };
    table.run(&mut Reports(bank(1), |report: Report| match report.name() {
        "signature" => vec![report, declined.clone()],
        _ => vec![report],
    }));
    assert_eq!(table.coordinator.phase(), Phase::Settling);
    // Only those who take part can withdraw.
    let mut table = Table::new(&[1, -1, 0]);
    table.run(&mut Reports(bank(1), |report: Report| match report.name() {
        "signature" => vec![],
        _ => vec![report],
    }));
    let declined = Report::Declined { round: table.round, reason: Reason::new("") };
    assert_eq!(table.report(bank(4), declined), Err(ReportError::NotInRoster));
}

#[test]
fn reports_of_strangers_about_others_or_out_of_turn_are_refused_without_harm() {
    let mut table = Table::new(&NETS);
    table.attend(table.everybody());
    let (round, attempt) = (table.round, table.attempt());
    let nets = table.net_commitments();
    let computed = |attempt| Report::Computed {
        attempt,
        session: Digest([1; 32]),
        steps: 2,
        nets: nets.clone(),
    };
    let out_of_turn = ReportError::OutOfTurn { report: "computed", phase: Phase::Gathering };
    assert_eq!(table.report(id(PARTIES[0]), computed(attempt)), Err(out_of_turn));
    let other = RoundId(Digest([9; 32]));
    let foreign = Report::Declined { round: other, reason: Reason::new("") };
    assert_eq!(table.report(bank(1), foreign), Err(ReportError::OtherRound(other)));
    for number in 1..=3 {
        table.report(bank(number), dealt(round, bank(number))).unwrap();
    }
    assert_eq!(table.coordinator.phase(), Phase::Computing);

    let stray = Attempt { number: 1, ..attempt };
    let result = table.report(id(PARTIES[0]), computed(stray));
    assert_eq!(result, Err(ReportError::OtherAttempt(stray)));
    assert_eq!(table.report(bank(1), computed(attempt)), Err(ReportError::NotAParty));
    let failed = Report::Failed {
        attempt,
        exchange: 0,
        named: vec![],
        evidence: None,
        reason: Reason::new(""),
    };
    assert_eq!(table.report(bank(1), failed), Err(ReportError::NotAParty));
    let short = Report::Computed { attempt, session: Digest([1; 32]), steps: 2, nets: vec![] };
    let expected = ReportError::NetsCount { expected: 3, found: 0 };
    assert_eq!(table.report(id(PARTIES[0]), short), Err(expected));
    let late = ReportError::OutOfTurn { report: "dealt", phase: Phase::Computing };
    assert_eq!(table.report(bank(1), dealt(round, bank(1))), Err(late));

    // Nobody refuses in another's name.
    let refusal = |signer, key| {
        let refusal = Refusal { attempt, reason: Reason::new("no") };
        Report::Refused(Signed::sign(refusal, signer, &signing(key, Purpose::Round)))
    };
    let result = table.report(bank(1), refusal(bank(2), bank(2)));
    assert_eq!(result, Err(ReportError::OtherSigner(bank(2))));
    let result = table.report(bank(1), refusal(bank(1), bank(2)));
    assert!(matches!(result, Err(ReportError::Signature(_))));
    let party = id(PARTIES[0]);
    assert_eq!(table.report(party, refusal(party, party)), Err(ReportError::NotInRoster));

    table.carry(&mut Honest);
    assert_eq!(table.coordinator.phase(), Phase::Settling);
}

#[test]
fn a_dealing_counts_when_every_party_has_signed_for_it() {
    let mut table = Table::new(&NETS);
    table.attend(table.everybody());
    let (round, dealer) = (table.round, bank(1));
    let word = |party: &str| acknowledgement(round, dealer, id(party), dealing(dealer));
    let words = || PARTIES.map(word).to_vec();
    let mut refused = |acknowledgements| {
        let report = Report::Dealt { round, acknowledgements, complaints: vec![] };
        match table.report(dealer, report) {
            Err(ReportError::Acknowledgements(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let [one, two, three] = PARTIES.map(id);
    assert_eq!(refused(words()[..2].to_vec()), AcknowledgementsError::Parties);
    let mut twice = words();
    twice[2] = twice[1].clone();
    assert_eq!(refused(twice), AcknowledgementsError::Parties);
    let mut foreign = words();
    foreign[2] = acknowledgement(round, dealer, bank(2), dealing(dealer));
    assert_eq!(refused(foreign), AcknowledgementsError::Parties);
    let mut other_round = words();
    other_round[0] = acknowledgement(RoundId(Digest([9; 32])), dealer, one, dealing(dealer));
    assert_eq!(refused(other_round), AcknowledgementsError::OtherRound(one));
    let mut other_dealer = words();
    other_dealer[1] = acknowledgement(round, bank(2), two, dealing(dealer));
    let expected = AcknowledgementsError::OtherDealer { party: two, dealer: bank(2) };
    assert_eq!(refused(other_dealer), expected);
    let mut other_dealing = words();
    other_dealing[2] = acknowledgement(round, dealer, three, Digest([1; 32]));
    let (expected, found) = (dealing(dealer), Digest([1; 32]));
    let expected = AcknowledgementsError::OtherDealing { party: three, expected, found };
    assert_eq!(refused(other_dealing), expected);
    let mut forged = words();
    forged[1].signature = forged[0].signature.clone();
    assert!(
        matches!(refused(forged), AcknowledgementsError::Signature { party, .. } if party == two)
    );

    let all = Report::Dealt { round, acknowledgements: words(), complaints: vec![] };
    table.report(dealer, all).unwrap();
    let second = PARTIES.map(|party| acknowledgement(round, dealer, id(party), Digest([1; 32])));
    let acknowledgements = second.to_vec();
    let second = Report::Dealt { round, acknowledgements, complaints: vec![] };
    assert_eq!(table.report(dealer, second), Err(ReportError::Repeated));
}

#[test]
fn parties_that_disagree_are_disputed_and_nothing_more_is_said() {
    let outcome = |words: [Vec<Commitment>; 3]| {
        let mut table = Table::new(&NETS);
        table.attend(table.everybody());
        for bank in table.banks() {
            table.report(bank, dealt(table.round, bank)).unwrap();
        }
        for (party, nets) in PARTIES.iter().zip(words) {
            let report = table.computed(nets);
            let _ = table.report(id(party), report);
        }
        table.failure().clone()
    };
    let nets: Vec<_> = (1..=3u64)
        .map(|value| {
            let blinding = quittance_crypto::commitment::Blinding::zero();
            quittance_crypto::commitment::Opening::new(value, blinding).commit()
        })
        .collect();
    let rotated = |by: usize| {
        let mut nets = nets.clone();
        nets.rotate_left(by);
        nets
    };
    let one_differs = outcome([rotated(0), rotated(1), rotated(0)]);
    assert_eq!(one_differs, Failure::Disputed { parties: vec![id(PARTIES[1])] });
    let all_differ = outcome([rotated(0), rotated(1), rotated(2)]);
    assert_eq!(all_differ, Failure::Disputed { parties: PARTIES.map(id).to_vec() });
    let unbalanced = outcome([rotated(0), rotated(0), rotated(0)]);
    assert_eq!(unbalanced, Failure::Nets(NetsError::Unbalanced));
}

#[test]
fn a_party_that_fails_or_is_silent_is_named() {
    let start = || {
        let mut table = Table::new(&NETS);
        table.attend(table.everybody());
        for bank in table.banks() {
            table.report(bank, dealt(table.round, bank)).unwrap();
        }
        table
    };
    let mut table = start();
    let reason = Reason::new("MPCB sent nonsense");
    let (attempt, named) = (table.attempt(), vec![id(PARTIES[1])]);
    let (exchange, evidence) = (9, None);
    let failed = Report::Failed {
        attempt,
        exchange,
        named: named.clone(),
        evidence,
        reason: reason.clone(),
    };
    table.report(id(PARTIES[2]), failed).unwrap();
    table.advance(5_000);
    let words = vec![PartyFailure { party: id(PARTIES[2]), exchange, named, reason }];
    let silent = PARTIES[..2].iter().map(|party| id(party)).collect();
    assert_eq!(*table.failure(), Failure::NotComputed { threshold: 1, words, silent });

    let mut table = start();
    let report = table.computed(table.net_commitments());
    table.report(id(PARTIES[1]), report).unwrap();
    table.advance(120_000);
    let Failure::TimedOut { phase, missing } = table.failure() else { panic!() };
    let missing: Vec<_> = missing.iter().map(|missing| missing.institution).collect();
    assert_eq!((*phase, missing), (Phase::Computing, vec![id(PARTIES[0]), id(PARTIES[2])]));
}
