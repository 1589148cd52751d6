//! Agreement on the batch of stored preprocessing that a session uses.
//!
//! Three exchanges, before any input is used:
//!
//! 1. *Holdings.* Everybody says which batches it has, and the last one that all have used. The
//!    lowest batch that all have, and that is later than any that was used, is chosen.
//! 2. *Naming.* Everybody takes the chosen batch out of its stock (which marks it as used on disk)
//!    and names it, or nothing if it could not read it. This is an announcement: the names are signed,
//!    and everybody tells everybody which it has heard.
//!
//! The batch is used if all have named it. Otherwise it is burnt wherever it was taken.
//!
//! *All honest parties use the same batch, or none does.* If what they have heard is the same, they
//! come to the same end. If not, the session ends before a mask is used, and who has named two
//! batches has signed both. Without the echo a liar could name one batch to one party and another one
//! to the next. Their shares would then not fit, which ends the session, but not before they were
//! sent; and later the other way round, with the rest of both batches. The liar would have shares of
//! different values under the same mask.
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
use crate::stock::{BatchId, Comparison, Holdings, Material, Stock};

impl Engine {
    /// Agrees on a stored batch and takes it over: what it holds is used before anything is made.
    /// The result is the batch, or `None` if there is none that all have. Three exchanges.
    ///
    /// To be called before anything else. Whatever ends the session later, the batch is used.
    pub async fn draw(&mut self, stock: &mut impl Stock) -> Result<Option<BatchId>, Abort> {
        let own = stock.holdings();
        let all = self.holdings(&own).await?;
        let comparison = compare(&own, &all);
        stock.compare(&comparison);
        let chosen = comparison.common.first();
        let material = chosen.and_then(|id| {
            stock.take(id).filter(|material| material.id() == id && self.owns(material))
        });

        let own = name(material.as_ref().map(Material::id));
        let message = Zeroizing::new(own.as_bytes().to_vec());
        let namings = planted!(
            "stock-naming-not-compared",
            self.broadcast(Kind::Stock, message).await?,
            self.announce(Kind::Stock, message).await?
        );
        let unanimous = namings.iter().all(|(_, naming)| naming[..] == own.0);
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

    /// What all parties, this one included, say that they have.
    async fn holdings(&mut self, own: &Holdings) -> Result<Vec<(PartyId, Holdings)>, Abort> {
        let own = Zeroizing::new(own.to_bytes());
        let messages = self.broadcast(Kind::Stock, own).await?;
        let read = |(party, message): (PartyId, &Payload)| {
            let holdings = Holdings::from_bytes(message);
            let problem = "no statement about a stock";
            Ok((party, holdings.map_err(|_| self.malformed(party, Kind::Stock, problem))?))
        };
        messages.iter().map(read).collect()
    }
}

/// What stands for a batch, or for none, in a naming.
fn name(id: Option<&BatchId>) -> Digest {
    id.map_or(Digest::ZERO, |id| Digest::of_value("quittance/v1/mpc-naming", id))
}

/// What everybody's holdings mean for a party.
fn compare(own: &Holdings, all: &[(PartyId, Holdings)]) -> Comparison {
    let latest = all.iter().max_by_key(|(_, holdings)| holdings.agreed);
    let latest = planted!(
        "stock-watermark-ignored",
        None,
        latest.map(|(party, holdings)| (*party, holdings.agreed))
    );
    let is_new = |id: &BatchId| latest.is_none_or(|(_, agreed)| id.number > agreed);
    let is_common = |id: &BatchId| all.iter().all(|(_, holdings)| holdings.ready.contains(id));
    let common = own.ready.iter().filter(|id| is_new(id) && is_common(id)).copied().collect();
    let outdated = latest.filter(|_| own.ready.iter().any(|id| !is_new(id)));
    Comparison { common, outdated }
}

#[cfg(test)]
mod tests;
