//! After the settlement: what discharges the debts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quittance_crypto::encoding::{Encode, Writer};
use quittance_crypto::signature::{Purpose, VerifyingKey};
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_mpc::{ActiveSet, Parties};
use quittance_round::announcement::Announcement;
use quittance_round::queue::FrozenQueue;
use quittance_round::receipt::{
    Attestation, Disclosure, Queue, Receipt, ReceiptError, Signers, Statement, Subject,
};
use quittance_rpc::convert;
use quittance_rpc::proto::party::v1::ReceiptsRequest;
use quittance_rpc::proto::party::v1::party_client::PartyClient;
use tokio::time::sleep;
use tonic::Code;
use tonic::transport::Channel;

use super::Seat;
use super::dealing::is_passing;
use crate::core::{Changes, Core, Failure};
use crate::store::ROUNDS;

/// How long a party is asked again that has not read as much of the chain.
const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(500);

/// What receipts of a settled round are made of, but for the parties' signatures.
pub(super) struct Source {
    subject: Subject,
    /// The parties that have computed: no others have anything to sign.
    active: ActiveSet,
    statement: Statement,
    queue: Arc<FrozenQueue>,
    /// What makes the payments readable that were announced to this bank.
    told: Vec<(InstitutionId, u32, Disclosure)>,
}

/// A verified receipt.
struct Verified {
    payer: InstitutionId,
    place: u32,
    receipt: Receipt,
}

impl Source {
    /// What makes the bank's own payments readable, and those announced to it.
    fn disclosures(&self) -> impl Iterator<Item = (InstitutionId, u32, Disclosure)> {
        let (queue, attempt) = (&self.queue, usize::from(self.subject.attempt));
        let own = (0u32..).zip(0..queue.payments().len()).filter_map(move |(place, index)| {
            let leaf = *queue.leaves().get(index)?;
            let (inclusion, payee) = (queue.inclusion(index)?, queue.payee(index));
            let pad = queue.pads(index).get(attempt)?.clone();
            Some((queue.payer(), place, Disclosure { leaf, inclusion, payee, pad }))
        });
        own.chain(self.told.iter().cloned())
    }
}

fn disclosure(told: &Announcement, attempt: u8) -> Option<(InstitutionId, u32, Disclosure)> {
    let (leaf, inclusion, payee) = (told.leaf, told.inclusion.clone(), told.payee.clone());
    let pad = told.pads.get(usize::from(attempt))?.clone();
    Some((told.payer, told.place, Disclosure { leaf, inclusion, payee, pad }))
}

impl Core {
    /// What receipts of a round are made of that has settled with this bank. Nothing if the bank
    /// has no result of the attempt.
    pub(super) fn receipts_of(
        &self,
        round: RoundId,
        queue: Arc<FrozenQueue>,
        seat: &Seat,
    ) -> Option<Source> {
        let facts = self.parts.rounds.book.round(&round)?;
        let (settled, participant) = (facts.settled?, seat.participant.as_ref()?);
        let attempt = settled.attempt;
        if participant.attempt().number != attempt || seat.results.notices.is_empty() {
            return None;
        }
        let payers = participant.roster().institutions().zip(&seat.results.notices);
        let queues = payers.map(|(payer, notices)| {
            let root = facts.members.get(&payer)?.joined.queue_root;
            Some(Queue { payer, root, notices })
        });
        let statement = Statement::new(queues.collect::<Option<Vec<_>>>()?);
        let (settlement, notices) = (settled.transaction, statement.root());
        let told = self.parts.inbox.of(&round).filter_map(|told| disclosure(told, attempt));
        let told = told.collect();
        let subject = Subject { round, settlement, attempt, notices };
        let active = participant.start().active;
        Some(Source { subject, active, statement, queue, told })
    }

