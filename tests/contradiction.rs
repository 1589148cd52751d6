//! A validator that contradicts itself, from its signatures to the file that an auditor verifies:
//! three real validators, and a fourth that is played here with its true key.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quittance_cli::client::credentials;
use quittance_cli::demo::network::subcommand;
use quittance_cli::status::scrape::scrape;
use quittance_cli::supervisor::Supervisor;
use quittance_cli::testnet;
use quittance_cli::testnet::plan::{Member, Members, Plan};
use quittance_consensus::wire::{Frame, SignedVote};
use quittance_crypto::digest::Digest;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::certificate::{Vote, VoteKind};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{BlockId, ChainId, Height, InstitutionId};
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::limits::Limits;
use quittance_rpc::peers::{Own, Peers, Priority, Validators};
use quittance_rpc::ports::free_range;
use quittance_rpc::proto::node::v1::{ChainStatusRequest, EvidenceRequest};
use quittance_rpc::server::Server;
use quittance_tests::binaries::program;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Longer than anything takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// What goes before a frame of the engine's between validators.
const ENGINE: u8 = 0;

struct Town {
    home: TempDir,
    members: Members,
    processes: Supervisor,
    genesis: Genesis,
}

impl Town {
    /// The files of four validators; nothing runs.
    fn new() -> Self {
        let mut plan = Plan {
            name: "contradiction".to_owned(),
            suite: Suite::MlDsa65MlKem768,
            banks: ["AAAAZZ01", "BBBBZZ01"].map(|id| id.parse().expect("an id")).into(),
            assets: vec![("EUR".parse().expect("a code"), 2)],
            validators: 4,
            base_port: 1,
        };
        plan.base_port = free_range(plan.ports()).expect("ports");
        let home = tempfile::tempdir().expect("a folder");
        let members = testnet::create(&plan, home.path()).expect("a network");
        let text = fs::read(home.path().join("genesis.json")).expect("a genesis");
        let genesis = serde_json::from_slice(&text).expect("a genesis");
        Self { home, members, processes: Supervisor::new(Duration::from_secs(15)), genesis }
    }

    fn start(&mut self, member: &Member) {
        let mut command = Command::new(program("quittance"));
        command.arg(subcommand(member.name.process)).arg("--config");
        command.arg(member.config(self.home.path())).arg("--stop-with-parent");
        let log = member.path(self.home.path()).join("log");
        self.processes.start(&member.folder, command, &log).expect("a process");
    }

    fn file(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    fn auditor(&self) -> Dialer {
        let file = |name: &str| self.home.path().join(name);
        let tls = credentials(&file("auditor.pem"), &file("auditor.key"), &file("ca/ca.pem"));
        Dialer::new(tls.expect("certificates"), Limits::default())
    }

    async fn height(&self, member: &Member) -> u64 {
        let mut client = self.auditor().node(&target(member)).expect("an address");
        let status = client.chain_status(ChainStatusRequest {}).await;
        status.map_or(0, |status| status.into_inner().height)
    }

    /// How much evidence a node has stored.
    async fn evidence(&self, member: &Member) -> usize {
        let mut client = self.auditor().node(&target(member)).expect("an address");
        let Ok(answer) = client.evidence(EvidenceRequest {}).await else { return 0 };
        let mut stream = answer.into_inner();
        let mut count = 0;
        while stream.message().await.expect("evidence").is_some() {
            count += 1;
        }
        count
    }

    /// `quittance-audit evidence fetch` from a node.
    fn fetch(&self, member: &Member, out: &str) -> Output {
        let (address, identity) = (member.address.to_string(), member.name.to_string());
        audit(&[
            "fetch",
            "--node",
            &address,
            "--identity",
            &identity,
            "--certificate",
            &self.file("auditor.pem"),
            "--key",
            &self.file("auditor.key"),
            "--ca",
            &self.file("ca/ca.pem"),
            "--out",
            &self.file(out),
        ])
    }

    fn verify(&self, file: &str) -> Output {
        audit(&["verify", "--genesis", &self.file("genesis.json"), &self.file(file)])
    }
}

fn target(member: &Member) -> Target {
    Target { address: member.address.to_string(), identity: member.name }
}

fn audit(arguments: &[&str]) -> Output {
    let mut command = Command::new(program("quittance-audit"));
    command.arg("evidence").args(arguments).output().expect("the auditor runs")
}

fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}

/// The first validator, which says two things at once.
struct Liar {
    institution: InstitutionId,
    key: Arc<SigningKey>,
    chain: ChainId,
    peers: Peers,
    _stopping: CancellationToken,
    _validators: watch::Sender<Validators>,
}

