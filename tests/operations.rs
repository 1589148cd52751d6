//! What an operator sees of a running network: log lines that are JSON, metrics of every process,
//! and its status; and that none of that holds a secret.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use quittance_cli::demo::currency::Currency;
use quittance_cli::demo::input::Payment;
use quittance_cli::status::scrape::{Metrics, scrape};
use quittance_cli::testnet::names;
use quittance_cli::testnet::plan::Member;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::identity::Process;
use quittance_rpc::metrics::METRICS;
use quittance_rpc::proto::agent::v1::payment;
use quittance_tests::binaries::program;
use quittance_tests::network::{Network, PATIENCE, POLL, ids};
use quittance_tests::secrets::{Found, LEAST, Secrets};
use serde_json::Value;
use tokio::time::sleep;

const BANKS: [&str; 2] = ["AAAAZZ01", "BBBBZZ01"];

/// Rounds that do not wait long for those who will not come.
const COORDINATOR: &str = "join_blocks = 20\ndeadline_blocks = 30\ngather_ms = 2000";

/// The bank's own references, which are no business of a log.
const REFERENCES: [&str; 2] = ["Lieferung 4711-Zwickau", "Gehalt 0815-Oktober"];

/// What nobody may read in a log or in metrics: amounts, references, keys and passphrases.
struct Confidential {
    secrets: Secrets,
}

impl Confidential {
    fn new(network: &Network) -> Self {
        let mut secrets = Secrets::new();
        for member in network.members.iter() {
            let file =
                |name: &str| fs::read(member.path(network.directory()).join(name)).expect("a file");
            let passphrase = String::from_utf8(file("passphrase")).expect("text");
            let ring = KeyRing::from_encrypted(passphrase.trim_end(), &file("keys.age"));
            let (ring, of) = (ring.expect("its keys"), member.institution());
            for purpose in Purpose::ALL {
                secrets.bytes(
                    &format!("{purpose:?} of {of}"),
                    ring.signing(purpose).seed().as_slice(),
                );
            }
            secrets.bytes(&format!("note key of {of}"), ring.note().as_bytes().as_slice());
            secrets.bytes(&format!("passphrase of {of}"), passphrase.trim_end().as_bytes());
        }
        for reference in REFERENCES {
            secrets.bytes(reference, reference.as_bytes());
        }
        Self { secrets }
    }

    fn amount(&mut self, cents: u64) {
        let known = self.secrets.amount(&Currency::Eur.format(cents), cents);
        assert!(known.is_some(), "{cents} is large enough to be looked for");
    }

    /// What of it stands in a text.
    fn search(&self, place: &str, text: &[u8]) -> Vec<String> {
        let mut found = Found::new();
        self.secrets.search(text, &mut found);
        let told = found.into_keys().map(|(number, form)| (self.secrets.name(number), form));
        told.map(|(name, form)| format!("{place}: {name} ({form})")).collect()
    }
}

/// Both banks pay each other, at once and by a round, so that every process has had work.
async fn trade(network: &mut Network, confidential: &mut Confidential) {
    let banks = ids(&BANKS);
    let amount = |number: u64| (LEAST << 3) + 12_345_678_901 * number;
    (1..=6).for_each(|number| confidential.amount(amount(number)));
    network.fund(&[(banks[0], amount(6)), (banks[1], amount(5))]).await;
    let (mut one, mut two) = (network.bank(banks[0]), network.bank(banks[1]));
    one.transfer(REFERENCES[0], Currency::Eur, &[(banks[1], amount(1))]).await.expect("paid");
    two.transfer(REFERENCES[1], Currency::Eur, &[(banks[0], amount(2))]).await.expect("paid");
    for (place, number) in [(0, 3), (1, 4)] {
        let (payer, payee) = (banks[place], banks[1 - place]);
        let (id, amount) = (format!("circle {place}"), amount(number));
        let payment = Payment { id, payer, payee, currency: Currency::Eur, amount };
        network.bank(payer).queue(&payment).await.expect("queued");
    }
    settle(network, &banks).await;
}

