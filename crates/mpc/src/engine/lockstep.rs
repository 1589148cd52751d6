//! Both checks of products, in the same exchanges.
//!
//! The check of products [over Z_l](super::check) and that of products of
//! [bits](super::binary::check) take one course. A common random element combines all products into
//! one claim. Then come rounds: the parties compute products, then draw a common random element, at
//! which a shorter claim is left. After the last round the rest is opened. So whatever both send at
//! one point travels in one message, elements of Z_l first, and both take no more exchanges than the
//! longer of them. The shorter begins its rounds later, so that both end with the last.
//!
//! *Nothing is lost by that.* Neither check uses a message or a random element of the other, and
//! within each the order is the same as if it ran alone: all that a random element is to weigh has
//! been received by everybody before it is shown, as all parties confirm. A confirmation is about
//! everything sent before, whichever check it belongs to.

use quittance_crypto::field::Fr;
use quittance_crypto::planted;
use zeroize::Zeroizing;

use super::Engine;
use super::binary::check::{BitClaim, pack as pack_elements, random_elements, unpack};
use super::binary::field::{BYTES, Gf};
use super::binary::shared::Elements;
use super::products::Claim;
use crate::parties::{ByParty, PartyId};
use crate::session::{Abort, Kind, Payload};
use crate::share::Share;
use crate::wire::{ELEMENT, pack, unpack as unpack_field};

/// What is to be shown; either may be missing.
#[derive(Default)]
pub(super) struct Claims {
    pub(super) elements: Option<Claim>,
    pub(super) bits: Option<BitClaim>,
}

impl Claims {
    fn rounds(&self) -> u32 {
        let elements = self.elements.as_ref().map_or(0, Claim::rounds);
        elements.max(self.bits.as_ref().map_or(0, BitClaim::rounds))
    }
}

impl Engine {
    /// Checks all products since the last check, [those of bits](super::binary) included. Three
    /// exchanges and three for each round, of which there are few more than the logarithm of their
    /// number to the base 32; none if there are no products.
    pub async fn check(&mut self) -> Result<(), Abort> {
        let unchecked = std::mem::take(&mut self.unchecked);
        let unchecked_bits = std::mem::take(&mut self.unchecked_bits);
        let unchecked = planted!("products-not-checked", Default::default(), unchecked);
        let unchecked_bits =
            planted!("binary-products-not-checked", Default::default(), unchecked_bits);
        let (elements, bits) = (!unchecked.is_empty(), !unchecked_bits.is_empty());
        if elements || bits {
            let before = self.traffic();
            let (r, r_bits) = self.challenges(elements, bits).await?;
            let claims = Claims {
                elements: elements.then(|| unchecked.combine(&r)),
                bits: bits.then(|| BitClaim::combine(unchecked_bits, r_bits)),
            };
            self.show(claims).await?;
            self.checking += self.traffic() - before;
        }
        Ok(())
    }

    /// A common random element that nobody knew while it could still change a product.
    pub(super) async fn challenge(&mut self) -> Result<Fr, Abort> {
        Ok(self.challenges(true, false).await?.0)
    }

    /// The same in both fields, or zero where none is wanted. Two exchanges.
    async fn challenges(&mut self, elements: bool, bits: bool) -> Result<(Fr, Gf), Abort> {
        planted!("challenge-before-confirmation", (), self.confirm().await?);
        let random = self.random(usize::from(elements));
        let random_bits = self.random_elements(usize::from(bits));
        let (r, r_bits) = self.open_both(&random, &random_bits).await?;
        let elements = (r.into_iter().sum(), r_bits.into_iter().sum());
        Ok(planted!("challenge-known-beforehand", (Fr::from(2u64), elements.1), elements))
    }

    /// Returns after everybody has received everything that was sent before.
    pub(super) async fn confirm(&mut self) -> Result<(), Abort> {
        let messages = self.broadcast(Kind::Confirm, Payload::default()).await?;
        for party in self.parties().others(self.me()) {
            self.elements(party, Kind::Confirm, &messages[party], 0)?;
        }
        Ok(())
    }

    /// Shows that claims are right, and nothing else about them.
    pub(super) async fn show(&mut self, mut claims: Claims) -> Result<(), Abort> {
        for round in (1..=claims.rounds()).rev() {
            claims = self.round(claims, round).await?;
        }
        let shares = claims.elements.map(|claim| claim.last());
        let masked = match claims.bits {
            None => None,
            Some(BitClaim::Masked(masked)) => Some(masked),
            // There is a round left, which cannot be.
            Some(_) => return Err(Abort::WrongProduct { exchange: self.last_exchange() }),
        };
        let nothing = Elements::default();
        let left = masked.as_ref().map_or(&nothing, |masked| &masked.left);
        let shares = shares.as_ref().map_or(&[][..], |it| it.as_slice());
        let (opened, left) = self.open_both(shares, left).await?;
        let mut right = match opened[..] {
            [left, right, value] => left * right == value,
            // No products over Z_l.
            _ => shares.is_empty(),
        };
        if let Some(masked) = masked {
            let (_, rest) = self.open_both(&[], &masked.rest(&left)).await?;
            right &= rest[..] == [Gf::ZERO];
        }
        match right {
            true => Ok(()),
            false => Err(Abort::WrongProduct { exchange: self.last_exchange() }),
        }
    }

