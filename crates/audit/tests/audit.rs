//! The auditor against the ledger: it agrees with every honest chain, and with no other.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use quittance_audit::archive::{ArchiveError, Reader, Writer};
use quittance_audit::{Audit, Fault};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::block::{Block, Header, transactions_root};
use quittance_ledger::certificate::Certificate;
use quittance_ledger::ids::{BlockId, Height, Timestamp};

#[path = "../../../tests/src/chain.rs"]
#[allow(dead_code, reason = "the chain of the tests across crates, of which these use a part")]
mod chain;

use chain::{Chain, certify};

static CHAIN: LazyLock<Chain> = LazyLock::new(Chain::eventful);

fn blocks() -> Vec<(Block, Certificate)> {
    let read = |bytes: Vec<u8>| Block::from_bytes(&bytes).unwrap();
    CHAIN.blocks.iter().map(|(block, by)| (read(block.to_bytes()), by.clone())).collect()
}

fn audit(blocks: &[(Block, Certificate)]) -> Result<Audit, Fault> {
    let mut audit = Audit::begin(&CHAIN.genesis)?;
    blocks.iter().try_for_each(|(block, certificate)| audit.block(block, certificate))?;
    Ok(audit)
}

#[test]
fn an_honest_chain_is_verified_in_full() {
    let blocks = blocks();
    let audit = audit(&blocks).unwrap();
    let transactions = || blocks.iter().flat_map(|(block, _)| &block.transactions);
    let totals = audit.totals();
    assert_eq!(totals.blocks, blocks.len() as u64);
    assert_eq!(totals.transactions, transactions().count() as u64);
    let proofs: usize = transactions().map(|transaction| transaction.proofs().len()).sum();
    assert_eq!(totals.range_proofs, proofs as u64);
    let signatures: usize =
        transactions().map(|transaction| transaction.signatures().len()).sum::<usize>();
    assert_eq!(totals.signatures, (signatures + blocks.len()) as u64);
    assert_eq!(audit.root(), CHAIN.state.root());
    assert_eq!(audit.chain(), CHAIN.genesis.chain_id().0);
}

/// The chain with block `height` changed, certified anew by its validator: what a corrupt
/// validator could publish.
fn forged(height: usize, change: impl FnOnce(&mut Block)) -> Fault {
    let mut blocks = blocks();
    blocks.truncate(height);
    let (block, certificate) = blocks.last_mut().unwrap();
    change(block);
    *certificate = certify(&block.header);
    audit(&blocks).err().expect("a forged block must not pass")
}

fn with_root(block: &mut Block) {
    block.header.transactions_root = transactions_root(&block.transactions);
}

