//! Exchanges between the agents of two banks, with a node, over TLS.
#![allow(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod governance;
mod site;

use std::time::Duration;

use quittance_node::NodeError;
use quittance_rpc::identity::{Identity, Process, ProcessName};
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::exchange::State;
use quittance_rpc::proto::peer::v1 as peer;
use tonic::Code;

use site::{Bank, CENTRAL, ONE, Running, Site, TWO, money, uetr};

/// ONE has 100.00 EUR and TWO has 200.00 USD.
async fn funded(site: &Site) -> (Running<NodeError>, Bank, Bank) {
    let node = site.node().await;
    let mut central = site.agent(CENTRAL).await.caught_up().await;
    let mut one = site.agent(ONE).await.caught_up().await;
    let mut two = site.agent(TWO).await.caught_up().await;
    central.pay(200, ONE, "EUR", "100").await;
    central.pay(201, TWO, "USD", "200").await;
    one.holds("EUR", "100.00").await;
    two.holds("USD", "200.00").await;
    central.stop().await;
    (node, one, two)
}

async fn have_exchanged(one: &mut Bank, two: &mut Bank) {
    one.holds("EUR", "90.00").await;
    one.holds("USD", "25.00").await;
    two.holds("EUR", "10.00").await;
    two.holds("USD", "175.00").await;
}

async fn have_not_exchanged(one: &mut Bank, two: &mut Bank) {
    one.holds("EUR", "100.00").await;
    one.holds("USD", "0.00").await;
    two.holds("EUR", "0.00").await;
    two.holds("USD", "200.00").await;
}

