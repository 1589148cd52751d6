//! A node in a process of its own.
#![allow(dead_code, reason = "each test uses its own part")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quittance_node::{Config, Node};

const CONFIG: &str = "QUITTANCE_TEST_NODE";
const LISTENS: &str = "the node listens on ";

/// Longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Not a test of its own: the process that is killed.
#[test]
#[ignore = "run by the other tests, as a process of its own"]
fn node_process() {
    let Some(config) = std::env::var_os(CONFIG) else { return };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .init();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ended = runtime.block_on(async {
        let node = Node::start(Config::load(config.as_ref()).unwrap()).await?;
        println!("\n{LISTENS}{}", node.address());
        node.serve(std::future::pending()).await
    });
    // As the program itself does.
    if let Err(error) = ended {
        eprintln!("quittance: {error}");
        std::process::exit(1);
    }
}

/// Killed when dropped.
pub struct Process {
    child: Child,
    /// Where it listens, once it has said so.
    pub address: Option<SocketAddr>,
    /// What it has said to standard error so far, and who listens.
    said: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a node with this configuration, and waits until it listens or has ended.
    pub fn start(config: &Path, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["process::node_process", "--exact", "--ignored", "--nocapture"]);
        command.env(CONFIG, config).stdout(Stdio::piped()).stderr(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let (stderr, said) = (child.stderr.take().unwrap(), Arc::new(Mutex::new(String::new())));
        let hears = said.clone();
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let mut said = hears.lock().unwrap();
                said.push_str(&String::from_utf8_lossy(&line));
                said.push('\n');
            }
        });
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = lines.map_while(Result::ok);
        let address = heard.find_map(|line| line.strip_prefix(LISTENS)?.parse().ok());
        // Nobody reads on: what it writes after that is lost, and little.
        Self { child, address, said, listener: Some(listener) }
    }

    /// `SIGKILL`: nothing of the process runs after it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it has ended by itself, or does so within `patience`.
    pub fn ends_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Waits for the end; how it was, and what was said to standard error.
    pub fn end(&mut self, what: &str) -> (ExitStatus, String) {
        assert!(self.ends_within(PATIENCE), "{what}: the node goes on");
        let status = self.child.wait().unwrap();
        self.listener.take().unwrap().join().unwrap();
        (status, self.said())
    }

    /// What it has said to standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
