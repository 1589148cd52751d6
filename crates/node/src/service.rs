//! The gRPC interface.

use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;

use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::evidence::Evidence;
use quittance_ledger::ids::{AccountId, Height, RoundId, TransactionId};
use quittance_ledger::state::Key;
use quittance_ledger::transaction::Transaction;
use quittance_rpc::convert::{
    AccountView, ChainView, FieldError, RoundView, TransactionStatus, decode, text, wait,
};
use quittance_rpc::genesis;
use quittance_rpc::proto::node::v1 as proto;
use quittance_rpc::proto::node::v1::node_server;
use quittance_rpc::pushback::overloaded;
use quittance_rpc::receipt::Query;
use quittance_rpc::server::Peer;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::core::{Core, SubmitError};
use crate::pool::Source;
use crate::{blocks, receipts};

/// The longest wait for a status, in milliseconds.
const MAX_WAIT_MS: u32 = 30_000;

/// Handles calls.
#[derive(Clone)]
pub(crate) struct Service {
    core: Arc<Core>,
    /// Canonical bytes, the same for all who ask.
    genesis: Arc<[u8]>,
    /// Places for receipts that are being made.
    receipts: Arc<Semaphore>,
    stopping: CancellationToken,
    /// Dropped when nobody uses the chain any more.
    lease: mpsc::Sender<()>,
}

impl Service {
    pub(crate) fn new(
        core: Arc<Core>,
        stopping: CancellationToken,
        lease: mpsc::Sender<()>,
    ) -> Self {
        let genesis = core.genesis.to_bytes().into();
        let receipts = Arc::new(Semaphore::new(receipts::AT_ONCE));
        Self { core, genesis, receipts, stopping, lease }
    }

    /// The status once it is what `enough` waits for.
    async fn status_when(
        &self,
        id: TransactionId,
        enough: impl Fn(&TransactionStatus) -> bool,
    ) -> Result<TransactionStatus, Status> {
        loop {
            let watch = self.core.watchers.watch(id);
            let status = self.core.status(&id).map_err(internal)?;
            if enough(&status) {
                return Ok(status);
            }
            tokio::select! {
                () = watch.changed() => {}
                () = self.stopping.cancelled() => return Ok(status),
            }
        }
    }
}

#[tonic::async_trait]
impl node_server::Node for Service {
    type BlocksStream = Pin<Box<dyn Stream<Item = Result<proto::BlocksResponse, Status>> + Send>>;
    type EvidenceStream =
        Pin<Box<dyn Stream<Item = Result<proto::EvidenceResponse, Status>> + Send>>;
    type GenesisStream = Pin<Box<dyn Stream<Item = Result<proto::GenesisResponse, Status>> + Send>>;

    async fn submit(
        &self,
        request: Request<proto::SubmitRequest>,
    ) -> Result<Response<proto::SubmitResponse>, Status> {
        let submitter = Peer::of(&request)?.identity.institution();
        let transaction = Transaction::from_bytes(&request.get_ref().transaction)
            .map_err(|error| FieldError::new("transaction", error))?;
        let id = transaction.id();
        self.core.submit(transaction, Source::Caller(submitter)).map_err(|error| match error {
            SubmitError::Full(full) => overloaded(full),
            SubmitError::Stopping => Status::unavailable(error.to_string()),
            SubmitError::Chain(error) => internal(error),
        })?;
        let verified = |status: &TransactionStatus| *status != TransactionStatus::Unknown;
        let status = self.status_when(id, verified).await?;
        let (transaction_id, status) = (id.0.0.to_vec(), Some(status.into()));
        Ok(Response::new(proto::SubmitResponse { transaction_id, status }))
    }

    async fn transaction_status(
        &self,
        request: Request<proto::TransactionStatusRequest>,
    ) -> Result<Response<proto::TransactionStatusResponse>, Status> {
        let request = request.get_ref();
        let id: TransactionId = decode("transaction_id", &request.transaction_id)?;
        let wait = wait("wait_ms", request.wait_ms, MAX_WAIT_MS)?;
        let settled = |status: &TransactionStatus| match status {
            TransactionStatus::Final { .. } | TransactionStatus::Rejected { .. } => true,
            TransactionStatus::Unknown | TransactionStatus::Pending { .. } => false,
        };
        let status = match tokio::time::timeout(wait, self.status_when(id, settled)).await {
            Ok(status) => status?,
            Err(_) => self.core.status(&id).map_err(internal)?,
        };
        Ok(Response::new(proto::TransactionStatusResponse { status: Some(status.into()) }))
    }