    /// One round of those claims for which there are so many left.
    async fn round(&mut self, claims: Claims, left: u32) -> Result<Claims, Abort> {
        let Claims { mut elements, mut bits } = claims;
        let compression =
            elements.take_if(|claim| claim.rounds() == left).map(|claim| match left {
                1 => claim.mask(&self.random(2)),
                _ => claim.compress(),
            });
        let bit_compression = bits
            .take_if(|claim| claim.rounds() == left)
            .and_then(|claim| claim.compress(|count| random_elements(&mut self.keys, count)));
        let points = compression.as_ref().map(|it| it.points()).unwrap_or_default();
        let summands = bit_compression.as_ref().map(|it| it.summands()).unwrap_or_default();
        let (shares, products) = self.reduce_both(&points, summands).await?;
        let (p, p_bits) = self.challenges(compression.is_some(), bit_compression.is_some()).await?;
        Ok(Claims {
            elements: compression.map(|it| it.at(&shares, p)).or(elements),
            bits: bit_compression.map(|it| it.at(products, p_bits)).or(bits),
        })
    }

    /// Shares of the constants of polynomials of degree 2t, and components of sums of all parties'
    /// summands, in one exchange.
    async fn reduce_both(
        &mut self,
        points: &[Fr],
        summands: Zeroizing<Vec<Gf>>,
    ) -> Result<(Vec<Share>, Elements), Abort> {
        let own = self.masked_summands(summands);
        let (mut shares, mut outgoing) = self.deal_points(points);
        if !own.is_empty() {
            let message = &mut outgoing[self.after()];
            *message = joined(message, &own);
        }
        let incoming = self.session.exchange(Kind::CheckProduct, outgoing).await?;
        let mut received = Payload::default();
        for party in self.parties().others(self.me()) {
            let components = !own.is_empty() && party == self.before();
            let (dealt, bytes) =
                (self.dealt(party, points.len()), if components { own.len() } else { 0 });
            let message = &incoming[party];
            let (points, rest) = self.split(party, Kind::CheckProduct, message, dealt, bytes)?;
            shares.iter_mut().zip(&*points).for_each(|(share, point)| share.0 += point);
            received.extend_from_slice(rest);
        }
        Ok((shares, Elements { next: unpack(&received), last: unpack(&own) }))
    }

    /// Opens what is uniform or depends on no secret, in one exchange.
    async fn open_both(
        &mut self,
        shares: &[Share],
        elements: &Elements,
    ) -> Result<(Vec<Fr>, Vec<Gf>), Abort> {
        let message = pack(shares.iter().map(|share| &share.0));
        let mut outgoing = ByParty::from_fn(self.parties(), |_| message.clone());
        if elements.len() > 0 {
            // What each of the others misses.
            for (to, component) in [(self.after(), &elements.next), (self.before(), &elements.last)]
            {
                let message = &mut outgoing[to];
                *message = joined(message, &pack_elements(component));
            }
        }
        let incoming = self.session.exchange(Kind::CheckOpen, outgoing).await?;
        let mut points = Vec::with_capacity(self.parties().count());
        let mut missing = vec![];
        for party in self.parties().ids() {
            let bytes = if party == self.me() { 0 } else { elements.len() * BYTES };
            let message = &incoming[party];
            let (own, rest) = self.split(party, Kind::CheckOpen, message, shares.len(), bytes)?;
            points.push(own);
            missing.extend((party != self.me()).then_some(rest));
        }
        let opened = self.combine_points(&points, shares.len())?;
        let [one, other] = missing[..] else { return Ok((opened, vec![])) };
        self.same(one, other)?;
        let missing = unpack(one);
        let sums = elements.iter().zip(missing.iter().copied());
        Ok((opened, sums.map(|(held, missing)| held.next + held.last + missing).collect()))
    }

    /// The elements of Z_l at the front of a message, and the bytes behind them, of which there must
    /// be so many.
    fn split<'m>(
        &self,
        party: PartyId,
        kind: Kind,
        message: &'m [u8],
        elements: usize,
        bytes: usize,
    ) -> Result<(Zeroizing<Vec<Fr>>, &'m [u8]), Abort> {
        let parts = message.split_at_checked(elements * ELEMENT);
        let parts = parts.filter(|(_, rest)| rest.len() == bytes);
        let malformed = |problem| self.malformed(party, kind, problem);
        let (front, rest) = parts.ok_or_else(|| malformed("another number of bytes"))?;
        Ok((unpack_field(front, elements).map_err(malformed)?, rest))
    }
}

/// One message after the other, in a buffer that need not grow.
fn joined(first: &[u8], second: &[u8]) -> Payload {
    let mut both = Zeroizing::new(Vec::with_capacity(first.len() + second.len()));
    both.extend_from_slice(first);
    both.extend_from_slice(second);
    both
}
