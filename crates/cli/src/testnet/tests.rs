use std::fs;
use std::os::unix::fs::PermissionsExt;

use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Suite;
use quittance_ledger::state::{PublicKey, State};
use quittance_rpc::tls::trust::{Scope, Trust};
use quittance_rpc::tls::{Credentials, Tls};

use super::*;

fn plan(suite: Suite) -> Plan {
    Plan {
        name: "trial".to_owned(),
        suite,
        banks: ["AAAAZZ01", "BBBBZZ01XXX"].map(|id| id.parse().unwrap()).into(),
        assets: vec![("EUR".parse().unwrap(), 2), ("JPY".parse().unwrap(), 0)],
        validators: 1,
        base_port: 7000,
    }
}

/// Every key that is commented out can be what the comment says.
fn with_comments_removed(text: &str) -> String {
    let is_setting = |line: &str| {
        let Some(line) = line.strip_prefix("# ") else { return false };
        let section = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let key = line.split_once(" = ").map(|(key, _)| key).or(section);
        key.is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
    };
    let uncomment = |line: &str| match is_setting(line) {
        true => line.trim_start_matches("# ").to_owned(),
        false => line.to_owned(),
    };
    text.lines().map(|line| uncomment(line) + "\n").collect()
}

/// All files under a folder, relative to it, sorted.
fn files_under(folder: &Path) -> Vec<String> {
    let mut found = vec![];
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push(path.strip_prefix(folder).unwrap().display().to_string());
        }
    }
    found.sort();
    found
}

#[test]
fn the_files_are_those_of_the_table() {
    let home = tempfile::tempdir().unwrap();
    create(&plan(Suite::MlDsa65MlKem768), home.path()).unwrap();
    let mut expected: Vec<String> =
        ["genesis.json", "directory.toml", "ca/ca.pem", "ca/ca.key", "auditor.pem", "auditor.key"]
            .map(str::to_owned)
            .into();
    for bank in ["CBNKZZ01", "AAAAZZ01", "BBBBZZ01XXX"] {
        expected.extend(["pem", "key"].map(|end| format!("clients/{bank}.{end}")));
    }
    for folder in [
        "node",
        "coordinator",
        "party-MPCAZZ01",
        "party-MPCBZZ01",
        "party-MPCCZZ01",
        "agent-CBNKZZ01",
        "agent-AAAAZZ01",
        "agent-BBBBZZ01XXX",
    ] {
        let files = ["config.toml", "tls.pem", "tls.key", "keys.age", "passphrase"];
        expected.extend(files.map(|file| format!("{folder}/{file}")));
    }
    expected.sort();
    assert_eq!(files_under(home.path()), expected);
    for file in files_under(home.path()) {
        let mode = fs::metadata(home.path().join(&file)).unwrap().permissions().mode() & 0o777;
        let secret = ["key", "age", "passphrase"].iter().any(|end| file.ends_with(end));
        assert_eq!(mode, if secret { 0o600 } else { 0o644 }, "{file}");
    }
}

#[test]
fn the_genesis_is_a_chain_and_the_key_files_belong_to_it() {
    for suite in [Suite::MlDsa65MlKem768, Suite::MlDsa87MlKem1024] {
        let home = tempfile::tempdir().unwrap();
        let members = create(&plan(suite), home.path()).unwrap();
        let json = fs::read_to_string(home.path().join("genesis.json")).unwrap();
        let genesis: Genesis = serde_json::from_str(&json).unwrap();
        State::genesis(&genesis).unwrap();
        assert_eq!(genesis.suite, suite);
        assert_eq!(genesis.assets.len(), 2);
        for member in members.iter() {
            let folder = member.path(home.path());
            let passphrase = fs::read_to_string(folder.join("passphrase")).unwrap();
            let file = fs::read(folder.join("keys.age")).unwrap();
            let ring = KeyRing::from_encrypted(&passphrase, &file).unwrap();
            assert_eq!(ring.name(), member.institution().as_str());
            for key in &genesis.institutions[&member.institution()].keys {
                match key {
                    PublicKey::Signing(purpose, key) => {
                        assert_eq!(*key, ring.signing(*purpose).verifying_key());
                    }
                    PublicKey::Sealing(key) => assert_eq!(key, ring.sealing().public_key()),
                }
            }
        }
    }
}

