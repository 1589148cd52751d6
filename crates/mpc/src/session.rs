//! One joint computation, as seen by one party: what it is bound to and how messages are swapped.
//!
//! Protocols are `async fn`s over a [`Session`] whose only await point is [`Session::exchange`].
//! No runtime is involved: a [`Machine`] holds the future, takes frames in, and gives frames out.

mod announce;
mod evidence;
mod frame;
mod machine;
mod mailbox;

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use quittance_circuit::{GateId, Owner};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Encode, Writer};
use quittance_crypto::planted;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::parties::{ActiveSet, ByParty, Parties, PartiesError, PartyId};

#[cfg(test)]
pub(crate) use announce::hash_of_announced;
pub use evidence::{Evidence, EvidenceError, Signer};
pub use frame::{Frame, Kind, MAX_FRAME_BYTES, MAX_FRAME_PAYLOAD};
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
    /// The parties of the committee that take part.
    pub active: ActiveSet,
}

impl Binding {
    /// The name of the session.
    pub fn session(&self) -> Digest {
        Digest::of_value("quittance/v1/mpc-session", self)
    }

    /// Names those who compute: the chain, the committee's keys in order, t, and who takes part.
    /// Shares of one setting are of no use in another, so stored preprocessing is bound to it.
    pub fn setting(&self) -> Digest {
        let Self { chain, committee, threshold, active, .. } = self;
        let mut out = Writer::new();
        chain.encode(&mut out);
        out.list(committee);
        out.u8(*threshold);
        active.encode(&mut out);
        Digest::of("quittance/v1/mpc-setting", &[&out.into_bytes()])
    }

    /// The committee's size and threshold.
    pub fn committee(&self) -> Result<Parties, PartiesError> {
        Parties::new(self.committee.len(), self.threshold)
    }

    /// The parties that take part, if they are `2t + 1` of the committee.
    pub fn parties(&self) -> Result<ActiveSet, PartiesError> {
        self.committee()?.active(&self.active.numbers())
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
        self.active.encode(out);
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
    /// Two parties were told different things, by one of the others or by each other, and as the
    /// session is not signed nothing shows by whom.
    #[error("{party} was told something else than this party")]
    Equivocation {
        /// Whose echo differs.
        party: PartyId,
    },
    /// A party has signed two different things where it had to say one to all.
    #[error("{evidence}")]
    Contradiction {
        /// Proof for everybody who knows the party's key.
        evidence: Box<Evidence>,
    },
    /// What was opened and published in the session differs between this party and another;
    /// disputed: all parties.
    #[error("{party} has seen another session; disputed: all parties")]
    OtherTranscript {
        /// Whose transcript differs.
        party: PartyId,
    },
    /// The shares of an opened value lie on no polynomial of degree t. Some party lied;
    /// of 2t + 1 shares nothing here tells which.
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
    /// This convinces nobody else, as channels are authenticated and most messages not signed, unless
    /// there is [evidence](Self::evidence).
    pub fn culprit(&self) -> Option<PartyId> {
        match self.cause() {
            Self::Malformed { party, .. } | Self::SeedNotCommitted { party } => Some(*party),
            _ => None,
        }
    }

    /// What proves a party's fault to anybody.
    pub fn evidence(&self) -> Option<&Evidence> {
        match self.cause() {
            Self::Contradiction { evidence } => Some(evidence),
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
    setting: Digest,
    parties: ActiveSet,
    me: PartyId,
    mailbox: Arc<Mutex<Mailbox>>,
    signer: Option<Arc<dyn Signer>>,
}

impl Session {
    /// The same session with signatures under what is said to all. Either all parties sign, or none.
    pub fn signed(mut self, signer: impl Signer + 'static) -> Self {
        self.signer = Some(Arc::new(signer));
        self
    }

    /// The session's name; see [`Binding::session`].
    pub fn id(&self) -> &Digest {
        &self.id
    }

    /// The name of those who compute; see [`Binding::setting`].
    pub fn setting(&self) -> &Digest {
        &self.setting
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
        self.mailbox().traffic()
    }

    /// The number of the next exchange.
    pub(crate) fn next_exchange(&self) -> u32 {
        self.mailbox().finished()
    }

    /// Sends one message to each party and waits for one from each.
    ///
    /// The message to oneself comes back unchanged and travels nowhere. Empty messages are sent too: a finished exchange means
    /// that every party has reached it, so nobody is ever more than one exchange ahead, and what
    /// must be buffered is bounded.
    pub async fn exchange(
        &mut self,
        kind: Kind,
        mut outgoing: ByParty<Payload>,
    ) -> Result<ByParty<Payload>, Abort> {
        let own = std::mem::take(&mut outgoing[self.me]);
        let exchange = self.mailbox().send(kind, outgoing);
        let mut messages = poll_fn(|_| match self.mailbox().collect() {
            Some(messages) => Poll::Ready(messages),
            None => Poll::Pending,
        })
        .await;

        let mut incoming = ByParty::from_fn(self.parties, |_| Payload::default());
        incoming[self.me] = own;
        for party in self.parties.others(self.me) {
            match messages[party].take() {
                Some((found, payload))
                    if planted!("frame-kind-not-compared", true, found == kind) =>
                {
                    incoming[party] = payload;
                }
                _ => return Err(Abort::Diverged { party, exchange, expected: kind }),
            }
        }
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