fn code<T>(result: Result<T, tonic::Status>) -> Option<Code> {
    result.err().map(|status| status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_is_proposed_accepted_and_final() {
    let site = Site::new();
    let (node, mut one, mut two) = funded(&site).await;

    let proposed = one.propose(TWO, 60_000).await.unwrap();
    assert_eq!(proposed.state(), State::Offered);
    assert!(proposed.offered_by_us);
    let [seen] = &two.exchanges().await[..] else { panic!("the offer has arrived") };
    assert_eq!((seen.uetr.as_str(), seen.counterparty.as_str()), (&*uetr(1), ONE));
    assert_eq!((&seen.give, &seen.get), (&money("USD", "25.00"), &money("EUR", "10.00")));
    assert_eq!(seen.valid_until_ms, proposed.valid_until_ms);
    assert!(!seen.offered_by_us);

    let wrong = api::AcceptExchangeRequest {
        uetr: uetr(1),
        give: money("USD", "25.01"),
        get: money("EUR", "10"),
        wait_ms: 0,
    };
    assert_eq!(code(two.client.accept_exchange(wrong).await), Some(Code::FailedPrecondition));
    assert_eq!(code(one.accept(0).await), Some(Code::FailedPrecondition), "its own offer");

    let accepted = two.accept(20_000).await.unwrap();
    assert_eq!(accepted.state(), State::Final, "{}", accepted.reason);
    let final_here = one.until_state(State::Final).await;
    assert_eq!(final_here.transaction_id, accepted.transaction_id);
    assert_eq!(final_here.height, accepted.height);
    have_exchanged(&mut one, &mut two).await;

    let lines = one.statement("EUR").await;
    let sent = lines.iter().find(|line| line.amount == "-10.00").unwrap();
    assert_eq!((sent.uetr.as_str(), &sent.transaction_id), (&*uetr(1), &accepted.transaction_id));
    assert_eq!(sent.counterparties, [TWO]);
    let lines = one.statement("USD").await;
    let received = lines.iter().find(|line| line.amount == "25.00").unwrap();
    assert_eq!(
        (received.uetr.as_str(), received.counterparties.as_slice()),
        (&*uetr(1), &[TWO.to_owned()][..])
    );

    // Again is not once more, and the reference is taken.
    assert_eq!(two.accept(0).await.unwrap(), accepted);
    assert_eq!(one.propose(TWO, 60_000).await.unwrap().state(), State::Final);
    assert_eq!(code(one.propose(TWO, 60_001).await), Some(Code::AlreadyExists));
    let payment = api::TransferRequest {
        uetr: uetr(1),
        asset: "EUR".into(),
        receivers: vec![api::Receiver {
            institution: TWO.into(),
            amount: "1".into(),
            ..api::Receiver::default()
        }],
        wait_ms: 0,
    };
    assert_eq!(code(one.client.transfer(payment).await), Some(Code::AlreadyExists));

    // What was told, in order.
    let mut events = two.client.watch(api::WatchRequest { after: 0 }).await.unwrap().into_inner();
    let mut states = Vec::new();
    while states.last() != Some(&State::Final) {
        if let Some(api::event::Event::Exchange(exchange)) =
            events.message().await.unwrap().unwrap().event
        {
            states.push(exchange.state());
        }
    }
    states.dedup();
    assert_eq!(states, [State::Offered, State::Accepted, State::Final]);
    drop(events);

    for bank in [one, two] {
        bank.stop().await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_expires_and_nothing_has_moved() {
    let site = Site::new();
    let (node, mut one, mut two) = funded(&site).await;
    one.propose(TWO, 1_000).await.unwrap();
    one.until_state(State::Expired).await;
    two.until_state(State::Expired).await;
    assert_eq!(two.accept(0).await.unwrap().state(), State::Expired);
    have_not_exchanged(&mut one, &mut two).await;

    // After a restart it still is.
    two.stop().await;
    let mut two = site.agent(TWO).await.caught_up().await;
    two.until_state(State::Expired).await;
    for bank in [one, two] {
        bank.stop().await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_waits_for_a_counterparty_that_cannot_be_reached() {
    let site = Site::new();
    let (node, mut one, two) = funded(&site).await;
    two.stop().await;
    let proposed = one.propose(TWO, 60_000).await.unwrap();
    assert_eq!(proposed.state(), State::Offered);
    let mut two = site.agent(TWO).await.caught_up().await;
    two.until_state(State::Offered).await;

    // The accepting side finds the offering side away, and is restarted meanwhile.
    one.stop().await;
    let accepted = two.accept(1_000).await.unwrap();
    assert_eq!(accepted.state(), State::Accepted);
    two.stop().await;
    let mut two = site.agent(TWO).await.caught_up().await;
    two.until_state(State::Accepted).await;
    let mut one = site.agent(ONE).await.caught_up().await;
    let done = two.until_state(State::Final).await;
    assert_eq!(one.until_state(State::Final).await.transaction_id, done.transaction_id);
    have_exchanged(&mut one, &mut two).await;
    for bank in [one, two] {
        bank.stop().await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_ends_with_the_offer_if_the_other_side_stays_away() {
    let site = Site::new();
    let (node, mut one, mut two) = funded(&site).await;
    one.propose(TWO, 3_000).await.unwrap();
    one.stop().await;
    assert_eq!(two.accept(0).await.unwrap().state(), State::Accepted);
    let ended = two.until_state(State::Expired).await;
    assert!(ended.reason.contains("cannot be reached"), "{}", ended.reason);
    let mut one = site.agent(ONE).await.caught_up().await;
    one.until_state(State::Expired).await;
    have_not_exchanged(&mut one, &mut two).await;
    for bank in [one, two] {
        bank.stop().await;
    }
    node.stop().await;
}

/// Both have signed while the node is away, and both are restarted before it is back.
#[tokio::test(flavor = "multi_thread")]
async fn what_both_have_signed_lands_after_restarts() {
    let site = Site::new();
    let (node, mut one, mut two) = funded(&site).await;
    one.propose(TWO, 60_000).await.unwrap();
    node.stop().await;
    two.accept(0).await.unwrap();
    let signed = one.until(|exchange| !exchange.transaction_id.is_empty()).await;
    assert_eq!(signed.state(), State::Accepted);
    two.until(|exchange| exchange.transaction_id == signed.transaction_id).await;
    for bank in [one, two] {
        bank.stop().await;
    }
    let node = site.node().await;
    let (one, two) = tokio::join!(site.agent(ONE), site.agent(TWO));
    let (mut one, mut two) = tokio::join!(one.caught_up(), two.caught_up());
    let done = one.until_state(State::Final).await;
    assert_eq!(done.transaction_id, signed.transaction_id);
    two.until_state(State::Final).await;
    have_exchanged(&mut one, &mut two).await;
    for bank in [one, two] {
        bank.stop().await;
    }
    node.stop().await;
}

/// The offering side is restarted after it has signed; the accepting side alone submits.
#[tokio::test(flavor = "multi_thread")]
async fn either_side_alone_brings_it_to_the_ledger() {
    for left in [0, 1] {
        let site = Site::new();
        let (node, mut one, mut two) = funded(&site).await;
        one.propose(TWO, 60_000).await.unwrap();
        node.stop().await;
        two.accept(0).await.unwrap();
        let signed = one.until(|exchange| !exchange.transaction_id.is_empty()).await;
        two.until(|exchange| exchange.transaction_id == signed.transaction_id).await;
        let gone = if left == 0 { TWO } else { ONE };
        let mut stays = match left {
            0 => {
                two.stop().await;
                one
            }
            _ => {
                one.stop().await;
                two
            }
        };
        let node = site.node().await;
        assert_eq!(stays.until_state(State::Final).await.transaction_id, signed.transaction_id);
        let mut back = site.agent(gone).await.caught_up().await;
        back.until_state(State::Final).await;
        let (mut one, mut two) = if left == 0 { (stays, back) } else { (back, stays) };
        have_exchanged(&mut one, &mut two).await;
        for bank in [one, two] {
            bank.stop().await;
        }
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_agents_of_others_call_and_what_they_send_is_checked() {
    let site = Site::new();
    let (node, mut one, two) = funded(&site).await;
    one.propose(TWO, 60_000).await.unwrap();
    let name = |who: &str, process| {
        Identity::Process(ProcessName { institution: who.parse().unwrap(), process })
    };
    let offer = |number, get: &str| peer::OfferExchangeRequest {
        uetr: uetr(number),
        give_asset: "EUR".into(),
        give_amount: 1,
        get_asset: get.into(),
        get_amount: 2,
        valid_until_ms: u64::MAX,
    };
    let mut central = site.dialer(name(CENTRAL, Process::Agent)).peer(&site.peer(TWO)).unwrap();
    let taken = central.offer_exchange(offer(1, "USD")).await;
    assert_eq!(code(taken), Some(Code::AlreadyExists), "another's offer has the reference");
    let endless = central.offer_exchange(offer(2, "USD")).await;
    assert_eq!(code(endless), Some(Code::InvalidArgument));
    let unknown = central.offer_exchange(offer(2, "XXX")).await;
    assert_eq!(code(unknown), Some(Code::InvalidArgument));
    let mut at_one = site.dialer(name(CENTRAL, Process::Agent)).peer(&site.peer(ONE)).unwrap();
    let join = peer::JoinExchangeRequest { uetr: uetr(1), entry: vec![1, 2, 3], expiry: 9 };
    assert_eq!(code(at_one.join_exchange(join).await), Some(Code::InvalidArgument));
    let complete =
        peer::CompleteExchangeRequest { uetr: uetr(1), range_proof: vec![], signature: vec![] };
    assert_eq!(code(at_one.complete_exchange(complete).await), Some(Code::InvalidArgument));
    let round = peer::AnnouncePaymentsRequest { round_id: vec![7; 32], announcements: vec![] };
    assert_eq!(code(at_one.announce_payments(round).await), Some(Code::Unavailable));
    let many = peer::AnnouncePaymentsRequest {
        round_id: vec![7; 32],
        announcements: vec![Vec::new(); 1025],
    };
    assert_eq!(code(at_one.announce_payments(many).await), Some(Code::InvalidArgument));

    // Its own certificate, and one of another kind of process.
    let mut own = site.dialer(name(TWO, Process::Agent)).peer(&site.peer(TWO)).unwrap();
    assert_eq!(code(own.offer_exchange(offer(2, "USD")).await), Some(Code::PermissionDenied));
    let mut party = site.dialer(name(CENTRAL, Process::Node)).peer(&site.peer(TWO)).unwrap();
    let refused =
        tokio::time::timeout(Duration::from_secs(10), party.offer_exchange(offer(2, "USD")));
    assert!(refused.await.unwrap().is_err());
    for bank in [one, two] {
        bank.stop().await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn senseless_requests_name_the_field() {
    let site = Site::new();
    let (node, mut one, two) = funded(&site).await;
    let good = api::ProposeExchangeRequest {
        uetr: uetr(1),
        counterparty: TWO.into(),
        give: money("EUR", "10"),
        get: money("USD", "25"),
        valid_ms: 60_000,
    };
    let bad = [
        ("uetr", api::ProposeExchangeRequest { uetr: "1".into(), ..good.clone() }),
        ("counterparty", api::ProposeExchangeRequest { counterparty: ONE.into(), ..good.clone() }),
        ("counterparty", api::ProposeExchangeRequest { counterparty: "?".into(), ..good.clone() }),
        ("give", api::ProposeExchangeRequest { give: None, ..good.clone() }),
        ("give", api::ProposeExchangeRequest { give: money("EUR", "0"), ..good.clone() }),
        ("get", api::ProposeExchangeRequest { get: money("USD", "1.001"), ..good.clone() }),
        ("get", api::ProposeExchangeRequest { get: money("usd", "1"), ..good.clone() }),
        ("two assets", api::ProposeExchangeRequest { get: money("EUR", "1"), ..good.clone() }),
        ("valid", api::ProposeExchangeRequest { valid_ms: 999, ..good.clone() }),
        ("valid", api::ProposeExchangeRequest { valid_ms: 600_001, ..good.clone() }),
    ];
    for (field, request) in bad {
        let status = one.client.propose_exchange(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status}");
        assert!(status.message().contains(field), "{field}: {status}");
    }
    assert_eq!(code(one.accept(0).await), Some(Code::NotFound));
    assert!(one.exchanges().await.is_empty());

    // More than it has: refused, and the offer stays.
    let dear = api::ProposeExchangeRequest { get: money("USD", "200.01"), ..good };
    one.client.propose_exchange(dear).await.unwrap();
    let mut two = two;
    let accept = api::AcceptExchangeRequest {
        uetr: uetr(1),
        give: money("USD", "200.01"),
        get: money("EUR", "10"),
        wait_ms: 0,
    };
    let refused = two.client.accept_exchange(accept).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.message(), "insufficient funds in USD");
    two.until_state(State::Offered).await;
    have_not_exchanged(&mut one, &mut two).await;
    for bank in [one, two] {
        bank.stop().await;
    }
    node.stop().await;
}