#[test]
fn certificates_name_their_holders() {
    let home = tempfile::tempdir().unwrap();
    let members = create(&plan(Suite::MlDsa65MlKem768), home.path()).unwrap();
    let identity = |pem: &str, key: &str| {
        let read = |file: &str| fs::read(home.path().join(file)).unwrap();
        let mut trust = Trust::new();
        trust.add_pem(&read("ca/ca.pem"), Scope::Any).unwrap();
        Tls::new(Credentials::from_pem(&read(pem), &read(key)).unwrap(), trust).identity()
    };
    for member in members.iter() {
        let file = |name: &str| format!("{}/{name}", member.folder);
        assert_eq!(identity(&file("tls.pem"), &file("tls.key")), Identity::Process(member.name));
    }
    let institution = "AAAAZZ01".parse().unwrap();
    assert_eq!(
        identity("clients/AAAAZZ01.pem", "clients/AAAAZZ01.key"),
        Identity::Client { institution, roles: Roles::of(&Role::ALL) }
    );
    let institution = names::AUDITOR.parse().unwrap();
    assert_eq!(
        identity("auditor.pem", "auditor.key"),
        Identity::Client { institution, roles: Roles::of(&[Role::Audit]) }
    );
}

#[test]
fn configurations_are_readable_toml() {
    let home = tempfile::tempdir().unwrap();
    let members = create(&plan(Suite::MlDsa65MlKem768), home.path()).unwrap();
    for member in members.iter() {
        let text = fs::read_to_string(member.config(home.path())).unwrap();
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["institution"].as_str(), Some(member.institution().as_str()));
        assert_eq!(table["listen"]["address"].as_str(), Some(&*member.address.to_string()));
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    }
    let directory = fs::read_to_string(home.path().join("directory.toml")).unwrap();
    let directory: toml::Table = directory.parse().unwrap();
    assert_eq!(directory["parties"]["MPCBZZ01"].as_str(), Some("127.0.0.1:7003"));
    assert_eq!(directory["agents"]["AAAAZZ01"].as_str(), Some("127.0.0.1:7008"));
}

#[test]
fn the_daemons_understand_their_configurations() {
    let home = tempfile::tempdir().unwrap();
    let members = create(&plan(Suite::MlDsa65MlKem768), home.path()).unwrap();
    let config = quittance_node::Config::load(&members.node.config(home.path()));
    assert!(config.is_ok(), "{}", config.err().unwrap());
    let config = quittance_coordinator::Config::load(&members.coordinator.config(home.path()));
    assert!(config.is_ok(), "{}", config.err().unwrap());
    for party in &members.parties {
        let config = quittance_mpc_party::Config::load(&party.config(home.path()));
        assert!(config.is_ok(), "{}", config.err().unwrap());
    }
    for agent in &members.agents {
        let config = quittance_agent::Config::load(&agent.config(home.path()));
        assert!(config.is_ok(), "{}", config.err().unwrap());
    }
    // Another process's files are not its own.
    assert!(quittance_node::Config::load(&members.coordinator.config(home.path())).is_err());
}

#[test]
fn settings_that_are_commented_out_are_the_defaults() {
    fn same<T: serde::de::DeserializeOwned + PartialEq>(config: &Path) -> usize {
        let text = fs::read_to_string(config).unwrap();
        let all = with_comments_removed(&text);
        assert!(toml::from_str::<T>(&text).unwrap() == toml::from_str::<T>(&all).unwrap(), "{all}");
        text.lines().zip(all.lines()).filter(|(one, other)| one != other).count()
    }
    let home = tempfile::tempdir().unwrap();
    let members = create(&plan(Suite::MlDsa65MlKem768), home.path()).unwrap();
    let config = |member: &Member| member.config(home.path());
    assert_eq!(same::<quittance_node::NodeFile>(&config(&members.node)), 1);
    let coordinator = config(&members.coordinator);
    assert_eq!(same::<quittance_coordinator::CoordinatorFile>(&coordinator), 6);
    assert_eq!(same::<quittance_mpc_party::PartyFile>(&config(&members.parties[0])), 6);
    assert_eq!(same::<quittance_agent::AgentFile>(&config(&members.agents[0])), 2);
}

#[test]
fn an_existing_network_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    create(&plan(Suite::MlDsa65MlKem768), home.path()).unwrap();
    let before = fs::read(home.path().join("genesis.json")).unwrap();
    let error = create(&plan(Suite::MlDsa65MlKem768), home.path()).unwrap_err();
    assert!(error.to_string().ends_with("the folder is not empty"), "{error}");
    assert_eq!(fs::read(home.path().join("genesis.json")).unwrap(), before);
}
