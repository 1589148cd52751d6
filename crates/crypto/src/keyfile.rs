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
mod tests;
