//! Ledger types through protobuf and back; what does not decode is named.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::signature::Suite;
use quittance_ledger::block::{Block, Header, transactions_root};
use quittance_ledger::certificate::Certificate;
use quittance_ledger::ids::{AccountId, AssetId, BlockId, ChainId, CreditId, Height, Timestamp};
use quittance_ledger::state::{Account, Key, PendingCredit};
use quittance_ledger::transaction::{Condition, Transaction, Unverified};
use quittance_ledger::{merkle, tree};
use quittance_rpc::convert::TransactionStatus;
use quittance_rpc::convert::{self, AccountView, ChainView, FieldError, FinalBlock, RoundView};
use quittance_rpc::proto::node::v1 as node;
use tonic::{Code, Status};

const SUITE: Suite = Suite::MlDsa65MlKem768;

fn account_id() -> AccountId {
    AccountId { institution: "BANKDEFF".parse().unwrap(), asset: "EUR".parse().unwrap() }
}

fn header(state_root: Digest) -> Header {
    Header {
        suite: SUITE,
        chain: ChainId(Digest([1; 32])),
        height: Height(7),
        parent: BlockId(Digest([2; 32])),
        transactions_root: transactions_root::<Unverified>(&[]),
        state_root,
        time: Timestamp(1_700_000_000_000),
        validators: Digest([3; 32]),
        next_validators: Digest([3; 32]),
    }
}

fn certificate(header: &Header) -> Certificate {
    Certificate { height: header.height, round: 0, block: header.id(), signatures: Vec::new() }
}

fn credit(number: u64) -> PendingCredit {
    PendingCredit {
        number,
        id: CreditId(Digest([number as u8; 32])),
        sender: "BANKFRPP".parse().unwrap(),
        commitment: Commitment::identity(),
        details: Digest([5; 32]),
        condition: Condition::None,
        arrived: Height(3),
        returned: false,
    }
}

fn account(pending: &[PendingCredit]) -> Account {
    Account {
        balance: Commitment::identity(),
        sequence: 4,
        lock: None,
        arrivals: 9,
        pending_root: merkle::root_of(pending),
        inflow: Commitment::identity(),
        outflow: Commitment::identity(),
        net_settled: Commitment::identity(),
        log: Digest([6; 32]),
    }
}

/// A state with the account and a stranger's leaf, or with the latter only.
fn view(account: Option<Account>, pending: Vec<PendingCredit>) -> AccountView {
    let put = |key: &Key, bytes: &[u8]| {
        let value_hash = tree::value_hash(bytes);
        (key.leaf().unwrap(), tree::Write::Put { value_hash, value: () })
    };
    let key = Key::Account(account_id());
    let leaf = account.as_ref().map(|account| put(&key, &account.to_bytes()));
    let state = tree::Tree::default().update(leaf.into_iter().chain([put(&Key::Limits, b"x")]));
    let header = header(state.root());
    let certificate = certificate(&header);
    let proof = state.prove(&key.leaf().unwrap());
    AccountView { header, certificate, account, proof, pending }
}

fn through_the_wire(view: &AccountView) -> AccountView {
    AccountView::try_from(&node::AccountResponse::from(view)).unwrap()
}

#[test]
fn an_account_comes_through_with_its_proof() {
    let pending = vec![credit(3), credit(8)];
    let present = view(Some(account(&pending)), pending);
    let absent = view(None, Vec::new());
    for view in [present, absent] {
        let received = through_the_wire(&view);
        assert_eq!(received, view);
        assert_eq!(received.check(&account_id()), Ok(()));
    }
}

#[test]
fn an_account_that_is_not_proven_is_refused() {
    let pending = vec![credit(3), credit(8)];
    let good = || view(Some(account(&pending)), pending.clone());
    let refused = |change: &dyn Fn(&mut AccountView)| {
        let mut view = good();
        change(&mut view);
        through_the_wire(&view).check(&account_id()).unwrap_err().field
    };
    assert_eq!(refused(&|view| view.certificate.block = BlockId(Digest::ZERO)), "certificate");
    assert_eq!(refused(&|view| view.header.state_root = Digest::ZERO), "certificate");
    assert_eq!(refused(&|view| view.header.time = Timestamp(1)), "certificate");
    assert_eq!(refused(&|view| view.account.as_mut().unwrap().sequence += 1), "proof");
    assert_eq!(refused(&|view| view.account = None), "proof");
    assert_eq!(refused(&|view| view.proof.siblings.clear()), "proof");
    assert_eq!(refused(&|view| view.pending.truncate(1)), "pending_credits");
    assert_eq!(refused(&|view| view.pending.reverse()), "pending_credits");
    assert_eq!(refused(&|view| view.pending[0].returned = true), "pending_credits");
    assert_eq!(refused(&|view| view.pending.push(credit(9))), "pending_credits");

    // The same leaf is no proof for another account.
    let other = AccountId { asset: "USD".parse().unwrap(), ..account_id() };
    assert_eq!(good().check(&other).unwrap_err().field, "proof");
    // Nothing pends on an account that does not exist.
    let mut absent = view(None, Vec::new());
    absent.pending.push(credit(0));
    assert_eq!(absent.check(&account_id()).unwrap_err().field, "pending_credits");
}

