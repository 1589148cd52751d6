//! What the validators decide, and keys that institutions replace, as agents take it.

use std::time::Duration;

use quittance_crypto::keyfile::{KeyRing, KeyUse};
use quittance_crypto::signature::Purpose;
use quittance_ledger::build::{NewKey, Terms, Unsigned};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{Height, InstitutionId};
use quittance_ledger::state::Asset;
use quittance_ledger::transaction::{Approval, Body, Change};
use quittance_rpc::client::Dialer;
use quittance_rpc::identity::{Identity, Process, ProcessName};
use quittance_rpc::nodes::Nodes;
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::exchange::State;
use quittance_rpc::proto::node::v1::ChainStatusRequest;
use quittance_rpc::submit::{Outcome, Submitter};
use tonic::Code;

use crate::site::{Bank, CENTRAL, ONE, Site, TWO, uetr};
use crate::{code, funded, have_exchanged};

const VALIDATOR: &str = "VALDZZ01";

/// Blocks until what was decided takes effect. Enough for all that happens before.
const AHEAD: u64 = 40;

fn id(text: &str) -> InstitutionId {
    text.parse().unwrap()
}

fn ring(site: &Site, who: &str) -> KeyRing {
    let file = std::fs::read(site.file(who, "keys.age")).unwrap();
    KeyRing::from_encrypted("secret", &file).unwrap()
}

fn dialer(site: &Site) -> Dialer {
    let name = ProcessName { institution: id(CENTRAL), process: Process::Agent };
    site.dialer(Identity::Process(name))
}

/// The terms of a transaction made now, and a height that is some blocks away.
async fn soon(site: &Site) -> (Terms, Height) {
    let genesis = std::fs::read(site.file("", "genesis.json")).unwrap();
    let genesis: Genesis = serde_json::from_slice(&genesis).unwrap();
    let mut node = dialer(site).node(&site.node_target()).unwrap();
    let status = node.chain_status(ChainStatusRequest {}).await.unwrap().into_inner();
    let effective = Height(status.height + AHEAD);
    let (suite, chain) = (genesis.suite, genesis.chain_id());
    (Terms { suite, chain, expiry: Height(effective.0 - 1) }, effective)
}

/// Signs, submits, and waits until it is final.
async fn submit(site: &Site, body: Body, who: &str, ring: &KeyRing) {
    let unsigned = Unsigned::new(body, vec![]).unwrap();
    let named = unsigned.signers()[&id(who)];
    let key = ring.signing_key(Purpose::Transaction, &named).unwrap();
    let signature = unsigned.sign(id(who), key).unwrap();
    let transaction = unsigned.assemble(vec![signature]).unwrap();
    let submitter = Submitter::new(&Nodes::new(&dialer(site), &[site.node_target()]).unwrap());
    let outcome = submitter.settle(&transaction).await.unwrap();
    assert!(matches!(outcome, Outcome::Final { .. }), "{outcome:?}");
}

/// The validator decides; when that takes effect.
async fn decide(site: &Site, number: u64, changes: Vec<Change>) -> Height {
    let (terms, effective) = soon(site).await;
    let ring = ring(site, VALIDATOR);
    let key_fingerprint = ring.signing(Purpose::Transaction).verifying_key().fingerprint();
    let approvals = vec![Approval { institution: id(VALIDATOR), key_fingerprint }];
    let body = terms.governance(number, effective, changes, approvals).unwrap();
    submit(site, body, VALIDATOR, &ring).await;
    effective
}

/// Registers the newest key of `used_for` in the key file of `who`, by its key of before.
async fn register(site: &Site, who: &str, signer: &KeyRing, used_for: KeyUse) -> Height {
    let (terms, effective) = soon(site).await;
    let ring = ring(site, who);
    let key = match used_for {
        KeyUse::Signing(purpose) => NewKey::Signing(purpose, ring.signing(purpose)),
        KeyUse::Sealing => NewKey::Sealing(ring.sealing().public_key()),
    };
    let print = signer.signing(Purpose::Transaction).verifying_key().fingerprint();
    let body = terms.rotation(id(who), print, &key, effective).unwrap();
    submit(site, body, who, signer).await;
    effective
}

/// Adds a key to the key file of `who`.
fn renew(site: &Site, who: &str, used_for: KeyUse) {
    let mut ring = ring(site, who);
    ring.renew(used_for).unwrap();
    std::fs::write(site.file(who, "keys.age"), ring.to_encrypted("secret", 1).unwrap()).unwrap();
}

/// Waits until an agent has taken the block before `height`.
async fn reaches(bank: &mut Bank, height: Height) {
    for _ in 0..1200 {
        let status = bank.client.agent_status(api::AgentStatusRequest {}).await;
        if status.unwrap().into_inner().height + 1 >= height.0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} does not reach height {height}", bank.who);
}

