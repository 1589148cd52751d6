//! Calls to other agents.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quittance_crypto::encoding::Encode;
use quittance_crypto::range_proof::RangeProof;
use quittance_ledger::ids::{InstitutionId, RoundId, Uetr};
use quittance_ledger::transaction::{Body, Transaction};
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::convert::{self, FieldError};
use quittance_rpc::proto::peer::v1 as api;
use quittance_rpc::proto::peer::v1::peer_client::PeerClient;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::core::Setting;
use crate::exchange::{CallError, Join, Offer, TALK_MS};

/// How long a call may take.
const PATIENCE: Duration = Duration::from_millis(TALK_MS);

/// The agents of other institutions. Connections are kept.
pub(crate) struct Peers {
    dialer: Dialer,
    targets: BTreeMap<InstitutionId, Target>,
    clients: Mutex<BTreeMap<InstitutionId, PeerClient<Channel>>>,
}

impl Peers {
    /// Those of the directory.
    pub(crate) fn new(setting: &Setting) -> Self {
        let (dialer, targets) = (setting.dialer.clone(), setting.directory.agents.clone());
        Self { dialer, targets, clients: Mutex::default() }
    }

    /// `OfferExchange`.
    pub(crate) async fn offer(&self, to: InstitutionId, offer: &Offer) -> Result<(), CallError> {
        let request = api::OfferExchangeRequest {
            uetr: offer.uetr.to_string(),
            give_asset: offer.give.asset.to_string(),
            give_amount: offer.give.amount,
            get_asset: offer.get.asset.to_string(),
            get_amount: offer.get.amount,
            valid_until_ms: offer.valid_until.0,
        };
        let mut client = self.client(to)?;
        within(client.offer_exchange(request)).await.map(|_| ())
    }

    /// `JoinExchange`.
    pub(crate) async fn join(
        &self,
        to: InstitutionId,
        uetr: Uetr,
        join: &Join,
    ) -> Result<(Body, RangeProof), CallError> {
        let (uetr, entry) = (uetr.to_string(), join.entry.to_bytes());
        let request = api::JoinExchangeRequest { uetr, entry, expiry: join.expiry.0 };
        let mut client = self.client(to)?;
        let answer = within(client.join_exchange(request)).await?;
        let body = convert::decode("body", &answer.body).map_err(malformed)?;
        let proof = convert::decode("range_proof", &answer.range_proof).map_err(malformed)?;
        Ok((body, proof))
    }

    /// `CompleteExchange`.
    pub(crate) async fn complete(
        &self,
        to: InstitutionId,
        uetr: Uetr,
        range_proof: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<Transaction, CallError> {
        let uetr = uetr.to_string();
        let request = api::CompleteExchangeRequest { uetr, range_proof, signature };
        let mut client = self.client(to)?;
        let answer = within(client.complete_exchange(request)).await?;
        convert::decode("transaction", &answer.transaction).map_err(malformed)
    }

    /// `AnnouncePayments`: canonical announcements, all for one round and one payee.
    pub(crate) async fn announce(
        &self,
        to: InstitutionId,
        round: RoundId,
        announcements: Vec<Vec<u8>>,
    ) -> Result<(), CallError> {
        let round_id = round.to_bytes();
        let request = api::AnnouncePaymentsRequest { round_id, announcements };
        let mut client = self.client(to)?;
        within(client.announce_payments(request)).await.map(|_| ())
    }

    fn client(&self, to: InstitutionId) -> Result<PeerClient<Channel>, CallError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&to) {
            return Ok(client.clone());
        }
        let unknown = || CallError::Again(format!("the directory has no agent of {to}"));
        let target = self.targets.get(&to).ok_or_else(unknown)?;
        let client = self.dialer.peer(target);
        let client = client.map_err(|error| CallError::Again(error.to_string()))?;
        clients.insert(to, client.clone());
        Ok(client)
    }
}

/// Waits for an answer, for so long.
async fn within<T>(
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(failure(&status)),
        Err(_) => Err(CallError::Again(format!("no answer within {PATIENCE:?}"))),
    }
}

/// Whether it may help to call again.
fn failure(status: &Status) -> CallError {
    let text = status.message().to_owned();
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => CallError::Refused(text),
        _ => CallError::Again(text),
    }
}

fn malformed(error: FieldError) -> CallError {
    CallError::Refused(format!("the answer is malformed: {error}"))
}