#[test]
fn each_field_of_a_header_is_checked() {
    type Change = (&'static str, fn(&mut Header));
    let changes: [Change; 7] = [
        ("height", |header| header.height = Height(9)),
        ("parent", |header| header.parent = BlockId(Digest::ZERO)),
        ("transactions root", |header| header.transactions_root = Digest::ZERO),
        ("state root", |header| header.state_root = Digest::ZERO),
        ("time", |header| header.time = Timestamp(0)),
        ("validators", |header| header.validators = Digest::ZERO),
        ("next validators", |header| header.next_validators = Digest::ZERO),
    ];
    for (rule, change) in changes {
        let fault = forged(2, |block| change(&mut block.header));
        assert_eq!((fault.rule, fault.place.height), (rule, 2), "{fault}");
    }
}

#[test]
fn transactions_left_out_repeated_or_exchanged_are_found() {
    // Block 2: two transfers of one bank, then an absorption of another.
    let fault = forged(2, |block| {
        block.transactions.pop();
        with_root(block);
    });
    assert_eq!(fault.rule, "state root", "{fault}");
    let fault = forged(2, |block| {
        block.transactions.swap(0, 1);
        with_root(block);
    });
    assert_eq!((fault.rule, fault.place.transaction), ("sequence", Some(0)), "{fault}");
    let fault = forged(2, |block| {
        block.transactions.push(block.transactions[2].clone());
        with_root(block);
    });
    assert_eq!((fault.rule, fault.place.transaction), ("sequence", Some(3)), "{fault}");
    // A transaction of an earlier block, again.
    let fault = forged(4, |block| {
        block.transactions.push(blocks()[2].0.transactions[0].clone());
        with_root(block);
    });
    assert_eq!((fault.rule, fault.place.entry), ("sequence", Some(0)), "{fault}");
    // A credit that has gone back once, again.
    let fault = forged(5, |block| {
        block.transactions.insert(0, blocks()[3].0.transactions[0].clone());
        with_root(block);
    });
    assert_eq!(fault.rule, "returned credits are pending", "{fault}");
    // A settlement of a round that has settled.
    let fault = forged(10, |block| {
        block.transactions = blocks()[8].0.transactions.clone();
        with_root(block);
    });
    assert_eq!(fault.rule, "round not settled", "{fault}");
}

#[test]
fn any_changed_byte_of_a_transaction_is_found() {
    let bytes = blocks()[1].0.transactions[0].to_bytes();
    // Every 97th byte reaches each field several times: body, note, seals, proof, signature.
    for position in (0..bytes.len()).step_by(97) {
        let mut bytes = bytes.clone();
        bytes[position] ^= 1;
        let Ok(changed) = Decode::from_bytes(&bytes) else { continue };
        let fault = forged(2, |block| {
            block.transactions[0] = changed;
            with_root(block);
        });
        assert_eq!(fault.place.transaction, Some(0), "byte {position}: {fault}");
    }
}

#[test]
fn certificates_are_checked() {
    let mut blocks = blocks();
    blocks[1].1.signatures.clear();
    assert_eq!(audit(&blocks).err().unwrap().rule, "certificate");
    let mut blocks = self::blocks();
    blocks[1].1 = blocks[2].1.clone();
    assert_eq!(audit(&blocks).err().unwrap().rule, "certificate");
    let mut blocks = self::blocks();
    blocks[1].1.round = 1;
    assert_eq!(audit(&blocks).err().unwrap().rule, "certificate");
    let mut blocks = self::blocks();
    let twice = blocks[1].1.signatures[0].clone();
    blocks[1].1.signatures.push(twice);
    assert_eq!(audit(&blocks).err().unwrap().rule, "certificate");
}

#[test]
fn a_chain_of_another_genesis_is_refused_at_its_first_block() {
    let mut genesis = CHAIN.genesis.clone();
    genesis.limits.max_expiry += 1;
    let mut audit = Audit::begin(&genesis).unwrap();
    let (block, certificate) = &blocks()[0];
    assert_eq!(audit.block(block, certificate).unwrap_err().rule, "chain");
}

#[test]
fn an_archive_comes_back_and_a_torn_one_says_so() {
    let mut writer = Writer::begin(Vec::new(), &CHAIN.genesis).unwrap();
    for (block, certificate) in blocks() {
        writer.block(&block, &certificate).unwrap();
    }
    let bytes = writer.finish().unwrap();
    let read = |bytes: &[u8]| {
        let (mut reader, genesis) = Reader::begin(bytes)?;
        let mut blocks = Vec::new();
        while let Some(block) = reader.block()? {
            blocks.push(block);
        }
        Ok::<_, ArchiveError>((genesis, blocks))
    };
    let (genesis, found) = read(&bytes).unwrap();
    assert_eq!((genesis, found), (CHAIN.genesis.clone(), blocks()));
    assert!(matches!(read(&bytes[..bytes.len() - 1]), Err(ArchiveError::Truncated(_))));
    assert!(matches!(read(b"something else"), Err(ArchiveError::Magic)));
    let mut long = bytes.clone();
    long[16] = 0xff;
    assert!(matches!(read(&long), Err(ArchiveError::TooLong { .. })));
}
