//! Saying one thing to all: messages whose hashes are signed and compared before they are used.
//!
//! Nothing keeps a party from sending different messages to different parties. Where that would hurt,
//! each sends with its message a signature under its hash (see [`evidence`](super::evidence)), and
//! everybody tells everybody what it has got from each, with the signatures. If all is the same, all
//! honest parties have the same messages. If two hashes differ that the same party has signed, both
//! signatures are evidence against it. An echo that its alleged sender has not signed speaks against
//! whoever sends the echo.
//!
//! A session without a [`Signer`] compares the hashes alone, and cannot name whose they are.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::planted;
use quittance_crypto::signature::{Purpose, Signature};
use zeroize::Zeroizing;

use super::evidence::{Evidence, Place, Said};
use super::{Abort, Kind, Payload, Session};
use crate::parties::{ByParty, PartyId};

/// The hash of a message, with its sender's signature if the session is signed.
#[derive(Clone)]
struct Heard {
    content: Digest,
    signature: Option<Signature>,
}

impl Encode for Heard {
    fn encode(&self, out: &mut Writer) {
        self.content.encode(out);
        out.list(self.signature.as_slice());
    }
}

impl Decode for Heard {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { content: Digest::decode(input)?, signature: signature(input)? })
    }
}

fn signature(input: &mut Reader<'_>) -> Result<Option<Signature>, DecodeError> {
    Ok(input.list(1, "signature")?.pop())
}

impl Session {
    /// Sends the same message to all, and returns everybody's once all have told each other that
    /// they have received the same. All messages have the length of this one. Two exchanges.
    pub(crate) async fn announce(
        &mut self,
        kind: Kind,
        message: Payload,
    ) -> Result<ByParty<Payload>, Abort> {
        let (session, exchange) = (self.id, self.next_exchange());
        let place = Place { session, exchange, kind };
        let content = hash(&message);
        let statement = place.statement(self.me.number(), &content);
        let signature = self.signer.as_ref().map(|signer| signer.sign(&statement));
        let mut out = Writer::new();
        out.list(signature.as_slice());
        let mut own = Zeroizing::new(Vec::with_capacity(message.len()));
        own.extend_from_slice(&message);
        own.extend_from_slice(&out.into_bytes());
        let length = message.len();

        let received = self.exchange(kind, ByParty::from_fn(self.parties, |_| own.clone())).await?;
        let own = Heard { content, signature };
        let mut heard = ByParty::from_fn(self.parties, |_| own.clone());
        for party in self.parties.others(self.me) {
            let malformed = |problem| Abort::Malformed { party, exchange, kind, problem };
            heard[party] = self.hear(place, party, &received[party], length).map_err(malformed)?;
        }
        self.echo(place, heard).await?;
        Ok(ByParty::from_fn(self.parties, |party| {
            Zeroizing::new(received[party].get(..length).unwrap_or_default().to_vec())
        }))
    }

    fn hear(
        &self,
        place: Place,
        party: PartyId,
        message: &[u8],
        length: usize,
    ) -> Result<Heard, &'static str> {
        let parts = message.split_at_checked(length);
        let (message, rest) = parts.ok_or("another length")?;
        let mut input = Reader::new(rest);
        let signature = signature(&mut input).map_err(|_| "another length, or no signature")?;
        input.finish().map_err(|_| "another length")?;
        let heard = Heard { content: hash(message), signature };
        match self.is_signed(place, party, &heard) {
            true => Ok(heard),
            false => Err("not signed by its sender"),
        }
    }

    /// Whether what was heard from a party is signed by it; in a session without signatures, whether
    /// there is none.
    fn is_signed(&self, place: Place, party: PartyId, heard: &Heard) -> bool {
        let Some(signer) = &self.signer else { return heard.signature.is_none() };
        let statement = place.statement(party.number(), &heard.content);
        let signed = signer.key(party).zip(heard.signature.as_ref());
        let valid = signed.is_some_and(|(key, signature)| {
            key.verify(Purpose::Round, &statement, signature).is_ok()
        });
        planted!("statement-signature-not-verified", true, valid)
    }

    /// Tells all what was heard, and compares it with what they have heard.
    async fn echo(&mut self, place: Place, heard: ByParty<Heard>) -> Result<(), Abort> {
        let kind = Kind::Echo;
        let mut out = Writer::new();
        heard.iter().for_each(|(_, heard)| heard.encode(&mut out));
        let own = Zeroizing::new(out.into_bytes());
        let exchange = self.next_exchange();
        let echoes = self.exchange(kind, ByParty::from_fn(self.parties, |_| own.clone())).await?;
        // A contradiction names who has caused it, whoever is first among those that notice.
        let mut fault = None;
        for (party, echo) in echoes.iter().filter(|(party, _)| *party != self.me) {
            let found = match self.compare(place, &heard, echo) {
                Ok(()) => continue,
                Err(Difference::Contradiction(evidence)) => {
                    return Err(Abort::Contradiction { evidence });
                }
                Err(Difference::Unsigned) => Abort::Equivocation { party },
                Err(Difference::Malformed(problem)) => {
                    Abort::Malformed { party, exchange, kind, problem }
                }
            };
            fault.get_or_insert(found);
        }
        fault.map_or(Ok(()), Err)
    }

    fn compare(&self, place: Place, heard: &ByParty<Heard>, echo: &[u8]) -> Result<(), Difference> {
        let mut input = Reader::new(echo);
        for (speaker, here) in heard.iter() {
            let there = Heard::decode(&mut input);
            let there = there.map_err(|_| Difference::Malformed("not one hash for each party"))?;
            if planted!("seed-echo-not-compared", true, there.content == here.content) {
                continue;
            }
            if self.signer.is_none() {
                return Err(Difference::Unsigned);
            }
            if !self.is_signed(place, speaker, &there) {
                return Err(Difference::Malformed("an echo that its sender has not signed"));
            }
            let [one, other] = [here, &there].map(|heard| {
                let (content, signature) = (heard.content, heard.signature.clone()?);
                Some(Said { content, signature })
            });
            let said = one.zip(other).ok_or(Difference::Unsigned)?;
            let evidence = Evidence::new(place, speaker, said.into());
            return Err(Difference::Contradiction(Box::new(evidence)));
        }
        input.finish().map_err(|_| Difference::Malformed("more than one hash for each party"))
    }
}

/// How an echo is not what was heard here.
enum Difference {
    Contradiction(Box<Evidence>),
    /// Somebody has sent different messages, and nothing shows who.
    Unsigned,
    Malformed(&'static str),
}

fn hash(message: &[u8]) -> Digest {
    Digest::of("quittance/v1/mpc-announcement", &[message])
}

/// The hash of an announcement that is not signed, from all the bytes that are sent.
#[cfg(test)]
pub(crate) fn hash_of_announced(payload: &[u8]) -> Digest {
    hash(&payload[..payload.len() - 4])
}

#[cfg(test)]
mod tests;
