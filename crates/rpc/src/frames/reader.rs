//! Takes in the frames of one connection that another party has opened.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, Weak};

use metrics::counter;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Decode;
use quittance_crypto::planted;
use quittance_ledger::ids::InstitutionId;
use quittance_mpc::session::Frame;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, sink};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, sleep, timeout};
use zeroize::Zeroizing;

use super::wire::{self, Word};
use super::{Hub, MAX_REFUSALS, Refused};
use crate::identity::Process;
use crate::limits::Limits;
use crate::metrics::{PARTY_FRAME_BYTES, PARTY_FRAMES};
use crate::server::Connection;

/// What is read at a time: some small frames, or a record of TLS.
const BUFFER: usize = 16 << 10;

/// Serves one connection until it ends.
pub(super) async fn serve(hub: Weak<Hub>, mut connection: Connection, limits: Limits) {
    let peer = connection.peer();
    if let Err(error) = adopt(connection.socket()) {
        tracing::error!(%error, "cannot take over a connection for frames");
        return;
    }
    let Some(caller) = partner(&hub, &connection) else {
        tracing::warn!(caller = %peer.identity, "refused frames: in no committee with this party");
        end(connection, Word::Stranger, &limits).await;
        return;
    };
    let Some((stream, stopping)) =
        hub.upgrade().map(|hub| (hub.incoming.open(caller), hub.stopping.clone()))
    else {
        return;
    };
    let pulse = Pulse::new();
    let mut connection = BufReader::with_capacity(BUFFER, connection);
    let reader = Reader { caller, hub: hub.clone(), stream: stream.number, refusals: 0 };
    let word = tokio::select! {
        biased;
        ended = reader.read(&mut connection, &pulse) => ended,
        () = stream.replaced.cancelled() => Some(Word::Replaced),
        () = stopping.cancelled() => Some(Word::Stopping),
        () = pulse.stopped(&limits) => {
            tracing::warn!(%caller, "heard nothing, or half a frame, for too long");
            Some(Word::Slow)
        }
    };
    if let Some(hub) = hub.upgrade() {
        hub.incoming.close(caller, stream.number);
    }
    drop(hub);
    if let Some(word) = word {
        end(connection.into_inner(), word, &limits).await;
    }
}

/// The caller, if it is a party that can be in a committee with this one.
fn partner(hub: &Weak<Hub>, connection: &Connection) -> Option<InstitutionId> {
    let caller = connection.peer().require_process(Process::Party).ok()?.institution;
    let known = hub.upgrade()?.links.contains_key(&caller);
    planted!("frames-of-strangers-taken", true, known).then_some(caller)
}

/// Lets this runtime, and not the one that has accepted it, watch a socket: each frame would wake a
/// thread of both.
fn adopt(socket: &mut TcpStream) -> io::Result<()> {
    let same = std::net::TcpStream::from(socket.as_fd().try_clone_to_owned()?);
    *socket = TcpStream::from_std(same)?;
    Ok(())
}

/// Says why the connection ends, and closes it. What still comes is read and forgotten for a
/// moment: a socket that is closed with something unread takes the last word with it.
async fn end(mut connection: Connection, word: Word, limits: &Limits) {
    let ending = async {
        wire::say(&mut connection, word).await?;
        connection.shutdown().await?;
        tokio::io::copy(&mut connection, &mut sink()).await
    };
    drop(timeout(limits.drain_time, ending).await);
}

/// When something was heard last.
struct Pulse {
    at: Mutex<Instant>,
    /// In the middle of a frame.
    partial: AtomicBool,
}

impl Pulse {
    fn new() -> Self {
        Self { at: Mutex::new(Instant::now()), partial: AtomicBool::new(false) }
    }

