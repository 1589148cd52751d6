//! A transfer is carried out once, whatever fails in between.

use std::time::Duration;

use super::*;
use api::outcome::State;
use site::TWO;

async fn paid_once(one: &mut Bank, first: &api::Outcome) {
    for wait_ms in [0, 20_000] {
        let request = transfer(1, vec![receiver(TWO, "30", "rent")], wait_ms);
        assert_eq!(&one.transfer(request).await.unwrap(), first);
    }
    one.holds("EUR", "70.00").await;
    let lines = one.statement("EUR").await;
    let sent = lines.iter().filter(|line| line.kind() == api::statement_line::Kind::Sent);
    assert_eq!(sent.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_transfer_pays_once() {
    let site = Site::new();
    let (node, central, mut one) = funded(&site).await;
    let request = transfer(1, vec![receiver(TWO, "30", "rent")], 20_000);
    let calls = (0..8).map(|_| {
        let (mut client, request) = (one.client.clone(), request.clone());
        tokio::spawn(async move { client.transfer(request).await })
    });
    let mut outcomes = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        outcomes.push(call.await.unwrap().unwrap().into_inner().outcome.unwrap());
    }
    let first = outcomes[0].clone();
    assert_eq!(first.state(), State::Final);
    assert!(outcomes.iter().all(|outcome| *outcome == first));
    paid_once(&mut one, &first).await;
    let other = transfer(1, vec![receiver(TWO, "30", "hire")], 0);
    assert_eq!(code(one.transfer(other.clone()).await), Some(Code::AlreadyExists));

    one.stop().await;
    let mut one = site.agent(ONE).await.caught_up().await;
    paid_once(&mut one, &first).await;
    assert_eq!(code(one.transfer(other.clone()).await), Some(Code::AlreadyExists));
    let lines = one.statement("EUR").await;
    one.stop().await;

    // With key file and chain alone the content is not known any more, but the outcome is.
    site.lose_store(ONE);
    let mut one = site.agent(ONE).await.caught_up().await;
    paid_once(&mut one, &first).await;
    assert_eq!(one.transfer(other).await.unwrap(), first);
    let mut again = one.statement("EUR").await;
    for (line, before) in again.iter_mut().zip(&lines) {
        // The chain tells references to the receiver alone.
        line.end_to_end_id.clone_from(&before.end_to_end_id);
        line.remittance.clone_from(&before.remittance);
    }
    assert_eq!(again, lines);
    one.stop().await;
    central.stop().await;
    node.stop().await;
}

/// Ends without any of the work that a proper end does.
async fn killed(runtime: tokio::runtime::Runtime) {
    runtime.shutdown_background();
    // The store is let go of once its thread has noticed.
    tokio::time::sleep(Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_transfer_survives_the_agent_and_the_node() {
    let site = std::sync::Arc::new(Site::new());
    let (node, mut central, one) = funded(&site).await;
    one.stop().await;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let of_agent = site.clone();
    let starting = runtime.spawn(async move { of_agent.agent(ONE).await.caught_up().await });
    let one = starting.await.unwrap();
    node.stop().await;

    // The node is away: stored, and nowhere else.
    let request = transfer(1, vec![receiver(TWO, "30", "rent")], 0);
    let mut client = one.client.clone();
    let asked = request.clone();
    let answer = runtime.spawn(async move { client.transfer(asked).await }).await.unwrap();
    let outcome = answer.unwrap().into_inner().outcome.unwrap();
    assert_eq!(outcome.state(), State::Accepted);
    drop(one);
    killed(runtime).await;

    let one = site.agent(ONE).await;
    let node = site.node().await;
    let mut one = one.caught_up().await;
    let first = one.transfer(api::TransferRequest { wait_ms: 20_000, ..request }).await.unwrap();
    assert_eq!(first.state(), State::Final, "{}", first.reason);
    paid_once(&mut one, &first).await;

    // Away for a while, and back: nobody has to do anything.
    node.stop().await;
    let request = transfer(2, vec![receiver(TWO, "5", "")], 300);
    assert_eq!(one.transfer(request.clone()).await.unwrap().state(), State::Accepted);
    let node = site.node().await;
    let outcome = one.transfer(api::TransferRequest { wait_ms: 20_000, ..request }).await.unwrap();
    assert_eq!(outcome.state(), State::Final, "{}", outcome.reason);
    one.holds("EUR", "65.00").await;
    central.holds("EUR", "-100.00").await;
    one.stop().await;
    central.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_again_and_again_pays_once() {
    let site = std::sync::Arc::new(Site::new());
    let (node, central, one) = funded(&site).await;
    one.stop().await;
    let mut numbers = 1..=10u8;
    for pause in [0, 3, 8, 15, 30] {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (of_agent, next) = (site.clone(), numbers.by_ref().take(2).collect::<Vec<_>>());
        let life = runtime.spawn(async move {
            let one = of_agent.agent(ONE).await.caught_up().await;
            for number in next {
                let request = transfer(number, vec![receiver(TWO, "4", "")], 0);
                one.transfer(request).await.unwrap();
            }
            one
        });
        let one = life.await.unwrap();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        drop(one);
        killed(runtime).await;
    }
    let mut one = site.agent(ONE).await.caught_up().await;
    for number in 1..=10 {
        let request = transfer(number, vec![receiver(TWO, "4", "")], 20_000);
        assert_eq!(one.transfer(request).await.unwrap().state(), State::Final);
    }
    one.holds("EUR", "60.00").await;
    one.stop().await;
    central.stop().await;
    node.stop().await;
}
