//! The auditor's verification of receipts: it agrees with the ledger's on honest ones and on all
//! attacks.

#[path = "../../../../ledger/tests/receipts/attacks.rs"]
#[allow(dead_code, reason = "shared with the ledger's tests")]
mod attacks;
#[path = "../../../../ledger/tests/receipts/small.rs"]
mod small;
#[path = "../../../../ledger/tests/receipts/world.rs"]
#[allow(dead_code, reason = "shared with the ledger's tests")]
mod world;

use std::sync::LazyLock;

use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::ids::Height;
use quittance_ledger::receipt::{Receipt, ReceiptFile, Summary, SummaryClaim};
use world::{TIP, World, account_id, deciders};

use crate::receipt::{verify, verify_file};

static WORLD: LazyLock<World> = LazyLock::new(World::new);

#[test]
fn an_honest_receipt_is_proven_with_all_that_it_says() {
    let receipt = WORLD.complete();
    let verdict = verify(&receipt, &WORLD.root).unwrap();
    assert_eq!(verdict.proven, Summary::of(&receipt));
    let signed = verdict.signed;
    assert_eq!((signed.signers, signed.validators), (3, 3));
    assert_eq!((signed.power, signed.total_power), (3, 3));
    assert!(verdict.root.is_genesis());
    assert_eq!(verdict.root.age, WORLD.header(8).time.0 - WORLD.root.time.0);
    // Claims are in the order of ids: which of the two transactions comes first is by chance.
    let complete = |claim: &SummaryClaim| match claim {
        SummaryClaim::Transaction { postings, .. } => Some(postings.clone()),
        SummaryClaim::Account { .. } => None,
    };
    let shown: Vec<_> = verdict.proven.claims.iter().filter_map(complete).collect();
    assert_eq!(shown.iter().filter(|postings| postings.is_empty()).count(), 1, "only named by id");
    let postings = shown.concat();
    let [account, absent] = [2, 3].map(|place| verdict.proven.claims[place].clone());
    let SummaryClaim::Account { institution, sequence, balance, .. } = account else {
        panic!("{account:?}")
    };
    assert_eq!((institution, sequence), (account_id(2).institution, 8));
    let state = WORLD.states[7].account(&account_id(2)).unwrap();
    assert_eq!(balance, Some(state.balance.to_string()));
    assert_eq!((postings.len(), postings[0].sequence), (1, 8));
    assert!(matches!(absent, SummaryClaim::Account { balance: None, sequence: 0, .. }));
}

#[test]
fn roots_of_every_height_before_serve_and_say_their_age() {
    for height in 2..=TIP {
        let receipt = WORLD.receipt(height, vec![WORLD.paid(height, 3), WORLD.account(height, 0)]);
        assert!(verify(&receipt, &WORLD.root).is_ok());
        for from in 1..height {
            let after =
                |change: &&quittance_ledger::receipt::SetChange| change.header.height.0 > from;
            let changes: Vec<_> = receipt.changes.iter().filter(after).cloned().collect();
            let shorter = Receipt { changes, ..receipt.clone() };
            let verdict = verify(&shorter, &WORLD.checkpoint(from)).unwrap();
            assert_eq!(verdict.root.height, Height(from));
            assert_eq!(verdict.root.age, 60_000 * (height - from));
            assert_eq!(verdict.root.digest, WORLD.checkpoint(from).digest().to_string());
        }
    }
}

#[test]
fn every_attack_is_refused_by_its_rule() {
    for (name, rule, receipt, root) in attacks::all(&WORLD) {
        let fault = verify(&receipt, &root).expect_err(name);
        assert_eq!(fault.rule, rule, "{name}: {fault}");
    }
}

fn refused_by(rule: &str, attacks: Vec<attacks::Attack>) {
    for (name, _, receipt, root) in attacks.into_iter().filter(|(_, by, ..)| *by == rule) {
        let fault = verify(&receipt, &root).expect_err(name);
        assert_eq!(fault.rule, rule, "{name}: {fault}");
    }
}

#[test]
fn certificates_of_others_and_of_exactly_two_thirds_are_refused() {
    refused_by("certificate", attacks::certificates(&WORLD));
}

#[test]
fn a_certificate_of_another_block_is_refused() {
    refused_by("certificate", attacks::headers(&WORLD));
}

#[test]
fn validators_that_no_block_has_announced_are_refused() {
    refused_by("announced set", attacks::changes(&WORLD));
}

#[test]
fn validators_do_not_sign_in_the_name_of_others() {
    refused_by("validators", attacks::changes(&WORLD));
}

#[test]
fn absence_of_a_record_that_is_there_is_refused() {
    refused_by("proof in the state", attacks::accounts(&WORLD));
}

#[test]
fn every_changed_byte_is_refused() {
    for (receipt, root) in small::receipts(&WORLD) {
        let bytes = receipt.to_bytes();
        assert!(verify(&receipt, &root).is_ok());
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << (place % 8);
            if let Ok(other) = Receipt::from_bytes(&changed) {
                let refused = verify(&other, &root).is_err();
                let harmless = small::denies_another(&WORLD, &receipt, &other);
                assert!(refused || harmless, "byte {place}");
            }
        }
    }
}

#[test]
fn a_summary_that_says_something_else_is_refused() {
    let file = ReceiptFile::new(WORLD.complete());
    assert!(verify_file(&file, &WORLD.root).is_ok());
    let changes: [fn(&mut Summary); 5] = [
        |summary| summary.height = Height(1),
        |summary| summary.time.0 += 1,
        |summary| summary.set_changes = 0,
        |summary| drop(summary.claims.pop()),
        |summary| {
            if let Some(SummaryClaim::Account { balance, .. }) = summary.claims.last_mut() {
                *balance = Some("00".repeat(32));
            }
        },
    ];
    for change in changes {
        let mut other = file.clone();
        change(&mut other.summary);
        assert_eq!(verify_file(&other, &WORLD.root).unwrap_err().rule, "summary");
    }
}

/// What a receipt has proven is a root for later ones, if the validators stay.
#[test]
fn a_receipt_makes_a_checkpoint_where_the_validators_stay() {
    let at = |height| WORLD.receipt(height, vec![WORLD.paid_id(height, 0)]);
    let verdict = verify(&at(6), &WORLD.root).unwrap();
    assert_eq!(verdict.checkpoint, Some(WORLD.checkpoint(6)));
    let later = Receipt { changes: vec![], ..at(TIP) };
    assert!(verify(&later, &verdict.checkpoint.unwrap()).is_ok());
    assert_ne!(deciders(3), deciders(4));
    assert_eq!(verify(&at(3), &WORLD.root).unwrap().checkpoint, None);
}
