//! All secrets of one identity in one passphrase-encrypted file: the whole backup.
//!
//! The outer format is age (`age-encryption.org/v1`) with a passphrase, so the file also opens
//! with any age tool; the passphrase passes through scrypt (RFC 7914). The contents are canonical:
//! version, name, suite, the 32-byte seeds per [`Purpose`], the secret bytes of the sealing keys, the
//! note key. Of the keys for one use there are several once one was replaced: earlier ones still
//! open what was sealed to them, and the newest is registered before its height has come. Version 1
//! had exactly one of each, and is still read. This module turns key rings into bytes and back; where
//! they are kept is the caller's.

use std::io::Read;

use age::DecryptError;
use age::secrecy::SecretString;
use rand_core::OsRng;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::digest::Digest;
use crate::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use crate::note::NoteKey;
use crate::seal::{SealingKey, SealingKeyError};
use crate::signature::{Purpose, SigningKey, Suite};

/// Work factor for a passphrase that a human thought of: `2^18` rounds, about a second, 256 MiB.
pub const RECOMMENDED_LOG_N: u8 = 18;

/// The largest work factor that is written or read: 1 GiB of memory.
pub const MAX_LOG_N: u8 = 20;

/// The longest name in bytes.
pub const MAX_NAME: usize = 64;

/// Keys for one use in one ring: as many as an institution may have registered.
pub const MAX_VERSIONS: usize = 256;

const VERSION: u8 = 2;

/// With one key for each use.
const FIRST_VERSION: u8 = 1;

/// Why a key file could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyFileError {
    /// A passphrase of no characters protects nothing.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The work factor asked for is out of range.
    #[error("work factor {0} is not between 1 and {MAX_LOG_N}")]
    WorkFactor(u8),
    /// The name is empty, too long, or has control characters.
    #[error("a name has 1 to {MAX_NAME} bytes and no control characters")]
    Name,
    /// Not an age file, or its header is malformed.
    #[error("this is not a key file: {0}")]
    NotAKeyFile(String),
    /// An age file for a key, not for a passphrase.
    #[error("this file is not encrypted with a passphrase")]
    NoPassphrase,
    /// The file demands more work than we are willing to do.
    #[error("the file demands work factor {required}; the limit is {MAX_LOG_N}")]
    TooMuchWork {
        /// The work factor in the file.
        required: u8,
    },
    /// The passphrase does not open it. (Damage to the few bytes that hold the wrapped key looks
    /// the same.)
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The passphrase is right, and the file was changed or cut.
    #[error("the passphrase is right, but the file is damaged: {0}")]
    Damaged(String),
    /// Written by a later version.
    #[error("the file has version {0}; this program reads versions up to {VERSION}")]
    Version(u8),
    /// No room for another key for this use.
    #[error("there are {MAX_VERSIONS} keys for this use already")]
    Full,
    /// Intact, but its contents are not a key ring.
    #[error("the file does not contain a key ring: {0}")]
    Contents(#[from] DecodeError),
    /// Intact, but its sealing key is none.
    #[error("the file does not contain a key ring: {0}")]
    Sealing(#[from] SealingKeyError),
}

/// The secrets of one identity: an institution, a validator, an MPC party or a coordinator.
///
/// Every ring holds a signing key for every purpose; the registry says which of them count.
pub struct KeyRing {
    name: String,
    suite: Suite,
    /// By purpose, the newest last; never empty.
    signing: [Vec<SigningKey>; Purpose::ALL.len()],
    /// The newest last; never empty.
    sealing: Vec<SealingKey>,
    note: NoteKey,
}

/// What a key of a ring is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// To sign for this purpose.
    Signing(Purpose),
    /// To open what others have sealed.
    Sealing,
}

