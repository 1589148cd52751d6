//! Every bound on what a peer may cost us.
//!
//! [`Limits`] bounds connections and time, [`METHODS`] the messages of each method. What happens
//! beyond each is in `docs/limits.md`, with all other limits.
//!
//! The longest wait that a caller may ask of us is 60 s, hence `request_time`.
//!
//! For its whole life a call is booked with the length that its request says it has, in steps, and
//! with the largest response that it may have; of a stream of requests, with the largest. The sum is
//! what `bytes_in_flight` bounds. So one institution cannot fill our memory, and cannot use up what
//! another needs; nor, thanks to `bytes_reserved`, what its own questions need.
//!
//! What waits of joint computations has bounds of its own: see [`frames`](crate::frames).

use std::time::Duration;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Room for the protobuf fields around the bytes that a limit is about.
const FRAMING: usize = 4 * KIB;
/// What a method gets that the table does not name.
const SMALL: usize = 64 * KIB;

/// Bounds on connections and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// TLS handshakes under way.
    pub handshakes: u64,
    /// TLS handshakes under way from one IP address.
    pub handshakes_per_address: u64,
    /// TLS handshakes of one institution beyond these, from addresses that it has called from
    /// lately: strangers who take all places do not keep it out.
    pub handshakes_reserved: u64,
    /// How many of its addresses are remembered for that.
    pub known_addresses: usize,
    /// For how long.
    pub known_time: Duration,
    /// Until a handshake must be complete; for clients, until a connection must stand.
    pub handshake_time: Duration,
    /// For how long a failed handshake keeps its place among those under way, and a connection its
    /// place among those of its institution, however soon it ends. So nobody costs us more
    /// handshakes in that time than there are places, however often it comes.
    pub penalty_time: Duration,
    /// Connections.
    pub connections: u64,
    /// Connections of one institution.
    pub connections_per_institution: u64,
    /// Concurrent streams of one connection.
    pub streams: u32,
    /// Streams of one connection that were reset before we could look at them, and streams that
    /// we reset because of errors.
    pub resets: usize,
    /// Headers of one request.
    pub header_bytes: u32,
    /// Flow-control window of a stream; of a connection, twice that.
    pub window_bytes: u32,
    /// After so many bytes of one connection it is the turn of others.
    pub turn_bytes: usize,
    /// Processor time in a second for reading from all connections of one institution: for TLS and
    /// HTTP/2, not for the calls themselves. Beyond it they wait. A bank that submits 3,000
    /// transfers of 6 KB in a second, at some 30 us each, needs 90 ms. A flood of frames that are
    /// dear to read gets a fifth of a processor.
    pub reading_share: Duration,
    /// How much of that can be used at once. A dealing of 8 MiB comes in 1,024 pieces at some 20 us
    /// each, so it needs 20 ms (9 ms were measured at best). If they took twice as long, 25 of the
    /// 41 ms would be there (5 of them come meanwhile), and the other 16 ms would take 80 ms to
    /// come, 64 ms longer than to read them.
    pub reading_burst: Duration,
    /// Requests as long as they say that they are, and largest responses, of all calls of one
    /// institution that are under way.
    pub bytes_in_flight: u64,
    /// Beyond that, for [small](MethodLimit::is_small) calls of the institution.
    pub bytes_reserved: u64,
    /// What is booked for a request that is no stream before it comes; more is booked in steps of
    /// as much.
    pub request_step: usize,
    /// Until the body of a request that is not a stream must be complete.
    pub body_time: Duration,
    /// Until a call must be answered; a stream, until it begins.
    pub request_time: Duration,
    /// Between two pings on a connection, also an idle one.
    pub keepalive_interval: Duration,
    /// Until a ping must be answered.
    pub keepalive_time: Duration,
    /// Between the signal to stop and the end of all connections.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshakes: 256,
            handshakes_per_address: 64,
            handshakes_reserved: 8,
            known_addresses: 8,
            known_time: Duration::from_secs(3600),
            handshake_time: Duration::from_secs(5),
            penalty_time: Duration::from_secs(1),
            connections: 1024,
            connections_per_institution: 32,
            streams: 128,
            resets: 64,
            header_bytes: 16 * KIB as u32,
            window_bytes: MIB as u32,
            turn_bytes: 8 * KIB,
            reading_share: Duration::from_millis(200),
            reading_burst: Duration::from_millis(20),
            bytes_in_flight: 256 * MIB as u64,
            bytes_reserved: 16 * MIB as u64,
            request_step: 64 * KIB,
            body_time: Duration::from_secs(15),
            request_time: Duration::from_secs(75),
            keepalive_interval: Duration::from_secs(20),
            keepalive_time: Duration::from_secs(10),
            drain_time: Duration::from_secs(3),
        }
    }
}

