//! Every process is killed at every step of a round. Whatever happens, the round has one outcome,
//! it is on the ledger, and every bank's agent tells the same.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, Instant};

use quittance_cli::demo::bank::{Bank, uetr};
use quittance_cli::demo::currency::Currency;
use quittance_cli::demo::input::Payment;
use quittance_cli::testnet::plan::Member;
use quittance_ledger::ids::{Height, InstitutionId, RoundId};
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::payment::State;
use quittance_rpc::proto::agent::v1::round_event::Stage;
use quittance_tests::ears::Ears;
use quittance_tests::ledgers::Expectation;
use quittance_tests::network::{Network, PATIENCE, POLL, ids};
use quittance_tests::tape::{Settled, Tape};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use tokio::time::sleep;
use tonic::Code;

const BANKS: [&str; 4] = ["AAAAZZ01", "BBBBZZ01", "CCCCZZ01", "DDDDZZ01"];

/// Locks end soon: 30 blocks are 7.5 seconds when nothing happens.
const COORDINATOR: &str = "join_blocks = 20\ndeadline_blocks = 30\ngather_ms = 2000\n\
                           compute_ms = 4000\nprove_ms = 2000";

/// In cents, as all amounts here.
const EURO: u64 = 100;

/// What each bank starts with.
const START: u64 = 50_000 * EURO;

/// The fewest leaves of a queue: longer queues would make rounds slower.
const BUCKET: usize = 8;

/// The steps of a round as an agent tells them.
const STEPS: [Stage; 6] =
    [Stage::Opened, Stage::Joined, Stage::Dealt, Stage::Result, Stage::Signed, Stage::Settled];

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Node,
    Agent,
    Party,
    Coordinator,
    NodeAndAgent,
    Everybody,
}

const VICTIMS: [Victim; 6] = [
    Victim::Coordinator,
    Victim::Party,
    Victim::Agent,
    Victim::Node,
    Victim::NodeAndAgent,
    Victim::Everybody,
];

struct Stand {
    network: Network,
    tape: Tape,
    ears: Ears,
    banks: Vec<InstitutionId>,
    expected: Expectation,
    /// Numbers the scenarios.
    number: usize,
    rounds: BTreeSet<RoundId>,
    /// One line for each scenario.
    report: String,
}

impl Stand {
    async fn new() -> Self {
        let mut network = Network::make("kills", &BANKS, "info");
        network.configure(&network.members.coordinator, COORDINATOR);
        network.start_all().await;
        let banks = ids(&BANKS);
        let start: Vec<_> = banks.iter().map(|bank| (*bank, START)).collect();
        network.fund(&start).await;
        let connections: Vec<Bank> = banks.iter().map(|bank| network.bank(*bank)).collect();
        Self {
            tape: Tape::record(&network),
            ears: Ears::open(&connections),
            network,
            banks,
            expected: Expectation::new(&start),
            number: 0,
            rounds: BTreeSet::new(),
            report: String::new(),
        }
    }

    fn bank(&self, place: usize) -> InstitutionId {
        self.banks[place % self.banks.len()]
    }

    /// The processes whose turn it is.
    fn victims(&self, kind: Victim) -> Vec<Member> {
        let members = &self.network.members;
        let agent = self.network.agent(self.bank(self.number));
        match kind {
            Victim::Node => vec![members.node.clone()],
            Victim::Coordinator => vec![members.coordinator.clone()],
            Victim::Party => vec![members.parties[self.number % members.parties.len()].clone()],
            Victim::Agent => vec![agent],
            Victim::NodeAndAgent => vec![members.node.clone(), agent],
            Victim::Everybody => members.iter().cloned().collect(),
        }
    }

    async fn queue(&mut self, id: String, payer: usize, payee: usize, amount: u64) {
        let (payer, payee) = (self.bank(payer), self.bank(payee));
        let payment = Payment { id, payer, payee, currency: Currency::Eur, amount };
        self.network.bank(payer).queue(&payment).await.expect("queued");
        self.expected.queue(payment);
    }