#[test]
fn every_field_of_an_account_is_decoded_strictly() {
    let pending = vec![credit(3)];
    let good = node::AccountResponse::from(&view(Some(account(&pending)), pending));
    let field = |change: &dyn Fn(&mut node::AccountResponse)| {
        let mut response = good.clone();
        change(&mut response);
        AccountView::try_from(&response).unwrap_err()
    };
    assert_eq!(field(&|all| all.header.push(0)).to_string().split(':').next(), Some("header"));
    assert_eq!(field(&|all| all.header.clear()).field, "header");
    assert_eq!(field(&|all| all.certificate.truncate(5)).field, "certificate");
    assert_eq!(field(&|all| all.account.push(0)).field, "account");
    assert_eq!(field(&|all| all.proof.clear()).field, "proof");
    assert_eq!(field(&|all| all.pending_credits.push(Vec::new())).field, "pending_credits");
}

#[test]
fn blocks_and_rounds_come_through() {
    let block = Block { header: header(Digest([9; 32])), transactions: Vec::new() };
    let certificate = certificate(&block.header);
    let whole = FinalBlock { block, certificate, next_validators: None };
    let mut response = node::BlocksResponse::from(&whole);
    assert_eq!(FinalBlock::try_from(&response), Ok(whole));
    response.block.push(0);
    let error = FinalBlock::try_from(&response).unwrap_err();
    assert!(error.to_string().starts_with("block: end of value: 1 bytes left over"), "{error}");

    let none = RoundView { round: None, height: Height(12) };
    assert_eq!(RoundView::try_from(&node::RoundResponse::from(&none)), Ok(none));
    let garbage = node::RoundResponse { round: vec![255], height: 1 };
    assert_eq!(RoundView::try_from(&garbage).unwrap_err().field, "round");
}

#[test]
fn a_chains_status_comes_through() {
    let view = ChainView {
        chain: ChainId(Digest([3; 32])),
        height: Height(5),
        state_root: Digest([4; 32]),
        time: Timestamp(6),
        mempool: 2,
    };
    let mut response = node::ChainStatusResponse::from(&view);
    assert_eq!(ChainView::try_from(&response), Ok(view));
    response.chain_id.pop();
    assert_eq!(ChainView::try_from(&response).unwrap_err().field, "chain_id");
}

#[test]
fn every_status_comes_through_and_none_is_an_error() {
    for status in [
        TransactionStatus::Unknown,
        TransactionStatus::Pending { expiry: Height(9) },
        TransactionStatus::Final { height: Height(8), index: 3 },
        TransactionStatus::Rejected { code: "STALE_SEQUENCE".into(), reason: "1 < 2".into() },
    ] {
        let wire = node::Status::from(status.clone());
        assert_eq!(TransactionStatus::try_from(Some(wire)), Ok(status));
    }
    for empty in [None, Some(node::Status { state: None })] {
        assert_eq!(
            TransactionStatus::try_from(empty),
            Err(FieldError::new("status", "is missing"))
        );
    }
}

#[test]
fn single_fields_are_refused_by_name() {
    let status = Status::from(convert::text::<AssetId>("asset", "eur").unwrap_err());
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("asset: \"eur\" is not an asset id"), "{status}");

    let transaction = convert::decode::<Transaction>("transaction", &[]).unwrap_err();
    assert_eq!(transaction.field, "transaction");
    assert_eq!(convert::decode_option::<Digest>("round_id", &[]), Ok(None));
    assert!(convert::decode_option::<Digest>("round_id", &[1; 31]).is_err());
    assert_eq!(convert::decode_option("round_id", &[1; 32]), Ok(Some(Digest([1; 32]))));

    assert_eq!(convert::amount("amount", "1.50", 2), Ok(150));
    let error = convert::amount("amount", "1.505", 2).unwrap_err();
    assert!(error.to_string().starts_with("amount: \"1.505\" is too precise"), "{error}");
    assert!(convert::positive_amount("amount", "0", 2).is_err());

    assert_eq!(convert::wait("wait_ms", 500, 30_000), Ok(Duration::from_millis(500)));
    let error = convert::wait("wait_ms", 30_001, 30_000).unwrap_err();
    assert_eq!(error.to_string(), "wait_ms: 30001 ms is more than the longest wait of 30000 ms");
    assert_eq!(convert::count("limit", 0, 100, 1000), Ok(100));
    assert_eq!(convert::count("limit", 1000, 100, 1000), Ok(1000));
    assert!(convert::count("limit", 1001, 100, 1000).is_err());
}

#[test]
fn only_uuids_of_version_4_are_uetrs() {
    let good = "97ed4827-7b6f-4491-a06f-b548d5a7512d";
    assert_eq!(convert::uetr("uetr", good).unwrap().to_string(), good);
    for bad in [
        "",
        "97ed48277b6f4491a06fb548d5a7512d",
        "97ED4827-7B6F-4491-A06F-B548D5A7512D",
        "{97ed4827-7b6f-4491-a06f-b548d5a7512d}",
        "97ed4827-7b6f-1491-a06f-b548d5a7512d",
        "97ed4827-7b6f-4491-c06f-b548d5a7512d",
        "97ed4827-7b6f-4491-a06f-b548d5a7512",
        "00000000-0000-0000-0000-000000000000",
    ] {
        let error = convert::uetr("uetr", bad).unwrap_err();
        assert_eq!(error.field, "uetr", "{bad}");
    }
}