/// Asks for rounds until nothing is queued any more.
async fn settle(network: &mut Network, banks: &[InstitutionId]) {
    let deadline = Instant::now() + 2 * PATIENCE;
    let mut asked = Instant::now() - PATIENCE;
    loop {
        network.check();
        let mut open = 0;
        for bank in banks {
            let payments = network.bank(*bank).payments().await.expect("payments");
            open += payments.iter().filter(|it| it.state() != payment::State::Settled).count();
        }
        if open == 0 {
            return;
        }
        if asked.elapsed() > Duration::from_secs(2) {
            // Refused as long as somebody who is needed is not there.
            let _ = network.bank(banks[0]).request_round(Currency::Eur).await;
            asked = Instant::now();
        }
        assert!(Instant::now() < deadline, "{open} payments have not settled");
        sleep(POLL).await;
    }
}

/// What a process counts, once it has counted its part in the round, of which it may hear last.
async fn scraped(member: &Member) -> Metrics {
    let busy = match member.name.process {
        Process::Node => "quittance_grpc_calls_total{method=\"quittance.node.v1.Node/Submit\"",
        Process::Agent if member.institution().as_str() == names::CENTRAL_BANK => {
            "quittance_agent_instructions_total{state=\"final\"}"
        }
        Process::Agent => "quittance_agent_rounds_total{stage=\"settled\"}",
        Process::Party => "quittance_party_sessions_total{outcome=",
        Process::Coordinator => "quittance_coordinator_rounds_total{outcome=\"settled\"}",
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = scrape(member.metrics).await.expect("metrics");
        if metrics.text().contains(busy) {
            return metrics;
        }
        assert!(Instant::now() < deadline, "{}: {busy}\n{}", member.folder, metrics.text());
        sleep(POLL).await;
    }
}

/// Each process tells what it should, of itself alone.
fn check_metrics(member: &Member, members: &[Member], metrics: &Metrics) {
    let (of, text) = (format!("metrics of {}", member.folder), metrics.text());
    for metric in METRICS.iter().filter(|metric| metric.is_of(member.name.process)) {
        let name = metric.name;
        let described = text.contains(&format!("# HELP {name} {}\n", metric.help()));
        let counted = text.lines().any(|line| line.starts_with(name));
        assert!(described || !counted, "{of}: {name}");
        assert!(counted || !metric.labels.is_empty(), "{of}: {name}");
    }
    assert_eq!(metrics.count("quittance_ready"), Some(1), "{of}");
    assert!(metrics.count("quittance_chain_height").is_some_and(|height| height > 5), "{of}");
    let strangers =
        members.iter().map(Member::institution).filter(|id| *id != member.institution());
    for id in strangers {
        assert!(!text.contains(id.as_str()), "{id} in the {of}");
    }
}

/// Every line of a log is an object that says when, how grave, where and what.
fn check_log(member: &Member, log: &[u8]) {
    let text = std::str::from_utf8(log).expect("UTF-8");
    let of = format!("log of {}", member.folder);
    for line in text.lines() {
        let value: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{of}: {error}: {line}"));
        for key in ["timestamp", "level", "target"] {
            assert!(value[key].is_string(), "{of}: {key}: {line}");
        }
        assert!(value["fields"].is_object(), "{of}: {line}");
    }
    let says = |what: &str| {
        text.lines().any(|line| {
            let value: Value = serde_json::from_str(line).expect("seen above");
            value["fields"]["message"] == what
        })
    };
    let last = match member.name.process {
        Process::Node => "node has stopped",
        Process::Agent => "agent has stopped",
        Process::Party => "party has stopped",
        Process::Coordinator => "coordinator has stopped",
    };
    assert!(says("metrics are served") && says(last), "{of}");
}

/// How long `quittance status` waits for each process, in seconds: longer than by default, since
/// this machine may be busy.
const WITHIN: u64 = 10;

/// `quittance status --json`: the exit code, and what it says.
fn status(whom: &str, path: &Path) -> (i32, Value) {
    let mut command = Command::new(program("quittance"));
    command.args(["status", "--json", "--within", &WITHIN.to_string(), whom]).arg(path);
    let output = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = serde_json::from_slice(&output.stdout);
    let value = value.unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code().expect("no signal"), value)
}

/// State of each process, by institution.
fn states(status: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let processes = status["processes"].as_array().expect("a list").iter();
    processes.map(|it| (text(&it["institution"]), text(&it["state"]))).collect()
}

