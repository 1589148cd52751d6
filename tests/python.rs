//! The examples in Python against real processes, and the vectors against the verifier in Python.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use quittance_cli::demo::currency::Currency;
use quittance_cli::testnet::names;
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::identity::{Identity, Role, Roles};
use quittance_rpc::tls::issue::Authority;
use quittance_tests::network::{Network, PATIENCE, POLL, ids};
use quittance_tests::python::{docs, python};
use serde_json::Value;
use tokio::time::{Instant, sleep};

const BANKS: [&str; 2] = ["AAAAZZ01", "BBBBZZ01"];

/// Exit codes of `bank.py`.
const DONE: i32 = 0;
const REFUSED: i32 = 2;
const NO_OUTCOME: i32 = 3;

/// A bank's system that calls its agent by `bank.py`.
struct System<'a> {
    network: &'a Network,
    bank: InstitutionId,
    /// Certificate and key, without the ends `.pem` and `.key`.
    credentials: PathBuf,
}

impl<'a> System<'a> {
    fn of(network: &'a Network, bank: &str) -> Self {
        let credentials = network.directory().join("clients").join(bank);
        Self { network, bank: bank.parse().expect("a name"), credentials }
    }

    fn command(&self, patience: &str, words: &str) -> Command {
        let mut command = python();
        command.arg(docs("examples/python/bank.py"));
        command.args(["--address", &self.network.agent(self.bank).address.to_string()]);
        command.arg("--certificate").arg(self.credentials.with_extension("pem"));
        command.arg("--key").arg(self.credentials.with_extension("key"));
        command.arg("--ca").arg(self.network.directory().join("ca/ca.pem"));
        command.args(["--patience", patience]).args(words.split(' '));
        command
    }

    /// Exit code, the messages it prints, and what it says besides.
    fn run(&self, patience: &str, words: &str) -> (i32, Vec<Value>, String) {
        ended(&self.command(patience, words).output().expect("Python runs"))
    }

    /// What it prints when all goes well.
    fn ask(&self, words: &str) -> Vec<Value> {
        let (code, shown, said) = self.run("60", words);
        assert_eq!(code, DONE, "{}: {words}: {said}", self.bank);
        shown
    }

    fn start(&self, words: &str) -> Child {
        let mut command = self.command("60", words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("Python runs")
    }
}

fn ended(output: &Output) -> (i32, Vec<Value>, String) {
    let shown = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}\n{said}"));
    let shown = shown.lines().map(line).collect();
    (output.status.code().unwrap_or(-1), shown, said)
}

fn column<'v>(lines: &'v [Value], name: &str) -> Vec<&'v str> {
    lines.iter().map(|line| line[name].as_str().unwrap_or_default()).collect()
}

/// Waits until the agent's balance is `expected`.
async fn balance(system: &System<'_>, expected: &str) {
    let mut bank = system.network.bank(system.bank);
    let deadline = Instant::now() + PATIENCE;
    while bank.account(Currency::Eur).await.expect("an account").balance != expected {
        assert!(Instant::now() < deadline, "{} does not get to {expected}", system.bank);
        sleep(POLL).await;
    }
}

/// A transfer with one UETR pays once, whoever asks how often; other content is refused.
async fn pay_once(network: &Network) {
    let central = System::of(network, names::CENTRAL_BANK);
    central.ask("transfer EUR AAAAZZ01=100.00 BBBBZZ01=100.00");
    let payer = System::of(network, BANKS[0]);
    balance(&payer, "100.00").await;
    let uetr = "--uetr 8b1c4cf2-5d7c-4bd1-9c3b-0d5cf4f5a001 --end-to-end-id INVOICE-1";
    let first = payer.ask(&format!("transfer EUR BBBBZZ01=12.50 {uetr}"));
    assert_eq!(column(&first, "state"), ["STATE_FINAL"]);
    assert_eq!(payer.ask(&format!("transfer EUR BBBBZZ01=12.50 {uetr}")), first);
    let (code, _, said) = payer.run("60", &format!("transfer EUR BBBBZZ01=12.51 {uetr}"));
    assert_eq!(code, REFUSED, "{said}");
    assert!(said.contains("ALREADY_EXISTS"), "{said}");
    balance(&payer, "87.50").await;
    let payee = System::of(network, BANKS[1]);
    balance(&payee, "112.50").await;
    let lines = payee.ask("statement EUR");
    let received: Vec<&Value> = lines.iter().filter(|line| line["amount"] == "12.50").collect();
    assert_eq!(received[0]["kind"], "KIND_RECEIVED");
    assert_eq!(received[0]["endToEndId"], "INVOICE-1");
    assert_eq!(received[0]["uetr"], "8b1c4cf2-5d7c-4bd1-9c3b-0d5cf4f5a001");
}

