//! Configuration files: what is read, and how what is wrong is named.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::*;
use quittance_rpc::config::{self, ConfigError, Listen, ListenAddress, Remote, Target, TlsFiles};
use quittance_rpc::identity::{Process, ProcessName};
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::{KeyExchange, Tls};
use serde::{Deserialize, Serialize};

/// A daemon's configuration, as daemons will have it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    listen: Listen,
    tls: TlsFiles,
    node: Remote,
}

fn load(
    file: &Path,
    expected: Option<ProcessName>,
) -> Result<(ListenAddress, Tls, Target), ConfigError> {
    let (config, mut check): (Config, _) = config::read(file)?;
    let listen = config.listen.check("listen", &mut check);
    let tls = config.tls.check("tls", expected, None, &mut check);
    let node = config.node.check("node", &mut check);
    check.finish(listen.zip(tls).zip(node).map(|((listen, tls), node)| (listen, tls, node)))
}

const GOOD: &str = r#"
[listen]
address = "127.0.0.1:7101"

[tls]
certificate = "agent.pem"
key = "agent.key"

[[tls.trust]]
file = "ca.pem"
institutions = ["BANKDEFF", "NODEXXAA"]

[node]
address = "127.0.0.1:7001"
identity = "urn:quittance:NODEXXAA:node"
"#;

/// A directory with certificates and a configuration file of this text.
fn directory(text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str, mode| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    };
    let authority = Authority::create("test").unwrap();
    let issued = authority.issue(agent("BANKDEFF"), &HOSTS).unwrap();
    let other = authority.issue(agent("BANKDEFF"), &HOSTS).unwrap();
    write("ca.pem", authority.certificate_pem(), 0o644);
    write("agent.pem", &issued.certificate_pem, 0o644);
    write("agent.key", &issued.key_pem, 0o600);
    write("other.key", &other.key_pem, 0o600);
    write("open.key", &issued.key_pem, 0o644);
    write("empty.pem", "", 0o600);
    write("agent.toml", text, 0o644);
    directory
}