    async fn account(
        &self,
        request: Request<proto::AccountRequest>,
    ) -> Result<Response<proto::AccountResponse>, Status> {
        let request = request.get_ref();
        let institution = text("institution", &request.institution)?;
        let id = AccountId { institution, asset: text("asset", &request.asset)? };
        let view = self.core.view();
        let (header, certificate) =
            view.last.clone().ok_or_else(|| Status::unavailable("there is no block yet"))?;
        let proof = view.state.prove(&Key::Account(id));
        let proof = proof.ok_or_else(|| Status::internal("accounts have leaves"))?;
        let account = view.state.account(&id).cloned();
        let pending = view.state.pending(&id).map(|pending| pending.iter().cloned().collect());
        let pending = pending.unwrap_or_default();
        let view = AccountView { header, certificate, account, proof, pending };
        Ok(Response::new((&view).into()))
    }

    async fn receipt(
        &self,
        request: Request<proto::ReceiptRequest>,
    ) -> Result<Response<proto::ReceiptResponse>, Status> {
        let query = Query::try_from(request.get_ref())?;
        let (core, places) = (self.core.clone(), self.receipts.clone());
        let place = places.acquire_owned().await.map_err(internal)?;
        let made = tokio::task::spawn_blocking(move || {
            let receipt = receipts::make(&core, &query).map(|receipt| receipt.to_bytes());
            drop((core, place));
            receipt
        });
        let receipt = made.await.map_err(internal)??;
        Ok(Response::new(proto::ReceiptResponse { receipt }))
    }

    async fn round(
        &self,
        request: Request<proto::RoundRequest>,
    ) -> Result<Response<proto::RoundResponse>, Status> {
        let id: RoundId = decode("round_id", &request.get_ref().round_id)?;
        let view = self.core.view();
        let round = view.state.round(&id).cloned();
        Ok(Response::new((&RoundView { round, height: view.tip.height() }).into()))
    }

    async fn blocks(
        &self,
        request: Request<proto::BlocksRequest>,
    ) -> Result<Response<Self::BlocksStream>, Status> {
        let &proto::BlocksRequest { from_height, to_height } = request.get_ref();
        if from_height == 0 {
            return Err(FieldError::new("from_height", "heights begin at 1").into());
        }
        if to_height != 0 && to_height < from_height {
            return Err(FieldError::new("to_height", "is below from_height").into());
        }
        let to = if to_height == 0 { Height(u64::MAX) } else { Height(to_height) };
        let (stopping, lease) = (self.stopping.clone(), self.lease.clone());
        let stream = blocks::stream(self.core.clone(), Height(from_height), to, stopping, lease);
        Ok(Response::new(Box::pin(stream)))
    }

    async fn chain_status(
        &self,
        _: Request<proto::ChainStatusRequest>,
    ) -> Result<Response<proto::ChainStatusResponse>, Status> {
        let view = self.core.view();
        let status = ChainView {
            chain: view.state.chain().id,
            height: view.tip.height(),
            state_root: view.state.root(),
            time: view.tip.time(),
            mempool: self.core.pool().waiting() as u64,
        };
        Ok(Response::new((&status).into()))
    }

    async fn evidence(
        &self,
        _: Request<proto::EvidenceRequest>,
    ) -> Result<Response<Self::EvidenceStream>, Status> {
        let evidence = self.core.store.evidence().map_err(internal)?;
        let each =
            |evidence: Evidence| Ok(proto::EvidenceResponse { evidence: evidence.to_bytes() });
        let stream = tokio_stream::iter(evidence.into_iter().map(each));
        Ok(Response::new(Box::pin(stream)))
    }

    async fn genesis(
        &self,
        _: Request<proto::GenesisRequest>,
    ) -> Result<Response<Self::GenesisStream>, Status> {
        let parts = genesis::parts(self.genesis.clone()).map(Ok);
        Ok(Response::new(Box::pin(tokio_stream::iter(parts))))
    }
}

/// For failures of ours: the log has the reason, the caller does not.
pub(crate) fn internal(error: impl Display) -> Status {
    tracing::error!(%error, "a call has failed");
    Status::internal("the node has failed; see its log")
}
