//! A session as a pure state machine: frames in, frames out.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use super::mailbox::{Mailbox, Refusal, Traffic};
use super::{Abort, Binding, Frame, Session, lock};
use crate::parties::{ActiveSet, PartiesError, PartyId};

type Protocol<T> = Pin<Box<dyn Future<Output = Result<T, Abort>> + Send>>;

/// How a session stands.
#[derive(Debug)]
pub enum Progress<T> {
    /// Messages of these parties are missing.
    Waiting(Vec<PartyId>),
    /// The result. It is given once.
    Done(T),
    /// The session has ended without a result, for good.
    Aborted(Abort),
}

/// What one call of [`Machine::poll`] brought.
#[derive(Debug)]
pub struct Poll<T> {
    /// Frames to be sent, in this order for each receiver.
    pub outgoing: Vec<Frame>,
    /// How the session stands.
    pub progress: Progress<T>,
}

/// One party's run of a protocol.
///
/// The driver (a daemon or a simulator) delivers frames with the identity that the channel has
/// authenticated, calls [`poll`](Self::poll) afterwards, and sends what comes out. Deadlines are
/// the driver's: it calls [`end`](Self::end). Dropping the machine erases the party's shares.
pub struct Machine<T> {
    parties: ActiveSet,
    me: PartyId,
    mailbox: Arc<Mutex<Mailbox>>,
    state: State<T>,
}

enum State<T> {
    Running(Protocol<T>),
    Ended(Abort),
}

impl<T> Machine<T> {
    /// The run of `protocol` as party number `me` in the session that `binding` describes.
    pub fn new<F, P>(binding: &Binding, me: u8, protocol: P) -> Result<Self, PartiesError>
    where
        P: FnOnce(Session) -> F,
        F: Future<Output = Result<T, Abort>> + Send + 'static,
    {
        let parties = binding.parties()?;
        let me = parties.id(me).ok_or(PartiesError::Unknown { number: me })?;
        let id = binding.session();
        let mailbox = Arc::new(Mutex::new(Mailbox::new(id, parties, me)));
        let (setting, shared) = (binding.setting(), Arc::clone(&mailbox));
        let session = Session { id, setting, parties, me, mailbox: shared, signer: None };
        let state = State::Running(Box::pin(protocol(session)));
        Ok(Self { parties, me, mailbox, state })
    }

    /// Who takes part.
    pub fn parties(&self) -> ActiveSet {
        self.parties
    }

    /// This party.
    pub fn me(&self) -> PartyId {
        self.me
    }

    /// What this party has sent so far.
    pub fn traffic(&self) -> Traffic {
        lock(&self.mailbox).traffic()
    }

    /// Takes in a frame from the party with number `peer`, as authenticated by the channel.
    ///
    /// A refused frame leaves the machine as it was, so that what is replayed or injected cannot
    /// end a session of honest parties; whether a refusal is a reason to end it, the driver says.
    pub fn deliver(&mut self, peer: u8, frame: Frame) -> Result<(), Refusal> {
        lock(&self.mailbox).accept(peer, frame)
    }

    /// Runs the protocol until it needs frames that have not arrived.
    pub fn poll(&mut self) -> Poll<T> {
        let protocol = match &mut self.state {
            State::Running(protocol) => protocol,
            State::Ended(abort) => {
                let progress = Progress::Aborted(abort.clone());
                return Poll { outgoing: lock(&self.mailbox).take_outbox(), progress };
            }
        };
        // The only thing awaited is the mailbox, which is asked again at each poll: no waker.
        match protocol.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Pending => {
                let mut mailbox = lock(&self.mailbox);
                let progress = Progress::Waiting(mailbox.missing());
                Poll { outgoing: mailbox.take_outbox(), progress }
            }
            std::task::Poll::Ready(Ok(result)) => {
                self.state = State::Ended(Abort::Over);
                let mut mailbox = lock(&self.mailbox);
                mailbox.finish();
                Poll { outgoing: mailbox.take_outbox(), progress: Progress::Done(result) }
            }
            std::task::Poll::Ready(Err(abort)) => self.abort(abort),
        }
    }

    /// Ends the session from outside, for example at a deadline, and says whom it waited for.
    pub fn end(&mut self) -> Abort {
        if let State::Ended(abort) = &self.state {
            return abort.clone();
        }
        let abort = Abort::Ended { missing: lock(&self.mailbox).missing() };
        self.abort(abort.clone());
        abort
    }

    fn abort(&mut self, abort: Abort) -> Poll<T> {
        self.state = State::Ended(abort.clone());
        lock(&self.mailbox).close();
        Poll { outgoing: vec![], progress: Progress::Aborted(abort) }
    }
}
