//! Many transfers at once.

use std::time::Duration;

use super::*;
use api::outcome::State;
use site::TWO;

const COUNT: u8 = 50;

/// Cent by cent more, so that every line is known by its amount.
fn one_of_many(number: u8, wait_ms: u32) -> api::TransferRequest {
    transfer(number, vec![receiver(TWO, &format!("0.{number:02}"), "many")], wait_ms)
}

/// The references of what was sent, in the order of the chain.
async fn sent(one: &mut Bank) -> Vec<String> {
    let lines = one.statement("EUR").await.into_iter();
    let sent = lines.filter(|line| line.kind() == api::statement_line::Kind::Sent);
    sent.map(|line| line.uetr).collect()
}

/// Each is carried out once, in the order in which they were accepted: their proofs are made side
/// by side, and the account's sequence has one order. The agent dies in between.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_transfers_at_once_are_final_once_and_in_order_whatever_becomes_of_the_agent() {
    let site = std::sync::Arc::new(Site::new());
    let (node, central, one) = funded(&site).await;
    one.stop().await;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let of_agent = site.clone();
    let life = runtime.spawn(async move {
        let mut one = of_agent.agent(ONE).await.caught_up().await;
        for number in 1..=COUNT {
            one.transfer(one_of_many(number, 0)).await.unwrap();
        }
        while sent(&mut one).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        one
    });
    drop(life.await.unwrap());
    runtime.shutdown_background();
    // The store is let go of once its thread has noticed.
    tokio::time::sleep(Duration::from_millis(300)).await;

    let mut one = site.agent(ONE).await.caught_up().await;
    let mut transactions = std::collections::BTreeSet::new();
    for number in 1..=COUNT {
        let outcome = one.transfer(one_of_many(number, 30_000)).await.unwrap();
        assert_eq!(outcome.state(), State::Final, "{number}: {}", outcome.reason);
        assert!(transactions.insert(outcome.transaction_id), "{number}");
    }
    let in_order: Vec<_> = (1..=COUNT).map(uetr).collect();
    assert_eq!(sent(&mut one).await, in_order);
    // 12.75 in all.
    one.holds("EUR", "87.25").await;
    one.stop().await;
    central.stop().await;
    node.stop().await;
}
