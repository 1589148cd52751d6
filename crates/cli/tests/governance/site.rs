//! The program, and a network of two banks whose validator runs if it is wanted.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Blocks that a decision leaves to everybody who is to sign and submit it, on a busy machine. The
/// validator makes four in a second when there is nothing to do.
pub const AHEAD: u64 = 120;

pub fn quittance(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quittance")).args(arguments).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The output of a command that must succeed.
pub fn done(arguments: &[&str]) -> String {
    let output = quittance(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What a command that must fail says.
pub fn refused(arguments: &[&str]) -> String {
    let output = quittance(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

/// A network of two banks; its validator runs if it is wanted.
pub struct Site {
    home: tempfile::TempDir,
    node: Option<Child>,
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(node) = &mut self.node {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

impl Site {
    /// The files alone, with so many validators.
    pub fn of_files(validators: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let port = quittance_rpc::ports::free_range(24).unwrap().to_string();
        let dir = home.path().join("net").display().to_string();
        let network = ["--institutions", "2", "--validators", validators, "--base-port", &port];
        done(&[&["testnet", "--dir", &dir][..], &network].concat());
        Self { home, node: None }
    }

    pub fn running() -> Self {
        let mut site = Self::of_files("1");
        site.start();
        site
    }

    /// Where its validator listens.
    pub fn address(&self) -> String {
        let read = fs::read_to_string(self.net("node/config.toml")).unwrap();
        let address = read.lines().find_map(|line| line.strip_prefix("address = \"")).unwrap();
        address.trim_end_matches('"').to_owned()
    }

    pub fn start(&mut self) {
        let config = self.net("node/config.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_quittance"));
        command.args(["node", "--config", &config, "--stop-with-parent"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.node = Some(command.spawn().unwrap());
        let address = self.address();
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < deadline, "the validator does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn net(&self, name: &str) -> String {
        self.file(&format!("net/{name}"))
    }

    pub fn write(&self, name: &str, value: &Value) -> String {
        fs::write(self.path(name), serde_json::to_vec_pretty(value).unwrap()).unwrap();
        self.file(name)
    }

    /// Makes a proposal with the genesis alone.
    pub fn make_offline(&self, name: &str, form: &Value) -> Output {
        let form = self.write("form.json", form);
        let (out, genesis) = (self.file(name), self.net("genesis.json"));
        quittance(&["governance", "make", &form, "--out", &out, "--genesis", &genesis])
    }

    /// Why a form is refused.
    pub fn refusal(&self, form: &Value) -> String {
        let output = self.make_offline("refused.json", form);
        assert_eq!(output.status.code(), Some(1), "{form}");
        assert!(!self.path("refused.json").exists());
        text(&output.stderr)
    }

    /// How far the chain is, as a proposal that is made there says.
    pub fn height(&self) -> u64 {
        let far =
            json!({ "effective": 900_000, "changes": [{ "retire-asset": { "asset": "USD" } }] });
        let (form, out) = (self.write("height-form.json", &far), self.file("height.json"));
        let shown = done(&["governance", "make", &form, "--out", &out, "--dir", &self.net("")]);
        fs::remove_file(out).unwrap();
        number_after(&shown, "the chain is at ")
    }

    pub fn wait_for(&self, height: u64) {
        let deadline = Instant::now() + Duration::from_secs(300);
        while self.height() < height {
            assert!(Instant::now() < deadline, "height {height} does not come");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Makes, signs and submits a decision of the one validator; at which height it takes effect.
    pub fn decide(&self, name: &str, changes: &Value) -> u64 {
        let effective = self.sign(name, changes);
        let submitted = self.submit(name);
        assert!(
            submitted.contains(&format!("it takes effect at height {effective}")),
            "{submitted}"
        );
        effective
    }

    /// Submits a proposal; what is said of it.
    pub fn submit(&self, name: &str) -> String {
        done(&["governance", "submit", &self.file(name), "--dir", &self.net("")])
    }

    /// Makes and signs a decision of the one validator; at which height it is to take effect.
    pub fn sign(&self, name: &str, changes: &Value) -> u64 {
        let effective = self.height() + AHEAD;
        let form = self.write("form.json", &json!({ "effective": effective, "changes": changes }));
        let (file, dir) = (self.file(name), self.net(""));
        let shown = done(&["governance", "make", &form, "--out", &file, "--dir", &dir]);
        assert!(shown.contains("VALDZZ01 (voting power 1 of 1): has not signed yet"), "{shown}");
        let unsigned = refused(&["governance", "submit", &file, "--dir", &dir]);
        assert!(
            unsigned.contains("voting power 0 of 1 has signed, which is not more than"),
            "{unsigned}"
        );
        assert!(unsigned.contains("missing: VALDZZ01"), "{unsigned}");
        let keys = self.net("node/keys.age");
        let signed = done(&["governance", "sign", &file, "--keys", &keys, "--dir", &dir]);
        assert!(signed.contains("VALDZZ01 (voting power 1 of 1): has signed"), "{signed}");
        effective
    }
}

pub fn number_after(text: &str, words: &str) -> u64 {
    let rest = text.split(words).nth(1).unwrap();
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

pub fn limits(refund_after: u64) -> Value {
    json!({
        "pending_per_sender": 64, "refund_after": refund_after, "max_expiry": 1000,
        "max_round": 10000, "block_transactions": 10000, "block_bytes": 16777216,
    })
}
