//! `scripts/prepare` on machines where something is missing, with stand-ins for the system's tools.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// A folder with stand-ins for `dpkg-query`, `id`, `apt-get` and `cargo`.
struct Machine(tempfile::TempDir);

impl Machine {
    /// On which `missing` packages are not installed, used by the user `user`.
    fn new(missing: &[&str], user: u32) -> Self {
        let machine = Self(tempfile::tempdir().expect("a folder"));
        let missing = missing.join("|");
        // The last argument is the package.
        let query = format!(
            "for package; do :; done\ncase \"$package\" in\n{missing}) exit 1 ;;\nesac\n\
             printf installed"
        );
        machine.tool("dpkg-query", if missing.is_empty() { "printf installed" } else { &query });
        machine.tool("id", &format!("echo {user}"));
        machine.tool("apt-get", "echo \"$@\" >> \"$(dirname \"$0\")/apt-get.log\"");
        machine.tool("cargo", "exit 0");
        machine
    }

    fn tool(&self, name: &str, script: &str) {
        let path = self.0.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    /// Leaves only the tools of this machine and the shell's helpers.
    fn prepare(&self, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/prepare");
        for helper in ["dirname", "cat"] {
            let from = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(helper));
            let from = from.iter().find(|path| path.exists()).expect("a helper");
            let to = self.0.path().join(helper);
            if !to.exists() {
                std::os::unix::fs::symlink(from, to).expect("a link");
            }
        }
        Command::new("/bin/sh")
            .arg(script)
            .args(arguments)
            .env_clear()
            .env("PATH", self.0.path())
            .output()
            .expect("a shell")
    }

    /// The calls of apt-get.
    fn installed(&self) -> String {
        fs::read_to_string(self.0.path().join("apt-get.log")).unwrap_or_default()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_complete_machine_is_left_alone() {
    for user in [0, 1000] {
        let machine = Machine::new(&[], user);
        let output = machine.prepare(&[]);
        assert!(output.status.success());
        assert_eq!((said(&output).as_str(), machine.installed().as_str()), ("", ""));
    }
}

#[test]
fn root_gets_what_is_missing_and_is_told_why() {
    let machine = Machine::new(&["g++", "libclang1-14"], 0);
    let output = machine.prepare(&[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        said(&output),
        "Missing: g++, which compiles the C++ of RocksDB.\n\
         Missing: libclang1-14, which lets bindgen read the headers of RocksDB.\n\
         Installing g++ libclang1-14\n"
    );
    assert_eq!(
        machine.installed(),
        "update -q\ninstall -q --no-install-recommends -y g++ libclang1-14\n"
    );
}

#[test]
fn only_the_tests_need_python() {
    let machine = Machine::new(&["python3", "python3-venv"], 0);
    assert_eq!(said(&machine.prepare(&[])), "");
    let output = machine.prepare(&["tests"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        machine.installed(),
        "update -q\ninstall -q --no-install-recommends -y python3 python3-venv\n"
    );
}

#[test]
fn others_are_told_what_to_run() {
    let machine = Machine::new(&["ca-certificates"], 1000);
    let output = machine.prepare(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        said(&output),
        "Missing: ca-certificates, which lets cargo check whom it downloads crates from.\n\
         Install what is missing, then run this again:\n    \
         sudo apt-get update && sudo apt-get install --no-install-recommends -y ca-certificates\n"
    );
    assert_eq!(machine.installed(), "");
}

#[test]
fn a_failed_installation_fails() {
    let machine = Machine::new(&["gcc"], 0);
    machine.tool("apt-get", "exit 100");
    assert_eq!(machine.prepare(&[]).status.code(), Some(100));
}

#[test]
fn without_rust_there_is_nothing_to_do() {
    let machine = Machine::new(&[], 0);
    fs::remove_file(machine.0.path().join("cargo")).expect("it was there");
    let output = machine.prepare(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).starts_with("cargo is not there."));
}
