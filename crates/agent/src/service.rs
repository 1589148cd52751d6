//! The bank's interface.

use std::pin::Pin;

use quittance_ledger::ids::{AssetId, Height, InstitutionId, RoundId, Uetr};
use quittance_ledger::payload::{Particulars, ParticularsError};
use quittance_ledger::transaction::MAX_CREDITS;
use quittance_rpc::convert::{amount, count, decode, positive_amount, text, uetr, wait};
use quittance_rpc::decimal;
use quittance_rpc::identity::Role;
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::agent_server::Agent;
use quittance_rpc::proto::coordinator::v1 as coordinator;
use quittance_rpc::server::Peer;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

use crate::core::{Core, Failure, Handle, View};
use crate::exchange;
use crate::receipt;
use crate::show;
use crate::store::{Transfer, TransferReceiver};
use crate::wallet::WalletError;
use crate::watch;

/// The longest wait for an outcome, in milliseconds.
pub(crate) const MAX_WAIT_MS: u32 = 30_000;

/// Answers the bank's own systems.
#[derive(Clone)]
pub(crate) struct Service {
    core: Handle,
    view: View,
    stopping: CancellationToken,
}

impl Service {
    pub(crate) fn new(core: Handle, view: View, stopping: CancellationToken) -> Self {
        Self { core, view, stopping }
    }
}

/// Instructions are for those who may give them.
fn may_instruct<T>(request: &Request<T>) -> Result<&T, Status> {
    Peer::of(request)?.require_role(Role::Initiate)?;
    Ok(request.get_ref())
}

/// Everything else is for those who may look.
fn may_look<T>(request: &Request<T>) -> Result<&T, Status> {
    let peer = Peer::of(request)?;
    if !peer.identity.has(Role::Audit) {
        peer.require_role(Role::Read)?;
    }
    Ok(request.get_ref())
}

/// An asset by its name, or `None` for an empty one.
fn asset_if_any(name: &str) -> Result<Option<AssetId>, Status> {
    match name {
        "" => Ok(None),
        name => Ok(Some(text("asset", name)?)),
    }
}

fn particulars(uetr: Uetr, end_to_end_id: &str, remittance: &str) -> Result<Particulars, Status> {
    Particulars::new(uetr, end_to_end_id, remittance).map_err(|error| {
        let field = match error {
            ParticularsError::EndToEndId => "end_to_end_id",
            ParticularsError::Remittance => "remittance",
        };
        Status::invalid_argument(format!("{field}: {error}"))
    })
}

fn unknown(error: &WalletError) -> Status {
    match error {
        WalletError::UnknownAsset { .. } => Status::invalid_argument(format!("asset: {error}")),
        _ => Status::failed_precondition(error.to_string()),
    }
}

impl Service {
    /// What a transfer is, checked against the register.
    fn read_transfer(&self, request: &api::TransferRequest) -> Result<(Uetr, Transfer), Status> {
        let setting = &self.view.setting;
        let uetr = uetr("uetr", &request.uetr)?;
        let asset: AssetId = text("asset", &request.asset)?;
        let decimals = setting.asset(asset)?.decimals;
        let found = request.receivers.len();
        if !(1..=MAX_CREDITS).contains(&found) {
            let text = format!("receivers: {found} receivers; 1 to {MAX_CREDITS} are possible");
            return Err(Status::invalid_argument(text));
        }
        let receiver = |receiver: &api::Receiver| {
            let institution: InstitutionId = text("receivers.institution", &receiver.institution)?;
            setting.counterparty("receivers.institution", institution)?;
            let amount = amount("receivers.amount", &receiver.amount, decimals)?;
            let particulars = particulars(uetr, &receiver.end_to_end_id, &receiver.remittance)?;
            Ok(TransferReceiver { institution, amount, particulars })
        };
        let receivers = request.receivers.iter().map(receiver).collect::<Result<_, Status>>()?;
        Ok((uetr, Transfer { asset, receivers }))
    }
}

#[tonic::async_trait]
impl Agent for Service {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<api::Event, Status>> + Send>>;

