//! How the parties of a session come to their common seeds.
//!
//! 1. *Commit.* Each member of a set A of t + 1 active parties draws a contribution and sends all
//!    parties a hash of it, with session, set and its own number inside: nobody can answer with a
//!    copy of another's commitment.
//! 2. *Echo.* All compare what they have received, with signatures (see
//!    [`announce`](crate::session)). Whoever told two parties different things is noticed before
//!    anything is revealed, and named.
//! 3. *Reveal.* Contributions are revealed and checked. The seed is a hash of all of them, so it is
//!    uniform as long as one member is honest, and t + 1 members include one.
//!
//! With the contributions travels the key from which the receiver derives its sub-shares of the
//! sender's products: any choice of it is as good for the sender as choosing the sub-shares.

use quittance_crypto::digest::Digest;
use quittance_crypto::planted;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::{Keys, Seed, SetKey};
use crate::parties::{ActiveSet, ByParty, PartyId, PartySet};
use crate::session::{Abort, Kind, Payload, Session};

const BYTES: usize = 32;

/// One set of parties that this party belongs to.
struct Contributions {
    set: PartySet,
    /// Zero for parties outside the set.
    commitments: ByParty<Digest>,
    /// This party's own from the start, the others' once revealed.
    contributions: ByParty<Seed>,
}

struct Setup {
    session: Digest,
    parties: ActiveSet,
    me: PartyId,
    /// The number of the first exchange.
    first: u32,
    sets: Vec<Contributions>,
}

impl Keys {
    /// Agrees on the seeds of a session with the other parties. `rng` must be fresh: its output is
    /// what keeps the session's secrets from the other parties.
    pub(crate) async fn agree(
        session: &mut Session,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Self, Abort> {
        let mut setup = Setup::new(session, rng);
        let outgoing = pair_keys(session, rng);

        let commitments = session.announce(Kind::Commit, setup.commitments()).await?;
        setup.accept_commitments(&commitments);
        let reveals = session.exchange(Kind::Reveal, setup.reveals(&outgoing)).await?;
        let incoming = setup.accept_reveals(&reveals)?;
        Ok(setup.finish(outgoing, incoming))
    }
}

fn random_seed(rng: &mut impl CryptoRngCore) -> Seed {
    let mut seed = Zeroizing::new([0; BYTES]);
    rng.fill_bytes(&mut *seed);
    seed
}

/// Keys for those who derive their sub-shares of this party's products.
fn pair_keys(session: &Session, rng: &mut impl CryptoRngCore) -> Vec<(PartyId, Seed)> {
    let (parties, me) = (session.parties(), session.me());
    let derived = parties.derived_from(me);
    parties.ids().filter(|&id| derived.contains(id)).map(|id| (id, random_seed(rng))).collect()
}

impl Setup {
    fn new(session: &Session, rng: &mut impl CryptoRngCore) -> Self {
        // The name stands in all that randomness is made from.
        let id = planted!("session-not-in-randomness", Digest::ZERO, *session.id());
        let (parties, me) = (session.parties(), session.me());
        let mut sets = vec![];
        for set in parties.key_sets().filter(|set| set.contains(me)) {
            let mut contributions = ByParty::from_fn(parties, |_| Seed::default());
            contributions[me] = random_seed(rng);
            let mut commitments = ByParty::from_fn(parties, |_| Digest::ZERO);
            commitments[me] = commit(&id, set, me, &contributions[me]);
            sets.push(Contributions { set, commitments, contributions });
        }
        Self { session: id, parties, me, first: session.next_exchange(), sets }
    }

    /// The sets that this party has in common with `peer`.
    fn common(&self, peer: PartyId) -> impl Iterator<Item = &Contributions> {
        self.sets.iter().filter(move |contributions| contributions.set.contains(peer))
    }

    /// One message per party: for each common set the bytes that `part` gives.
    fn messages(&self, part: impl Fn(&Contributions) -> [u8; BYTES]) -> ByParty<Payload> {
        let message = |peer| Zeroizing::new(self.common(peer).flat_map(&part).collect());
        ByParty::from_fn(self.parties, message)
    }