impl KeyRing {
    /// A ring of fresh keys, from the entropy of the operating system.
    ///
    /// # Panics
    /// If the operating system gives neither entropy nor memory: there is no way to go on then.
    pub fn generate(name: &str, suite: Suite) -> Result<Self, KeyFileError> {
        Ok(Self {
            name: checked_name(name)?,
            suite,
            signing: Purpose::ALL.map(|_| vec![SigningKey::generate(suite)]),
            sealing: vec![SealingKey::generate(suite)],
            note: NoteKey::random(&mut OsRng),
        })
    }

    /// Whose keys these are.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The suite of all keys.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The newest signing key for `purpose`.
    pub fn signing(&self, purpose: Purpose) -> &SigningKey {
        self.signing_keys(purpose).last().expect("there is one for each purpose")
    }

    /// All signing keys for `purpose`, the newest last.
    pub fn signing_keys(&self, purpose: Purpose) -> &[SigningKey] {
        &self.signing[purpose as usize]
    }

    /// The signing key for `purpose` that the ledger calls by this fingerprint.
    pub fn signing_key(&self, purpose: Purpose, fingerprint: &Digest) -> Option<&SigningKey> {
        let named = |key: &&SigningKey| key.verifying_key().fingerprint() == *fingerprint;
        self.signing_keys(purpose).iter().rev().find(named)
    }

    /// The newest of the keys that others seal to.
    pub fn sealing(&self) -> &SealingKey {
        self.sealing.last().expect("there is one")
    }

    /// All keys that others have sealed to, the newest last.
    pub fn sealing_keys(&self) -> &[SealingKey] {
        &self.sealing
    }

    /// Adds a fresh key for this use, which is the newest from then on. The others stay.
    ///
    /// # Panics
    /// As [`KeyRing::generate`].
    pub fn renew(&mut self, key_use: KeyUse) -> Result<(), KeyFileError> {
        let has_room =
            |count: usize| (count < MAX_VERSIONS).then_some(()).ok_or(KeyFileError::Full);
        match key_use {
            KeyUse::Signing(purpose) => {
                let keys = &mut self.signing[purpose as usize];
                has_room(keys.len())?;
                keys.push(SigningKey::generate(self.suite));
            }
            KeyUse::Sealing => {
                has_room(self.sealing.len())?;
                self.sealing.push(SealingKey::generate(self.suite));
            }
        }
        Ok(())
    }

    /// The key of notes to oneself.
    pub fn note(&self) -> &NoteKey {
        &self.note
    }

    /// The encrypted file. The work factor is the base-2 logarithm of scrypt's `N`; see
    /// [`RECOMMENDED_LOG_N`]. Salt and file key come from the operating system.
    pub fn to_encrypted(&self, passphrase: &str, log_n: u8) -> Result<Vec<u8>, KeyFileError> {
        if !(1..=MAX_LOG_N).contains(&log_n) {
            return Err(KeyFileError::WorkFactor(log_n));
        }
        let mut recipient = age::scrypt::Recipient::new(secret(passphrase)?);
        recipient.set_work_factor(log_n);
        Ok(age::encrypt(&recipient, &self.to_contents()).expect("writing to memory succeeds"))
    }

    /// The ring in an encrypted file.
    pub fn from_encrypted(passphrase: &str, file: &[u8]) -> Result<Self, KeyFileError> {
        let mut identity = age::scrypt::Identity::new(secret(passphrase)?);
        identity.set_max_work_factor(MAX_LOG_N);
        let decryptor = age::Decryptor::new_buffered(file).map_err(refusal)?;
        if !decryptor.is_scrypt() {
            return Err(KeyFileError::NoPassphrase);
        }
        let identities = std::iter::once(&identity as &dyn age::Identity);
        let mut reader = decryptor.decrypt(identities).map_err(refusal)?;

        // The contents are shorter than the file, so this buffer is never moved while it fills.
        let mut contents = Zeroizing::new(Vec::with_capacity(file.len()));
        reader
            .read_to_end(&mut contents)
            .map_err(|error| KeyFileError::Damaged(error.to_string()))?;
        Self::from_contents(&contents)
    }

