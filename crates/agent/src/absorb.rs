//! Credits that have arrived: absorbed, or sent back.
//!
//! Every posting takes along what waits, in the order of arrival and whatever the value: leaving
//! zeros would unmask decoys. If none is made, one is made for that purpose alone, some time after
//! the first credit has arrived. A credit whose content cannot be opened is rejected.

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::signature::Purpose;
use quittance_ledger::build::{BuildError, Unsigned};
use quittance_ledger::ids::{AccountId, AssetId, CreditId, Height};
use quittance_ledger::transaction::{Action, CreditReturn, ReturnReason, Transaction};
use quittance_rpc::submit::Outcome;
use rand_core::OsRng;

use crate::core::{Core, Failure};
use crate::lanes::Errand;

/// What is to be absorbed, and what to be sent back.
#[derive(Default)]
pub(crate) struct Absorption {
    /// Accounts on which credits wait for the time to be over.
    waiting: BTreeSet<AssetId>,
    /// Accounts on which they have waited long enough.
    due: BTreeSet<AssetId>,
    /// Accounts whose next sequence number is to be used up.
    to_use_up: BTreeSet<AssetId>,
    /// Credits that are being sent back, until the height at which that is tried again.
    returning: BTreeMap<CreditId, Height>,
}

impl Absorption {
    /// Has the next sequence number of an account used, so that no other candidate can take it.
    pub(crate) fn use_up(&mut self, asset: AssetId) {
        self.to_use_up.insert(asset);
    }
}

impl Core {
    /// Does what can be done now: everything that waits is looked at again after each block, and
    /// after each step that may have freed an account.
    pub(crate) fn pump(&mut self) -> Result<(), Failure> {
        if self.check_caught_up().is_err() {
            return Ok(());
        }
        self.pump_rounds()?;
        self.pump_transfers()?;
        let assets: Vec<AssetId> = self.book.registry().assets().collect();
        for asset in assets {
            self.pump_absorption(asset);
            self.send_back(asset);
        }
        self.count_open();
        Ok(())
    }

    /// Absorbs what waits on an account without waiting any longer.
    pub(crate) fn absorb_now(&mut self, asset: AssetId) {
        self.absorption.due.insert(asset);
        self.pump_absorption(asset);
    }

    fn pump_absorption(&mut self, asset: AssetId) {
        let absorbable = self.wallet.absorbable(asset).unwrap_or(0);
        let idle = self.wallet.in_flight(asset).is_ok_and(|candidates| candidates.is_empty());
        if absorbable == 0 {
            self.absorption.due.remove(&asset);
        }
        if self.absorption.due.contains(&asset)
            || idle && self.absorption.to_use_up.contains(&asset)
        {
            // Refused while the account is locked, or another absorption is under way: then later.
            let expiry = self.expiry();
            if let Ok(draft) = self.wallet.draft_absorption(asset, expiry, &mut OsRng) {
                self.absorption.due.remove(&asset);
                self.absorption.to_use_up.remove(&asset);
                self.dispatch(draft, Errand::Absorption);
            }
        } else if absorbable > 0 && self.absorption.waiting.insert(asset) {
            self.after(self.setting.absorb_after, move |core| {
                core.absorption.waiting.remove(&asset);
                core.absorb_now(asset);
                Ok(())
            });
        }
    }

    /// Rejects credits that cannot be absorbed.
    fn send_back(&mut self, asset: AssetId) {
        let (height, expiry) = (self.wallet.height(), self.expiry());
        for (credit, _) in self.wallet.malformed(asset).unwrap_or_default() {
            let under_way = self.absorption.returning.get(&credit);
            if under_way.is_some_and(|until| height < *until) {
                continue;
            }
            self.absorption.returning.insert(credit, expiry);
            let (setting, terms) = (self.setting.clone(), self.wallet.terms(expiry));
            let key_fingerprint = setting.signing(Purpose::Transaction).verifying_key();
            let back = CreditReturn {
                credit,
                holder: AccountId { institution: setting.institution, asset },
                by: setting.institution,
                key_fingerprint: key_fingerprint.fingerprint(),
                reason: ReturnReason::Rejected,
            };
            let sign = move || -> Result<Transaction, BuildError> {
                let unsigned = Unsigned::new(terms.act(Action::Return(back))?, Vec::new())?;
                let key = setting.key_for(&unsigned);
                let signature = unsigned.sign(setting.institution, key)?;
                unsigned.assemble(vec![signature])
            };
            self.compute(sign, move |core, signed| {
                match signed {
                    Ok(Ok(transaction)) => core.submit_return(credit, transaction),
                    Err(error) => tracing::error!(%credit, %error, "a credit is not rejected"),
                    Ok(Err(error)) => {
                        tracing::warn!(%credit, %error, "a credit cannot be rejected")
                    }
                }
                Ok(())
            });
        }
    }

    fn submit_return(&mut self, credit: CreditId, transaction: Transaction) {
        let submitter = self.setting.submitter.clone();
        self.spawn(async move { submitter.settle(&transaction).await }, move |_, outcome| {
            match outcome {
                Ok(Outcome::Final { .. }) => tracing::info!(%credit, "a credit has been rejected"),
                Ok(Outcome::Rejected { reason, .. }) => {
                    tracing::warn!(%credit, reason, "a credit could not be rejected");
                }
                Err(error) => tracing::warn!(%credit, %error, "a credit could not be rejected"),
            }
            Ok(())
        });
    }
}
