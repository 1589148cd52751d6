use super::*;
use crate::digest::Digest;
use crate::seal::seal;

const SUITES: [Suite; 2] = [Suite::MlDsa65MlKem768, Suite::MlDsa87MlKem1024];
const LOG_N: u8 = 1;

fn ring() -> KeyRing {
    KeyRing::generate("BANKDEFFXXX", SUITES[0]).unwrap()
}

fn error(passphrase: &str, file: &[u8]) -> KeyFileError {
    match KeyRing::from_encrypted(passphrase, file) {
        Ok(_) => panic!("accepted"),
        Err(error) => error,
    }
}

fn file_with(contents: &[u8]) -> Vec<u8> {
    let mut recipient = age::scrypt::Recipient::new("right".to_owned().into());
    recipient.set_work_factor(LOG_N);
    age::encrypt(&recipient, contents).unwrap()
}

#[test]
fn a_file_restores_every_key() {
    for suite in SUITES {
        let ring = KeyRing::generate("BANKDEFFXXX", suite).unwrap();
        let file = ring.to_encrypted("right", LOG_N).unwrap();
        let again = KeyRing::from_encrypted("right", &file).unwrap();
        assert_eq!((again.name(), again.suite()), ("BANKDEFFXXX", suite));
        for purpose in Purpose::ALL {
            let signature = again.signing(purpose).sign(purpose, &Digest::ZERO);
            let key = ring.signing(purpose).verifying_key();
            assert_eq!(key.verify(purpose, &Digest::ZERO, &signature), Ok(()));
        }
        let sealed = seal(ring.sealing().public_key(), b"", b"text").unwrap();
        assert_eq!(again.sealing().open(b"", &sealed).unwrap().as_slice(), b"text");
        let note = ring.note().seal(b"", b"text", &mut OsRng);
        assert_eq!(again.note().open(b"", &note).unwrap().as_slice(), b"text");
        assert_eq!(again.to_contents(), ring.to_contents());
    }
}

#[test]
fn keys_differ_between_purposes_and_rings() {
    let (first, second) = (ring(), ring());
    let mut fingerprints: Vec<Digest> = [&first, &second]
        .into_iter()
        .flat_map(|ring| Purpose::ALL.map(|purpose| ring.signing(purpose).verifying_key()))
        .map(|key| key.fingerprint())
        .collect();
    fingerprints.sort();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 2 * Purpose::ALL.len());
    assert_ne!(first.note().as_bytes(), second.note().as_bytes());
    assert_ne!(first.sealing().public_key(), second.sealing().public_key());
}

#[test]
fn no_secret_is_readable_in_the_file() {
    let ring = ring();
    let file = ring.to_encrypted("right", LOG_N).unwrap();
    let contents = ring.to_contents();
    for secret in contents.chunks(8) {
        assert!(!file.windows(8).any(|window| window == secret));
    }
    assert_ne!(file, ring.to_encrypted("right", LOG_N).unwrap());
}

#[test]
fn passphrases_and_work_factors_are_checked() {
    let file = ring().to_encrypted("right", LOG_N).unwrap();
    assert_eq!(error("wrong", &file), KeyFileError::WrongPassphrase);
    assert_eq!(error("", &file), KeyFileError::EmptyPassphrase);
    assert_eq!(ring().to_encrypted("", LOG_N), Err(KeyFileError::EmptyPassphrase));
    for log_n in [0, MAX_LOG_N + 1, 64, 255] {
        assert_eq!(ring().to_encrypted("x", log_n), Err(KeyFileError::WorkFactor(log_n)));
    }
    let text = String::from_utf8_lossy(&file[..80]).into_owned();
    assert!(text.starts_with("age-encryption.org/v1\n-> scrypt "), "{text}");
    // The same header with a work factor above the limit is refused before any work.
    let at = file.windows(3).position(|window| window == b" 1\n").unwrap();
    let greedy = [&file[..at], b" 21\n", &file[at + 3..]].concat();
    assert_eq!(error("right", &greedy), KeyFileError::TooMuchWork { required: 21 });
}

#[test]
fn damage_is_told_from_a_wrong_passphrase() {
    let file = ring().to_encrypted("right", LOG_N).unwrap();
    let end_of_header = file.windows(4).position(|window| window == b"--- ").unwrap();
    let damaged = |position: usize| {
        let mut file = file.clone();
        file[position] ^= 1;
        error("right", &file)
    };
    for position in [end_of_header + 60, file.len() / 2, file.len() - 1] {
        assert!(matches!(damaged(position), KeyFileError::Damaged(_)), "{position}");
    }
    // The header's MAC stands in base64. Another character of that alphabet is a wrong MAC; one
    // outside of it is no header.
    let in_mac = |character: u8| {
        let mut file = file.clone();
        file[end_of_header + 10] = character;
        error("right", &file)
    };
    let other = if file[end_of_header + 10] == b'A' { b'B' } else { b'A' };
    assert!(matches!(in_mac(other), KeyFileError::Damaged(_)));
    assert!(matches!(in_mac(b'@'), KeyFileError::NotAKeyFile(_)));
    assert!(matches!(damaged(0), KeyFileError::NotAKeyFile(_)));
    assert!(matches!(error("right", &file[..file.len() - 9]), KeyFileError::Damaged(_)));
    assert!(matches!(error("right", b""), KeyFileError::NotAKeyFile(_)));
    assert!(matches!(error("right", &[7; 500]), KeyFileError::NotAKeyFile(_)));
}

