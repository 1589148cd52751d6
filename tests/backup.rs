//! The drill of `docs/operations.md`: back up, go on, lose the folders, restore, catch up. Nothing
//! is lost that is on the chain, nothing is paid twice, and a node on an older copy is noticed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use quittance_cli::demo::bank::uetr;
use quittance_cli::demo::currency::Currency;
use quittance_cli::demo::input::Payment;
use quittance_cli::demo::run::audit_arguments;
use quittance_cli::status;
use quittance_cli::status::subject::Subjects;
use quittance_cli::testnet::plan::Member;
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::outcome::State;
use quittance_rpc::proto::agent::v1::payment;
use quittance_rpc::proto::agent::v1::statement_line::Kind;
use quittance_tests::binaries::program;
use quittance_tests::network::{Network, PATIENCE, POLL, ids};
use tokio::time::sleep;

const BANKS: [&str; 3] = ["AAAAZZ01", "BBBBZZ01", "CCCCZZ01"];

const COORDINATOR: &str = "join_blocks = 20\ndeadline_blocks = 30\ngather_ms = 2000";

/// What each bank starts with, in cents, as all amounts here.
const START: u64 = 1_000_000;

/// Copies a folder as the page says.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp");
    assert!(status.success(), "{} to {}", from.display(), to.display());
}

