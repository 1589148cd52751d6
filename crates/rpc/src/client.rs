//! gRPC channels to other processes: mutual TLS to one named process, timeouts, reconnection.
//!
//! A channel connects when it is first used and again whenever its connection is gone; a call that
//! meets no connection fails with `UNAVAILABLE` and the reason in the text of the status. Nothing
//! is retried by itself: whether a call may be repeated is for its caller to know.

use std::io;
use std::sync::Arc;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::server::NamedService;
use tonic::transport::{Channel, Endpoint};

use crate::config::Target;
use crate::frames::Word;
use crate::limits::{self, Limits};
use crate::proto::agent::v1::agent_client::AgentClient;
use crate::proto::agent::v1::agent_server::AgentServer;
use crate::proto::coordinator::v1::coordinator_client::CoordinatorClient;
use crate::proto::coordinator::v1::coordinator_server::CoordinatorServer;
use crate::proto::node::v1::node_client::NodeClient;
use crate::proto::node::v1::node_server::NodeServer;
use crate::proto::party::v1::party_client::PartyClient;
use crate::proto::party::v1::party_server::PartyServer;
use crate::proto::peer::v1::peer_client::PeerClient;
use crate::proto::peer::v1::peer_server::PeerServer;
use crate::tls::trust::Untrusted;
use crate::tls::{self, Tls, TlsError};

/// A call waits this much longer than the server may take, so that the server's answer wins.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// There is nobody to call.
    #[error("no node is named")]
    Nobody,
    /// Not `host:port`.
    #[error("{target}: the address is malformed: {reason}")]
    Address {
        /// Who was called.
        target: Target,
        /// What is wrong with it.
        reason: String,
    },
    /// Our own certificates are of no use.
    #[error("{target}: {reason}")]
    Ours {
        /// Who was called.
        target: Target,
        /// As [`TlsError`] puts it.
        reason: String,
    },
    /// Nobody listens there, or the name does not resolve.
    #[error("{target}: cannot be reached: {reason}")]
    Unreachable {
        /// Who was called.
        target: Target,
        /// As the system puts it.
        reason: String,
    },
    /// Nothing within the time for a handshake.
    #[error("{target}: no connection within {after:?}")]
    TimedOut {
        /// Who was called.
        target: Target,
        /// How long was waited.
        after: Duration,
    },
    /// We do not accept who answers.
    #[error("{target}: {reason}")]
    Untrusted {
        /// Who was called.
        target: Target,
        /// What is wrong with the one who answered.
        reason: Untrusted,
    },
    /// The server does not accept us, or the key exchange that we offer.
    #[error("{target}: refused by the server: {}", explain(*alert))]
    Refused {
        /// Who was called.
        target: Target,
        /// The TLS alert.
        alert: AlertDescription,
    },
    /// The server is a party, but not one that computes with us, or it speaks differently.
    #[error("{target}: takes no frames from us: {reason}")]
    NoFrames {
        /// Who was called.
        target: Target,
        /// What it said.
        reason: &'static str,
    },
    /// Closed by the server before it said anything.
    #[error("{target}: closed by the server, which may have too many connections")]
    Closed {
        /// Who was called.
        target: Target,
    },
    /// Any other failure of TLS.
    #[error("{target}: TLS failed: {reason}")]
    Tls {
        /// Who was called.
        target: Target,
        /// As the library puts it.
        reason: String,
    },
}

impl ConnectError {
    /// Whether the server is the right one, and only does not serve the likes of us.
    pub fn is_not_admitted(&self) -> bool {
        matches!(self, Self::Refused { alert: AlertDescription::AccessDenied, .. })
    }
}

