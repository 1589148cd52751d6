//! Rejections and refunds: a pending credit goes back to its sender.

use super::{ExecutionError, Executor};
use crate::ids::{AccountId, TransactionId};
use crate::state::PendingCredit;
use crate::transaction::{CreditReturn, ReturnReason};
use quittance_crypto::planted;

impl Executor<'_> {
    pub(super) fn execute_return(
        &mut self,
        terms: &CreditReturn,
        id: TransactionId,
    ) -> Result<(), ExecutionError> {
        let credit = self.plan_return(terms)?;
        let sender = AccountId { institution: credit.sender, asset: terms.holder.asset };
        self.overlay.send_back(terms.holder, &credit, id);
        self.overlay.arrive(sender, PendingCredit { returned: true, ..credit }, id);
        Ok(())
    }

    /// The credit, if it may go back.
    fn plan_return(&self, terms: &CreditReturn) -> Result<PendingCredit, ExecutionError> {
        let &CreditReturn { credit, holder: account, by, reason, .. } = terms;
        self.asset(account.asset)?;
        let pending = self.overlay.account(&account).and_then(|(_, pending)| pending.get(&credit));
        let pending = pending.ok_or(ExecutionError::CreditNotPending { account, credit })?;
        if pending.returned {
            return Err(ExecutionError::AlreadyReturned { account, credit });
        }
        // That only the holder rejects has been verified with the signatures.
        if reason == ReturnReason::Refunded {
            if planted!("refund-by-anybody", false, pending.sender != by) {
                return Err(ExecutionError::NotTheSender { credit, by });
            }
            let from = pending.arrived.plus(self.state.limits().refund_after);
            let height = self.context.height;
            if height < from {
                return Err(ExecutionError::RefundTooEarly { credit, from, height });
            }
        }
        Ok(pending.clone())
    }
}
