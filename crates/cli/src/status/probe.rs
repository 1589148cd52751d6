//! Asking one process how it is: whether it answers as who it should be, over gRPC, and what it
//! counts, over HTTP.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use quittance_rpc::client::{ConnectError, Dialer};
use quittance_rpc::config::Target;
use quittance_rpc::identity::Process;
use quittance_rpc::limits::Limits;
use quittance_rpc::metrics as names;
use quittance_rpc::proto::agent::v1::AgentStatusRequest;
use quittance_rpc::proto::agent::v1::agent_client::AgentClient;
use quittance_rpc::proto::node::v1::ChainStatusRequest;
use quittance_rpc::proto::node::v1::node_client::NodeClient;
use quittance_rpc::tls::trust::Untrusted;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::now_ms;
use super::scrape::{Metrics, scrape};
use super::subject::Subject;

/// The longest that a node is waited for when it is asked again.
const LOOK: Duration = Duration::from_secs(1);

const NOT_READY: &str = "it says that it is not ready";

/// What becomes of the attempt to speak with a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It says that it is ready.
    Ready,
    /// It says that it is not ready.
    NotReady,
    /// It listens, as who it should be, and does not speak with us: nothing is wrong with that.
    Listens,
    /// Nobody listens there.
    NotListening,
    /// The address is not reached at all.
    NotReached,
    /// Nothing came within the time.
    Silent,
    /// Somebody else answers.
    Another,
    /// Its certificate is not accepted.
    NotTrusted,
    /// It does not accept ours, or closes the connection, or does not speak TLS.
    Refused,
}

impl State {
    /// As the table shows it: in capitals what is not well.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "NOT READY",
            Self::Listens => "listens",
            Self::NotListening => "NOT LISTENING",
            Self::NotReached => "NOT REACHED",
            Self::Silent => "SILENT",
            Self::Another => "ANOTHER ANSWERS",
            Self::NotTrusted => "NOT TRUSTED",
            Self::Refused => "REFUSES US",
        }
    }

    /// For programs: as the label, in small letters and without blanks.
    pub fn word(self) -> String {
        self.label().to_lowercase().replace(' ', "_")
    }

    /// Whether nothing is wrong with that.
    pub fn is_well(self) -> bool {
        matches!(self, Self::Ready | Self::Listens)
    }
}

/// What a process tells about itself, as far as it does.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The last block that it has.
    pub height: Option<u64>,
    /// The time in that block, in milliseconds since 1970.
    pub block_ms: Option<u64>,
    /// Whether blocks come from the node.
    pub connected: Option<bool>,
    /// Of a validator: with how many others it is connected.
    pub peers: Option<u64>,
    /// How many validators decide the next block.
    pub validators: Option<u64>,
    /// Its share of their voting power, from 0 to 1.
    pub power: Option<f64>,
    /// Whether it says in its metrics that it is ready.
    pub ready: Option<bool>,
    /// Of its program.
    pub version: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub started_ms: Option<u64>,
    /// What it has in hand, by what that is.
    pub work: BTreeMap<&'static str, u64>,
}

/// A process that was asked.
pub struct Asked {
    /// Which.
    pub subject: Subject,
    /// What became of it.
    pub state: State,
    /// Why, if it is not ready.
    pub reason: String,
    /// What it told.
    pub facts: Facts,
    /// What is wrong with its metrics, if they are known to be served.
    pub metrics: Result<(), String>,
    /// When that was, in milliseconds since 1970.
    pub at_ms: u64,
    /// How far the node was just after that.
    pub node: Option<NodeAt>,
    /// The connection that stands.
    channel: Option<Channel>,
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeAt {
    /// Its last block.
    pub height: u64,
    /// The time in that block, in milliseconds since 1970.
    pub block_ms: u64,
}

/// Connections to the nodes, to ask again how far the chain is.
#[derive(Default)]
pub struct NodeWatch(Vec<Channel>);

impl NodeWatch {
    /// Keeps the connection if that is a node.
    pub fn meet(&mut self, asked: &Asked) {
        self.0.extend(asked.channel.clone().filter(|_| asked.is_node()));
    }

