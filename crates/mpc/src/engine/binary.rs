//! Computation on bits among three active parties, for what happens inside a comparison.
//!
//! Bits are shared over Z_2 in three components (see [`shared`]), many to a machine word. The
//! exclusive or costs nothing. For products (Araki, Furukawa, Lindell, Nof, Ohara, CCS 2016) party i
//! computes
//!
//! `v_i = x_(i+1) (y_(i+1) + y_(i+2)) + x_(i+2) y_(i+1) + F(s_(i+1)) + F(s_(i+2))`
//!
//! and sends it to party i + 1, places among the active parties being counted in a circle. Here s_j is the seed that all but party j hold, so that the last
//! terms cancel in `v_1 + v_2 + v_3 = x y`. Parties i and i + 1 now both have v_i: it is component
//! i + 2 of the product. One bit is sent by each party.
//!
//! *Privacy.* Party i + 1 holds s_(i+2) and s_i, but not s_(i+1): to it v_i is pseudo-random.
//!
//! *Liars.* Each v_i goes to one party only, so a liar can tell nobody two things; and what the two
//! honest parties hold is always a sharing of some bits. A liar so can do nothing but add bits of
//! its choice to results, and it knows which, whatever the secrets are. Each product is therefore
//! kept, with its factors, until the [check](check), without which nothing is opened.
//!
//! *Openings.* Each party is sent the component that it misses by both holders, at least one of
//! whom is honest, and ends the session if they differ. So nobody is made to believe in another
//! value than that of the honest parties' components. An opening shows nothing but the value, which
//! with the two components that a party has determines the third.

pub(super) mod check;
mod compare;
pub(super) mod field;
mod karatsuba;
mod masks;
pub(super) mod shared;
mod string;

pub(super) use masks::Masks;
pub(crate) use shared::{Bits, Held};
pub(crate) use string::BitString;

use quittance_crypto::planted;
use zeroize::Zeroizing;

use super::Engine;
use crate::parties::{ByParty, PartyId};
use crate::session::{Abort, Kind, MAX_MESSAGE, Payload};

/// Products of bits to be computed together, each of a place in one string with that in another.
pub(super) struct Gates {
    left: Bits,
    right: Bits,
}

impl Gates {
    /// Without any, and with room for so many.
    pub(super) fn with_capacity(bits: usize) -> Self {
        Self { left: Bits::with_capacity(bits), right: Bits::with_capacity(bits) }
    }

    /// Adds the products of two strings.
    pub(super) fn push(&mut self, left: &Bits, right: &Bits) {
        self.left.push(left);
        self.right.push(right);
    }
}

/// The products of [`Gates`], to be taken in order.
pub(super) struct Results {
    bits: Bits,
    taken: usize,
}

impl Results {
    pub(super) fn take(&mut self, len: usize) -> Bits {
        self.taken += len;
        self.bits.slice(self.taken - len, len)
    }
}

/// Products that nobody has checked, with their factors.
#[derive(Default)]
pub(super) struct UncheckedBits(Vec<(Gates, Bits)>);

impl UncheckedBits {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Engine {
    /// Whether bits can be shared over Z_2: among three parties, whatever their numbers.
    pub(super) fn has_binary(&self) -> bool {
        self.parties().count() == 3
    }

    fn held(&self) -> Held {
        Held::by(self.parties(), self.me())
    }

    /// The products of bits. One exchange, or none if there are none.
    async fn and(&mut self, gates: Gates) -> Result<Results, Abort> {
        let len = gates.left.len();
        if len == 0 {
            return Ok(Results { bits: Bits::default(), taken: 0 });
        }
        let zero = BitString::from_words(self.keys.zero_words(len.div_ceil(64)), len);
        let summands = gates.left.local_and(&gates.right);
        let own = planted!("binary-summands-not-masked", summands, summands.xor(&zero)).to_bytes();
        let (own, received) = self.pass_on(own).await?;
        let bits = Bits { next: self.bits(&received, len)?, last: self.bits(&own, len)? };
        self.unchecked_bits.0.push((gates, bits.clone()));
        Ok(Results { bits, taken: 0 })
    }

