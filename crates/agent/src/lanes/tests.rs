//! Proofs that cannot be made.

use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::outcome::State;

use super::*;
use crate::site::{Bank, CENTRAL, ONE, Site, TWO, uetr};
use crate::{Agent, Config};

/// Panics where two are paid.
fn panicking(draft: Draft, setting: &Setting) -> Result<Transaction, BuildError> {
    assert!(draft.entry().credits.len() < 2, "no generators for {}", draft.id().asset);
    prove(draft, setting)
}

/// Pays each of these institutions 1.00 EUR; without waiting, if `wait_ms` is 0.
async fn pay(bank: &Bank, number: u8, payees: &[&str], wait_ms: u32) -> api::Outcome {
    let receiver = |payee: &&str| api::Receiver {
        institution: (*payee).to_owned(),
        amount: "1".to_owned(),
        ..api::Receiver::default()
    };
    let receivers = payees.iter().map(receiver).collect();
    let (uetr, asset) = (uetr(number), "EUR".to_owned());
    let request = api::TransferRequest { uetr, asset, receivers, wait_ms };
    bank.client.clone().transfer(request).await.unwrap().into_inner().outcome.unwrap()
}

/// It ends as a failure of that instruction, which says what has happened. Those that stood on it
/// are drafted anew, and are carried out.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_while_proving_fails_that_transfer_and_no_other() {
    let site = Site::new();
    let node = site.node().await;
    let mut config = Config::load(&site.config(CENTRAL)).unwrap();
    config.prover = panicking;
    let central = site.serve(CENTRAL, Agent::start(config).await.unwrap()).caught_up().await;
    let payees: [&[&str]; 4] = [&[ONE], &[ONE, TWO], &[TWO], &[ONE]];
    for (number, payees) in (1..).zip(payees) {
        pay(&central, number, payees, 0).await;
    }
    for (number, payees) in (1..).zip(payees) {
        let outcome = pay(&central, number, payees, 30_000).await;
        match payees.len() {
            1 => assert_eq!(outcome.state(), State::Final, "{}", outcome.reason),
            _ => {
                assert_eq!(outcome.state(), State::Failed);
                let expected = "a computation has panicked: no generators for EUR";
                assert!(outcome.reason.ends_with(expected), "{}", outcome.reason);
            }
        }
    }
    central.stop().await;
    node.stop().await;
}
