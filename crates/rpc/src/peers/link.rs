//! One connection with another validator, from its first byte to its last.

use std::io;
use std::sync::Arc;

use metrics::counter;
use quittance_crypto::encoding::Encode;
use quittance_crypto::planted;
use quittance_ledger::ids::InstitutionId;
use thiserror::Error;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, ReadHalf, WriteHalf,
    split,
};
use tokio::time::{Duration, sleep, timeout};

use super::hello::{EXPORTER_LABEL, Encounter, Refused, Side};
use super::untaken::{Held, Untaken, Unwanted, untaken};
use super::wire::{self, Kind, MAX_PIECE_BYTES, Reason};
use super::{Arrived, Hub, MAX_FRAME_BYTES, PeerName, Place, Priority, Validators};
use crate::client::ConnectError;
use crate::config::Target;
use crate::identity::Process;
use crate::limits::Limits;
use crate::metrics::{
    VALIDATORS_ENDED, VALIDATORS_FRAME_BYTES, VALIDATORS_FRAMES, VALIDATORS_HELLOS_REFUSED,
};
use crate::server::Connection;

const FIRST_RETRY: Duration = Duration::from_millis(50);
const LONGEST_RETRY: Duration = Duration::from_secs(2);

/// Why a connection has ended, or never counted.
#[derive(Debug, Error)]
enum Ended {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("it cannot be bound to its TLS session: {0}")]
    Exporter(#[from] rustls::Error),
    #[error("refused: {0}")]
    Refused(#[from] Refused),
    #[error("refused: it is to be called, and not to call")]
    Direction,
    #[error("it refuses us: {}", .0.explain())]
    RefusesUs(Reason),
    #[error("it says what has no place here")]
    Unexpected,
    #[error("its hello, or half a frame, took too long")]
    Slow,
    #[error("it does not take what it is sent")]
    Deaf,
    #[error("nothing was heard of it for too long")]
    Silent,
    #[error("a frame is longer than {MAX_FRAME_BYTES} bytes")]
    TooLong,
    #[error("another connection has replaced it, or this validator is stopping")]
    Replaced,
    #[error("it is no validator any more")]
    Removed,
    #[error("its frames are not wanted any more")]
    Unwanted,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Ended {
    /// What is said to a caller whose connection does not count.
    fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused(Refused::Malformed(_)) | Self::Unexpected => Some(Reason::Malformed),
            Self::Refused(Refused::Stranger(_) | Refused::Key { .. }) | Self::Direction => {
                Some(Reason::Stranger)
            }
            Self::Refused(_) => Some(Reason::Hello),
            Self::Slow => Some(Reason::Slow),
            Self::Replaced => Some(Reason::Stopping),
            _ => None,
        }
    }

    /// The label in the metrics.
    fn label(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Exporter(_) => "exporter",
            Self::Refused(refused) => refused.label(),
            Self::Direction => "direction",
            Self::RefusesUs(_) => "refuses_us",
            Self::Unexpected => "unexpected",
            Self::Slow => "slow",
            Self::Deaf => "deaf",
            Self::Silent => "silent",
            Self::TooLong => "too_long",
            Self::Replaced => "replaced",
            Self::Removed => "removed",
            Self::Unwanted => "unwanted",
            Self::Io(error) if error.kind() == io::ErrorKind::InvalidData => "no_unit",
            Self::Io(_) => "io",
        }
    }
}

impl From<Unwanted> for Ended {
    fn from(_: Unwanted) -> Self {
        Self::Unwanted
    }
}

/// Serves a connection that another process has opened.
pub(super) async fn accepted(hub: Arc<Hub>, mut connection: Connection) {
    let caller = connection.peer();
    let Ok(name) = caller.require_process(Process::Node) else {
        tracing::warn!(caller = %caller.identity, "refused a connection as a validator");
        counter!(VALIDATORS_HELLOS_REFUSED, "reason" => "certificate").increment(1);
        return;
    };
    let met = tokio::select! {
        met = answer(&hub, &mut connection, name.institution) => met,
        () = hub.stopping.cancelled() => Err(Ended::Replaced),
    };
    match met {
        Ok(name) => run(&hub, name, connection).await,
        Err(ended) => {
            refused(name.institution, &ended);
            if let Some(reason) = ended.reason() {
                let limits = hub.dialer.limits();
                drop(timeout(limits.drain_time, refuse(&mut connection, reason)).await);
            }
        }
    }
}

