use super::*;

const SUITES: [Suite; 2] = [Suite::MlDsa65MlKem768, Suite::MlDsa87MlKem1024];

/// The error of decoding `bytes`, which must be refused.
fn refusal<T: Decode>(bytes: &[u8]) -> Problem {
    match T::from_bytes(bytes) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.problem,
    }
}

#[test]
fn a_seal_opens_for_its_receiver_in_its_place_alone() {
    for suite in SUITES {
        let (key, other) = (SealingKey::generate(suite), SealingKey::generate(suite));
        for text in [&b""[..], b"x", &[7; 256]] {
            let sealed = seal(key.public_key(), b"EUR", text).unwrap();
            assert_eq!(sealed.text_length(), text.len());
            assert_eq!(sealed.to_bytes().len(), Sealed::encoded_length(suite, text.len()));
            assert_eq!(key.open(b"EUR", &sealed).unwrap().as_slice(), text);
            assert_eq!(key.open(b"USD", &sealed), Err(OpenError::Undecipherable));
            assert_eq!(other.open(b"EUR", &sealed), Err(OpenError::Undecipherable));
        }
    }
}

#[test]
fn every_part_of_a_seal_matters() {
    for suite in SUITES {
        let key = SealingKey::generate(suite);
        let sealed = seal(key.public_key(), b"", b"some text").unwrap();
        let expected = Err(OpenError::Undecipherable);
        for position in (0..suite.encapsulation_length()).step_by(7) {
            let mut changed = sealed.clone();
            changed.encapsulation[position] ^= 1 << (position % 7);
            assert_eq!(key.open(b"", &changed), expected, "{suite}: byte {position}");
        }
        // The top bit of an X25519 share does not count in the agreement, but it does here.
        let mut changed = sealed.clone();
        *changed.encapsulation.last_mut().unwrap() ^= 0x80;
        assert_eq!(key.open(b"", &changed), expected);
        for position in 0..sealed.ciphertext.len() {
            let mut changed = sealed.clone();
            changed.ciphertext[position] ^= 1;
            assert_eq!(key.open(b"", &changed), expected, "{suite}: text byte {position}");
        }
    }
}

#[test]
fn each_seal_has_its_own_key() {
    for suite in SUITES {
        let key = SealingKey::generate(suite);
        let first = seal(key.public_key(), b"", &[0; 64]).unwrap();
        let second = seal(key.public_key(), b"", &[0; 64]).unwrap();
        assert_ne!(first.encapsulation, second.encapsulation);
        assert_ne!(first.ciphertext, second.ciphertext);

        let (ml_kem, x25519) = (suite.encapsulation_length() - 32, X25519_LENGTH);
        let mut mixed = first.clone();
        mixed.encapsulation[ml_kem..].copy_from_slice(&second.encapsulation[ml_kem..]);
        assert_eq!(mixed.encapsulation.len(), ml_kem + x25519);
        assert_eq!(key.open(b"", &mixed), Err(OpenError::Undecipherable));
    }
}

#[test]
fn suites_are_not_mixed() {
    let [small, large] = SUITES.map(SealingKey::generate);
    let sealed = seal(small.public_key(), b"", b"text").unwrap();
    let (expected, found) = (SUITES[1], SUITES[0]);
    assert_eq!(large.open(b"", &sealed), Err(OpenError::WrongSuite { expected, found }));
}

