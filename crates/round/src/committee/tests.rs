use super::*;
use crate::Joined;
use crate::dealing::{Dealing, Dealings, deal};
use crate::payees::Payees;
use crate::queue::{FrozenQueue, QueueSeed};
use crate::receipt::{Notice, Queue, Statement};
use crate::result::{Notices, Part, ResultShare};
use crate::start::{Roster, Seat};
use crate::testing::{bank, number, payees, payment, place, ranges, rng};
use quittance_circuit::Fr;
use quittance_crypto::commitment::{Commitment, Opening};
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::{SigningKey, Suite};
use quittance_ledger::ids::TransactionId;
use quittance_mpc::output::{CommittedOutput, CommittedShare};
use quittance_mpc::{Output, Parties, Share};

fn parties() -> Parties {
    Parties::new(3, 1).unwrap()
}

/// By bank: who is paid, and how much. Bank 3 pays nobody; bank 4 does not get into the roster.
fn queue(payer: u32) -> FrozenQueue {
    let payments = match payer {
        1 => vec![payment(2, 500, 1), payment(3, 20, 2), payment(2, 7, 3)],
        2 => vec![payment(5, 1, 4), payment(4, 2, 5), payment(1, 3, 6)],
        5 => vec![payment(1, 40, 7), payment(4, 41, 8), payment(2, 42, 9)],
        _ => vec![],
    };
    let seed = QueueSeed::random(&mut rng(payer.into()));
    FrozenQueue::freeze(bank(payer), payments, number, seed).ok().unwrap()
}

fn dealt_by(payer: u32, round: RoundId) -> (Dealings, DealtInputs) {
    let (queue, rng) = (queue(payer), &mut rng(100 + u64::from(payer)));
    let balance = Opening::random(900, rng);
    let joined = Joined {
        round,
        chain: place().chain,
        asset: place().asset,
        institution: bank(payer),
        number: payer,
        queue_root: queue.root(),
        bucket: queue.bucket(),
    };
    let dealings =
        deal(&joined, &balance, &queue, ranges(&queue), &payees(), parties(), rng).ok().unwrap();
    let dealing = Dealing::from_bytes(&dealings.message(2).unwrap()).ok().unwrap();
    let committee = (parties(), parties().id(2).unwrap());
    let inputs = dealing.accept(&joined, &balance.commit(), &payees(), committee, rng);
    (dealings, inputs.ok().unwrap())
}

/// Dealings of the banks, as party 2 has accepted them, and the start with the banks 1, 2, 3, 5.
fn world() -> (Start, BTreeMap<InstitutionId, DealtInputs>) {
    let (mut dealt, mut seats) = (BTreeMap::new(), vec![]);
    for payer in [1, 2, 3, 4, 5] {
        let (dealings, inputs) = dealt_by(payer, place().round);
        if payer != 4 {
            seats.push(Seat { institution: bank(payer), dealing: dealings.digest() });
        }
        dealt.insert(bank(payer), inputs);
    }
    let (active, roster) = (parties().first_active(), Roster::new(seats).unwrap());
    let start = Start { round: place().round, attempt: 0, active, roster };
    (start, dealt)
}

fn assignment() -> Assignment {
    let (start, dealt) = world();
    Assignment::new(&start, &dealt).ok().unwrap()
}

/// Whatever stands in the queues: the shape says no more than the buckets do.
#[test]
fn all_places_are_computed_with_and_the_roster_is_found_among_payees() {
    let assignment = assignment();
    assert_eq!(assignment.places(), [8, 8, 8, 8]);
    // Padding is at the place 0, so that bank k is at k.
    assert_eq!(assignment.kept, [1, 2, 3, 5]);
    assert_eq!(assignment.labels, (0..=9u64).map(Fr::from).collect::<Vec<_>>());
    for (seat, payer) in assignment.seats.iter().zip([1, 2, 3, 5]) {
        assert_eq!(seat.queue_root, queue(payer).root());
        assert!(seat.leaves.iter().all(|leaf| leaf.vector.len() == 10));
    }
}

/// A second attempt on the same dealings takes other pads, and else the same shares.
#[test]
fn each_attempt_takes_pads_of_its_own() {
    let (start, dealt) = world();
    let of = |attempt| Assignment::new(&Start { attempt, ..start.clone() }, &dealt);
    let (first, second) = (of(0).ok().unwrap(), of(1).ok().unwrap());
    let bytes = |share: &InputShare| share.share.to_bytes();
    for (one, two) in first.seats.iter().zip(&second.seats) {
        assert_eq!(bytes(&one.liquidity), bytes(&two.liquidity));
        for (one, two) in one.leaves.iter().zip(&two.leaves) {
            assert_ne!(bytes(&one.pad), bytes(&two.pad));
            assert_eq!(bytes(&one.amount), bytes(&two.amount));
            assert_eq!(bytes(&one.payee), bytes(&two.payee));
        }
    }
    assert_eq!(of(2).err(), Some(AssignmentError::NoPads(2)));
}

