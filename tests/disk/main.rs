//! The program itself on a disk that fails: it ends, and says where and why.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the tests of the store read the log too")]
mod interpose;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use interpose::interpose;
use quittance_cli::testnet;
use quittance_cli::testnet::plan::Plan;
use quittance_tests::binaries::program;

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a node on a disk with a fault until it ends; what it said last.
fn node(fault: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut plan = Plan {
        name: "disk".to_owned(),
        suite: quittance_crypto::signature::Suite::MlDsa65MlKem768,
        banks: ["AAAAZZ01", "BBBBZZ01"].map(|id| id.parse().unwrap()).into(),
        assets: vec![("EUR".parse().unwrap(), 2)],
        validators: 1,
        base_port: 0,
    };
    plan.base_port = quittance_rpc::ports::free_range(plan.ports()).unwrap();
    let members = testnet::create(&plan, home.path()).unwrap();
    let mut command = Command::new(program("quittance"));
    command.arg("node").arg("--config").arg(members.node.config(home.path()));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    interpose(&mut command, &home.path().join("node"), None, Some(fault));
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{fault}: {said}");
    said.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_node_ends_when_its_disk_fails_or_is_full() {
    // The first writes make the chain; the fourth is a block's.
    for (fault, cause) in [
        ("fail 4 log sync", "Input/output error"),
        ("full 4 log write", "No space left on device"),
        ("fail 4 marker write", "Input/output error"),
        ("full 1 list write", "No space left on device"),
    ] {
        let said = node(fault);
        assert!(said.contains("node/data") && said.contains(cause), "{fault}: {said}");
    }
}
