//! Floods. A real node is attacked in every way of [`attacks::ATTACKS`] while others use it. Its
//! memory stays under a cap, everybody else is served, and new connections come soon after.
//!
//! How much slower others are served is measured by `make slow`, which prints a table: on a machine
//! that does other things as well, a test would decide by chance.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attacks;
mod honest;
#[path = "../../crates/rpc/tests/common/raw.rs"]
mod raw;

use std::fs;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use quittance_ledger::ids::InstitutionId;
use quittance_tests::network::{Network, ids};
use rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768;
use tokio::time::sleep;

use attacks::{ATTACKS, Attack, Attackers, CONTROL, Tally};
use honest::{Honest, Measured, Times};
use raw::foreign_client_of;

/// What the node's memory stays below, in MiB, whatever is done to it: docs/limits.md.
const MEMORY: u64 = 512;

/// Within this time after an attack everything is as before.
const RECOVERY: Duration = Duration::from_secs(5);

/// From the beginning of an attack until it is measured what it does.
const RAMP: Duration = Duration::from_millis(300);

/// Who pays, and who has lost a certificate to the attackers: its agent does not run.
const BANKS: [&str; 2] = ["AAAAZZ01", "EVILZZ01"];

/// What became of an attack.
struct Row {
    attack: Attack,
    tally: Tally,
    before: Measured,
    during: Measured,
    memory: u64,
    recovery: Duration,
}

impl Row {
    fn print(&self) {
        let who = if self.attack.insider { "insider" } else { "stranger" };
        let ratio = |of: fn(&Measured) -> &Times| {
            let (before, during) = (of(&self.before).p99(), of(&self.during).p99());
            let ratio = during.as_secs_f64() / before.as_secs_f64();
            format!("{:.1} | {:.1} | {ratio:.1}", milliseconds(before), milliseconds(during))
        };
        println!(
            "| {who}: {} | {} | {} | {:.1} | {} | {} | {} | {} of {} | {} | {:.1} |",
            self.attack.name,
            self.tally.connections.load(Ordering::Relaxed),
            self.tally.handshakes.load(Ordering::Relaxed),
            self.tally.bytes.load(Ordering::Relaxed) as f64 / f64::from(1 << 20),
            ratio(|measured| &measured.queries),
            ratio(|measured| &measured.payments),
            ratio(|measured| &measured.connections),
            self.during.refused,
            self.during.connections.count(),
            self.memory,
            self.recovery.as_secs_f64(),
        );
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// A node with what it needs, attackers and honest callers.
struct Stand {
    network: Network,
    honest: Honest,
    attackers: Attackers,
    /// The node's process.
    node: u32,
}

impl Stand {
    async fn new() -> Self {
        let mut network = Network::make("floods", &BANKS, "error");
        let [payer, evil] = ids(&BANKS)[..] else { panic!("two banks") };
        let central = network.members.agents[0].clone();
        for member in [network.members.node.clone(), central.clone(), network.agent(payer)] {
            network.start(&member);
            network.ready(&member).await;
        }
        network.fund(&[(payer, 1_000_000)]).await;
        let node = network.processes().into_iter().find(|(folder, _)| folder == "node");
        let (_, node) = node.expect("the node runs");
        let honest = Honest::new(
            network.auditor(),
            network.node(),
            network.bank(payer),
            central.institution(),
        );
        let attackers = attackers(&network, evil);
        Self { network, honest, attackers, node }
    }

    async fn attack(&mut self, attack: Attack, time: Duration) -> Row {
        let before = self.honest.measure(time).await;
        // The peak of memory is counted anew.
        fs::write(format!("/proc/{}/clear_refs", self.node), "5").unwrap();
        let (attackers, end) = (self.attackers.clone(), Instant::now() + RAMP + time);
        let attacking = std::thread::spawn(move || attackers.run(attack, end));
        sleep(RAMP).await;
        let during = self.honest.measure(time).await;
        let tally = tokio::task::spawn_blocking(|| attacking.join().unwrap()).await.unwrap();
        let recovery = self.honest.recovery(RECOVERY).await;
        self.network.check();
        Row { attack, tally, before, during, memory: self.peak(), recovery }
    }

    /// The most memory that the node has had since that was asked to be counted, in MiB.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.node)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
    }

    /// Every attack, for so long each.
    async fn attacks(&mut self, time: Duration) -> Vec<Row> {
        println!(
            "| attack | connections | handshakes | MiB sent | query p99 before, ms | during | ratio \
             | payment p99 before, ms | during | ratio | connection p99 before, ms | during | ratio \
             | refused | memory, MiB | recovery, s |"
        );
        println!("|{}", " --- |".repeat(16));
        let mut rows = Vec::new();
        for attack in ATTACKS {
            let row = self.attack(*attack, time).await;
            row.print();
            rows.push(row);
        }
        rows
    }
}

/// With the certificate of the bank `evil`.
fn attackers(network: &Network, evil: InstitutionId) -> Attackers {
    let folder = network.agent(evil).path(network.directory());
    let read = |path| fs::read(path).expect("a certificate");
    let ca = read(network.directory().join("ca/ca.pem"));
    let (certificate, key) = (read(folder.join("tls.pem")), read(folder.join("tls.key")));
    let groups = || vec![X25519MLKEM768];
    Attackers {
        target: network.members.node.address,
        insider: foreign_client_of(&ca, Some((&certificate, &key)), groups()),
        stranger: foreign_client_of(&ca, None, groups()),
    }
}

/// What holds on any machine, however busy.
fn check(rows: &[Row]) {
    for Row { attack, tally, memory, recovery, .. } in rows {
        let Attack { name, insider, .. } = attack;
        assert!(*memory < MEMORY, "{name}: {memory} MiB");
        assert!(*recovery < RECOVERY, "{name}: recovered after {recovery:?}");
        assert!(tally.connections.load(Ordering::Relaxed) > 0, "{name}: not one connection");
        let shaken = tally.handshakes.load(Ordering::Relaxed);
        assert!(shaken > 0 || !insider, "{name}: not one handshake");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flooded_node_serves_others_in_bounded_memory() {
    let mut stand = Stand::new().await;
    let rows = stand.attacks(Duration::from_millis(400)).await;
    check(&rows);
    stand.network.audit();
    stand.network.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes some minutes, and means something on a machine that does nothing else: make slow"]
async fn the_wait_of_others_under_attack_is_measured() {
    let mut stand = Stand::new().await;
    let time = Duration::from_secs(6);
    let rows = stand.attacks(time).await;
    stand.attack(CONTROL, time).await.print();
    check(&rows);
    stand.network.stop();
}
