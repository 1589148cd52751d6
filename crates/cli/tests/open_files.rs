//! How many files a daemon may have open, under limits that a shell sets before it starts.
#![allow(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const QUITTANCE: &str = env!("CARGO_BIN_EXE_quittance");

/// The folder of a network with free ports.
fn testnet(home: &Path) -> PathBuf {
    let dir = home.join("net");
    let port = quittance_rpc::ports::free_range(20).unwrap().to_string();
    let made = Command::new(QUITTANCE)
        .args(["testnet", "--institutions", "2", "--base-port", &port, "--dir"])
        .arg(&dir)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    dir
}

/// A daemon after `ulimit` commands.
fn limited(ulimit: &str, arguments: &str, config: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{ulimit}; exec \"$0\" {arguments} --config \"$1\"");
    command.args(["-c", &script, QUITTANCE]).arg(config);
    command
}

#[test]
fn a_check_tells_that_the_hard_limit_is_too_low() {
    let home = tempfile::tempdir().unwrap();
    let dir = testnet(home.path());
    let run = |ulimit: &str, kind: &str, folder: &str| {
        let config = dir.join(folder).join("config.toml");
        let output = limited(ulimit, &format!("{kind} --check"), &config).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("nothing is wrong"));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let few = run("ulimit -n 512", "node", "node");
    for part in ["allows 512 open files", "2304 may be needed", "LimitNOFILE=2304", "ulimit -n"] {
        assert!(few.contains(part), "{part}: {few}");
    }
    assert_eq!(few.lines().count(), 1, "{few}");
    assert!(run("ulimit -n 2304", "agent", "agent-BANKZZ01").contains("3584 may be needed"));
    // What can be raised is enough.
    assert_eq!(run("ulimit -n 2304; ulimit -S -n 256", "node", "node"), "");
    assert_eq!(run("ulimit -n 3584; ulimit -S -n 256", "agent", "agent-BANKZZ01"), "");
}

/// Soft and hard limit of a running process.
fn limits_of(process: u32) -> Vec<String> {
    let table = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let row = table.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    row.split_whitespace().take(2).map(str::to_owned).collect()
}

#[test]
fn a_daemon_raises_the_soft_limit_and_warns_of_the_hard_one() {
    let home = tempfile::tempdir().unwrap();
    let config = testnet(home.path()).join("node/config.toml");
    for (hard, warns) in [("2000", true), ("2500", false)] {
        let ulimit = format!("ulimit -n {hard}; ulimit -S -n 256");
        let mut daemon = limited(&ulimit, "node --stop-with-parent", &config)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Until it says something of its work, which comes after a warning.
        let mut log = BufReader::new(daemon.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("node is ready") {
            assert_ne!(log.read_line(&mut said).unwrap(), 0, "it has ended: {said}");
        }
        assert_eq!(limits_of(daemon.id()), [hard, hard]);
        let warning = format!("allows {hard} open files, and 2304 may be needed");
        assert_eq!(said.contains(&warning), warns, "{said}");
        drop(daemon.stdin.take());
        log.read_to_string(&mut said).unwrap();
        assert!(daemon.wait().unwrap().success(), "{said}");
    }
}