impl Liar {
    fn new(town: &Town) -> Self {
        let member = &town.members.node;
        let folder = member.path(town.home.path());
        let read = |name: &str| fs::read(folder.join(name)).expect("a file");
        let passphrase = String::from_utf8(read("passphrase")).expect("text");
        let ring = KeyRing::from_encrypted(passphrase.trim_end(), &read("keys.age"));
        let ring = ring.expect("its keys");
        let vote = ring.signing(Purpose::Vote);
        let key = Arc::new(SigningKey::from_seed(ring.suite(), vote.seed()));
        let (institution, chain) = (member.institution(), town.genesis.chain_id());
        let ca = town.home.path().join("ca/ca.pem");
        let tls = credentials(&folder.join("tls.pem"), &folder.join("tls.key"), &ca);
        let dialer = Dialer::new(tls.expect("certificates"), Limits::default());
        let others = town.members.validators.iter();
        let book: BTreeMap<_, _> = others.map(|it| (it.institution(), target(it))).collect();
        let (sender, validators) = watch::channel(Validators::of([&town.genesis.validators]));
        let stopping = CancellationToken::new();
        let (_, connections) = Server::new(Limits::default()).validators();
        let own = Own { institution, key: key.clone(), chain };
        let (peers, mut arrived) =
            Peers::start(dialer, own, book, connections, validators, &stopping);
        // It hears nobody out.
        tokio::spawn(async move {
            while let Some(mut peer) = arrived.recv().await {
                tokio::spawn(async move { while peer.frames.recv().await.is_some() {} });
            }
        });
        Self { institution, key, chain, peers, _stopping: stopping, _validators: sender }
    }

    /// Votes for no block and for one at once.
    fn contradict(&self, height: u64) {
        for block in [None, Some(BlockId(Digest([7; 32])))] {
            let (chain, height, kind) = (self.chain, Height(height), VoteKind::Prevote);
            let vote = Vote { chain, height, round: 0, kind, block };
            let signature = vote.sign(&self.key);
            let signed = SignedVote { institution: self.institution, vote, signature };
            let frame = Frame::Vote(signed).to_frame(self.chain);
            let tagged = [&[ENGINE][..], &frame].concat();
            self.peers.broadcast(tagged.into(), Priority::Urgent);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contradiction_is_stored_fetched_and_verified() {
    let mut town = Town::new();
    let honest: Vec<Member> = town.members.validators.clone();
    honest.iter().for_each(|member| town.start(member));
    let liar = Liar::new(&town);
    let deadline = Instant::now() + PATIENCE;
    let mut witnesses = vec![];
    while witnesses.len() < honest.len() {
        assert!(Instant::now() < deadline, "only {} have evidence", witnesses.len());
        town.processes.check().expect("all go on");
        let height = town.height(&honest[0]).await;
        (1..=4).for_each(|ahead| liar.contradict(height + ahead));
        sleep(POLL).await;
        witnesses.clear();
        for member in &honest {
            if town.evidence(member).await > 0 {
                witnesses.push(member.folder.clone());
            }
        }
    }

    // It is there after the process was killed, and says the same.
    let witness = &honest[1];
    let known = town.evidence(witness).await;
    assert!(town.processes.kill(&witness.folder));
    town.start(witness);
    while town.evidence(witness).await < known {
        assert!(Instant::now() < deadline + PATIENCE, "the evidence is lost");
        sleep(POLL).await;
    }
    let output = town.fetch(witness, "evidence.json");
    assert!(output.status.success(), "{}", text(&output));
    let output = town.verify("evidence.json");
    println!("{}", text(&output));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains("VALDZZ01       two prevotes at height "), "{said}");
    assert!(said.contains("VERIFIED: contradicted by its own signatures"), "{said}");
    assert!(honest.iter().all(|member| !said.contains(member.institution().as_str())), "{said}");
    refuse_changes(&town);

    let metrics = scrape(witness.metrics).await.expect("metrics");
    assert!(metrics.count("quittance_evidence").is_some_and(|count| count >= 1));
    let safety = metrics
        .text()
        .lines()
        .find(|line| !line.starts_with('#') && line.contains("node_safety_failure"));
    let safety = safety.unwrap_or_else(|| panic!("no alarm: {}", metrics.text()));
    assert!(safety.ends_with(" 0"), "{safety}");
    assert!(!metrics.text().contains("# EOF"));
}

/// Another validator, height, round, kind or byte convicts nobody.
fn refuse_changes(town: &Town) {
    let path = town.home.path().join("evidence.json");
    let good: Value = serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON");
    let hex = good["evidence"].as_str().expect("hexadecimal").to_owned();
    let middle = hex.len() / 2;
    let digit = if hex.as_bytes()[middle] == b'0' { "1" } else { "0" };
    let changed = format!("{}{digit}{}", &hex[..middle], &hex[middle + 1..]);
    for (pointer, value) in [
        ("/cases/0/validator", Value::from("VALDZZ02")),
        ("/cases/0/height", 1_000_000.into()),
        ("/cases/0/round", 1.into()),
        ("/cases/0/kind", "precommit".into()),
        ("/evidence", changed.into()),
    ] {
        let mut other = good.clone();
        *other.pointer_mut(pointer).expect("it is there") = value;
        write(&town.home.path().join("other.json"), &other);
        let output = town.verify("other.json");
        assert_eq!(output.status.code(), Some(1), "{pointer}: {}", text(&output));
    }
}

fn write(path: &Path, value: &Value) {
    fs::write(path, value.to_string()).expect("a file");
}
