use super::*;
use crate::Joined;
use crate::dealing::{Dealing, Dealings, deal};
use crate::queue::{FrozenQueue, QueueSeed};
use crate::receipt::{Receipt, Signers};
use crate::result::{Part, ResultShare};
use crate::start::{Roster, Seat};
use crate::testing::{bank, number, payment, place, ranges, rng};
use quittance_circuit::Fr;
use quittance_crypto::commitment::{Commitment, Opening};
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::{SigningKey, Suite};
use quittance_ledger::ids::TransactionId;
use quittance_ledger::merkle;
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
    let dealings = deal(round, &balance, &queue, ranges(&queue), parties(), rng);
    let joined = Joined {
        round,
        chain: place().chain,
        asset: place().asset,
        institution: bank(payer),
        number: payer,
        queue_root: queue.root(),
        bucket: queue.bucket(),
    };
    let dealing = Dealing::from_bytes(&dealings.message(2).unwrap()).ok().unwrap();
    let committee = (parties(), parties().id(2).unwrap());
    let inputs = dealing.accept(&joined, &balance.commit(), committee, rng).ok().unwrap();
    (dealings, inputs)
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

#[test]
fn queues_end_at_the_first_payee_outside_the_roster() {
    let assignment = assignment();
    // Places: bank 1 at 0, bank 2 at 1, bank 3 at 2, bank 5 at 3.
    let expected = [vec![1, 2, 1], vec![3], vec![], vec![0]];
    let expected = expected.map(|queue| queue.into_iter().map(Owner).collect::<Vec<_>>());
    assert_eq!(assignment.queues(), expected);
    let amounts: Vec<_> = assignment.seats.iter().map(|seat| seat.payments.len()).collect();
    assert_eq!(amounts, [3, 1, 0, 1]);
    let leaf = merkle::leaf_hash(&queue(5).leaves()[0].to_bytes());
    assert_eq!(assignment.seats[3].payments[0].leaf, leaf);
    let to_bank_2: Vec<_> = assignment.addressed_to(Owner(1)).collect();
    assert_eq!(to_bank_2, [(0, 0), (0, 2)]);
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

    let mut numbered = world().1;
    numbered.get_mut(&bank(3)).unwrap().number = 2;
    assert_eq!(refused(&start, &numbered), AssignmentError::SameNumber(bank(3)));
}

