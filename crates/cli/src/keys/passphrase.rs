//! Passphrases in files, and which are good enough for a new key file.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use quittance_rpc::config::passphrase_in;
use rand_core::{OsRng, RngCore};
use thiserror::Error;
use zeroize::Zeroizing;

use super::KeysError;
use super::durable::Staged;

/// The fewest characters of a passphrase for a new key file.
const LEAST: usize = 16;

/// And how many of them must differ.
const DIFFERENT: usize = 8;

/// Why a passphrase does not protect a new key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Weak {
    /// Nothing in it.
    #[error("the passphrase is empty")]
    Empty,
    /// Guessed too soon.
    #[error("the passphrase has {0} characters; at least {LEAST} are needed")]
    Short(usize),
    /// The same few again and again.
    #[error("the passphrase has {0} different characters; at least {DIFFERENT} are needed")]
    Monotonous(usize),
    /// Hard to type again, and an accident more often than not.
    #[error("the passphrase has more than one line, or begins or ends with a blank")]
    Blanks,
}

/// The passphrase in a file, as a daemon reads it. Only its owner may read the file.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    let failed = |reason| KeysError::Read { path: path.to_owned(), reason };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeysError::Open { path: path.to_owned(), mode });
    }
    let text = fs::read(path).map(Zeroizing::new).map_err(failed)?;
    let text = std::str::from_utf8(&text).map_err(|error| failed(std::io::Error::other(error)))?;
    Ok(Zeroizing::new(passphrase_in(text).to_owned()))
}

/// The same, for a key file that is about to be made.
pub(super) fn read_new(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    let passphrase = read(path)?;
    check(&passphrase).map_err(|reason| KeysError::Weak { path: path.to_owned(), reason })?;
    Ok(passphrase)
}

/// Draws a passphrase of 256 bits, and writes it to a new file.
pub(super) fn generate(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    let mut secret = Zeroizing::new([0; 32]);
    OsRng.fill_bytes(secret.as_mut());
    let passphrase = Zeroizing::new(hex::encode(secret.as_slice()));
    let line = Zeroizing::new(format!("{}\n", *passphrase));
    let written = Staged::beside(path, line.as_bytes()).and_then(|staged| staged.create(path));
    written.map_err(|reason| KeysError::Write { path: path.to_owned(), reason })?;
    Ok(passphrase)
}

/// Not a measure of entropy: it keeps out what is not even meant as a passphrase.
fn check(passphrase: &str) -> Result<(), Weak> {
    let count = passphrase.chars().count();
    let different = passphrase.chars().collect::<BTreeSet<_>>().len();
    if passphrase.trim().is_empty() {
        Err(Weak::Empty)
    } else if passphrase.trim() != passphrase || passphrase.contains(char::is_control) {
        Err(Weak::Blanks)
    } else if count < LEAST {
        Err(Weak::Short(count))
    } else if different < DIFFERENT {
        Err(Weak::Monotonous(different))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_protects_nothing_is_refused() {
        for (passphrase, verdict) in [
            ("correct horse battery staple", Ok(())),
            ("0123456789abcdef", Ok(())),
            ("Grüße aus Köln, 1926", Ok(())),
            ("", Err(Weak::Empty)),
            ("                    ", Err(Weak::Empty)),
            ("0123456789abcde", Err(Weak::Short(15))),
            ("äöüäöüäöü", Err(Weak::Short(9))),
            ("aaaaaaaaaaaaaaaaaaaaaaaa", Err(Weak::Monotonous(1))),
            ("abcabcabcabcabcabcabcabc", Err(Weak::Monotonous(3))),
            (" correct horse battery staple", Err(Weak::Blanks)),
            ("correct horse battery staple ", Err(Weak::Blanks)),
            ("correct horse\nbattery staple", Err(Weak::Blanks)),
            ("correct horse\tbattery staple", Err(Weak::Blanks)),
        ] {
            assert_eq!(check(passphrase), verdict, "{passphrase:?}");
        }
    }

    #[test]
    fn drawn_ones_are_good_and_differ() {
        let home = tempfile::tempdir().unwrap();
        let (one, other) = (home.path().join("one"), home.path().join("other"));
        let first = generate(&one).unwrap();
        assert_ne!(*first, *generate(&other).unwrap());
        assert_eq!(*read_new(&one).unwrap(), *first);
        assert_eq!(first.len(), 64);
        let again = generate(&one).unwrap_err().to_string();
        assert!(again.starts_with(&format!("{} cannot be written: ", one.display())), "{again}");
        assert_eq!(*read(&one).unwrap(), *first);
    }
}
