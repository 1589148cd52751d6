//! Every metric that there is: name, kind, labels, meaning, and which processes have it.
//!
//! A metric is counted with the macros of the crate `metrics` under its name here, and described in
//! `docs/operations.md`; a test holds that page and a scrape of each process against this table.
//! Labels take few values, all of them known to this code: never a counterparty, an asset, an id or
//! anything else that comes from outside or tells about a payment.

use crate::identity::Process;

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from zero at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in seconds, counted in buckets.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// As Prometheus sees it.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its labels. With none of them it is exported from the start of the process.
    pub labels: &'static [&'static str],
    /// What it tells.
    help: &'static str,
    /// Which processes have it.
    of: &'static [Process],
}

impl Metric {
    /// What it tells, in one sentence.
    pub fn help(&self) -> &'static str {
        self.help.trim_ascii()
    }

    /// Whether a process of this kind has it.
    pub fn is_of(&self, process: Process) -> bool {
        self.of.contains(&process)
    }
}

const ALL: &[Process] = &[Process::Node, Process::Agent, Process::Party, Process::Coordinator];
const NODE: &[Process] = &[Process::Node];
const FOLLOWERS: &[Process] = &[Process::Agent, Process::Party, Process::Coordinator];
const AGENT: &[Process] = &[Process::Agent];
const PARTY: &[Process] = &[Process::Party];
const COORDINATOR: &[Process] = &[Process::Coordinator];

/// A constant for each name, and the table of all.
macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $id:ident: $kind:ident $name:literal $labels:tt of $of:ident;)*) => {
        $($(#[doc = $help])+ pub const $id: &str = $name;)*

        /// All metrics.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name,
            kind: Kind::$kind,
            labels: &$labels,
            help: concat!($($help),+),
            of: $of,
        }),*];
    };
}

