//! `quittance keys`: making key files, looking into them, telling what is public, and changing
//! their passphrases and keys.

mod change;
mod create;
pub(crate) mod durable;
mod passphrase;
mod public;
mod rotate;

use std::path::{Path, PathBuf};
use std::{fs, io};

use quittance_crypto::keyfile::{KeyFileError, KeyRing};
use quittance_crypto::signature::Purpose;
use thiserror::Error;

use crate::table::Table;
use durable::Staged;

pub use change::Change;
pub use create::{Wanted, create};
pub use passphrase::Weak;
pub use public::{Record, public};
pub use rotate::Rotation;

/// Why a key file was not made, shown or changed.
#[derive(Debug, Error)]
pub enum KeysError {
    /// A file could not be read.
    #[error("{path} cannot be read: {reason}", path = .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// A file could not be written.
    #[error("{path} cannot be written: {reason}", path = .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// A key file is never overwritten.
    #[error("{path} exists already, and is left as it is", path = .0.display())]
    Exists(PathBuf),
    /// A passphrase that others can read protects nothing.
    #[error("{path} is readable by others (mode {mode:03o}): chmod 600", path = .path.display())]
    Open {
        /// The passphrase's file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Not good enough for a new key file.
    #[error("{path}: {reason}", path = .path.display())]
    Weak {
        /// The passphrase's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Weak,
    },
    /// Nothing would change.
    #[error("the new passphrase is the old one")]
    Same,
    /// The key file could not be opened or made.
    #[error("{path}: {reason}", path = .path.display())]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: KeyFileError,
    },
    /// A key file of which nothing can be registered.
    #[error("{path}: {name:?} is not an institution id", path = .path.display())]
    Nobody {
        /// Which.
        path: PathBuf,
        /// Whose keys it says it holds.
        name: String,
    },
    /// A record has no text.
    #[error("the record cannot be written as JSON: {0}")]
    Json(serde_json::Error),
    /// What was written does not hold what it should. The disk is not to be trusted.
    #[error("{path}: what was written is not what is on the disk; nothing was changed", path = .0.display())]
    Unfaithful(PathBuf),
}

/// The file of this name beside a key file holds its passphrase, if no other is named.
pub fn beside(file: &Path, passphrase: Option<PathBuf>) -> PathBuf {
    passphrase.unwrap_or_else(|| file.with_file_name("passphrase"))
}

/// Where a new passphrase is looked for, if no file is named: beside the old one.
pub fn renewed(old: &Path) -> PathBuf {
    let mut name = old.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// What may be shown of a key file: whose it is and the fingerprints of its public keys, as the
/// ledger names them, of several for one use the newest first. No secret.
///
/// The passphrase is in the file `passphrase`; by default in the file of that name beside the key
/// file.
pub fn inspect(file: &Path, passphrase: Option<&Path>) -> Result<String, KeysError> {
    let secret = passphrase::read(&beside(file, passphrase.map(Path::to_owned)))?;
    Ok(shown(&open(file, &secret)?))
}

/// The keys in `file`; the passphrase is in the file `secret`.
pub(crate) fn unlock(file: &Path, secret: &Path) -> Result<KeyRing, KeysError> {
    open(file, &passphrase::read(secret)?)
}

fn shown(ring: &KeyRing) -> String {
    let mut table = Table::new(&["key for", "fingerprint"]);
    for purpose in Purpose::ALL {
        for key in ring.signing_keys(purpose).iter().rev() {
            let fingerprint = key.verifying_key().fingerprint();
            table.row([purpose_name(purpose), &fingerprint.to_string()]);
        }
    }
    for key in ring.sealing_keys().iter().rev() {
        table.row(["sealing", &key.public_key().fingerprint().to_string()]);
    }
    format!("{} ({})\n\n{table}", ring.name(), ring.suite())
}

/// What a signing key is for, as a genesis names it.
pub(crate) fn purpose_name(purpose: Purpose) -> &'static str {
    purpose.label().trim_start_matches("quittance/v1/")
}

