//! Each validator in a network namespace of its own, and ways between them that are cut.
//!
//! A test runs itself again, as the first process of namespaces that it leaves nothing of behind:
//! however it ends, the system ends all processes in them and removes the interfaces. Nothing outside
//! is touched. Where the system does not let us have them the test says so, and is left out.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use quittance_ledger::ids::Height;
use tokio::time::sleep;

use crate::top;
use crate::town::Town;

/// Set for the process inside.
const INSIDE: &str = "QUITTANCE_TEST_NAMESPACES";

const PATIENCE: Duration = Duration::from_secs(240);

/// How long ways are cut.
const CUT: Duration = Duration::from_secs(4);

/// The first block after a partition is decided at most so many rounds after the one in which it began.
const ROUNDS: u32 = 4;

/// All that a test needs of the system, tried out.
const TRIAL: &str = "ip link set lo up && ip link add br0 type bridge && \
    ip link add veth0 type veth peer name peer0 && ip route add blackhole 10.77.0.9/32 && \
    nsenter --version > /dev/null && unshare --net true";

fn namespaces() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]);
    // Somebody who is not root may be, in a namespace of users.
    if !quittance_is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
}

fn quittance_is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

/// Whether the system lets us have namespaces; if not, says so even if the test's output is not shown.
fn are_there() -> bool {
    let tried = namespaces().args(["sh", "-c", TRIAL]).output();
    let reason = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => format!("unshare: {error}"),
    };
    let mut terminal = std::io::stderr();
    let _ = writeln!(
        terminal,
        "LEFT OUT: tests with network namespaces, which need iproute2 and \
        the right to make them (root, or user namespaces): {}",
        reason.trim()
    );
    false
}

/// Runs a test of this program again inside; what it says is said here.
fn inside(test: &str) {
    if !are_there() {
        return;
    }
    let mut command = namespaces();
    command.arg(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]).env(INSIDE, "1");
    let mut child = command.spawn().unwrap();
    let began = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if began.elapsed() > PATIENCE => {
                child.kill().unwrap();
                panic!("{test} has not ended");
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    assert!(status.success(), "{test} has failed");
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}");
}

fn ip(args: &str) {
    run("ip", &args.split(' ').collect::<Vec<_>>());
}

/// Validators on one network, each with an interface of its own.
struct Net {
    town: Town,
    /// Hold the namespaces open.
    holders: Vec<Child>,
}

fn host(at: usize) -> String {
    format!("10.77.0.{}", at + 1)
}

impl Net {
    fn new(count: usize) -> Self {
        ip("link set lo up");
        ip("link add br0 type bridge");
        ip("addr add 10.77.0.254/24 dev br0");
        ip("link set br0 up");
        let mut town = Town::at((0..count).map(|at| format!("{}:7001", host(at))).collect());
        let mut holders = vec![];
        for at in 0..count {
            let mut holder = Command::new("unshare")
                .args(["--net", "sh", "-c", "echo here; exec sleep 3600"])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(line, "here\n");
            let process = holder.id().to_string();
            ip(&format!("link add veth{at} type veth peer name eth0 netns {process}"));
            ip(&format!("link set veth{at} master br0"));
            ip(&format!("link set veth{at} up"));
            town.ways[at].before =
                ["nsenter", "--net", "--target", &process].map(String::from).into();
            holders.push(holder);
        }
        let mut net = Self { town, holders };
        for at in 0..count {
            net.within(at, "link set lo up");
            net.within(at, &format!("addr add {}/24 dev eth0", host(at)));
            net.within(at, "link set eth0 up");
        }
        (0..count).for_each(|at| net.town.start(at));
        net
    }

    /// `ip` in a validator's namespace.
    fn within(&self, at: usize, args: &str) {
        let process = self.holders[at].id().to_string();
        let mut all = vec!["--net", "--target", &process, "ip"];
        all.extend(args.split(' '));
        run("nsenter", &all);
    }

    /// What `from` sends does not come to `to` any more.
    fn cut(&self, from: usize, to: usize) {
        self.within(from, &format!("route add blackhole {}/32", host(to)));
    }

    fn mend(&self, from: usize, to: usize) {
        self.within(from, &format!("route del blackhole {}/32", host(to)));
    }

    /// What is not said between one side and the other, both ways.
    fn between<'a>(
        one: &'a [usize],
        other: &'a [usize],
    ) -> impl Iterator<Item = (usize, usize)> + 'a {
        one.iter().flat_map(|a| other.iter().flat_map(|b| [(*a, *b), (*b, *a)]))
    }

    /// The heights that were decided since, and that each took a few rounds only.
    async fn rounds_since(&self, at: usize, height: Height) {
        let last = self.town.view(at).await.unwrap().0;
        for block in self.town.blocks(at, height.next(), last).await {
            let (height, round) = (block.certificate.height, block.certificate.round);
            assert!(round <= ROUNDS, "height {height} was decided in round {round}");
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for holder in &mut self.holders {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

#[test]
fn validators_outlive_partitions_and_one_way_loss() {
    inside("partitions::partitions_inside");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test, in namespaces of its own"]
async fn partitions_inside() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let mut net = Net::new(4);
    net.town.settle(0, 2).await;
    halves(&mut net).await;
    three_and_one(&mut net).await;
    one_way(&mut net).await;
    net.town.compare().await;
}

/// 2|2: nobody decides anything, on either side; together they go on.
async fn halves(net: &mut Net) {
    for (from, to) in Net::between(&[0, 1], &[2, 3]) {
        net.cut(from, to);
    }
    // What is under way may still be decided.
    sleep(Duration::from_millis(500)).await;
    let before = top(&net.town).await;
    let transaction = net.town.pay();
    net.town.submit(0, &transaction).await;
    assert!(!net.town.is_final_within(0, &transaction, CUT).await, "half has decided");
    assert_eq!(top(&net.town).await, before, "half has decided");
    for (from, to) in Net::between(&[0, 1], &[2, 3]) {
        net.mend(from, to);
    }
    let mended = Instant::now();
    net.town.settle(2, 1).await;
    println!("2|2: goes on {:?} after it was mended", mended.elapsed());
    net.rounds_since(2, before).await;
}

/// 3|1: the three go on; the one does not, and follows afterwards.
async fn three_and_one(net: &mut Net) {
    let before = top(&net.town).await;
    for (from, to) in Net::between(&[0, 1, 2], &[3]) {
        net.cut(from, to);
    }
    net.town.settle(0, 3).await;
    net.town.settle(1, 3).await;
    let (alone, _) = net.town.view(3).await.unwrap();
    let reached = top(&net.town).await;
    assert!(alone.next() < reached, "one is at {alone}, the others are at {reached}");
    for (from, to) in Net::between(&[0, 1, 2], &[3]) {
        net.mend(from, to);
    }
    let mended = Instant::now();
    assert!(net.town.reaches(3, reached).await);
    println!("3|1: follows {:?} after it was mended", mended.elapsed());
    net.rounds_since(0, before).await;
}

/// What one says does not come to one other; all the rest does. TCP needs both ways, so that these two
/// do not hear each other at all: each of them is in a quorum that does.
async fn one_way(net: &mut Net) {
    for (from, to) in [(0, 1), (3, 2)] {
        let before = top(&net.town).await;
        net.cut(from, to);
        net.town.settle(to, 1).await;
        net.town.settle(from, 1).await;
        net.mend(from, to);
        let mended = Instant::now();
        net.town.settle(to, 1).await;
        println!("{from} to {to}: goes on {:?} after it was mended", mended.elapsed());
        net.rounds_since(to, before).await;
    }
}
