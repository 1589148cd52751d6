//! A network of real processes by the stronger suite: ML-DSA-87, X25519 with ML-KEM-1024 on the
//! ledger, P-384 with ML-KEM-1024 between the processes.

use std::fs;
use std::process::Command;
use std::time::Instant;

use quittance_cli::client;
use quittance_cli::demo::currency::Currency;
use quittance_cli::demo::input::Payment;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Suite;
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::client::Dialer;
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::agent::v1::payment::State;
use quittance_rpc::proto::node::v1::ChainStatusRequest;
use quittance_tests::binaries::program;
use quittance_tests::network::{Network, PATIENCE, POLL, ids};
use tokio::time::sleep;

const SUITE: Suite = Suite::MlDsa87MlKem1024;

const BANKS: [&str; 3] = ["AAAAZZ01", "BBBBZZ01", "CCCCZZ01"];

const EURO: u64 = 100;

/// Each bank owes the next one more than it has.
async fn queue_a_circle(network: &Network, banks: &[InstitutionId]) {
    for (place, payer) in banks.iter().enumerate() {
        let payee = banks[(place + 1) % banks.len()];
        let (id, currency) = (format!("circle {place}"), Currency::Eur);
        let amount = 5_000 * EURO + place as u64;
        let payment = Payment { id, payer: *payer, payee, currency, amount };
        network.bank(*payer).queue(&payment).await.expect("queued");
    }
}

/// Waits until every queued payment has settled.
async fn settled(network: &mut Network, banks: &[InstitutionId]) {
    let deadline = Instant::now() + PATIENCE;
    for bank in banks {
        let mut bank = network.bank(*bank);
        loop {
            network.check();
            let payments = bank.payments().await.expect("payments");
            if payments.iter().all(|payment| payment.state() == State::Settled) {
                break;
            }
            assert!(Instant::now() < deadline, "{} still has {payments:?}", bank.id);
            sleep(POLL).await;
        }
    }
}

#[tokio::test]
async fn a_network_of_the_stronger_suite_transfers_nets_and_is_audited() {
    let mut network = Network::of_suite(SUITE, "suites", &BANKS, "info");
    network.start_all().await;
    assert_eq!(network.genesis().suite, SUITE);
    let banks = ids(&BANKS);
    network.fund(&banks.iter().map(|bank| (*bank, 1_000 * EURO)).collect::<Vec<_>>()).await;
    let mut first = network.bank(banks[0]);
    first.transfer("first", Currency::Eur, &[(banks[1], 50 * EURO)]).await.expect("paid");
    queue_a_circle(&network, &banks).await;
    first.request_round(Currency::Eur).await.expect("a round");
    settled(&mut network, &banks).await;

    // Who speaks the key exchange of the other suite alone is not served by the node.
    let file = |name: &str| network.directory().join(name);
    let tls = client::credentials(&file("auditor.pem"), &file("auditor.key"), &file("ca/ca.pem"));
    let weaker = tls.expect("certificates").of_suite(Suite::MlDsa65MlKem768);
    let node = Dialer::new(weaker, Limits::default()).node(&network.node());
    let status = node.expect("a client").chain_status(ChainStatusRequest::default()).await;
    let reason = status.expect_err("no common key exchange").to_string();
    assert!(reason.contains("no common key exchange"), "{reason}");

    network.audit();
    network.stop();
}

#[test]
fn keys_of_the_other_suite_are_refused_at_the_start() {
    let network = Network::of_suite(SUITE, "wrong-suite", &BANKS, "info");
    for member in network.members.iter() {
        let folder = member.path(network.directory());
        let other = KeyRing::generate(member.institution().as_str(), Suite::MlDsa65MlKem768);
        let passphrase = fs::read_to_string(folder.join("passphrase")).expect("a passphrase");
        let file = other.expect("keys").to_encrypted(&passphrase, 10).expect("a key file");
        fs::write(folder.join("keys.age"), file).expect("a key file");
        let mut command = Command::new(program("quittance"));
        let role = quittance_cli::demo::network::subcommand(member.name.process);
        let config = member.config(network.directory());
        let output = command.arg(role).arg("--config").arg(config).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{}", member.folder);
        let reason = "they are of the suite ml-dsa-65+x25519-ml-kem-768, \
                      the genesis of ml-dsa-87+x25519-ml-kem-1024";
        assert!(said.contains(reason), "{}: {said}", member.folder);
    }
}
