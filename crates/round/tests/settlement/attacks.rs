//! What a coordinator can do to banks, and what banks and parties can do to a round.

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof::joint::{BitMessage, JointError};
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::{Height, InstitutionId, RoundId};
use quittance_ledger::state::Role;
use quittance_ledger::transaction::{Action, Body, Settlement};
use quittance_round::coordinator::{AcknowledgementsError, Failure, Phase, ReportError};
use quittance_round::envelope::Signed;
use quittance_round::message::{Attempt, Instruction, Reason, Refusal, Report};
use quittance_round::participant::{BeginError, Deviation, Participant};
use quittance_round::settlement::{NetsError, PostingError, ProposalError, StartError};
use quittance_round::start::{Roster, Seat, Start};

use crate::table::{Honest, Instructions, Reports, Table, acknowledgement, dealing, dealt};
use crate::world::{COORDINATOR, PARTIES, account, bank, id, signing};

const NETS: [i64; 3] = [40, -50, 10];

/// What the banks say when the coordinator changes its instructions so. No settlement comes of it.
fn instructed(change: impl FnMut(InstitutionId, Instruction) -> Vec<Instruction>) -> Table {
    let mut table = Table::new(&NETS);
    table.run(&mut Instructions(change));
    assert!(table.submitted.is_empty());
    table
}

/// The deviation that every bank finds, or the one bank that the change is for.
fn proposed(change: impl Fn(&mut Body, &mut Settlement)) -> Vec<(InstitutionId, Deviation)> {
    let table = instructed(|_, instruction| match instruction {
        Instruction::Proposal { attempt, mut body } => {
            let Action::Settlement(mut settlement) = body.action.clone() else { unreachable!() };
            change(&mut body, &mut settlement);
            if matches!(body.action, Action::Settlement(_)) {
                body.action = Action::Settlement(settlement);
            }
            vec![Instruction::Proposal { attempt, body }]
        }
        other => vec![other],
    });
    // The first refusal ends the round, and is signed by the bank that is named.
    let (named, deviation) = table.deviations[0].clone();
    let reason = Reason::new(&deviation);
    assert_eq!(*table.failure(), Failure::Refused { institution: named, reason });
    table.deviations
}

fn all_find(deviations: &[(InstitutionId, Deviation)], expected: &Deviation) {
    let found: Vec<_> = deviations.iter().map(|(bank, _)| *bank).collect();
    assert_eq!(found, [bank(1), bank(2), bank(3)]);
    for (bank, deviation) in deviations {
        assert_eq!(deviation, expected, "{bank}");
    }
}

type Change = Box<dyn Fn(&mut Body, &mut Settlement)>;

#[test]
fn a_proposal_that_is_not_what_was_computed_is_refused_by_all() {
    let posting = |institution, source| ProposalError::Posting { institution, source };
    let last = bank(3);
    let cases: Vec<(Change, ProposalError)> = vec![
        (
            Box::new(|_, settlement| {
                let taken = settlement.entry.postings[0].new_balance;
                settlement.entry.postings[2].new_balance = taken;
            }),
            posting(last, PostingError::NewBalance),
        ),
        (
            Box::new(|_, settlement| {
                settlement.entry.postings[2].absorbed =
                    vec![quittance_ledger::ids::CreditId(Digest([1; 32]))];
            }),
            ProposalError::Malformed(quittance_ledger::transaction::Malformed::SettlementAbsorbs {
                institution: last,
            }),
        ),
        (
            Box::new(|_, settlement| {
                settlement.entry.postings[2].key_fingerprint = Digest([1; 32]);
            }),
            posting(
                last,
                PostingError::OtherKey {
                    expected: crate::world::fingerprint(last),
                    found: Digest([1; 32]),
                },
            ),
        ),
        (
            Box::new(|_, settlement| drop(settlement.entry.postings.pop())),
            ProposalError::Missing(last),
        ),
        (
            Box::new(|_, settlement| drop(settlement.entry.postings.remove(0))),
            ProposalError::Missing(bank(1)),
        ),
        (
            Box::new(|_, settlement| {
                let mut added = settlement.entry.postings[2].clone();
                added.institution = bank(4);
                settlement.entry.postings.push(added);
            }),
            ProposalError::Stranger(bank(4)),
        ),
        (
            Box::new(|_, settlement| settlement.entry.postings[2].institution = bank(4)),
            ProposalError::Stranger(bank(4)),
        ),
        (
            Box::new(|_, settlement| settlement.entry.asset = "USD".parse().unwrap()),
            ProposalError::Asset("USD".parse().unwrap()),
        ),
        (
            Box::new(|_, settlement| settlement.attachment = Some(Digest([1; 32]))),
            ProposalError::Attachment,
        ),
        (Box::new(|body, _| body.chain.0 = Digest([1; 32])), ProposalError::Chain),
        (
            Box::new(|body, settlement| {
                body.action = Action::Entries(vec![settlement.entry.clone()]);
            }),
            ProposalError::NotASettlement,
        ),
    ];
    for (change, expected) in cases {
        all_find(&proposed(change), &Deviation::Proposal(expected));
    }
}

