//! `quittance-audit receipt` as a program.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../../tests/src/chain.rs"]
#[allow(dead_code, reason = "the chain of the tests across crates, of which these use a part")]
mod chain;
#[path = "../../../ledger/tests/receipts/world.rs"]
#[allow(dead_code, reason = "shared with the ledger's tests")]
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::receipt::{Claim, Receipt, ReceiptFile};
use serde_json::Value;

use world::World;

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// A folder that is deleted in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("receipts-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, value: &impl serde::Serialize) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, serde_json::to_string_pretty(value).unwrap()).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn audit(arguments: &[&str], files: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quittance-audit"));
    command.arg("receipt").args(arguments).args(files).output().unwrap()
}

fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}

/// A receipt of the transfer in block 2 of a chain with a real genesis.
fn paid(chain: &chain::Chain) -> Receipt {
    let (block, certificate) = &chain.blocks[1];
    let block = Decode::from_bytes(&block.to_bytes()).unwrap();
    let claim = Claim::of_transaction(&block, 0).unwrap();
    Receipt::new(vec![], block.header.clone(), certificate.clone(), vec![claim])
}

#[test]
fn a_receipt_is_verified_from_the_genesis_and_shown() {
    let folder = Folder::new("genesis");
    let chain = chain::Chain::eventful();
    let genesis = folder.write("genesis.json", &chain.genesis);
    let receipt = paid(&chain);
    let file = folder.write("receipt.json", &ReceiptFile::new(receipt.clone()));
    let output = audit(&["verify", "--now", "--genesis"], &[&genesis, &file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let said = text(&output);
    let id = chain.blocks[1].0.transactions[0].id().to_string();
    for expected in ["root           genesis of 1970-01-01T", "VERIFIED: final", &id, " now"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    println!("{said}");
    let output = audit(&["show"], &[&file]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output).contains("NOT VERIFIED: this is what the receipt says"));
    println!("{}", text(&output));

    let json = folder.0.join("verdict.json");
    let output = audit(&["verify", "--json"], &[&json, Path::new("--genesis"), &genesis, &file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let said = fs::read_to_string(&json).unwrap();
    println!("{said}");
    let verdict: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(verdict["verified"], true);
    assert_eq!(verdict["proven"]["claims"][0]["id"], id.as_str());
    assert_eq!(verdict["signed"]["signers"], 1);

    // The genesis of another chain.
    let mut other = chain.genesis.clone();
    other.limits.max_expiry += 1;
    let other = folder.write("other.json", &other);
    let output = audit(&["verify", "--genesis"], &[&other, &file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("NOT VERIFIED: block 2: chain"), "{}", text(&output));
}

#[test]
fn a_receipt_is_verified_from_a_checkpoint_and_makes_another() {
    let folder = Folder::new("checkpoint");
    let root = folder.write("checkpoint.json", &WORLD.checkpoint(4));
    let receipt = Receipt { changes: vec![], ..WORLD.receipt(8, vec![WORLD.account(8, 2)]) };
    let file = folder.write("receipt.json", &ReceiptFile::new(receipt));
    let next = folder.0.join("next.json");
    let arguments = ["verify", "--write-checkpoint", next.to_str().unwrap(), "--checkpoint"];
    let output = audit(&arguments, &[&root, &file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let said = text(&output);
    for expected in ["root           checkpoint at block 4", "root's age     4 min", "BANKCE2A/EUR"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    println!("{said}");
    // None is written over.
    assert_eq!(audit(&arguments, &[&root, &file]).status.code(), Some(2));
    let later = WORLD.receipt(9, vec![WORLD.paid(9, 0)]);
    let later = Receipt { changes: vec![], ..later };
    let later = folder.write("later.json", &ReceiptFile::new(later));
    let output = audit(&["verify", "--checkpoint"], &[&next, &later]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    // A checkpoint does not reach back.
    let output = audit(&["verify", "--checkpoint"], &[&next, &file]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("order of blocks"), "{}", text(&output));
}

#[test]
fn what_is_no_receipt_is_not_verified_and_what_is_no_root_is_an_error() {
    let folder = Folder::new("malformed");
    let root = folder.write("checkpoint.json", &WORLD.root);
    let good = serde_json::to_value(ReceiptFile::new(WORLD.complete())).unwrap();
    let mut longer = good.clone();
    longer["receipt"] = format!("{}00", good["receipt"].as_str().unwrap()).into();
    let mut summary = good.clone();
    summary["summary"]["height"] = 7.into();
    for (name, value) in [("longer", longer), ("summary", summary), ("nothing", Value::Null)] {
        let file = folder.write(name, &value);
        let output = audit(&["verify", "--checkpoint"], &[&root, &file]);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output));
        assert!(text(&output).contains("NOT VERIFIED"), "{name}: {}", text(&output));
        let output = audit(&["verify", "--json=-", "--checkpoint"], &[&root, &file]);
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &verdict["verified"]), (Some(1), &Value::Bool(false)));
    }
    let file = folder.write("good", &good);
    assert_eq!(audit(&["verify", "--checkpoint"], &[&root, &file]).status.code(), Some(0));
    let missing = folder.0.join("missing");
    for (root, file) in [(&missing, &file), (&file, &file), (&root, &missing)] {
        let output = audit(&["verify", "--checkpoint"], &[root, file]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    }
    assert_eq!(audit(&["verify"], &[&file]).status.code(), Some(2));
}