    /// The name of the payment that nobody can settle.
    fn hopeless(&self) -> String {
        format!("{} hopeless", self.number)
    }

    /// Payments that nobody can make alone: a circle, two that cancel out nearly, and behind the
    /// queue of one bank a payment that never settles.
    async fn queue_payments(&mut self) {
        let number = self.number;
        let longest = self.banks.iter().map(|bank| self.expected.queue_of(*bank).count()).max();
        if longest.expect("four banks") + 3 <= BUCKET {
            for place in 0..self.banks.len() {
                let amount = 1_000_000 * EURO + 700 * EURO * ((number + place) % 4) as u64;
                self.queue(format!("{number} circle {place}"), place, place + 1, amount).await;
            }
            for (place, more) in [(number, 0), (number + 2, 300 * EURO)] {
                let amount = 400_000 * EURO + more;
                self.queue(format!("{number} cross {place}"), place, place + 2, amount).await;
            }
        }
        self.queue(self.hopeless(), number, number + 1, 90_000_000 * EURO).await;
    }

    /// Asks for a round until there is one: processes that have just been started are not there yet.
    async fn request(&mut self, place: usize) -> String {
        let mut bank = self.network.bank(self.bank(place));
        let deadline = Instant::now() + PATIENCE;
        let round = loop {
            self.network.check();
            let request = api::RequestRoundRequest { asset: "EUR".to_owned() };
            let status = match bank.client().request_round(request).await {
                Ok(answer) => break answer.into_inner().round_id,
                Err(status) => status,
            };
            let code = status.code();
            assert!(matches!(code, Code::Unavailable | Code::Aborted), "{}: {status}", bank.id);
            assert!(Instant::now() < deadline, "no round: {status}");
            bank = self.network.bank(bank.id);
            sleep(POLL).await;
        };
        let id = round.parse().expect("a round's id");
        assert!(self.rounds.insert(id), "round {round} was another scenario's");
        round
    }

    /// One scenario: processes are killed some time after a step of a round, and started again.
    async fn scenario(&mut self, kind: Victim, step: Stage, later: Duration) {
        let began = Instant::now();
        self.number += 1;
        let what = format!("{kind:?} {} ms after {}", later.as_millis(), step.as_str_name());
        self.queue_payments().await;
        // Not the agent that is going to be killed.
        let round = self.request(self.number + 1).await;
        let witnesses = match kind {
            Victim::Agent | Victim::NodeAndAgent => vec![self.bank(self.number)],
            _ => self.banks.clone(),
        };
        let seen = self.ears.wait_for(&witnesses, &round, step, PATIENCE).await;
        seen.unwrap_or_else(|why| panic!("{what}, round {round}: {why}\n{}", self.report));
        sleep(later).await;
        self.network.restart(&self.victims(kind)).await;
        let outcome = self.outcome(&what, &round).await;
        let outcome = match outcome {
            Some((Settled { roster, .. }, payments)) => {
                format!("settled {payments} payments of {} banks", roster.len())
            }
            None => "nothing has moved".to_owned(),
        };
        let seconds = began.elapsed().as_secs_f32();
        writeln!(self.report, "{what:44} {outcome} ({seconds:.1} s)").expect("a string");
        eprintln!("{}", self.report.lines().last().expect("a line"));
        let (payer, id) = (self.bank(self.number), self.hopeless());
        let name = uetr(&format!("payment {id}")).to_string();
        let request = api::CancelPaymentRequest { uetr: name };
        let cancelled = self.network.bank(payer).client().cancel_payment(request).await;
        let cancelled = cancelled.expect("it was queued").into_inner();
        assert_eq!(cancelled.state(), State::Cancelled);
        self.expected.cancel(payer, &id);
    }

