//! Programs of `docs/` that are written in Python, in an environment of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Calls the Python that has the packages and stubs which the examples need. The first call makes
/// the environment in the target directory, which is kept for the next time.
///
/// # Panics
/// If it cannot be made, with what the script says about it.
pub fn python() -> Command {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(INTERPRETER.get_or_init(make));
    // Nothing is written beside the sources.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A file under `docs/`.
pub fn docs(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file)
}

fn make() -> PathBuf {
    // A test is <target>/<profile>/deps/<test>.
    let test = std::env::current_exe().expect("a test has a path");
    let target = test.ancestors().nth(3).expect("three folders above");
    let folder = target.join("python");
    let mut script = Command::new("/bin/sh");
    script.env("PYTHONDONTWRITEBYTECODE", "1");
    script.arg(docs("examples/python/setup.sh")).arg(&folder).arg(docs("vectors/requirements.txt"));
    let output = script.output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "no Python for the tests:\n{said}");
    folder.join("bin/python")
}
