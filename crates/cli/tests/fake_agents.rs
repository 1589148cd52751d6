//! The demonstration's side of the conversation with agents, against agents that follow a script.

#[macro_use]
mod common;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quittance_cli::demo::bank::Bank;
use quittance_cli::demo::currency::Currency;
use quittance_cli::demo::error::DemoError;
use quittance_cli::demo::progress::Progress;
use quittance_cli::demo::rounds::{self, Settled};
use quittance_cli::testnet::plan::Member;
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::agent::v1::agent_server::Agent;
use quittance_rpc::proto::agent::v1::event::Event as Happened;
use quittance_rpc::proto::agent::v1::round_event::Stage;
use quittance_rpc::proto::agent::v1::*;
use quittance_rpc::server::Server;
use quittance_rpc::tls::trust::Admission;
use tonic::{Request, Response, Status};

use common::Answer;

/// What an agent will say.
#[derive(Clone, Default)]
struct Script {
    /// Outcomes of the calls of one transfer, by UETR, in their order.
    transfers: Arc<Mutex<BTreeMap<String, VecDeque<Outcome>>>>,
    /// Rounds that were asked for so far.
    rounds: Arc<Mutex<u32>>,
    /// All events.
    events: Vec<Event>,
}

#[tonic::async_trait]
impl Agent for Script {
    type WatchStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<Event, Status>> + Send>>;

    async fn transfer(&self, request: Request<TransferRequest>) -> Answer<TransferResponse> {
        let uetr = request.into_inner().uetr;
        let mut transfers = self.transfers.lock().expect("no panic");
        let outcome = transfers.get_mut(&uetr).and_then(VecDeque::pop_front);
        let outcome = outcome.ok_or_else(|| Status::invalid_argument("no such instruction"))?;
        Ok(Response::new(TransferResponse { outcome: Some(outcome) }))
    }

    async fn request_round(&self, _: Request<RequestRoundRequest>) -> Answer<RequestRoundResponse> {
        let mut rounds = self.rounds.lock().expect("no panic");
        *rounds += 1;
        Ok(Response::new(RequestRoundResponse { round_id: format!("round-{rounds}") }))
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Answer<Self::WatchStream> {
        let events: Vec<_> = self.events.iter().cloned().map(Ok).collect();
        let open =
            tokio_stream::StreamExt::chain(tokio_stream::iter(events), tokio_stream::pending());
        Ok(Response::new(Box::pin(open)))
    }

    unused! {
        propose_exchange(ProposeExchangeRequest) -> ExchangeResponse;
        accept_exchange(AcceptExchangeRequest) -> ExchangeResponse;
        list_exchanges(ListExchangesRequest) -> ListExchangesResponse;
        queue_payment(QueuePaymentRequest) -> Payment;
        list_payments(ListPaymentsRequest) -> ListPaymentsResponse;
        cancel_payment(CancelPaymentRequest) -> Payment;
        balance(BalanceRequest) -> BalanceResponse;
        statement(StatementRequest) -> StatementResponse;
        payment_receipt(PaymentReceiptRequest) -> PaymentReceiptResponse;
        agent_status(AgentStatusRequest) -> AgentStatusResponse;
    }
}

/// A network's files, with its first two banks' agents played by scripts.
struct Theatre {
    home: tempfile::TempDir,
    agents: Vec<Member>,
}

impl Theatre {
    fn new() -> Self {
        let (home, mut members) = common::network();
        Self { home, agents: members.agents.split_off(1) }
    }