    /// Reads back what [`messages`](Self::messages) made: per common set, in order.
    fn parts<'a>(
        &self,
        peer: PartyId,
        kind: Kind,
        message: &'a [u8],
        extra: usize,
    ) -> Result<&'a [[u8; BYTES]], Abort> {
        let (parts, rest) = message.as_chunks();
        if !rest.is_empty() || parts.len() != self.common(peer).count() + extra {
            let problem = "another number of seeds";
            let exchange = self.first + 2;
            return Err(Abort::Malformed { party: peer, exchange, kind, problem });
        }
        Ok(parts)
    }

    /// This party's commitments, set by set. Each party belongs to as many sets.
    fn commitments(&self) -> Payload {
        let own = self.sets.iter().flat_map(|of| of.commitments[self.me].0);
        Zeroizing::new(own.collect())
    }

    /// Keeps those of the sets that this party belongs to as well. All have the right length.
    fn accept_commitments(&mut self, messages: &ByParty<Payload>) {
        for peer in self.parties.others(self.me) {
            let sets = self.parties.key_sets().filter(|set| set.contains(peer));
            for (set, part) in sets.zip(messages[peer].as_chunks().0) {
                if let Some(of) = self.sets.iter_mut().find(|of| of.set == set) {
                    of.commitments[peer] = Digest(*part);
                }
            }
        }
    }

    fn reveals(&self, pair_keys: &[(PartyId, Seed)]) -> ByParty<Payload> {
        let mut messages = self.messages(|of| *of.contributions[self.me]);
        for (to, key) in pair_keys {
            messages[*to].extend_from_slice(&**key);
        }
        messages
    }

    /// Checks the contributions and returns the pairwise keys by their sender.
    fn accept_reveals(
        &mut self,
        messages: &ByParty<Payload>,
    ) -> Result<ByParty<Option<Seed>>, Abort> {
        let mut keys = ByParty::from_fn(self.parties, |_| None);
        for party in self.parties.others(self.me) {
            let derives = self.parties.derived_from(party).contains(self.me);
            let message = &messages[party];
            let parts = self.parts(party, Kind::Reveal, message, usize::from(derives))?;
            let mut parts = parts.iter();
            for of in self.sets.iter_mut().filter(|of| of.set.contains(party)) {
                let part = parts.next().map(|part| Zeroizing::new(*part)).unwrap_or_default();
                let commitment = commit(&self.session, of.set, party, &part);
                let other = commitment != of.commitments[party];
                if planted!("seed-opening-not-checked", false, other) {
                    return Err(Abort::SeedNotCommitted { party });
                }
                of.contributions[party] = part;
            }
            keys[party] = parts.next().map(|part| Zeroizing::new(*part));
        }
        Ok(keys)
    }

    fn finish(self, outgoing: Vec<(PartyId, Seed)>, incoming: ByParty<Option<Seed>>) -> Keys {
        let Self { session, parties, me, sets, .. } = self;
        let mut seeds = sets.iter();
        let key = |set: PartySet| {
            let seed = set.contains(me).then(|| seeds.next()).flatten();
            SetKey::new(parties, me, set, seed.map(|of| seed_of(&session, parties, of)))
        };
        let sets = parties.key_sets().map(key).collect();
        Keys { session, sets, outgoing, incoming, parties, me, batch: 0 }
    }
}

fn commit(session: &Digest, set: PartySet, party: PartyId, contribution: &Seed) -> Digest {
    let number = planted!("seed-opener-not-bound", 0, party.number());
    let parts: [&[u8]; 4] =
        [session.as_bytes(), &set.mask().to_be_bytes(), &[number], &**contribution];
    Digest::of("quittance/v1/mpc-seed-commitment", &parts)
}

fn seed_of(session: &Digest, parties: ActiveSet, of: &Contributions) -> Seed {
    let mask = of.set.mask().to_be_bytes();
    let mut parts: Vec<&[u8]> = vec![session.as_bytes(), &mask];
    let members = parties.ids().filter(|&id| of.set.contains(id));
    parts.extend(members.map(|id| &of.contributions[id][..]));
    Zeroizing::new(Digest::of("quittance/v1/mpc-seed", &parts).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parties::Parties;

    /// Whoever answers with a copy of another's commitment cannot open it, since the opener's
    /// number is inside; nor can a commitment serve in another session or for another set.
    #[test]
    fn a_copied_commitment_does_not_open() {
        let parties = Parties::new(3, 1).unwrap().first_active();
        let sets: Vec<_> = parties.key_sets().collect();
        let [one, three] = [1, 3].map(|number| parties.id(number).unwrap());
        let (session, seed) = (Digest::ZERO, Zeroizing::new([7; BYTES]));
        let commitment = commit(&session, sets[0], one, &seed);
        assert_eq!(commit(&session, sets[0], one, &seed), commitment);
        for other in [
            commit(&session, sets[0], three, &seed),
            commit(&session, sets[1], one, &seed),
            commit(&Digest([1; 32]), sets[0], one, &seed),
            commit(&session, sets[0], one, &Zeroizing::new([8; BYTES])),
        ] {
            assert_ne!(other, commitment);
        }
    }
}