#[test]
fn a_seat_without_its_dealing_is_named() {
    let (start, dealt) = world();
    let refused = |start: &Start, dealt: &_| Assignment::new(start, dealt).err().unwrap();

    let mut fewer = world().1;
    fewer.remove(&bank(3));
    assert_eq!(refused(&start, &fewer), AssignmentError::NotDealt(bank(3)));

    let mut seats = start.roster.seats().to_vec();
    let named = Digest([9; 32]);
    seats[1].dealing = named;
    let other = Start { roster: Roster::new(seats).unwrap(), ..start.clone() };
    let (dealer, found) = (bank(2), dealt[&bank(2)].digest());
    let expected = AssignmentError::OtherDealing { dealer, named, found };
    assert_eq!(refused(&other, &dealt), expected);

    let other = Start { round: RoundId(Digest::ZERO), ..start.clone() };
    let expected = AssignmentError::OtherRound { dealer: bank(1), found: place().round };
    assert_eq!(refused(&other, &dealt), expected);

    // Filed under another name than the dealer's.
    let mut misfiled = world().1;
    let inputs = misfiled.remove(&bank(5)).unwrap();
    misfiled.insert(bank(3), inputs);
    let refusal = refused(&start, &misfiled);
    assert!(matches!(refusal, AssignmentError::OtherDealing { dealer, .. } if dealer == bank(3)));

    // The number of another bank; one that cannot be paid; that of padding.
    for number in [2, 10, 0] {
        let mut numbered = world().1;
        numbered.get_mut(&bank(3)).unwrap().number = number;
        assert_eq!(refused(&start, &numbered), AssignmentError::Number(bank(3)));
    }
    let mut others = world().1;
    others.get_mut(&bank(3)).unwrap().payees = Payees::with(1..=8);
    assert_eq!(refused(&start, &others), AssignmentError::OtherPayees(bank(3)));
}

#[test]
fn parties_that_were_told_different_things_are_in_different_sessions() {
    let (start, _) = world();
    let committee: Vec<_> = (1..=3).map(|number| Digest([number; 32])).collect();
    let session = |start: &Start, chain, circuit, committee: &[Digest], threshold| {
        let (labels, kept) = (vec![], vec![]);
        let assignment = Assignment { start: start.clone(), seats: vec![], labels, kept };
        assignment.binding(ChainId(chain), circuit, committee.to_vec(), threshold).session()
    };
    let (chain, circuit) = (Digest([1; 32]), Digest([2; 32]));
    let mut seats = start.roster.seats().to_vec();
    seats[0].dealing = Digest::ZERO;
    let other_dealing = Start { roster: Roster::new(seats.clone()).unwrap(), ..start.clone() };
    seats[0].dealing = start.roster.seats()[0].dealing;
    seats.truncate(3);
    let other_roster = Start { roster: Roster::new(seats).unwrap(), ..start.clone() };
    let other_round = Start { round: RoundId(Digest::ZERO), ..start.clone() };
    let other_attempt = Start { attempt: 1, ..start.clone() };
    let active = Parties::new(4, 1).unwrap().active(&[1, 2, 4]).unwrap();
    let other_parties = Start { active, ..start.clone() };
    let mut other_committee = committee.clone();
    other_committee.swap(0, 1);
    let all = [
        session(&start, chain, circuit, &committee, 1),
        session(&start, Digest::ZERO, circuit, &committee, 1),
        session(&start, chain, Digest::ZERO, &committee, 1),
        session(&start, chain, circuit, &other_committee, 1),
        session(&start, chain, circuit, &committee, 2),
        session(&other_dealing, chain, circuit, &committee, 1),
        session(&other_roster, chain, circuit, &committee, 1),
        session(&other_round, chain, circuit, &committee, 1),
        session(&other_attempt, chain, circuit, &committee, 1),
        session(&other_parties, chain, circuit, &committee, 1),
    ];
    for (k, one) in all.iter().enumerate() {
        assert!(all[k + 1..].iter().all(|other| one != other));
    }
    assert_eq!(all[0], session(&start, chain, circuit, &committee, 1));
}

fn private(owner: u16, value: u64) -> Output {
    Output::Private { owner: Owner(owner), share: Share::constant(Fr::from(value)) }
}

/// Nothing under a zero blinding: the identity, which any committee can publish.
fn committed(owner: u16) -> Output {
    let share = CommittedShare::from_bytes(&[0; 64]).ok().unwrap();
    let published = vec![Commitment::identity(); 3];
    let public = Box::new(CommittedOutput::new(parties().first_active(), published).unwrap());
    Output::Committed { owner: Owner(owner), share, public }
}

/// What is told of a place.
fn notice(owner: u16, place: u64) -> Fr {
    Fr::from(100 * u64::from(owner) + place)
}

