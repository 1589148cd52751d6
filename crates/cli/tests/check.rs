//! What each daemon refuses to start with: everything that is wrong at once, each with file and key;
//! and the same with `--check`, which starts nothing.
#![allow(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use quittance_cli::demo::network::subcommand;
use quittance_cli::testnet::plan::{Member, Members};
use tempfile::TempDir;

struct Site {
    home: TempDir,
    members: Members,
}

impl Site {
    fn new() -> Self {
        let (home, members) = common::network();
        Self { home, members }
    }

    fn run(&self, member: &Member, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quittance"));
        command.arg(subcommand(member.name.process)).arg("--config").arg(self.config(member));
        command.args(more).output().unwrap()
    }

    fn config(&self, member: &Member) -> PathBuf {
        member.config(self.home.path())
    }

    /// Changes a configuration so that all of this is wrong, and runs the daemon. `settings` come
    /// first, and must be wrong, too.
    fn spoil(&self, member: &Member, settings: &str, more_keys: &[&str]) {
        let good = self.run(member, &["--check"]);
        let said = String::from_utf8_lossy(&good.stdout).into_owned();
        assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
        let config = self.config(member).display().to_string();
        assert_eq!(said, format!("{config}: nothing is wrong; it is that of {}\n", member.name));
        assert!(!member.path(self.home.path()).join("data").exists(), "nothing was started");

        let text = fs::read_to_string(&config).unwrap();
        let text = text
            .lines()
            .filter(|line| !settings.lines().any(|other| same_key(line, other)))
            .map(|line| {
                let line = line.replace("data = \"data\"", "data = \"tls.pem\"");
                let line = line.replace("address = \"", "address = \"somewhere:");
                let line = line.replace("listen = \"", "listen = \"nowhere:");
                line.replace("../ca/ca.pem", "../ca/none.pem")
                    .replace("directory.toml", "ca/ca.pem")
            })
            .collect::<Vec<_>>()
            .join("\n");
        fs::write(&config, format!("log = \"quittance=loud\"\n{settings}\n{text}\n")).unwrap();
        let secret = member.path(self.home.path()).join("passphrase");
        fs::set_permissions(&secret, PermissionsExt::from_mode(0o644)).unwrap();
        let key = member.path(self.home.path()).join("tls.key");
        fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();

        let common = [
            "passphrase",
            "log",
            "listen.address",
            "metrics.listen",
            "tls.key",
            "tls.trust[0].file",
        ];
        let expected: BTreeSet<String> =
            common.iter().chain(more_keys).map(|key| (*key).to_owned()).collect();
        for more in [&[][..], &["--check"]] {
            let refused = self.run(member, more);
            assert_eq!(refused.status.code(), Some(1), "{more:?}");
            assert!(refused.stdout.is_empty(), "{more:?}");
            let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(keys(&errors, &config), expected, "{errors}");
            assert_eq!(errors.lines().count(), expected.len(), "each once: {errors}");
        }
    }
}

/// Whether two lines set the same key.
fn same_key(one: &str, other: &str) -> bool {
    let key = |line: &str| line.split_once(" = ").map(|(key, _)| key.trim().to_owned());
    key(one).is_some_and(|one| key(other) == Some(one))
}

/// The keys in error messages, each of which begins with the file.
fn keys(errors: &str, config: &str) -> BTreeSet<String> {
    let key = |line: &str| {
        let rest = line.strip_prefix(&format!("{config}: ")).expect("the file comes first");
        rest.split(": ").next().unwrap_or_default().to_owned()
    };
    errors.lines().map(key).collect()
}

#[test]
fn the_node_names_everything_at_once() {
    let site = Site::new();
    site.spoil(&site.members.node, "heartbeat_ms = 0", &["data", "heartbeat_ms"]);
}

#[test]
fn the_coordinator_names_everything_at_once() {
    let site = Site::new();
    let settings = "join_blocks = 0\ndeadline_blocks = 0\nminimum_roster = 1\n\
                    gather_ms = 0\ncompute_ms = 0\nprove_ms = 0";
    let keys = [
        "join_blocks",
        "deadline_blocks",
        "minimum_roster",
        "gather_ms",
        "compute_ms",
        "prove_ms",
        "directory",
    ];
    site.spoil(&site.members.coordinator, settings, &keys);
}

#[test]
fn the_party_names_everything_at_once() {
    let site = Site::new();
    let keys = ["data", "directory", "compute_ms"];
    site.spoil(&site.members.parties[0], "compute_ms = 0", &keys);
}

#[test]
fn the_agent_names_everything_at_once() {
    let site = Site::new();
    let keys = ["data", "directory", "absorb_after_ms", "expiry_blocks", "listen_peers.address"];
    site.spoil(&site.members.agents[1], "absorb_after_ms = 9999999\nexpiry_blocks = 0", &keys);
}

#[test]
fn files_that_cannot_be_read_are_named_with_all_else() {
    let site = Site::new();
    for member in site.members.iter() {
        let config = site.config(member).display().to_string();
        for (file, key) in
            [("keys.age", "keys"), ("passphrase", "passphrase"), ("tls.pem", "tls.certificate")]
        {
            let path = member.path(site.home.path()).join(file);
            let aside = Path::new(&config).with_file_name("aside");
            fs::rename(&path, &aside).unwrap();
            let refused = site.run(member, &["--check"]);
            let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(keys(&errors, &config), BTreeSet::from([key.to_owned()]), "{errors}");
            fs::rename(&aside, &path).unwrap();
        }
    }
}