#[test]
fn a_file_for_another_kind_of_key_is_refused() {
    let recipient = age::x25519::Identity::generate().to_public();
    let file = age::encrypt(&recipient, &ring().to_contents()).unwrap();
    assert_eq!(error("right", &file), KeyFileError::NoPassphrase);
}

#[test]
fn contents_are_strict() {
    let ring = ring();
    let good = ring.to_contents();
    assert!(KeyRing::from_encrypted("right", &file_with(&good)).is_ok());

    let mut later = good.clone();
    later[0] = 3;
    assert_eq!(error("right", &file_with(&later)), KeyFileError::Version(3));
    let contents = |bytes: &[u8]| error("right", &file_with(bytes));
    for end in [0, 1, 5, 20, 60, good.len() - 1] {
        assert!(matches!(contents(&good[..end]), KeyFileError::Contents(_)), "{end}");
    }
    let longer = [&good[..], &[0]].concat();
    assert!(matches!(contents(&longer), KeyFileError::Contents(_)));

    // Version, name, suite, seeds with their number, number, length: then the sealing key starts.
    let seeds = 1 + 4 + ring.name().len() + 1;
    for number in [0u32, MAX_VERSIONS as u32 + 1, u32::MAX] {
        let mut broken = good.clone();
        broken[seeds..seeds + 4].copy_from_slice(&number.to_be_bytes());
        assert!(matches!(contents(&broken), KeyFileError::Contents(_)), "{number}");
    }
    let sealing = seeds + (4 + 32) * Purpose::ALL.len() + 4 + 4;
    let mut broken = good.clone();
    broken[sealing] ^= 1;
    assert_eq!(contents(&broken), KeyFileError::Sealing(SealingKeyError::Inconsistent));
}

#[test]
fn a_replaced_key_stays_and_the_newest_is_the_one() {
    let mut ring = ring();
    let print = |key: &SigningKey| key.verifying_key().fingerprint();
    let before = print(ring.signing(Purpose::Round));
    let sealed = seal(ring.sealing().public_key(), b"", b"text").unwrap();
    ring.renew(KeyUse::Signing(Purpose::Round)).unwrap();
    ring.renew(KeyUse::Sealing).unwrap();
    let again = KeyRing::from_encrypted("right", &ring.to_encrypted("right", LOG_N).unwrap());
    let again = again.unwrap();
    assert_eq!(again.to_contents(), ring.to_contents());
    assert_eq!(again.signing_keys(Purpose::Round).len(), 2);
    assert_eq!(again.signing_keys(Purpose::Vote).len(), 1);
    let now = print(again.signing(Purpose::Round));
    assert_ne!(now, before);
    for known in [now, before] {
        let found = again.signing_key(Purpose::Round, &known).map(print);
        assert_eq!(found, Some(known));
        assert!(again.signing_key(Purpose::Vote, &known).is_none());
    }
    let [first, newest] = again.sealing_keys() else { panic!() };
    assert_eq!(first.open(b"", &sealed).unwrap().as_slice(), b"text");
    assert!(newest.open(b"", &sealed).is_err());
    assert_eq!(newest.public_key(), again.sealing().public_key());
    for _ in 2..MAX_VERSIONS {
        ring.renew(KeyUse::Sealing).unwrap();
    }
    assert_eq!(ring.renew(KeyUse::Sealing), Err(KeyFileError::Full));
}

/// Files of the first version have one key for each use, without its number.
#[test]
fn files_of_the_first_version_are_read() {
    let ring = ring();
    let contents = ring.to_contents();
    let mut input = Reader::new(&contents);
    let (_, name) = (input.u8("").unwrap(), input.bytes(MAX_NAME, "").unwrap());
    let suite = input.u8("").unwrap();
    let mut first = vec![FIRST_VERSION, 0, 0, 0, name.len() as u8];
    first.extend_from_slice(name);
    first.push(suite);
    for _ in Purpose::ALL {
        assert_eq!(input.u32(""), Ok(1));
        first.extend(input.array::<32>("").unwrap());
    }
    assert_eq!(input.u32(""), Ok(1));
    first.extend_from_slice(&contents[input.offset()..]);
    let read = KeyRing::from_encrypted("right", &file_with(&first)).unwrap();
    assert_eq!(read.to_contents(), contents);
}

#[test]
fn names_are_checked() {
    let longest = "x".repeat(MAX_NAME);
    assert!(KeyRing::generate(&longest, SUITES[0]).is_ok());
    for name in ["", "a\nb", &"x".repeat(MAX_NAME + 1)] {
        let refused = KeyRing::generate(name, SUITES[0]).err();
        assert_eq!(refused, Some(KeyFileError::Name));
    }
}
