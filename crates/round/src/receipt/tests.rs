use super::*;
use crate::result::Notices;
use crate::testing::{bank, place, queue};
use quittance_circuit::Fr;
use quittance_crypto::signature::Suite;
use quittance_ledger::ids::InstitutionId;

/// The attempt that has settled.
const ATTEMPT: u8 = 1;

fn key(party: u8) -> SigningKey {
    SigningKey::from_seed(Suite::MlDsa65MlKem768, &[party; 32])
}

fn keys(count: u8) -> Vec<VerifyingKey> {
    (1..=count).map(|party| key(party).verifying_key()).collect()
}

fn parties() -> Parties {
    Parties::new(3, 1).unwrap()
}

/// What the notices of bank 1 say: the first two of its three payments settle.
fn says() -> [u64; 8] {
    [1, 1, 0, 0, 0, 0, 0, 0]
}

/// Banks 1 and 4 with the queues of the seeds 1 and 2, and what all were told of them.
fn statement(says: [u64; 8]) -> Statement {
    let notices = [1, 2].map(|seed| {
        let notice = |(place, says): (usize, u64)| {
            queue(seed).pads(place)[usize::from(ATTEMPT)].secret().0 + Fr::from(says)
        };
        Notices(says.into_iter().enumerate().map(notice).collect())
    });
    let queue = |payer, seed: u64, notices| Queue { payer, root: queue(seed).root(), notices };
    Statement::new([queue(bank(1), 1, &notices[0]), queue(bank(4), 2, &notices[1])])
}

fn subject() -> Subject {
    let settlement = TransactionId(Digest([5; 32]));
    let notices = statement(says()).root();
    Subject { round: place().round, settlement, attempt: ATTEMPT, notices }
}

fn word(subject: Subject, party: u8) -> Attestation {
    Attestation::sign(subject, Parties::new(7, 3).unwrap().id(party).unwrap(), &key(party))
}

fn words(subject: Subject, count: u8) -> Vec<Attestation> {
    (1..=count).map(|party| word(subject, party)).collect()
}

/// What payer and payee have of the payment at a place.
fn disclosure(seed: u64, place: usize, attempt: usize) -> Disclosure {
    let queue = queue(seed);
    Disclosure {
        leaf: queue.leaves()[place],
        inclusion: queue.inclusion(place).unwrap(),
        payee: queue.payee(place),
        pad: queue.pads(place)[attempt].clone(),
    }
}

/// The receipt of a payment of bank 1.
fn receipt(place: usize) -> Receipt {
    let notice = statement(says()).find(&bank(1), place as u32).unwrap();
    Receipt::new(&words(subject(), 3), notice, disclosure(1, place, 1))
        .unwrap_or_else(|e| panic!("{e}"))
}

fn verdict(receipt: &Receipt) -> Result<Verdict, ReceiptError> {
    receipt.verify(Signers { parties: parties(), keys: &keys(3) })
}

#[test]
fn enough_parties_say_whether_a_payment_has_settled_and_to_whom() {
    for (n, t) in [(3u8, 1u8), (5, 2), (7, 3)] {
        let parties = Parties::new(n.into(), t).unwrap();
        let keys = keys(n);
        let signers = Signers { parties, keys: &keys };
        let all = words(subject(), n);
        for fewest in [n, t + 1] {
            let mut some = all[usize::from(n - fewest)..].to_vec();
            some.reverse();
            for (place, payee) in [2, 3, 2, 0].into_iter().enumerate() {
                let notice = statement(says()).find(&bank(1), place as u32).unwrap();
                let receipt = Receipt::new(&some, notice, disclosure(1, place, 1)).ok().unwrap();
                assert_eq!(receipt.subject(), &subject());
                assert_eq!(
                    (receipt.notice().payer, receipt.notice().place),
                    (bank(1), place as u32)
                );
                let expected = Ok(Verdict { payee, settled: says()[place] == 1 });
                assert_eq!(receipt.verify(signers), expected);
                let bytes = receipt.to_bytes();
                let again = Receipt::from_bytes(&bytes).ok().unwrap();
                assert_eq!(again.to_bytes(), bytes);
                assert_eq!(again.verify(signers), expected);
            }
        }
    }
}

#[test]
fn too_few_parties_make_no_receipt() {
    let found = || statement(says()).find(&bank(1), 0).unwrap();
    let made = |words: &[Attestation]| Receipt::new(words, found(), disclosure(1, 0, 1));
    assert_eq!(made(&[]).err(), Some(ReceiptError::Empty));
    let all = words(subject(), 3);
    for lone in &all {
        let lone = made(std::slice::from_ref(lone)).ok().unwrap();
        assert_eq!(verdict(&lone), Err(ReceiptError::TooFew { found: 1, needed: 2 }));
    }
    let receipt = made(&all).ok().unwrap();
    let seven = Parties::new(7, 3).unwrap();
    let refused = receipt.verify(Signers { parties: seven, keys: &keys(7) });
    assert_eq!(refused, Err(ReceiptError::TooFew { found: 3, needed: 4 }));
    let refused = receipt.verify(Signers { parties: parties(), keys: &keys(2) });
    assert_eq!(refused, Err(ReceiptError::Unknown { party: 3 }));
    // One party twice.
    let twice = [all.clone(), vec![all[1].clone()]].concat();
    assert_eq!(made(&twice).err(), Some(ReceiptError::Repeated { party: 2 }));
    let stranger = [all[0].clone(), word(subject(), 4)];
    let refused = verdict(&made(&stranger).ok().unwrap());
    assert_eq!(refused, Err(ReceiptError::Unknown { party: 4 }));
}