/// By bank of the roster: outputs in the shape of the queues.
fn outputs() -> Vec<BankOutputs> {
    let bank = |owner: u16| BankOutputs {
        notices: (0..8).map(|place| Output::Public(notice(owner, place))).collect(),
        inflow: private(owner, 60 + u64::from(owner)),
        net: committed(owner),
    };
    (0..4).map(bank).collect()
}

fn notices(owner: u16) -> Notices {
    Notices((0..8).map(|place| notice(owner, place)).collect())
}

fn computed() -> Computed {
    Computed { session: Digest([8; 32]), steps: 4, bytes_sent: 5, milliseconds: 6 }
}

#[test]
fn each_bank_gets_its_own_shares_and_all_notices() {
    let outcome = assignment().conclude(&computed(), outputs()).ok().unwrap();
    let result =
        |number| ResultShare::from_bytes(&outcome.result(&bank(number)).unwrap()).ok().unwrap();
    for (owner, number) in (0..).zip([1, 2, 3, 5]) {
        let told = result(number);
        let inflow = Fr::from(60 + owner as u64);
        assert_eq!(told.inflow.to_bytes(), inflow.to_bytes());
        assert_eq!(told.notices, [0, 1, 2, 3].map(notices));
        assert_eq!((told.session, told.steps, told.round), (Digest([8; 32]), 4, place().round));
        assert_eq!((told.bytes_sent, told.milliseconds, told.nets.len()), (5, 6, 4));
    }
    assert_eq!(outcome.nets(), [Commitment::identity(); 4]);
    assert!(outcome.result(&bank(4)).is_none());
    assert_eq!(outcome.start(), &world().0);
}

#[test]
fn outputs_of_another_shape_or_for_others_are_refused() {
    let refused = |change: fn(&mut Vec<BankOutputs>)| {
        let mut outputs = outputs();
        change(&mut outputs);
        assignment().conclude(&computed(), outputs).err().unwrap()
    };
    let fewer = refused(|outputs| outputs.truncate(3));
    assert_eq!(fewer, OutputsError::Roster { expected: 4, found: 3 });
    let (bank_1, bank_2) = (bank(1), bank(2));
    let short = refused(|outputs| outputs[0].notices.truncate(7));
    assert_eq!(short, OutputsError::Shape { bank: bank_1, expected: 8, found: 7 });
    let long = refused(|outputs| outputs[1].notices.push(Output::Public(Fr::from(0u64))));
    assert_eq!(long, OutputsError::Shape { bank: bank_2, expected: 8, found: 9 });

    let kind = |part, bank| OutputsError::Kind { part, bank };
    let secret = refused(|outputs| outputs[0].notices[1] = private(0, 12));
    assert_eq!(secret, kind(Part::Notice { payer: bank_1, place: 1 }, bank_1));
    assert_eq!(refused(|outputs| outputs[0].inflow = committed(0)), kind(Part::Inflow, bank_1));
    assert_eq!(refused(|outputs| outputs[0].inflow = private(1, 0)), kind(Part::Inflow, bank_1));
    let public = refused(|outputs| outputs[1].inflow = Output::Public(Fr::from(0u64)));
    assert_eq!(public, kind(Part::Inflow, bank_2));
    assert_eq!(refused(|outputs| outputs[1].net = private(1, 0)), kind(Part::Net, bank_2));
    assert_eq!(refused(|outputs| outputs[1].net = committed(0)), kind(Part::Net, bank_2));
}

/// All that is computed, once, under the root that banks find themselves.
#[test]
fn a_party_signs_all_notices_at_once() {
    let outcome = assignment().conclude(&computed(), outputs()).ok().unwrap();
    let key = SigningKey::from_seed(Suite::MlDsa65MlKem768, &[2; 32]);
    let settlement = TransactionId(Digest([4; 32]));
    let me = parties().id(2).unwrap();
    let word = outcome.attest(settlement, me, &key);
    assert!(word.verify(&key.verifying_key()).is_ok());
    assert_eq!(word.party, 2);
    let subject = word.subject;
    assert_eq!((subject.round, subject.settlement), (place().round, settlement));
    assert_eq!(subject.attempt, 0);

    let told = [0, 1, 2, 3].map(notices);
    let queues = [1, 2, 3, 5].into_iter().zip(&told);
    let queues = queues.map(|(number, notices)| Queue {
        payer: bank(number),
        root: queue(number).root(),
        notices,
    });
    let statement = Statement::new(queues);
    assert_eq!(statement.root(), subject.notices);
    let (found, proof) = statement.find(&bank(5), 3).unwrap();
    let queue_root = queue(5).root();
    let value = notice(3, 3);
    let expected = Notice { payer: bank(5), queue_root, places: 8, place: 3, value };
    assert_eq!(found, expected);
    assert_eq!(proof.verify(&subject.notices, &found.to_bytes()), Ok(()));
    assert!(statement.find(&bank(5), 8).is_none() && statement.find(&bank(4), 0).is_none());
}
