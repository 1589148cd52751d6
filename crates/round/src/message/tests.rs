use super::*;
use quittance_crypto::commitment::{Commitment, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof::joint::{
    Aggregator, BitMessage, PolynomialMessage, Prover, ShareMessage,
};
use quittance_crypto::range_proof::{self, RangeProof};
use quittance_crypto::signature::{Purpose, Signature, SigningKey, Suite};
use quittance_ledger::build::Terms;
use quittance_ledger::ids::Height;
use quittance_ledger::transaction::{Body, InstitutionSignature, Posting, Transaction};
use quittance_mpc::Parties;
use quittance_mpc::session::Evidence;

use crate::dealing::{Acknowledgement, Complaint, PublishedPart};
use crate::envelope::Signed;
use crate::start::{Roster, Seat, Start};
use crate::testing::{bank, place, rng};

const SUITE: Suite = Suite::MlDsa65MlKem768;

fn key() -> SigningKey {
    SigningKey::from_seed(SUITE, &[1; 32])
}

fn signature() -> Signature {
    key().sign(Purpose::Transaction, &Digest::ZERO)
}

fn attempt() -> Attempt {
    Attempt { round: place().round, number: 3 }
}

fn commitments() -> Vec<Commitment> {
    (0..2).map(|value| Opening::random(value, &mut rng(value)).commit()).collect()
}

/// All messages of one joint proof of two values.
fn proof() -> (Vec<BitMessage>, Vec<PolynomialMessage>, ShareMessage, RangeProof) {
    let mut rng = rng(5);
    let openings = [Opening::random(1, &mut rng), Opening::random(2, &mut rng)];
    let statement = openings.each_ref().map(Opening::commit);
    let context = Digest::ZERO;
    let aggregator = Aggregator::new(&context, &statement, &mut rng).unwrap();
    let start = |position: usize, rng: &mut _| {
        Prover::start(&context, &statement, position, &openings[position], rng).unwrap()
    };
    let ((one, first), (two, second)) = (start(0, &mut rng), start(1, &mut rng));
    let (aggregator, bits) = aggregator.receive(vec![first, second], &mut rng).unwrap();
    let (one, first) = one.receive(&bits, &mut rng).unwrap();
    let (two, second) = two.receive(&bits, &mut rng).unwrap();
    let (aggregator, polynomials) = aggregator.receive(vec![first, second]).unwrap();
    let shares = [one, two].map(|prover| prover.receive(&polynomials).unwrap());
    let proof = aggregator.receive(shares.to_vec(), &mut rng).unwrap();
    range_proof::verify(&context, &statement, &proof).unwrap();
    let [share, _] = shares;
    (bits, polynomials, share, proof)
}

fn posting(number: u32) -> Posting {
    Posting {
        institution: bank(number),
        key_fingerprint: Digest([4; 32]),
        sequence: 9,
        absorbed: vec![],
        new_balance: commitments()[1],
        self_note: vec![7; 20],
    }
}

fn body() -> Body {
    let terms = Terms { suite: SUITE, chain: place().chain, expiry: Height(9) };
    let postings = vec![posting(1), posting(2)];
    terms.settlement(place().round, 3, place().asset, postings, None).unwrap()
}

fn evidence() -> Evidence {
    let place = [&[6; 32][..], &[0, 0, 0, 5], &[0], &[2]].concat();
    let said = [[1; 32], [2; 32]].map(|hash| [hash.to_vec(), signature().to_bytes()].concat());
    Evidence::from_bytes(&[place, said.concat()].concat()).unwrap()
}

fn reports() -> Vec<Report> {
    let (round, attempt) = (place().round, attempt());
    let (bits, polynomials, share, _) = proof();
    let acknowledgement = |party| Acknowledgement {
        round,
        dealer: bank(1),
        party: bank(party),
        dealing: Digest([8; 32]),
        published: vec![PublishedPart { party: 3, part: Digest([9; 32]) }],
        signature: signature(),
    };
    let reason = Reason::new("the sum of all nets is not zero");
    let refusal = Refusal { attempt, reason: reason.clone() };
    let (dealer, dealing) = (bank(1), Digest([8; 32]));
    let complaint = Complaint { round, dealer, dealing, reason: reason.clone() };
    vec![
        Report::Declined { round, reason: reason.clone() },
        Report::Dealt {
            round,
            acknowledgements: vec![acknowledgement(7), acknowledgement(8)],
            complaints: vec![Signed::sign(complaint, bank(9), &key())],
        },
        Report::Posting { attempt, posting: posting(1) },
        Report::Bits { attempt, message: bits[0] },
        Report::Polynomials { attempt, message: polynomials[0] },
        Report::Share { attempt, message: share },
        Report::Signature { attempt, signature: signature() },
        Report::Refused(Signed::sign(refusal, bank(1), &key())),
        Report::Computed { attempt, session: Digest([6; 32]), steps: 4, nets: commitments() },
        Report::Failed {
            attempt,
            exchange: 70_000,
            named: vec![bank(7)],
            evidence: Some(evidence()),
            reason: reason.clone(),
        },
        Report::NoResult { attempt, parties: vec![bank(7), bank(8)], reason },
    ]
}

fn instructions() -> Vec<Instruction> {
    let attempt = attempt();
    let (bits, polynomials, _, proof) = proof();
    let seat = |number| Seat { institution: bank(number), dealing: Digest([number as u8; 32]) };
    let roster = Roster::new(vec![seat(1), seat(2)]).unwrap();
    let active = Parties::new(5, 1).unwrap().active(&[1, 3, 4]).unwrap();
    let start = Start { round: attempt.round, attempt: attempt.number, active, roster };
    let signed = |number| InstitutionSignature {
        institution: bank(number),
        key_fingerprint: Digest([4; 32]),
        signature: signature(),
    };
    let transaction = Transaction::new(body(), vec![proof.clone()], vec![signed(1), signed(2)]);
    vec![
        Instruction::Start(Signed::sign(start, bank(9), &key())),
        Instruction::Proposal { attempt, body: body() },
        Instruction::AllBits { attempt, messages: bits },
        Instruction::AllPolynomials { attempt, messages: polynomials },
        Instruction::Proven { attempt, proof },
        Instruction::Settled { attempt, transaction },
        Instruction::Abandoned { attempt, reason: Reason::new("time is over") },
    ]
}

/// The message decodes to itself; whatever else decodes is another message with one encoding.
fn attack<T: Encode + Decode + PartialEq + std::fmt::Debug>(message: &T) {
    let bytes = message.to_bytes();
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(message));
    assert!(T::from_bytes(&[&bytes[..], &[0]].concat()).is_err(), "bytes left over");
    assert!(T::from_bytes(&[]).is_err());
    // The inside of long messages consists of signatures and scalars: probed, not searched.
    let step = bytes.len() / 400 + 1;
    let positions = (0..bytes.len().min(200)).chain((200..bytes.len()).step_by(step));
    for position in positions {
        assert!(T::from_bytes(&bytes[..position]).is_err(), "cut at {position}");
        for flip in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[position] ^= flip;
            if let Ok(other) = T::from_bytes(&changed) {
                assert_ne!(other, *message, "byte {position}");
                assert_eq!(other.to_bytes(), changed, "byte {position}");
            }
        }
    }
}

