//! A trial network's files in the hands of the programs that they are made for.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use quittance_cli::demo::report::Audit;
use quittance_cli::demo::run::audit_arguments;
use quittance_cli::supervisor::Supervisor;
use quittance_cli::testnet;
use quittance_cli::testnet::plan::{Members, Plan};
use quittance_rpc::ports;
use quittance_tests::binaries::program;

fn network(directory: &Path) -> Members {
    let mut plan = Plan {
        name: "processes".to_owned(),
        suite: quittance_crypto::signature::Suite::MlDsa65MlKem768,
        banks: ["AAAAZZ01", "BBBBZZ01"].map(|id| id.parse().expect("a name")).into(),
        assets: vec![("EUR".parse().expect("a code"), 2)],
        validators: 1,
        base_port: 0,
    };
    plan.base_port = ports::free_range(plan.ports()).expect("free ports");
    testnet::create(&plan, directory).expect("a network")
}

fn start_node(processes: &mut Supervisor, members: &Members, directory: &Path) {
    let mut command = Command::new(program("quittance"));
    command.arg("node").arg("--config").arg(members.node.config(directory));
    command.arg("--stop-with-parent");
    processes.start("node", command, &directory.join("node/log")).expect("a process");
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(members.node.address).is_err() {
        processes.check().expect("the node lives");
        assert!(Instant::now() < deadline, "the node does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn audit(directory: &Path, members: &Members) -> Audit {
    let arguments = audit_arguments(directory, &members.node.address.to_string());
    let output = Command::new(program("quittance-audit")).args(arguments).output();
    let output = output.expect("the auditor runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Audit::parse(&said).expect("the auditor's JSON")
}

/// Blocks are made, outlive a crash of the node, and are verified by the auditor's program.
#[test]
fn the_auditor_replays_what_a_node_has_made() {
    let home = tempfile::tempdir().expect("a folder");
    let members = network(home.path());
    let mut processes = Supervisor::new(Duration::from_secs(10));
    start_node(&mut processes, &members, home.path());
    let deadline = Instant::now() + Duration::from_secs(20);
    let before = loop {
        let verdict = audit(home.path(), &members).verdict;
        if verdict.blocks >= 2 {
            break verdict;
        }
        assert!(Instant::now() < deadline, "no heartbeat");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(before.verified);
    assert!(before.signatures >= before.blocks);

    assert!(processes.kill("node"));
    start_node(&mut processes, &members, home.path());
    let after = audit(home.path(), &members).verdict;
    assert!(after.verified && after.blocks >= before.blocks);
    assert_eq!(processes.stop(), [""; 0], "the node ends when it is told to");
}
