use super::*;
use crate::testing::{bank, place, queue, rng};
use quittance_crypto::signature::Suite;
use quittance_mpc::split;

fn key(party: u8) -> SigningKey {
    SigningKey::from_seed(Suite::MlDsa65MlKem768, &[party; 32])
}

fn keys(count: u8) -> Vec<VerifyingKey> {
    (1..=count).map(|party| key(party).verifying_key()).collect()
}

fn parties() -> Parties {
    Parties::new(3, 1).unwrap()
}

/// The payment at place 2 of bank 1.
fn subject() -> Subject {
    Subject {
        round: place().round,
        settlement: TransactionId(Digest([5; 32])),
        payer: bank(1),
        payee: bank(2),
        place: 2,
        leaf: merkle::leaf_hash(&leaf().to_bytes()),
    }
}

fn leaf() -> Leaf {
    queue(1).leaves()[2]
}

/// The signed shares of all parties of a value.
fn shares(value: u64, parties: Parties) -> Vec<ReceiptShare> {
    let shares = split(Fr::from(value), parties, &mut rng(value + 7));
    let sign = |(party, share): (PartyId, Share)| {
        ReceiptShare::sign(subject(), party, share, &key(party.number()))
    };
    parties.ids().zip(shares).map(sign).collect()
}

fn verdict(shares: Vec<ReceiptShare>) -> Result<bool, ReceiptError> {
    let keys = keys(3);
    Receipt::new(shares)?.verify(Signers { parties: parties(), keys: &keys }, &leaf())
}

#[test]
fn enough_shares_say_whether_a_payment_has_settled() {
    for (n, t) in [(3u8, 1u8), (5, 2), (5, 1)] {
        let parties = Parties::new(n.into(), t).unwrap();
        let keys = keys(n);
        for value in [0, 1] {
            let all = shares(value, parties);
            for fewest in [n, 2 * t + 1] {
                let mut some = all[usize::from(n - fewest)..].to_vec();
                some.reverse();
                let receipt = Receipt::new(some).ok().unwrap();
                assert_eq!(receipt.subject(), &subject());
                let signers = Signers { parties, keys: &keys };
                assert_eq!(receipt.verify(signers, &leaf()), Ok(value == 1));
                let bytes = receipt.to_bytes();
                let again = Receipt::from_bytes(&bytes).ok().unwrap();
                assert_eq!(again.to_bytes(), bytes);
                assert_eq!(again.verify(signers, &leaf()), Ok(value == 1));
            }
        }
    }
}

#[test]
fn too_few_shares_are_no_receipt() {
    let all = shares(1, parties());
    assert_eq!(verdict(vec![]), Err(ReceiptError::Empty));
    for found in 1..3 {
        let refused = Err(ReceiptError::TooFew { found, needed: 3 });
        assert_eq!(verdict(all[..found].to_vec()), refused);
    }
    let keys = keys(3);
    let receipt = Receipt::new(all.clone()).ok().unwrap();
    let five = Parties::new(5, 2).unwrap();
    let refused = receipt.verify(Signers { parties: five, keys: &keys }, &leaf());
    assert_eq!(refused, Err(ReceiptError::TooFew { found: 3, needed: 5 }));
    let refused = receipt.verify(Signers { parties: parties(), keys: &keys[..2] }, &leaf());
    assert_eq!(refused, Err(ReceiptError::Unknown { party: 3 }));
}

/// The payer shows the share of an honest party to a corrupt one, which chooses its own so that
/// both together give 1, and signs it: why `t + 1` shares are not enough.
#[test]
fn a_bit_that_payer_and_one_party_turn_over_is_refused() {
    let honest = shares(0, parties());
    // f(0) = 2 f(1) - f(2) for a polynomial of degree 1: f(2) = 2 f(1) - 1 makes it 1.
    let first = Fr::from_bytes(&honest[0].share.to_bytes()).ok().unwrap();
    let chosen = Share::constant(first + first - Fr::from(1u64));
    let forged = ReceiptShare::sign(subject(), parties().id(2).unwrap(), chosen, &key(2));
    let pair = vec![honest[0].clone(), forged.clone()];
    assert_eq!(verdict(pair), Err(ReceiptError::TooFew { found: 2, needed: 3 }));
    let three = vec![honest[0].clone(), forged, honest[2].clone()];
    assert_eq!(verdict(three), Err(ReceiptError::Disputed));
}

#[test]
fn a_share_that_its_party_has_not_signed_is_named() {
    let all = shares(1, parties());
    for position in 0..3 {
        let party = position as u8 + 1;
        let named = |changed: ReceiptShare| {
            let mut shares = all.clone();
            shares[position] = changed;
            matches!(verdict(shares), Err(ReceiptError::Signature { party: found, .. }) if found == party)
        };
        let good = all[position].clone();
        let share = &good.share + Fr::from(1u64);
        assert!(named(ReceiptShare { share, ..good.clone() }));
        let id = parties().id(party).unwrap();
        assert!(named(ReceiptShare::sign(subject(), id, good.share.clone(), &key(9))));
        let signature = key(party).sign(Purpose::Round, &signed(&subject(), party, &good.share));
        assert!(named(ReceiptShare { signature, ..good.clone() }));
        assert!(good.verify(&key(party).verifying_key()).is_ok());
        assert!(good.verify(&key(9).verifying_key()).is_err());

        // The same share under the name of another party.
        let mut moved = all.clone();
        moved.remove((position + 1) % 3);
        let other = (position + 1) as u8 % 3 + 1;
        moved.push(ReceiptShare { party: other, ..good.clone() });
        let refused = verdict(moved).err();
        assert!(matches!(refused, Some(ReceiptError::Signature { party, .. }) if party == other));
    }
}