fn open(file: &Path, passphrase: &str) -> Result<KeyRing, KeysError> {
    KeyRing::from_encrypted(passphrase, &read(file)?)
        .map_err(|reason| KeysError::KeyFile { path: file.to_owned(), reason })
}

fn read(path: &Path) -> Result<Vec<u8>, KeysError> {
    fs::read(path).map_err(|reason| KeysError::Read { path: path.to_owned(), reason })
}

/// Opens what was written, before anything relies on it.
fn verified(
    staged: &Staged,
    file: &Path,
    passphrase: &str,
    ring: &KeyRing,
) -> Result<(), KeysError> {
    let read = |reason| KeysError::Read { path: file.to_owned(), reason };
    let bytes = staged.read().map_err(read)?;
    let same = KeyRing::from_encrypted(passphrase, &bytes).is_ok_and(|again| {
        shown(&again) == shown(ring) && again.note().as_bytes() == ring.note().as_bytes()
    });
    same.then_some(()).ok_or_else(|| KeysError::Unfaithful(file.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use quittance_crypto::signature::Suite;

    use super::*;

    fn secret(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }

    #[test]
    fn only_public_facts_are_shown() {
        let home = tempfile::tempdir().unwrap();
        let ring = KeyRing::generate("AAAAZZ01", Suite::MlDsa65MlKem768).unwrap();
        let file = home.path().join("keys.age");
        fs::write(&file, ring.to_encrypted("secret words", 1).unwrap()).unwrap();
        secret(&home.path().join("passphrase"), "secret words\n");
        let shown = inspect(&file, None).unwrap();
        let vote = ring.signing(Purpose::Vote).verifying_key().fingerprint();
        assert!(shown.starts_with("AAAAZZ01 (ml-dsa-65+x25519-ml-kem-768)\n\n  key for "));
        assert!(shown.contains(&format!("  vote         {vote}\n")), "{shown}");
        assert_eq!(shown.lines().count(), 4 + Purpose::ALL.len() + 1);
        let (seed, note) = (ring.signing(Purpose::Vote).seed(), ring.note().as_bytes());
        for secret in [seed.as_slice(), note.as_slice()] {
            assert!(!shown.contains(&hex::encode(secret)));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("keys.age");
        let error = inspect(&file, None).unwrap_err().to_string();
        assert!(error.contains("passphrase cannot be read: "), "{error}");
        let other = home.path().join("other");
        secret(&other, "wrong");
        let error = inspect(&file, Some(&other)).unwrap_err().to_string();
        assert!(error.contains("keys.age cannot be read: "), "{error}");
        let ring = KeyRing::generate("AAAAZZ01", Suite::MlDsa65MlKem768).unwrap();
        fs::write(&file, ring.to_encrypted("right", 1).unwrap()).unwrap();
        let error = inspect(&file, Some(&other)).unwrap_err().to_string();
        assert!(error.ends_with("keys.age: the passphrase is wrong"), "{error}");
        fs::set_permissions(&other, PermissionsExt::from_mode(0o644)).unwrap();
        let error = inspect(&file, Some(&other)).unwrap_err().to_string();
        assert!(error.ends_with("other is readable by others (mode 644): chmod 600"), "{error}");
    }

    #[test]
    fn a_file_that_does_not_hold_the_keys_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("keys.age");
        let ring = |name: &str| KeyRing::generate(name, Suite::MlDsa65MlKem768).unwrap();
        let (mine, other) = (ring("AAAAZZ01"), ring("AAAAZZ01"));
        for (bytes, good) in [
            (mine.to_encrypted("right", 1).unwrap(), true),
            (other.to_encrypted("right", 1).unwrap(), false),
            (mine.to_encrypted("wrong", 1).unwrap(), false),
            (vec![0; 100], false),
        ] {
            let staged = Staged::beside(&file, &bytes).unwrap();
            assert_eq!(verified(&staged, &file, "right", &mine).is_ok(), good);
        }
    }
}
