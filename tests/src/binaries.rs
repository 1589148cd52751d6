//! The programs under test, as they are now.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The path of one of the workspace's programs. The first call builds them all, which takes no time
/// if nothing has changed.
///
/// # Panics
/// If they cannot be built.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(name)
}

fn build() -> PathBuf {
    // A test is <target>/<profile>/deps/<test>.
    let test = std::env::current_exe().expect("a test has a path");
    let folder =
        test.parent().and_then(|deps| deps.parent()).expect("two folders above").to_owned();
    let target = folder.parent().expect("a third one");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--offline", "--workspace", "--bins"]);
    // Together with a test, so that features are chosen as for `cargo test --workspace`: then what
    // that has built is used, and nothing is built twice.
    cargo.args(["--test", "sample", "--manifest-path"]);
    cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    cargo.arg("--target-dir").arg(target);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo runs").success(), "the programs cannot be built");
    folder
}
