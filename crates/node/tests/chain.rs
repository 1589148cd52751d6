//! A node over mutual TLS on loopback: what banks see of their transactions.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::banks::{ISSUER, rng, terms};
use common::{Client, Running, Site, is_rejected};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::range_proof;
use quittance_ledger::block::Tip;
use quittance_ledger::execute::apply;
use quittance_ledger::ids::{ChainId, Height, TransactionId};
use quittance_ledger::state::State;
use quittance_ledger::transaction::{MAX_TRANSACTION_BYTES, Transaction};
use quittance_rpc::convert::TransactionStatus;
use quittance_rpc::proto::node::v1 as proto;
use tonic::Code;

const ANYWHERE: &str = "127.0.0.1:0";

async fn start() -> (Site, Running, Client) {
    let site = Site::new(ANYWHERE);
    let node = Running::start(&site.config()).await;
    let client = site.client(node.address, ISSUER);
    (site, node, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_lands_and_accounts_are_proven() {
    let (mut site, node, mut client) = start().await;
    let (chain, terms) = (site.chain(), site.terms());
    let banks = &mut site.banks;
    let issued = banks.issuer.pays(terms, &[(&banks.a, 1000), (&banks.b, 0)]);
    let (height, index) = client.settle(&issued).await;
    assert!(height >= Height(1) && index == 0);

    let absorbed = [banks.a.opens(chain, &issued, 0)];
    let paid = banks.a.posts(terms, &absorbed, &[(&banks.b, 300)]);
    let (height, _) = client.settle(&paid).await;
    assert_eq!(banks.a.balance.value, 700);
    // Submitting it again is harmless.
    let again = TransactionStatus::Final { height, index: 0 };
    assert_eq!(client.submit(&paid).await, again);

    for bank in [&banks.a, &banks.b] {
        let view = client.account(bank.account()).await;
        view.check(&bank.account()).unwrap();
        view.certificate.verify(chain, &site.genesis.validators).unwrap();
        assert!(view.header.height >= height);
        let account = view.account.clone().unwrap();
        assert_eq!(account.sequence, bank.sequence);
        assert!(bank.balance.opens(&account.balance));
        // It is nobody else's.
        assert!(view.check(&banks.issuer.account()).is_err());
    }
    let pending = client.account(banks.b.account()).await.pending;
    assert_eq!(pending.len(), 2);
    assert_eq!(pending[1].id, paid.credit_id(0, 0));
    let mut nobody = banks.a.account();
    nobody.asset = "XAU".parse().unwrap();
    let view = client.account(nobody).await;
    view.check(&nobody).unwrap();
    assert_eq!(view.account, None);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_with_a_garbage_proof_blocks_nobody() {
    let (mut site, node, mut client) = start().await;
    let terms = site.terms();
    let banks = &mut site.banks;
    let honest = banks.issuer.pays(terms, &[(&banks.a, 1000)]);
    let opening = quittance_crypto::commitment::Opening::random(7, &mut rng(1));
    let openings = [opening.clone(), opening];
    let garbage = range_proof::prove(&Digest::ZERO, &openings, &mut rng(2)).unwrap();

    // By somebody else, who has no key: the signature does not cover this proof.
    let (body, signatures) = (honest.body().clone(), honest.signatures().to_vec());
    let stolen = Transaction::new(body.clone(), vec![garbage.clone()], signatures);
    assert!(is_rejected(&client.submit(&stolen).await, "SIGNATURE"));
    // By the sender, who has.
    let bare = Transaction::new(body.clone(), vec![garbage], honest.signatures().to_vec());
    let twin = banks.issuer.resigns(body, &bare);
    assert!(is_rejected(&client.submit(&twin).await, "RANGE_PROOF"));
    assert!(is_rejected(&client.status(twin.id()).await, "RANGE_PROOF"));

    client.settle(&honest).await;
    assert!(is_rejected(&client.status(twin.id()).await, "RANGE_PROOF"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_transfers_land_in_any_order_and_stale_ones_are_rejected() {
    let (mut site, node, mut client) = start().await;
    let terms = site.terms();
    let banks = &mut site.banks;
    let (rival, _) = banks.issuer.candidate(terms, &[], &[(&banks.b, 9)]);
    let first = banks.issuer.pays(terms, &[(&banks.a, 1)]);
    let second = banks.issuer.pays(terms, &[(&banks.a, 2)]);
    let third = banks.issuer.pays(terms, &[(&banks.a, 3)]);
    let pending = TransactionStatus::Pending { expiry: Height(900) };
    for early in [&third, &second] {
        assert_eq!(client.submit(early).await, pending);
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(client.status(second.id()).await, pending);
    assert_eq!(client.chain().await.mempool, 2);

    // Whoever waits is woken when it happens.
    let mut waiter = client.clone();
    let waiting = tokio::spawn({
        let third = third.clone();
        async move { waiter.outcome(&third).await }
    });
    let (height, _) = client.settle(&first).await;
    let second = client.outcome(&second).await;
    assert!(matches!(second, TransactionStatus::Final { height: at, .. } if at >= height));
    assert!(matches!(waiting.await.unwrap(), TransactionStatus::Final { .. }));

    assert!(is_rejected(&client.submit(&rival).await, "STALE_SEQUENCE"));
    let TransactionStatus::Rejected { reason, .. } = client.status(rival.id()).await else {
        panic!("not rejected");
    };
    assert_eq!(reason, "CBNKZZ01/EUR: sequence 1 has been used; the next is 4");
    assert_eq!(client.chain().await.mempool, 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_be_executed_is_rejected_with_its_rule() {
    let (mut site, node, mut client) = start().await;
    let good = site.terms();
    let banks = &mut site.banks;
    let elsewhere = terms(ChainId(Digest([9; 32])), 900);
    let (foreign, _) = banks.issuer.candidate(elsewhere, &[], &[(&banks.a, 1)]);
    assert!(is_rejected(&client.submit(&foreign).await, "WRONG_CHAIN"));
    client.blocks(1, 2).await;
    let (late, _) = banks.issuer.candidate(terms(good.chain, 1), &[], &[(&banks.a, 1)]);
    assert!(is_rejected(&client.submit(&late).await, "EXPIRED"));
    let (far, _) = banks.issuer.candidate(terms(good.chain, 1 << 40), &[], &[(&banks.a, 1)]);
    client.submit(&far).await;
    assert!(is_rejected(&client.outcome(&far).await, "EXPIRY_TOO_FAR"));

    let honest = banks.issuer.pays(good, &[(&banks.a, 1)]);
    let absent = quittance_ledger::build::Absorbed {
        id: honest.credit_id(0, 7),
        opening: quittance_crypto::commitment::Opening::random(5, &mut rng(1)),
    };
    let (thief, _) = banks.a.candidate(good, &[absent], &[]);
    client.submit(&thief).await;
    assert!(is_rejected(&client.outcome(&thief).await, "CREDIT_NOT_PENDING"));
    // A body changed afterwards is another transaction, which nobody has signed.
    let mut body = honest.body().clone();
    body.expiry = Height(800);
    let changed = Transaction::new(body, honest.proofs().to_vec(), honest.signatures().to_vec());
    assert!(is_rejected(&client.submit(&changed).await, "SIGNATURE"));
    client.settle(&honest).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_and_malformed_requests_are_refused() {
    let (mut site, node, mut client) = start().await;
    let code = |result: Result<_, tonic::Status>| result.err().map(|status| status.code());
    // Our own clients would not send it.
    let mut careless = Client(client.0.clone().max_encoding_message_size(usize::MAX));
    let huge = vec![0; MAX_TRANSACTION_BYTES + 8192];
    assert_eq!(code(careless.submit_bytes(huge).await.map(drop)), Some(Code::OutOfRange));
    let large = vec![0; MAX_TRANSACTION_BYTES + 1];
    let refused = client.submit_bytes(large).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("transaction"), "{refused}");

    let terms = site.terms();
    let transfer = site.banks.issuer.pays(terms, &[(&site.banks.a, 1)]);
    let mut trailing = transfer.to_bytes();
    trailing.push(0);
    let refused = client.submit_bytes(trailing).await.map(drop);
    assert_eq!(code(refused), Some(Code::InvalidArgument));
    assert_eq!(client.status(transfer.id()).await, TransactionStatus::Unknown);

    let id = TransactionId(Digest::ZERO);
    assert_eq!(code(client.try_status(id, 30_001).await.map(drop)), Some(Code::InvalidArgument));
    assert_eq!(client.try_status(id, 50).await.unwrap(), TransactionStatus::Unknown);
    for (from_height, to_height) in [(0, 0), (3, 2)] {
        let request = proto::BlocksRequest { from_height, to_height };
        let refused = client.0.blocks(request).await.map(drop);
        assert_eq!(code(refused), Some(Code::InvalidArgument));
    }
    let (institution, asset) = ("nobody".to_owned(), "EUR".to_owned());
    let refused = client.0.account(proto::AccountRequest { institution, asset }).await.map(drop);
    assert_eq!(code(refused), Some(Code::InvalidArgument));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_follow_from_the_genesis_by_their_certificates() {
    let (mut site, node, mut client) = start().await;
    let terms = site.terms();
    // The subscriber is there before the blocks.
    let mut follower = client.clone();
    let following = tokio::spawn(async move { follower.blocks(1, 8).await });
    for amount in 1..=3 {
        let transfer = site.banks.issuer.pays(terms, &[(&site.banks.a, amount)]);
        client.settle(&transfer).await;
    }
    let live = following.await.unwrap();
    let stored = client.blocks(1, 8).await;
    assert_eq!(live, stored);

    let (mut tip, mut state) =
        (Tip::genesis(&site.genesis), State::genesis(&site.genesis).unwrap());
    for next in live {
        tip.check(&next.block.header).unwrap();
        assert_eq!(next.certificate.block, next.block.id());
        next.certificate.verify(site.chain(), state.validators()).unwrap();
        let block = next.block.verify(&state, |_| None, &mut rng(3)).unwrap();
        state = apply(&state, &block).unwrap().state;
        tip = Tip::after(&block.header);
    }
    assert!(state.account(&site.banks.issuer.account()).unwrap().sequence >= 1);
    assert_eq!(client.chain().await.chain, site.chain());
    assert_eq!(client.genesis(site.chain()).await, site.genesis);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_goes_on_after_a_restart() {
    let (mut site, node, mut client) = start().await;
    let terms = site.terms();
    let banks = &mut site.banks;
    let landed = banks.issuer.pays(terms, &[(&banks.a, 1000)]);
    let (height, index) = client.settle(&landed).await;
    let (stale, _) = banks.b.candidate(terms, &[], &[(&banks.a, 0)]);
    let _skipped = banks.issuer.pays(terms, &[(&banks.a, 1)]);
    let waiting = banks.issuer.pays(terms, &[(&banks.a, 2)]);
    client.submit(&waiting).await;
    // A stream without end does not keep the node from stopping; it is told why it ends.
    let request = proto::BlocksRequest { from_height: 1, to_height: 0 };
    let mut stream = client.0.blocks(request).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    let before = client.chain().await;
    node.stop().await;
    let ended = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("ended without a word"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::Unavailable);

    let node = Running::start(&site.config()).await;
    let mut client = site.client(node.address, ISSUER);
    let status = TransactionStatus::Final { height, index };
    assert_eq!(client.status(landed.id()).await, status);
    assert_eq!(client.submit(&landed).await, status);
    // What was pending only is forgotten.
    assert_eq!(client.status(waiting.id()).await, TransactionStatus::Unknown);
    assert!(client.chain().await.height >= before.height);
    let next = before.height.0 + 1;
    let blocks = client.blocks(before.height.0, next).await;
    assert_eq!(blocks[1].block.header.parent, blocks[0].block.id());
    client.settle(&stale).await;
    node.stop().await;
}

/// `cargo test --release -p quittance-node --test chain -- --ignored --nocapture` measures.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn throughput() {
    let (mut site, node, mut client) = start().await;
    let terms = site.terms();
    let banks = &mut site.banks;
    let transfers: Vec<_> =
        (0..600).map(|_| banks.issuer.pays(terms, &[(&banks.a, 1), (&banks.b, 0)])).collect();
    let begun = std::time::Instant::now();
    let lanes = transfers.chunks(10).map(|lane| {
        let (mut client, lane) = (client.clone(), lane.to_vec());
        tokio::spawn(async move {
            for transfer in &lane {
                client.submit(transfer).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
    client.outcome(transfers.last().unwrap()).await;
    let (elapsed, height) = (begun.elapsed(), client.chain().await.height);
    println!("{} transfers in {elapsed:?}, height {height}", transfers.len());
    let begun = std::time::Instant::now();
    let last = banks.issuer.pays(terms, &[(&banks.a, 1)]);
    let built = begun.elapsed();
    client.settle(&last).await;
    println!("one transfer: {built:?} to build, {:?} until it is final", begun.elapsed() - built);
    node.stop().await;
}