#[test]
fn every_report_has_one_encoding() {
    let reports = reports();
    reports.iter().for_each(attack);
    for (tag, report) in (0..).zip(&reports) {
        let bytes = report.to_bytes();
        assert_eq!(&bytes[..2], [1, tag]);
        assert_eq!(report.round(), place().round);
        for other in (11..=255).chain([tag ^ 1]) {
            let mut changed = bytes.clone();
            changed[1] = other;
            let decoded = Report::from_bytes(&changed);
            assert!(other < 11 || decoded.is_err(), "tag {other}");
            assert!(decoded.is_ok_and(|other| other != *report) || other != tag);
        }
    }
}

#[test]
fn every_instruction_has_one_encoding() {
    let instructions = instructions();
    instructions.iter().for_each(attack);
    for (tag, instruction) in (0..).zip(&instructions) {
        let bytes = instruction.to_bytes();
        assert_eq!(&bytes[..2], [1, tag]);
        assert_eq!(instruction.attempt(), attempt());
        for other in 7..=255 {
            let mut changed = bytes.clone();
            changed[1] = other;
            assert!(Instruction::from_bytes(&changed).is_err(), "tag {other}");
        }
    }
}

#[test]
fn no_kind_is_taken_for_another() {
    let names: Vec<_> = reports().iter().map(Report::name).collect();
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 11);
    for report in reports() {
        for tag in 0..11 {
            let mut changed = report.to_bytes();
            if changed[1] == tag {
                continue;
            }
            changed[1] = tag;
            if let Ok(other) = Report::from_bytes(&changed) {
                assert_ne!(other.name(), report.name());
                assert_eq!(other.to_bytes(), changed);
            }
        }
    }
}

#[test]
fn lists_and_lengths_above_their_bounds_are_refused() {
    let attempt = attempt();
    let many = vec![Commitment::identity(); 129];
    let computed = |nets| Report::Computed { attempt, session: Digest::ZERO, steps: 1, nets };
    assert!(Report::from_bytes(&computed(many[..128].to_vec()).to_bytes()).is_ok());
    let error = Report::from_bytes(&computed(many).to_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "nets: length 129 is above the limit of 128 at byte 71");

    let (bits, ..) = proof();
    let all = |count| Instruction::AllBits { attempt, messages: vec![bits[0]; count] };
    assert!(Instruction::from_bytes(&all(128).to_bytes()).is_ok());
    assert!(Instruction::from_bytes(&all(129).to_bytes()).is_err());

    let error = Report::from_bytes(&vec![0; MAX_REPORT_BYTES + 1]).unwrap_err();
    assert!(matches!(error.problem, Problem::TooLong { .. }));
    let error = Instruction::from_bytes(&vec![0; MAX_INSTRUCTION_BYTES + 1]).unwrap_err();
    assert!(matches!(error.problem, Problem::TooLong { .. }));
}

#[test]
fn reasons_are_short_and_show_what_they_say() {
    assert_eq!(Reason::new("no\nnew\u{1b}[2Jline\u{202e}").as_str(), "no?new?[2Jline?");
    let long = Reason::new("é".repeat(200));
    assert_eq!(long.as_str().len(), MAX_REASON_BYTES);
    attack(&long);
    assert_eq!(Reason::new("é".repeat(127) + "abc").as_str().len(), 256);
    assert_eq!(Reason::new("a".to_owned() + &"é".repeat(200)).as_str().len(), 255);
    let encoded = |bytes: &[u8]| {
        let mut out = Writer::new();
        out.bytes(bytes);
        Reason::from_bytes(&out.into_bytes())
    };
    assert!(encoded(b"plain").is_ok());
    for refused in [&b"bell \x07"[..], b"\xff", "left \u{202e}".as_bytes(), &[b'a'; 257]] {
        assert!(encoded(refused).is_err());
    }
}
