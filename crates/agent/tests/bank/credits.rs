//! Credits that arrive.

use super::*;
use quittance_crypto::commitment::Opening;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Purpose;
use quittance_ledger::build::{Poster, Receiver, Terms, Unsigned};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{AccountId, Height, Uetr};
use quittance_ledger::payload::Particulars;
use quittance_ledger::transaction::{Side, Transaction};
use quittance_rpc::identity::{Identity, Process, ProcessName};
use quittance_rpc::nodes::Nodes;
use quittance_rpc::submit::{Outcome, Submitter};
use rand_core::OsRng;

/// The central bank's first posting: 5.00 EUR for ONE, sealed to somebody else.
fn sealed_to_another(site: &Site) -> Transaction {
    let ring = std::fs::read(site.file(CENTRAL, "keys.age")).unwrap();
    let ring = KeyRing::from_encrypted("secret", &ring).unwrap();
    let genesis = std::fs::read(site.file(CENTRAL, "../genesis.json")).unwrap();
    let genesis: Genesis = serde_json::from_slice(&genesis).unwrap();
    let (chain, institution) = (genesis.chain_id(), CENTRAL.parse().unwrap());
    let key = ring.signing(Purpose::Transaction);
    let poster = Poster {
        chain,
        account: AccountId { institution, asset: "EUR".parse().unwrap() },
        side: Side::Issuer,
        key_fingerprint: key.verifying_key().fingerprint(),
        sequence: 0,
        balance: &Opening::zero(),
        note_key: ring.note(),
    };
    let receiver = Receiver {
        institution: ONE.parse().unwrap(),
        sealing_key: ring.sealing().public_key(),
        amount: 500,
        particulars: Particulars::new(Uetr([1; 16]), "", "").unwrap(),
    };
    let draft = poster.transfer(&[], &[receiver], Uetr([1; 16]), &mut OsRng).unwrap();
    let terms = Terms { suite: genesis.suite, chain, expiry: Height(500) };
    let body = terms.entries(vec![draft.entry().clone()]).unwrap();
    let proof = draft.prove(&body, &mut OsRng).unwrap().proof;
    let unsigned = Unsigned::new(body, vec![proof]).unwrap();
    let signature = unsigned.sign(institution, key).unwrap();
    unsigned.assemble(vec![signature]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credit_that_cannot_be_opened_is_told_of_and_sent_back() {
    let site = Site::new();
    let node = site.node().await;
    let mut one = site.agent(ONE).await.caught_up().await;
    let (institution, process) = (CENTRAL.parse().unwrap(), Process::Agent);
    let dialer = site.dialer(Identity::Process(ProcessName { institution, process }));
    let submitter = Submitter::new(&Nodes::new(&dialer, &[site.node_target()]).unwrap());
    let outcome = submitter.settle(&sealed_to_another(&site)).await.unwrap();
    assert!(matches!(outcome, Outcome::Final { .. }), "{outcome:?}");
    let refused = |event: &What| matches!(event, What::Warning(text) if text.contains(CENTRAL) && text.contains("refused"));
    one.until_event(refused).await;

    let mut central = site.agent(CENTRAL).await.caught_up().await;
    central.holds("EUR", "0.00").await;
    use api::statement_line::Kind;
    let lines = central.statement("EUR").await;
    let kinds: Vec<_> = lines.iter().map(|line| line.kind()).collect();
    assert_eq!(kinds, [Kind::Sent, Kind::Returned, Kind::Absorbed]);
    assert!(one.statement("EUR").await.is_empty());
    // Told once, also by an agent that reads the chain again.
    one.stop().await;
    let one = site.agent(ONE).await.caught_up().await;
    let last = one.until_event(refused).await.position;
    assert_eq!(last, 1);
    assert!(one.client.clone().watch(api::WatchRequest { after: last }).await.is_ok());
    one.stop().await;
    central.stop().await;
    node.stop().await;
}