/// The auditor's program.
fn auditor(arguments: &[String]) -> Output {
    let output = Command::new(program("quittance-audit")).args(arguments).output();
    let output = output.expect("the auditor runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

struct Drill {
    network: Network,
    banks: Vec<InstitutionId>,
    /// By what has become final.
    balances: BTreeMap<InstitutionId, i128>,
    /// Where copies are kept.
    backups: tempfile::TempDir,
}

impl Drill {
    async fn new() -> Self {
        let mut network = Network::make("backup", &BANKS, "info");
        network.configure(&network.members.coordinator, COORDINATOR);
        network.start_all().await;
        let banks = ids(&BANKS);
        network.fund(&banks.iter().map(|bank| (*bank, START)).collect::<Vec<_>>()).await;
        let balances = banks.iter().map(|bank| (*bank, START.into())).collect();
        Self { network, banks, balances, backups: tempfile::tempdir().expect("a folder") }
    }

    fn data(&self, member: &Member) -> PathBuf {
        member.path(self.network.directory()).join("data")
    }

    fn copy_of(&self, member: &Member, name: &str) -> PathBuf {
        self.backups.path().join(format!("{}-{name}", member.folder))
    }

    /// Stop, copy, start.
    async fn back_up(&mut self, member: &Member, name: &str) {
        self.network.end(member);
        copy(&self.data(member), &self.copy_of(member, name));
        self.network.start(member);
        self.network.ready(member).await;
    }

    /// The process dies, and its folder is gone.
    fn lose(&mut self, member: &Member) {
        self.network.kill(member);
        std::fs::remove_dir_all(self.data(member)).expect("a folder");
    }

    /// The copy is put where the folder was; the process is not started.
    fn put_back(&mut self, member: &Member, name: &str) {
        copy(&self.copy_of(member, name), &self.data(member));
    }

    async fn restore(&mut self, member: &Member, name: &str) {
        self.put_back(member, name);
        self.network.start(member);
        self.network.ready(member).await;
    }

    /// Pays, or asks what has become of the same instruction. Returns transaction and height.
    async fn pay(&self, name: &str, payer: usize, payee: usize, amount: u64) -> (String, u64) {
        let receiver = api::Receiver {
            institution: self.banks[payee].to_string(),
            amount: Currency::Eur.format(amount),
            end_to_end_id: name.to_owned(),
            remittance: String::new(),
        };
        let (uetr, asset) = (uetr(name).to_string(), "EUR".to_owned());
        let request =
            api::TransferRequest { uetr, asset, receivers: vec![receiver], wait_ms: 20_000 };
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            let bank = self.network.bank(self.banks[payer]);
            let answer = bank.client().transfer(request.clone()).await;
            match answer.map(|answer| answer.into_inner().outcome.expect("an outcome")) {
                Ok(outcome) if outcome.state() == State::Final => {
                    return (outcome.transaction_id, outcome.height);
                }
                Ok(outcome) => assert_ne!(outcome.state(), State::Failed, "{name}: {outcome:?}"),
                Err(status) => assert_eq!(status.code(), tonic::Code::Unavailable, "{status}"),
            }
            assert!(Instant::now() < deadline, "{name} is not final in time");
            sleep(POLL).await;
        }
    }

    /// Each bank pays the next one.
    async fn pay_around(&mut self, name: &str, amount: u64) -> Vec<(String, u64)> {
        let mut outcomes = vec![];
        for payer in 0..self.banks.len() {
            let payee = (payer + 1) % self.banks.len();
            let amount = amount + payer as u64;
            outcomes.push(self.pay(&format!("{name} {payer}"), payer, payee, amount).await);
            self.move_balance(payer, payee, amount);
        }
        outcomes
    }

    fn move_balance(&mut self, payer: usize, payee: usize, amount: u64) {
        *self.balances.entry(self.banks[payer]).or_default() -= i128::from(amount);
        *self.balances.entry(self.banks[payee]).or_default() += i128::from(amount);
    }

    /// A circle that nobody can pay alone, settled by a round.
    async fn net(&mut self, name: &str) {
        let payment = |place: usize| Payment {
            id: format!("{name} {place}"),
            payer: self.banks[place],
            payee: self.banks[(place + 1) % self.banks.len()],
            currency: Currency::Eur,
            amount: 70 * START + 100 * place as u64,
        };
        let payments: Vec<Payment> = (0..self.banks.len()).map(payment).collect();
        for payment in &payments {
            self.network.bank(payment.payer).queue(payment).await.expect("queued");
        }
        let deadline = Instant::now() + 2 * PATIENCE;
        let mut asked = Instant::now() - PATIENCE;
        while self.open(&payments).await > 0 {
            self.network.check();
            if asked.elapsed() > Duration::from_secs(2) {
                // Refused as long as somebody who is needed is not there.
                let _ = self.network.bank(self.banks[0]).request_round(Currency::Eur).await;
                asked = Instant::now();
            }
            assert!(Instant::now() < deadline, "{name} does not settle");
            sleep(POLL).await;
        }
        for (place, payment) in payments.iter().enumerate() {
            self.move_balance(place, (place + 1) % self.banks.len(), payment.amount);
        }
    }

    /// How many of these payments have not settled.
    async fn open(&self, payments: &[Payment]) -> usize {
        let mut settled = 0;
        for payment in payments {
            let known = self.network.bank(payment.payer).payments().await.expect("payments");
            settled += known
                .iter()
                .filter(|it| {
                    it.end_to_end_id == payment.id && it.state() == payment::State::Settled
                })
                .count();
        }
        payments.len() - settled
    }

    /// Every bank has what it must have, once everything is absorbed.
    async fn check_balances(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        for bank in self.banks.clone() {
            let expected = (Currency::Eur.format(self.balances[&bank]), "0.00".to_owned());
            loop {
                self.network.check();
                let account = self.network.bank(bank).account(Currency::Eur).await;
                let account = account.expect("an account");
                if (account.balance.clone(), account.pending.clone()) == expected {
                    break;
                }
                assert!(Instant::now() < deadline, "{bank}: {account:?} is not {expected:?}");
                sleep(POLL).await;
            }
        }
    }

    /// How often each transfer stands in the statement of its payer.
    async fn sent(&self, payer: usize) -> BTreeMap<String, usize> {
        let lines = self.network.bank(self.banks[payer]).statement(Currency::Eur).await;
        let mut sent = BTreeMap::new();
        for line in lines.expect("a statement").into_iter().filter(|it| it.kind() == Kind::Sent) {
            *sent.entry(line.uetr).or_default() += 1;
        }
        sent
    }

    /// Writes the chain to a file while the node runs.
    fn export(&self, name: &str) -> PathBuf {
        let file = self.backups.path().join(name);
        let mut arguments = self.audit_arguments();
        arguments[0] = "export".to_owned();
        let genesis = arguments.iter().position(|it| it == "--genesis").expect("it is there");
        arguments.truncate(genesis);
        arguments.extend(["--out".to_owned(), file.display().to_string()]);
        auditor(&arguments);
        file
    }

    fn audit_arguments(&self) -> Vec<String> {
        audit_arguments(self.network.directory(), &self.network.members.node.address.to_string())
    }

    /// What `quittance status` finds.
    async fn findings(&self) -> Vec<String> {
        let subjects = Subjects::in_folder(self.network.directory()).expect("a network");
        let late = Duration::from_secs(3600);
        let status = status::ask(subjects, Duration::from_secs(10), late).await;
        status.findings.into_iter().map(|it| format!("{}: {}", it.place, it.what)).collect()
    }

    /// How often a text stands in the log of a process.
    fn logged(&self, member: &Member, text: &str) -> usize {
        let log = member.path(self.network.directory()).join("log");
        std::fs::read_to_string(log).expect("a log").matches(text).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_are_lost_and_restored() {
    let mut drill = Drill::new().await;
    let (agent, party) =
        (drill.network.agent(drill.banks[0]), drill.network.members.parties[1].clone());
    let node = drill.network.members.node.clone();
    drill.pay_around("early", 1_000).await;
    drill.net("first").await;
    for member in [&agent, &party, &node] {
        drill.back_up(member, "old").await;
    }

    // What the copies do not know.
    let late = drill.pay_around("late", 2_000).await;
    drill.net("second").await;
    drill.check_balances().await;
    let export = drill.export("chain");

    drill.lose(&agent);
    drill.lose(&party);
    drill.restore(&agent, "old").await;
    drill.restore(&party, "old").await;
    drill.check_balances().await;
    // The bank gives its instructions again, not knowing what has become of them.
    assert_eq!(drill.pay("late 0", 0, 1, 2_000).await, late[0]);
    drill.pay("early 0", 0, 1, 1_000).await;
    let sent = drill.sent(0).await;
    assert_eq!(sent.values().copied().collect::<Vec<_>>(), [1, 1], "{sent:?}");
    drill.check_balances().await;
    drill.net("third").await;
    drill.check_balances().await;

    // The node: a copy after which it was not started is as good as the original.
    drill.network.end(&node);
    copy(&drill.data(&node), &drill.copy_of(&node, "last"));
    std::fs::remove_dir_all(drill.data(&node)).expect("a folder");
    drill.restore(&node, "last").await;
    drill.pay_around("after the node", 3_000).await;
    drill.check_balances().await;
    drill.network.audit();

    older_copy_of_the_node(&mut drill, &node).await;
    drill.pay_around("at the end", 4_000).await;
    drill.check_balances().await;
    drill.network.audit();
    let genesis = drill.network.directory().join("genesis.json").display().to_string();
    let file = export.display().to_string();
    auditor(&["verify", "--file", &file, "--genesis", &genesis].map(str::to_owned));
    drill.network.stop();
}

/// The mistake that the page warns of, noticed, and undone in time.
async fn older_copy_of_the_node(drill: &mut Drill, node: &Member) {
    // So slow that the others, which do not follow it, are never overtaken.
    let config = node.config(drill.network.directory());
    let text = std::fs::read_to_string(&config).expect("a configuration");
    assert!(text.contains("heartbeat_ms = 250\n"));
    let slow = text.replace("heartbeat_ms = 250\n", "heartbeat_ms = 3600000\n");
    std::fs::write(&config, slow).expect("a configuration");

    drill.network.end(node);
    let (data, aside) = (drill.data(node), drill.backups.path().join("aside"));
    copy(&data, &aside);
    std::fs::remove_dir_all(&data).expect("a folder");
    drill.restore(node, "old").await;
    let others: Vec<Member> = drill.network.members.iter().skip(1).cloned().collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        drill.network.check();
        let noticed = |member: &&Member| drill.logged(member, "older copy of its chain") > 0;
        let noticed = others.iter().filter(noticed).count();
        let found = drill.findings().await;
        let told = found.iter().any(|it| it.contains("it runs on an older copy of its chain"));
        if noticed == others.len() && told {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{noticed} of {} have noticed: {found:#?}",
            others.len()
        );
        sleep(POLL).await;
    }
    drill.network.end(node);
    std::fs::remove_dir_all(&data).expect("a folder");
    copy(&aside, &data);
    std::fs::write(&config, text).expect("a configuration");
    drill.network.start(node);
    drill.network.ready(node).await;
}
