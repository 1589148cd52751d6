//! What a transfer does to both sides.

use super::*;
use api::outcome::State;
use api::statement_line::Kind;
use site::TWO;

type Line<'a> = (Kind, &'a str, &'a str, Vec<&'a str>);

fn short(lines: &[api::StatementLine]) -> Vec<Line<'_>> {
    let of = |line: &api::StatementLine| line.counterparties.clone();
    assert!(lines.iter().all(|line| line.height > 0 && line.time_ms > 0));
    lines
        .iter()
        .map(|line| {
            assert_eq!(of(line), line.counterparties);
            let others = line.counterparties.iter().map(String::as_str).collect();
            (line.kind(), line.amount.as_str(), line.balance.as_str(), others)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_see_the_same_transfer() {
    let site = Site::new();
    let (node, mut central, mut one) = funded(&site).await;
    let mut two = site.agent(TWO).await.caught_up().await;
    let receivers = vec![
        receiver(TWO, "12.5", "rent"),
        receiver(CENTRAL, "0", "rent"),
        receiver(TWO, "0.01", "rent"),
    ];
    let outcome = one.transfer(transfer(1, receivers, 20_000)).await.unwrap();
    assert_eq!(outcome.state(), State::Final, "{}", outcome.reason);
    assert!(outcome.height > 0 && outcome.reason.is_empty());
    one.holds("EUR", "87.49").await;
    two.holds("EUR", "12.51").await;
    central.holds("EUR", "-100.00").await;
    // Decoys are absorbed like all others.
    let absorbed = |lines: &[api::StatementLine]| lines.last().map(|line| line.kind());
    while absorbed(&central.statement("EUR").await) != Some(Kind::Absorbed) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    let lines = one.statement("EUR").await;
    assert_eq!(
        short(&lines),
        [
            (Kind::Received, "100.00", "0.00", vec![CENTRAL]),
            (Kind::Absorbed, "100.00", "100.00", vec![]),
            (Kind::Sent, "-12.51", "87.49", vec![TWO, CENTRAL, TWO]),
        ]
    );
    let [.., sent] = &lines[..] else { panic!() };
    assert_eq!(
        (&*sent.uetr, &*sent.end_to_end_id, &*sent.remittance),
        (&*uetr(1), "INVOICE-1", "rent")
    );
    assert_eq!((&sent.transaction_id, sent.height), (&outcome.transaction_id, outcome.height));

    let lines = two.statement("EUR").await;
    assert_eq!(
        short(&lines),
        [
            (Kind::Received, "12.50", "0.00", vec![ONE]),
            (Kind::Received, "0.01", "0.00", vec![ONE]),
            (Kind::Absorbed, "12.51", "12.51", vec![]),
        ]
    );
    let [first, ..] = &lines[..] else { panic!() };
    assert_eq!(
        (&*first.uetr, &*first.end_to_end_id, &*first.remittance),
        (&*uetr(1), "INVOICE-1", "rent")
    );
    assert_eq!(first.transaction_id, outcome.transaction_id);
    let lines = central.statement("EUR").await;
    assert_eq!(
        short(&lines),
        [
            (Kind::Sent, "-100.00", "-100.00", vec![ONE]),
            (Kind::Received, "0.00", "-100.00", vec![ONE]),
            (Kind::Absorbed, "0.00", "-100.00", vec![]),
        ]
    );
    one.stop().await;
    two.stop().await;
    central.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_transfers_at_once_are_all_carried_out() {
    let site = Site::new();
    let (node, central, mut one) = funded(&site).await;
    let calls = (1..=40).map(|number| {
        let client = one.client.clone();
        let request = transfer(number, vec![receiver(TWO, "1.5", "")], 20_000);
        tokio::spawn(async move {
            let mut client = client;
            client.transfer(request).await.unwrap().into_inner().outcome.unwrap()
        })
    });
    for call in calls.collect::<Vec<_>>() {
        let outcome = call.await.unwrap();
        assert_eq!(outcome.state(), State::Final, "{}", outcome.reason);
    }
    one.holds("EUR", "40.00").await;
    // The states of one instruction follow each other.
    let seven = |event: &What| match event {
        What::Instruction(event) if event.uetr == uetr(7) => event.outcome.clone(),
        _ => None,
    };
    let is_final = |event: &What| seven(event).is_some_and(|of| of.state() == State::Final);
    let last = one.until_event(is_final).await.position;
    let events = one.events(0, last as usize).await;
    let events = events.into_iter().filter_map(|event| seven(&event.event?));
    let states: Vec<State> = events.map(|outcome| outcome.state()).collect();
    assert_eq!(states.first(), Some(&State::Accepted));
    assert!(states.is_sorted() && states.contains(&State::Final), "{states:?}");
    one.stop().await;
    central.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_has_no_room_for_waits_until_it_has() {
    let site = Site::new();
    let (node, central, mut one) = funded(&site).await;
    // 64 credits of one sender may wait on an account, and the receiver's agent is away.
    let many = |number, wait_ms| transfer(number, vec![receiver(TWO, "1", ""); 32], wait_ms);
    let (first, second) =
        tokio::join!(one.transfer(many(1, 20_000)), one.transfer(many(2, 20_000)));
    assert_eq!([first.unwrap().state(), second.unwrap().state()], [State::Final; 2]);
    assert_eq!(one.transfer(many(3, 500)).await.unwrap().state(), State::Accepted);
    // Others are not held up.
    let other = transfer(4, vec![receiver(CENTRAL, "1", "")], 20_000);
    assert_eq!(one.transfer(other).await.unwrap().state(), State::Final);
    let two = site.agent(TWO).await;
    let outcome = one.transfer(many(3, 20_000)).await.unwrap();
    assert_eq!(outcome.state(), State::Final, "{}", outcome.reason);
    let mut two = two.caught_up().await;
    two.holds("EUR", "96.00").await;
    one.holds("EUR", "3.00").await;
    two.stop().await;
    one.stop().await;
    central.stop().await;
    node.stop().await;
}
