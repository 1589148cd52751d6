//! Exchanges as the bank's interface shows them.

use quittance_ledger::ids::InstitutionId;
use quittance_rpc::decimal;
use quittance_rpc::proto::agent::v1 as api;
use tonic::Status;

use super::{Money, Record, Stage};
use crate::core::Setting;

/// An exchange from the point of view of this institution.
pub(crate) fn exchange(record: &Record, setting: &Setting) -> Result<api::Exchange, Status> {
    use api::exchange::State as Shown;
    let us: InstitutionId = setting.institution;
    let (give, get) = record.give_and_get(us);
    let mut shown = api::Exchange {
        uetr: record.uetr().to_string(),
        counterparty: record.counterparty(us).to_string(),
        give: Some(money(give, setting)?),
        get: Some(money(get, setting)?),
        offered_by_us: record.offered_by(us),
        valid_until_ms: record.valid_until.0,
        ..api::Exchange::default()
    };
    match &record.stage {
        Stage::Offered => shown.set_state(Shown::Offered),
        Stage::Accepted => shown.set_state(Shown::Accepted),
        Stage::Signed { transaction, .. } => {
            shown.set_state(Shown::Accepted);
            let id = transaction.as_ref().map(|complete| complete.id().to_string());
            shown.transaction_id = id.unwrap_or_default();
        }
        Stage::Final { transaction, height } => {
            shown.set_state(Shown::Final);
            shown.transaction_id = transaction.to_string();
            shown.height = height.0;
        }
        Stage::Expired { reason } => {
            shown.set_state(Shown::Expired);
            shown.reason = reason.clone();
        }
        Stage::Failed { reason } => {
            shown.set_state(Shown::Failed);
            shown.reason = reason.clone();
        }
    }
    Ok(shown)
}

fn money(money: Money, setting: &Setting) -> Result<api::Money, Status> {
    let decimals = setting.asset(money.asset)?.decimals;
    let amount = decimal::format(money.amount, decimals);
    Ok(api::Money { asset: money.asset.to_string(), amount })
}
