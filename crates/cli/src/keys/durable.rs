//! Files that are there whole or not at all, whatever happens meanwhile: written under another
//! name, synced, and then given their own name, which is synced too.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;

/// A file's new content, on the disk under a name that nobody looks for.
///
/// Dropped, it is removed; a crash leaves it as `.<name>.<random>`, which does no harm.
pub(crate) struct Staged {
    file: NamedTempFile,
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

impl Staged {
    /// Writes and syncs `content` beside `path`, readable by its owner only.
    pub(crate) fn beside(path: &Path, content: &[u8]) -> io::Result<Self> {
        Self::with_mode(path, content, 0o600)
    }

    /// The same, readable by everybody.
    pub(crate) fn public(path: &Path, content: &[u8]) -> io::Result<Self> {
        Self::with_mode(path, content, 0o644)
    }

    fn with_mode(path: &Path, content: &[u8], mode: u32) -> io::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut file = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .permissions(fs::Permissions::from_mode(mode))
            .tempfile_in(folder(path))?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        Ok(Self { file })
    }

    /// What is on the disk, read anew.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        fs::read(self.file.path())
    }

    /// Gives it its name, which must be free.
    pub(crate) fn create(self, path: &Path) -> io::Result<()> {
        self.file.persist_noclobber(path).map_err(|error| error.error)?;
        sync_folder(path)
    }

    /// Gives it the name of a file that it replaces.
    pub(crate) fn replace(self, path: &Path) -> io::Result<()> {
        self.file.persist(path).map_err(|error| error.error)?;
        sync_folder(path)
    }
}

/// Makes a file that somebody else has written as durable as ours.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    sync_folder(path)
}

/// Whether [`rename`] can do it: found out before anything depends on it.
pub(crate) fn can_rename(from: &Path, to: &Path) -> io::Result<()> {
    let beside = Staged::beside(to, &[])?;
    if fs::metadata(from)?.dev() == beside.file.as_file().metadata()?.dev() {
        return Ok(());
    }
    Err(io::Error::other(format!("{} is on another disk", from.display())))
}

/// Gives one file the name of another, which it replaces. Both on one disk.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder(to)?;
    sync_folder(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_private_and_never_overwritten_by_a_new_one() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("keys.age");
        let names = || {
            let entries = fs::read_dir(home.path()).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect::<Vec<_>>()
        };
        let staged = Staged::beside(&path, b"one").unwrap();
        assert!(names().len() == 1 && names()[0].starts_with(".keys.age."));
        assert_eq!(staged.read().unwrap(), b"one");
        staged.create(&path).unwrap();
        assert_eq!(names(), ["keys.age"]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let error = Staged::beside(&path, b"two").unwrap().create(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&path).unwrap(), names().len()), (b"one".to_vec(), 1));
        Staged::beside(&path, b"three").unwrap().replace(&path).unwrap();
        assert_eq!((fs::read(&path).unwrap(), names().len()), (b"three".to_vec(), 1));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(Staged::beside(&path, b"four").unwrap());
        assert_eq!((fs::read(&path).unwrap(), names().len()), (b"three".to_vec(), 1));
    }

    #[test]
    fn a_file_in_the_present_folder_has_a_folder() {
        assert_eq!(folder(Path::new("keys.age")), Path::new("."));
        assert_eq!(folder(Path::new("a/keys.age")), Path::new("a"));
    }
}