    /// How far the first of the nodes is; `None` if there are none. Those that do not answer once
    /// are not asked again.
    pub async fn look(&mut self) -> Option<NodeAt> {
        let mut asking = JoinSet::new();
        for channel in std::mem::take(&mut self.0) {
            asking.spawn(async move {
                let facts = timeout(LOOK, node(channel.clone())).await.ok()??;
                let at = NodeAt { height: facts.height?, block_ms: facts.block_ms? };
                Some((channel, at))
            });
        }
        let answers: Vec<_> = asking.join_all().await.into_iter().flatten().collect();
        let first = answers.iter().map(|(_, at)| *at).max_by_key(|at| at.height);
        self.0 = answers.into_iter().map(|(channel, _)| channel).collect();
        first
    }
}

/// What gRPC brings.
struct Call {
    state: State,
    reason: String,
    facts: Facts,
    channel: Option<Channel>,
}

impl Call {
    fn failed(state: State, reason: String) -> Self {
        Self { state, reason, facts: Facts::default(), channel: None }
    }
}

/// Asks a process, for at most `within`.
pub async fn ask(subject: Subject, within: Duration) -> Asked {
    let silent = || Call::failed(State::Silent, format!("no answer within {within:?}"));
    let call = async { timeout(within, call(&subject, within)).await.unwrap_or_else(|_| silent()) };
    let (call, counted) = tokio::join!(call, counted(&subject, within));
    let Call { mut state, mut reason, mut facts, channel } = call;
    let metrics = match counted {
        Ok(counted) => {
            add(&mut facts, counted);
            Ok(())
        }
        // That it is dead is said already.
        Err(_) if channel.is_none() && state != State::Listens => Ok(()),
        Err(reason) => Err(reason),
    };
    // It does not tell us over gRPC, but by its metrics.
    match facts.ready.filter(|_| state == State::Listens) {
        Some(true) => (state, reason) = (State::Ready, String::new()),
        Some(false) => (state, reason) = (State::NotReady, NOT_READY.to_owned()),
        None => {}
    }
    Asked { subject, state, reason, facts, metrics, at_ms: now_ms(), node: None, channel }
}

impl Asked {
    /// Whether it is a validator.
    pub fn is_node(&self) -> bool {
        self.subject.name.process == Process::Node
    }
}

/// Takes over what is known newly.
fn add(facts: &mut Facts, more: Facts) {
    // Whichever is later: both were true.
    facts.height = facts.height.max(more.height);
    facts.block_ms = facts.block_ms.max(more.block_ms);
    facts.connected = more.connected.or(facts.connected);
    facts.ready = more.ready.or(facts.ready);
    facts.peers = more.peers.or(facts.peers);
    facts.validators = more.validators.or(facts.validators);
    facts.power = more.power.or(facts.power);
    facts.version = more.version.or(facts.version.take());
    facts.started_ms = more.started_ms.or(facts.started_ms);
    facts.work.extend(more.work);
}

async fn call(subject: &Subject, within: Duration) -> Call {
    let limits = Limits { handshake_time: within, request_time: within, ..Limits::default() };
    let dialer = Dialer::new(subject.caller.clone(), limits);
    let target = Target { address: subject.address.clone(), identity: subject.name };
    let channel = match dialer.connect(&target).await {
        Ok(channel) => channel,
        Err(error) => {
            let (state, reason) = failure(&error, &target);
            return Call::failed(state, reason);
        }
    };
    let health = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
    let (state, reason) = match health.map(|answer| answer.into_inner().status()) {
        Ok(ServingStatus::Serving) => (State::Ready, String::new()),
        Ok(_) => (State::NotReady, NOT_READY.to_owned()),
        Err(status) => (State::NotReady, format!("its health: {}", status.message())),
    };
    let facts = match subject.name.process {
        Process::Node => node(channel.clone()).await,
        Process::Agent => agent(channel.clone()).await,
        Process::Party | Process::Coordinator => None,
    };
    Call { state, reason, facts: facts.unwrap_or_default(), channel: Some(channel) }
}

/// What a failed connection says about whom we called.
fn failure(error: &ConnectError, target: &Target) -> (State, String) {
    let state = match error {
        ConnectError::Unreachable { reason, .. } if reason.contains("onnection refused") => {
            State::NotListening
        }
        ConnectError::Address { .. } | ConnectError::Unreachable { .. } => State::NotReached,
        ConnectError::TimedOut { .. } => State::Silent,
        ConnectError::Untrusted { reason: Untrusted::WrongServer { .. }, .. } => State::Another,
        ConnectError::Untrusted { .. } => State::NotTrusted,
        error if error.is_not_admitted() => State::Listens,
        ConnectError::Refused { .. }
        | ConnectError::Closed { .. }
        | ConnectError::Tls { .. }
        | ConnectError::NoFrames { .. }
        | ConnectError::Ours { .. }
        | ConnectError::Nobody => State::Refused,
    };
    let text = error.to_string();
    let reason = text.strip_prefix(&format!("{target}: ")).unwrap_or(&text);
    (state, reason.to_owned())
}

async fn node(channel: Channel) -> Option<Facts> {
    let answer = NodeClient::new(channel).chain_status(ChainStatusRequest {}).await;
    let status = answer.ok()?.into_inner();
    Some(Facts {
        height: Some(status.height),
        block_ms: Some(status.time_ms),
        work: BTreeMap::from([("transactions", status.mempool)]),
        ..Facts::default()
    })
}

/// Refused at the listener for other agents: then its metrics have to tell.
async fn agent(channel: Channel) -> Option<Facts> {
    let answer = AgentClient::new(channel).agent_status(AgentStatusRequest {}).await;
    let status = answer.ok()?.into_inner();
    Some(Facts {
        height: Some(status.height),
        work: BTreeMap::from([("rounds", status.rounds.len() as u64)]),
        ..Facts::default()
    })
}

/// What the process counts; nothing if it is not known where.
async fn counted(subject: &Subject, within: Duration) -> Result<Facts, String> {
    let Some(address) = subject.metrics else { return Ok(Facts::default()) };
    let silent = || io::Error::other(format!("no answer within {within:?}"));
    let metrics = timeout(within, scrape(address)).await.unwrap_or_else(|_| Err(silent()));
    let metrics = metrics.map_err(|error| format!("at {address}: {error}"))?;
    let of = |label| metrics.label(names::BUILD_INFO, label).unwrap_or_default();
    let (kind, institution) = (of("kind"), of("institution"));
    let name = subject.name;
    if kind != name.process.as_str() || institution != name.institution.as_str() {
        return Err(format!("at {address} are those of {institution}'s {kind}"));
    }
    Ok(facts(&metrics))
}

fn facts(metrics: &Metrics) -> Facts {
    let milliseconds = |name| metrics.value(name).map(|seconds| (seconds * 1000.0) as u64);
    let flag = |name| metrics.value(name).map(|value| value > 0.0);
    let work = [
        ("transfers", names::AGENT_INSTRUCTIONS_OPEN),
        ("payments", names::AGENT_PAYMENTS_OPEN),
        ("warnings", names::AGENT_WARNINGS),
        ("computations", names::PARTY_SESSIONS_OPEN),
        ("stored batches", names::PARTY_STOCK_BATCHES),
        ("contradictions", names::NODE_EVIDENCE),
    ];
    let work = work.into_iter().filter_map(|(what, name)| Some((what, metrics.count(name)?)));
    Facts {
        height: metrics.count(names::CHAIN_HEIGHT),
        // Of a process that has no block yet, there is no such time.
        block_ms: milliseconds(names::CHAIN_TIME).filter(|time| *time > 0),
        connected: flag(names::NODE_CONNECTED),
        peers: metrics.count(names::VALIDATORS_CONNECTED),
        // Nobody of a chain that is not open yet.
        validators: metrics.count(names::NODE_VALIDATORS).filter(|count| *count > 0),
        power: metrics
            .value(names::NODE_POWER)
            .filter(|_| metrics.count(names::NODE_VALIDATORS).is_some_and(|count| count > 0)),
        ready: flag(names::READY),
        version: metrics.label(names::BUILD_INFO, "version"),
        started_ms: milliseconds(names::START_TIME),
        work: work.collect(),
    }
}

#[cfg(test)]
impl Asked {
    /// What it would be after such answers.
    pub(super) fn told(subject: Subject, state: State, facts: Facts, at_ms: u64) -> Self {
        let (reason, metrics) = (String::new(), Ok(()));
        Self { subject, state, reason, facts, metrics, at_ms, node: None, channel: None }
    }
}
