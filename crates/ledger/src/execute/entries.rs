//! Entries: postings and credits that balance.

use std::collections::BTreeMap;

use quittance_crypto::group::Point;
use quittance_crypto::planted;

use super::overlay::Posted;
use super::{ExecutionError, Executor, check_sequence};
use crate::ids::{AccountId, CreditId, Height, InstitutionId, RoundId, TransactionId};
use crate::state::{Account, Pending, PendingCredit};
use crate::transaction::{Condition, Credit, Entry, Posting};

/// What an entry does, once it has been found to be in order.
pub(super) struct Plan {
    postings: Vec<Posted>,
    arrivals: Vec<(AccountId, PendingCredit)>,
}

/// How the pending credits of (receiver, sender) change in number by one entry.
type Quotas = BTreeMap<(InstitutionId, InstitutionId), (u32, u32)>;

impl Executor<'_> {
    pub(super) fn execute_entries(
        &mut self,
        entries: &[Entry],
        id: TransactionId,
    ) -> Result<(), ExecutionError> {
        // Entries are in different assets, so none touches an account of another.
        let plans = (0u32..)
            .zip(entries)
            .map(|(position, entry)| self.plan_entry(position, entry, id, None))
            .collect::<Result<Vec<_>, _>>()?;
        plans.into_iter().for_each(|plan| self.write_entry(plan, id));
        Ok(())
    }

    /// Checks an entry. `settling` is the round whose lock does not keep its accounts from posting.
    pub(super) fn plan_entry(
        &self,
        position: u32,
        entry: &Entry,
        id: TransactionId,
        settling: Option<RoundId>,
    ) -> Result<Plan, ExecutionError> {
        self.check_retirement(entry)?;
        let mut quotas = Quotas::new();
        let mut postings = Vec::new();
        let mut sum = Point::identity();
        for posting in &entry.postings {
            let posted = self.plan_posting(position, entry, posting, settling, &mut quotas)?;
            sum += posted.net;
            postings.push(posted);
        }
        // Every credit is given by somebody who posts, so sum(net) = sum(delta) + sum(credits).
        if planted!("imbalance-accepted", false, !sum.is_identity()) {
            return Err(ExecutionError::Imbalanced { entry: position });
        }
        let arrivals = (0u32..)
            .zip(&entry.credits)
            .map(|(index, credit)| {
                let id = CreditId::of(id, position, index);
                self.plan_arrival(entry, credit, id, &mut quotas)
            })
            .collect::<Result<_, _>>()?;
        Ok(Plan { postings, arrivals })
    }

    /// The asset is known. If it is retired, its issuer only takes back: it posts alone and gives
    /// nothing.
    fn check_retirement(&self, entry: &Entry) -> Result<(), ExecutionError> {
        let asset = entry.asset;
        let issuer = self.asset(asset)?.issuer;
        let posts = entry.postings.iter().any(|posting| posting.institution == issuer);
        let alone = entry.postings.len() == 1 && entry.credits.is_empty();
        match posts && !alone && self.state.retired(&asset).is_some() {
            false => Ok(()),
            true => Err(ExecutionError::AssetRetired { asset }),
        }
    }

    /// The posting as it will be written, with `net = delta + sum(given)` and
    /// `delta = new_balance - old_balance - sum(absorbed)`.
    fn plan_posting(
        &self,
        position: u32,
        entry: &Entry,
        posting: &Posting,
        settling: Option<RoundId>,
        quotas: &mut Quotas,
    ) -> Result<Posted, ExecutionError> {
        let id = AccountId { institution: posting.institution, asset: entry.asset };
        self.check_holder(id)?;
        let (unused, nothing) = (Account::default(), Pending::default());
        let (account, pending) = self.overlay.account(&id).unwrap_or((&unused, &nothing));
        check_lock(id, account, self.context.height, settling)?;
        check_sequence(id, account.sequence, posting.sequence)?;
        let mut absorbed = Point::identity();
        for credit in &posting.absorbed {
            let missing = ExecutionError::CreditNotPending { account: id, credit: *credit };
            let credit = pending.get(credit).ok_or(missing)?;
            match credit.condition {
                Condition::None => {}
            }
            absorbed += credit.commitment.point();
            if !credit.returned {
                quotas.entry((id.institution, credit.sender)).or_default().0 += 1;
            }
        }
        let delta = posting.new_balance.point() - account.balance.point() - absorbed;
        let given = given_by(posting.institution, &entry.credits);
        Ok(Posted {
            account: id,
            entry: position,
            sequence: posting.sequence,
            absorbed: posting.absorbed.clone(),
            new_balance: posting.new_balance,
            given,
            net: delta + given,
        })
    }

    /// The credit as it will pend. Absorbed credits of the same entry have made room before.
    fn plan_arrival(
        &self,
        entry: &Entry,
        credit: &Credit,
        id: CreditId,
        quotas: &mut Quotas,
    ) -> Result<(AccountId, PendingCredit), ExecutionError> {
        let account = AccountId { institution: credit.institution, asset: entry.asset };
        self.check_holder(account)?;
        let sender = credit.sender;
        let pending = self.overlay.account(&account).map(|(_, pending)| pending);
        let before = pending.map_or(0, |pending| pending.from_sender(&sender));
        let (gone, come) = quotas.entry((account.institution, sender)).or_default();
        *come += 1;
        let limit = self.state.limits().pending_per_sender;
        let after = before.saturating_sub(*gone).saturating_add(*come);
        if planted!("quota-off-by-one", after > limit + 1, after > limit) {
            return Err(ExecutionError::QuotaExceeded { account, sender, limit });
        }
        let credit = PendingCredit {
            number: 0, // Set, like the height, on arrival.
            id,
            sender,
            commitment: credit.commitment,
            details: credit.details,
            condition: credit.condition,
            arrived: self.context.height,
            returned: false,
        };
        Ok((account, credit))
    }

    pub(super) fn write_entry(&mut self, plan: Plan, id: TransactionId) {
        plan.postings.into_iter().for_each(|posted| self.overlay.post(posted, id));
        let arrivals = plan.arrivals.into_iter();
        arrivals.for_each(|(account, credit)| self.overlay.arrive(account, credit, id));
    }
}

/// What `sender` gives away in these credits.
fn given_by(sender: InstitutionId, credits: &[Credit]) -> Point {
    let own = credits.iter().filter(|credit| credit.sender == sender);
    own.map(|credit| credit.commitment.point()).sum()
}

/// The account may post: it is not locked, or by the very round that settles.
pub(super) fn check_lock(
    id: AccountId,
    account: &Account,
    height: Height,
    settling: Option<RoundId>,
) -> Result<(), ExecutionError> {
    match planted!("lock-ignored", None, account.locked_at(height)) {
        Some(lock) if settling != Some(lock.round) => {
            Err(ExecutionError::Locked { account: id, round: lock.round, until: lock.until })
        }
        _ => Ok(()),
    }
}
