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
    let shown_public = output(&["keys", "public", &file]);
    assert!(shown_public.status.success(), "{}", text(&shown_public.stderr));
    let record: serde_json::Value = serde_json::from_slice(&shown_public.stdout).unwrap();
    assert_eq!(record["institution"], "BANKZZ02");
    // As the network's genesis has them.
    let genesis = fs::read(home.path().join("net/genesis.json")).unwrap();
    let genesis: serde_json::Value = serde_json::from_slice(&genesis).unwrap();
    assert_eq!(record["suite"], genesis["suite"]);
    let registered = genesis["institutions"]["BANKZZ02"]["keys"].as_object().unwrap();
    assert!(registered.len() >= 4);
    for (used_for, key) in registered {
        assert_eq!(record["keys"][used_for], *key, "{used_for}");
    }
    let out = home.path().join("record.json").display().to_string();
    let written = output(&["keys", "public", &file, "--out", &out]);
    assert_eq!(text(&written.stdout), format!("the public keys of BANKZZ02 are in {out}\n"));
    assert_eq!(fs::read(&out).unwrap(), shown_public.stdout);
    let refused = output(&["keys", "public", &file, "--out", &out]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).ends_with("record.json exists already, and is left as it is\n"));

    let other = home.path().join("net/agent-BANKZZ01/passphrase").display().to_string();
    let wrong = output(&["keys", "inspect", &file, "--passphrase", &other]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).ends_with("keys.age: the passphrase is wrong\n"));
}

#[test]
fn keys_are_made_and_get_another_passphrase() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("keys.age").display().to_string();
    let create = ["keys", "create", &file, "--institution", "AAAAZZ01"];
    let refused = output(&create);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("passphrase cannot be read: "));
    let made = output(&[&create[..], &["--draw"]].concat());
    assert!(made.status.success(), "{}", text(&made.stderr));
    let shown = text(&made.stdout);
    assert!(shown.starts_with("AAAAZZ01 (ml-dsa-65+x25519-ml-kem-768)\n"), "{shown}");
    let refused = output(&[&create[..], &["--draw"]].concat());
    assert!(text(&refused.stderr).ends_with("keys.age exists already, and is left as it is\n"));

    let before = fs::read(home.path().join("passphrase")).unwrap();
    let changed = output(&["keys", "passphrase", &file, "--draw"]);
    assert!(changed.status.success(), "{}", text(&changed.stderr));
    assert_eq!(text(&changed.stdout), shown);
    assert_ne!(fs::read(home.path().join("passphrase")).unwrap(), before);
    assert!(!home.path().join("passphrase.new").exists());
    assert_eq!(text(&output(&["keys", "inspect", &file]).stdout), shown);
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
fn a_second_signal_ends_a_process_at_once() {
    let home = tempfile::tempdir().unwrap();
    let port = testnet(home.path());
    let config = home.path().join("net/node/config.toml").display().to_string();
    let mut node = quittance(&["node", "--config", &config]);
    let mut node =
        node.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(listening(port));
    let id = node.id().to_string();
    // Both come before it has done anything about the first.
    for signal in ["-STOP", "-INT", "-TERM", "-CONT"] {
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
    let status = ended(&mut node).expect("it ends when it is told to");
    let mut log = String::new();
    node.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(matches!(status.code(), Some(130 | 143)), "{status}: {log}");
    assert!(log.contains("ended at once by a second signal\n"), "{log}");
    assert!(!log.contains("node has stopped"), "{log}");
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

/// The process whose command line has this text in it.
fn process(text: &str) -> Option<String> {
    let entries = fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    let mut ids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    ids.find(|id| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        id.parse::<u32>().is_ok() && String::from_utf8_lossy(&line).contains(text)
    })
}

/// Waits until a file has this text in it.
fn written(path: &Path, text: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let content = fs::read_to_string(path).expect("a file");
        if content.contains(text) {
            return content;
        }
        assert!(Instant::now() < deadline, "no {text:?} in {content}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that ends with the test, also when that fails. Those that it has started end with it.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_network_goes_on_when_one_of_its_processes_dies() {
    let home = tempfile::tempdir().unwrap();
    testnet(home.path());
    let dir = home.path().join("net").display().to_string();
    let said = home.path().join("said");
    let mut up = quittance(&["up", "--dir", &dir]);
    let up = up.stdin(Stdio::null()).stdout(fs::File::create(&said).unwrap()).spawn();
    let mut up = Guarded(up.unwrap());
    written(&said, "All processes run");
    let party = process(&format!("{dir}/party-MPCBZZ01/config.toml")).unwrap();
    assert!(Command::new("kill").args(["-KILL", &party]).status().unwrap().success());
    let config = format!("{dir}/party-MPCBZZ01/config.toml");
    let again = format!("To start it again: quittance mpc-party --config {config}");
    assert!(
        written(&said, &again).contains("party-MPCBZZ01 ended by itself (signal: 9 (SIGKILL))")
    );

    let status = output(&["status", "--dir", &dir, "--within", "20"]);
    assert_eq!(status.status.code(), Some(1));
    let shown = text(&status.stdout);
    assert!(shown.contains("MPC party    MPCBZZ01     NOT LISTENING"), "{shown}");
    assert!(
        shown.contains(&format!("Start it: quittance mpc-party --config {config}\n")),
        "{shown}"
    );

    assert!(up.0.try_wait().unwrap().is_none(), "the others go on");
    let id = up.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert!(ended(&mut up.0).expect("it ends when it is told to").success());
    assert_eq!(process(&dir), None, "nothing is left");
}