    async fn transfer(
        &self,
        request: Request<api::TransferRequest>,
    ) -> Result<Response<api::TransferResponse>, Status> {
        let request = may_instruct(&request)?;
        let wait = wait("wait_ms", request.wait_ms, MAX_WAIT_MS)?;
        let (uetr, transfer) = self.read_transfer(request)?;
        let mut outcome = self.core.call(move |core| core.transfer(uetr, transfer)).await?;
        // Over when it is terminal, when the time is over, or when the agent stops.
        let _ = tokio::time::timeout(wait, outcome.wait_for(|state| state.is_terminal())).await;
        let outcome = Some(show::outcome(&outcome.borrow()));
        Ok(Response::new(api::TransferResponse { outcome }))
    }

    async fn propose_exchange(
        &self,
        request: Request<api::ProposeExchangeRequest>,
    ) -> Result<Response<api::ExchangeResponse>, Status> {
        exchange::propose(&self.core, &self.view, may_instruct(&request)?).await
    }

    async fn accept_exchange(
        &self,
        request: Request<api::AcceptExchangeRequest>,
    ) -> Result<Response<api::ExchangeResponse>, Status> {
        exchange::accept(&self.core, &self.view, may_instruct(&request)?).await
    }

    async fn list_exchanges(
        &self,
        request: Request<api::ListExchangesRequest>,
    ) -> Result<Response<api::ListExchangesResponse>, Status> {
        exchange::list(&self.core, &self.view, may_look(&request)?).await
    }

    async fn queue_payment(
        &self,
        request: Request<api::QueuePaymentRequest>,
    ) -> Result<Response<api::Payment>, Status> {
        let request = may_instruct(&request)?;
        let uetr = uetr("uetr", &request.uetr)?;
        let asset: AssetId = text("asset", &request.asset)?;
        let decimals = self.view.setting.asset(asset)?.decimals;
        let payee: InstitutionId = text("payee", &request.payee)?;
        self.view.setting.counterparty("payee", payee)?;
        let amount = positive_amount("amount", &request.amount, decimals)?;
        let particulars = particulars(uetr, &request.end_to_end_id, &request.remittance)?;
        let step = move |core: &mut Core| core.queue_payment(asset, payee, amount, particulars);
        let payment = self.core.call(step).await?;
        Ok(Response::new(show::payment(&payment, decimals)))
    }

    async fn list_payments(
        &self,
        request: Request<api::ListPaymentsRequest>,
    ) -> Result<Response<api::ListPaymentsResponse>, Status> {
        let request = may_look(&request)?;
        let limit = count("limit", request.limit, 1000, 10_000)?;
        let asset = asset_if_any(&request.asset)?;
        let step = move |core: &mut Core| {
            core.check_caught_up()?;
            let wanted = |of: AssetId| asset.is_none_or(|asset| asset == of);
            let payments = core.store.payments(|payment| wanted(payment.asset), limit)?;
            let shown = payments.iter().map(|payment| {
                Ok(show::payment(payment, core.setting.asset(payment.asset)?.decimals))
            });
            shown.collect::<Result<Vec<_>, Failure>>()
        };
        let payments = self.core.call(step).await?;
        Ok(Response::new(api::ListPaymentsResponse { payments }))
    }

    async fn cancel_payment(
        &self,
        request: Request<api::CancelPaymentRequest>,
    ) -> Result<Response<api::Payment>, Status> {
        let request = may_instruct(&request)?;
        let uetr = uetr("uetr", &request.uetr)?;
        let payment = self.core.call(move |core| core.cancel_payment(uetr)).await?;
        let decimals = self.view.setting.asset(payment.asset)?.decimals;
        Ok(Response::new(show::payment(&payment, decimals)))
    }

    async fn request_round(
        &self,
        request: Request<api::RequestRoundRequest>,
    ) -> Result<Response<api::RequestRoundResponse>, Status> {
        let request = may_instruct(&request)?;
        let asset: AssetId = text("asset", &request.asset)?;
        self.view.setting.asset(asset)?;
        self.view.progress.borrow().check_caught_up()?;
        let setting = &self.view.setting;
        let client = setting.dialer.coordinator(&setting.directory.coordinator);
        let mut client = client.map_err(|error| Status::internal(error.to_string()))?;
        let request = coordinator::RequestRoundRequest { asset: asset.to_string() };
        let answer = client.request_round(request).await.map_err(|status| {
            let code = match status.code() {
                Code::PermissionDenied | Code::Unauthenticated => Code::Internal,
                code => code,
            };
            Status::new(code, format!("the coordinator answers: {}", status.message()))
        })?;
        let round: RoundId = decode("round_id", &answer.get_ref().round_id)
            .map_err(|error| Status::internal(format!("the coordinator's answer: {error}")))?;
        Ok(Response::new(api::RequestRoundResponse { round_id: round.to_string() }))
    }