#[test]
fn what_its_party_has_not_signed_is_named() {
    for party in 1..=3u8 {
        let named = |changed: Attestation| {
            let mut receipt = receipt(0);
            receipt.signatures[usize::from(party) - 1] =
                Signed { party: changed.party, signature: changed.signature };
            matches!(verdict(&receipt), Err(ReceiptError::Signature { party: found, .. }) if found == party)
        };
        let good = word(subject(), party);
        assert!(!named(good.clone()));
        assert!(good.verify(&key(party).verifying_key()).is_ok());
        assert!(good.verify(&key(7).verifying_key()).is_err());
        // Another's key, another purpose, another's word under this name.
        let signature =
            |signer: &SigningKey, purpose| signer.sign(purpose, &signed(&subject(), party));
        let with = |signature| Attestation { signature, ..good.clone() };
        assert!(named(with(signature(&key(9), Purpose::Receipt))));
        assert!(named(with(signature(&key(party), Purpose::Round))));
        assert!(named(with(word(subject(), party % 3 + 1).signature)));
    }
}

/// Round, settlement, attempt and notices: signed under one, shown under another.
#[test]
fn words_about_something_else_do_not_serve() {
    let good = subject();
    let others = [
        Subject { round: RoundId(Digest::ZERO), ..good },
        Subject { settlement: TransactionId(Digest::ZERO), ..good },
        Subject { attempt: 0, ..good },
        Subject { notices: statement([0; 8]).root(), ..good },
    ];
    let found = || statement(says()).find(&bank(1), 0).unwrap();
    for other in others {
        let mut mixed = words(good, 3);
        mixed[2] = word(other, 3);
        let refused = Receipt::new(&mixed, found(), disclosure(1, 0, 1)).err();
        assert_eq!(refused, Some(ReceiptError::OtherSubject { party: 3 }));
        // All signatures of this subject, moved to the other.
        let mut moved = receipt(0);
        moved.subject = other;
        let refused = verdict(&moved);
        assert!(matches!(refused, Err(ReceiptError::Signature { party: 1, .. })), "{refused:?}");
    }
    // Really signed, but other notices than the one that is shown.
    let other = Subject { notices: statement([0; 8]).root(), ..good };
    let replayed = Receipt::new(&words(other, 3), found(), disclosure(1, 0, 1)).ok().unwrap();
    assert!(matches!(verdict(&replayed), Err(ReceiptError::NotSigned(_))));
    // Really signed for the other attempt, whose pad says neither.
    let other = Subject { attempt: 0, ..good };
    let made = |attempt| Receipt::new(&words(other, 3), found(), disclosure(1, 0, attempt));
    assert_eq!(verdict(&made(1).ok().unwrap()), Err(ReceiptError::Pad));
    assert_eq!(verdict(&made(0).ok().unwrap()), Err(ReceiptError::Neither));
    let none = Subject { attempt: 2, ..good };
    let made = Receipt::new(&words(none, 3), found(), disclosure(1, 0, 1)).ok().unwrap();
    assert_eq!(verdict(&made), Err(ReceiptError::Pad));
}

/// Each field of the notice, changed: then it is not among those that were signed.
#[test]
fn a_changed_notice_was_not_signed() {
    let changes: [fn(&mut Notice); 6] = [
        |notice| notice.payer = bank(4),
        |notice| notice.queue_root = Digest::ZERO,
        |notice| notice.places = 16,
        |notice| notice.place = 1,
        |notice| notice.value += Fr::from(1u64),
        |notice| notice.value -= Fr::from(1u64),
    ];
    for change in changes {
        let mut changed = receipt(0);
        change(&mut changed.notice);
        assert!(matches!(verdict(&changed), Err(ReceiptError::NotSigned(_))));
    }
    // Another payment's notice with the proof of this one, and the other way round.
    let mut moved = receipt(0);
    moved.notice = receipt(1).notice;
    assert!(matches!(verdict(&moved), Err(ReceiptError::NotSigned(_))));
    let mut moved = receipt(0);
    moved.inclusion = receipt(1).inclusion;
    assert!(matches!(verdict(&moved), Err(ReceiptError::NotSigned(_))));
}

