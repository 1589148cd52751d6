//! The auditor's verification of evidence against validators: what convicts, everything that does
//! not, and the command line.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
#[path = "../../../ledger/tests/receipts/world.rs"]
#[allow(dead_code, reason = "shared with the ledger's tests of receipts")]
mod world;

use std::sync::LazyLock;

use quittance_audit::evidence::{CaseKind, Dossier, EvidenceFile, verify, verify_file};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::{Purpose, SigningKey};
use quittance_ledger::block::Header;
use quittance_ledger::certificate::{Certificate, Vote, VoteKind};
use quittance_ledger::evidence::{Evidence, SignedStatement, Statement};
use quittance_ledger::ids::{BlockId, ChainId, Height};
use quittance_ledger::proposal::Proposal;
use quittance_ledger::receipt::Checkpoint;
use world::{World, certify, key, resigned, set, validator};

static WORLD: LazyLock<World> = LazyLock::new(World::new);

fn block(number: u8) -> BlockId {
    BlockId(Digest([number; 32]))
}

fn votes(height: u64, kind: VoteKind) -> [Statement; 2] {
    [Some(block(1)), None].map(|block| {
        let (chain, height) = (world::chain(), Height(height));
        Statement::Vote(Vote { chain, height, round: 2, kind, block })
    })
}

fn proposals(height: u64) -> [Statement; 2] {
    [None, Some(0)].map(|valid_round| {
        let (chain, height) = (world::chain(), Height(height));
        Statement::Proposal(Proposal { chain, height, round: 1, block: block(1), valid_round })
    })
}

fn accuse(number: u8, by: [&SigningKey; 2], statements: [Statement; 2]) -> Evidence {
    let [one, other] = statements;
    let sign = |statement: Statement, key: &SigningKey| SignedStatement {
        signature: key.sign(Purpose::Vote, &statement.digest()),
        statement,
    };
    Evidence::new(validator(number), sign(one, by[0]), sign(other, by[1])).unwrap()
}

/// Signed by whom it accuses.
fn honest(number: u8, statements: [Statement; 2]) -> Evidence {
    let key = key(number);
    accuse(number, [&key, &key], statements)
}

fn final_block(height: u64) -> (Header, Certificate) {
    let (block, certificate) = WORLD.block(height);
    (block.header.clone(), certificate.clone())
}

/// Evidence of heights 2, 4 and 8, across both changes of the validators.
pub fn dossier() -> Dossier {
    Dossier {
        chain: world::chain(),
        changes: vec![WORLD.change(3), WORLD.change(4)],
        blocks: [2, 4, 8].map(final_block).into(),
        evidence: vec![
            honest(0, votes(2, VoteKind::Prevote)),
            honest(4, votes(4, VoteKind::Precommit)),
            honest(6, proposals(8)),
        ],
    }
}

/// The evidence of one height.
fn of_height(height: u64, evidence: Evidence) -> Dossier {
    let changes = [3, 4].into_iter().filter(|change| *change < height);
    Dossier {
        chain: world::chain(),
        changes: changes.map(|change| WORLD.change(change)).collect(),
        blocks: vec![final_block(height)],
        evidence: vec![evidence],
    }
}

#[test]
fn whoever_contradicts_itself_is_named_with_height_round_and_kind() {
    let verdict = verify(&dossier(), &WORLD.root).unwrap();
    let named: Vec<_> = verdict
        .cases
        .iter()
        .map(|case| (case.validator, case.height.0, case.round, case.kind))
        .collect();
    let expected = [
        (validator(0), 2, 2, CaseKind::Prevote),
        (validator(4), 4, 2, CaseKind::Precommit),
        (validator(6), 8, 1, CaseKind::Proposal),
    ];
    assert_eq!(named, expected);
    assert_eq!((verdict.chain, verdict.root.is_genesis()), (world::chain(), true));
    let mut said = verdict.cases[0].said.clone();
    said.sort();
    assert_eq!(said, [format!("block {}", block(1)), "no block".to_owned()]);
    // From a checkpoint, of what comes after it.
    let late = Dossier { changes: vec![], ..of_height(8, honest(6, proposals(8))) };
    assert!(!verify(&late, &WORLD.checkpoint(4)).unwrap().root.is_genesis());
    assert!(verify(&late, &WORLD.checkpoint(7)).is_ok());
}

type Attack = (&'static str, &'static str, Dossier, Checkpoint);