    async fn balance(
        &self,
        request: Request<api::BalanceRequest>,
    ) -> Result<Response<api::BalanceResponse>, Status> {
        let asset = asset_if_any(&may_look(&request)?.asset)?;
        let answer = self.core.call(move |core| core.balances(asset)).await?;
        Ok(Response::new(answer))
    }

    async fn statement(
        &self,
        request: Request<api::StatementRequest>,
    ) -> Result<Response<api::StatementResponse>, Status> {
        let request = may_look(&request)?;
        let limit = count("limit", request.limit, 1000, 10_000)?;
        let asset: AssetId = text("asset", &request.asset)?;
        let from = Height(request.from_height);
        let step = move |core: &mut Core| {
            core.check_caught_up()?;
            core.setting.asset(asset)?;
            Ok(core.store.lines(asset, from, limit)?)
        };
        let lines = self.core.call(step).await?;
        Ok(Response::new(api::StatementResponse { lines }))
    }

    async fn payment_receipt(
        &self,
        request: Request<api::PaymentReceiptRequest>,
    ) -> Result<Response<api::PaymentReceiptResponse>, Status> {
        let uetr = uetr("uetr", &may_look(&request)?.uetr)?;
        Ok(Response::new(receipt::of_payment(&self.core, &self.view, uetr).await?))
    }

    async fn watch(
        &self,
        request: Request<api::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let after = may_look(&request)?.after;
        let stream = watch::stream(&self.view, after, self.stopping.clone());
        Ok(Response::new(Box::pin(stream)))
    }

    async fn agent_status(
        &self,
        request: Request<api::AgentStatusRequest>,
    ) -> Result<Response<api::AgentStatusResponse>, Status> {
        may_look(&request)?;
        let answer = self.core.call(|core| Ok(core.status())).await?;
        Ok(Response::new(answer))
    }
}

impl Core {
    /// Balances after the last block.
    fn balances(&self, asset: Option<AssetId>) -> Result<api::BalanceResponse, Failure> {
        self.check_caught_up()?;
        let registry = self.setting.registry();
        let assets = registry.assets();
        let assets: Vec<AssetId> = match asset {
            Some(asset) => vec![asset],
            None => assets.collect(),
        };
        let balances = assets.into_iter().map(|asset| self.balance(asset));
        let balances = balances.collect::<Result<_, Failure>>()?;
        Ok(api::BalanceResponse { height: self.wallet.height().0, balances })
    }

    fn balance(&self, asset: AssetId) -> Result<api::AssetBalance, Failure> {
        let decimals = self.setting.asset(asset)?.decimals;
        let known = || -> Result<_, WalletError> {
            let wallet = &self.wallet;
            let (balance, pending) = (wallet.balance(asset)?, wallet.pending(asset)?);
            Ok((balance, pending, wallet.commitment(asset)?, wallet.lock(asset)?))
        };
        let (balance, pending, commitment, lock) = known().map_err(|error| unknown(&error))?;
        let pending = i128::try_from(pending).unwrap_or(i128::MAX);
        Ok(api::AssetBalance {
            asset: asset.to_string(),
            balance: decimal::format_signed(balance, decimals),
            pending: decimal::format_signed(pending, decimals),
            commitment: commitment.to_string(),
            locked_by_round: lock.map(|lock| lock.round.to_string()).unwrap_or_default(),
            queue_proven: self.is_queue_proven(asset),
        })
    }

    fn status(&self) -> api::AgentStatusResponse {
        let assets = self.book.registry().assets();
        let locks = assets.filter_map(|asset| self.wallet.lock(asset).ok().flatten());
        api::AgentStatusResponse {
            institution: self.setting.institution.to_string(),
            chain_id: self.setting.genesis.chain_id().to_string(),
            height: self.wallet.height().0,
            rounds: locks.map(|lock| lock.round.to_string()).collect(),
        }
    }
}