    /// Asks the active parties for their signatures under the notices, makes receipts with them and
    /// keeps those that hold. A receipt that cannot be had is only a warning: the settlement is
    /// final without it.
    pub(super) fn fetch_receipts(&mut self, source: Source) {
        let round = source.subject.round;
        let Some((committee, parties)) = self.parts.rounds.committee(&round) else { return };
        let active = source.active.ids();
        let members = active.map(|id| Some((id, *committee.get(id.position())?)));
        let clients = members.map(|member| {
            let (id, party) = member.ok_or("the committee has no such party")?;
            Ok::<_, String>((id.number(), self.party(party)?))
        });
        let clients: Result<Vec<_>, _> = clients.collect();
        let keys =
            committee.iter().map(|party| self.parts.rounds.book.key(party, Purpose::Receipt));
        let keys: Option<Vec<_>> = keys.map(|key| key.cloned()).collect();
        let (Ok(clients), Some(keys)) = (clients, keys) else { return };
        let asking = async move {
            let mut words = Vec::new();
            for (number, client) in clients {
                match ask(client, round).await {
                    Ok(word) => words.push((number, word)),
                    Err(reason) => {
                        tracing::warn!(%round, number, reason, "a party signs no receipts");
                    }
                }
            }
            words
        };
        self.spawn(asking, move |core, words| {
            core.compute(
                move || verified(&source, words, parties, &keys),
                move |core, receipts| match receipts {
                    Ok(receipts) => core.keep_receipts(round, receipts),
                    Err(error) => {
                        tracing::error!(%round, %error, "receipts are not verified");
                        Ok(())
                    }
                },
            );
            Ok(())
        });
    }

    fn keep_receipts(&mut self, round: RoundId, receipts: Vec<Verified>) -> Result<(), Failure> {
        tracing::info!(%round, receipts = receipts.len(), "receipts have been verified");
        let mut changes = Changes::now();
        for Verified { payer, place, receipt } in receipts {
            let mut key = Writer::new();
            round.encode(&mut key);
            payer.encode(&mut key);
            key.u32(place);
            changes.batch.put(ROUNDS, &key.into_bytes(), &receipt);
        }
        Ok(self.commit(changes)?)
    }
}

/// The receipts that hold, made with the words of those parties that have signed what this bank was
/// told.
fn verified(
    source: &Source,
    words: Vec<(u8, Attestation)>,
    parties: Parties,
    keys: &[VerifyingKey],
) -> Vec<Verified> {
    let good = |(number, word): (u8, Attestation)| {
        let key = keys.get(usize::from(number).checked_sub(1)?)?;
        let holds = word.party == number && word.subject == source.subject;
        if holds && word.verify(key).is_ok() {
            return Some(word);
        }
        tracing::warn!(number, "a party has signed other notices than it has told");
        None
    };
    let words: Vec<_> = words.into_iter().filter_map(good).collect();
    let signers = Signers { parties, keys };
    let receipt = |(payer, place, disclosure): (InstitutionId, u32, Disclosure)| {
        // A payment that was announced by a bank which took no part after all.
        let notice = source.statement.find(&payer, place)?;
        let made = Receipt::new(&words, notice, disclosure);
        let made: Result<_, ReceiptError> =
            made.and_then(|receipt| receipt.verify(signers).map(|_| receipt));
        match made {
            Ok(receipt) => Some(Verified { payer, place, receipt }),
            Err(error) => {
                tracing::warn!(%payer, place, %error, "a receipt does not hold");
                None
            }
        }
    };
    source.disclosures().filter_map(receipt).collect()
}

async fn ask(mut client: PartyClient<Channel>, round: RoundId) -> Result<Attestation, String> {
    let began = Instant::now();
    loop {
        match client.receipts(ReceiptsRequest { round_id: round.to_bytes() }).await {
            Ok(answer) => {
                let bytes = answer.into_inner().attestation;
                return convert::decode("attestation", &bytes).map_err(|error| error.to_string());
            }
            // The party may have to read the block yet.
            Err(status)
                if (is_passing(&status) || status.code() == Code::FailedPrecondition)
                    && began.elapsed() < PATIENCE =>
            {
                sleep(PAUSE).await;
            }
            Err(status) => return Err(status.message().to_owned()),
        }
    }
}
