//! Accepting connections: bounded handshakes, verified peers, bounded connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use metrics::{counter, gauge};
use quittance_crypto::digest::Digest;
use quittance_ledger::ids::InstitutionId;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::budget::{Budgets, Reading};
use super::known::Known;
use super::peer::Peer;
use super::quota::{Full, Quota, Share};
use crate::identity::IdentityError;
use crate::limits::Limits;
use crate::metrics::{CONNECTIONS_OPEN, CONNECTIONS_REFUSED};
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
}

impl Out {
    async fn pass(&self, connection: Connection) {
        // These fail only when whoever takes them has ended; the connection ends with it.
        match &self.frames {
            Some(frames) if connection.frames => drop(frames.send(connection).await),
            _ => drop(self.http2.send(Ok(connection)).await),
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
        let frames = match stream.get_ref().1.alpn_protocol() {
            Some(tls::HTTP2) => false,
            // Chosen by us, so it is offered.
            Some(tls::FRAMES) => true,
            _ => return Err(Refusal::Protocol),
        };
        let peer = peer(&stream, address)?;
        let institution = peer.identity.institution();
        let share = self.connections.take(institution, 1).map_err(Refusal::Connections)?;
        self.known.note(address.ip(), institution);
        Ok(Connection {
            stream,
            peer,
            frames,
            cut: Box::pin(self.cut.clone().cancelled_owned()),
            turn: Turn { bytes: self.limits.turn_bytes, read: 0 },
            reading: self.budgets.reading(institution),
            _place: Held { share: Some(share), until: Instant::now() + self.limits.penalty_time },
            _counted: Counted::new(),
        })
    }
}

/// A place among those that shake hands, given back when dropped.
struct Place {
    _anybodys: Option<Share<IpAddr>>,
    _reserved: Option<Share<InstitutionId>>,
}

/// A place among the connections of an institution. It comes back when dropped, but not before a
/// time: whoever lets connections end at once to make new ones soon has none left.
struct Held {
    share: Option<Share<InstitutionId>>,
    until: Instant,
}

impl Drop for Held {
    fn drop(&mut self) {
        let (share, until) = (self.share.take(), self.until);
        if until <= Instant::now() {
            return;
        }
        // Without a runtime the server is at its end.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                sleep_until(until).await;
                drop(share);
            });
        }
    }
}

/// Lets the others have their turn after so many bytes.
struct Turn {
    bytes: usize,
    read: usize,
}

impl Turn {
    /// Whether the turn is over; then the task comes back after all others that wait.
    fn is_over(&mut self, context: &Context<'_>) -> bool {
        let over = self.read >= self.bytes;
        if over {
            self.read = 0;
            context.waker().wake_by_ref();
        }
        over
    }
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

/// An accepted connection. Dropping it gives its place back.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    /// Whether it speaks frames, not HTTP/2.
    frames: bool,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    turn: Turn,
    reading: Reading,
    _place: Held,
    _counted: Counted,
}

/// Counts a connection for as long as it stands.
struct Counted;

impl Counted {
    fn new() -> Self {
        gauge!(CONNECTIONS_OPEN).increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge!(CONNECTIONS_OPEN).decrement(1.0);
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl Connection {
    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// What it runs over.
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        self.stream.get_mut().0
    }

    /// An error once all connections must end.
    fn poll_cut(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => Err(io::Error::other("the server is stopping")),
        }
    }

    /// Writes, at the expense of whoever is answered.
    fn write<T>(
        &mut self,
        write: impl FnOnce(Pin<&mut TlsStream<TcpStream>>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let alone = self.reading.begin_write();
        let polled = write(Pin::new(&mut self.stream));
        self.reading.end_write(alone, polled.is_pending());
        polled
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_cut(context)?;
        if self.turn.is_over(context) {
            self.reading.pause();
            return Poll::Pending;
        }
        ready!(self.reading.poll_begin(context));
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        match polled {
            Poll::Ready(_) => {
                self.turn.read += buffer.filled().len().saturating_sub(before);
                self.reading.has_read();
            }
            // All that came has been read.
            Poll::Pending => {
                self.turn.read = 0;
                self.reading.end();
            }
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(context)?;
        self.write(|stream| stream.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.write(|stream| stream.poll_flush(context));
        if polled.is_ready() {
            self.reading.has_answered();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(|stream| stream.poll_shutdown(context))
    }
}