metrics! {
    /// When the process began, in seconds since 1970.
    START_TIME: Gauge "process_start_time_seconds" [] of ALL;
    /// Processor time of all threads, in seconds.
    CPU_TIME: Gauge "process_cpu_seconds_total" [] of ALL;
    /// Memory in use, in bytes.
    RESIDENT_MEMORY: Gauge "process_resident_memory_bytes" [] of ALL;
    /// Open files and connections.
    OPEN_FILES: Gauge "process_open_fds" [] of ALL;
    /// Always 1; its labels say what runs here.
    BUILD_INFO: Gauge "quittance_build_info" ["version", "kind", "institution"] of ALL;
    /// 1 while the process is ready for calls, else 0.
    READY: Gauge "quittance_ready" [] of ALL;
    /// Calls that have ended, by method and gRPC code.
    GRPC_CALLS: Counter "quittance_grpc_calls_total" ["method", "code"] of ALL;
    /// Time until the answer to a call began.
    GRPC_CALL_TIME: Histogram "quittance_grpc_call_seconds" ["method"] of ALL;
    /// Calls under way, streams among them.
    GRPC_CALLS_OPEN: Gauge "quittance_grpc_calls_open" [] of ALL;
    /// Calls refused because their institution has too much in flight.
    GRPC_CALLS_REFUSED: Counter "quittance_grpc_calls_refused_total" [] of ALL;
    /// Connections that stand.
    CONNECTIONS_OPEN: Gauge "quittance_connections_open" [] of ALL;
    /// Connections that were not taken, by reason.
    CONNECTIONS_REFUSED: Counter "quittance_connections_refused_total" ["reason"] of ALL;
    /// Time that a connection waited because its institution had used up its time for reading.
    READ_WAIT: Histogram "quittance_read_wait_seconds" [] of ALL;
    /// The last block that the process has.
    CHAIN_HEIGHT: Gauge "quittance_chain_height" [] of ALL;
    /// The time in that block, in seconds since 1970.
    CHAIN_TIME: Gauge "quittance_chain_time_seconds" [] of ALL;
    /// Other validators that are connected.
    VALIDATORS_CONNECTED: Gauge "quittance_validators_connected" [] of NODE;
    /// Frames between validators, by direction: in or out.
    VALIDATORS_FRAMES: Counter "quittance_validators_frames_total" ["direction"] of NODE;
    /// Their bytes.
    VALIDATORS_FRAME_BYTES: Counter "quittance_validators_frame_bytes_total" ["direction"] of NODE;
    /// Frames to validators that do not keep up, dropped, by priority.
    VALIDATORS_FRAMES_DROPPED: Counter "quittance_validators_frames_dropped_total" ["priority"] of NODE;
    /// Connections of validators refused before they counted, by reason.
    VALIDATORS_HELLOS_REFUSED: Counter "quittance_validators_hellos_refused_total" ["reason"] of NODE;
    /// Connections of validators that have counted and ended, by reason.
    VALIDATORS_ENDED: Counter "quittance_validators_connections_ended_total" ["reason"] of NODE;
    /// The last block that the node is known to have.
    NODE_HEIGHT: Gauge "quittance_node_height" [] of FOLLOWERS;
    /// 1 while blocks come from a node, else 0.
    NODE_CONNECTED: Gauge "quittance_node_connected" [] of FOLLOWERS;
    /// Time between two blocks that became final here, one after the other.
    NODE_BLOCK_INTERVAL: Histogram "quittance_block_interval_seconds" [] of NODE;
    /// Rounds that deciding on all blocks since the start has taken: one for each block if all goes well.
    NODE_ROUNDS: Counter "quittance_rounds_total" [] of NODE;
    /// The round in which the last block was decided, from 0.
    NODE_ROUND: Gauge "quittance_block_round" [] of NODE;
    /// Bytes of the last block's certificate.
    NODE_CERTIFICATE_BYTES: Gauge "quittance_certificate_bytes" [] of NODE;
    /// Transactions that became final.
    NODE_TRANSACTIONS: Counter "quittance_transactions_total" [] of NODE;
    /// Validators of the next block.
    NODE_VALIDATORS: Gauge "quittance_validators" [] of NODE;
    /// This validator's share of their voting power, from 0 to 1; 0 if it is none of them.
    NODE_POWER: Gauge "quittance_voting_power_ratio" [] of NODE;
    /// Transactions that wait for a block, or to be verified.
    NODE_MEMPOOL: Gauge "quittance_mempool_transactions" [] of NODE;
    /// Their bytes.
    NODE_MEMPOOL_BYTES: Gauge "quittance_mempool_bytes" [] of NODE;
    /// Transactions that were verified when they came in, by verdict: valid or invalid.
    NODE_VERIFIED: Counter "quittance_verified_total" ["verdict"] of NODE;
    /// Time to verify what came in together.
    NODE_VERIFYING_TIME: Histogram "quittance_verifying_seconds" [] of NODE;
    /// Contradictions of validators that are stored here as evidence.
    NODE_EVIDENCE: Gauge "quittance_evidence" [] of NODE;
    /// How often a node has served what is not the chain. Look into the log.
    NODE_WRONG_CHAINS: Counter "quittance_node_wrong_chains_total" [] of FOLLOWERS;
    /// Transactions that other validators have passed on.
    NODE_RELAYED: Counter "quittance_node_relayed_total" [] of NODE;
    /// Those of them that were not taken.
    NODE_RELAYS_REFUSED: Counter "quittance_node_relays_refused_total" [] of NODE;
    /// Transfers that came into each state.
    AGENT_INSTRUCTIONS: Counter "quittance_agent_instructions_total" ["state"] of AGENT;
    /// Transfers that are neither on the ledger nor failed.
    AGENT_INSTRUCTIONS_OPEN: Gauge "quittance_agent_instructions_open" [] of AGENT;
    /// Queued payments that came into each state.
    AGENT_PAYMENTS: Counter "quittance_agent_payments_total" ["state"] of AGENT;
    /// Payments that wait in the queue or in a round.
    AGENT_PAYMENTS_OPEN: Gauge "quittance_agent_payments_open" [] of AGENT;
    /// Exchanges that came into each state.
    AGENT_EXCHANGES: Counter "quittance_agent_exchanges_total" ["state"] of AGENT;
    /// Rounds that came to each stage for this bank.
    AGENT_ROUNDS: Counter "quittance_agent_rounds_total" ["stage"] of AGENT;
    /// Lines added to the statement, by kind.
    AGENT_STATEMENT_LINES: Counter "quittance_agent_statement_lines_total" ["kind"] of AGENT;
    /// Warnings among the events: something that a person should look at.
    AGENT_WARNINGS: Counter "quittance_agent_warnings_total" [] of AGENT;
    /// Time to prove and sign a transaction.
    AGENT_PROVING_TIME: Histogram "quittance_agent_proving_seconds" [] of AGENT;
    /// Computations, by how they ended.
    PARTY_SESSIONS: Counter "quittance_party_sessions_total" ["outcome"] of PARTY;
    /// Computations under way.
    PARTY_SESSIONS_OPEN: Gauge "quittance_party_sessions_open" [] of PARTY;
    /// How long a computation took.
    PARTY_SESSION_TIME: Histogram "quittance_party_session_seconds" [] of PARTY;
    /// Messages of computations that came from other parties.
    PARTY_FRAMES: Counter "quittance_party_frames_total" [] of PARTY;
    /// Their bytes.
    PARTY_FRAME_BYTES: Counter "quittance_party_frame_bytes_total" [] of PARTY;
    /// Batches of stored preprocessing that are ready.
    PARTY_STOCK_BATCHES: Gauge "quittance_party_stock_batches" [] of PARTY;
    /// Comparisons for which they hold masks.
    PARTY_STOCK_COMPARISONS: Gauge "quittance_party_stock_comparisons" [] of PARTY;
    /// Random bits in them.
    PARTY_STOCK_BITS: Gauge "quittance_party_stock_bits" [] of PARTY;
    /// Batches that were made and stored.
    PARTY_STOCK_MADE: Counter "quittance_party_stock_made_total" [] of PARTY;
    /// Batches with which a computation came to a result.
    PARTY_STOCK_USED: Counter "quittance_party_stock_used_total" [] of PARTY;
    /// Batches that were thrown away, by reason.
    PARTY_STOCK_BURNT: Counter "quittance_party_stock_burnt_total" ["reason"] of PARTY;
    /// Batches that could not be made.
    PARTY_STOCK_FAILURES: Counter "quittance_party_stock_failures_total" [] of PARTY;
    /// Rounds that have ended, by how.
    COORDINATOR_ROUNDS: Counter "quittance_coordinator_rounds_total" ["outcome"] of COORDINATOR;
    /// Attempts of rounds that have failed and were followed by another one.
    COORDINATOR_ATTEMPTS: Counter "quittance_coordinator_failed_attempts_total" [] of COORDINATOR;
    /// How long a phase of a round took.
    COORDINATOR_PHASE_TIME: Histogram "quittance_coordinator_phase_seconds" ["phase"] of COORDINATOR;
}
