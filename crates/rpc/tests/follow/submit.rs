//! Submitting to several nodes, some of which are away or do not tell the truth.

use std::sync::atomic::Ordering;
use std::time::Duration;

use quittance_crypto::digest::Digest;
use quittance_ledger::ids::{CommitteeId, Height};
use quittance_ledger::transaction::{Action, Body, RoundOpen, Transaction};
use quittance_rpc::convert::TransactionStatus;
use quittance_rpc::submit::{HELD, Outcome, SubmitError, Submitter};
use tokio::time::timeout;
use tonic::Code;

use crate::common::Running;
use crate::site::*;

const FINAL: TransactionStatus = TransactionStatus::Final { height: Height(7), index: 2 };
const PENDING: TransactionStatus = TransactionStatus::Pending { expiry: Height(90) };

fn rejected() -> TransactionStatus {
    TransactionStatus::Rejected { code: "EXPIRED".to_owned(), reason: "too late".to_owned() }
}

fn transaction(site: &Site) -> Transaction {
    let opening = RoundOpen {
        salt: [0; 16],
        opener: "COORZZ01".parse().unwrap(),
        key_fingerprint: Digest([1; 32]),
        asset: "EUR".parse().unwrap(),
        program: Digest([2; 32]),
        committee: CommitteeId(1),
        minimum_roster: 2,
        attempts: 1,
        join_until: Height(10),
        deadline: Height(20),
    };
    let (chain, action) = (site.genesis.chain_id(), Action::RoundOpen(opening));
    Transaction::new(Body { suite: SUITE, chain, expiry: Height(90), action }, vec![], vec![])
}

/// Nodes that say this of every transaction, `None` for one that is away.
async fn submitter(
    site: &Site,
    verdicts: &[Option<Result<TransactionStatus, Code>>],
) -> (Submitter, Vec<StandIn>, Vec<Running>) {
    let (mut targets, mut stand_ins, mut running) = (vec![], vec![], vec![]);
    for verdict in verdicts {
        let Some(verdict) = verdict else {
            targets.push(site.away());
            continue;
        };
        let stand_in = StandIn { verdict: verdict.clone(), ..StandIn::new(&site.genesis, &[]) };
        let serving = site.serve(stand_in.clone(), "127.0.0.1:0").await;
        targets.push(serving.target.clone());
        stand_ins.push(stand_in);
        running.push(serving);
    }
    (Submitter::new(&site.nodes(&targets)), stand_ins, running)
}

/// How a transaction ends with these nodes.
async fn outcome(verdicts: &[Option<Result<TransactionStatus, Code>>]) -> Outcome {
    let site = Site::new();
    let (submitter, _stand_ins, _running) = submitter(&site, verdicts).await;
    let transaction = transaction(&site);
    let settled = timeout(Duration::from_secs(60), submitter.settle(&transaction)).await;
    settled.expect("an outcome in time").unwrap()
}

#[tokio::test]
async fn an_outcome_comes_from_whichever_node_has_it() {
    let is_final = Outcome::Final { height: Height(7), index: 2 };
    // Away, at its limit, failing, holding the transaction back, forgetting it: the next one is used.
    for first in [
        None,
        Some(Err(Code::ResourceExhausted)),
        Some(Err(Code::Internal)),
        Some(Ok(PENDING)),
        Some(Ok(TransactionStatus::Unknown)),
    ] {
        assert_eq!(outcome(&[first, Some(Ok(FINAL))]).await, is_final);
    }
}

#[tokio::test]
async fn a_rejection_counts_when_a_second_node_repeats_it() {
    let TransactionStatus::Rejected { code, reason } = rejected() else { unreachable!() };
    let expected = Outcome::Rejected { code, reason };
    let no = Some(Ok(rejected()));
    assert_eq!(outcome(std::slice::from_ref(&no)).await, expected);
    assert_eq!(outcome(&[no.clone(), no.clone()]).await, expected);
    // Whoever holds it back does not keep the truth from us, and nor does who is away.
    assert_eq!(outcome(&[no.clone(), Some(Ok(PENDING)), no.clone()]).await, expected);
    assert_eq!(outcome(&[None, no.clone(), None]).await, expected);
    // A lie.
    let is_final = Outcome::Final { height: Height(7), index: 2 };
    assert_eq!(outcome(&[no, Some(Ok(FINAL))]).await, is_final);
}

#[tokio::test]
async fn what_no_node_can_read_is_an_error_at_once() {
    let site = Site::new();
    let bad = Some(Err(Code::InvalidArgument));
    let (submitter, stand_ins, _running) = submitter(&site, &[bad, Some(Ok(FINAL))]).await;
    let error = submitter.settle(&transaction(&site)).await.unwrap_err();
    assert!(matches!(&error, SubmitError::Node(status) if status.code() == Code::InvalidArgument));
    assert_eq!(stand_ins[1].submitted.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_transaction_that_waits_for_long_is_submitted_through_another_node() {
    let site = Site::new();
    let verdicts = [Some(Ok(PENDING)), Some(Ok(PENDING))];
    let (submitter, stand_ins, _running) = submitter(&site, &verdicts).await;
    let transaction = transaction(&site);
    let got = || stand_ins.iter().map(|it| it.submitted.load(Ordering::SeqCst)).collect::<Vec<_>>();
    assert_eq!(submitter.submit(&transaction).await.unwrap(), PENDING);
    assert_eq!(submitter.look_after(&transaction, HELD / 2).await.unwrap(), PENDING);
    assert_eq!(got(), [1, 0]);
    assert_eq!(submitter.look_after(&transaction, HELD).await.unwrap(), PENDING);
    assert_eq!(got(), [1, 1]);
}
