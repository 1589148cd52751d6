//! A node with more work than it can take: what is new is refused clearly and may come again, and
//! questions are answered all the while.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::banks::BANKS;
use common::{Client, Running, Site};
use quittance_crypto::encoding::Encode;
use quittance_ledger::ids::TransactionId;
use quittance_ledger::transaction::Transaction;
use quittance_rpc::convert::TransactionStatus;
use tokio::time::timeout;
use tonic::Code;

/// As many transactions as one institution may have waiting.
const ROOM: usize = 4096;

/// Calls at a time, on one connection.
const LANES: usize = 64;

/// For one answer, on the slowest machine.
const SOON: Duration = Duration::from_secs(20);

/// Submits all; each must be taken.
async fn submit_all(client: &Client, transactions: &[Transaction]) {
    let lanes = transactions.chunks(transactions.len().div_ceil(LANES)).map(|lane| {
        let (mut client, lane) = (client.clone(), lane.to_vec());
        tokio::spawn(async move {
            for transaction in &lane {
                let status = client.submit(transaction).await;
                assert!(matches!(status, TransactionStatus::Pending { .. }), "{status:?}");
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
}

/// Asks for a transaction that nobody has sent, and for the chain, until told to stop; how often.
async fn ask(mut client: Client, about: TransactionId, stop: Arc<AtomicBool>) -> usize {
    let mut answers = 0;
    while !stop.load(Ordering::Relaxed) {
        let status = timeout(SOON, client.status(about)).await.expect("an answer");
        assert_eq!(status, TransactionStatus::Unknown);
        timeout(SOON, client.chain()).await.expect("an answer");
        answers += 1;
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pool_sheds_new_work_answers_questions_and_takes_it_later() {
    let mut site = Site::new("127.0.0.1:0");
    let node = Running::start(&site.config()).await;
    let [mut busy, mut other] = BANKS.map(|bank| site.client(node.address, bank));
    let (terms, banks) = (site.terms(), &mut site.banks);
    // The first is kept back, so all that come after it wait. Signatures are hedged: the same
    // transfer signed again is another transaction.
    let first = banks.issuer.pays(terms, &[(&banks.a, 1)]);
    let second = banks.issuer.pays(terms, &[(&banks.a, 2)]);
    let third = banks.issuer.pays(terms, &[(&banks.a, 3)]);
    let rivals: Vec<_> =
        (0..ROOM).map(|_| banks.issuer.resigns(second.body().clone(), &second)).collect();

    let stop = Arc::new(AtomicBool::new(false));
    let asking =
        [&busy, &other].map(|client| tokio::spawn(ask(client.clone(), third.id(), stop.clone())));
    submit_all(&busy, &rivals).await;
    assert_eq!(busy.chain().await.mempool, ROOM as u64);
    for _ in 0..3 {
        let shed = timeout(SOON, busy.submit_bytes(third.to_bytes())).await.unwrap().unwrap_err();
        assert_eq!(shed.code(), Code::ResourceExhausted, "{shed}");
        let pause = shed.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap();
        assert!(pause.parse::<u64>().is_ok_and(|pause| pause > 0), "{pause}");
    }
    stop.store(true, Ordering::Relaxed);
    for asking in asking {
        assert!(asking.await.unwrap() > 0);
    }

    // Nobody else's room was taken. With the first one, one of the others can follow, and the rest
    // can not any more.
    other.settle(&first).await;
    let empty = async {
        while busy.chain().await.mempool > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(3 * SOON, empty).await.expect("the pool is empty again");
    busy.settle(&third).await;
    let account = busy.account(site.banks.issuer.account()).await.account.unwrap();
    assert_eq!(account.sequence, 3);
    node.stop().await;
}
