//! One of four is the program `byzantine-validator`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quittance_ledger::ids::Height;

use crate::convicted;
use crate::town::{Town, name};

/// Longer than all attacks take, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Far more than an honest validator needs for the largest block there is, and far less than what the
/// liar could make it hold.
const MEMORY: u64 = 700 << 20;

/// Why the others must have refused blocks, as they log it.
const REASONS: [&str; 11] = [
    "the header's state root is",
    "the header's transactions root is",
    "the header follows block",
    "is too far ahead of",
    "the header's time 1 is not after",
    "the header names validators",
    "the header names next validators",
    "transaction 0",
    "the signature",
    "header version",
    "it is block",
];

/// The Byzantine one; killed when dropped.
struct Liar {
    child: Child,
    /// What it has said: heights with the attack that was made there.
    said: Arc<Mutex<Vec<String>>>,
}

impl Liar {
    fn start(town: &Town, at: usize) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_byzantine-validator"))
            .arg(town.config(at))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(vec![]));
        let heard = said.clone();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(line));
        });
        Self { child, said }
    }

    fn is_done(&mut self) -> bool {
        let ended = self.child.try_wait().unwrap();
        assert_eq!(ended, None, "the Byzantine validator has ended");
        self.said.lock().unwrap().iter().any(|line| line == "done")
    }

    fn attacks(&self) -> BTreeMap<Height, String> {
        let said = self.said.lock().unwrap();
        let attacks = said.iter().filter_map(|line| line.split_once(' '));
        attacks.map(|(height, attack)| (Height(height.parse().unwrap()), attack.into())).collect()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_honest_validators_outlive_one_that_breaks_every_rule() {
    let mut town = Town::furnished(4);
    (1..4).for_each(|at| town.start(at));
    town.settle(1, 2).await;
    let mut liar = Liar::start(&town, 0);
    let began = Instant::now();
    for at in (1..4).cycle() {
        town.settle(at, 1).await;
        if liar.is_done() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "only {:?}", liar.attacks());
    }
    // The last attack may still be going on.
    town.settle(1, 2).await;
    let attacks = liar.attacks();
    assert!(attacks.len() >= 16, "{attacks:?}");
    let last = *attacks.keys().max().unwrap();
    let blocks = town.blocks(1, Height(1), last).await;
    for (height, attack) in &attacks {
        // Nobody else may propose in round 0 of these heights.
        let certificate = &blocks[height.0 as usize - 1].certificate;
        assert!(certificate.round > 0, "{attack}, at height {height}, was decided on");
        assert!(certificate.round <= 2, "{attack} took {} rounds", certificate.round);
    }
    println!("{} attacks within {:?}", attacks.len(), began.elapsed());
    let (mut accused, mut refusals) = (BTreeSet::new(), String::new());
    for at in 1..4 {
        accused.extend(convicted(&mut town, at));
        let process = town.process(at);
        let memory = process.most_memory();
        println!("{} has held {} MiB", name(at), memory >> 20);
        assert!(memory < MEMORY, "{memory}");
        refusals += &process.said();
    }
    for reason in REASONS {
        let named = |line: &str| line.contains("block refused") && line.contains(reason);
        assert!(refusals.lines().any(named), "no block was refused since {reason}");
    }
    assert_eq!(accused, BTreeSet::from([name(0)]));
    town.compare().await;
}
