//! A connection that was accepted: its place, its turns, and its bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use metrics::gauge;
use quittance_ledger::ids::InstitutionId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::budget::Reading;
use super::peer::Peer;
use super::quota::Share;
use crate::limits::Limits;
use crate::metrics::CONNECTIONS_OPEN;

/// What is spoken over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// gRPC.
    Http2,
    /// Frames of joint computations.
    Frames,
    /// Frames of validators.
    Validators,
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

/// An accepted connection. Dropping it gives its place back.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    protocol: Protocol,
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
    /// A connection whose handshake is complete, in its institution's `share` of all connections.
    pub(super) fn new(
        stream: TlsStream<TcpStream>,
        (peer, protocol): (Peer, Protocol),
        (share, reading): (Share<InstitutionId>, Reading),
        limits: &Limits,
        cut: &CancellationToken,
    ) -> Self {
        Self {
            stream,
            peer,
            protocol,
            cut: Box::pin(cut.clone().cancelled_owned()),
            turn: Turn { bytes: limits.turn_bytes, read: 0 },
            reading,
            _place: Held { share: Some(share), until: Instant::now() + limits.penalty_time },
            _counted: Counted::new(),
        }
    }

    /// What it speaks.
    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Keying material that this connection alone has, at both of its ends (RFC 8446, section 7.5).
    pub(crate) fn export(&self, label: &[u8]) -> Result<[u8; 32], rustls::Error> {
        self.stream.get_ref().1.export_keying_material([0; 32], label, None)
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
