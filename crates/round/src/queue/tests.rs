use super::*;
use crate::testing::{bank, join, number, payment, place, queue, rng};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Decode;
use quittance_crypto::note::{NoteError, NoteKey};
use quittance_ledger::ids::{ChainId, RoundId};
use quittance_ledger::transaction::{MAX_QUEUE_NOTE_BYTES, RoundJoin};

fn freeze(payments: Vec<QueuedPayment>) -> Result<FrozenQueue, QueueError> {
    FrozenQueue::freeze(bank(1), payments, number, QueueSeed::random(&mut rng(1)))
}

fn many(count: usize, remittance: &str) -> Vec<QueuedPayment> {
    let payment = |k: usize| {
        let mut uetr = [0; 16];
        uetr[..8].copy_from_slice(&(k as u64).to_be_bytes());
        let particulars = Particulars::new(Uetr(uetr), &"e".repeat(35), remittance).unwrap();
        QueuedPayment { payee: bank(2), amount: k as u64 + 1, particulars }
    };
    (0..count).map(payment).collect()
}

fn recover(join: &RoundJoin, key: &NoteKey) -> Result<FrozenQueue, QueueNoteError> {
    FrozenQueue::recover(place().chain, place().asset, join, key)
}

#[test]
fn leaves_commit_to_payments_and_then_to_nothing() {
    let queue = queue(1);
    assert_eq!(queue.leaves().len(), 8);
    let expected = [(500, 2), (u64::MAX, 3), (7, 2), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0)];
    for (place, (leaf, (amount, payee))) in queue.leaves().iter().zip(expected).enumerate() {
        assert_eq!(queue.amount(place).value, amount);
        assert_eq!(queue.payee(place).value, payee);
        assert!(queue.amount(place).opens(&leaf.amount));
        assert!(queue.payee(place).opens(&leaf.payee));
        let pads = queue.pads(place);
        for (attempt, (pad, commitment)) in pads.iter().zip(&leaf.pads).enumerate() {
            assert!(pad.opens(commitment));
            assert!(!pad.opens(&leaf.pads[1 - attempt]));
        }
        let details = queue.details(place).map(|details| details.digest());
        assert_eq!(details.is_some(), place < 3);
        assert!(details.is_none_or(|digest| digest == leaf.details));
        let proof = queue.inclusion(place).unwrap();
        assert_eq!(proof.verify(&queue.root(), &leaf.to_bytes()), Ok(()));
        assert_eq!(Leaf::from_bytes(&leaf.to_bytes()), Ok(*leaf));
    }
    assert_eq!(queue.inclusion(8), None);
}

#[test]
fn no_two_commitments_or_details_are_alike() {
    let (one, two) = (queue(1), queue(2));
    let mut seen = BTreeSet::new();
    for leaf in one.leaves().iter().chain(two.leaves()) {
        assert!(seen.insert(*leaf.amount.as_bytes()));
        assert!(seen.insert(*leaf.payee.as_bytes()));
        assert!(leaf.pads.iter().all(|pad| seen.insert(*pad.as_bytes())));
        assert!(seen.insert(leaf.details.0));
    }
}

#[test]
fn the_bucket_is_a_power_of_two_of_at_least_eight() {
    for (payments, leaves) in [(0, 8), (8, 8), (9, 16), (1023, 1024), (1024, 1024)] {
        assert_eq!(bucket(payments), Some(leaves));
        assert!(is_bucket(leaves));
    }
    assert_eq!(bucket(1025), None);
    assert!([0, 4, 9, 2048].into_iter().all(|leaves| !is_bucket(leaves)));
    assert_eq!(freeze(vec![]).ok().map(|queue| queue.bucket()), Some(8));
    assert_eq!(freeze(many(9, "")).ok().map(|queue| queue.bucket()), Some(16));
}

#[test]
fn what_is_no_queue_is_refused_by_name() {
    let mut strange = payment(2, 5, 9);
    strange.payee = "BANKZZXX".parse().unwrap();
    let payee = strange.payee;
    let refused = |payments| freeze(payments).err();
    let good = payment(2, 5, 1);
    assert_eq!(
        refused(vec![good.clone(), strange]),
        Some(QueueError::UnknownPayee { place: 1, payee })
    );
    let number_zero = Some(QueueError::UnknownPayee { place: 0, payee: bank(0) });
    assert_eq!(refused(vec![payment(0, 5, 2)]), number_zero);
    assert_eq!(refused(vec![payment(2, 0, 2)]), Some(QueueError::NoAmount { place: 0 }));
    assert_eq!(refused(vec![payment(1, 1, 2)]), Some(QueueError::OwnPayee { place: 0 }));
    let uetr = Uetr([1; 16]);
    assert_eq!(refused(vec![good.clone(), good]), Some(QueueError::Repeated { place: 1, uetr }));
    assert_eq!(refused(many(1025, "")), Some(QueueError::TooMany(1025)));
}