/// Bounds on the messages of one method, in bytes of protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodLimit {
    /// As in the HTTP/2 path, without the first slash.
    pub method: &'static str,
    /// A request, or each of a stream of requests.
    pub request: usize,
    /// A response, or each of a stream of responses.
    pub response: usize,
    /// Whether requests come as a stream, which may last.
    pub streams_requests: bool,
}

impl MethodLimit {
    /// Whether request and response are as small as those of [`OTHER`]: a question about one
    /// thing. Such calls have room of their own.
    pub fn is_small(&self) -> bool {
        self.request <= SMALL && self.response <= SMALL
    }
}

const fn unary(method: &'static str, request: usize, response: usize) -> MethodLimit {
    MethodLimit { method, request, response, streams_requests: false }
}

const fn stream(method: &'static str, request: usize, response: usize) -> MethodLimit {
    MethodLimit { method, request, response, streams_requests: true }
}

/// The methods that differ from [`OTHER`].
pub const METHODS: &[MethodLimit] = &[
    unary("quittance.node.v1.Node/Submit", MIB + FRAMING, SMALL),
    unary("quittance.node.v1.Node/Account", SMALL, 8 * MIB),
    unary("quittance.node.v1.Node/Receipt", SMALL, 8 * MIB + FRAMING),
    unary("quittance.node.v1.Node/Round", SMALL, MIB),
    unary("quittance.node.v1.Node/Blocks", SMALL, 33 * MIB),
    unary("quittance.node.v1.Node/Genesis", SMALL, MIB + FRAMING),
    unary("quittance.agent.v1.Agent/ListExchanges", SMALL, MIB),
    unary("quittance.agent.v1.Agent/ListPayments", SMALL, 8 * MIB),
    unary("quittance.agent.v1.Agent/Statement", SMALL, 8 * MIB),
    unary("quittance.agent.v1.Agent/PaymentReceipt", SMALL, 8 * MIB + FRAMING),
    unary("quittance.peer.v1.Peer/JoinExchange", MIB, MIB + FRAMING),
    unary("quittance.peer.v1.Peer/CompleteExchange", MIB, MIB + FRAMING),
    unary("quittance.peer.v1.Peer/AnnouncePayments", 4 * MIB, SMALL),
    stream("quittance.coordinator.v1.Coordinator/Attend", MIB + FRAMING, 4 * MIB + FRAMING),
    unary("quittance.party.v1.Party/Deal", 8 * MIB, SMALL),
    // A dealing, and a complaint.
    unary("quittance.party.v1.Party/Publish", 9 * MIB, SMALL),
    unary("quittance.party.v1.Party/Published", SMALL, 9 * MIB),
    unary("quittance.party.v1.Party/Results", SMALL, 5 * MIB),
    stream("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", SMALL, 256 * KIB),
    stream("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", SMALL, 256 * KIB),
];

/// Any other method.
pub const OTHER: MethodLimit = unary("any other method", SMALL, SMALL);

/// The limits of the method at an HTTP/2 path.
pub fn of_path(path: &str) -> &'static MethodLimit {
    let method = path.strip_prefix('/').unwrap_or(path);
    METHODS.iter().find(|limit| limit.method == method).unwrap_or(&OTHER)
}