    /// Starts the agents, and connects to them as their banks.
    async fn play(&mut self, scripts: Vec<Script>) -> Vec<Bank> {
        let mut banks = vec![];
        for (agent, script) in self.agents.iter_mut().zip(scripts) {
            agent.address = serve(self.home.path(), agent, script).await;
            banks.push(Bank::new(self.home.path(), agent).expect("certificates"));
        }
        banks
    }
}

async fn serve(directory: &Path, agent: &Member, script: Script) -> SocketAddr {
    let server = Server::new(Limits::default()).agent(script);
    let admission = Admission::clients_of(agent.institution());
    common::serve(common::bind(server, directory, &agent.path(directory), admission).await)
}

fn outcome(state: outcome::State, height: u64, reason: &str) -> Outcome {
    Outcome { state: state.into(), height, reason: reason.to_owned(), ..Default::default() }
}

fn event(round: &str, stage: Stage, bytes: &[u64]) -> Event {
    let round = RoundEvent {
        round_id: round.to_owned(),
        stage: stage.into(),
        reason: if stage == Stage::Abandoned { "too late".to_owned() } else { String::new() },
        iterations: bytes.len() as u32,
        bytes_sent_per_party: bytes.to_vec(),
        computation_ms: 5,
        ..Default::default()
    };
    Event { event: Some(Happened::Round(round)), ..Default::default() }
}

fn bank(id: &str) -> InstitutionId {
    id.parse().expect("a name")
}

#[tokio::test]
async fn a_transfer_is_asked_for_again_until_it_is_decided() {
    use outcome::State::{Accepted, Failed, Final, Submitted};
    let script = Script::default();
    let named = |name: &str| quittance_cli::demo::bank::uetr(name).to_string();
    script.transfers.lock().unwrap().extend([
        (
            named("slow"),
            [outcome(Accepted, 0, ""), outcome(Submitted, 0, ""), outcome(Final, 9, "")].into(),
        ),
        (named("poor"), [outcome(Submitted, 0, ""), outcome(Failed, 0, "not enough")].into()),
    ]);
    let mut theatre = Theatre::new();
    let mut banks = theatre.play(vec![script.clone()]).await;
    assert_eq!(banks[0].ready().await, Ok(()));
    let to = [(bank("BBBBZZ01"), 100)];
    assert_eq!(banks[0].transfer("slow", Currency::Eur, &to).await.unwrap(), 9);
    let failed = banks[0].transfer("poor", Currency::Eur, &to).await.unwrap_err();
    assert_eq!(failed.to_string(), "transfer poor of AAAAZZ01 failed: not enough");
    let refused = banks[0].transfer("unknown", Currency::Eur, &to).await.unwrap_err();
    assert!(matches!(refused, DemoError::Call { .. }), "{refused}");
    assert!(script.transfers.lock().unwrap().values().all(VecDeque::is_empty));
}

#[tokio::test]
async fn rounds_are_repeated_until_all_banks_took_part() {
    let first = Script {
        events: vec![
            event("another", Stage::Abandoned, &[]),
            event("round-1", Stage::Joined, &[]),
            event("round-1", Stage::Result, &[7, 8, 9]),
            event("round-1", Stage::Settled, &[]),
            event("round-2", Stage::Settled, &[1, 2]),
        ],
        ..Default::default()
    };
    let second = Script {
        events: vec![
            event("round-1", Stage::Abandoned, &[]),
            event("round-2", Stage::Settled, &[1, 2]),
        ],
        ..Default::default()
    };
    let mut theatre = Theatre::new();
    let mut banks = theatre.play(vec![first.clone(), second]).await;
    let shown = Progress::new().begin("netting");
    let settled =
        rounds::net(&mut banks, Currency::Eur, &[Duration::ZERO; 4], &shown).await.unwrap();
    let told: Vec<_> = settled.into_iter().map(|round| round.settled).collect();
    assert_eq!(
        told,
        [
            Settled { iterations: 3, computation_ms: 5, bytes_sent_per_party: vec![7, 8, 9] },
            Settled { iterations: 2, computation_ms: 5, bytes_sent_per_party: vec![1, 2] },
        ]
    );
    assert_eq!(*first.rounds.lock().unwrap(), 2);
}

#[tokio::test]
async fn rounds_that_never_settle_are_given_up() {
    let events = (1..=5).map(|n| event(&format!("round-{n}"), Stage::Abandoned, &[])).collect();
    let script = Script { events, ..Default::default() };
    let mut theatre = Theatre::new();
    let mut banks = theatre.play(vec![script.clone(), script]).await;
    let shown = Progress::new().begin("netting");
    let error = rounds::net(&mut banks, Currency::Eur, &[Duration::ZERO; 4], &shown)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("no netting round in EUR brought all banks together in 5 attempts"));
    assert!(error.ends_with("Z01: too late"), "{error}");
}

#[tokio::test]
async fn a_bank_is_only_served_by_its_own_agent() {
    let mut theatre = Theatre::new();
    let mut banks = theatre.play(vec![Script::default(), Script::default()]).await;
    assert_eq!(banks[1].ready().await, Ok(()));
    // The first bank's certificate at the second bank's agent.
    let mut other = theatre.agents[0].clone();
    other.address = theatre.agents[1].address;
    let mut lost = Bank::new(theatre.home.path(), &other).unwrap();
    assert!(lost.ready().await.is_err());
}