    fn bits(&self, bytes: &[u8], len: usize) -> Result<BitString, Abort> {
        let malformed =
            || self.malformed(self.before(), Kind::BinaryProduct, "bits beyond the last");
        BitString::from_bytes(bytes, len).ok_or_else(malformed)
    }

    /// Opens bits, which must be uniformly masked or checked. One exchange.
    async fn open_bits(&mut self, bits: &Bits) -> Result<BitString, Abort> {
        let missing = self.missing(bits.next.to_bytes(), bits.last.to_bytes()).await?;
        let malformed = || self.malformed(self.after(), Kind::BinaryOpen, "bits beyond the last");
        let missing = BitString::from_bytes(&missing, bits.len()).ok_or_else(malformed)?;
        Ok(bits.next.xor(&bits.last).xor(&missing))
    }

    /// The party to which this one sends its summands of products.
    pub(super) fn after(&self) -> PartyId {
        self.parties().after(self.me(), 1)
    }

    /// The party that sends its summands to this one.
    pub(super) fn before(&self) -> PartyId {
        self.parties().after(self.me(), 2)
    }

    /// Sends a message to the party after this one, and returns it with that of the party before,
    /// which is as long.
    async fn pass_on(&mut self, message: Payload) -> Result<(Payload, Payload), Abort> {
        #[cfg(test)]
        let message = self.lie_in_bits(message);
        let mut received = Zeroizing::new(Vec::with_capacity(message.len()));
        for start in (0..message.len()).step_by(MAX_MESSAGE) {
            let part = start..message.len().min(start + MAX_MESSAGE);
            let mut outgoing = ByParty::from_fn(self.parties(), |_| Payload::default());
            outgoing[self.after()] = Zeroizing::new(message[part.clone()].to_vec());
            let incoming = self.session.exchange(Kind::BinaryProduct, outgoing).await?;
            for (from, length) in [(self.after(), 0), (self.before(), part.len())] {
                let message = &incoming[from];
                self.expect(from, Kind::BinaryProduct, message, length)?;
                received.extend_from_slice(message);
            }
        }
        Ok((message, received))
    }

    /// Tells the others what they miss of a value, given this party's components, and returns the
    /// component that this party misses.
    async fn missing(&mut self, next: Payload, last: Payload) -> Result<Payload, Abort> {
        let mut missing = Zeroizing::new(Vec::with_capacity(next.len()));
        for (next, last) in next.chunks(MAX_MESSAGE).zip(last.chunks(MAX_MESSAGE)) {
            let mut outgoing = ByParty::from_fn(self.parties(), |_| Payload::default());
            outgoing[self.after()] = Zeroizing::new(next.to_vec());
            outgoing[self.before()] = Zeroizing::new(last.to_vec());
            let incoming = self.session.exchange(Kind::BinaryOpen, outgoing).await?;
            let holders = [self.after(), self.before()];
            let [one, other] = holders.map(|from| &incoming[from]);
            self.expect(holders[0], Kind::BinaryOpen, one, next.len())?;
            self.expect(holders[1], Kind::BinaryOpen, other, next.len())?;
            self.same(one, other)?;
            missing.extend_from_slice(one);
        }
        Ok(missing)
    }

    /// That both holders of a component sent the same.
    pub(super) fn same(&self, one: &[u8], other: &[u8]) -> Result<(), Abort> {
        match planted!("binary-opening-not-compared", false, one != other) {
            true => Err(Abort::Inconsistent { exchange: self.last_exchange() }),
            false => Ok(()),
        }
    }

    fn expect(
        &self,
        from: PartyId,
        kind: Kind,
        message: &[u8],
        length: usize,
    ) -> Result<(), Abort> {
        match message.len() == length {
            true => Ok(()),
            false => Err(self.malformed(from, kind, "another number of bytes")),
        }
    }

    /// Changes what a party of the tests takes for its summands and sends, in the next exchange.
    #[cfg(test)]
    pub(super) fn lie_in_bits(&self, mut message: Payload) -> Payload {
        let exchange = self.session.next_exchange();
        for &(_, place) in self.flips.iter().filter(|&&(in_exchange, _)| in_exchange == exchange) {
            message[place / 8] ^= 1 << (place % 8);
        }
        message
    }
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod tests;