/// What is shown for a notice is of its own place, queue and attempt, or it is refused.
#[test]
fn what_opens_another_leaf_does_not_serve() {
    let shown = |disclosure| {
        let notice = statement(says()).find(&bank(1), 0).unwrap();
        verdict(&Receipt::new(&words(subject(), 3), notice, disclosure).ok().unwrap())
    };
    let good = || disclosure(1, 0, 1);
    assert!(shown(good()).is_ok());
    // The whole leaf of another place: its payment has not settled.
    let other = ReceiptError::OtherPlace { place: 0, places: 8, found: 2, length: 8 };
    assert_eq!(shown(disclosure(1, 2, 1)), Err(other));
    // That leaf, said to stand here; the leaf of another queue.
    let leaf = queue(1).leaves()[2];
    let moved = Disclosure { leaf, ..good() };
    assert!(matches!(shown(moved), Err(ReceiptError::NotInQueue(_))));
    assert!(matches!(shown(disclosure(2, 0, 1)), Err(ReceiptError::NotInQueue(_))));
    let mut longer = good();
    longer.inclusion.length = 9;
    assert!(matches!(shown(longer), Err(ReceiptError::OtherPlace { length: 9, .. })));
    // Another payee; the pads of another place and attempt.
    let payee = queue(1).payee(1);
    assert_eq!(shown(Disclosure { payee, ..good() }), Err(ReceiptError::Payee));
    let pad = disclosure(1, 1, 1).pad;
    assert_eq!(shown(Disclosure { pad, ..good() }), Err(ReceiptError::Pad));
    assert_eq!(shown(disclosure(1, 0, 0)), Err(ReceiptError::Pad));
    // A pad under which the notice of a payment that has settled says that it has not.
    let bytes = good().pad.to_bytes();
    let value = Fr::from_bytes(&bytes[..32]).unwrap() + Fr::from(1u64);
    let chosen = [value.to_bytes(), bytes[32..].to_vec()].concat();
    let pad = Pad::from_bytes(&chosen).ok().unwrap();
    assert_eq!(pad.read(&receipt(0).notice.value), Some(false));
    assert_eq!(shown(Disclosure { pad, ..good() }), Err(ReceiptError::Pad));
}

/// All parties together can sign a notice that says nothing. It is no receipt of either.
#[test]
fn a_notice_that_says_neither_is_refused() {
    for neither in [2, u64::MAX] {
        let mut says = says();
        says[0] = neither;
        let statement = statement(says);
        let subject = Subject { notices: statement.root(), ..subject() };
        let notice = statement.find(&bank(1), 0).unwrap();
        let receipt = Receipt::new(&words(subject, 3), notice, disclosure(1, 0, 1)).ok().unwrap();
        assert_eq!(verdict(&receipt), Err(ReceiptError::Neither));
    }
}

#[test]
fn every_notice_is_found_under_the_root_and_no_other() {
    let statement = statement(says());
    for (payer, of) in [(bank(1), 1), (bank(4), 2)] {
        for place in 0..8u32 {
            let (notice, proof) = statement.find(&payer, place).unwrap();
            assert_eq!((notice.payer, notice.place, notice.places), (payer, place, 8));
            assert_eq!(notice.queue_root, queue(of).root());
            assert_eq!(proof.verify(&statement.root(), &notice.to_bytes()), Ok(()));
            assert_eq!(Notice::from_bytes(&notice.to_bytes()), Ok(notice));
        }
        assert!(statement.find(&payer, 8).is_none());
    }
    let stranger: InstitutionId = bank(2);
    assert!(statement.find(&stranger, 0).is_none());
}

#[test]
fn no_changed_byte_of_a_receipt_passes() {
    let receipt = receipt(0);
    let bytes = receipt.to_bytes();
    let keys = keys(3);
    let signers = Signers { parties: parties(), keys: &keys };
    let signatures: usize = receipt.signatures.iter().map(|signed| signed.to_bytes().len()).sum();
    let signed = 1 + receipt.subject.to_bytes().len() + 4..1 + 97 + 4 + signatures;
    let step = |position: &usize| !signed.contains(position) || position.is_multiple_of(97);
    for position in (0..bytes.len()).filter(step) {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        let accepted =
            Receipt::from_bytes(&changed).is_ok_and(|receipt| receipt.verify(signers).is_ok());
        assert!(!accepted, "byte {position}");
    }
    assert!(Receipt::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    let word = word(subject(), 1);
    let bytes = word.to_bytes();
    assert_eq!(Attestation::from_bytes(&bytes), Ok(word));
    assert!(Attestation::from_bytes(&bytes[1..]).is_err());
}

#[test]
fn a_receipt_has_one_encoding() {
    let mut swapped = receipt(0);
    swapped.signatures.swap(0, 1);
    assert!(Receipt::from_bytes(&swapped.to_bytes()).is_err());
    let mut none = receipt(0);
    none.signatures.clear();
    assert!(Receipt::from_bytes(&none.to_bytes()).is_err());
}