/// The encodings of points of order 1, 2, 4 and 8 on the curve and its twist, below `p`.
fn small_order() -> [[u8; 32]; 5] {
    let decode = |text: &str| hex::decode(text).unwrap().try_into().unwrap();
    [
        decode("0000000000000000000000000000000000000000000000000000000000000000"),
        decode("0100000000000000000000000000000000000000000000000000000000000000"),
        decode("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        decode("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        decode("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ]
}

#[test]
fn key_shares_of_small_order_are_refused() {
    for suite in SUITES {
        let key = SealingKey::generate(suite);
        for share in small_order() {
            let mut sealed = seal(key.public_key(), b"", b"text").unwrap();
            let start = sealed.encapsulation.len() - X25519_LENGTH;
            sealed.encapsulation[start..].copy_from_slice(&share);
            assert_eq!(key.open(b"", &sealed), Err(OpenError::DegenerateShare));

            let mut public = key.public_key().to_bytes();
            let start = public.len() - X25519_LENGTH;
            public[start..].copy_from_slice(&share);
            let expected = Problem::Invalid("the X25519 key has small order");
            assert_eq!(refusal::<SealingPublicKey>(&public), expected);
        }
    }
}

#[test]
fn public_keys_that_are_not_reduced_are_refused() {
    for suite in SUITES {
        let good = SealingKey::generate(suite).public_key().to_bytes();
        let at = good.len() - X25519_LENGTH;
        let mut x25519 = [0xff; 32];
        x25519[31] = 0x7f;
        for lowest in 0xed..=0xff {
            x25519[0] = lowest;
            let bytes = [&good[..at], &x25519].concat();
            let expected = Problem::Invalid("the X25519 key is not below 2^255 - 19");
            assert_eq!(refusal::<SealingPublicKey>(&bytes), expected);
        }
        let mut high_bit = good.clone();
        *high_bit.last_mut().unwrap() |= 0x80;
        assert!(SealingPublicKey::from_bytes(&high_bit).is_err());

        // The largest coefficient allowed and the smallest refused, 3328 and 3329, at both places
        // of the first and the last three bytes of the vector.
        let expected = Problem::Invalid("an ML-KEM coefficient is not below q");
        for start in [5, 5 + suite.kem_vector_length() - 3] {
            for (limit, over) in
                [([0x00, 0x0d, 0xd0], [0x01, 0x0d, 0xd0]), ([0x00, 0x0d, 0xd0], [0x00, 0x1d, 0xd0])]
            {
                let mut bytes = good.clone();
                bytes[start..start + 3].copy_from_slice(&limit);
                assert!(SealingPublicKey::from_bytes(&bytes).is_ok());
                bytes[start..start + 3].copy_from_slice(&over);
                assert_eq!(refusal::<SealingPublicKey>(&bytes), expected);
            }
        }
    }
}

#[test]
fn keys_and_seals_have_one_encoding() {
    for suite in SUITES {
        let key = SealingKey::generate(suite);
        let sealed = seal(key.public_key(), b"", b"text").unwrap().to_bytes();
        let public = key.public_key().to_bytes();
        assert_eq!(SealingPublicKey::from_bytes(&public).as_ref(), Ok(key.public_key()));
        assert_eq!(Sealed::from_bytes(&sealed).unwrap().to_bytes(), sealed);
        let other = [3 - suite as u8];
        for bytes in [public, sealed] {
            let end = bytes.len();
            for changed in [
                bytes[..end - 1].to_vec(),
                [&bytes[..], &[0]].concat(),
                [&[0], &bytes[1..]].concat(),
                [&other, &bytes[1..]].concat(),
            ] {
                assert!(SealingPublicKey::from_bytes(&changed).is_err());
                assert!(Sealed::from_bytes(&changed).is_err());
            }
        }
    }
}

#[test]
fn lengths_are_bounded() {
    let key = SealingKey::generate(SUITES[0]);
    let longest = seal(key.public_key(), b"", &vec![1; MAX_TEXT]).unwrap();
    let bytes = longest.to_bytes();
    assert_eq!(Sealed::from_bytes(&bytes), Ok(longest.clone()));
    assert_eq!(key.open(b"", &longest).unwrap().len(), MAX_TEXT);
    let length = MAX_TEXT + 1;
    let error = seal(key.public_key(), b"", &vec![1; length]);
    assert_eq!(error, Err(SealError::TooLong { length }));

    let start = Sealed::encoded_length(SUITES[0], 0) - TAG_LENGTH;
    let framed = |length: usize| {
        let prefix = &bytes[..start - 4];
        [prefix, &(length as u32).to_be_bytes(), &vec![0; length]].concat()
    };
    assert!(Sealed::from_bytes(&framed(TAG_LENGTH)).is_ok());
    let expected = Problem::Invalid("shorter than its authentication tag");
    assert_eq!(refusal::<Sealed>(&framed(TAG_LENGTH - 1)), expected);
    let (found, limit) = (MAX_TEXT + TAG_LENGTH + 1, MAX_TEXT + TAG_LENGTH);
    assert_eq!(refusal::<Sealed>(&framed(found)), Problem::TooLong { found, limit });
}

#[test]
fn secret_bytes_restore_the_key_and_damage_is_noticed() {
    for suite in SUITES {
        let key = SealingKey::generate(suite);
        let bytes = key.to_secret_bytes();
        let restored = SealingKey::from_secret_bytes(suite, &bytes).unwrap();
        assert_eq!(restored.public_key(), key.public_key());
        assert_eq!(restored.to_secret_bytes(), bytes);
        let sealed = seal(key.public_key(), b"", b"text").unwrap();
        assert_eq!(restored.open(b"", &sealed).unwrap().as_slice(), b"text");

        // One byte of the secret vector, of each part of the encapsulation key, of its hash.
        let vector = suite.kem_vector_length();
        for position in [0, vector, 2 * vector, 2 * vector + 31, 2 * vector + 32, 2 * vector + 63] {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1;
            let error = SealingKey::from_secret_bytes(suite, &damaged).err();
            assert_eq!(error, Some(SealingKeyError::Inconsistent), "{suite}: byte {position}");
        }
        let (expected, found) = (SealingKey::secret_length(suite), bytes.len() - 1);
        let error = SealingKey::from_secret_bytes(suite, &bytes[1..]).err();
        assert_eq!(error, Some(SealingKeyError::WrongLength { suite, expected, found }));
    }
}

#[test]
fn the_encapsulation_key_is_the_one_that_the_library_reports() {
    for suite in SUITES {
        let key = DecapsulationKey::generate(suite.kem()).unwrap();
        let reported = key.encapsulation_key().and_then(|key| key.key_bytes()).unwrap();
        let secret = key.key_bytes().unwrap();
        let ours = SealingKey::from_parts(suite, secret.as_ref(), &[5; 32]).unwrap();
        assert_eq!(&*ours.public.ml_kem, reported.as_ref());
    }
}
