//! Instructions survive the death of any process, and a bank's agent the loss of its folder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quittance_cli::demo::bank::{Bank, uetr};
use quittance_cli::demo::currency::Currency;
use quittance_cli::demo::input::Payment;
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::outcome::State;
use quittance_rpc::proto::agent::v1::payment;
use quittance_rpc::proto::agent::v1::round_event::Stage;
use quittance_rpc::proto::agent::v1::statement_line::Kind;
use quittance_tests::ears::Ears;
use quittance_tests::network::{Network, PATIENCE, POLL, ids};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tonic::Code;

const BANKS: [&str; 3] = ["AAAAZZ01", "BBBBZZ01", "CCCCZZ01"];

const COORDINATOR: &str = "join_blocks = 20\ndeadline_blocks = 30\ngather_ms = 2000";

/// In cents, as all amounts here.
const EURO: u64 = 100;

/// What each bank starts with.
const START: u64 = 10_000 * EURO;

/// Transfers of each bank to each other one.
const TRANSFERS: usize = 10;

/// Who dies as soon as so many transfers are final: the node, or the agent of a bank.
const DEATHS: [(usize, Option<usize>); 6] =
    [(3, Some(0)), (10, None), (18, Some(1)), (26, Some(0)), (34, None), (45, Some(2))];

/// A transfer of this test.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Transfer {
    name: String,
    payer: InstitutionId,
    payee: InstitutionId,
    amount: u64,
}

impl Transfer {
    fn uetr(&self) -> String {
        uetr(&self.name).to_string()
    }

    fn request(&self, wait_ms: u32) -> api::TransferRequest {
        let receiver = api::Receiver {
            institution: self.payee.to_string(),
            amount: Currency::Eur.format(self.amount),
            end_to_end_id: self.name.clone(),
            remittance: String::new(),
        };
        let (uetr, asset) = (self.uetr(), "EUR".to_owned());
        api::TransferRequest { uetr, asset, receivers: vec![receiver], wait_ms }
    }

    /// Calls until the transfer is final.
    async fn insist(&self, bank: &Bank) -> api::Outcome {
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            let answer = bank.client().transfer(self.request(2_000)).await;
            let outcome = answer.map(|answer| answer.into_inner().outcome.expect("an outcome"));
            match outcome {
                Ok(outcome) if outcome.state() == State::Final => return outcome,
                Ok(outcome) => assert_ne!(outcome.state(), State::Failed, "{self:?}: {outcome:?}"),
                // The agent is away, or not ready yet.
                Err(status) => {
                    let code = status.code();
                    let away = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal];
                    assert!(away.contains(&code), "{self:?}: {status:?}");
                    sleep(POLL).await;
                }
            }
            assert!(Instant::now() < deadline, "{self:?} is not final in time");
        }
    }

    /// Calls until the agent has promised, and then never again.
    async fn hand_over(&self, bank: &Bank) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(status) = bank.client().transfer(self.request(0)).await {
            assert!(Instant::now() < deadline, "{self:?}: {status}");
            sleep(POLL).await;
        }
    }
}

struct Stand {
    network: Network,
    banks: Vec<InstitutionId>,
    transfers: Vec<Transfer>,
    /// Payments that rounds have settled.
    netted: Vec<Payment>,
}

impl Stand {
    async fn new() -> Self {
        let mut network = Network::make("restarts", &BANKS, "info");
        network.configure(&network.members.coordinator, COORDINATOR);
        network.start_all().await;
        let banks = ids(&BANKS);
        network.fund(&banks.iter().map(|bank| (*bank, START)).collect::<Vec<_>>()).await;
        let mut transfers = vec![];
        for number in 0..TRANSFERS {
            for (place, payer) in banks.iter().enumerate() {
                for step in 1..banks.len() {
                    let payee = banks[(place + step) % banks.len()];
                    let name = format!("{payer} to {payee} {number}");
                    // All amounts differ.
                    let amount = (1 + transfers.len()) as u64;
                    transfers.push(Transfer { name, payer: *payer, payee, amount });
                }
            }
        }
        Self { network, banks, transfers, netted: vec![] }
    }

