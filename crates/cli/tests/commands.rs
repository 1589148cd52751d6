//! The program as its user meets it: command lines, files, exit codes, processes that end.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn quittance(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quittance"));
    command.args(arguments);
    command
}

fn output(arguments: &[&str]) -> Output {
    quittance(arguments).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A free port for the node of a small network, and its files in `home`.
fn testnet(home: &Path) -> u16 {
    let port = quittance_rpc::ports::free_range(20).expect("free ports");
    let base = port.to_string();
    let dir = home.join("net").display().to_string();
    let made = output(&["testnet", "--dir", &dir, "--institutions", "2", "--base-port", &base]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(
        text(&made.stdout).contains(&format!("quittance node --config {dir}/node/config.toml"))
    );
    port
}

/// Waits until something listens on a port.
fn listening(port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Waits until a process has ended; kills it if it does not.
fn ended(child: &mut Child) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("it was ours") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("it was running");
    None
}

#[test]
fn malformed_input_is_refused_before_anything_starts() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = home.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let positions = file("p.csv", "institution,currency,balance\nAAAAZZ01,EUR,1.005\n");
    let payments = file(
        "q.csv",
        "id,payer,payee,currency,amount\nP1,AAAAZZ01,AAAAZZ01,EUR,-1\nP1,AAAAZZ01,BBBBZZ01,GBP,1\n",
    );
    let dir = home.path().join("net");
    let json = home.path().join("out.json");
    let (dir_text, json_text) = (dir.display().to_string(), json.display().to_string());
    let refused = output(&[
        "demo",
        "--positions",
        &positions,
        "--payments",
        &payments,
        "--dir",
        &dir_text,
        "--json",
        &json_text,
    ]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(text(&refused.stdout), "");
    assert_eq!(
        text(&refused.stderr),
        format!(
            "{positions}:2: \"1.005\" is too precise: 3 decimals where the asset has 2\n\
             {payments}:2: \"-1\" is negative\n\
             {payments}:2: AAAAZZ01 pays itself\n\
             {payments}:3: the payment id \"P1\" is used on line 2 already\n\
             {payments}:3: unknown currency \"GBP\"; known are EUR, JPY and USD\n"
        )
    );
    assert!(!dir.exists() && !json.exists());
}

#[test]
fn keys_of_a_network_can_be_inspected() {
    let home = tempfile::tempdir().unwrap();
    testnet(home.path());
    let file = home.path().join("net/agent-BANKZZ02/keys.age").display().to_string();
    let shown = output(&["keys", "inspect", &file]);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    assert!(text(&shown.stdout).starts_with("BANKZZ02 (ml-dsa-65+x25519-ml-kem-768)\n"));
    let wrong = output(&["keys", "inspect", &file, "--passphrase", &file]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).ends_with("keys.age: the passphrase is wrong\n"));
}

#[test]
fn a_node_ends_in_good_order_with_its_parent_or_by_a_signal() {
    let home = tempfile::tempdir().unwrap();
    let port = testnet(home.path());
    let config = home.path().join("net/node/config.toml").display().to_string();

    let mut node = quittance(&["node", "--config", &config, "--stop-with-parent"]);
    let mut node =
        node.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(listening(port));
    drop(node.stdin.take());
    let status = ended(&mut node).expect("it ends when its input does");
    let mut log = String::new();
    node.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(status.success(), "{log}");
    assert!(log.contains("node has stopped"), "{log}");

    let mut node = quittance(&["node", "--config", &config]);
    let mut node =
        node.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(listening(port));
    let id = node.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(ended(&mut node).expect("it ends when it is told to").success());
}

#[test]
fn a_broken_configuration_is_explained() {
    let home = tempfile::tempdir().unwrap();
    testnet(home.path());
    let config = home.path().join("net/node/config.toml");
    let good = fs::read_to_string(&config).unwrap();
    let bad = good.replace("keys.age", "nothing.age").replace("127.0.0.1:", "somewhere:");
    fs::write(&config, bad).unwrap();
    let config = config.display().to_string();
    let refused = output(&["node", "--config", &config]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    // The key file, the listener's address and that of the metrics.
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(said.lines().all(|line| line.starts_with(&config)), "{said}");
}
