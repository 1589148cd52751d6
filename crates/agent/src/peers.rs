//! Other institutions' agents: calls to them, and calls from them.
//!
//! Who calls is known by its certificate; the listener admits agents only. Every call is bounded
//! in size by `quittance_rpc::limits`, decoded strictly, and then a matter of the module that it
//! is about.

mod client;
mod inbox;

use quittance_crypto::encoding::Encode;
use quittance_ledger::ids::{AssetId, Height, InstitutionId, Timestamp};
use quittance_rpc::convert;
use quittance_rpc::identity::Process;
use quittance_rpc::proto::peer::v1 as api;
use quittance_rpc::proto::peer::v1::peer_server::Peer;
use quittance_rpc::server;
use tonic::{Request, Response, Status};

use crate::core::{Core, Handle};
use crate::exchange::{Join, Money, Offer};

pub(crate) use client::Peers;
pub(crate) use inbox::Inbox;

/// Answers other agents.
pub(crate) struct Service {
    core: Handle,
    us: InstitutionId,
}

impl Service {
    pub(crate) fn new(core: Handle, us: InstitutionId) -> Self {
        Self { core, us }
    }

    /// The institution whose agent calls: another one than this.
    fn caller<T>(&self, request: &Request<T>) -> Result<InstitutionId, Status> {
        let caller = server::Peer::of(request)?.require_process(Process::Agent)?.institution;
        match caller == self.us {
            true => Err(Status::permission_denied("an agent does not call itself")),
            false => Ok(caller),
        }
    }
}

fn money(field: &'static str, asset: &str, amount: u64) -> Result<Money, Status> {
    let asset: AssetId = convert::text(field, asset)?;
    Ok(Money { asset, amount })
}

#[tonic::async_trait]
impl Peer for Service {
    async fn offer_exchange(
        &self,
        request: Request<api::OfferExchangeRequest>,
    ) -> Result<Response<api::OfferExchangeResponse>, Status> {
        let from = self.caller(&request)?;
        let request = request.get_ref();
        let offer = Offer {
            uetr: convert::uetr("uetr", &request.uetr)?,
            give: money("give_asset", &request.give_asset, request.give_amount)?,
            get: money("get_asset", &request.get_asset, request.get_amount)?,
            valid_until: Timestamp(request.valid_until_ms),
        };
        self.core.call(move |core| core.exchange_offered(from, &offer)).await?;
        Ok(Response::new(api::OfferExchangeResponse {}))
    }

    async fn join_exchange(
        &self,
        request: Request<api::JoinExchangeRequest>,
    ) -> Result<Response<api::JoinExchangeResponse>, Status> {
        let from = self.caller(&request)?;
        let request = request.get_ref();
        let uetr = convert::uetr("uetr", &request.uetr)?;
        let entry = convert::decode("entry", &request.entry)?;
        let join = Join { entry, expiry: Height(request.expiry) };
        let step = move |core: &mut Core| {
            let answer = core.at_desk(|desk, means| desk.join(means, from, uetr, &join))?;
            Ok(answer.map_err(Status::from)?)
        };
        let (body, proof) = self.core.call(step).await?;
        let (body, range_proof) = (body.to_bytes(), proof.to_bytes());
        Ok(Response::new(api::JoinExchangeResponse { body, range_proof }))
    }

    async fn complete_exchange(
        &self,
        request: Request<api::CompleteExchangeRequest>,
    ) -> Result<Response<api::CompleteExchangeResponse>, Status> {
        let from = self.caller(&request)?;
        let request = request.get_ref();
        let uetr = convert::uetr("uetr", &request.uetr)?;
        let proof = convert::decode("range_proof", &request.range_proof)?;
        let signature = convert::decode("signature", &request.signature)?;
        let step = move |core: &mut Core| {
            let complete =
                core.at_desk(|desk, means| desk.complete(means, from, uetr, &proof, &signature))?;
            Ok(complete.map_err(Status::from)?)
        };
        let transaction = self.core.call(step).await?.to_bytes();
        Ok(Response::new(api::CompleteExchangeResponse { transaction }))
    }

    async fn announce_payments(
        &self,
        request: Request<api::AnnouncePaymentsRequest>,
    ) -> Result<Response<api::AnnouncePaymentsResponse>, Status> {
        let from = self.caller(&request)?;
        let request = request.get_ref();
        let round = convert::decode("round_id", &request.round_id)?;
        let announcements = inbox::decode(round, from, &request.announcements)?;
        let step = move |core: &mut Core| core.payments_announced(round, from, announcements);
        self.core.call(step).await?;
        Ok(Response::new(api::AnnouncePaymentsResponse {}))
    }
}
