//! The file `directory.toml`, and the files that all daemons read.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::process;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Suite;
use quittance_rpc::config::{self, ConfigError, Target};
use quittance_rpc::directory::Directory;
use quittance_rpc::identity::Process;
use serde::Deserialize;

const GOOD: &str = r#"
[node]
address = "127.0.0.1:7000"
identity = "urn:quittance:VALDZZ01:node"

[coordinator]
address = "localhost:7001"
identity = "urn:quittance:COORZZ01:coordinator"

[parties]
MPCPZZ01 = "127.0.0.1:7011"
MPCPZZ02 = "127.0.0.1:7012"

[agents]
BANKZZ01 = "127.0.0.1:7101"
"#;

fn load(text: &str) -> Result<Directory, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("directory.toml");
    std::fs::write(&file, text).unwrap();
    Directory::load(&file)
}

#[test]
fn everybody_is_found_under_the_name_they_must_have() {
    let directory = load(GOOD).unwrap();
    let target = |address: &str, institution: &str, kind| Target {
        address: address.to_owned(),
        identity: process(institution, kind),
    };
    assert_eq!(directory.node, target("127.0.0.1:7000", "VALDZZ01", Process::Node));
    assert_eq!(directory.coordinator, target("localhost:7001", "COORZZ01", Process::Coordinator));
    let parties: Vec<_> = directory.parties.values().cloned().collect();
    assert_eq!(
        parties,
        [
            target("127.0.0.1:7011", "MPCPZZ01", Process::Party),
            target("127.0.0.1:7012", "MPCPZZ02", Process::Party)
        ]
    );
    let bank = "BANKZZ01".parse().unwrap();
    assert_eq!(directory.agents[&bank], target("127.0.0.1:7101", "BANKZZ01", Process::Agent));
}

/// The validators that are used, as their names, with what is wrong.
fn chosen(names: &[&str]) -> (Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let several = "[validators]\nVALDZZ03 = \"127.0.0.1:7003\"\nVALDZZ01 = \"127.0.0.1:7000\"\n\
                   AVALZZ01 = \"127.0.0.1:7005\"\nVALDZZ02 = \"127.0.0.1:7002\"\n\n[agents]";
    std::fs::write(folder.path().join("directory.toml"), GOOD.replace("[agents]", several))
        .unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "").unwrap();
    let (_, mut check): (Nothing, _) = config::read(&file).unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let directory = check.directory("directory", "directory.toml".as_ref()).unwrap();
    let directory = directory.choose("nodes", &names, &mut check);
    let used = directory.nodes.iter().map(|node| node.identity.institution.to_string()).collect();
    let problems = check.finish(Some(())).err().map_or(vec![], |error| error.problems);
    let problems = problems.iter().map(|it| format!("{}: {}", it.key, it.reason)).collect();
    (used, problems)
}

#[test]
fn validators_are_used_in_the_order_that_is_asked_for() {
    assert_eq!(load(GOOD).unwrap().nodes, [load(GOOD).unwrap().node]);
    let (all, none) = chosen(&[]);
    assert_eq!(all, ["VALDZZ01", "VALDZZ02", "VALDZZ03", "AVALZZ01"]);
    assert_eq!(none, [""; 0]);
    assert_eq!(chosen(&["VALDZZ03", "VALDZZ01"]).0, ["VALDZZ03", "VALDZZ01"]);
    let (_, problems) = chosen(&["VALDZZ03", "VALDZZ09", "VALDZZ03", "x"]);
    assert_eq!(problems[0], "nodes[1]: the directory names no validator VALDZZ09");
    assert_eq!(problems[1], "nodes[2]: VALDZZ03 is named twice");
    assert!(problems[2].starts_with("nodes[3]: "), "{problems:?}");
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let bad = GOOD
        .replace("VALDZZ01:node", "VALDZZ01:agent")
        .replace("localhost:7001", "localhost")
        .replace("MPCPZZ02", "mpc")
        .replace("127.0.0.1:7101", "127.0.0.1:0");
    let error = load(&bad).unwrap_err();
    let keys: Vec<_> = error.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        ["node.identity", "coordinator.address", "parties.mpc", "agents.BANKZZ01.address"]
    );
    assert_eq!(
        error.problems[0].reason,
        "urn:quittance:VALDZZ01:agent is not a process of the kind node"
    );
    let error = load(&GOOD.replace("[agents]", "[agent]")).unwrap_err();
    assert!(error.to_string().contains("unknown field `agent`"), "{error}");
}

#[derive(Deserialize)]
struct Nothing {}

/// What is wrong with files of the daemons, when only `write` has been done to an empty folder.
fn problems(write: impl FnOnce(&std::path::Path), institution: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "").unwrap();
    write(folder.path());
    let (_, mut check): (Nothing, _) = config::read(&file).unwrap();
    let genesis = check.genesis("genesis", "genesis.json".as_ref());
    let institution = institution.parse().unwrap();
    let ring = check.key_ring("keys.age".as_ref(), "passphrase".as_ref(), Some(institution));
    let directory = check.directory("directory", "directory.toml".as_ref());
    let all = directory.zip(genesis).zip(ring);
    check.finish(all).err().map_or(vec![], |error| {
        error
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.key, problem.reason))
            .collect()
    })
}

#[test]
fn files_that_are_missing_or_wrong_are_all_named() {
    let found = problems(|_| (), "BANKZZ01");
    let keys: Vec<_> = found.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(keys, ["genesis", "passphrase", "keys", "directory"]);

    let ring = KeyRing::generate("BANKZZ01", Suite::MlDsa65MlKem768).unwrap();
    let write = |folder: &std::path::Path| {
        let write = |name: &str, content: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        };
        write("passphrase", b"secret\n");
        write("keys.age", &ring.to_encrypted("secret", 1).unwrap());
        write("genesis.json", b"{}");
        write("directory.toml", GOOD.replace("VALDZZ01:node", "x").as_bytes());
    };
    let found = problems(write, "BANKZZ02");
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("genesis.json cannot be used: missing field"), "{found:?}");
    assert_eq!(found[1], "keys: they are BANKZZ01's, not BANKZZ02's");
    assert!(
        found[2].starts_with("directory: ") && found[2].contains("directory.toml: node.identity: ")
    );
}