fn refused(peer: InstitutionId, ended: &Ended) {
    counter!(VALIDATORS_HELLOS_REFUSED, "reason" => ended.label()).increment(1);
    tracing::warn!(%peer, reason = %ended, "no connection with a validator");
}

async fn refuse(connection: &mut Connection, reason: Reason) -> io::Result<()> {
    wire::write_unit(connection, Kind::Refused, &[reason as u8]).await?;
    connection.flush().await?;
    connection.shutdown().await
}

/// Meets a caller: the called side speaks first, but to a validator only. So nobody else makes it
/// sign.
async fn answer(
    hub: &Hub,
    connection: &mut Connection,
    caller: InstitutionId,
) -> Result<PeerName, Ended> {
    let known = hub.validators.borrow().contains(caller);
    if planted!("stranger-greeted", false, !known) {
        return Err(Refused::Stranger(caller).into());
    }
    // Of two validators the first calls; nobody calls itself.
    if caller >= hub.own.institution {
        return Err(Ended::Direction);
    }
    let encounter = Encounter {
        chain: hub.own.chain,
        dialler: caller,
        listener: hub.own.institution,
        exporter: connection.export(EXPORTER_LABEL)?,
    };
    let meeting = async {
        let own = encounter.hello(Side::Listener, &hub.own.key).to_bytes();
        wire::write_unit(connection, Kind::Hello, &own).await?;
        connection.flush().await?;
        let (kind, bytes) = wire::read_unit(connection).await?;
        if kind != Kind::Hello {
            return Err(Ended::Unexpected);
        }
        let name = encounter.check(Side::Dialler, &bytes, &hub.validators.borrow())?;
        wire::write_unit(connection, Kind::Accepted, &[]).await?;
        connection.flush().await?;
        Ok(name)
    };
    timeout(hub.dialer.limits().body_time, meeting).await.map_err(|_| Ended::Slow)?
}

