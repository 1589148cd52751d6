//! `quittance keys create`: a new key file.

use std::path::Path;

use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Suite;
use quittance_ledger::ids::InstitutionId;

use super::durable::Staged;
use super::{KeysError, passphrase, shown, verified};

/// What the keys are for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Whose they are.
    pub institution: InstitutionId,
    /// Their algorithms.
    pub suite: Suite,
    /// The work factor of the key file.
    pub log_n: u8,
}

/// Makes fresh keys for all purposes, and a new file of them. The passphrase is in the file
/// `secret`; with `draw`, it is drawn and that file is made, too. Returns what may be shown.
pub fn create(file: &Path, secret: &Path, draw: bool, wanted: Wanted) -> Result<String, KeysError> {
    if file.exists() {
        // So that no passphrase is made in vain; the real decision is below.
        return Err(KeysError::Exists(file.to_owned()));
    }
    let passphrase =
        if draw { passphrase::generate(secret) } else { passphrase::read_new(secret) }?;
    let failed = |reason| KeysError::KeyFile { path: file.to_owned(), reason };
    let ring = KeyRing::generate(wanted.institution.as_str(), wanted.suite).map_err(failed)?;
    let bytes = ring.to_encrypted(&passphrase, wanted.log_n).map_err(failed)?;
    let write = |reason| KeysError::Write { path: file.to_owned(), reason };
    let staged = Staged::beside(file, &bytes).map_err(write)?;
    verified(&staged, file, &passphrase, &ring)?;
    staged.create(file).map_err(|reason| match reason.kind() {
        std::io::ErrorKind::AlreadyExists => KeysError::Exists(file.to_owned()),
        _ => write(reason),
    })?;
    Ok(shown(&ring))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::keys::inspect;

    fn wanted(suite: Suite) -> Wanted {
        Wanted { institution: "AAAAZZ01".parse().unwrap(), suite, log_n: 1 }
    }

    #[test]
    fn keys_are_made_for_every_suite_and_open() {
        for suite in [Suite::MlDsa65MlKem768, Suite::MlDsa87MlKem1024] {
            let home = tempfile::tempdir().unwrap();
            let (file, secret) = (home.path().join("keys.age"), home.path().join("passphrase"));
            let shown = create(&file, &secret, true, wanted(suite)).unwrap();
            assert!(shown.starts_with(&format!("AAAAZZ01 ({suite})\n")), "{shown}");
            assert_eq!(inspect(&file, None).unwrap(), shown);
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&file), mode(&secret)), (0o600, 0o600));
            assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
            // Neither is overwritten.
            let before = fs::read(&file).unwrap();
            let error = create(&file, &secret, true, wanted(suite)).unwrap_err();
            assert!(matches!(error, KeysError::Exists(_)), "{error}");
            let other = home.path().join("other.age");
            let error = create(&other, &secret, true, wanted(suite)).unwrap_err().to_string();
            assert!(error.contains("passphrase cannot be written: "), "{error}");
            assert!(!other.exists());
            assert_eq!(fs::read(&file).unwrap(), before);
        }
    }

    #[test]
    fn a_passphrase_of_ones_own_must_be_good_and_private() {
        let home = tempfile::tempdir().unwrap();
        let (file, secret) = (home.path().join("keys.age"), home.path().join("mine"));
        let make = |text: &str, mode: u32| {
            fs::write(&secret, text).unwrap();
            fs::set_permissions(&secret, PermissionsExt::from_mode(mode)).unwrap();
            create(&file, &secret, false, wanted(Suite::MlDsa65MlKem768))
        };
        let refused = |text: &str, mode: u32| make(text, mode).unwrap_err().to_string();
        assert!(refused("", 0o600).ends_with("mine: the passphrase is empty"));
        assert!(refused("\n", 0o600).ends_with("mine: the passphrase is empty"));
        assert!(refused("hunter2\n", 0o600).contains("has 7 characters; at least 16 are needed"));
        let open = refused("correct horse battery staple", 0o640);
        assert!(open.ends_with("mine is readable by others (mode 640): chmod 600"), "{open}");
        assert!(!file.exists());
        make("correct horse battery staple\n", 0o600).unwrap();
        // As a daemon reads it.
        let ring =
            KeyRing::from_encrypted("correct horse battery staple", &fs::read(&file).unwrap());
        assert_eq!(ring.unwrap().name(), "AAAAZZ01");
    }
}