#[test]
fn the_note_gives_exactly_the_same_queue_back() {
    let rng = &mut rng(3);
    let key = NoteKey::random(rng);
    for queue in [queue(1), freeze(vec![]).ok().unwrap(), freeze(many(20, "x")).ok().unwrap()] {
        let again = recover(&join(&queue, queue.seal(&place(), &key, rng)), &key).ok().unwrap();
        assert_eq!(again.root(), queue.root());
        assert!(again.payments() == queue.payments());
        for place in 0..queue.leaves().len() {
            assert!(again.amount(place).opens(&queue.leaves()[place].amount));
            assert!(again.payee(place).opens(&queue.leaves()[place].payee));
            let pads = again.pads(place);
            assert!(pads.iter().zip(&queue.leaves()[place].pads).all(|(pad, it)| pad.opens(it)));
            assert!(again.details(place) == queue.details(place));
        }
    }
}

#[test]
fn the_longest_note_fits_the_ledger_and_its_length_tells_the_bucket_only() {
    let rng = &mut rng(4);
    let key = NoteKey::random(rng);
    let mut length = |payments: Vec<QueuedPayment>| {
        freeze(payments).ok().unwrap().seal(&place(), &key, rng).len()
    };
    assert_eq!(length(vec![]), length(many(8, &"r".repeat(140))));
    assert!(length(many(1024, &"r".repeat(140))) <= MAX_QUEUE_NOTE_BYTES);
}

#[test]
fn a_note_opens_at_its_own_place_only() {
    let rng = &mut rng(5);
    let key = NoteKey::random(rng);
    let queue = queue(1);
    let join = join(&queue, queue.seal(&place(), &key, rng));
    let refused = |result: Result<FrozenQueue, QueueNoteError>| {
        assert_eq!(result.err(), Some(QueueNoteError::Note(NoteError::Undecipherable)));
    };
    refused(recover(&RoundJoin { round: RoundId(Digest([9; 32])), ..join.clone() }, &key));
    refused(recover(&RoundJoin { institution: bank(2), ..join.clone() }, &key));
    refused(recover(&RoundJoin { sequence: 10, ..join.clone() }, &key));
    refused(recover(&join, &NoteKey::random(rng)));
    refused(FrozenQueue::recover(ChainId(Digest([9; 32])), place().asset, &join, &key));
    refused(FrozenQueue::recover(place().chain, "USD".parse().unwrap(), &join, &key));
    let other = Some(QueueNoteError::OtherQueue);
    let root = RoundJoin { queue_root: Digest([9; 32]), ..join.clone() };
    assert_eq!(recover(&root, &key).err(), other);
    assert_eq!(recover(&RoundJoin { bucket: 16, ..join }, &key).err(), other);
}

/// Two pads with one value would show, in two attempts, whether both say the same.
#[test]
fn every_place_and_attempt_has_a_pad_of_its_own() {
    let (one, two) = (queue(1), queue(2));
    let mut seen = BTreeSet::new();
    for place in 0..8 {
        for pad in [one.pads(place), two.pads(place)].iter().flatten() {
            // Value and blinding.
            let bytes = pad.to_bytes();
            assert!(seen.insert(bytes[..32].to_vec()) && seen.insert(bytes[32..].to_vec()));
            let again = Pad::from_bytes(&bytes).ok().unwrap();
            assert_eq!(again.commit(), pad.commit());
        }
    }
    assert_eq!(seen.len(), 2 * 2 * 8 * PADS);
}

#[test]
fn a_notice_is_read_under_its_own_pad_only() {
    let fr = |value: u64| quittance_circuit::Fr::from(value);
    let pads = queue(1).pads(3);
    let notice = |pad: &Pad, says| pad.secret().0 + says;
    for (pad, other) in [(&pads[0], &pads[1]), (&pads[1], &pads[0])] {
        assert_eq!(pad.read(&notice(pad, fr(1))), Some(true));
        assert_eq!(pad.read(&notice(pad, fr(0))), Some(false));
        for neither in [fr(2), -fr(1), fr(u64::MAX)] {
            assert_eq!(pad.read(&notice(pad, neither)), None);
        }
        assert_eq!(pad.read(&notice(other, fr(1))), None);
        assert_eq!(pad.read(&notice(&queue(2).pads(3)[0], fr(1))), None);
    }
}
