//! The queue of payments, and events.

use super::*;
use api::payment::State;
use site::TWO;

fn payment(number: u8, payee: &str, amount: &str) -> api::QueuePaymentRequest {
    api::QueuePaymentRequest {
        uetr: uetr(number),
        asset: "EUR".to_owned(),
        payee: payee.to_owned(),
        amount: amount.to_owned(),
        end_to_end_id: format!("P{number}"),
        remittance: "goods".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_queued_once_listed_in_order_and_cancelled() {
    let site = Site::new();
    let (node, central, one) = funded(&site).await;
    let mut client = one.client.clone();
    for (number, amount) in [(3, "250"), (1, "0.5"), (2, "7")] {
        let queued = client.queue_payment(payment(number, TWO, amount)).await.unwrap();
        assert_eq!(queued.get_ref().state(), State::Queued);
    }
    // Again: found. Something else under the same name: refused, whatever kind it is.
    let again = client.queue_payment(payment(1, TWO, "0.50")).await.unwrap();
    assert_eq!(again.get_ref().amount, "0.50");
    let other = client.queue_payment(payment(1, TWO, "0.51")).await;
    assert_eq!(code(other), Some(Code::AlreadyExists));
    let as_transfer = one.transfer(transfer(1, vec![receiver(TWO, "0.50", "")], 0)).await;
    assert_eq!(code(as_transfer), Some(Code::AlreadyExists));
    central.client.clone().queue_payment(payment(4, ONE, "1")).await.unwrap_err();
    let issuer = client.queue_payment(payment(4, CENTRAL, "1")).await;
    assert_eq!(code(issuer), Some(Code::FailedPrecondition));
    for wrong in [payment(4, TWO, "0"), payment(4, ONE, "1"), payment(4, "ZZZZDE01", "1")] {
        assert_eq!(code(client.queue_payment(wrong).await), Some(Code::InvalidArgument));
    }

    let cancel = |number| api::CancelPaymentRequest { uetr: uetr(number) };
    for _ in 0..2 {
        let cancelled = client.cancel_payment(cancel(1)).await.unwrap();
        assert_eq!(cancelled.get_ref().state(), State::Cancelled);
    }
    assert_eq!(code(client.cancel_payment(cancel(9)).await), Some(Code::NotFound));
    assert_eq!(code(client.cancel_payment(cancel(200)).await), Some(Code::NotFound));
    // A payment that was taken out stays out.
    let again = client.queue_payment(payment(1, TWO, "0.5")).await.unwrap();
    assert_eq!(again.get_ref().state(), State::Cancelled);

    let listed = one.payments().await;
    one.stop().await;
    let one = site.agent(ONE).await.caught_up().await;
    assert_eq!(one.payments().await, listed);
    let short: Vec<_> =
        listed.iter().map(|one| (one.uetr.clone(), one.amount.as_str(), one.state())).collect();
    let expected = [
        (uetr(3), "250.00", State::Queued),
        (uetr(1), "0.50", State::Cancelled),
        (uetr(2), "7.00", State::Queued),
    ];
    assert_eq!(short, expected);
    let mut client = one.client.clone();
    let request = api::ListPaymentsRequest { asset: "USD".to_owned(), limit: 0 };
    assert!(client.list_payments(request).await.unwrap().get_ref().payments.is_empty());
    let request = api::ListPaymentsRequest { asset: String::new(), limit: 2 };
    assert_eq!(client.list_payments(request).await.unwrap().get_ref().payments, listed[..2]);
    client.queue_payment(payment(5, TWO, "1")).await.unwrap();
    assert_eq!(one.payments().await.last().unwrap().uetr, uetr(5));
    one.stop().await;
    central.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_of_events_survive_a_restart() {
    let site = Site::new();
    let (node, central, one) = funded(&site).await;
    one.client.clone().queue_payment(payment(1, TWO, "1")).await.unwrap();
    let before = one.events(0, 3).await;
    let positions: Vec<_> = before.iter().map(|event| event.position).collect();
    assert_eq!(positions, [1, 2, 3]);
    assert!(matches!(before[2].event, Some(What::Payment(_))), "after two lines of a statement");
    one.stop().await;
    let one = site.agent(ONE).await.caught_up().await;
    assert_eq!(one.events(0, 3).await, before);
    // A watcher that is there before the event gets it, once.
    let watcher = one.client.clone();
    let live = tokio::spawn(async move {
        let mut watcher = watcher;
        let mut events = watcher.watch(api::WatchRequest { after: 3 }).await.unwrap().into_inner();
        events.message().await.unwrap().unwrap()
    });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let cancel = api::CancelPaymentRequest { uetr: uetr(1) };
    one.client.clone().cancel_payment(cancel).await.unwrap();
    let event = live.await.unwrap();
    assert_eq!(event.position, 4);
    assert!(
        matches!(event.event, Some(What::Payment(payment)) if payment.state() == State::Cancelled)
    );
    one.stop().await;
    central.stop().await;
    node.stop().await;
}