/// What can not succeed is refused at once and said so.
fn refusals(network: &Network) {
    let payer = System::of(network, BANKS[0]);
    for (words, reason) in [
        ("transfer EUR BBBBZZ01=1000.00", "FAILED_PRECONDITION"),
        ("transfer EUR BBBBZZ01=1.005", "INVALID_ARGUMENT"),
        ("transfer GBP BBBBZZ01=1", "INVALID_ARGUMENT"),
        ("transfer EUR BBBBZZ01=1 --uetr 8b1c4cf2", "INVALID_ARGUMENT"),
    ] {
        let (code, shown, said) = payer.run("60", words);
        assert_eq!((code, shown.len()), (REFUSED, 0), "{words}: {said}");
        assert!(said.contains(reason), "{words}: {said}");
    }
    // Another bank's certificate opens no connection: nobody is there, as far as it can tell.
    let credentials = network.directory().join("clients").join(BANKS[1]);
    let stranger = System { credentials, ..System::of(network, BANKS[0]) };
    let (code, _, said) = stranger.run("1", "balance EUR");
    assert_eq!(code, NO_OUTCOME, "{said}");
    assert!(said.contains("UNAVAILABLE"), "{said}");
}

/// A client that may read only.
fn roles(network: &Network) {
    let file = |name: &str| network.directory().join(name);
    let read = |name: &str| std::fs::read_to_string(file(name)).expect("a file");
    let authority = Authority::load(&read("ca/ca.pem"), &read("ca/ca.key")).expect("an authority");
    let roles = Roles::of(&[Role::Read]);
    let holder = Identity::Client { institution: ids(&BANKS)[0], roles };
    let issued = authority.issue(holder, &[]).expect("a certificate");
    std::fs::write(file("clients/reader.pem"), &issued.certificate_pem).expect("a file");
    std::fs::write(file("clients/reader.key"), issued.key_pem.as_bytes()).expect("a file");
    let credentials = file("clients/reader");
    let reader = System { credentials, ..System::of(network, BANKS[0]) };
    assert_eq!(column(&reader.ask("balance EUR"), "asset"), ["EUR"]);
    let (code, _, said) = reader.run("60", "transfer EUR BBBBZZ01=1.00");
    assert_eq!(code, REFUSED, "{said}");
    assert!(said.contains("PERMISSION_DENIED"), "{said}");
}

/// A queued payment is seen in the queue, settles in a round, and each step is an event.
async fn queue_and_watch(network: &Network) {
    let [first, second] = BANKS.map(|bank| System::of(network, bank));
    let uetr = "8b1c4cf2-5d7c-4bd1-9c3b-0d5cf4f5a002";
    let queued = first.ask(&format!("queue EUR BBBBZZ01 500.00 --uetr {uetr}"));
    assert_eq!(column(&queued, "state"), ["STATE_QUEUED"]);
    second.ask("queue EUR AAAAZZ01 490.00");
    assert_eq!(column(&first.ask("payments EUR"), "uetr"), [uetr]);
    network.bank(first.bank).request_round(Currency::Eur).await.expect("a round");
    balance(&first, "77.50").await;
    balance(&second, "122.50").await;
    let count = network.bank(first.bank).statement(Currency::Eur).await.expect("lines").len();
    assert_eq!(first.ask("statement EUR").len(), count);
    let events = first.ask(&format!("watch --count {}", count + 4));
    let positions: Vec<String> = (1..=events.len()).map(|number| number.to_string()).collect();
    assert_eq!(column(&events, "position"), positions);
    let states: Vec<&str> =
        events.iter().filter_map(|it| it["payment"]["state"].as_str()).collect();
    assert_eq!(states[0], "STATE_QUEUED");
    let later = first.ask("watch --after 3 --count 1");
    assert_eq!(later, [events[3].clone()]);
}

