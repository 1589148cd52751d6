//! Writing files that are not there yet, secrets readable by their owner only.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use thiserror::Error;

/// A file or folder that could not be made.
#[derive(Debug, Error)]
#[error("{path} cannot be written: {reason}", path = .path.display())]
pub struct WriteError {
    /// Which.
    pub path: PathBuf,
    /// Why not.
    pub reason: io::Error,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> WriteError {
    let path = path.to_owned();
    move |reason| WriteError { path, reason }
}

/// Makes a folder, and those above it. It may exist only if it is empty.
pub fn empty_folder(path: &Path) -> Result<(), WriteError> {
    folder(path)?;
    match fs::read_dir(path).map_err(failed(path))?.next() {
        None => Ok(()),
        Some(_) => Err(failed(path)(io::Error::other("the folder is not empty"))),
    }
}

/// Makes a folder, and those above it, for their owner only.
pub fn folder(path: &Path) -> Result<(), WriteError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path))
}

/// Writes a new file that everybody may read.
pub fn public(path: &Path, content: impl AsRef<[u8]>) -> Result<(), WriteError> {
    write(path, content.as_ref(), 0o644)
}

/// Writes a new file that its owner may read.
pub fn secret(path: &Path, content: impl AsRef<[u8]>) -> Result<(), WriteError> {
    write(path, content.as_ref(), 0o600)
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), WriteError> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(content)).map_err(failed(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn nothing_is_overwritten_and_secrets_are_private() {
        let home = tempfile::tempdir().unwrap();
        let inside = home.path().join("a/b");
        empty_folder(&inside).unwrap();
        empty_folder(&inside).unwrap();
        let file = inside.join("key");
        secret(&file, "one").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let error = secret(&file, "two").unwrap_err();
        assert_eq!(error.reason.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
        let error = empty_folder(&inside).unwrap_err().to_string();
        assert!(error.ends_with("a/b cannot be written: the folder is not empty"), "{error}");
    }
}
