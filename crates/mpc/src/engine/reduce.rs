//! Multiplication: local products are brought back from degree 2t to t by re-sharing.
//!
//! Gennaro, Rabin, Rabin, *Simplified VSS and fast-track multiparty computations* (PODC 1998). If
//! `p_i` are points of a polynomial of degree 2t with constant `p`, then `p = sum of l_i * p_i`
//! over the 2t + 1 active parties, with Lagrange's coefficients `l_i`. Each of them shares
//! `l_i * p_i` with a fresh polynomial `g_i` of degree t, and the sum of what a party receives is
//! its share of `p`.
//!
//! A polynomial of degree t with given constant has t free points. The dealer lets them be
//! pseudo-random at t parties that share a key with it, so that only the other t parties are sent
//! anything: one element each way for t = 1. Any t parties see t points of `g_i`, which
//! are uniform and independent of `p_i`.
//!
//! A dealer that shares another value than `l_i * p_i` adds its error to the product and nobody
//! notices here. That is all it can do: any sub-shares whatever that it sends to the t + 1 honest
//! parties define *some* polynomial. (With more honest parties among those who compute it could send
//! them sub-shares on none, and what they then hold would depend on which of them one asks. That is
//! why no more than 2t + 1 parties are active.) So each result is kept with its factors until the
//! next [check](super::check), without which nothing is opened.

use ark_ff::AdditiveGroup;
use quittance_crypto::field::Fr;
use zeroize::Zeroizing;

use super::{Engine, Products};
use crate::parties::{ActiveSet, ByParty, PartyId};
use crate::session::{Abort, Kind, Payload};
use crate::shamir::lagrange;
use crate::share::Share;
use crate::wire::{ELEMENT, push};

/// With more pairs than this, products are checked without waiting for an opening, so that the
/// record of them stays small.
const MAX_UNCHECKED: usize = 1 << 20;

/// What one party needs to know for re-sharing.
pub(super) struct Resharing {
    /// For each party that does not derive its sub-share of this party's products, this party
    /// included: the coefficients that make the sub-share from `p_i` and the derived sub-shares.
    targets: Vec<(PartyId, Vec<Fr>)>,
    /// Whether a party sends sub-shares to this one.
    receives: ByParty<bool>,
}

impl Resharing {
    pub(super) fn new(parties: ActiveSet, me: PartyId) -> Self {
        let receives = |dealer: PartyId| dealer != me && !parties.derived_from(dealer).contains(me);
        let receives = ByParty::from_fn(parties, receives);
        let points: Vec<_> = parties.ids().map(PartyId::point).collect();
        let own = lagrange(&points, Fr::ZERO)[parties.place(me)];

        let derived = parties.derived_from(me);
        let mut known = vec![Fr::ZERO];
        known.extend(parties.ids().filter(|&id| derived.contains(id)).map(PartyId::point));
        let row = |target: PartyId| {
            let mut row = lagrange(&known, target.point());
            row[0] *= own;
            (target, row)
        };
        let targets = parties.ids().filter(|&id| !derived.contains(id)).map(row).collect();
        Self { targets, receives }
    }
}

impl Engine {
    /// Shares of inner products of shared vectors. One exchange.
    ///
    /// Nothing depends on these results being right before they have been
    /// [checked](Engine::check), and every opening checks them.
    pub async fn inner_products(&mut self, products: Products) -> Result<Vec<Share>, Abort> {
        let shares = self.reduce(&products.points()).await?;
        self.unchecked.push(products, &shares);
        if self.unchecked.pairs() > MAX_UNCHECKED {
            self.check().await?;
        }
        Ok(shares)
    }

    /// Shares of the products of pairs of shared values. One exchange.
    pub async fn multiply(&mut self, pairs: &[(&Share, &Share)]) -> Result<Vec<Share>, Abort> {
        self.inner_products(Products::of_pairs(pairs.iter().copied())).await
    }

    /// Shares of the constants of the polynomials of degree 2t of which these are this party's
    /// points. They are not recorded for the check.
    pub(super) async fn reduce(&mut self, points: &[Fr]) -> Result<Vec<Share>, Abort> {
        let mut shares = Vec::with_capacity(points.len());
        for batch in points.chunks(self.batch) {
            shares.append(&mut self.reduce_batch(batch).await?);
        }
        Ok(shares)
    }

    async fn reduce_batch(&mut self, points: &[Fr]) -> Result<Vec<Share>, Abort> {
        let (mut shares, outgoing) = self.deal_points(points);
        let incoming = self.session.exchange(Kind::Multiply, outgoing).await?;
        for party in self.parties().others(self.me()) {
            let (message, count) = (&incoming[party], self.dealt(party, points.len()));
            let points = self.elements(party, Kind::Multiply, message, count)?;
            shares.iter_mut().zip(&*points).for_each(|(share, point)| share.0 += point);
        }
        Ok(shares)
    }

    /// The messages that re-share points, by receiver, and what is here already of
    /// this party's shares of the results: all but what others send.
    pub(super) fn deal_points(&mut self, points: &[Fr]) -> (Vec<Share>, ByParty<Payload>) {
        let mut streams = self.keys.sub_shares();
        let mut shares = vec![Share::zero(); points.len()];
        let mut outgoing = self.empty_messages(points.len());

        let me = self.me();
        #[cfg(not(test))]
        let dealt = points;
        #[cfg(test)]
        let dealt = &self.lie(points);
        let mut known = Zeroizing::new(vec![Fr::ZERO; streams.outgoing.len() + 1]);
        for (point, share) in dealt.iter().zip(&mut shares) {
            known[0] = *point;
            for (point, stream) in known[1..].iter_mut().zip(&mut streams.outgoing) {
                *point = stream.element();
            }
            for (target, row) in &self.resharing.targets {
                let point = row.iter().zip(&*known).map(|(c, point)| *c * point).sum();
                if *target == me {
                    share.0 += point;
                } else {
                    push(&mut outgoing[*target], &point);
                }
            }
        }
        for stream in &mut streams.incoming {
            shares.iter_mut().for_each(|share| share.0 += stream.element());
        }

        (shares, outgoing)
    }

    /// How many elements a party sends for so many points.
    pub(super) fn dealt(&self, party: PartyId, points: usize) -> usize {
        match self.resharing.receives[party] {
            true => points,
            false => 0,
        }
    }

    /// The points that a party of the tests re-shares in the next exchange.
    #[cfg(test)]
    fn lie(&self, points: &[Fr]) -> Vec<Fr> {
        let exchange = self.session.next_exchange();
        let lie = |(place, point): (usize, &Fr)| match self.lies.get(&(exchange, place)) {
            Some(error) => *point + error,
            None => *point,
        };
        points.iter().enumerate().map(lie).collect()
    }

    /// Buffers that will not grow while they are filled.
    fn empty_messages(&self, elements: usize) -> ByParty<Payload> {
        let mut messages = ByParty::from_fn(self.parties(), |_| Payload::default());
        for (target, _) in &self.resharing.targets {
            if *target != self.me() {
                messages[*target].reserve_exact(elements * ELEMENT);
            }
        }
        messages
    }
}