#[test]
fn shares_signed_about_something_else_do_not_serve() {
    let good = subject();
    let others = [
        Subject { round: RoundId(Digest::ZERO), ..good },
        Subject { settlement: TransactionId(Digest::ZERO), ..good },
        Subject { payer: bank(3), ..good },
        Subject { payee: bank(3), ..good },
        Subject { place: 1, ..good },
        Subject { leaf: merkle::leaf_hash(&queue(1).leaves()[1].to_bytes()), ..good },
    ];
    for other in others {
        let mut mixed = shares(1, parties());
        let (id, share) = (parties().id(3).unwrap(), mixed[2].share.clone());
        mixed[2] = ReceiptShare::sign(other, id, share, &key(3));
        assert_eq!(verdict(mixed), Err(ReceiptError::OtherSubject { party: 3 }));
        // All of them moved to something that nobody has signed.
        let moved = |share| ReceiptShare { subject: other, ..share };
        let moved: Vec<_> = shares(1, parties()).into_iter().map(moved).collect();
        let refused = verdict(moved);
        let leaf = other.leaf != good.leaf && refused == Err(ReceiptError::OtherLeaf(other.leaf));
        assert!(leaf || matches!(refused, Err(ReceiptError::Signature { party: 1, .. })));
    }
    let receipt = Receipt::new(shares(1, parties())).ok().unwrap();
    let keys = keys(3);
    let signers = Signers { parties: parties(), keys: &keys };
    let refused = receipt.verify(signers, &queue(1).leaves()[0]);
    assert_eq!(refused, Err(ReceiptError::OtherLeaf(good.leaf)));
}

#[test]
fn repeated_and_unknown_parties_are_refused() {
    let all = shares(1, parties());
    let twice = [all.clone(), vec![all[1].clone()]].concat();
    assert_eq!(verdict(twice), Err(ReceiptError::Repeated { party: 2 }));
    for party in [0, 4] {
        let mut strange = all.clone();
        strange[0].party = party;
        assert_eq!(verdict(strange), Err(ReceiptError::Unknown { party }));
    }
}

#[test]
fn what_is_no_bit_is_refused() {
    assert_eq!(verdict(shares(2, parties())), Err(ReceiptError::NotABit));
    // Shares of two different runs, each signed by its party, lie on no common line.
    let mut mixed = shares(1, parties());
    mixed[0] = shares(0, parties())[0].clone();
    assert_eq!(verdict(mixed), Err(ReceiptError::Disputed));
}

#[test]
fn no_changed_byte_of_a_receipt_passes() {
    let receipt = Receipt::new(shares(1, parties())).ok().unwrap();
    let bytes = receipt.to_bytes();
    let keys = keys(3);
    let signers = Signers { parties: parties(), keys: &keys };
    for position in (0..200).chain((200..bytes.len()).step_by(29)) {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        let accepted = Receipt::from_bytes(&changed)
            .is_ok_and(|receipt| receipt.verify(signers, &leaf()).is_ok());
        assert!(!accepted, "byte {position}");
    }
    assert!(Receipt::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    let share = shares(1, parties()).remove(0);
    let bytes = share.to_bytes();
    assert_eq!(ReceiptShare::from_bytes(&bytes).ok().unwrap().to_bytes(), bytes);
    assert!(ReceiptShare::from_bytes(&bytes[1..]).is_err());
}

#[test]
fn a_receipt_has_one_encoding() {
    let receipt = Receipt::new(shares(1, parties())).ok().unwrap();
    let Receipt { subject, shares } = receipt;
    let mut shares: Vec<_> = shares;
    shares.swap(0, 1);
    assert!(Receipt::from_bytes(&Receipt { subject, shares }.to_bytes()).is_err());
    let none = Receipt { subject, shares: vec![] };
    assert!(Receipt::from_bytes(&none.to_bytes()).is_err());
}

#[test]
fn receipts_are_gathered_by_payment_and_a_strange_share_spoils_its_own_only() {
    let other = Subject { payee: bank(3), place: 0, ..subject() };
    let sign = |share: &ReceiptShare, subject| {
        let id = parties().id(share.party).unwrap();
        ReceiptShare::sign(subject, id, share.share.clone(), &key(share.party))
    };
    let good = shares(1, parties());
    let mut all: Vec<_> = shares(0, parties()).iter().map(|share| sign(share, other)).collect();
    all.extend(good.clone());
    let gathered: Vec<_> = Receipt::gather(all.clone()).into_iter().map(Result::ok).collect();
    let subjects: Vec<_> = gathered.iter().flatten().map(|receipt| *receipt.subject()).collect();
    assert_eq!(subjects, [other, subject()]);

    all[1] = sign(&all[1], Subject { payee: bank(4), ..other });
    let spoilt = Receipt::gather(all);
    assert_eq!(spoilt[0].as_ref().err(), Some(&ReceiptError::OtherSubject { party: 2 }));
    let keys = keys(3);
    let signers = Signers { parties: parties(), keys: &keys };
    assert_eq!(spoilt[1].as_ref().unwrap().verify(signers, &leaf()), Ok(true));
    assert!(Receipt::gather(vec![]).is_empty());
}