    fn beat(&self, partial: bool) {
        self.partial.store(partial, Relaxed);
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Comes to an end when a frame takes too long, or when not even a question whether this side is
    /// there has come.
    async fn stopped(&self, limits: &Limits) {
        let silence = limits.keepalive_interval + limits.keepalive_time;
        loop {
            let half = planted!("half-a-frame-waited-for", false, self.partial.load(Relaxed));
            let allowed = if half { limits.body_time } else { silence };
            let since = self.at.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            if since > allowed {
                return;
            }
            // A frame may have begun when this has slept: look often enough for the shorter time.
            sleep((allowed - since).min(limits.body_time / 4) + Duration::from_millis(1)).await;
        }
    }
}

struct Reader {
    caller: InstitutionId,
    hub: Weak<Hub>,
    stream: u64,
    refusals: usize,
}

impl Reader {
    /// Until the connection ends; what is to be said about it.
    async fn read(mut self, connection: &mut BufReader<Connection>, pulse: &Pulse) -> Option<Word> {
        match self.read_all(connection, pulse).await {
            Ok(word) => word,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(caller = %self.caller, "refused a frame that is too long");
                Some(Word::Malformed)
            }
            // As when the other process ends.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                tracing::info!(caller = %self.caller, "a connection for frames has ended");
                None
            }
            Err(error) => {
                tracing::warn!(caller = %self.caller, %error, "a connection for frames has failed");
                None
            }
        }
    }

    async fn read_all(
        &mut self,
        connection: &mut BufReader<Connection>,
        pulse: &Pulse,
    ) -> io::Result<Option<Word>> {
        wire::say(connection, Word::Here).await?;
        let mut bytes = Zeroizing::new(Vec::new());
        loop {
            pulse.beat(false);
            if connection.fill_buf().await?.is_empty() {
                return Ok(None);
            }
            pulse.beat(true);
            let length = wire::read_length(connection).await?;
            if length == 0 {
                wire::say(connection, Word::Here).await?;
                continue;
            }
            bytes.clear();
            wire::make_room(&mut bytes, length);
            bytes.resize(length, 0);
            connection.read_exact(&mut bytes).await?;
            if let Some(word) = self.take(&bytes) {
                return Ok(Some(word));
            }
        }
    }

    /// Takes in a frame; a word if that was the last.
    fn take(&mut self, bytes: &[u8]) -> Option<Word> {
        let caller = self.caller;
        let frame = match Frame::from_bytes(bytes) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::warn!(%caller, %error, "refused what is no frame; the connection ends");
                return Some(Word::Malformed);
            }
        };
        counter!(PARTY_FRAMES).increment(1);
        counter!(PARTY_FRAME_BYTES).increment(bytes.len() as u64);
        let session = frame.session;
        let Some(hub) = self.hub.upgrade() else { return Some(Word::Stopping) };
        // An honest party's frames may come too late for a session that has ended meanwhile: over a
        // long time these are many, but few beside those that are taken.
        match hub.incoming.route(caller, self.stream, frame) {
            Ok(()) => self.refusals = self.refusals.saturating_sub(1),
            Err(reason) => {
                log(caller, session, reason);
                self.refusals += 1;
            }
        }
        let enough = self.refusals > MAX_REFUSALS;
        if enough {
            tracing::warn!(%caller, "refused too many frames; the connection ends");
        }
        enough.then_some(Word::Refused)
    }
}

/// What comes when a session is over was on its way when it ended; all else is a warning.
fn log(caller: InstitutionId, session: Digest, reason: Refused) {
    match reason {
        Refused::Over => tracing::debug!(%caller, %session, %reason, "refused a frame"),
        Refused::Stranger | Refused::OtherStream | Refused::TooMuch | Refused::TooEarly => {
            tracing::warn!(%caller, %session, %reason, "refused a frame");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use tracing::Level;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Write::write(&mut *self.0.lock().unwrap(), bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged at `level` and above.
    fn logged(level: Level, reason: Refused) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let caller = "MPCAZZ01".parse().unwrap();
        tracing::subscriber::with_default(subscriber, || log(caller, Digest([1; 32]), reason));
        let kept = kept.0.lock().unwrap().clone();
        String::from_utf8(kept).unwrap()
    }

    #[test]
    fn frames_of_a_session_that_is_over_are_no_warning_and_all_others_are() {
        assert!(logged(Level::DEBUG, Refused::Over).contains("the session is over"));
        assert_eq!(logged(Level::INFO, Refused::Over), "");
        for reason in [Refused::Stranger, Refused::OtherStream, Refused::TooMuch, Refused::TooEarly]
        {
            let line = logged(Level::WARN, reason);
            assert!(line.contains(&reason.to_string()) && line.contains("MPCAZZ01"), "{line}");
        }
    }
}
