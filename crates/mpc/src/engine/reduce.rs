//! Multiplication: local products are brought back from degree 2t to t by re-sharing.
//!
//! Gennaro, Rabin, Rabin, *Simplified VSS and fast-track multiparty computations* (PODC 1998). If
//! `p_i` are points of a polynomial of degree 2t with constant `p`, then `p = sum of l_i * p_i`
//! over any 2t + 1 parties, with Lagrange's coefficients `l_i`. Each of these parties shares
//! `l_i * p_i` with a fresh polynomial `g_i` of degree t, and the sum of what a party receives is
//! its share of `p`.
//!
//! A polynomial of degree t with given constant has t free points. The dealer lets them be
//! pseudo-random at t parties that share a key with it, so that only the other n - 1 - t parties
//! are sent anything: one element each way for n = 3. Any t parties see t points of `g_i`, which
//! are uniform and independent of `p_i`.
//!
//! Passive security only: a dealer that shares another value than `l_i * p_i` adds its error to
//! the product and nobody notices here. With n = 2t + 1 that is all it can do, since any
//! sub-shares whatever, together with the honest parties' t + 1 points, define *some* polynomial.
//! A layer that verifies products must do so before an opening that depends on them; it sees
//! them all in [`Engine::reduce`].

use ark_ff::AdditiveGroup;
use quittance_crypto::field::Fr;
use zeroize::Zeroizing;

use super::Engine;
use crate::parties::{Parties, PartyId};
use crate::session::{Abort, Kind, Payload};
use crate::shamir::lagrange;
use crate::share::{Product, Share};
use crate::wire::{ELEMENT, push};

/// What one party needs to know for re-sharing.
pub(super) struct Resharing {
    /// For each party that does not derive its sub-share of this party's products, this party
    /// included: the coefficients that make the sub-share from `p_i` and the derived sub-shares.
    /// Empty if this party does not deal.
    targets: Vec<(PartyId, Vec<Fr>)>,
    /// By position: whether that party sends sub-shares to this one.
    receives: Vec<bool>,
}

impl Resharing {
    pub(super) fn new(parties: Parties, me: PartyId) -> Self {
        let active: Vec<_> = parties.active().collect();
        let receives = |dealer: PartyId| {
            dealer != me && active.contains(&dealer) && !parties.derived_from(dealer).contains(me)
        };
        let receives = parties.ids().map(receives).collect();
        let Some(place) = active.iter().position(|&id| id == me) else {
            return Self { targets: vec![], receives };
        };
        let points: Vec<_> = active.iter().map(|id| id.point()).collect();
        let own = lagrange(&points, Fr::ZERO)[place];

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
    /// Shares of the values whose points of degree 2t these are. One exchange.
    pub async fn reduce(&mut self, products: &[Product]) -> Result<Vec<Share>, Abort> {
        let mut shares = Vec::with_capacity(products.len());
        for batch in products.chunks(self.batch) {
            shares.append(&mut self.reduce_batch(batch).await?);
        }
        Ok(shares)
    }

    /// Shares of the products of pairs of shared values. One exchange.
    pub async fn multiply(&mut self, pairs: &[(&Share, &Share)]) -> Result<Vec<Share>, Abort> {
        let products: Vec<_> = pairs.iter().map(|&(a, b)| a * b).collect();
        self.reduce(&products).await
    }

    async fn reduce_batch(&mut self, products: &[Product]) -> Result<Vec<Share>, Abort> {
        let mut streams = self.keys.sub_shares();
        let mut shares = vec![Share::zero(); products.len()];
        let mut outgoing = self.empty_messages(products.len());

        if !self.resharing.targets.is_empty() {
            let me = self.me();
            let mut known = Zeroizing::new(vec![Fr::ZERO; streams.outgoing.len() + 1]);
            for (product, share) in products.iter().zip(&mut shares) {
                known[0] = product.0;
                for (point, stream) in known[1..].iter_mut().zip(&mut streams.outgoing) {
                    *point = stream.element();
                }
                for (target, row) in &self.resharing.targets {
                    let point = row.iter().zip(&*known).map(|(c, point)| *c * point).sum();
                    if *target == me {
                        share.0 += point;
                    } else {
                        push(&mut outgoing[target.position()], &point);
                    }
                }
            }
        }
        for stream in streams.incoming.iter_mut().flatten() {
            shares.iter_mut().for_each(|share| share.0 += stream.element());
        }

        let incoming = self.session.exchange(Kind::Multiply, outgoing).await?;
        for party in self.parties().others(self.me()) {
            let count = match self.resharing.receives[party.position()] {
                true => products.len(),
                false => 0,
            };
            let message = &incoming[party.position()];
            let points = self.elements(party, Kind::Multiply, message, count)?;
            shares.iter_mut().zip(&*points).for_each(|(share, point)| share.0 += point);
        }
        Ok(shares)
    }

    /// Buffers that will not grow while they are filled.
    fn empty_messages(&self, elements: usize) -> Vec<Payload> {
        let mut messages = vec![Payload::default(); self.parties().count()];
        for (target, _) in &self.resharing.targets {
            if *target != self.me() {
                messages[target.position()].reserve_exact(elements * ELEMENT);
            }
        }
        messages
    }
}