/// The largest request and the largest response of a service: what its codec accepts.
pub fn of_service(service: &str) -> (usize, usize) {
    let of_this = |limit: &&MethodLimit| {
        limit.method.split_once('/').is_some_and(|(prefix, _)| prefix == service)
    };
    METHODS
        .iter()
        .filter(of_this)
        .fold((OTHER.request, OTHER.response), |(request, response), of| {
            (request.max(of.request), response.max(of.response))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    /// Every method of `proto/` with whether its requests are a stream.
    fn methods() -> Vec<(String, bool)> {
        let set = prost_types::FileDescriptorSet::decode(crate::proto::DESCRIPTORS).unwrap();
        let mut methods = Vec::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                    methods.push((name, method.client_streaming()));
                }
            }
        }
        methods
    }

    #[test]
    fn the_table_knows_methods_that_exist_and_every_stream_of_requests() {
        let methods = methods();
        assert!(methods.len() > 25);
        for limit in METHODS.iter().filter(|limit| limit.method.starts_with("quittance.")) {
            let known = methods.iter().find(|(name, _)| name == limit.method);
            let (_, streams) = known.unwrap_or_else(|| panic!("{} does not exist", limit.method));
            assert_eq!(*streams, limit.streams_requests, "{}", limit.method);
        }
        for (name, streams) in methods.iter().filter(|(_, streams)| *streams) {
            assert_eq!(of_path(&format!("/{name}")).streams_requests, *streams, "{name}");
        }
    }

    #[test]
    fn a_call_of_any_method_fits_what_an_institution_may_have_in_flight() {
        let limits = Limits::default();
        for limit in METHODS {
            let one = (limit.request + limit.response) as u64;
            assert!(one * 4 <= limits.bytes_in_flight, "{}", limit.method);
        }
    }

    #[test]
    fn questions_about_one_thing_are_small_and_what_fills_memory_is_not() {
        let status = ["node.v1.Node/TransactionStatus", "node.v1.Node/ChainStatus"];
        for small in status.into_iter().chain(["agent.v1.Agent/AgentStatus"]) {
            assert!(of_path(&format!("/quittance.{small}")).is_small(), "{small}");
        }
        assert!(of_path("/grpc.health.v1.Health/Check").is_small());
        for large in ["node.v1.Node/Submit", "node.v1.Node/Blocks", "party.v1.Party/Deal"] {
            assert!(!of_path(&format!("/quittance.{large}")).is_small(), "{large}");
        }
        let limits = Limits::default();
        assert!(limits.bytes_reserved >= u64::from(limits.streams) * 2 * SMALL as u64);
    }

    #[test]
    fn the_largest_values_of_the_ledger_fit() {
        use quittance_ledger::{block, certificate, receipt, transaction};
        let submit = of_path("/quittance.node.v1.Node/Submit").request;
        assert!(submit > transaction::MAX_TRANSACTION_BYTES + 16);
        // ML-DSA-87 signatures have 4627 bytes.
        let certificate = certificate::MAX_VALIDATORS * (4627 + 64) + 256;
        let blocks = of_path("/quittance.node.v1.Node/Blocks").response;
        // Of ML-DSA-87, the keys have 2592 bytes.
        let set = certificate::MAX_VALIDATORS * (2592 + 64) + 256;
        assert!(blocks > block::MAX_BLOCK_BYTES + certificate + set);
        for method in ["node.v1.Node/Receipt", "agent.v1.Agent/PaymentReceipt"] {
            let receipt = of_path(&format!("/quittance.{method}")).response;
            assert!(receipt > receipt::MAX_RECEIPT_BYTES + 128);
        }
    }

    #[test]
    fn a_service_takes_the_largest_of_its_methods() {
        assert_eq!(of_service("quittance.node.v1.Node"), (MIB + FRAMING, 33 * MIB));
        assert_eq!(of_service("quittance.party.v1.Party"), (9 * MIB, 9 * MIB));
        assert_eq!(of_service("unknown"), (SMALL, SMALL));
        assert_eq!(of_path("/quittance.party.v1.Party/Deal").request, 8 * MIB);
        assert_eq!(of_path("/quittance.party.v1.Party/Dea"), &OTHER);
    }
}
