//! gRPC servers: mutual TLS, [limits](crate::limits), health, reflection, and an orderly end.
//!
//! A service can be added in one way only, which sets its limits; there is no server without TLS.
//!
//! ```no_run
//! # use quittance_rpc::{config::ListenAddress, limits::Limits, server::Server, tls::Tls};
//! # use quittance_rpc::{proto::node::v1::node_server::Node, tls::trust::Admission};
//! # async fn run(tls: Tls, address: ListenAddress, node: impl Node) -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new(Limits::default()).node(node);
//! let bound = server.bind(&tls, &address, Admission::everybody()).await?;
//! println!("listening on {}", bound.address());
//! bound.serve(async { drop(tokio::signal::ctrl_c().await) }).await?;
//! # Ok(())
//! # }
//! ```

mod accept;
mod booking;
mod budget;
mod connection;
mod count;
mod known;
mod meter;
mod peer;
mod quota;

use std::io;
use std::net::{IpAddr, SocketAddr};

use metrics::gauge;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::config::ListenAddress;
use crate::limits::{self, Limits};
use crate::metrics::READY;
use crate::proto::agent::v1::agent_server::{Agent, AgentServer};
use crate::proto::coordinator::v1::coordinator_server::{Coordinator, CoordinatorServer};
use crate::proto::node::v1::node_server::{Node, NodeServer};
use crate::proto::party::v1::party_server::{Party, PartyServer};
use crate::proto::peer::v1::peer_server::{Peer as PeerService, PeerServer};
use crate::tls::trust::Admission;
use crate::tls::{self, KeyExchange, Tls, TlsError};
use accept::{Acceptor, Out};
use meter::Meter;

pub use connection::Connection;
pub use peer::Peer;

/// The only service that a listener with classical key exchange may offer, beside health and
/// reflection.
const BANK_FACING: &str = <AgentServer<()> as NamedService>::NAME;

