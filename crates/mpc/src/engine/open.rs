//! Openings: everybody learns a shared value.

use quittance_crypto::field::Fr;
use zeroize::Zeroizing;

use super::Engine;
use crate::session::{Abort, Kind};
use crate::share::Share;
use crate::wire::pack;

impl Engine {
    /// The values of which these are the shares, made known to all parties. One exchange, after
    /// the check of all products on which they may depend.
    ///
    /// Shares of all active parties are used: if they lie on no polynomial of degree t, somebody lied
    /// and the session ends. Of 2t + 1 shares nobody can tell which is wrong; but up to t liars cannot
    /// make an honest party accept another value, since the t + 1 honest shares define the polynomial.
    pub async fn open(&mut self, shares: &[&Share]) -> Result<Vec<Fr>, Abort> {
        self.check().await?;
        self.open_unchecked(shares).await
    }

    /// As [`open`](Self::open), for values that may be known whatever is wrong with products.
    pub(super) async fn open_unchecked(&mut self, shares: &[&Share]) -> Result<Vec<Fr>, Abort> {
        let mut values = Vec::with_capacity(shares.len());
        for batch in shares.chunks(self.batch) {
            values.append(&mut self.open_batch(batch).await?);
        }
        Ok(values)
    }

    async fn open_batch(&mut self, shares: &[&Share]) -> Result<Vec<Fr>, Abort> {
        let message = pack(shares.iter().map(|share| &share.0));
        let messages = self.broadcast(Kind::Open, message).await?;
        let points = messages
            .iter()
            .map(|(party, message)| self.elements(party, Kind::Open, message, shares.len()))
            .collect::<Result<Vec<_>, _>>()?;

        self.combine_points(&points, shares.len())
    }

    /// The first `count` values of which each party sent a point, by position.
    pub(super) fn combine_points(
        &self,
        points: &[Zeroizing<Vec<Fr>>],
        count: usize,
    ) -> Result<Vec<Fr>, Abort> {
        let mut row = Zeroizing::new(vec![Fr::default(); points.len()]);
        let mut open = |index: usize| {
            row.iter_mut().zip(points).for_each(|(point, points)| *point = points[index]);
            let inconsistent = Abort::Inconsistent { exchange: self.last_exchange() };
            self.all.open(&row).ok_or(inconsistent)
        };
        (0..count).map(&mut open).collect()
    }
}
