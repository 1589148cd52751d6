//! Receipts across changes of the validators, from real validators to the auditor's program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use quittance_ledger::certificate::ValidatorSet;
use quittance_ledger::ids::Height;
use quittance_ledger::receipt::{Checkpoint, Receipt, ReceiptFile};
use quittance_ledger::transaction::Change;
use quittance_tests::binaries::program;
use serde_json::{Value, json};

use crate::top;
use crate::town::Town;

/// What an auditor has at hand.
struct Auditor {
    folder: tempfile::TempDir,
}

impl Auditor {
    fn write(&self, name: &str, value: &Value) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path
    }

    /// `quittance-audit receipt verify`, by what root, which is in this file.
    fn verify(&self, receipt: &Receipt, by: &str, root: &Path) -> Output {
        let file = self.write("receipt.json", &json!(ReceiptFile::new(receipt.clone())));
        let mut command = Command::new(program("quittance-audit"));
        command.args(["receipt", "verify", by]).arg(root).arg(file).output().unwrap()
    }
}

fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}

fn accepted(output: &Output, words: &[&str]) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for word in words.iter().chain(&["VERIFIED: final"]) {
        assert!(said.contains(word), "{word}: {said}");
    }
}

fn refused(output: &Output) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("NOT VERIFIED: "), "{said}");
}

/// The validators after the block at this height, which must be the last of theirs, or the first.
async fn checkpoint(town: &Town, height: Height, set: ValidatorSet) -> Checkpoint {
    let block = town.blocks(0, height, height).await.remove(0).block;
    Checkpoint::after(&block.header, &set).expect("they are announced there")
}

/// One joins and one leaves. A payment after that is shown from the genesis, from a checkpoint between
/// the two, and from one after both.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_across_two_changes_of_the_validators_is_verified_by_the_auditor() {
    let mut town = Town::with(4, 1);
    let auditor = Auditor { folder: tempfile::tempdir().unwrap() };
    town.settle(0, 2).await;
    let from = town.soon().await;
    let joins = Change::PutValidator { institution: town.id(4), power: 1 };
    town.decide(from, vec![town.admission(4), joins], &[0, 1, 2]).await;
    let five = town.expect_set(&[0, 1, 2, 3, 4]);
    town.start(4);
    town.reach(0, from.0).await;
    town.settle(1, 1).await;
    let between = top(&town).await;

    let to = town.soon().await;
    let leaves = Change::RemoveValidator { institution: town.id(1) };
    town.decide(to, vec![leaves], &[0, 2, 3, 4]).await;
    let four = town.expect_set(&[0, 2, 3, 4]);
    town.reach(0, to.0 + 2).await;
    town.kill(1);
    let payment = town.pay();
    town.submit(2, &payment).await;
    let (height, _) = town.outcome(2, &payment).await;
    let (height_text, id) = (format!(" {height} of 20"), payment.id().to_string());
    let expected = [height_text.as_str(), id.as_str()];

    // Each validator's, also the newest one's, which has fetched what was before it.
    let genesis = town.genesis_file();
    for at in [0, 4] {
        let whole = town.receipt(at, payment.id(), Height::GENESIS).await;
        assert_eq!(whole.changes.len(), 2);
        accepted(&auditor.verify(&whole, "--genesis", &genesis), &expected);
    }
    let whole = town.receipt(0, payment.id(), Height::GENESIS).await;
    let root = checkpoint(&town, between, five).await;
    let root = auditor.write("between.json", &json!(root));
    let later = town.receipt(4, payment.id(), between).await;
    assert_eq!(later.changes.len(), 1);
    accepted(&auditor.verify(&later, "--checkpoint", &root), &expected);
    let root_after = checkpoint(&town, Height(to.0 + 1), four).await;
    let root_after = auditor.write("after.json", &json!(root_after));
    let last = town.receipt(0, payment.id(), Height(to.0 + 1)).await;
    assert!(last.changes.is_empty());
    accepted(&auditor.verify(&last, "--checkpoint", &root_after), &expected);

    // Without either change, with them the other way round, with one twice, and from another root.
    for remaining in [vec![0], vec![1], vec![], vec![1, 0], vec![0, 0, 1], vec![0, 1, 1]] {
        let changes = remaining.iter().map(|at| whole.changes[*at].clone()).collect();
        let changed = Receipt { changes, ..whole.clone() };
        refused(&auditor.verify(&changed, "--genesis", &genesis));
    }
    refused(&auditor.verify(&later, "--genesis", &genesis));
    refused(&auditor.verify(&last, "--checkpoint", &root));
    town.compare().await;
}