#[test]
fn a_proposal_for_another_round_or_attempt_or_longer_than_the_round_is_refused() {
    let table = Table::new(&NETS);
    let (round, deadline) =
        (table.round, table.world.book.round(&table.round).unwrap().terms.deadline);
    drop(table);
    let found = proposed(|_, settlement| settlement.attempt = 1);
    let expected = ProposalError::Attempt(Attempt { round, number: 1 });
    // Chains of two tables differ by their sealing keys, and with them the rounds.
    assert!(
        matches!(&found[0].1, Deviation::Proposal(ProposalError::Attempt(attempt)) if attempt.number == 1)
    );
    assert!(matches!(expected, ProposalError::Attempt(_)));
    let other = RoundId(Digest([9; 32]));
    all_find(
        &proposed(|_, settlement| settlement.round = other),
        &Deviation::Proposal(ProposalError::Attempt(Attempt { round: other, number: 0 })),
    );
    let found = deadline.plus(1);
    all_find(
        &proposed(|body, _| body.expiry = found),
        &Deviation::Proposal(ProposalError::Expiry { deadline, found }),
    );
    let within = Height(deadline.0 - 1);
    let mut table = Table::new(&NETS);
    let change = |_: InstitutionId, instruction| match instruction {
        Instruction::Proposal { attempt, mut body } => {
            body.expiry = within;
            vec![Instruction::Proposal { attempt, body }]
        }
        other => vec![other],
    };
    table.run(&mut Instructions(change));
    // Another expiry within the round is nobody's harm, but it is not what the others prove.
    assert!(table.deviations.is_empty());
    assert!(matches!(table.failure(), Failure::BadShares { .. } | Failure::Proof(_)));
}

#[test]
fn a_bank_finds_its_own_posting_changed() {
    let found = proposed(|_, settlement| settlement.entry.postings[1].sequence += 1);
    assert_eq!(found, [(bank(2), Deviation::OwnPostingChanged)]);
    let found = proposed(|_, settlement| settlement.entry.postings[1].self_note.push(0));
    assert_eq!(found, [(bank(2), Deviation::OwnPostingChanged)]);
}

