//! One joint computation, as seen by one party: what it is bound to and how messages are swapped.
//!
//! Protocols are `async fn`s over a [`Session`] whose only await point is [`Session::exchange`].
//! No runtime is involved: a [`Machine`] holds the future, takes frames in, and gives frames out.

mod frame;
mod machine;
mod mailbox;

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use quittance_circuit::{GateId, Owner};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Encode, Writer};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::parties::{Parties, PartiesError, PartyId};

pub use frame::{Frame, Kind, MAX_FRAME_PAYLOAD};
pub use machine::{Machine, Poll as MachinePoll, Progress};
pub use mailbox::{MAX_MESSAGE, Refusal, Traffic};

use mailbox::Mailbox;

/// The bytes of one message; erased when dropped.
pub type Payload = Zeroizing<Vec<u8>>;

/// Everything that the parties must agree on before they compute. Its digest names the session,
/// and stands in every frame and in the input of every pseudo-random function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The chain.
    pub chain: Digest,
    /// The settlement round, or any other name of the occasion.
    pub round: Digest,
    /// The attempt within the round, from 0.
    pub attempt: u8,
    /// The fingerprint of the circuit or program.
    pub circuit: Digest,
    /// The digest of the list of those who give inputs and get outputs.
    pub roster: Digest,
    /// The digest of the public parts of all dealings.
    pub dealings: Digest,
    /// The fingerprints of the parties' keys; the first belongs to party 1.
    pub committee: Vec<Digest>,
    /// t, how many parties may collude.
    pub threshold: u8,
}

impl Binding {
    /// The name of the session.
    pub fn session(&self) -> Digest {
        Digest::of_value("quittance/v1/mpc-session", self)
    }

    /// Names the committee: the chain, the parties' keys in order, and t. Stored preprocessing is
    /// good for the same committee only.
    pub fn committee_digest(&self) -> Digest {
        let Self { chain, committee, threshold, .. } = self;
        let mut out = Writer::new();
        chain.encode(&mut out);
        out.list(committee);
        out.u8(*threshold);
        Digest::of("quittance/v1/mpc-committee", &[&out.into_bytes()])
    }

    /// The committee's size and threshold.
    pub fn parties(&self) -> Result<Parties, PartiesError> {
        Parties::new(self.committee.len(), self.threshold)
    }
}

impl Encode for Binding {
    fn encode(&self, out: &mut Writer) {
        self.chain.encode(out);
        self.round.encode(out);
        out.u8(self.attempt);
        self.circuit.encode(out);
        self.roster.encode(out);
        self.dealings.encode(out);
        out.list(&self.committee);
        out.u8(self.threshold);
    }
}

/// Why a session ended without a result. An abort is terminal: the session's secrets are erased
/// and nothing of it is ever resumed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Abort {
    /// A message was not what this exchange calls for.
    #[error("{party} sent a malformed message in exchange {exchange} ({kind}): {problem}")]
    Malformed {
        /// Who sent it.
        party: PartyId,
        /// The exchange.
        exchange: u32,
        /// What the exchange is for.
        kind: Kind,
        /// What is wrong.
        problem: &'static str,
    },
    /// A party is executing something else.
    #[error("{party} is at another point of the program: exchange {exchange} is {expected} here")]
    Diverged {
        /// Who differs.
        party: PartyId,
        /// The exchange.
        exchange: u32,
        /// What the exchange is for, here.
        expected: Kind,
    },
    /// A seed contribution is not the one that was committed to.
    #[error("{party} revealed a seed contribution that it had not committed to")]
    SeedNotCommitted {
        /// Who revealed it.
        party: PartyId,
    },
    /// Two parties were told different commitments, by one of the others or by each other.
    #[error("{party} received other seed commitments than this party did")]
    Equivocation {
        /// Whose echo differs.
        party: PartyId,
    },
    /// Two parties were told different things about stored preprocessing, by one of the others or by
    /// each other.
    #[error("{party} was told other things about stored preprocessing than this party was")]
    OtherStock {
        /// Whose statement differs.
        party: PartyId,
    },
    /// The shares of an opened value lie on no polynomial of degree t. Some party lied; with
    /// n = 2t + 1 nothing here tells which.
    #[error("the shares opened in exchange {exchange} do not fit together; disputed: all parties")]
    Inconsistent {
        /// The exchange.
        exchange: u32,
    },
    /// A product is not that of its factors: some party shared another value than it had to.
    #[error("the check in exchange {exchange} found a wrong product; disputed: all parties")]
    WrongProduct {
        /// The exchange.
        exchange: u32,
    },
    /// Commitments to output shares lie on no polynomial of degree t.
    #[error("the commitments to output {output} do not fit together; disputed: all parties")]
    InconsistentCommitments {
        /// The place of the output among those published together.
        output: usize,
    },
    /// A value that the circuit asserts to be zero is not.
    #[error("circuit {circuit}, {gate}: the asserted value is not zero")]
    Assertion {
        /// The circuit's name.
        circuit: String,
        /// The assertion.
        gate: GateId,
    },
    /// A party's inputs are not those that the circuit takes.
    #[error("{owner} dealt no input {index} of the kind that the circuit takes there")]
    Input {
        /// Whose input it is.
        owner: Owner,
        /// Its place among this owner's inputs.
        index: u32,
    },
    /// An owner dealt a value that is not of the kind that the circuit promises.
    #[error("input {index} of {owner} is out of its range")]
    OutOfRange {
        /// Who dealt it.
        owner: Owner,
        /// Its place among this owner's inputs.
        index: u32,
    },
    /// The shares that an owner dealt without commitments lie on no polynomial of degree t: either
    /// it or a party lied.
    #[error("the vectors of {owner} do not fit together; disputed: the dealer and all parties")]
    DisputedDealing {
        /// Who dealt them.
        owner: Owner,
    },
    /// Vectors that an owner dealt are not 1 at one place and 0 elsewhere, or not at the place that
    /// it is committed to.
    #[error("the vectors of {owner} are not those of committed payees")]
    NotOneHot {
        /// Who dealt them.
        owner: Owner,
    },
    /// A program has not ended within its bound.
    #[error("circuit {circuit} was repeated {steps} times without coming to an end")]
    NotConverged {
        /// The name of the step's circuit.
        circuit: String,
        /// The bound.
        steps: u32,
    },
    /// Something went wrong within a circuit.
    #[error("{place}: {cause}")]
    At {
        /// Circuit, level and gates.
        place: String,
        /// What went wrong.
        cause: Box<Abort>,
    },
    /// The caller asked for something that this field or committee cannot do.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// The caller ended the session, for example at a deadline.
    #[error("ended from outside while waiting for {}", list(.missing))]
    Ended {
        /// Those whose messages were still missing.
        missing: Vec<PartyId>,
    },
    /// The session has already given its result.
    #[error("the session is over")]
    Over,
}

