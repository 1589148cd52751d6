//! A node in a process of its own.
#![allow(dead_code, reason = "each test uses its own part")]

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quittance_consensus::Clock;
use quittance_node::{Config, Node};
use tracing_subscriber::EnvFilter;

const CONFIG: &str = "QUITTANCE_TEST_NODE";
/// By how many milliseconds the node's clock is ahead.
pub const AHEAD: &str = "QUITTANCE_TEST_CLOCK";
const LISTENS: &str = "the node listens on ";

/// Longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Not a test of its own: the process that is killed.
#[test]
#[ignore = "run by the other tests, as a process of its own"]
fn node_process() {
    let Some(file) = std::env::var_os(CONFIG) else { return };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    log.with_writer(std::io::stderr).init();
    let mut config = Config::load(file.as_ref()).unwrap();
    if let Ok(ahead) = std::env::var(AHEAD) {
        config.clock = Clock::ahead_by(ahead.parse().unwrap());
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ended = runtime.block_on(async {
        let node = Node::start(config).await?;
        println!("\n{LISTENS}{}", node.address());
        node.serve(std::future::pending()).await
    });
    // As the program itself does: calls that fail meanwhile are in the log before the reason.
    drop(runtime);
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
    said: Arc<Mutex<Vec<u8>>>,
    hearing: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a node with this configuration, and waits until it listens or has ended.
    pub fn start(config: &Path, prepare: impl FnOnce(&mut Command)) -> Self {
        Self::start_by(&[], config, prepare)
    }

    /// The same, by another program that becomes the node: `before` is its command line without the
    /// node's own.
    pub fn start_by(before: &[String], config: &Path, prepare: impl FnOnce(&mut Command)) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut command = match before {
            [] => Command::new(own),
            [program, rest @ ..] => {
                let mut command = Command::new(program);
                command.args(rest).arg(own);
                command
            }
        };
        command.args(["process::node_process", "--exact", "--ignored", "--nocapture"]);
        command.env(CONFIG, config).stdout(Stdio::piped()).stderr(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let said = Arc::new(Mutex::new(vec![]));
        let heard = said.clone();
        let hearing = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut piece) {
                heard.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = lines.map_while(Result::ok);
        let address = heard.by_ref().find_map(|line| line.strip_prefix(LISTENS)?.parse().ok());
        // The test that it is says now and then that it takes long, and ends if nobody reads that.
        std::thread::spawn(move || heard.for_each(drop));
        Self { child, address, said, hearing: Some(hearing) }
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
        self.hearing.take().unwrap().join().unwrap();
        (status, self.said())
    }

    /// What was said to standard error so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    /// The most memory that it has held, in bytes.
    pub fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kib << 10
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