#[test]
fn another_attempt_or_round_or_order_is_not_followed() {
    let table = instructed(|_, instruction| match instruction {
        Instruction::Proposal { mut attempt, body } => {
            attempt.number = 1;
            vec![Instruction::Proposal { attempt, body }]
        }
        other => vec![other],
    });
    all_find(&table.deviations, &Deviation::OtherAttempt(1));

    let other = RoundId(Digest([9; 32]));
    let table = instructed(|_, instruction| match instruction {
        Instruction::Proposal { mut attempt, body } => {
            attempt.round = other;
            vec![Instruction::Proposal { attempt, body }]
        }
        other => vec![other],
    });
    all_find(&table.deviations, &Deviation::OtherRound(other));
    assert_eq!(table.coordinator.phase(), Phase::Bits, "only ignored: no harm is done");

    let table = instructed(|_, instruction| match instruction {
        Instruction::Proposal { attempt, .. } => {
            vec![Instruction::AllBits { attempt, messages: vec![] }]
        }
        other => vec![other],
    });
    all_find(&table.deviations, &Deviation::OutOfTurn { instruction: "all bits" });

    let table = instructed(|to, instruction| match instruction {
        Instruction::Proposal { attempt, body } if to == bank(2) => {
            let mut other = body.clone();
            other.expiry = Height(body.expiry.0 - 1);
            let second = Instruction::Proposal { attempt, body: other };
            vec![Instruction::Proposal { attempt, body }, second]
        }
        other => vec![other],
    });
    let contradiction = Deviation::Contradiction { instruction: "proposal" };
    assert_eq!(table.deviations, [(bank(2), contradiction)]);
}

#[test]
fn messages_of_another_round_are_refused_by_what_they_prove() {
    let mut kept: Option<Vec<BitMessage>> = None;
    let mut other = Table::new(&[41, -50, 9]);
    other.run(&mut Instructions(|_, instruction| {
        if let Instruction::AllBits { messages, .. } = &instruction {
            kept = Some(messages.clone());
        }
        vec![instruction]
    }));
    let kept = kept.unwrap();
    let table = instructed(|_, instruction| match instruction {
        Instruction::AllBits { attempt, .. } => {
            vec![Instruction::AllBits { attempt, messages: kept.clone() }]
        }
        other => vec![other],
    });
    let expected = JointError::WrongCommitment { position: 0 };
    all_find(&table.deviations, &Deviation::Joint(expected));
}

#[test]
fn a_bank_whose_message_was_replaced_says_so() {
    let table = instructed(|_, instruction| match instruction {
        Instruction::AllBits { attempt, mut messages } => {
            messages[1].a = messages[0].a;
            vec![Instruction::AllBits { attempt, messages }]
        }
        other => vec![other],
    });
    let expected = Deviation::Joint(JointError::OwnMessageChanged { position: 1 });
    assert_eq!(table.deviations, [(bank(2), expected)]);

    let table = instructed(|_, instruction| match instruction {
        Instruction::AllPolynomials { attempt, mut messages } => {
            messages[2].t1 = messages[0].t1;
            vec![Instruction::AllPolynomials { attempt, messages }]
        }
        other => vec![other],
    });
    let expected = Deviation::Joint(JointError::OwnMessageChanged { position: 2 });
    assert_eq!(table.deviations, [(bank(3), expected)]);

    let table = instructed(|_, instruction| match instruction {
        Instruction::AllBits { attempt, mut messages } => {
            messages.pop();
            vec![Instruction::AllBits { attempt, messages }]
        }
        other => vec![other],
    });
    all_find(&table.deviations, &Deviation::Joint(JointError::Count { found: 3, expected: 4 }));
}

#[test]
fn a_changed_proof_is_not_signed_and_a_changed_settlement_not_submitted() {
    let table = instructed(|_, instruction| match instruction {
        Instruction::Proven { attempt, proof } => {
            let mut bytes = proof.as_bytes().to_vec();
            bytes[130] ^= 1;
            vec![Instruction::Proven { attempt, proof: bytes.try_into().unwrap() }]
        }
        other => vec![other],
    });
    assert_eq!(table.deviations.len(), 3);
    let proof = |deviation: &Deviation| matches!(deviation, Deviation::Proof(_));
    assert!(table.deviations.iter().all(|(_, deviation)| proof(deviation)));

    let mut table = Table::new(&NETS);
    table.run(&mut Instructions(|_, instruction| match instruction {
        Instruction::Settled { attempt, transaction } => {
            let mut signatures = transaction.signatures().to_vec();
            signatures[0].signature = signatures[1].signature.clone();
            let (body, proofs) = (transaction.body().clone(), transaction.proofs().to_vec());
            let transaction =
                quittance_ledger::transaction::Transaction::new(body, proofs, signatures);
            vec![Instruction::Settled { attempt, transaction }]
        }
        other => vec![other],
    }));
    assert_eq!(table.submitted.len(), 1, "the coordinator's own");
    let settlement = |deviation: &Deviation| matches!(deviation, Deviation::Settlement(_));
    assert!(table.deviations.iter().all(|(_, deviation)| settlement(deviation)));
    // What has been signed may land: the banks have not taken that back.
    assert!(table.participants.values().all(Participant::has_signed));
    assert_eq!(table.coordinator.phase(), Phase::Settling);
}