    /// The canonical contents, written into one buffer of the final size: a growing one would
    /// leave copies of secrets behind.
    fn to_contents(&self) -> Zeroizing<Vec<u8>> {
        let mut head = Writer::new();
        head.u8(VERSION);
        head.bytes(self.name.as_bytes());
        self.suite.encode(&mut head);
        let head = head.into_bytes();
        let sealing: Vec<_> = self.sealing.iter().map(SealingKey::to_secret_bytes).collect();

        let signing = self.signing.iter().map(|keys| 4 + 32 * keys.len()).sum::<usize>();
        let length =
            head.len() + signing + 4 + sealing.iter().map(|it| 4 + it.len()).sum::<usize>() + 32;
        let mut contents = Zeroizing::new(Vec::with_capacity(length));
        contents.extend_from_slice(&head);
        for keys in &self.signing {
            contents.extend_from_slice(&(keys.len() as u32).to_be_bytes());
            keys.iter().for_each(|key| contents.extend_from_slice(key.seed().as_ref()));
        }
        contents.extend_from_slice(&(sealing.len() as u32).to_be_bytes());
        for key in &sealing {
            contents.extend_from_slice(&(key.len() as u32).to_be_bytes());
            contents.extend_from_slice(key);
        }
        contents.extend_from_slice(self.note.as_bytes().as_ref());
        contents
    }

    fn from_contents(contents: &[u8]) -> Result<Self, KeyFileError> {
        let mut input = Reader::new(contents);
        let version = input.u8("version")?;
        if !(FIRST_VERSION..=VERSION).contains(&version) {
            return Err(KeyFileError::Version(version));
        }
        let name = std::str::from_utf8(input.bytes(MAX_NAME, "name")?)
            .map_err(|_| input.invalid("name", "not UTF-8"))?;
        let name = checked_name(name)?;
        let suite = Suite::decode(&mut input)?;
        let mut signing = Purpose::ALL.map(|_| Vec::new());
        for keys in &mut signing {
            for _ in 0..count(version, &mut input)? {
                let seed = Zeroizing::new(input.array("seed")?);
                keys.push(SigningKey::from_seed(suite, &seed));
            }
        }
        let mut sealing = Vec::new();
        for _ in 0..count(version, &mut input)? {
            let key = input.bytes(SealingKey::secret_length(suite), "sealing key")?;
            sealing.push(SealingKey::from_secret_bytes(suite, key)?);
        }
        let note = Zeroizing::new(input.array("note key")?);
        input.finish()?;
        Ok(Self { name, suite, signing, sealing, note: NoteKey::from_bytes(&note) })
    }
}

/// How many keys for one use follow.
fn count(version: u8, input: &mut Reader<'_>) -> Result<usize, DecodeError> {
    if version == FIRST_VERSION {
        return Ok(1);
    }
    match input.u32("keys for one use")? as usize {
        count @ 1..=MAX_VERSIONS => Ok(count),
        _ => Err(input.invalid("keys for one use", "none or too many")),
    }
}

fn checked_name(name: &str) -> Result<String, KeyFileError> {
    let good = (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    good.then(|| name.to_owned()).ok_or(KeyFileError::Name)
}

fn secret(passphrase: &str) -> Result<SecretString, KeyFileError> {
    match passphrase {
        "" => Err(KeyFileError::EmptyPassphrase),
        _ => Ok(SecretString::from(passphrase.to_owned())),
    }
}

/// What age says about a header, in our words.
fn refusal(error: DecryptError) -> KeyFileError {
    match error {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            KeyFileError::WrongPassphrase
        }
        DecryptError::ExcessiveWork { required, .. } => KeyFileError::TooMuchWork { required },
        // The header is authenticated under the key that the passphrase has just unwrapped.
        DecryptError::InvalidMac => KeyFileError::Damaged(error.to_string()),
        DecryptError::NoMatchingKeys => KeyFileError::NoPassphrase,
        other => KeyFileError::NotAKeyFile(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
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
}
