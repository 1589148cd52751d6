//! A coordinator's process beside a validator's: what it opens, says, refuses and forgets. Banks and
//! parties are played by the test.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use quittance_cli::client;
use quittance_cli::supervisor::Supervisor;
use quittance_cli::testnet;
use quittance_cli::testnet::plan::{Member, Members, Plan};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::ids::{Height, RoundId};
use quittance_ledger::state::Round;
use quittance_round::message::{Instruction, Reason, Report};
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::limits::Limits;
use quittance_rpc::ports;
use quittance_rpc::proto::coordinator::v1::coordinator_client::CoordinatorClient;
use quittance_rpc::proto::coordinator::v1::{AttendRequest, AttendResponse, RequestRoundRequest};
use quittance_rpc::proto::node::v1 as node;
use quittance_tests::binaries::program;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A network of which only the validator and the coordinator run.
struct Stage {
    home: tempfile::TempDir,
    members: Members,
    processes: Supervisor,
}

impl Stage {
    fn new() -> Self {
        let mut stage = Self::of_files();
        stage.start(&stage.members.node.clone(), "node");
        stage
    }

    /// Before anything is started.
    fn of_files() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let mut plan = Plan {
            name: "coordinator".to_owned(),
            suite: quittance_crypto::signature::Suite::MlDsa65MlKem768,
            banks: ["AAAAZZ01", "BBBBZZ01"].map(|id| id.parse().expect("a name")).into(),
            assets: vec![("EUR".parse().expect("a code"), 2), ("USD".parse().expect("a code"), 2)],
            validators: 1,
            base_port: 0,
        };
        plan.base_port = ports::free_range(plan.ports()).expect("free ports");
        let members = testnet::create(&plan, home.path()).expect("a network");
        let processes = Supervisor::new(Duration::from_secs(10));
        Self { home, members, processes }
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    fn start(&mut self, member: &Member, subcommand: &str) {
        let mut command = Command::new(program("quittance"));
        command.arg(subcommand).arg("--config").arg(member.config(self.home.path()));
        command.arg("--stop-with-parent");
        let log = member.path(self.home.path()).join("log");
        self.processes.start(&member.folder, command, &log).expect("a process");
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(member.address).is_err() {
            self.processes.check().expect("it lives");
            assert!(Instant::now() < deadline, "{subcommand} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the coordinator says when it refuses to start with `change` made to its configuration.
    fn refusal(&self, change: impl FnOnce(String) -> String) -> String {
        let config = self.members.coordinator.config(self.path());
        let good = std::fs::read_to_string(&config).expect("a configuration");
        std::fs::write(&config, change(good.clone())).expect("a configuration");
        let mut command = Command::new(program("quittance"));
        let output = command.arg("coordinator").arg("--config").arg(&config).output();
        std::fs::write(&config, good).expect("a configuration");
        let output = output.expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).expect("text")
    }

    fn start_coordinator(&mut self) {
        self.start(&self.members.coordinator.clone(), "coordinator");
    }

    /// What the coordinator is told in its configuration beside what testnet writes.
    fn configure(&self, settings: &str) {
        let config = self.members.coordinator.config(self.path());
        let text = std::fs::read_to_string(&config).expect("a configuration");
        std::fs::write(config, format!("{settings}\n{text}")).expect("a configuration");
    }

    /// Calls `server` with the certificate of another process.
    fn dialer(&self, caller: &Member) -> Dialer {
        let folder = caller.path(self.path());
        let (certificate, key) = (folder.join("tls.pem"), folder.join("tls.key"));
        let tls = client::credentials(&certificate, &key, &self.path().join("ca/ca.pem"));
        Dialer::new(tls.expect("certificates"), Limits::default())
    }

    fn target(server: &Member) -> Target {
        Target { address: server.address.to_string(), identity: server.name }
    }

    fn coordinator(&self, caller: &Member) -> CoordinatorClient<Channel> {
        let target = Self::target(&self.members.coordinator);
        self.dialer(caller).coordinator(&target).expect("a client")
    }

    async fn request(&self, caller: &Member, asset: &str) -> Result<RoundId, Status> {
        let request = RequestRoundRequest { asset: asset.to_owned() };
        let answer = timeout(PATIENCE, self.coordinator(caller).request_round(request)).await;
        let answer = answer.expect("an answer in time")?.into_inner();
        Ok(RoundId::from_bytes(&answer.round_id).expect("a round's id"))
    }

    /// The round as the validator has it.
    async fn round(&self, id: RoundId) -> Round {
        let target = Self::target(&self.members.node);
        let mut node = self.dialer(&self.members.agents[1]).node(&target).expect("a client");
        let request = node::RoundRequest { round_id: id.to_bytes() };
        let answer = node.round(request).await.expect("an answer").into_inner();
        Round::from_bytes(&answer.round).expect("a round on record")
    }

    async fn attend(&self, caller: &Member) -> Attending {
        let (reports, outgoing) = mpsc::channel(8);
        let stream = self.coordinator(caller).attend(ReceiverStream::new(outgoing)).await;
        Attending { reports, instructions: stream.expect("admitted").into_inner() }
    }

    async fn attend_all_parties(&self) -> Vec<Attending> {
        let mut all = vec![];
        for party in &self.members.parties {
            all.push(self.attend(party).await);
        }
        all
    }

    /// Asks until the coordinator has noticed that everybody attends.
    async fn open(&self, asset: &str) -> RoundId {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.request(&self.members.agents[1], asset).await {
                Ok(round) => return round,
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
            }
            assert!(Instant::now() < deadline, "no round is opened");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

struct Attending {
    reports: mpsc::Sender<AttendRequest>,
    instructions: Streaming<AttendResponse>,
}

impl Attending {
    async fn report(&self, report: &Report) {
        let request = AttendRequest { message: report.to_bytes() };
        self.reports.send(request).await.expect("a stream");
    }

    async fn next(&mut self) -> Result<Option<Instruction>, Status> {
        let next = timeout(PATIENCE, self.instructions.message()).await.expect("in time")?;
        Ok(next.map(|next| Instruction::from_bytes(&next.message).expect("canonical")))
    }

    /// The round that is abandoned, which is the next thing that is said, and the reason.
    async fn abandoned(&mut self) -> (RoundId, String) {
        match self.next().await.expect("an instruction").expect("an instruction") {
            Instruction::Abandoned { attempt, reason } => (attempt.round, reason.to_string()),
            other => panic!("{} instead", other.name()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_are_opened_abandoned_and_forgotten() {
    let mut stage = Stage::new();
    stage.configure("gather_ms = 2000\njoin_blocks = 1000\ndeadline_blocks = 2000");
    stage.start_coordinator();
    let (a, b) = (stage.members.agents[1].clone(), stage.members.agents[2].clone());

    // Nothing can be computed without the committee.
    let refused = stage.request(&a, "EUR").await.expect_err("nobody computes");
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("MPC party MPCAZZ01 does not attend"), "{refused}");
    let unknown = stage.request(&a, "GBP").await.expect_err("no such asset");
    assert_eq!(unknown.code(), Code::InvalidArgument);

    let mut parties = stage.attend_all_parties().await;
    let mut banks = vec![stage.attend(&a).await, stage.attend(&b).await];
    let euros = stage.open("EUR").await;
    let record = stage.round(euros).await;
    let terms = &record.terms;
    assert_eq!(terms.opener, stage.members.coordinator.institution());
    assert_eq!((terms.attempts, terms.minimum_roster), (1, 2));
    assert_eq!(terms.deadline, terms.join_until.plus(1000));
    assert!(record.opened < terms.join_until && terms.join_until < Height(1000 + record.opened.0));

    // Whoever asks again gets the same round; another asset is another round.
    assert_eq!(stage.request(&b, "EUR").await.expect("the same"), euros);
    let dollars = stage.request(&b, "USD").await.expect("another");
    assert_ne!(dollars, euros);

    // Nobody takes part; everybody is told so.
    for round in [euros, dollars] {
        let reason = Reason::new("not today");
        banks[0].report(&Report::Declined { round, reason }).await;
    }
    // Rounds whose time is up at once are abandoned in the order of their ids.
    for attending in banks.iter_mut().chain(&mut parties) {
        let mut rounds = vec![];
        for _ in 0..2 {
            let (round, reason) = attending.abandoned().await;
            assert_eq!(reason, "0 banks have dealt in time, at least 2 are needed");
            rounds.push(round);
        }
        assert!(rounds == [euros, dollars] || rounds == [dollars, euros]);
    }
    let again = stage.open("EUR").await;
    assert_ne!(again, euros);

    // A coordinator that has lost its memory abandons what is open, and opens anew.
    assert!(stage.processes.kill("coordinator"));
    for bank in &mut banks {
        assert!(!matches!(bank.next().await, Ok(Some(_))), "the stream ends");
    }
    stage.start_coordinator();
    let mut bank = stage.attend(&a).await;
    let mut abandoned = vec![];
    for _ in 0..3 {
        match bank.next().await.expect("an instruction").expect("an instruction") {
            Instruction::Abandoned { attempt, reason } => {
                assert!(reason.as_str().contains("restarted"), "{reason}");
                abandoned.push(attempt.round);
            }
            other => panic!("{} instead", other.name()),
        }
    }
    let mut expected = vec![euros, dollars, again];
    expected.sort();
    abandoned.sort();
    assert_eq!(abandoned, expected);
    let _parties = stage.attend_all_parties().await;
    let fresh = stage.open("EUR").await;
    assert!(!expected.contains(&fresh));
    assert_eq!(stage.processes.stop(), [""; 0], "both end when they are told to");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_are_who_they_must_be_and_attend_once() {
    let mut stage = Stage::new();
    stage.start_coordinator();
    let members = stage.members.clone();

    // A validator has nothing to do here, and parties do not ask for rounds.
    let refused = stage.request(&members.node, "EUR").await.expect_err("a stranger");
    assert!(refused.message().contains("not admitted"), "{refused}");
    let refused = stage.request(&members.parties[0], "EUR").await.expect_err("a party");
    assert_eq!(refused.code(), Code::PermissionDenied);

    // A second stream of one process replaces the first.
    let mut first = stage.attend(&members.agents[1]).await;
    let mut second = stage.attend(&members.agents[1]).await;
    let end = first.next().await.expect_err("replaced");
    assert_eq!(end.code(), Code::Aborted, "{end}");

    // What is not canonical ends the stream.
    let report = Report::Declined { round: RoundId(Digest::ZERO), reason: Reason::new("no") };
    let mut message = report.to_bytes();
    message.push(0);
    second.reports.send(AttendRequest { message }).await.expect("a stream");
    let end = second.next().await.expect_err("malformed");
    assert_eq!(end.code(), Code::InvalidArgument, "{end}");
    // What is about no round in hand does not.
    let mut third = stage.attend(&members.agents[1]).await;
    third.report(&report).await;
    let silent = timeout(Duration::from_millis(300), third.instructions.message()).await;
    assert!(silent.is_err(), "{silent:?}");
    assert_eq!(stage.processes.stop(), [""; 0], "both end when they are told to");
}

#[test]
fn configurations_are_checked_as_a_whole() {
    let stage = Stage::of_files();
    let settings = "join_blocks = 400\ndeadline_blocks = 400\ngather_ms = 0\nminimum_roster = 1\n";
    let refused = stage.refusal(|text| {
        settings.to_owned() + &text.replace("../directory.toml", "../nowhere.toml")
    });
    for key in ["deadline_blocks", "gather_ms", "minimum_roster", "directory"] {
        assert!(refused.contains(&format!("config.toml: {key}: ")), "{key} in {refused}");
    }
    assert_eq!(refused.lines().count(), 4, "{refused}");
    // Somebody else's keys.
    let refused = stage.refusal(|text| text.replace("CORDZZ01", "AAAAZZ01"));
    for reason in [
        "keys: they are CORDZZ01's, not AAAAZZ01's",
        "tls.certificate: it names urn:quittance:CORDZZ01:coordinator",
    ] {
        assert!(refused.contains(reason), "{refused}");
    }
    let other = stage.refusal(|text| text.replace("keys.age", "../party-MPCAZZ01/keys.age"));
    assert!(other.contains("keys: the passphrase is wrong"), "{other}");
}
