//! Accepting connections: bounded handshakes, verified peers, bounded connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use metrics::counter;
use quittance_crypto::digest::Digest;
use quittance_ledger::ids::InstitutionId;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::budget::Budgets;
use super::connection::{Connection, Protocol};
use super::known::Known;
use super::peer::Peer;
use super::quota::{Full, Quota, Share};
use crate::identity::IdentityError;
use crate::limits::Limits;
use crate::metrics::CONNECTIONS_REFUSED;
use crate::tls::{self, trust};

/// Why a connection was not taken.
#[derive(Debug, Error)]
enum Refusal {
    #[error("too many handshakes under way ({0:?})")]
    Handshakes(Full),
    #[error("too many connections ({0:?})")]
    Connections(Full),
    #[error("the handshake took too long")]
    Slow,
    /// Somebody has looked whether anybody listens.
    #[error("closed before the handshake began")]
    Silent,
    #[error("the handshake failed: {0}")]
    Handshake(#[from] io::Error),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the handshake left no certificate or key exchange")]
    Incomplete,
    #[error("no protocol was agreed on")]
    Protocol,
}

impl Refusal {
    /// Counts it, under a label of its own.
    fn count(&self) {
        let reason = match self {
            Self::Handshakes(_) => "handshakes",
            Self::Connections(_) => "connections",
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::Handshake(_) | Self::Incomplete => "handshake",
            Self::Identity(_) => "identity",
            Self::Protocol => "protocol",
        };
        counter!(CONNECTIONS_REFUSED, "reason" => reason).increment(1);
    }
}

/// Where connections go, by what they speak.
#[derive(Clone)]
pub(super) struct Out {
    pub(super) http2: mpsc::Sender<io::Result<Connection>>,
    /// None if this server takes no frames.
    pub(super) frames: Option<mpsc::Sender<Connection>>,
    /// None if this server is no validator's.
    pub(super) validators: Option<mpsc::Sender<Connection>>,
}

impl Out {
    async fn pass(&self, connection: Connection) {
        // These fail only when whoever takes them has ended; the connection ends with it.
        // No protocol is agreed on that nobody takes.
        match (connection.protocol(), &self.frames, &self.validators) {
            (Protocol::Http2, ..) => drop(self.http2.send(Ok(connection)).await),
            (Protocol::Frames, Some(to), _) | (Protocol::Validators, _, Some(to)) => {
                drop(to.send(connection).await);
            }
            (Protocol::Frames | Protocol::Validators, ..) => {}
        }
    }
}

/// Accepts connections, shakes hands, and passes on those that stand.
pub(super) struct Acceptor {
    tls: TlsAcceptor,
    limits: Limits,
    handshakes: Arc<Quota<IpAddr>>,
    /// For those who come from addresses that we know.
    reserved: Arc<Quota<InstitutionId>>,
    known: Known,
    connections: Arc<Quota<InstitutionId>>,
    budgets: Budgets,
    /// Fires when all connections must end, whatever they are doing.
    cut: CancellationToken,
}

impl Acceptor {
    pub(super) fn new(
        tls: Arc<rustls::ServerConfig>,
        limits: &Limits,
        cut: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            tls: TlsAcceptor::from(tls),
            limits: limits.clone(),
            handshakes: Quota::new(limits.handshakes, limits.handshakes_per_address),
            reserved: Quota::new(u64::MAX, limits.handshakes_reserved),
            known: Known::new(limits.known_addresses, limits.known_time),
            connections: Quota::new(limits.connections, limits.connections_per_institution),
            budgets: Budgets::new(limits),
            cut,
        })
    }

    /// Runs until `stop`, then closes the listener.
    pub(super) async fn run(
        self: Arc<Self>,
        listener: TcpListener,
        out: Out,
        stop: CancellationToken,
    ) {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.clone().spawn(stream, address, &out, &stop),
                Err(error) => {
                    // Out of file descriptors, most likely: wait for some to be given back.
                    tracing::error!(%error, "cannot accept connections");
                    sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// One handshake in a task of its own: a slow peer delays nobody.
    fn spawn(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        out: &Out,
        stop: &CancellationToken,
    ) {
        let handshake = match self.place(address.ip()) {
            Ok(place) => place,
            Err(full) => {
                let reason = Refusal::Handshakes(full);
                reason.count();
                // No warning: strangers could fill the disk with it.
                tracing::debug!(%address, %reason, "connection refused");
                return;
            }
        };
        let (out, stop) = (out.clone(), stop.clone());
        tokio::spawn(async move {
            let shaken = tokio::select! {
                () = stop.cancelled() => return,
                shaken = self.shake(stream, address) => shaken,
            };
            if let Err(reason) = &shaken {
                reason.count();
            }
            match shaken {
                Ok(connection) => {
                    drop(handshake);
                    out.pass(connection).await;
                }
                // These have cost us no computation.
                Err(Refusal::Silent) => tracing::debug!(%address, "closed without a word"),
                Err(Refusal::Slow) => {
                    tracing::warn!(%address, reason = %Refusal::Slow, "connection refused")
                }
                Err(reason) => {
                    tracing::warn!(%address, %reason, "connection refused");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = sleep(self.limits.penalty_time) => {}
                    }
                    drop(handshake);
                }
            }
        });
    }

    /// A place among those that shake hands.
    fn place(&self, address: IpAddr) -> Result<Place, Full> {
        let full = match self.handshakes.take(address, 1) {
            Ok(share) => return Ok(Place { _anybodys: Some(share), _reserved: None }),
            Err(full) => full,
        };
        let institution = self.known.of(address).ok_or(full)?;
        let share = self.reserved.take(institution, 1).map_err(|_| full)?;
        Ok(Place { _anybodys: None, _reserved: Some(share) })
    }

    async fn shake(&self, stream: TcpStream, address: SocketAddr) -> Result<Connection, Refusal> {
        stream.set_nodelay(true)?;
        let shaken = async {
            match stream.peek(&mut [0]).await? {
                0 => Err(Refusal::Silent),
                _ => Ok(self.tls.accept(stream).await?),
            }
        };
        let stream = timeout(self.limits.handshake_time, shaken).await;
        let stream = stream.map_err(|_| Refusal::Slow)??;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(tls::HTTP2) => Protocol::Http2,
            // Chosen by us, so it is offered.
            Some(tls::FRAMES) => Protocol::Frames,
            Some(tls::VALIDATORS) => Protocol::Validators,
            _ => return Err(Refusal::Protocol),
        };
        let peer = peer(&stream, address)?;
        let institution = peer.identity.institution();
        let share = self.connections.take(institution, 1).map_err(Refusal::Connections)?;
        self.known.note(address.ip(), institution);
        let held = (share, self.budgets.reading(institution));
        Ok(Connection::new(stream, (peer, protocol), held, &self.limits, &self.cut))
    }
}

/// A place among those that shake hands, given back when dropped.
struct Place {
    _anybodys: Option<Share<IpAddr>>,
    _reserved: Option<Share<InstitutionId>>,
}

/// Who is at the other end, now that the handshake has proven it.
fn peer(stream: &TlsStream<TcpStream>, address: SocketAddr) -> Result<Peer, Refusal> {
    let (_, session) = stream.get_ref();
    let certificates = session.peer_certificates().unwrap_or_default();
    let certificate = certificates.first().ok_or(Refusal::Incomplete)?;
    let group = session.negotiated_key_exchange_group().ok_or(Refusal::Incomplete)?;
    Ok(Peer {
        identity: trust::identity_of(certificate)?,
        certificate: Digest(Sha256::digest(certificate).into()),
        key_exchange: group.name(),
        address,
    })
}
