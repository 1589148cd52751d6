//! Garbage, changed bytes and second encodings.

use super::*;

#[test]
fn garbage_under_a_signed_body_harms_nobody() {
    let scene = scene();
    let honest = scene.transfer(1);
    let other = scene.transfer(2);
    let signatures = honest.signatures().to_vec();
    let garbage = Transaction::new(honest.body().clone(), other.proofs().to_vec(), signatures);
    assert_ne!(garbage.id(), honest.id());
    let verdicts = verify_batch(vec![garbage, honest.clone()], &scene.world, &mut rng(9));
    assert!(matches!(verdicts[0], Err(VerificationError::Signature { .. })));
    assert_eq!(verdicts[1].as_ref().unwrap().id(), honest.id());
}

#[test]
fn every_changed_byte_is_refused() {
    let scene = scene();
    let honest = scene.transfer(1);
    let bytes = honest.to_bytes();
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        if let Ok(transaction) = Transaction::from_bytes(&changed) {
            assert_eq!(transaction.to_bytes(), changed);
            assert_ne!(transaction.id(), honest.id());
            assert!(transaction.verify(&scene.world).is_err(), "byte {place}");
        }
    }
    for end in 0..bytes.len() {
        assert!(Transaction::from_bytes(&bytes[..end]).is_err());
    }
    assert!(Transaction::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn points_and_scalars_have_one_encoding() {
    let scene = scene();
    let honest = scene.transfer(1);
    let bytes = honest.to_bytes();
    let balance = *honest.body().entries()[0].postings[0].new_balance.as_bytes();
    let place = bytes.windows(32).position(|window| window == balance).unwrap();
    // 2^255 - 18 is 1 modulo p, and 1 is negative in ristretto255; both are refused.
    let mut unreduced = [0xff; 32];
    (unreduced[0], unreduced[31]) = (0xee, 0x7f);
    let mut one = [0; 32];
    one[0] = 1;
    for bad in [unreduced, one, [0xff; 32]] {
        let mut changed = bytes.clone();
        changed[place..place + 32].copy_from_slice(&bad);
        assert!(Transaction::from_bytes(&changed).is_err());
    }

    // A proof's last scalar, made larger by l: the same number, another encoding.
    let mut proof = honest.proofs()[0].as_bytes().to_vec();
    let at = proof.len() - 32;
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    for (byte, added) in proof[at..].iter_mut().zip(order.unwrap()) {
        let sum = u16::from(*byte) + u16::from(added) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    let proof = vec![RangeProof::try_from(proof).unwrap()];
    let bare = Transaction::new(honest.body().clone(), proof.clone(), vec![]);
    let signature = vec![scene.a.signs(&bare)];
    let error = scene.error(Transaction::new(honest.body().clone(), proof, signature));
    let VerificationError::RangeProof { source: RangeProofError::NotAScalar(_), .. } = error else {
        panic!("{error}");
    };
}