fn transfer(number: u8, to: &str, asset: &str) -> api::TransferRequest {
    let institution = to.to_owned();
    let receiver = api::Receiver { institution, amount: "1".into(), ..api::Receiver::default() };
    let (uetr, receivers) = (uetr(number), vec![receiver]);
    api::TransferRequest { uetr, asset: asset.into(), receivers, wait_ms: 20_000 }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_is_used_once_it_is_listed() {
    let site = Site::new();
    let (node, mut one, mut two) = funded(&site).await;
    let mut central = site.agent(CENTRAL).await.caught_up().await;
    let unknown = central.client.transfer(transfer(1, ONE, "XAU")).await;
    assert_eq!(code(unknown), Some(Code::InvalidArgument));
    let terms = Asset { issuer: id(CENTRAL), decimals: 2 };
    let listed = Change::ListAsset { asset: "XAU".parse().unwrap(), terms };
    let effective = decide(&site, 1, vec![listed]).await;
    for bank in [&mut central, &mut one, &mut two] {
        reaches(bank, effective).await;
    }
    central.pay(2, ONE, "XAU", "7").await;
    one.holds("XAU", "7.00").await;
    one.pay(3, TWO, "XAU", "3").await;
    two.holds("XAU", "3.00").await;
    // From the chain alone, too.
    one.stop().await;
    site.lose_store(ONE);
    let mut one = site.agent(ONE).await.caught_up().await;
    one.holds("XAU", "4.00").await;
    one.holds("EUR", "100.00").await;
    for bank in [central, one, two] {
        bank.stop().await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_bank_is_neither_paid_nor_traded_with() {
    let site = Site::new();
    let (node, mut one, mut two) = funded(&site).await;
    let effective = decide(&site, 1, vec![Change::Suspend { institution: id(TWO) }]).await;
    reaches(&mut one, effective).await;
    reaches(&mut two, effective).await;
    let suspended = format!("{TWO} is suspended since height {effective}");
    let mut say = Vec::new();
    say.push(one.client.transfer(transfer(1, TWO, "EUR")).await.unwrap_err());
    say.push(two.client.transfer(transfer(2, ONE, "USD")).await.unwrap_err());
    say.push(one.propose(TWO, 60_000).await.unwrap_err());
    let queued = api::QueuePaymentRequest {
        uetr: uetr(3),
        asset: "EUR".into(),
        payee: TWO.into(),
        amount: "1".into(),
        ..Default::default()
    };
    say.push(one.client.queue_payment(queued).await.unwrap_err());
    for status in say {
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert!(status.message().contains(&suspended), "{status}");
    }
    let effective = decide(&site, 2, vec![Change::Readmit { institution: id(TWO) }]).await;
    reaches(&mut one, effective).await;
    one.pay(4, TWO, "EUR", "1").await;
    for bank in [one, two] {
        bank.stop().await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_goes_over_to_its_new_keys_and_others_take_them() {
    let site = Site::new();
    let (node, one, mut two) = funded(&site).await;
    let before = ring(&site, ONE);
    let uses = [KeyUse::Signing(Purpose::Transaction), KeyUse::Sealing];
    uses.iter().for_each(|used_for| renew(&site, ONE, *used_for));
    // The agent has both before the height, and signs with the old one until then.
    one.stop().await;
    let mut one = site.agent(ONE).await.caught_up().await;
    one.pay(11, TWO, "EUR", "1").await;
    register(&site, ONE, &before, KeyUse::Sealing).await;
    let effective = register(&site, ONE, &before, uses[0]).await;
    one.pay(12, TWO, "EUR", "1").await;
    for bank in [&mut one, &mut two] {
        reaches(bank, effective).await;
    }
    one.pay(13, TWO, "EUR", "1").await;
    two.pay(14, ONE, "EUR", "3").await;
    one.holds("EUR", "100.00").await;
    assert_eq!(one.propose(TWO, 60_000).await.unwrap().state(), State::Offered);
    let accepted = two.accept(20_000).await.unwrap();
    assert_eq!(accepted.state(), State::Final, "{}", accepted.reason);
    have_exchanged(&mut one, &mut two).await;

    // The chain is read again with all keys; those of before open what came before.
    one.stop().await;
    site.lose_store(ONE);
    let mut one = site.agent(ONE).await.caught_up().await;
    have_exchanged(&mut one, &mut two).await;
    one.pay(15, TWO, "EUR", "1").await;
    one.stop().await;

    // Without the new ones an agent can do nothing, and says so.
    let old = before.to_encrypted("secret", 1).unwrap();
    std::fs::write(site.file(ONE, "keys.age"), old).unwrap();
    let config = quittance_agent::Config::load(&site.config(ONE)).unwrap();
    let ended = quittance_agent::run(config, std::future::pending()).await;
    let said = ended.unwrap_err().to_string();
    assert!(said.contains("the Transaction key that the chain has registered for"), "{said}");
    assert!(said.ends_with("is not in its key file"), "{said}");
    two.stop().await;
    node.stop().await;
}