/// Calls another validator, and calls again, until this one stops.
pub(super) async fn call(hub: Arc<Hub>, institution: InstitutionId, target: Target) {
    let calling = async {
        let mut pause = FIRST_RETRY;
        loop {
            if hub.validators.borrow().contains(institution) {
                match connect(&hub, institution, &target).await {
                    Ok((name, stream)) => {
                        pause = FIRST_RETRY;
                        run(&hub, name, stream).await;
                    }
                    Err(ended @ (Ended::Refused(_) | Ended::Unexpected | Ended::Slow)) => {
                        refused(institution, &ended);
                    }
                    Err(ended) => {
                        tracing::debug!(peer = %institution, reason = %ended, "not connected yet");
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_RETRY);
        }
    };
    tokio::select! {
        () = calling => {}
        () = hub.stopping.cancelled() => {}
    }
}

async fn connect(
    hub: &Hub,
    institution: InstitutionId,
    target: &Target,
) -> Result<(PeerName, impl AsyncRead + AsyncWrite + Send + 'static), Ended> {
    let mut stream = hub.dialer.validator(target).await?;
    let exporter = stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL, None)?;
    let (chain, dialler) = (hub.own.chain, hub.own.institution);
    let encounter = Encounter { chain, dialler, listener: institution, exporter };
    let meeting = async {
        let theirs = match wire::read_unit(&mut stream).await? {
            (Kind::Hello, bytes) => bytes,
            (kind, bytes) => return Err(turned_down(kind, &bytes)),
        };
        let name = encounter.check(Side::Listener, &theirs, &hub.validators.borrow())?;
        let own = encounter.hello(Side::Dialler, &hub.own.key).to_bytes();
        wire::write_unit(&mut stream, Kind::Hello, &own).await?;
        stream.flush().await?;
        match wire::read_unit(&mut stream).await? {
            (Kind::Accepted, _) => Ok(name),
            (kind, bytes) => Err(turned_down(kind, &bytes)),
        }
    };
    let name = timeout(hub.dialer.limits().body_time, meeting).await.map_err(|_| Ended::Slow)??;
    Ok((name, stream))
}

/// What comes in place of what was expected.
fn turned_down(kind: Kind, content: &[u8]) -> Ended {
    let reason = content.first().and_then(|byte| Reason::of(*byte));
    match (kind, reason) {
        (Kind::Refused, Some(reason)) => Ended::RefusesUs(reason),
        _ => Ended::Unexpected,
    }
}

/// Carries frames both ways until the connection ends.
async fn run(hub: &Arc<Hub>, name: PeerName, stream: impl AsyncRead + AsyncWrite + Send + 'static) {
    let place = hub.open(name);
    let (untaken, frames) = untaken();
    let (from, to) = split(stream);
    let limits = hub.dialer.limits();
    let reading = async {
        let arrived = hub.arrived.send(Arrived { name, frames }).await;
        arrived.map_err(|_| Ended::Unwanted)?;
        tracing::info!(peer = %name, "a validator has connected");
        read(from, &untaken, limits).await
    };
    let ended = tokio::select! {
        ended = reading => ended,
        ended = write(to, &place, limits) => ended,
        () = place.replaced.cancelled() => Err(Ended::Replaced),
        () = removed(hub, &name) => Err(Ended::Removed),
        () = untaken.unwanted() => Err(Ended::Unwanted),
    };
    let reason = ended.err().map(|ended| {
        counter!(VALIDATORS_ENDED, "reason" => ended.label()).increment(1);
        ended.to_string()
    });
    tracing::info!(peer = %name, reason, "a connection with a validator has ended");
}

/// Returns when the peer is in no set any more.
async fn removed(hub: &Hub, name: &PeerName) {
    let mut validators = hub.validators.clone();
    // Whoever tells of validators has ended: then so does this node.
    let gone = |validators: &Validators| {
        planted!("removed-validator-stays-connected", false, !validators.has(name))
    };
    let _ = validators.wait_for(gone).await;
}

async fn read(
    from: ReadHalf<impl AsyncRead>,
    untaken: &Untaken,
    limits: &Limits,
) -> Result<(), Ended> {
    let silence = limits.keepalive_interval + limits.keepalive_time;
    let mut from = BufReader::with_capacity(MAX_PIECE_BYTES, from);
    let mut partial = Held::default();
    loop {
        let head = timeout(silence, wire::read_head(&mut from)).await;
        let mut urgent = Held::default();
        let (frame, last, length) = match head.map_err(|_| Ended::Silent)?? {
            (Kind::Ping, _) => continue,
            (Kind::Urgent, length) => (&mut urgent, true, length),
            (Kind::Bulk { last }, length) => (&mut partial, last, length),
            _ => return Err(Ended::Unexpected),
        };
        let long = frame.len() + length > MAX_FRAME_BYTES;
        if planted!("frame-of-pieces-not-bounded", false, long) {
            return Err(Ended::TooLong);
        }
        let piece = untaken.grow(frame, length).await?;
        timeout(limits.body_time, from.read_exact(piece)).await.map_err(|_| Ended::Slow)??;
        if last {
            let frame = std::mem::take(frame);
            counter!(VALIDATORS_FRAMES, "direction" => "in").increment(1);
            counter!(VALIDATORS_FRAME_BYTES, "direction" => "in").increment(frame.len() as u64);
            untaken.put(frame).await?;
        }
    }
}

async fn write(
    to: WriteHalf<impl AsyncWrite>,
    place: &Place,
    limits: &Limits,
) -> Result<(), Ended> {
    let mut to = BufWriter::with_capacity(MAX_PIECE_BYTES, to);
    loop {
        while let Some(piece) = place.queue.next() {
            let kind = match piece.priority {
                Priority::Urgent => Kind::Urgent,
                Priority::Bulk => Kind::Bulk { last: piece.last },
            };
            let writing = wire::write_unit(&mut to, kind, &piece.bytes);
            timeout(limits.body_time, writing).await.map_err(|_| Ended::Deaf)??;
        }
        timeout(limits.body_time, to.flush()).await.map_err(|_| Ended::Deaf)??;
        if timeout(limits.keepalive_interval, place.queue.filled()).await.is_err() {
            wire::write_unit(&mut to, Kind::Ping, &[]).await?;
        }
    }
}
