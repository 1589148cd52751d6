//! What the bank asks for, of exchanges.

use std::time::Duration;

use quittance_ledger::ids::InstitutionId;
use quittance_rpc::convert;
use quittance_rpc::proto::agent::v1 as api;
use tonic::{Response, Status};

use super::{Money, Proposal, show};
use crate::core::{Core, Failure, Handle, Setting, View};
use crate::service::MAX_WAIT_MS;

/// How long a proposal waits for its first delivery, so that who has proposed knows, as a rule,
/// that the other side has the offer.
const DELIVERY: Duration = Duration::from_secs(3);

/// `ProposeExchange`.
pub(crate) async fn propose(
    core: &Handle,
    view: &View,
    request: &api::ProposeExchangeRequest,
) -> Result<Response<api::ExchangeResponse>, Status> {
    let setting = &view.setting;
    let counterparty: InstitutionId = convert::text("counterparty", &request.counterparty)?;
    setting.counterparty("counterparty", counterparty)?;
    let proposal = Proposal {
        uetr: convert::uetr("uetr", &request.uetr)?,
        counterparty,
        give: money("give", request.give.as_ref(), setting)?,
        get: money("get", request.get.as_ref(), setting)?,
        valid_ms: request.valid_ms.into(),
    };
    let uetr = proposal.uetr;
    let tried = core.call(move |core| core.propose_exchange(&proposal)).await?;
    // Ends without a word when the first call has ended.
    let _ = tokio::time::timeout(DELIVERY, tried).await;
    let step = move |core: &mut Core| core.exchange(&uetr);
    let record = core.call(step).await?;
    answer(show::exchange(&record, setting)?)
}

/// `AcceptExchange`.
pub(crate) async fn accept(
    core: &Handle,
    view: &View,
    request: &api::AcceptExchangeRequest,
) -> Result<Response<api::ExchangeResponse>, Status> {
    let setting = &view.setting;
    let wait = convert::wait("wait_ms", request.wait_ms, MAX_WAIT_MS)?;
    let uetr = convert::uetr("uetr", &request.uetr)?;
    let give = money("give", request.give.as_ref(), setting)?;
    let get = money("get", request.get.as_ref(), setting)?;
    let mut outcome = core.call(move |core| core.accept_exchange(uetr, give, get)).await?;
    // Over when it is final or has failed, when the time is over, or when the agent stops.
    let _ = tokio::time::timeout(wait, outcome.wait_for(|record| record.stage.is_over())).await;
    let record = outcome.borrow().clone();
    answer(show::exchange(&record, setting)?)
}

/// `ListExchanges`.
pub(crate) async fn list(
    core: &Handle,
    view: &View,
    request: &api::ListExchangesRequest,
) -> Result<Response<api::ListExchangesResponse>, Status> {
    let limit = convert::count("limit", request.limit, 100, 1000)?;
    let setting = view.setting.clone();
    let step = move |core: &mut Core| -> Result<_, Failure> {
        let records = core.exchanges().list().into_iter().take(limit);
        let shown = records.map(|record| show::exchange(record, &setting));
        Ok(shown.collect::<Result<Vec<_>, Status>>()?)
    };
    let exchanges = core.call(step).await?;
    Ok(Response::new(api::ListExchangesResponse { exchanges }))
}

fn answer(exchange: api::Exchange) -> Result<Response<api::ExchangeResponse>, Status> {
    Ok(Response::new(api::ExchangeResponse { exchange: Some(exchange) }))
}

fn money(
    field: &'static str,
    money: Option<&api::Money>,
    setting: &Setting,
) -> Result<Money, Status> {
    let missing = || Status::invalid_argument(format!("{field}: is missing"));
    let api::Money { asset, amount } = money.ok_or_else(missing)?;
    let asset = convert::text(field, asset)?;
    let decimals = setting.asset(asset)?.decimals;
    Ok(Money { asset, amount: convert::positive_amount(field, amount, decimals)? })
}