impl Abort {
    /// What went wrong, without the place in the circuit.
    pub fn cause(&self) -> &Self {
        match self {
            Self::At { cause, .. } => cause.cause(),
            other => other,
        }
    }

    /// The party whose message alone shows its fault to whoever received it, if there is one.
    ///
    /// This convinces nobody else: channels are authenticated, messages are not signed.
    pub fn culprit(&self) -> Option<PartyId> {
        match self.cause() {
            Self::Malformed { party, .. } | Self::SeedNotCommitted { party } => Some(*party),
            _ => None,
        }
    }
}

fn list(parties: &[PartyId]) -> String {
    match parties {
        [] => "nobody".to_owned(),
        some => some.iter().map(PartyId::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// One party's end of a running session. Only a [`Machine`] makes one.
pub struct Session {
    id: Digest,
    committee: Digest,
    parties: Parties,
    me: PartyId,
    mailbox: Arc<Mutex<Mailbox>>,
}

impl Session {
    /// The session's name; see [`Binding::session`].
    pub fn id(&self) -> &Digest {
        &self.id
    }

    /// The name of the committee; see [`Binding::committee_digest`].
    pub fn committee(&self) -> &Digest {
        &self.committee
    }

    /// The committee.
    pub fn parties(&self) -> Parties {
        self.parties
    }

    /// This party.
    pub fn me(&self) -> PartyId {
        self.me
    }

    /// What this party has sent so far.
    pub fn traffic(&self) -> Traffic {
        self.mailbox().traffic()
    }

    /// The number of the next exchange.
    pub(crate) fn next_exchange(&self) -> u32 {
        self.mailbox().finished()
    }

    /// Sends one message to each party and waits for one from each.
    ///
    /// `outgoing` and the result are lists by position of the party. The message to oneself comes
    /// back unchanged and travels nowhere. Empty messages are sent too: a finished exchange means
    /// that every party has reached it, so nobody is ever more than one exchange ahead, and what
    /// must be buffered is bounded.
    pub async fn exchange(
        &mut self,
        kind: Kind,
        mut outgoing: Vec<Payload>,
    ) -> Result<Vec<Payload>, Abort> {
        assert_eq!(outgoing.len(), self.parties.count(), "one message for each party");
        let own = std::mem::take(&mut outgoing[self.me.position()]);
        let exchange = self.mailbox().send(kind, outgoing);
        let messages = poll_fn(|_| match self.mailbox().collect() {
            Some(messages) => Poll::Ready(messages),
            None => Poll::Pending,
        })
        .await;

        let mut incoming = Vec::with_capacity(messages.len());
        for (party, message) in self.parties.ids().zip(messages) {
            match message {
                None => incoming.push(Payload::default()),
                Some((found, _)) if found != kind => {
                    return Err(Abort::Diverged { party, exchange, expected: kind });
                }
                Some((_, payload)) => incoming.push(payload),
            }
        }
        incoming[self.me.position()] = own;
        Ok(incoming)
    }

    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        lock(&self.mailbox)
    }
}

/// The mailbox is consistent after each of its methods, so a panic elsewhere does not spoil it.
fn lock(mailbox: &Mutex<Mailbox>) -> MutexGuard<'_, Mailbox> {
    mailbox.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