#[test]
fn parties_that_were_told_different_things_are_in_different_sessions() {
    let (start, _) = world();
    let committee: Vec<_> = (1..=3).map(|number| Digest([number; 32])).collect();
    let session = |start: &Start, chain, circuit, committee: &[Digest], threshold| {
        let assignment = Assignment { start: start.clone(), seats: vec![] };
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

/// By bank of the roster: outputs in the shape of the queues, each share another constant.
fn outputs() -> Vec<BankOutputs> {
    let bits =
        |owner: u16, values: &[u64]| values.iter().map(|&value| private(owner, value)).collect();
    let bank = |owner: u16, settled: &[u64], received: &[u64]| BankOutputs {
        settled: bits(owner, settled),
        received: bits(owner, received),
        inflow: private(owner, 60 + u64::from(owner)),
        net: committed(owner),
    };
    vec![
        bank(0, &[10, 11, 12], &[30]),
        bank(1, &[20], &[10, 12]),
        bank(2, &[], &[11]),
        bank(3, &[30], &[20]),
    ]
}

fn computed() -> Computed {
    Computed { session: Digest([8; 32]), steps: 4, bytes_sent: 5, milliseconds: 6 }
}

#[test]
fn each_bank_gets_its_own_shares_and_no_other() {
    let outcome = assignment().conclude(&computed(), outputs()).ok().unwrap();
    let result =
        |number| ResultShare::from_bytes(&outcome.result(&bank(number)).unwrap()).ok().unwrap();
    let values = |shares: Vec<&Share>| -> Vec<Vec<u8>> {
        shares.into_iter().map(Encode::to_bytes).collect()
    };
    let constants = |all: &[u64]| -> Vec<Vec<u8>> {
        all.iter().map(|&value| Fr::from(value).to_bytes()).collect()
    };
    let bank_1 = result(1);
    assert_eq!(values(bank_1.settled.iter().collect()), constants(&[10, 11, 12]));
    assert_eq!(values(vec![&bank_1.inflow]), constants(&[60]));
    let bank_2 = result(2);
    let received: Vec<_> = bank_2.received.iter().map(|bit| (bit.payer, bit.place)).collect();
    assert_eq!(received, [(0, 0), (0, 2)]);
    assert_eq!(
        values(bank_2.received.iter().map(|bit| &bit.share).collect()),
        constants(&[10, 12])
    );
    assert_eq!((bank_2.session, bank_2.steps, bank_2.round), (Digest([8; 32]), 4, place().round));
    assert_eq!((bank_2.bytes_sent, bank_2.milliseconds, bank_2.nets.len()), (5, 6, 4));
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
    let short = refused(|outputs| outputs[0].settled.truncate(2));
    let what = "bits of payments";
    assert_eq!(short, OutputsError::Shape { what, bank: bank_1, expected: 3, found: 2 });
    let long = refused(|outputs| outputs[1].received.push(private(1, 0)));
    let what = "bits of payments to it";
    assert_eq!(long, OutputsError::Shape { what, bank: bank_2, expected: 2, found: 3 });

    let kind = |part, bank| OutputsError::Kind { part, bank };
    let public = refused(|outputs| outputs[0].settled[1] = Output::Public(Fr::from(1u64)));
    assert_eq!(public, kind(Part::Settled { place: 1 }, bank_1));
    let foreign = refused(|outputs| outputs[1].received[1] = private(0, 12));
    assert_eq!(foreign, kind(Part::Received { payer: bank_1, place: 2 }, bank_2));
    assert_eq!(refused(|outputs| outputs[0].inflow = committed(0)), kind(Part::Inflow, bank_1));
    assert_eq!(refused(|outputs| outputs[1].net = private(1, 0)), kind(Part::Net, bank_2));
    assert_eq!(refused(|outputs| outputs[1].net = committed(0)), kind(Part::Net, bank_2));
    // The outputs of two banks exchanged, where the shape allows it.
    let exchanged = refused(|outputs| {
        let settled = std::mem::take(&mut outputs[1].settled);
        outputs[1].settled = std::mem::replace(&mut outputs[3].settled, settled);
    });
    assert_eq!(exchanged, kind(Part::Settled { place: 0 }, bank_2));
}

#[test]
fn payer_and_payee_get_receipts_of_their_payments() {
    let outcome = assignment().conclude(&computed(), outputs()).ok().unwrap();
    let key = SigningKey::from_seed(Suite::MlDsa65MlKem768, &[2; 32]);
    let settlement = TransactionId(Digest([4; 32]));
    let me = parties().id(2).unwrap();
    let receipts = |number| outcome.receipts(&bank(number), settlement, me, &key);
    let about = |number| -> Vec<_> {
        let subjects = receipts(number).into_iter().map(|share| share.subject);
        subjects.map(|subject| (subject.payer, subject.payee, subject.place)).collect()
    };
    let of = |payer, payee, place| (bank(payer), bank(payee), place);
    assert_eq!(about(1), [of(1, 2, 0), of(1, 3, 1), of(1, 2, 2), of(5, 1, 0)]);
    assert_eq!(about(2), [of(1, 2, 0), of(1, 2, 2), of(2, 5, 0)]);
    assert_eq!(about(4), []);
    let receipt = receipts(2).remove(2);
    assert!(receipt.verify(&key.verifying_key()).is_ok());
    assert_eq!(receipt.party, 2);
    assert_eq!((receipt.subject.round, receipt.subject.settlement), (place().round, settlement));
    assert_eq!(receipt.share.to_bytes(), Fr::from(20u64).to_bytes());
    let leaf = queue(2).leaves()[0];
    assert_eq!(receipt.subject.leaf, merkle::leaf_hash(&leaf.to_bytes()));

    // One party alone makes no receipt.
    let keys = [1u8, 2, 3].map(|seed| SigningKey::from_seed(Suite::MlDsa65MlKem768, &[seed; 32]));
    let keys = keys.map(|key| key.verifying_key());
    let lone = Receipt::new(vec![receipt]).ok().unwrap();
    assert!(lone.verify(Signers { parties: parties(), keys: &keys }, &leaf).is_err());
}