/// Why a server could not start, or ended.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address is in use, or not ours.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// As the system puts it.
        reason: io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Classical key exchange where strangers could record it.
    #[error(
        "{0} is neither a loopback nor a private address: key_exchange = \"classical\" is not \
         allowed there"
    )]
    ClassicalInPublic(SocketAddr),
    /// Classical key exchange between institutions.
    #[error("{0} is not for a bank's own clients: key_exchange = \"classical\" is not allowed")]
    ClassicalBetweenInstitutions(&'static str),
    /// Reflection could not be set up.
    #[error("the compiled protobuf descriptors are damaged: {0}")]
    Descriptors(tonic_reflection::server::Error),
    /// From the HTTP/2 server.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// A server that is being put together.
pub struct Server {
    limits: Limits,
    routes: RoutesBuilder,
    services: Vec<&'static str>,
    frames: Option<mpsc::Sender<Connection>>,
    validators: Option<mpsc::Sender<Connection>>,
    stopping: CancellationToken,
}

/// Connections for [frames](crate::frames), or of [validators](crate::peers), that the server has
/// accepted.
pub struct Connections(mpsc::Receiver<Connection>);

impl Connections {
    /// The next one; none when the server has ended.
    pub async fn next(&mut self) -> Option<Connection> {
        self.0.recv().await
    }
}

/// Adds a service with the limits of its table. The generated types share no trait for this.
macro_rules! service {
    ($(#[$doc:meta])* $method:ident, $interface:ident, $server:ident) => {
        $(#[$doc])*
        pub fn $method(mut self, service: impl $interface) -> Self {
            let name = <$server<()> as NamedService>::NAME;
            let (request, response) = limits::of_service(name);
            let service = $server::new(service)
                .max_decoding_message_size(request)
                .max_encoding_message_size(response);
            self.routes.add_service(service);
            self.services.push(name);
            self
        }
    };
}

impl Server {
    /// A server without services.
    pub fn new(limits: Limits) -> Self {
        let stopping = CancellationToken::new();
        let (routes, services) = (Routes::builder(), Vec::new());
        Self { limits, routes, services, frames: None, validators: None, stopping }
    }

    service!(
        /// Offers the validator's interface.
        node, Node, NodeServer
    );
    service!(
        /// Offers the bank-facing interface of an agent.
        agent, Agent, AgentServer
    );
    service!(
        /// Offers an agent's interface to other agents.
        peer, PeerService, PeerServer
    );
    service!(
        /// Offers the coordinator's interface.
        coordinator, Coordinator, CoordinatorServer
    );
    service!(
        /// Offers the MPC party's interface.
        party, Party, PartyServer
    );

    /// Lets parties open connections for frames; whoever reads from them serves them.
    pub fn frames(mut self) -> (Self, Connections) {
        let (sender, connections) = mpsc::channel(16);
        self.frames = Some(sender);
        (self, Connections(connections))
    }

    /// Lets nodes open connections as validators; whoever reads from them serves them.
    pub fn validators(mut self) -> (Self, Connections) {
        let (sender, connections) = mpsc::channel(16);
        self.validators = Some(sender);
        (self, Connections(connections))
    }

    /// Fires when the server begins to stop: streams without end should end then.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Binds the listener. Connections wait in the system's queue until [`Bound::serve`].
    pub async fn bind(
        self,
        tls: &Tls,
        address: &ListenAddress,
        admission: Admission,
    ) -> Result<Bound, ServeError> {
        self.check_key_exchange(address)?;
        let mut protocols = vec![tls::HTTP2];
        protocols.extend(self.frames.as_ref().map(|_| tls::FRAMES));
        protocols.extend(self.validators.as_ref().map(|_| tls::VALIDATORS));
        let tls = tls.server(address.key_exchange, admission, &protocols)?;
        let listen = |reason| ServeError::Listen { address: address.socket, reason };
        let listener = TcpListener::bind(address.socket).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (routes, health) = with_health_and_reflection(self.routes, &self.services).await?;
        let Self { limits, frames, validators, stopping, .. } = self;
        Ok(Bound { listener, address, tls, limits, routes, frames, validators, health, stopping })
    }

    /// Classical key exchange is for a bank's own clients, out of the reach of strangers.
    fn check_key_exchange(&self, address: &ListenAddress) -> Result<(), ServeError> {
        if address.key_exchange == KeyExchange::Hybrid {
            return Ok(());
        }
        if let Some(service) = self.services.iter().find(|service| **service != BANK_FACING) {
            return Err(ServeError::ClassicalBetweenInstitutions(service));
        }
        if !is_private(address.socket.ip()) {
            return Err(ServeError::ClassicalInPublic(address.socket));
        }
        tracing::warn!(
            address = %address.socket,
            "key_exchange = \"classical\": connections that are recorded here can be read by a \
             future quantum computer"
        );
        Ok(())
    }
}

/// Loopback, private (RFC 1918, RFC 4193) or link-local.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

async fn with_health_and_reflection(
    mut routes: RoutesBuilder,
    services: &[&'static str],
) -> Result<(Routes, Health), ServeError> {
    let (reporter, service) = tonic_health::server::health_reporter();
    let health = Health { reporter, services: services.to_vec() };
    health.report(true).await;
    routes.add_service(service);

    let reflection = || {
        let mut builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(crate::proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        for service in services {
            builder = builder.with_service_name(*service);
        }
        builder
    };
    routes.add_service(reflection().build_v1().map_err(ServeError::Descriptors)?);
    // Older tools know this version only.
    routes.add_service(reflection().build_v1alpha().map_err(ServeError::Descriptors)?);
    Ok((routes.routes(), health))
}

/// What the health service says. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    reporter: HealthReporter,
    services: Vec<&'static str>,
}

impl Health {
    /// Reports the server and each of its services as serving, or as not serving; and the process
    /// as ready or not, in its metrics.
    pub async fn set(&self, serving: bool) {
        gauge!(READY).set(f64::from(u8::from(serving)));
        self.report(serving).await;
    }

    /// To callers only.
    async fn report(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in self.services.iter().copied().chain([""]) {
            self.reporter.set_service_status(service, status).await;
        }
    }
}

/// A server with its listener.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    tls: std::sync::Arc<rustls::ServerConfig>,
    limits: Limits,
    routes: Routes,
    frames: Option<mpsc::Sender<Connection>>,
    validators: Option<mpsc::Sender<Connection>>,
    health: Health,
    stopping: CancellationToken,
}

impl Bound {
    /// The address it listens on; with the port that the system chose, if that was left to it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// To report trouble through the health service.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Serves until `shutdown`. Then no connection is accepted any more, calls under way may finish
    /// for [`Limits::drain_time`], and what is still open is cut.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let (cut, stopping) = (CancellationToken::new(), self.stopping.clone());
        let acceptor = Acceptor::new(self.tls, &self.limits, cut.clone());
        // Whatever ends this future ends the acceptor and all connections.
        let _guards = (stopping.clone().drop_guard(), cut.clone().drop_guard());
        let (out, connections) = mpsc::channel(16);
        let out = Out { http2: out, frames: self.frames, validators: self.validators };
        let accepting = tokio::spawn(acceptor.run(self.listener, out, stopping.clone()));

        let health = self.health.clone();
        let signal = async {
            tokio::select! { () = shutdown => {}, () = stopping.cancelled() => {} }
            health.set(false).await;
            stopping.cancel();
        };
        let serving = http2(&self.limits)
            .layer(Meter::new(&self.limits))
            .add_routes(self.routes)
            .serve_with_incoming_shutdown(ReceiverStream::new(connections), signal);
        tokio::pin!(serving);
        let drained = async {
            stopping.cancelled().await;
            sleep(self.limits.drain_time).await;
        };
        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = drained => {
                cut.cancel();
                // The connections end on their own now, unless a handler blocks its thread.
                timeout(self.limits.drain_time, serving).await.unwrap_or(Ok(()))
            }
        };
        // Who starts the next server may need the address.
        stopping.cancel();
        drop(accepting.await);
        Ok(ended?)
    }
}

/// The HTTP/2 server with its limits.
fn http2(limits: &Limits) -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .max_concurrent_streams(limits.streams)
        .http2_max_pending_accept_reset_streams(Some(limits.resets))
        .http2_max_local_error_reset_streams(Some(limits.resets))
        .http2_max_header_list_size(limits.header_bytes)
        .initial_stream_window_size(limits.window_bytes)
        .initial_connection_window_size(limits.window_bytes.saturating_mul(2))
        .http2_keepalive_interval(Some(limits.keepalive_interval))
        .http2_keepalive_timeout(Some(limits.keepalive_time))
}