fn attacks() -> Vec<Attack> {
    let (good, root) = (dossier(), &WORLD.root);
    let elsewhere = ChainId(Digest([9; 32]));
    let moved = votes(2, VoteKind::Prevote).map(|statement| match statement {
        Statement::Vote(vote) => Statement::Vote(Vote { chain: elsewhere, ..vote }),
        other => other,
    });
    let late = of_height(8, honest(6, proposals(8)));
    let edit = |change: fn(&mut Dossier)| {
        let mut dossier = good.clone();
        change(&mut dossier);
        dossier
    };
    // Height 8 is decided by 3, 4 and 6.
    let fake = resigned(WORLD.header(8), |header| header.validators = set(&[0]).digest());
    let thin = certify(WORLD.header(8), &[3, 4]);
    vec![
        ("of another chain", "chain", Dossier { chain: elsewhere, ..good.clone() }, root.clone()),
        ("statements of another chain", "chain", of_height(2, honest(0, moved)), root.clone()),
        ("nothing", "evidence", edit(|it| it.evidence.clear()), root.clone()),
        ("without the block", "blocks", edit(|it| drop(it.blocks.remove(0))), root.clone()),
        (
            "blocks twice",
            "order of blocks",
            edit(|it| it.blocks[1] = it.blocks[0].clone()),
            root.clone(),
        ),
        (
            "a change is hidden",
            "validators",
            Dossier { changes: vec![], ..late.clone() },
            root.clone(),
        ),
        (
            "a change is repeated",
            "order of blocks",
            edit(|it| it.changes[1] = it.changes[0].clone()),
            root.clone(),
        ),
        (
            "a change after the last block",
            "changes",
            Dossier { changes: vec![WORLD.change(3)], ..of_height(2, good.evidence[0].clone()) },
            root.clone(),
        ),
        (
            "another set than the one announced",
            "announced set",
            edit(|it| it.changes[0].validators = set(&[0, 1])),
            root.clone(),
        ),
        (
            "a block that names others",
            "validators",
            Dossier { blocks: vec![fake], ..late.clone() },
            root.clone(),
        ),
        (
            "a block of exactly two thirds",
            "certificate",
            Dossier { blocks: vec![(WORLD.header(8).clone(), thin)], ..late.clone() },
            root.clone(),
        ),
        (
            "of a height before the root",
            "root",
            of_height(2, good.evidence[0].clone()),
            WORLD.checkpoint(2),
        ),
        (
            "against one who has left",
            "validator",
            of_height(8, honest(0, votes(8, VoteKind::Prevote))),
            root.clone(),
        ),
        (
            "against one who has not come yet",
            "validator",
            of_height(2, honest(6, votes(2, VoteKind::Prevote))),
            root.clone(),
        ),
        (
            "signed by another validator",
            "signature",
            of_height(2, accuse(0, [&key(1), &key(1)], votes(2, VoteKind::Prevote))),
            root.clone(),
        ),
        (
            "the first is another's",
            "signature",
            of_height(2, accuse(0, [&key(1), &key(0)], votes(2, VoteKind::Prevote))),
            root.clone(),
        ),
        (
            "the second is another's",
            "signature",
            of_height(2, accuse(0, [&key(0), &key(1)], votes(2, VoteKind::Prevote))),
            root.clone(),
        ),
    ]
}

#[test]
fn nobody_is_convicted_by_anything_less() {
    assert!(verify(&dossier(), &WORLD.root).is_ok());
    for (name, rule, dossier, root) in attacks() {
        let fault = verify(&dossier, &root).expect_err(name);
        assert_eq!(fault.rule, rule, "{name}: {fault}");
    }
}

#[test]
fn every_changed_byte_is_refused() {
    let root = Checkpoint { validators: set(&[0]), ..WORLD.root.clone() };
    let mut header = WORLD.header(3).clone();
    header.validators = set(&[0]).digest();
    let dossier = Dossier {
        chain: world::chain(),
        changes: vec![],
        blocks: vec![(header.clone(), certify(&header, &[0]))],
        evidence: vec![honest(0, proposals(3))],
    };
    assert!(verify(&dossier, &root).is_ok());
    let bytes = dossier.to_bytes();
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        if let Ok(other) = Dossier::from_bytes(&changed) {
            assert!(verify(&other, &root).is_err(), "byte {place}");
        }
    }
    for end in 0..bytes.len() {
        assert!(Dossier::from_bytes(&bytes[..end]).is_err());
    }
    assert!(Dossier::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn a_file_that_says_something_else_than_its_evidence_is_refused() {
    let file = EvidenceFile::new(dossier());
    assert!(verify_file(&file, &WORLD.root).is_ok());
    let changes: [fn(&mut EvidenceFile); 9] = [
        |file| file.chain = ChainId(Digest([9; 32])),
        |file| drop(file.cases.pop()),
        |file| file.cases.swap(0, 1),
        |file| file.cases[0].validator = validator(1),
        |file| file.cases[0].height = Height(3),
        |file| file.cases[0].round = 0,
        |file| file.cases[0].kind = CaseKind::Precommit,
        |file| file.cases[0].said[0] = "no block".into(),
        |file| file.cases[0].said[1] = "nothing".into(),
    ];
    for change in changes {
        let mut other = file.clone();
        change(&mut other);
        if other != file {
            assert_eq!(verify_file(&other, &WORLD.root).unwrap_err().rule, "summary");
        }
    }
}
