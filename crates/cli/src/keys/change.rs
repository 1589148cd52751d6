//! `quittance keys passphrase`: the same keys under another passphrase.
//!
//! Two files change: the key file, and the file with its passphrase. The order is
//!
//! 1. the new passphrase is durable in a file of its own;
//! 2. the key file under the new passphrase is durable beside the old one, and was opened;
//! 3. it takes the place of the old one;
//! 4. the file with the new passphrase takes the place of the one with the old.
//!
//! Before the third step the old pair is good, after it the new one. Whoever was interrupted gives
//! the same command again: it finds out which step is next.

use std::path::Path;

use quittance_crypto::keyfile::{KeyFileError, KeyRing};

use super::durable::{self, Staged};
use super::{KeysError, open, passphrase, read, shown, verified};

/// A change of passphrase.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The key file.
    pub file: &'a Path,
    /// The file with the passphrase that opens it, and which will hold the new one.
    pub old: &'a Path,
    /// The file with the new passphrase, which is gone afterwards.
    pub new: &'a Path,
    /// The work factor of the key file.
    pub log_n: u8,
}

/// What is left to do.
enum Step {
    Encrypt(Box<KeyRing>),
    Rename(Box<KeyRing>),
}

impl Change<'_> {
    /// Carries it out. With `draw`, a new passphrase is drawn and its file made, unless it is there
    /// already. Returns what may be shown of the keys.
    pub fn run(self, draw: bool) -> Result<String, KeysError> {
        if draw && !self.new.exists() {
            // So that none is made for a file that does not open.
            open(self.file, &passphrase::read(self.old)?)?;
            passphrase::generate(self.new)?;
        }
        let secret = passphrase::read_new(self.new)?;
        durable::sync(self.new).map_err(|reason| self.failed(self.new, reason))?;
        durable::can_rename(self.new, self.old).map_err(|reason| self.failed(self.old, reason))?;
        let ring = match self.next(&secret)? {
            Step::Encrypt(ring) => {
                let staged = self.stage(&ring, &secret)?;
                staged.replace(self.file).map_err(|reason| self.failed(self.file, reason))?;
                ring
            }
            Step::Rename(ring) => ring,
        };
        durable::rename(self.new, self.old).map_err(|reason| self.failed(self.old, reason))?;
        Ok(shown(&ring))
    }

    /// Where an interrupted change stands: the key file opens with the old or the new passphrase.
    fn next(&self, new: &str) -> Result<Step, KeysError> {
        let old = passphrase::read(self.old)?;
        let file = read(self.file)?;
        match KeyRing::from_encrypted(&old, &file) {
            Ok(_) if *old == *new => Err(KeysError::Same),
            Ok(ring) => Ok(Step::Encrypt(Box::new(ring))),
            Err(KeyFileError::WrongPassphrase) => {
                let ring = KeyRing::from_encrypted(new, &file);
                // That of the old one is what matters to whoever began.
                let ring = ring.map_err(|_| KeyFileError::WrongPassphrase);
                let failed = |reason| KeysError::KeyFile { path: self.file.to_owned(), reason };
                Ok(Step::Rename(Box::new(ring.map_err(failed)?)))
            }
            Err(reason) => Err(KeysError::KeyFile { path: self.file.to_owned(), reason }),
        }
    }

    /// The key file under the new passphrase, durable and opened, but not in its place.
    fn stage(&self, ring: &KeyRing, secret: &str) -> Result<Staged, KeysError> {
        let failed = |reason| KeysError::KeyFile { path: self.file.to_owned(), reason };
        let bytes = ring.to_encrypted(secret, self.log_n).map_err(failed)?;
        let staged = Staged::beside(self.file, &bytes);
        let staged = staged.map_err(|reason| self.failed(self.file, reason))?;
        verified(&staged, self.file, secret, ring)?;
        Ok(staged)
    }

    fn failed(&self, path: &Path, reason: std::io::Error) -> KeysError {
        KeysError::Write { path: path.to_owned(), reason }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use quittance_crypto::signature::Suite;

    use super::*;
    use crate::keys::inspect;

    const OLD: &str = "correct horse battery staple";
    const NEW: &str = "quite another set of words";

    struct Site {
        home: tempfile::TempDir,
        ring: KeyRing,
    }

    impl Site {
        fn new() -> Self {
            let ring = KeyRing::generate("AAAAZZ01", Suite::MlDsa65MlKem768).unwrap();
            let site = Self { home: tempfile::tempdir().unwrap(), ring };
            fs::write(site.file("keys.age"), site.ring.to_encrypted(OLD, 1).unwrap()).unwrap();
            site.secret("passphrase", OLD);
            site.secret("new", NEW);
            site
        }

        fn file(&self, name: &str) -> PathBuf {
            self.home.path().join(name)
        }

        fn secret(&self, name: &str, text: &str) {
            fs::write(self.file(name), format!("{text}\n")).unwrap();
            fs::set_permissions(self.file(name), PermissionsExt::from_mode(0o600)).unwrap();
        }

        fn change(&self, draw: bool) -> Result<String, KeysError> {
            let (file, old, new) =
                (self.file("keys.age"), self.file("passphrase"), self.file("new"));
            Change { file: &file, old: &old, new: &new, log_n: 1 }.run(draw)
        }

        /// The names of passphrase files that open the key file.
        fn opened_by(&self) -> Vec<&'static str> {
            let opens = |name: &&str| {
                let secret = passphrase::read(&self.file(name));
                secret.is_ok_and(|secret| open(&self.file("keys.age"), &secret).is_ok())
            };
            ["passphrase", "new"].into_iter().filter(opens).collect()
        }

        /// The change is complete, and the keys are the same.
        fn check(&self) {
            let names = fs::read_dir(self.home.path()).unwrap();
            let mut names: Vec<_> =
                names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.retain(|name| !name.starts_with(".keys.age."));
            names.sort();
            assert_eq!(names, ["keys.age", "passphrase"]);
            assert_eq!(inspect(&self.file("keys.age"), None).unwrap(), shown(&self.ring));
            let secret = passphrase::read(&self.file("passphrase")).unwrap();
            let again = open(&self.file("keys.age"), &secret).unwrap();
            assert_eq!(again.note().as_bytes(), self.ring.note().as_bytes());
            for name in ["keys.age", "passphrase"] {
                let mode = fs::metadata(self.file(name)).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{name}");
            }
        }
    }

    #[test]
    fn the_keys_stay_and_only_the_new_passphrase_opens_them() {
        let site = Site::new();
        assert_eq!(site.change(false).unwrap(), shown(&site.ring));
        site.check();
        let error = open(&site.file("keys.age"), OLD).err().unwrap().to_string();
        assert!(error.ends_with("keys.age: the passphrase is wrong"), "{error}");
        // And once more, with one that is drawn.
        assert_eq!(site.change(true).unwrap(), shown(&site.ring));
        site.check();
        assert!(open(&site.file("keys.age"), NEW).is_err());
    }

    #[test]
    fn one_good_pair_is_left_at_any_moment_and_the_same_command_goes_on() {
        // After the second step: the new key file lies beside the old one.
        let site = Site::new();
        let (file, old, new) = (site.file("keys.age"), site.file("passphrase"), site.file("new"));
        let change = Change { file: &file, old: &old, new: &new, log_n: 1 };
        let before = fs::read(&file).unwrap();
        // The crash: nothing is tidied up any more.
        std::mem::forget(change.stage(&site.ring, NEW).unwrap());
        assert_eq!(fs::read_dir(site.home.path()).unwrap().count(), 4);
        assert_eq!(fs::read(&file).unwrap(), before);
        assert_eq!(site.opened_by(), ["passphrase"]);
        site.change(false).unwrap();
        site.check();

        // After the third: the key file is new, and the passphrase in its place is the old one.
        let site = Site::new();
        let (file, old, new) = (site.file("keys.age"), site.file("passphrase"), site.file("new"));
        let change = Change { file: &file, old: &old, new: &new, log_n: 1 };
        change.stage(&site.ring, NEW).unwrap().replace(&file).unwrap();
        assert_eq!(site.opened_by(), ["new"]);
        site.change(false).unwrap();
        site.check();
        // After the fourth all is done.
        let error = site.change(false).unwrap_err().to_string();
        assert!(error.contains("new cannot be read: "), "{error}");
        site.check();
    }

    #[test]
    fn nothing_changes_when_a_passphrase_is_wrong_weak_or_the_same() {
        let site = Site::new();
        let before = fs::read(site.file("keys.age")).unwrap();
        let refused = |reason: &str| {
            let error = site.change(false).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert_eq!(fs::read(site.file("keys.age")).unwrap(), before);
            assert!(site.file("new").exists());
        };
        site.secret("new", "short");
        refused("new: the passphrase has 5 characters; at least 16 are needed");
        site.secret("new", "");
        refused("new: the passphrase is empty");
        site.secret("new", OLD);
        refused("the new passphrase is the old one");
        site.secret("new", NEW);
        site.secret("passphrase", "correct horse battery stapler");
        refused("keys.age: the passphrase is wrong");
        // None is drawn for a file that does not open.
        fs::remove_file(site.file("new")).unwrap();
        assert!(site.change(true).unwrap_err().to_string().ends_with("the passphrase is wrong"));
        assert!(!site.file("new").exists());
    }
}