/// What an alert means to the one who gets it.
fn explain(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateExpired => "our certificate has expired".to_owned(),
        AlertDescription::UnknownCA => {
            "it does not trust the authority that issued our certificate for this institution"
                .to_owned()
        }
        AlertDescription::AccessDenied => "we are not admitted there".to_owned(),
        AlertDescription::CertificateRequired => "it asks for a certificate".to_owned(),
        AlertDescription::CertificateUnknown => "it does not accept our certificate".to_owned(),
        AlertDescription::HandshakeFailure => {
            "no common key exchange; that of the chain's suite is needed, X25519MLKEM768 by default"
                .to_owned()
        }
        AlertDescription::NoApplicationProtocol => {
            "it does not speak the protocol that we ask for".to_owned()
        }
        other => format!("TLS alert {other:?}"),
    }
}

/// A connection for [frames](crate::frames), from the side that has called.
pub type FramesStream = TlsStream<TcpStream>;

/// A connection of [validators](crate::peers), from the side that has called.
pub type ValidatorStream = TlsStream<TcpStream>;

/// Makes channels for one process.
#[derive(Debug, Clone)]
pub struct Dialer {
    tls: Tls,
    limits: Limits,
}

/// A typed client with the limits of its service.
macro_rules! client {
    ($(#[$doc:meta])* $method:ident, $client:ident, $server:ident) => {
        $(#[$doc])*
        pub fn $method(&self, target: &Target) -> Result<$client<Channel>, ConnectError> {
            let (request, response) = limits::of_service(<$server<()> as NamedService>::NAME);
            Ok($client::new(self.channel(target)?)
                .max_encoding_message_size(request)
                .max_decoding_message_size(response))
        }
    };
}

impl Dialer {
    /// Dials with these credentials and limits.
    pub fn new(tls: Tls, limits: Limits) -> Self {
        Self { tls, limits }
    }

    client!(
        /// A validator.
        node, NodeClient, NodeServer
    );
    client!(
        /// An agent, as its bank.
        agent, AgentClient, AgentServer
    );
    client!(
        /// An agent, as another agent.
        peer, PeerClient, PeerServer
    );
    client!(
        /// A coordinator.
        coordinator, CoordinatorClient, CoordinatorServer
    );
    client!(
        /// An MPC party.
        party, PartyClient, PartyServer
    );

    /// A channel that connects when it is used.
    pub fn channel(&self, target: &Target) -> Result<Channel, ConnectError> {
        let endpoint = self.endpoint(target)?;
        Ok(endpoint.connect_with_connector_lazy(self.connector(target)?))
    }

    /// A channel that is connected now, so that what is wrong shows at once.
    pub async fn connect(&self, target: &Target) -> Result<Channel, ConnectError> {
        let endpoint = self.endpoint(target)?;
        let channel = endpoint.connect_with_connector(self.connector(target)?).await;
        channel.map_err(|error| {
            find::<ConnectError>(&error).cloned().unwrap_or_else(|| ConnectError::Tls {
                target: target.clone(),
                reason: error.to_string(),
            })
        })
    }

    /// What bounds connections and time.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A connection for frames to another party, which has said that it takes them.
    pub async fn frames(&self, target: &Target) -> Result<FramesStream, ConnectError> {
        let mut stream = self.dial(target, tls::FRAMES)?.now().await?;
        let no = |reason| ConnectError::NoFrames { target: target.clone(), reason };
        if stream.get_ref().1.alpn_protocol() != Some(tls::FRAMES) {
            return Err(no("it has chosen no protocol"));
        }
        // It is there: `Dial` has waited for it.
        let word = stream.read_u8().await.map_err(|_| no("it has ended"))?;
        match Word::of(word) {
            Some(Word::Here) => Ok(stream),
            Some(word) => Err(no(word.explain())),
            None => Err(no("it says what has no meaning")),
        }
    }

    /// A connection to another validator's process. Neither has proven its key yet; the other side
    /// has begun to.
    pub async fn validator(&self, target: &Target) -> Result<ValidatorStream, ConnectError> {
        let stream = self.dial(target, tls::VALIDATORS)?.now().await?;
        if stream.get_ref().1.alpn_protocol() != Some(tls::VALIDATORS) {
            let (target, reason) = (target.clone(), "it has chosen no protocol");
            return Err(ConnectError::NoFrames { target, reason });
        }
        Ok(stream)
    }

    fn endpoint(&self, target: &Target) -> Result<Endpoint, ConnectError> {
        let endpoint = Endpoint::from_shared(format!("https://{}", target.address));
        let endpoint = endpoint.map_err(|error| ConnectError::Address {
            target: target.clone(),
            reason: error.to_string(),
        })?;
        Ok(endpoint
            .timeout(self.limits.request_time + PATIENCE)
            .http2_keep_alive_interval(self.limits.keepalive_interval)
            .keep_alive_timeout(self.limits.keepalive_time)
            .keep_alive_while_idle(true)
            .http2_max_header_list_size(self.limits.header_bytes)
            .initial_stream_window_size(self.limits.window_bytes)
            .initial_connection_window_size(self.limits.window_bytes.saturating_mul(2)))
    }

    fn connector(
        &self,
        target: &Target,
    ) -> Result<
        impl tower::Service<
            Uri,
            Response = TokioIo<TlsStream<TcpStream>>,
            Error = ConnectError,
            Future: Send,
        > + Send
        + 'static,
        ConnectError,
    > {
        let dial = Arc::new(self.dial(target, tls::HTTP2)?);
        Ok(tower::service_fn(move |_: Uri| {
            let dial = dial.clone();
            async move { dial.now().await.map(TokioIo::new) }
        }))
    }

    fn dial(&self, target: &Target, protocol: &[u8]) -> Result<Dial, ConnectError> {
        let config = self.tls.client(target.identity, protocol).map_err(|error: TlsError| {
            ConnectError::Ours { target: target.clone(), reason: error.to_string() }
        })?;
        let (target, tls) = (target.clone(), TlsConnector::from(config));
        Ok(Dial { target, tls, within: self.limits.handshake_time })
    }
}

/// The first error of type `E` in a chain of sources.
fn find<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// How to connect to one process.
struct Dial {
    target: Target,
    tls: TlsConnector,
    within: Duration,
}

impl Dial {
    async fn now(&self) -> Result<TlsStream<TcpStream>, ConnectError> {
        let connected = timeout(self.within, self.connect()).await;
        connected.unwrap_or_else(|_| {
            Err(ConnectError::TimedOut { target: self.target.clone(), after: self.within })
        })
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, ConnectError> {
        let target = self.target.clone();
        let stream = TcpStream::connect(&target.address).await.and_then(|stream| {
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        let stream = stream.map_err(|error| ConnectError::Unreachable {
            target: target.clone(),
            reason: error.to_string(),
        })?;
        let host = target.address.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host)
            .map_err(|error| ConnectError::Address { target, reason: error.to_string() })?;
        let mut stream =
            self.tls.connect(name, stream).await.map_err(|error| self.failure(&error))?;
        // In TLS 1.3 a client is done before the server has looked at its certificate. Servers
        // of all protocols speak first; until then, they may still refuse us. What is read stays
        // buffered.
        match stream.fill_buf().await {
            Ok([]) => Err(ConnectError::Closed { target: self.target.clone() }),
            Ok(_) => Ok(stream),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// What an error of the handshake means.
    fn failure(&self, error: &io::Error) -> ConnectError {
        let target = self.target.clone();
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (inner, error.kind()) {
            (Some(rustls::Error::AlertReceived(alert)), _) => {
                ConnectError::Refused { target, alert: *alert }
            }
            (Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))), _)
                if other.0.is::<Untrusted>() =>
            {
                match other.0.downcast_ref::<Untrusted>() {
                    Some(reason) => ConnectError::Untrusted { target, reason: reason.clone() },
                    None => ConnectError::Tls { target, reason: error.to_string() },
                }
            }
            (
                None,
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe,
            ) => ConnectError::Closed { target },
            _ => ConnectError::Tls { target, reason: error.to_string() },
        }
    }
}
