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

/// Cargo, as if it were called from a shell: without what the cargo that runs a test tells the test
/// about its package. Build scripts that look at such variables (ring's does) would find them changed,
/// and half of the workspace would be built anew, for each package in turn.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
        if text == "OUT_DIR" || of_package.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    cargo
}

fn build() -> PathBuf {
    // A test is <target>/<profile>/deps/<test>.
    let test = std::env::current_exe().expect("a test has a path");
    let folder =
        test.parent().and_then(|deps| deps.parent()).expect("two folders above").to_owned();
    let target = folder.parent().expect("a third one");
    let mut cargo = cargo();
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
