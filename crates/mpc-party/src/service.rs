//! The gRPC interface.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use quittance_crypto::encoding::Encode;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_rpc::convert::{FieldError, decode, text, wait};
use quittance_rpc::identity::Process;
use quittance_rpc::proto::party::v1 as proto;
use quittance_rpc::proto::party::v1::party_server;
use quittance_rpc::server::Peer;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use crate::core::{Core, State};
use crate::desk::{Standing, Word};
use crate::stock::making;
use crate::{deal, publish};

/// The longest wait for a result, in milliseconds.
const MAX_WAIT_MS: u32 = 60_000;

/// How long receipts are waited for that are being signed.
const SIGNING_WAIT: Duration = Duration::from_secs(30);

/// Handles calls.
#[derive(Clone)]
pub(crate) struct Service {
    core: Arc<Core>,
}

impl Service {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

/// The bank whose agent calls.
fn bank<T>(request: &Request<T>) -> Result<InstitutionId, Status> {
    Ok(Peer::of(request)?.require_process(Process::Agent)?.institution)
}

#[tonic::async_trait]
impl party_server::Party for Service {
    async fn deal(
        &self,
        request: Request<proto::DealRequest>,
    ) -> Result<Response<proto::DealResponse>, Status> {
        let dealer = bank(&request)?;
        let dealing = Zeroizing::new(request.into_inner().dealing);
        let (mut acknowledgement, mut complaint) = (vec![], vec![]);
        match deal::deal(&self.core, dealer, dealing).await? {
            Word::Acknowledged(word) => acknowledgement = word,
            Word::Complained(word) => complaint = word,
        }
        Ok(Response::new(proto::DealResponse { acknowledgement, complaint }))
    }

    async fn publish(
        &self,
        request: Request<proto::PublishRequest>,
    ) -> Result<Response<proto::PublishResponse>, Status> {
        let dealer = bank(&request)?;
        let publication = Zeroizing::new(request.into_inner().publication);
        let acknowledgement = publish::publish(&self.core, dealer, publication).await?;
        Ok(Response::new(proto::PublishResponse { acknowledgement }))
    }

    async fn published(
        &self,
        request: Request<proto::PublishedRequest>,
    ) -> Result<Response<proto::PublishedResponse>, Status> {
        let caller = Peer::of(&request)?.require_process(Process::Party)?.institution;
        let request = request.get_ref();
        let round: RoundId = decode("round_id", &request.round_id)?;
        let dealer: InstitutionId = text("dealer", &request.dealer)?;
        let publication = publish::published(&self.core, caller, round, dealer)?.to_vec();
        Ok(Response::new(proto::PublishedResponse { publication }))
    }

    async fn results(
        &self,
        request: Request<proto::ResultsRequest>,
    ) -> Result<Response<proto::ResultsResponse>, Status> {
        let bank = bank(&request)?;
        let request = request.get_ref();
        let round: RoundId = decode("round_id", &request.round_id)?;
        let attempt = u8::try_from(request.attempt)
            .map_err(|_| FieldError::new("attempt", "attempts have numbers up to 255"))?;
        let within = wait("wait_ms", request.wait_ms, MAX_WAIT_MS)?;
        let look = |state: &State| result(state, round, attempt, bank).transpose();
        let found = self.core.when(within, look).await;
        let none = || Status::deadline_exceeded(format!("no result of the round {round} yet"));
        let result = found.unwrap_or_else(|| Err(none()))?.to_vec();
        Ok(Response::new(proto::ResultsResponse { result }))
    }

    async fn receipts(
        &self,
        request: Request<proto::ReceiptsRequest>,
    ) -> Result<Response<proto::ReceiptsResponse>, Status> {
        let bank = bank(&request)?;
        let round: RoundId = decode("round_id", &request.get_ref().round_id)?;
        let signed = |state: &State| (!state.signing.contains(&round)).then_some(());
        let signed = self.core.when(SIGNING_WAIT, signed).await;
        signed.ok_or_else(|| Status::unavailable("the receipts are being signed"))?;
        let core = self.core.clone();
        let found = tokio::task::spawn_blocking(move || core.receipts.get(round, bank)).await;
        match found.map_err(internal)?.map_err(internal)? {
            Some(word) => {
                Ok(Response::new(proto::ReceiptsResponse { attestation: word.to_bytes() }))
            }
            None => Err(no_receipts(&self.core.state(), round, bank)),
        }
    }

    async fn prepare(
        &self,
        request: Request<proto::PrepareRequest>,
    ) -> Result<Response<proto::PrepareResponse>, Status> {
        let caller = Peer::of(&request)?.require_process(Process::Party)?.institution;
        making::answer(&self.core, caller, request.get_ref()).map(Response::new)
    }
}

/// The result of a bank; `None` if it may still come.
fn result(
    state: &State,
    round: RoundId,
    attempt: u8,
    bank: InstitutionId,
) -> Result<Option<Zeroizing<Vec<u8>>>, Status> {
    let height = state.book.height();
    if let Some(facts) = state.book.round(&round)
        && facts.is_over(height)
    {
        let how = if facts.settled.is_some() { "has settled" } else { "has ended" };
        let reason = format!("the round {round} {how}; its shares are erased");
        return Err(Status::failed_precondition(reason));
    }
    let standing = state.desks.get(&round).map(|desk| desk.standing(attempt, &bank));
    match standing.unwrap_or(Standing::NotDealt) {
        Standing::Result(result) => Ok(Some(result)),
        Standing::Waiting => Ok(None),
        Standing::NotDealt => Err(Status::failed_precondition(format!(
            "this party holds no dealing of {bank} in the round {round}: it was restarted since, or \
             never got one"
        ))),
        Standing::LeftOut => Err(Status::permission_denied(format!(
            "{bank} is not in the roster of attempt {attempt} of the round {round}"
        ))),
        Standing::Ended(reason) => Err(Status::failed_precondition(format!(
            "attempt {attempt} of the round {round} has no result: {reason}"
        ))),
    }
}

/// Why nothing of the round is on disk for the bank.
fn no_receipts(state: &State, round: RoundId, bank: InstitutionId) -> Status {
    let facts = state.book.round(&round);
    let reason = match facts.map(|facts| facts.settled.is_some()) {
        Some(false) => format!("the round {round} has not settled"),
        Some(true) => format!(
            "this party has no shares of {bank} in the round {round}: {bank} took no part, or the \
             party was restarted before the settlement"
        ),
        None => format!("the round {round} is not known, or too long ago"),
    };
    Status::failed_precondition(reason)
}

/// For failures of ours: the log has the reason, the caller does not.
fn internal(error: impl Display) -> Status {
    tracing::error!(%error, "a call has failed");
    Status::internal("the party has failed; see its log")
}