#[test]
fn only_the_opener_starts_a_round_with_members_and_their_own_dealings() {
    let mut table = Table::new(&NETS);
    let seat = |number| Seat { institution: bank(number), dealing: dealing(bank(number)) };
    let start = |seats: Vec<Seat>| Start {
        round: table.round,
        attempt: 0,
        roster: Roster::new(seats).unwrap(),
    };
    let coordinator = signing(id(COORDINATOR), Purpose::Round);
    let sign = |start| Signed::sign(start, id(COORDINATOR), &coordinator);
    let begin = |signed: &Signed<Start>| {
        Participant::new(&table.world.book, bank(1), &dealing(bank(1)), signed).err()
    };
    let all = || start(vec![seat(1), seat(2), seat(3)]);
    assert_eq!(begin(&sign(all())), None);
    assert_eq!(begin(&sign(start(vec![seat(2), seat(3)]))), Some(BeginError::NotInRoster));
    let foreign = Seat { dealing: Digest([1; 32]), ..seat(1) };
    let own = dealing(bank(1));
    let refused = begin(&sign(start(vec![foreign, seat(2)])));
    assert_eq!(refused, Some(BeginError::OtherDealing { own }));
    let with = |error| Some(BeginError::Start(error));
    let stranger = start(vec![seat(1), seat(9)]);
    assert_eq!(begin(&sign(stranger)), with(StartError::NotAMember(bank(9))));
    let attempt = Start { attempt: 1, ..all() };
    let expected = StartError::NoSuchAttempt { attempts: 1, found: 1 };
    assert_eq!(begin(&sign(attempt)), with(expected));
    let round = RoundId(Digest([9; 32]));
    assert_eq!(begin(&sign(Start { round, ..all() })), with(StartError::UnknownRound(round)));

    let other = Signed::sign(all(), bank(2), &signing(bank(2), Purpose::Round));
    let expected = StartError::NotOpener { opener: id(COORDINATOR), found: bank(2) };
    assert_eq!(begin(&other), with(expected));
    let forged = Signed::sign(all(), id(COORDINATOR), &signing(bank(2), Purpose::Round));
    assert!(matches!(begin(&forged), Some(BeginError::Start(StartError::Signature(_)))));

    let (deadline, signed) =
        (table.world.book.round(&table.round).unwrap().terms.deadline, sign(all()));
    table.world.advance_to(deadline);
    let late = Participant::new(&table.world.book, bank(1), &dealing(bank(1)), &signed);
    assert_eq!(late.err(), with(StartError::Over));
}

