use std::fs;

use quittance_crypto::signature::Suite;
use quittance_rpc::tls::Credentials;
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::trust::{Scope, Trust};
use tempfile::TempDir;

use super::*;
use crate::testnet;
use crate::testnet::plan::{Members, Plan};

/// A process that nobody can be asked about, for judging what it would have said.
pub(in crate::status) fn subject(name: &str, address: &str) -> Subject {
    let name: ProcessName = name.parse().unwrap();
    let authority = Authority::create("test").unwrap();
    let issued = authority.issue(Identity::Process(name), &["localhost"]).unwrap();
    let mut trust = Trust::new();
    trust.add_pem(authority.certificate_pem().as_bytes(), Scope::Any).unwrap();
    let own = Credentials::from_pem(issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes());
    let caller = Tls::new(own.unwrap(), trust);
    Subject { name, address: address.to_owned(), caller, metrics: None, home: None }
}

fn network() -> (TempDir, Members) {
    let home = tempfile::tempdir().unwrap();
    let plan = Plan {
        name: "asked".to_owned(),
        suite: Suite::MlDsa65MlKem768,
        banks: ["AAAAZZ01", "BBBBZZ01"].map(|id| id.parse().unwrap()).into(),
        assets: vec![("EUR".parse().unwrap(), 2)],
        validators: 1,
        base_port: 7000,
    };
    let members = testnet::create(&plan, home.path()).unwrap();
    (home, members)
}

/// Process, address, as whom, where its metrics are.
fn lines(subjects: &Subjects) -> Vec<String> {
    let line = |subject: &Subject| {
        let Subject { name, address, caller, metrics, .. } = subject;
        let short = |text: String| text.replace("urn:quittance:", "");
        let caller = caller.identity().uris().remove(0);
        let metrics = metrics.map_or("-".to_owned(), |metrics| metrics.port().to_string());
        format!("{} {address} {} {metrics}", short(name.to_string()), short(caller))
    };
    subjects.processes.iter().map(line).collect()
}

#[test]
fn everybody_in_a_folder_is_asked_by_whom_it_admits() {
    let (home, _) = network();
    let subjects = Subjects::in_folder(home.path()).unwrap();
    assert_eq!(
        lines(&subjects),
        [
            "VALDZZ01:node 127.0.0.1:7000 VALDZZ01:node 7011",
            "AAAAZZ01:agent 127.0.0.1:7007 AAAAZZ01:client:read 7017",
            "BBBBZZ01:agent 127.0.0.1:7009 BBBBZZ01:client:read 7018",
            "CBNKZZ01:agent 127.0.0.1:7005 CBNKZZ01:client:read 7016",
            "CORDZZ01:coordinator 127.0.0.1:7001 AAAAZZ01:agent 7012",
            "MPCAZZ01:party 127.0.0.1:7002 MPCAZZ01:party 7013",
            "MPCBZZ01:party 127.0.0.1:7003 MPCBZZ01:party 7014",
            "MPCCZZ01:party 127.0.0.1:7004 MPCCZZ01:party 7015",
        ]
    );
    assert!(subjects.broken.is_empty());
    let home_of_node = subjects.processes[0].home.clone().unwrap();
    assert_eq!(home_of_node, Home { config: home.path().join("node/config.toml"), log: None });
    assert!(Subjects::in_folder(&home.path().join("ca")).is_err());
}

#[test]
fn a_configuration_tells_of_its_process_and_its_directory() {
    let (home, members) = network();
    let agent = &members.agents[1];
    let subjects = Subjects::of_configurations(&[agent.config(home.path())]);
    assert_eq!(
        lines(&subjects),
        [
            "AAAAZZ01:agent 127.0.0.1:7008 AAAAZZ01:agent 7017",
            "VALDZZ01:node 127.0.0.1:7000 AAAAZZ01:agent -",
            "CORDZZ01:coordinator 127.0.0.1:7001 AAAAZZ01:agent -",
            "MPCAZZ01:party 127.0.0.1:7002 AAAAZZ01:agent -",
            "MPCBZZ01:party 127.0.0.1:7003 AAAAZZ01:agent -",
            "MPCCZZ01:party 127.0.0.1:7004 AAAAZZ01:agent -",
            "BBBBZZ01:agent 127.0.0.1:7010 AAAAZZ01:agent -",
            "CBNKZZ01:agent 127.0.0.1:7006 AAAAZZ01:agent -",
        ]
    );
    let node = Subjects::of_configurations(&[members.node.config(home.path())]);
    assert_eq!(lines(&node), ["VALDZZ01:node 127.0.0.1:7000 VALDZZ01:node 7011"]);
    // A machine with two processes: each once.
    let both = [members.coordinator.config(home.path()), members.parties[0].config(home.path())];
    let both = lines(&Subjects::of_configurations(&both));
    assert_eq!(both.len(), 8);
    assert_eq!(both[0], "CORDZZ01:coordinator 127.0.0.1:7001 MPCAZZ01:party 7012");
}

#[test]
fn a_directory_and_a_certificate_are_enough() {
    let (home, _) = network();
    let caller = subject("urn:quittance:AAAAZZ01:agent", "").caller;
    let subjects = Subjects::in_directory(&home.path().join("directory.toml"), &caller).unwrap();
    assert_eq!(subjects.processes.len(), 8);
    assert!(subjects.processes.iter().all(|it| it.metrics.is_none() && it.home.is_none()));
    let missing = Subjects::in_directory(&home.path().join("none.toml"), &caller).unwrap_err();
    assert!(missing.to_string().contains("none.toml: file: cannot be read"), "{missing}");
}

#[test]
fn a_broken_configuration_is_told_and_its_process_asked_all_the_same() {
    let (home, members) = network();
    let config = members.parties[1].config(home.path());
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace("tls.pem", "no.pem").replace("address = \"127.0.0.1", "address = \"x");
    fs::write(&config, text).unwrap();
    let subjects = Subjects::in_folder(home.path()).unwrap();
    let [broken] = &subjects.broken[..] else { panic!("{:?}", subjects.broken) };
    assert_eq!(broken.config, config);
    assert_eq!(broken.reason.lines().count(), 2, "{}", broken.reason);
    let last = lines(&subjects).pop().unwrap();
    assert_eq!(last, "MPCBZZ01:party 127.0.0.1:7003 AAAAZZ01:agent -");
}

#[test]
fn listeners_on_all_interfaces_are_reached_on_this_one() {
    for (listener, reached) in [
        ("0.0.0.0:7000", "127.0.0.1:7000"),
        ("[::]:7000", "[::1]:7000"),
        ("192.168.1.4:7000", "192.168.1.4:7000"),
    ] {
        assert_eq!(reachable(listener.parse().unwrap()).to_string(), reached);
    }
}