/// A transfer that is asked for while the agent is away is carried out once it is back.
async fn outlive_the_agent(network: &mut Network) {
    let agent = network.agent(ids(&BANKS)[0]);
    network.kill(&agent);
    let payer = System::of(network, BANKS[0]);
    let caller = payer.start("transfer EUR BBBBZZ01=7.50");
    // Long enough for the first attempts; if they come later, the test is only easier.
    sleep(Duration::from_secs(1)).await;
    network.start(&agent);
    let output = tokio::task::spawn_blocking(|| caller.wait_with_output());
    let (code, shown, said) = ended(&output.await.expect("no panic").expect("Python ends"));
    assert_eq!((code, column(&shown, "state")), (DONE, vec!["STATE_FINAL"]), "{said}");
    balance(&System::of(network, BANKS[0]), "70.00").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_uses_its_agent_from_python() {
    assert!(python().arg("--version").status().expect("Python runs").success());
    let mut network = Network::make("python", &BANKS, "info");
    network.start_all().await;
    pay_once(&network).await;
    refusals(&network);
    roles(&network);
    queue_and_watch(&network).await;
    outlive_the_agent(&mut network).await;
    network.audit();
    network.stop();
}

/// Runs the verifier of a folder like `docs/vectors`; what it says if it is not content.
fn verify(folder: &Path, names: &[&str]) -> Result<(), String> {
    let output = python().arg(folder.join("verifier")).args(names).output();
    let output = output.expect("Python runs");
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[test]
fn a_verifier_in_python_agrees_with_every_vector() {
    assert_eq!(verify(&docs("vectors"), &[]), Ok(()));
}

/// A verifier that finds nothing would agree, too.
#[test]
fn the_verifier_in_python_notices_a_changed_byte() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join("verifier")).expect("a folder");
    for entry in std::fs::read_dir(docs("vectors/verifier")).expect("the verifier") {
        let file = entry.expect("an entry").path();
        let name = file.file_name().expect("a name");
        if file.is_file() {
            std::fs::copy(&file, home.path().join("verifier").join(name)).expect("a copy");
        }
    }
    for (file, place) in [
        ("encoding.json", "/accepted/5/bytes"),
        ("digests.json", "/digests/3/digest"),
        ("digests.json", "/lists/4/paths/2/1"),
        ("digests.json", "/ids/credits/ids/3/id"),
        ("commitments.json", "/openings/3/commitment"),
        ("signatures.json", "/0/fingerprint"),
        ("range-proofs.json", "/valid/1/context"),
        ("seals.json", "/seals/1/text"),
        ("chain.json", "/blocks/1/header"),
        ("chain.json", "/blocks/0/transaction/credits/0/payload"),
        ("chain.json", "/proofs/0/proof"),
        ("receipts.json", "/outcomes/1/attestations/0/digest"),
        ("receipts.json", "/outcomes/1/notice"),
        ("receipts.json", "/outcomes/0/notices"),
        ("receipts.json", "/leaf"),
    ] {
        let text = std::fs::read_to_string(docs("vectors").join(file)).expect("a file");
        let mut vectors: Value = serde_json::from_str(&text).expect("JSON");
        let value = vectors.pointer_mut(place).unwrap_or_else(|| panic!("no {place}"));
        let mut changed = value.as_str().expect("a text").to_owned();
        let last = if changed.ends_with('0') { "1" } else { "0" };
        changed.replace_range(changed.len() - 1.., last);
        *value = Value::from(changed);
        std::fs::write(home.path().join(file), vectors.to_string()).expect("a file");
        let said = verify(home.path(), &[file]).expect_err(place);
        assert!(said.starts_with(file), "{file} {place}: {said}");
    }
}
