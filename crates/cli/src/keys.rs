//! `quittance keys`: looking into key files.

use std::path::{Path, PathBuf};
use std::{fs, io};

use quittance_crypto::keyfile::{KeyFileError, KeyRing};
use quittance_crypto::signature::Purpose;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::table::Table;

/// Why a key file was not shown.
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
    /// The key file could not be opened.
    #[error("{path}: {reason}", path = .path.display())]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: KeyFileError,
    },
}

/// What may be shown of a key file: whose it is and the fingerprints of its public keys, as the
/// ledger names them. No secret.
///
/// The passphrase is the first line of `passphrase`; by default of the file of that name beside
/// the key file.
pub fn inspect(file: &Path, passphrase: Option<&Path>) -> Result<String, KeysError> {
    let beside = file.with_file_name("passphrase");
    let passphrase = Zeroizing::new(read(passphrase.unwrap_or(&beside))?);
    let passphrase = Zeroizing::new(String::from_utf8_lossy(&passphrase).into_owned());
    let passphrase = passphrase.lines().next().unwrap_or_default();
    let ring = KeyRing::from_encrypted(passphrase, &read(file)?)
        .map_err(|reason| KeysError::KeyFile { path: file.to_owned(), reason })?;

    let mut table = Table::new(&["key for", "fingerprint"]);
    for purpose in Purpose::ALL {
        let label = purpose.label().trim_start_matches("quittance/v1/");
        let fingerprint = ring.signing(purpose).verifying_key().fingerprint();
        table.row([label, &fingerprint.to_string()]);
    }
    let sealing = ring.sealing().public_key().fingerprint();
    table.row(["sealing", &sealing.to_string()]);
    Ok(format!("{} ({})\n\n{table}", ring.name(), ring.suite()))
}

fn read(path: &Path) -> Result<Vec<u8>, KeysError> {
    fs::read(path).map_err(|reason| KeysError::Read { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use quittance_crypto::signature::Suite;

    use super::*;

    #[test]
    fn only_public_facts_are_shown() {
        let home = tempfile::tempdir().unwrap();
        let ring = KeyRing::generate("AAAAZZ01", Suite::MlDsa65MlKem768).unwrap();
        let file = home.path().join("keys.age");
        fs::write(&file, ring.to_encrypted("secret words", 1).unwrap()).unwrap();
        fs::write(home.path().join("passphrase"), "secret words\n").unwrap();
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
        fs::write(&other, "wrong").unwrap();
        let error = inspect(&file, Some(&other)).unwrap_err().to_string();
        assert!(error.contains("keys.age cannot be read: "), "{error}");
        let ring = KeyRing::generate("AAAAZZ01", Suite::MlDsa65MlKem768).unwrap();
        fs::write(&file, ring.to_encrypted("right", 1).unwrap()).unwrap();
        let error = inspect(&file, Some(&other)).unwrap_err().to_string();
        assert!(error.ends_with("keys.age: the passphrase is wrong"), "{error}");
    }
}
