//! What a coordinator can do to banks: nothing that they do not notice before they sign.

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof::joint::{BitMessage, JointError};
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::{Height, InstitutionId, RoundId};
use quittance_ledger::transaction::{Action, Body, Settlement};
use quittance_mpc::Parties;
use quittance_round::coordinator::{Failure, Phase};
use quittance_round::envelope::Signed;
use quittance_round::message::{Attempt, Instruction, Reason};
use quittance_round::participant::{BeginError, Deviation, Participant};
use quittance_round::settlement::{NetsError, PostingError, ProposalError, StartError};
use quittance_round::start::{Roster, Seat, Start};

use crate::table::{Instructions, Table, dealing};
use crate::world::{COORDINATOR, bank, id, signing};

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
    let found = proposed(|_, settlement| settlement.attempt = 1);
    assert_eq!(found.len(), 3);
    for (_, deviation) in found {
        let Deviation::Proposal(ProposalError::Attempt(attempt)) = deviation else {
            panic!("{deviation}");
        };
        assert_eq!(attempt.number, 1);
    }
    let other = RoundId(Digest([9; 32]));
    all_find(
        &proposed(|_, settlement| settlement.round = other),
        &Deviation::Proposal(ProposalError::Attempt(Attempt { round: other, number: 0 })),
    );
    // Every table's round has the same deadline, and keys of its own.
    let table = Table::new(&NETS);
    let deadline = table.world.book.round(&table.round).unwrap().terms.deadline;
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
        active: Parties::new(3, 1).unwrap().first_active(),
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
    for (count, threshold) in [(4, 1), (5, 2)] {
        let foreign = Parties::new(count, threshold).unwrap().choices().last().unwrap();
        let refused = begin(&sign(Start { active: foreign, ..all() }));
        assert_eq!(refused, with(StartError::NotActive(foreign)));
    }
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
        let active = Parties::new(3, 1).unwrap().first_active();
        let start = Start { round: table.round, attempt: 0, active, roster };
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
