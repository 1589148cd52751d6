//! What waits to be written into one connection, and the connection.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use quittance_crypto::encoding::{Encode, Writer};
use quittance_crypto::planted;
use quittance_mpc::session::{Frame, MAX_FRAME_BYTES, MAX_FRAME_PAYLOAD};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::sleep;
use zeroize::{Zeroize, Zeroizing};

use super::wire::{self, PING, Word};
use crate::client::FramesStream;
use crate::limits::Limits;

/// Bytes that wait to be sent; whoever has more waits.
const MAX_UNSENT: usize = 1 << 20;
/// What an empty buffer keeps of its memory.
const KEPT: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Outgoing {
    state: Mutex<State>,
    /// Some of what waited has been sent.
    room: Notify,
}

#[derive(Default)]
struct State {
    /// None before the connection stands and after its end.
    stream: Option<FramesStream>,
    /// Frames with their lengths; those before `sent` have been written.
    unsent: Zeroizing<Vec<u8>>,
    sent: usize,
    /// Of the task that writes what sessions could not.
    carrier: Option<Waker>,
    /// The other side was asked whether it is there.
    asked: bool,
    /// It has answered, or, since it was not asked, taken something of what waits.
    alive: bool,
}

impl Outgoing {
    /// State is whole after each method, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection stands.
    pub(super) fn open(&self, stream: FramesStream) {
        self.lock().stream = Some(stream);
    }

    /// Nothing is sent any more.
    pub(super) fn close(&self) {
        *self.lock() = State::default();
    }

    /// Takes a frame, after waiting until there is room.
    pub(super) async fn push(&self, frame: &Frame) {
        // In one piece, so that no copy of it is left behind.
        let mut bytes =
            Writer::with_capacity(frame.payload.len() + MAX_FRAME_BYTES - MAX_FRAME_PAYLOAD);
        frame.encode(&mut bytes);
        let bytes = Zeroizing::new(bytes.into_bytes());
        loop {
            let room = self.room.notified();
            {
                let mut state = self.lock();
                if planted!("unsent-frames-not-bounded", true, state.waiting() < MAX_UNSENT) {
                    wire::append(&mut state.unsent, &bytes);
                    return;
                }
            }
            self.flush();
            room.await;
        }
    }

    /// Writes what the socket takes; the rest is for the carrier.
    pub(super) fn flush(&self) {
        let mut state = self.lock();
        let before = state.waiting();
        let carrier = match state.poll_write(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => None,
            Poll::Ready(Err(_)) | Poll::Pending => state.carrier.clone(),
        };
        let progress = state.waiting() < before;
        drop(state);
        // Outside the lock, which it takes at once. An error shows there as well.
        carrier.inspect(Waker::wake_by_ref);
        if progress {
            self.room.notify_waiters();
        }
    }

    /// Writes what sessions could not and reads what the other side says, until the end; returns
    /// why.
    pub(super) async fn carry(&self, limits: &Limits) -> String {
        let (interval, patience) = (limits.keepalive_interval, limits.keepalive_time);
        let mut pause = interval;
        loop {
            tokio::select! {
                reason = poll_fn(|context| self.poll(context)) => return reason,
                () = sleep(pause) => self.lock().ask(),
            }
            tokio::select! {
                reason = poll_fn(|context| self.poll(context)) => return reason,
                () = sleep(patience) => {}
            }
            if !planted!("silent-receiver-kept", true, self.lock().alive) {
                return format!("no sign of life for {patience:?}");
            }
            pause = interval.saturating_sub(patience);
        }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<String> {
        let mut state = self.lock();
        if !state.carrier.as_ref().is_some_and(|carrier| carrier.will_wake(context.waker())) {
            state.carrier = Some(context.waker().clone());
        }
        if let Poll::Ready(reason) = state.poll_read(context) {
            return Poll::Ready(reason);
        }
        let before = state.waiting();
        let written = state.poll_write(context);
        let progress = state.waiting() < before;
        drop(state);
        if progress {
            self.room.notify_waiters();
        }
        match written {
            Poll::Ready(Err(error)) => Poll::Ready(error.to_string()),
            _ => Poll::Pending,
        }
    }
}

impl State {
    /// How many bytes are still to be written.
    fn waiting(&self) -> usize {
        self.unsent.len() - self.sent
    }

    /// Asks for a sign of life. What waits may be long in coming to its end: then taking some of it
    /// is one.
    fn ask(&mut self) {
        self.alive = false;
        self.asked = self.unsent.is_empty();
        if self.asked {
            self.unsent.extend_from_slice(&PING);
        }
    }

    /// Ready when all is written, or the connection has failed.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        let mut stream = Pin::new(stream);
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let written = ready!(stream.as_mut().poll_write(context, rest))?;
            self.alive |= !self.asked;
            self.sent += written;
        }
        if self.sent > 0 {
            // Erased, since shares were in it; a large one is not kept.
            self.unsent.as_mut_slice().zeroize();
            self.unsent.clear();
            self.unsent.shrink_to(KEPT);
            self.sent = 0;
        }
        stream.poll_flush(context)
    }

    /// Ready with the reason when the other side has ended the connection.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<String> {
        let Some(stream) = &mut self.stream else { return Poll::Pending };
        let mut stream = Pin::new(stream);
        loop {
            let mut bytes = [0; 16];
            let mut words = ReadBuf::new(&mut bytes);
            if let Err(error) = ready!(stream.as_mut().poll_read(context, &mut words)) {
                return Poll::Ready(error.to_string());
            }
            if words.filled().is_empty() {
                return Poll::Ready("closed by the other side".to_owned());
            }
            for byte in words.filled() {
                match Word::of(*byte) {
                    Some(Word::Here) => self.alive = true,
                    Some(word) => return Poll::Ready(word.explain().to_owned()),
                    None => return Poll::Ready("it says what has no meaning".to_owned()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quittance_crypto::digest::Digest;
    use quittance_mpc::session::{Kind, MAX_FRAME_PAYLOAD};
    use tokio::time::{Duration, timeout};

    use super::*;

    /// Whether there was room for a frame of this size.
    async fn pushed(outgoing: &Outgoing, payload: usize) -> bool {
        let payload = Zeroizing::new(vec![7; payload]);
        let (session, kind) = (Digest([1; 32]), Kind::Open);
        let (from, to, exchange, part, last) = (1, 2, 0, 0, true);
        let frame = Frame { session, from, to, exchange, kind, part, last, payload };
        timeout(Duration::from_millis(100), outgoing.push(&frame)).await.is_ok()
    }

    #[tokio::test]
    async fn what_waits_to_be_sent_is_bounded() {
        let outgoing = Outgoing::default();
        assert!(pushed(&outgoing, 100).await);
        assert!(pushed(&outgoing, MAX_FRAME_PAYLOAD).await);
        assert!(!pushed(&outgoing, 0).await);
        assert!(outgoing.lock().unsent.len() < MAX_UNSENT + MAX_FRAME_PAYLOAD + 1000);
        outgoing.close();
        assert!(outgoing.lock().unsent.is_empty());
    }
}
