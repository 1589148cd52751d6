//! `quittance-audit evidence` as a program.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use quittance_audit::evidence::EvidenceFile;
use serde_json::Value;

use crate::{WORLD, dossier};

fn audit(arguments: &[&str], files: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quittance-audit"));
    command.arg("evidence").args(arguments).args(files).output().unwrap()
}

fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn evidence_is_verified_and_shown_and_every_field_of_the_file_counts() {
    let folder = std::env::temp_dir().join(format!("evidence-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, value: &Value| {
        let path = folder.join(name);
        fs::write(&path, serde_json::to_string_pretty(value).unwrap()).unwrap();
        path
    };
    let root = write("checkpoint.json", &serde_json::to_value(&WORLD.root).unwrap());
    let good = serde_json::to_value(EvidenceFile::new(dossier())).unwrap();
    let file = write("evidence.json", &good);
    let verify = |file: &Path| audit(&["verify", "--checkpoint"], &[&root, file]);
    let output = verify(&file);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let said = text(&output);
    println!("{said}");
    for words in [
        "VALAXX2A       two prevotes at height 2, round 2",
        "VALEXX2A       two precommits at height 4, round 2",
        "VALGXX2A       two proposals at height 8, round 1",
        "VERIFIED: contradicted by its own signatures, each at the height named: \
         VALAXX2A, VALEXX2A, VALGXX2A.",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let output = audit(&["show"], &[&file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("NOT VERIFIED: this is what the evidence says"));

    let output = audit(&["verify", "--json=-", "--checkpoint"], &[&root, &file]);
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdict["verified"], true);
    assert_eq!(verdict["cases"][2]["kind"], "proposal");
    assert_eq!(verdict["cases"][2]["validator"], "VALGXX2A");

    let mut wrong = vec![];
    for (pointer, value) in [
        ("/chain", Value::from("00".repeat(32))),
        ("/cases/0/validator", "VALBXX2A".into()),
        ("/cases/0/height", 3.into()),
        ("/cases/0/round", 7.into()),
        ("/cases/0/kind", "proposal".into()),
        ("/cases/0/said/0", "something".into()),
        ("/cases/0/said/1", "something".into()),
        ("/evidence", format!("{}00", good["evidence"].as_str().unwrap()).into()),
        ("/evidence", "".into()),
    ] {
        let mut other = good.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        wrong.push((pointer, other));
    }
    let mut more = good.clone();
    more["verified"] = true.into();
    wrong.push(("more", more));
    wrong.push(("nothing", Value::Null));
    for (name, value) in wrong {
        let output = verify(&write("wrong.json", &value));
        assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output));
        assert!(text(&output).contains("NOT VERIFIED"), "{name}: {}", text(&output));
    }
    // Errors of the caller's.
    let missing = folder.join("missing");
    for (root, file) in [(&missing, &file), (&file, &file), (&root, &missing)] {
        let output = audit(&["verify", "--checkpoint"], &[root, file]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    }
    assert_eq!(audit(&["verify"], &[&file]).status.code(), Some(2));
    drop(fs::remove_dir_all(&folder));
}