/// The messages for a file with `from` replaced by `to`.
fn messages(changes: &[(&str, &str)]) -> Vec<String> {
    let text = changes.iter().fold(GOOD.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let directory = directory(&text);
    let file = directory.path().join("agent.toml");
    let error = load(&file, Some(process("BANKDEFF", Process::Agent))).unwrap_err();
    let prefix = format!("{}: ", file.display());
    let lines = error.to_string();
    lines
        .lines()
        .map(|line| line.strip_prefix(&prefix).unwrap_or_else(|| panic!("{line}")).to_owned())
        .map(|line| line.replace(&format!("{}/", directory.path().display()), ""))
        .collect()
}

#[test]
fn a_good_file_gives_what_the_daemon_needs() {
    let directory = directory(GOOD);
    let file = directory.path().join("agent.toml");
    let expected = process("BANKDEFF", Process::Agent);
    let (listen, tls, node) = load(&file, Some(expected)).unwrap();
    assert_eq!(listen.socket, "127.0.0.1:7101".parse().unwrap());
    assert_eq!(listen.key_exchange, KeyExchange::Hybrid);
    assert_eq!(tls.identity(), agent("BANKDEFF"));
    assert_eq!(node.to_string(), "urn:quittance:NODEXXAA:node at 127.0.0.1:7001");

    // What is written reads back.
    let (config, _): (Config, _) = config::read(&file).unwrap();
    std::fs::write(&file, toml::to_string(&config).unwrap()).unwrap();
    assert!(load(&file, Some(expected)).is_ok());
}

#[test]
fn everything_that_is_wrong_is_reported_at_once() {
    let found = messages(&[
        ("address = \"127.0.0.1:7101\"", "address = \"localhost\""),
        ("key = \"agent.key\"", "key = \"missing.key\""),
        ("file = \"ca.pem\"", "file = \"empty.pem\""),
        ("\"NODEXXAA\"]", "\"node\"]"),
        ("NODEXXAA:node", "NODEXXAA:nodes"),
        ("127.0.0.1:7001", "127.0.0.1"),
    ]);
    let expected = [
        "listen.address: \"localhost\" is not an IP address with a port, such as 127.0.0.1:7101",
        "tls.key: missing.key cannot be read: No such file or directory (os error 2)",
        "tls.trust[0].institutions: \"node\" is not an institution id: 4 letters or digits, 2 \
         letters, 2 letters or digits, then nothing or 3 letters or digits, in capitals",
        "node.identity: \"urn:quittance:NODEXXAA:nodes\" is malformed: unknown process",
        "node.address: \"127.0.0.1\" is not a host with a port, such as 127.0.0.1:7101",
    ];
    assert_eq!(found, expected);
}

#[test]
fn each_mistake_is_named_at_its_key() {
    for (from, to, expected) in [
        ("\"agent.pem\"", "\"empty.pem\"", "tls.certificate: no certificate found"),
        (
            "\"agent.key\"",
            "\"other.key\"",
            "tls.key: the private key does not belong to the certificate",
        ),
        (
            "\"agent.key\"",
            "\"agent.pem\"",
            "tls.key: agent.pem is readable by others (mode 644): chmod 600",
        ),
        (
            "\"agent.key\"",
            "\"open.key\"",
            "tls.key: open.key is readable by others (mode 644): chmod 600",
        ),
        ("\"agent.key\"", "\"empty.pem\"", "tls.key: private key cannot be read: no items found"),
        ("\"ca.pem\"", "\"empty.pem\"", "tls.trust[0].file: empty.pem: no certificate found"),
        (
            "127.0.0.1:7001",
            "http://127.0.0.1:7001",
            "node.address: \"http://127.0.0.1:7001\" is not a host",
        ),
        ("127.0.0.1:7001", "127.0.0.1:0", "node.address: \"127.0.0.1:0\" is not a host"),
        (
            "NODEXXAA:node",
            "NODEXXAA:client:read",
            "node.identity: \"urn:quittance:NODEXXAA:client:read\" is malformed: a server process is expected",
        ),
    ] {
        let found = messages(&[(from, to)]);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{to}: {found:?}");
    }
    let trust = GOOD.split_once("[[tls.trust]]").unwrap().1.split_once("[node]").unwrap().0;
    let found = messages(&[("[[tls.trust]]", ""), (trust, "trust = []\n")]);
    assert_eq!(found, ["tls.trust: no certification authority is trusted"]);
}

#[test]
fn a_certificate_must_name_the_process_that_uses_it() {
    let directory = directory(GOOD);
    let file = directory.path().join("agent.toml");
    let error = load(&file, Some(process("BANKFRPP", Process::Agent))).unwrap_err().to_string();
    let expected =
        "tls.certificate: it names urn:quittance:BANKDEFF:agent, not urn:quittance:BANKFRPP:agent";
    assert!(error.ends_with(expected), "{error}");
    assert!(load(&file, None).is_ok());
}

#[test]
fn errors_of_form_have_line_and_column() {
    for (from, to, expected) in [
        ("[listen]", "[listen", "line 2, column"),
        ("certificate =", "certficate =", "line 6, column 1: unknown field `certficate`"),
        (
            "address = \"127.0.0.1:7101\"",
            "address = 7101",
            "line 3, column 11: invalid type: integer",
        ),
        ("key = \"agent.key\"\n", "", "line 5, column 1: missing field `key`"),
        (
            "[listen]\n",
            "[listen]\nkey_exchange = \"none\"\n",
            "line 3, column 16: unknown variant `none`",
        ),
    ] {
        let found = messages(&[(from, to)]);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{to}: {found:?}");
    }
    let missing = load(Path::new("/nonexistent/agent.toml"), None).unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent/agent.toml: file: cannot be read: "), "{missing}");
}

#[test]
fn key_exchange_is_read_and_the_default_not_written() {
    let text = GOOD.replace("[listen]\n", "[listen]\nkey_exchange = \"classical\"\n");
    let directory = directory(&text);
    let (listen, ..) = load(&directory.path().join("agent.toml"), None).unwrap();
    assert_eq!(listen.key_exchange, KeyExchange::Classical);
    let listen = Listen { address: "127.0.0.1:1".to_owned(), key_exchange: KeyExchange::Hybrid };
    assert_eq!(toml::to_string(&listen).unwrap(), "address = \"127.0.0.1:1\"\n");
}