/// Waits until the status is as it should be.
async fn becomes(network: &Network, code: i32, wanted: &[(&str, &str)]) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (is, status) = status("--dir", network.directory());
        let mut expected: BTreeMap<String, String> =
            states(&status).into_keys().map(|id| (id, "ready".to_owned())).collect();
        expected.extend(wanted.iter().map(|(id, state)| ((*id).to_owned(), (*state).to_owned())));
        if is == code && states(&status) == expected {
            return status;
        }
        assert!(Instant::now() < deadline, "{status:#}");
        sleep(POLL).await;
    }
}

/// Dead, silent and living processes, told apart.
async fn look_at_trouble(network: &mut Network) {
    let status_of = |status: &Value, institution: &str| {
        let mut processes = status["processes"].as_array().expect("a list").iter();
        processes.find(|it| it["institution"] == institution).expect("a process").clone()
    };
    let well = becomes(network, 0, &[]).await;
    assert_eq!((&well["well"], &well["findings"]), (&true.into(), &Value::Array(vec![])));
    assert_eq!(well["processes"].as_array().expect("a list").len(), 8);
    for process in well["processes"].as_array().expect("a list") {
        assert!(process["height"].as_u64().is_some_and(|height| height > 5), "{process}");
        assert!(process["behind"].as_i64().is_none_or(|behind| behind >= 0), "{process}");
        assert_eq!(process["version"], env!("CARGO_PKG_VERSION"), "{process}");
        assert!(process["uptime_ms"].as_u64().is_some(), "{process}");
    }
    // As one bank sees it, with the certificate of its agent.
    let agent = network.agent(ids(&BANKS)[0]);
    let (code, seen) = status("--config", &agent.config(network.directory()));
    assert_eq!((code, states(&seen)), (0, states(&well)), "{seen:#}");

    let party = network.members.parties[1].clone();
    network.kill(&party);
    let (_, pid) =
        network.processes().into_iter().find(|(name, _)| *name == agent.folder).expect("it");
    let signal = |name: &str| {
        let status = Command::new("kill").args([name, &pid.to_string()]).status();
        assert!(status.expect("kill").success());
    };
    signal("-STOP");
    let before = Instant::now();
    let (code, troubled) = status("--dir", network.directory());
    let took = before.elapsed();
    signal("-CONT");
    assert_eq!((code, &troubled["well"]), (1, &false.into()), "{troubled:#}");
    assert!(took < Duration::from_secs(3 * WITHIN), "{took:?} for one that never answers");
    let (dead, silent) = (party.institution(), agent.institution());
    assert_eq!(status_of(&troubled, dead.as_str())["state"], "not_listening", "{troubled:#}");
    assert_eq!(status_of(&troubled, silent.as_str())["state"], "silent", "{troubled:#}");
    let findings = troubled["findings"].as_array().expect("a list");
    assert_eq!(findings.len(), 2, "{troubled:#}");
    let advice = findings[0]["advice"].to_string();
    let config = party.config(network.directory()).display().to_string();
    assert!(advice.contains(&format!("quittance mpc-party --config {config}")), "{advice}");

    network.start(&party);
    becomes(network, 0, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_see_is_complete_and_holds_no_secret() {
    let mut network = Network::make("operations", &BANKS, "debug");
    let members: Vec<Member> = network.members.iter().cloned().collect();
    members.iter().for_each(|member| network.configure(member, "log_format = \"json\""));
    network.configure(&network.members.coordinator, COORDINATOR);
    network.start_all().await;
    let mut confidential = Confidential::new(&network);
    trade(&mut network, &mut confidential).await;

    let mut wrong = vec![];
    for member in &members {
        let metrics = scraped(member).await;
        check_metrics(member, &members, &metrics);
        wrong.extend(
            confidential
                .search(&format!("metrics of {}", member.folder), metrics.text().as_bytes()),
        );
    }
    look_at_trouble(&mut network).await;
    network.stop();
    for member in &members {
        let log = fs::read(member.path(network.directory()).join("log")).expect("a log");
        assert!(log.len() > 500, "{} bytes of log of {}", log.len(), member.folder);
        check_log(member, &log);
        wrong.extend(confidential.search(&format!("log of {}", member.folder), &log));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