#[test]
fn a_bank_does_not_post_what_does_not_fit_the_ledger() {
    let begin = |change: &dyn Fn(&mut Table, &mut Vec<Commitment>)| {
        let mut table = Table::new(&NETS);
        let mut nets = table.net_commitments();
        change(&mut table, &mut nets);
        let seats = table
            .banks()
            .into_iter()
            .map(|institution| Seat { institution, dealing: dealing(institution) });
        let roster = Roster::new(seats.collect()).unwrap();
        let start = Start { round: table.round, attempt: 0, roster };
        let key = signing(id(COORDINATOR), Purpose::Round);
        let signed = Signed::sign(start, id(COORDINATOR), &key);
        let dealing = dealing(bank(1));
        let mut bank_one = Participant::new(&table.world.book, bank(1), &dealing, &signed).unwrap();
        let draft = table.world.settle(0, table.nets[0], &table.blindings[0]);
        let keys = crate::table::BankKeys::of(bank(1));
        let answer = bank_one.post(draft, &nets, keys.keys());
        table.answered(bank(1), answer);
        assert_eq!(bank_one.is_over(), !table.deviations.is_empty());
        table.deviations.pop().map(|(_, deviation)| deviation)
    };
    assert_eq!(begin(&|_, _| {}), None);
    let short = Deviation::Nets(NetsError::Count { expected: 3, found: 2 });
    assert_eq!(begin(&|_, nets| nets.truncate(2)), Some(short));
    let made = Deviation::Nets(NetsError::Unbalanced);
    assert_eq!(begin(&|_, nets| nets[1] = nets[0]), Some(made));
    let own = Deviation::OwnPosting(PostingError::NewBalance);
    assert_eq!(begin(&|table, _| table.nets[0] += 1), Some(own.clone()));
    assert_eq!(begin(&|_, nets| nets.swap(0, 1)), Some(own));
}

// What banks and parties do to a round.

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
    let failed = Report::Failed { attempt, reason: Reason::new("") };
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
        let report = Report::Dealt { round, acknowledgements };
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

    table.report(dealer, Report::Dealt { round, acknowledgements: words() }).unwrap();
    let second = PARTIES.map(|party| acknowledgement(round, dealer, id(party), Digest([1; 32])));
    let second = Report::Dealt { round, acknowledgements: second.to_vec() };
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
    let failed = Report::Failed { attempt: table.attempt(), reason: reason.clone() };
    table.report(id(PARTIES[2]), failed).unwrap();
    assert_eq!(*table.failure(), Failure::PartyFailed { party: id(PARTIES[2]), reason });

    let mut table = start();
    let report = table.computed(table.net_commitments());
    table.report(id(PARTIES[1]), report).unwrap();
    table.advance(120_000);
    let Failure::TimedOut { phase, missing } = table.failure() else { panic!() };
    let missing: Vec<_> = missing.iter().map(|missing| missing.institution).collect();
    assert_eq!((*phase, missing), (Phase::Computing, vec![id(PARTIES[0]), id(PARTIES[2])]));
}

#[test]
fn too_few_dealings_no_opening_or_a_passed_deadline_end_a_round() {
    let mut table = Table::new(&NETS);
    table.attend(table.everybody());
    table.report(bank(1), dealt(table.round, bank(1))).unwrap();
    table.advance(15_000);
    assert_eq!(*table.failure(), Failure::TooFew { found: 1, minimum: 2 });

    let mut table = Table::new(&NETS);
    let (_, never) = table.world.opening(9);
    table.coordinator = quittance_round::coordinator::Coordinator::new(
        never,
        id(COORDINATOR),
        Default::default(),
        0,
    );
    table.advance(14_999);
    assert!(table.ending.is_none());
    table.advance(1);
    assert_eq!(*table.failure(), Failure::NotOpened);

    let mut table = Table::new(&NETS);
    table.run(&mut Reports(bank(1), |report: Report| {
        if report.name() == "signature" { vec![] } else { vec![report] }
    }));
    let deadline = table.world.book.round(&table.round).unwrap().terms.deadline;
    table.world.advance_to(deadline);
    table.advance(1);
    assert_eq!(*table.failure(), Failure::DeadlinePassed { phase: Phase::Signatures });
    // The locks are gone with it.
    let height = table.world.tip.height().next();
    let account = table.world.state.account(&account(bank(1))).unwrap();
    assert_eq!(account.locked_at(height), None);
    assert!(table.world.state.institution(&bank(1)).unwrap().roles.contains(&Role::Participant));
}
