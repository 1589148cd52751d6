//! A bank whose validator dies goes on through the others, and shows to anybody what it has paid: the
//! receipt that its agent gives is verified by the auditor's program.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use quittance_cli::demo::bank::uetr;
use quittance_cli::demo::currency::Currency;
use quittance_cli::demo::input::Payment;
use quittance_cli::testnet::plan::Member;
use quittance_ledger::ids::InstitutionId;
use quittance_tests::binaries::program;
use quittance_tests::network::{Network, PATIENCE, POLL, ids};

const BANKS: [&str; 3] = ["AAAAZZ01", "BBBBZZ01", "CCCCZZ01"];

const AMOUNT: u64 = 12_345;

fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}

/// `quittance client receipt`.
fn receipt(network: &Network, bank: InstitutionId, payment: &str, out: &Path) -> Output {
    let mut command = Command::new(program("quittance"));
    command.arg("client").arg("--dir").arg(network.directory());
    command.args(["--bank", &bank.to_string(), "receipt", &uetr(payment).to_string(), "--out"]);
    command.arg(out).output().expect("the client runs")
}

/// The receipt of a payment, by this bank's agent, is verified from the genesis.
fn shown(network: &Network, bank: InstitutionId, payment: &str) {
    let out = network.directory().join(format!("{bank} {payment}.json"));
    let deadline = Instant::now() + PATIENCE;
    let mut output = receipt(network, bank, payment, &out);
    // A payee's agent may not have read the block yet.
    while text(&output).contains("nor received") && Instant::now() < deadline {
        std::thread::sleep(POLL);
        output = receipt(network, bank, payment, &out);
    }
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("final in block"), "{said}");
    let mut audit = Command::new(program("quittance-audit"));
    audit.args(["receipt", "verify", "--genesis"]).arg(network.directory().join("genesis.json"));
    let audited = audit.arg(&out).output().expect("the auditor runs");
    let verdict = text(&audited);
    assert!(audited.status.success() && verdict.contains("VERIFIED: final"), "{verdict}");
    // A file that is there stays as it is.
    let before = std::fs::read(&out).expect("a receipt");
    let again = receipt(network, bank, payment, &out);
    assert!(!again.status.success() && text(&again).contains("exists"), "{}", text(&again));
    assert_eq!(std::fs::read(&out).expect("a receipt"), before);
}

/// There is no receipt of this payment: the client says why, and makes no file.
fn refused(network: &Network, bank: InstitutionId, payment: &str, words: &str) {
    let out = network.directory().join("none.json");
    let output = receipt(network, bank, payment, &out);
    let said = text(&output);
    assert!(!output.status.success() && said.contains(words), "{words}: {said}");
    assert!(said.contains(&uetr(payment).to_string()), "{said}");
    assert!(!out.exists(), "a file for {payment}");
}

/// The validator that a bank's agent uses first, by the agent's own configuration.
fn first_node(network: &Network, bank: InstitutionId) -> Member {
    let config = network.agent(bank).config(network.directory());
    let config = std::fs::read_to_string(config).expect("a configuration");
    let config: toml::Table = config.parse().expect("TOML");
    let nodes = config["nodes"].as_array().expect("a list of nodes");
    assert_eq!(nodes.len(), 4, "all validators are named");
    let first = nodes[0].as_str().expect("a name");
    let mut nodes = network.members.nodes();
    nodes.find(|node| node.institution().to_string() == first).expect("a node").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_go_on_without_a_bank_s_validator_and_have_receipts() {
    let banks = ids(&BANKS);
    let [one, two, three] = banks[..] else { unreachable!("three banks") };
    let mut network = Network::of_validators(4, "failover", &BANKS, "info");
    network.start_all().await;
    network.fund(&[(one, 1_000_000), (two, 1_000_000)]).await;
    let pay = async |network: &Network, from: InstitutionId, to: InstitutionId, name: &str| {
        let mut bank = network.bank(from);
        bank.transfer(name, Currency::Eur, &[(to, AMOUNT)]).await.expect("paid");
    };
    pay(&network, one, two, "before").await;
    let first = first_node(&network, one);
    network.kill(&first);
    pay(&network, one, two, "without it").await;
    // Whoever used another one goes on as well.
    pay(&network, two, three, "another").await;
    for payment in ["before", "without it"] {
        shown(&network, one, payment);
    }
    shown(&network, two, "another");
    shown(&network, three, "another");

    refused(&network, three, "without it", "has neither made nor received");
    refused(&network, one, "nobody's", "has neither made nor received");
    let queued = Payment {
        id: "queued".to_owned(),
        payer: one,
        payee: two,
        currency: Currency::Eur,
        amount: AMOUNT,
    };
    network.bank(one).queue(&queued).await.expect("queued");
    refused(&network, one, "payment queued", "it waits for a round");

    // It comes back, and then the next one is away, also while the agent itself starts.
    network.start(&first);
    network.ready(&first).await;
    let second = first_node(&network, two);
    assert_ne!(first.folder, second.folder, "banks share the work among validators");
    network.kill(&second);
    let agent = network.agent(two);
    network.restart(&[agent]).await;
    pay(&network, two, one, "after its start").await;
    shown(&network, two, "after its start");
    shown(&network, one, "after its start");
    network.start(&second);
    network.ready(&second).await;
    network.audit();
    network.stop();
}