    /// Waits until a round is over and everybody knows, and holds all agents against the one outcome
    /// that is on the ledger: the settlement and how many payments it settles, if there is one.
    async fn outcome(&mut self, what: &str, round: &str) -> Option<(Settled, usize)> {
        let id: RoundId = round.parse().expect("a round's id");
        let deadline = Instant::now() + PATIENCE;
        while !self.tape.is_over(&id) {
            self.network.check();
            assert!(Instant::now() < deadline, "{what}: round {round} is not over");
            sleep(POLL).await;
        }
        let height = self.tape.height();
        let mut settlements = self.tape.round(&id).settlements;
        assert!(settlements.len() < 2, "{what}: {settlements:?}");
        let settled = settlements.pop().map(|settled| {
            let payments = self.expected.settle(&settled.roster, round, settled.height.0);
            (settled, payments)
        });
        for bank in self.banks.clone() {
            let wrong = self.agreement(bank, height).await;
            assert!(wrong.is_empty(), "{what}, round {round}, {settled:?}: {wrong:#?}");
            let stages = self.ears.stages(bank, round);
            let told = |stage| stages.iter().any(|(told, _)| *told == stage);
            match &settled {
                Some((settled, _)) if settled.roster.contains(&bank) => {
                    assert!(!told(Stage::Abandoned), "{what}: {bank} told {stages:?}");
                }
                Some(_) => (),
                None => assert!(!told(Stage::Settled), "{what}: {bank} told {stages:?}"),
            }
        }
        self.check_sum(what).await;
        settled
    }

    /// What an agent that has seen the block at `height` says otherwise than expected. It gets a
    /// moment to follow.
    async fn agreement(&mut self, bank: InstitutionId, height: Height) -> Vec<String> {
        let mut connection = self.network.bank(bank);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            self.network.check();
            let wrong = self.differences(&mut connection, height).await;
            let wrong = wrong.unwrap_or_else(|reason| vec![reason]);
            if wrong.is_empty() || Instant::now() > deadline {
                return wrong;
            }
            sleep(POLL).await;
        }
    }

    async fn differences(&self, bank: &mut Bank, height: Height) -> Result<Vec<String>, String> {
        let status = bank.client().agent_status(api::AgentStatusRequest {}).await;
        let status = status.map_err(|status| status.to_string())?.into_inner();
        if status.height < height.0 || !status.rounds.is_empty() {
            return Err(format!("{}: height {}, in {:?}", bank.id, status.height, status.rounds));
        }
        let account = bank.account(Currency::Eur).await.map_err(|error| error.to_string())?;
        let payments = bank.payments().await.map_err(|error| error.to_string())?;
        Ok(self.expected.differences(bank.id, &account, &payments))
    }

    /// What the banks hold is what the central bank owes.
    async fn check_sum(&self, what: &str) {
        let held: u64 = self.banks.iter().map(|bank| self.expected.balance(*bank)).sum();
        let owed = self.network.central_bank().account(Currency::Eur).await.expect("an account");
        assert_eq!(owed.balance, Currency::Eur.format(-i128::from(held)), "{what}");
    }

    /// A round in which nobody is killed settles what can settle.
    async fn undisturbed(&mut self) {
        self.number += 1;
        self.queue_payments().await;
        let round = self.request(self.number).await;
        let (settled, payments) = self.outcome("undisturbed", &round).await.expect("a settlement");
        assert_eq!(settled.roster.len(), self.banks.len(), "all take part");
        assert!(payments >= 6, "{payments} payments have settled");
        let left: usize = self.banks.iter().map(|bank| self.expected.queue_of(*bank).count()).sum();
        assert_eq!(left, 1, "only the payment that nobody can make");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_has_one_outcome_whoever_is_killed() {
    let mut stand = Stand::new().await;
    for kind in VICTIMS {
        for step in STEPS {
            stand.scenario(kind, step, Duration::ZERO).await;
        }
    }
    // Once more, between the steps.
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for kind in [Victim::Party, Victim::Agent, Victim::NodeAndAgent] {
        for step in [Stage::Joined, Stage::Dealt, Stage::Result] {
            let later = Duration::from_millis(u64::from(rng.next_u32() % 60));
            stand.scenario(kind, step, later).await;
        }
    }
    stand.undisturbed().await;
    let report = &stand.report;
    // Both outcomes have been seen: nothing to settle with, and settled already.
    assert!(report.contains("nothing has moved") && report.contains("payments of"), "{report}");
    stand.network.audit();
    stand.network.stop();
}