    async fn statement(&self, bank: InstitutionId) -> Vec<api::StatementLine> {
        self.network.bank(bank).statement(Currency::Eur).await.expect("a statement")
    }

    /// All transfers at once, half of them by callers that insist and half by callers that rely on
    /// the promise, while processes die.
    async fn burst(&mut self) {
        let done = Arc::new(AtomicUsize::new(0));
        let mut callers = JoinSet::new();
        for (number, transfer) in self.transfers.iter().cloned().enumerate() {
            let (bank, done) = (self.network.bank(transfer.payer), done.clone());
            callers.spawn(async move {
                // Some begin later, so that calls are made before, between and after the deaths.
                sleep(Duration::from_millis(20 * number as u64)).await;
                if number % 2 == 0 {
                    transfer.hand_over(&bank).await;
                } else {
                    transfer.insist(&bank).await;
                }
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        for (count, who) in DEATHS {
            while done.load(Ordering::SeqCst) < count {
                if let Some(Err(failure)) = callers.try_join_next() {
                    std::panic::resume_unwind(failure.into_panic());
                }
                sleep(Duration::from_millis(1)).await;
            }
            let node = self.network.members.node.clone();
            let victim = who.map_or(node, |place| self.network.agent(self.banks[place]));
            self.network.restart(&[victim]).await;
        }
        while let Some(caller) = callers.join_next().await {
            caller.expect("a transfer that is final, or promised");
        }
    }

    /// Waits until all promised transfers are in the statements of their payers and absorbed by
    /// their payees.
    async fn settle_down(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        for bank in self.banks.clone() {
            let sent = self.transfers.iter().filter(|it| it.payer == bank).count();
            let received = self.transfers.iter().filter(|it| it.payee == bank).count() + 1;
            loop {
                self.network.check();
                let lines = self.statement(bank).await;
                let count = |kind: Kind| lines.iter().filter(|line| line.kind() == kind).count();
                let account = self.network.bank(bank).account(Currency::Eur).await;
                let pending = account.expect("an account").pending;
                let found = (count(Kind::Sent), count(Kind::Received), &pending[..]);
                if found == (sent, received, "0.00") {
                    break;
                }
                let late = Instant::now() > deadline;
                assert!(!late, "{bank}: {found:?} instead of {sent}, {received}");
                sleep(POLL).await;
            }
        }
    }

    /// Each transfer stands once in the statement of its payer and once in that of its payee.
    async fn check_statements(&self) {
        let cents = |amount: i128| Currency::Eur.format(amount);
        for bank in &self.banks {
            let lines = self.statement(*bank).await;
            let mut found = BTreeMap::new();
            for line in &lines {
                if let Kind::Sent | Kind::Received = line.kind() {
                    let key = (line.kind(), line.uetr.clone(), line.amount.clone());
                    *found.entry(key).or_insert(0) += 1;
                }
            }
            let funding = (Kind::Received, uetr("funding").to_string(), cents(START.into()));
            let mut expected = BTreeMap::from([(funding, 1)]);
            for transfer in &self.transfers {
                let amount = i128::from(transfer.amount);
                if transfer.payer == *bank {
                    expected.insert((Kind::Sent, transfer.uetr(), cents(-amount)), 1);
                }
                if transfer.payee == *bank {
                    expected.insert((Kind::Received, transfer.uetr(), cents(amount)), 1);
                }
            }
            assert_eq!(found, expected, "{bank}");
            let account = self.network.bank(*bank).account(Currency::Eur).await;
            assert_eq!(account.expect("an account").balance, cents(self.balance(*bank)), "{bank}");
        }
    }

    fn balance(&self, bank: InstitutionId) -> i128 {
        let moved = self.transfers.iter().map(|transfer| match transfer {
            Transfer { payer, amount, .. } if *payer == bank => -i128::from(*amount),
            Transfer { payee, amount, .. } if *payee == bank => i128::from(*amount),
            _ => 0,
        });
        let netted = self.netted.iter().map(|payment| match payment {
            Payment { payer, amount, .. } if *payer == bank => -i128::from(*amount),
            Payment { payee, amount, .. } if *payee == bank => i128::from(*amount),
            _ => 0,
        });
        i128::from(START) + moved.chain(netted).sum::<i128>()
    }

    /// Every transfer of a bank is given again: nothing is paid, and the answers are the old ones.
    async fn give_again(&self, bank: InstitutionId) -> BTreeMap<String, (String, u64)> {
        let connection = self.network.bank(bank);
        let mut outcomes = BTreeMap::new();
        for transfer in self.transfers.iter().filter(|it| it.payer == bank) {
            let answer = connection.client().transfer(transfer.request(0)).await;
            let outcome = answer.expect("known").into_inner().outcome.expect("an outcome");
            assert_eq!(outcome.state(), State::Final, "{transfer:?}");
            outcomes.insert(transfer.uetr(), (outcome.transaction_id, outcome.height));
        }
        outcomes
    }

    /// Another transfer under the name of one is refused.
    async fn give_another(&self) {
        let other = Transfer { amount: 77, ..self.transfers[0].clone() };
        let answer = self.network.bank(other.payer).client().transfer(other.request(0)).await;
        assert_eq!(answer.expect_err("another").code(), Code::AlreadyExists);
    }

    /// Queues a circle that nobody can pay alone.
    async fn queue(&mut self, name: &str) -> Vec<Payment> {
        let mut payments = vec![];
        for (place, payer) in self.banks.iter().enumerate() {
            let (id, payee) = (format!("{name} {place}"), self.banks[(place + 1) % 3]);
            let amount = 700_000 * EURO + 100 * place as u64;
            payments.push(Payment { id, payer: *payer, payee, currency: Currency::Eur, amount });
        }
        for payment in &payments {
            self.network.bank(payment.payer).queue(payment).await.expect("queued");
        }
        payments
    }

    /// Asks for rounds until all these payments have settled, and sees that each has once.
    async fn settle(&mut self, payments: &[Payment]) {
        let deadline = Instant::now() + PATIENCE;
        let mut asked = Instant::now() - PATIENCE;
        loop {
            self.network.check();
            let settled = self.settled(payments).await;
            if settled == payments.len() {
                break;
            }
            if asked.elapsed() > Duration::from_secs(2) {
                // Refused as long as somebody who is needed is not there.
                let _ = self.network.bank(self.banks[0]).request_round(Currency::Eur).await;
                asked = Instant::now();
            }
            assert!(Instant::now() < deadline, "{settled} of {payments:?} have settled");
            sleep(POLL).await;
        }
        self.netted.extend(payments.iter().cloned());
        for bank in &self.banks {
            let account = self.network.bank(*bank).account(Currency::Eur).await;
            let expected = Currency::Eur.format(self.balance(*bank));
            assert_eq!(account.expect("an account").balance, expected, "{bank}");
        }
    }

    /// An agent loses its folder in the midst of a round, at `stage`. Its bank, which does not know
    /// what has become of its payment, gives it again.
    async fn lose_folder_in_a_round(&mut self, bank: InstitutionId, stage: Stage) {
        let payments = self.queue(stage.as_str_name()).await;
        let mut ears = Ears::open(&[self.network.bank(bank)]);
        let asked = self.network.bank(self.banks[0]).request_round(Currency::Eur).await;
        let round = asked.expect("a round");
        ears.wait_for(&[bank], &round, stage, PATIENCE).await.expect("the stage");
        drop(ears);
        self.renew(bank).await;
        let mine = payments.iter().find(|payment| payment.payer == bank).expect("its payment");
        self.network.bank(bank).queue(mine).await.expect("known, or queued again");
        self.settle(&payments).await;
    }

    /// Kills an agent, deletes its folder, and starts it again.
    async fn renew(&mut self, bank: InstitutionId) {
        let agent = self.network.agent(bank);
        self.network.kill(&agent);
        let data = agent.path(self.network.directory()).join("data");
        std::fs::remove_dir_all(data).expect("a folder");
        self.network.start(&agent);
        self.network.ready(&agent).await;
    }

    async fn settled(&self, payments: &[Payment]) -> usize {
        let mut settled = 0;
        for payment in payments {
            let found = self.network.bank(payment.payer).payments().await.expect("payments");
            let done = |it: &api::Payment| {
                it.end_to_end_id == payment.id && it.state() == payment::State::Settled
            };
            settled += usize::from(found.iter().any(done));
        }
        settled
    }

    /// What a bank's agent knows, as far as chain and keys must give it back.
    async fn knowledge(&self, bank: InstitutionId) -> Knowledge {
        let mut connection = self.network.bank(bank);
        let mut account = connection.account(Currency::Eur).await.expect("an account");
        account.locked_by_round.clear();
        let lines = connection.statement(Currency::Eur).await.expect("a statement");
        let line = |line: api::StatementLine| {
            let api::StatementLine { height, transaction_id, amount, uetr, balance, .. } = line;
            (height, transaction_id, line.kind, amount, uetr, balance)
        };
        let payments = connection.payments().await.expect("payments").into_iter();
        let settled = payments.filter(|it| it.state() == payment::State::Settled);
        Knowledge {
            account,
            lines: lines.into_iter().map(line).collect(),
            settled: settled.map(|payment| (payment.uetr.clone(), payment)).collect(),
            outcomes: self.give_again(bank).await,
        }
    }

    /// An agent loses its folder, and has everything that matters afterwards.
    async fn lose_folder(&mut self, bank: InstitutionId, payments: &[Payment]) {
        let before = self.knowledge(bank).await;
        assert!(before.settled.len() == 1 && before.lines.len() > 2 * TRANSFERS);
        self.renew(bank).await;
        let after = self.knowledge(bank).await;
        assert_eq!(after.account, before.account);
        assert_eq!(after.lines, before.lines);
        assert_eq!(after.outcomes, before.outcomes);
        assert_eq!(after.settled, before.settled);
        // A settled payment that is queued again has settled, and is not paid again.
        let mine = payments.iter().find(|payment| payment.payer == bank).expect("its payment");
        self.network.bank(bank).queue(mine).await.expect("known");
        let again = self.knowledge(bank).await;
        assert_eq!((again.account, again.settled), (before.account, before.settled));
    }
}

#[derive(Debug, PartialEq)]
struct Knowledge {
    account: api::AssetBalance,
    /// Height, transaction, kind, amount, UETR, balance.
    lines: Vec<(u64, String, i32, String, String, String)>,
    settled: BTreeMap<String, api::Payment>,
    /// Transaction and height of each transfer.
    outcomes: BTreeMap<String, (String, u64)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_promised_is_carried_out_once() {
    let mut stand = Stand::new().await;
    stand.burst().await;
    stand.settle_down().await;
    stand.check_statements().await;
    for bank in stand.banks.clone() {
        stand.give_again(bank).await;
    }
    stand.give_another().await;
    stand.check_statements().await;

    let payments = stand.queue("before").await;
    stand.settle(&payments).await;
    stand.lose_folder(stand.banks[1], &payments).await;
    let payments = stand.queue("after").await;
    stand.settle(&payments).await;
    for stage in [Stage::Joined, Stage::Dealt, Stage::Signed] {
        stand.lose_folder_in_a_round(stand.banks[2], stage).await;
    }
    stand.network.audit();
    stand.network.stop();
}
