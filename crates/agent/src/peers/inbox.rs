//! Payments that payers announce, until their round is over.
//!
//! An announcement is kept by round, payer and place in the payer's queue. Only rounds that are
//! open on the chain, and payers that hold accounts, find room here, each payer for as many as the
//! longest queue has: so nobody can fill the memory, nor use up what another needs. Whether an
//! announcement is true is checked against the queue's root on the ledger by whoever uses it.

use std::collections::BTreeMap;

use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_round::announcement::Announcement;
use quittance_round::queue::MAX_BUCKET;
use quittance_rpc::convert;
use tonic::Status;

use crate::core::{Core, Failure};

/// Announcements that were received. As secret as the payments.
#[derive(Default)]
pub(crate) struct Inbox {
    rounds: BTreeMap<RoundId, Round>,
}

/// Of one round, by payer and place.
type Round = BTreeMap<(InstitutionId, u32), Announcement>;

/// The announcements of one call, all for this round and from this payer.
pub(crate) fn decode(
    round: RoundId,
    payer: InstitutionId,
    encoded: &[Vec<u8>],
) -> Result<Vec<Announcement>, Status> {
    let wrong = |why: &str| Status::invalid_argument(format!("announcements: {why}"));
    if encoded.len() > MAX_BUCKET {
        return Err(wrong("more than a queue can have"));
    }
    let decoded = encoded.iter().map(|bytes| {
        let announcement: Announcement = convert::decode("announcements", bytes)?;
        if announcement.round != round {
            return Err(wrong("of another round"));
        }
        if announcement.payer != payer {
            return Err(wrong("of another payer"));
        }
        if usize::try_from(announcement.place).is_ok_and(|place| place < MAX_BUCKET) {
            return Ok(announcement);
        }
        Err(wrong("of a place that no queue has"))
    });
    decoded.collect()
}

impl Inbox {
    /// Keeps announcements of one round; a later one for the same place takes the place.
    fn put(&mut self, round: RoundId, announcements: Vec<Announcement>) {
        let kept = self.rounds.entry(round).or_default();
        for announcement in announcements {
            kept.insert((announcement.payer, announcement.place), announcement);
        }
    }

    /// What was announced for a round so far, by payer and place.
    pub(crate) fn of(&self, round: &RoundId) -> impl Iterator<Item = &Announcement> {
        self.rounds.get(round).into_iter().flat_map(BTreeMap::values)
    }

    /// Erases what was announced for rounds that are over.
    pub(crate) fn retain(&mut self, open: impl Fn(&RoundId) -> bool) {
        self.rounds.retain(|round, _| open(round));
    }
}

#[cfg(test)]
mod tests;

impl Core {
    /// Another agent announces payments to this institution. Refused until the chain has shown the
    /// round; to be tried again.
    pub(crate) fn payments_announced(
        &mut self,
        round: RoundId,
        payer: InstitutionId,
        announcements: Vec<Announcement>,
    ) -> Result<(), Failure> {
        self.setting.counterparty("caller", payer)?;
        if self.wallet.round(&round).is_none() {
            let text = format!("round_id: the round {round} is not open as far as is known here");
            return Err(Status::unavailable(text).into());
        }
        self.parts.inbox.put(round, announcements);
        Ok(())
    }

    /// A block has come: rounds may be over.
    pub(crate) fn tidy_inbox(&mut self) {
        let wallet = &self.wallet;
        self.parts.inbox.retain(|round| wallet.round(round).is_some());
    }
}
