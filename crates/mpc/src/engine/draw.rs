//! Agreement on the batch of stored preprocessing that a session uses.
//!
//! Three exchanges, before any input is used:
//!
//! 1. *Holdings.* Everybody says which batches it has, and the last one that all have used. The
//!    lowest batch that all have, and that is later than any that was used, is chosen.
//! 2. *Naming.* Everybody takes the chosen batch out of its stock (which marks it as used on disk)
//!    and names it, or nothing if it could not read it.
//! 3. *Echo.* Everybody sends a digest of all namings.
//!
//! The batch is used if all have named it. Otherwise it is burnt wherever it was taken.
//!
//! *All honest parties use the same batch, or none does.* Each honest party compares the digest of
//! the namings with that of every other one; if they are equal, all have the same namings and come
//! to the same end. If not, the session ends before a mask is used. Without the echo a liar could
//! name one batch to one party and another one to the next. Their shares would then not fit, which
//! ends the session, but not before they were sent; and later the other way round, with the rest of
//! both batches. The liar would have shares of different values under the same mask.
//!
//! *No batch is used twice.* An honest party names a batch once, since it has marked it before. All
//! must name it. So one honest party that remembers is enough, whatever others have forgotten.
//!
//! *Nothing is shown.* Holdings are numbers and names of sessions, and do not depend on inputs.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::planted;
use zeroize::Zeroizing;

use super::Engine;
use crate::parties::PartyId;
use crate::session::{Abort, Kind, Payload};
use crate::stock::{BatchId, Comparison, Holdings, Naming, Stock};

impl Engine {
    /// Agrees on a stored batch and takes it over: what it holds is used before anything is made.
    /// The result is the batch, or `None` if there is none that all have. Three exchanges.
    ///
    /// To be called before anything else. Whatever ends the session later, the batch is used.
    pub async fn draw(&mut self, stock: &mut impl Stock) -> Result<Option<BatchId>, Abort> {
        let own = stock.holdings();
        let holdings = self.tell(&own).await?;
        let all = self.read::<Holdings>(&holdings)?;
        let comparison = compare(&own, &all);
        stock.compare(&comparison);
        let chosen = comparison.common.first();
        let material = chosen.and_then(|id| {
            stock.take(id).filter(|material| material.id() == id && self.owns(material))
        });

        let own = Naming(material.as_ref().map(|material| *material.id()));
        let messages = self.tell(&own).await?;
        let namings = self.read::<Naming>(&messages)?;
        let echo = self.digest(&messages);
        let echoes = self.tell(&echo).await?;
        for (party, other) in self.read::<Digest>(&echoes)? {
            if planted!("stock-echo-not-compared", false, other != echo) {
                return Err(Abort::OtherStock { party });
            }
        }
        let unanimous = namings.iter().all(|(_, naming)| *naming == own);
        match material.filter(|_| unanimous) {
            Some(material) => {
                let id = *material.id();
                stock.agreed(&id);
                self.adopt(material);
                Ok(Some(id))
            }
            None => Ok(None),
        }
    }

    async fn tell(&mut self, value: &impl Encode) -> Result<Vec<Payload>, Abort> {
        self.broadcast(Kind::Stock, Zeroizing::new(value.to_bytes())).await
    }

    /// What all parties, this one included, have said.
    fn read<T: Decode>(&self, messages: &[Payload]) -> Result<Vec<(PartyId, T)>, Abort> {
        let value = |(party, message): (PartyId, &Payload)| {
            let problem = "no statement about a stock";
            let value = T::from_bytes(message);
            Ok((party, value.map_err(|_| self.malformed(party, Kind::Stock, problem))?))
        };
        self.parties().ids().zip(messages).map(value).collect()
    }

    fn digest(&self, namings: &[Payload]) -> Digest {
        let session: &[u8] = self.session().as_bytes();
        let namings = namings.iter().map(|naming| naming.as_slice());
        let parts: Vec<_> = std::iter::once(session).chain(namings).collect();
        Digest::of("quittance/v1/mpc-namings", &parts)
    }
}

/// What everybody's holdings mean for a party.
fn compare(own: &Holdings, all: &[(PartyId, Holdings)]) -> Comparison {
    let latest = all.iter().max_by_key(|(_, holdings)| holdings.agreed);
    let latest = latest.map(|(party, holdings)| (*party, holdings.agreed));
    let latest = planted!("stock-watermark-ignored", None, latest);
    let is_new = |id: &BatchId| latest.is_none_or(|(_, agreed)| id.number > agreed);
    let is_common = |id: &BatchId| all.iter().all(|(_, holdings)| holdings.ready.contains(id));
    let common = own.ready.iter().filter(|id| is_new(id) && is_common(id)).copied().collect();
    let outdated = latest.filter(|_| own.ready.iter().any(|id| !is_new(id)));
    Comparison { common, outdated }
}

#[cfg(test)]
mod tests;
