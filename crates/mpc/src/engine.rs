//! The protocols on shares: one party's engine.
//!
//! Every method is called by all parties with shares of the same values in the same order; each is
//! a fixed number of exchanges whatever the size of its batch, as long as the batch fits one
//! message per peer (two million elements; larger batches are split).

mod binary;
mod bits;
mod check;
mod compare;
mod decompose;
mod draw;
mod lockstep;
mod mask;
mod material;
mod one_hot;
mod open;
mod products;
mod reduce;
mod tree;
mod zero;

pub use compare::LessThan;
pub use mask::{MIN_STATISTICAL_BITS, STATISTICAL_BITS};
pub use material::Material;
pub use one_hot::OneHot;
pub use products::Products;

use std::collections::BTreeMap;

use quittance_crypto::digest::Digest;
use quittance_crypto::field::Fr;
use quittance_crypto::planted;
use rand_core::CryptoRngCore;

use crate::parties::{ActiveSet, ByParty, PartyId};
use crate::prss::Keys;
use crate::session::{Abort, Kind, MAX_MESSAGE, Payload, Session, Traffic};
use crate::shamir::Interpolation;
use crate::share::Share;
use crate::wire::{ELEMENT, unpack};

use binary::{Masks, UncheckedBits};
use bits::BitPair;
use products::Unchecked;
use reduce::Resharing;
use zeroize::Zeroizing;

/// The largest batch that is sent at once.
const MAX_BATCH: usize = MAX_MESSAGE / ELEMENT;

/// One party's side of a joint computation.
pub struct Engine {
    session: Session,
    keys: Keys,
    all: Interpolation,
    resharing: Resharing,
    /// Random bits made in advance and not yet used.
    pairs: Vec<BitPair>,
    /// Products whose results nobody has checked.
    unchecked: Unchecked,
    /// The same for products of bits.
    unchecked_bits: UncheckedBits,
    /// What comparisons on bits need, by width, made in advance and not yet used.
    masks: BTreeMap<u32, Masks>,
    /// Masks of a stored batch that was adopted, for comparisons of any width up to theirs.
    stored: Option<Masks>,
    /// What checks have sent so far.
    checking: Traffic,
    /// The hash of everything that was broadcast so far.
    transcript: Digest,
    /// How many elements are sent to a party at once, at most; the same at all parties.
    batch: usize,
    /// What a party of the tests adds to the points that it re-shares, by exchange and place.
    #[cfg(test)]
    lies: BTreeMap<(u32, usize), Fr>,
    /// Which bits it changes of what it sends for products of bits, by exchange and place.
    #[cfg(test)]
    flips: std::collections::BTreeSet<(u32, usize)>,
}

impl Engine {
    /// Agrees on common seeds with the other parties: three exchanges.
    ///
    /// `rng` must be fresh from the operating system in production. An engine is never stored:
    /// what was interrupted is started anew, in a session of another name.
    pub async fn start(mut session: Session, mut rng: impl CryptoRngCore) -> Result<Self, Abort> {
        let keys = Keys::agree(&mut session, &mut rng).await?;
        let (parties, me) = (session.parties(), session.me());
        let all = Interpolation::of_all(parties);
        let resharing = Resharing::new(parties, me);
        Ok(Self {
            session,
            keys,
            all,
            resharing,
            pairs: vec![],
            unchecked: Unchecked::default(),
            unchecked_bits: UncheckedBits::default(),
            masks: BTreeMap::new(),
            stored: None,
            checking: Traffic::default(),
            transcript: Digest::ZERO,
            batch: MAX_BATCH,
            #[cfg(test)]
            lies: Default::default(),
            #[cfg(test)]
            flips: Default::default(),
        })
    }

    /// Who takes part.
    pub fn parties(&self) -> ActiveSet {
        self.session.parties()
    }

    /// This party.
    pub fn me(&self) -> PartyId {
        self.session.me()
    }

    /// The name of the session.
    pub fn session(&self) -> &Digest {
        self.session.id()
    }

    /// What this party has sent so far.
    pub fn traffic(&self) -> Traffic {
        self.session.traffic()
    }

    /// The part of it that checks of products took.
    pub fn checking(&self) -> Traffic {
        self.checking
    }

    /// Shares of `count` uniform elements that nobody knows; without communication.
    pub fn random(&mut self, count: usize) -> Vec<Share> {
        self.keys.random(count)
    }

    /// Sends the same message to all and returns everybody's.
    pub(crate) async fn broadcast(
        &mut self,
        kind: Kind,
        message: Payload,
    ) -> Result<ByParty<Payload>, Abort> {
        let outgoing = ByParty::from_fn(self.parties(), |_| message.clone());
        let messages = self.session.exchange(kind, outgoing).await?;
        self.note(kind, &messages);
        Ok(messages)
    }

    /// As [`broadcast`](Self::broadcast), for messages of one length whose senders would do harm by
    /// sending different ones: they are signed and compared. Two exchanges. What is compared counts
    /// as part of checks.
    pub(crate) async fn announce(
        &mut self,
        kind: Kind,
        message: Payload,
    ) -> Result<ByParty<Payload>, Abort> {
        let (before, others) = (self.traffic(), self.parties().count() as u64 - 1);
        let bytes = message.len() as u64 * others;
        let plain = Traffic { exchanges: 1, frames: others, bytes };
        let messages = self.session.announce(kind, message).await?;
        self.note(kind, &messages);
        self.checking += self.traffic() - before - plain;
        Ok(messages)
    }

    fn note(&mut self, kind: Kind, messages: &ByParty<Payload>) {
        let header = [&[kind as u8][..], &self.last_exchange().to_be_bytes()].concat();
        let mut parts: Vec<&[u8]> = vec![self.transcript.as_bytes(), &header];
        parts.extend(messages.iter().map(|(_, message)| message.as_slice()));
        self.transcript = Digest::of("quittance/v1/mpc-transcript", &parts);
    }

    /// Makes sure that all parties have seen the same openings and the same commitments to outputs,
    /// and have signed so: to be done before anybody is told a result. Two exchanges.
    pub async fn compare_transcripts(&mut self) -> Result<(), Abort> {
        let own = self.transcript;
        let message = Zeroizing::new(own.as_bytes().to_vec());
        let transcripts = self.announce(Kind::Transcript, message).await?;
        for (party, transcript) in transcripts.iter() {
            if planted!("transcripts-not-compared", false, transcript[..] != own.0) {
                return Err(Abort::OtherTranscript { party });
            }
        }
        Ok(())
    }

    /// The elements in a message that `party` sent in the exchange just finished.
    fn elements(
        &self,
        party: PartyId,
        kind: Kind,
        message: &[u8],
        count: usize,
    ) -> Result<Zeroizing<Vec<Fr>>, Abort> {
        unpack(message, count).map_err(|problem| self.malformed(party, kind, problem))
    }

    pub(crate) fn malformed(&self, party: PartyId, kind: Kind, problem: &'static str) -> Abort {
        Abort::Malformed { party, exchange: self.last_exchange(), kind, problem }
    }

    /// The number of the exchange just finished.
    fn last_exchange(&self) -> u32 {
        self.session.next_exchange().saturating_sub(1)
    }
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod tests;
