//! After the settlement: what discharges the debts.

use std::time::{Duration, Instant};

use quittance_crypto::encoding::{Encode, Writer};
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_mpc::Parties;
use quittance_round::queue::{FrozenQueue, Leaf, MAX_BUCKET};
use quittance_round::receipt::{Receipt, ReceiptShare, Signers};
use quittance_round::result::MAX_RECEIVED;
use quittance_rpc::convert;
use quittance_rpc::proto::party::v1::party_client::PartyClient;
use quittance_rpc::proto::party::v1::{ReceiptsRequest, ReceiptsResponse};
use tokio::time::sleep;
use tonic::Code;
use tonic::transport::Channel;

use super::dealing::is_passing;
use crate::core::{Changes, Core, Failure};
use crate::store::ROUNDS;

/// How long a party is asked again that has not read as much of the chain.
const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(500);

/// A verified receipt with what it proves.
struct Verified {
    payer: InstitutionId,
    place: u32,
    receipt: Receipt,
}

impl Core {
    /// Asks all parties for their signed shares of the settled bits, makes receipts of them and
    /// keeps those that hold. A receipt that cannot be had is only a warning: the settlement is
    /// final without it.
    pub(super) fn fetch_receipts(
        &mut self,
        round: RoundId,
        leaves: Vec<(InstitutionId, u32, Leaf)>,
    ) {
        let Some((committee, parties)) = self.parts.rounds.committee(&round) else { return };
        let clients: Result<Vec<_>, _> = committee.iter().map(|party| self.party(*party)).collect();
        let keys =
            committee.iter().map(|party| self.parts.rounds.book.key(party, Purpose::Receipt));
        let keys: Option<Vec<_>> = keys.map(|key| key.cloned()).collect();
        let (Ok(clients), Some(keys)) = (clients, keys) else { return };
        let asking = async move {
            let mut shares = Vec::new();
            for client in clients {
                match ask(client, round).await {
                    Ok(found) => shares.extend(found),
                    Err(reason) => tracing::warn!(%round, reason, "a party gives no receipts"),
                }
            }
            shares
        };
        self.spawn(asking, move |core, shares| {
            core.compute(
                move || verified(shares, parties, &keys, &leaves),
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

    /// The leaves of payments of and to this bank, by payer and place.
    pub(super) fn leaves(
        &self,
        round: &RoundId,
        queue: &FrozenQueue,
    ) -> Vec<(InstitutionId, u32, Leaf)> {
        let payer = queue.payer();
        let own = (0u32..).zip(queue.leaves()).take(queue.payments().len());
        let own = own.map(|(place, leaf)| (payer, place, *leaf));
        let received = self.parts.inbox.of(round);
        own.chain(received.map(|word| (word.payer, word.place, word.leaf))).collect()
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

fn verified(
    shares: Vec<ReceiptShare>,
    parties: Parties,
    keys: &[quittance_crypto::signature::VerifyingKey],
    leaves: &[(InstitutionId, u32, Leaf)],
) -> Vec<Verified> {
    let signers = Signers { parties, keys };
    let check = |receipt: Result<Receipt, _>| {
        let receipt = receipt.map_err(|error| format!("{error}"))?;
        let (payer, place) = (receipt.subject().payer, receipt.subject().place);
        let leaf = leaves.iter().find(|(of, at, _)| (*of, *at) == (payer, place));
        // Of a payment that did not settle nobody need have been told.
        let Some((.., leaf)) = leaf else { return Ok(None) };
        receipt.verify(signers, leaf).map_err(|error| error.to_string())?;
        Ok::<_, String>(Some(Verified { payer, place, receipt }))
    };
    let checked = Receipt::gather(shares).into_iter().map(check);
    let kept = checked.filter_map(|checked| match checked {
        Ok(verified) => verified,
        Err(reason) => {
            tracing::warn!(reason, "a receipt does not hold");
            None
        }
    });
    kept.collect()
}

async fn ask(
    mut client: PartyClient<Channel>,
    round: RoundId,
) -> Result<Vec<ReceiptShare>, String> {
    let (began, mut all) = (Instant::now(), Vec::new());
    loop {
        // No round has more than fit; a party that says so anyway gets no further.
        let from = u32::try_from(all.len()).map_err(|error| error.to_string())?;
        let request = ReceiptsRequest { round_id: round.to_bytes(), from };
        match client.receipts(request).await {
            Ok(answer) => {
                let ReceiptsResponse { receipts, more } = answer.into_inner();
                let more = more && !receipts.is_empty();
                for bytes in receipts {
                    let share = convert::decode("receipts", &bytes);
                    all.push(share.map_err(|error| error.to_string())?);
                }
                match more {
                    true if all.len() >= MAX_BUCKET + MAX_RECEIVED => {
                        return Err("more receipts than a round can have".to_owned());
                    }
                    true => {}
                    false => return Ok(all),
                }
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
