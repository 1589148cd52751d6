//! One bank's own system: what it asks of the bank's agent, over gRPC with the bank's certificate.

use std::path::Path;
use std::time::Duration;

use quittance_crypto::digest::Digest;
use quittance_ledger::ids::{InstitutionId, Uetr};
use quittance_rpc::client::Dialer;
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::agent_client::AgentClient;
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::currency::Currency;
use super::error::DemoError;
use super::input::Payment;
use crate::client;
use crate::testnet::plan::Member;

/// The longest that an agent is asked to wait before it answers, in milliseconds.
const WAIT_MS: u32 = 30_000;

/// A connection to one bank's agent.
#[derive(Clone)]
pub struct Bank {
    /// Which bank.
    pub id: InstitutionId,
    client: AgentClient<Channel>,
    health: HealthClient<Channel>,
}

/// The UETR of an instruction of this run: a version 4 UUID (RFC 9562) made from its name, so that
/// the same instruction always has the same one.
pub fn uetr(name: &str) -> Uetr {
    let digest = Digest::of("quittance/v1/demonstration-uetr", &[name.as_bytes()]);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(digest.0.split_at(16).0);
    client::version_4(bytes)
}

impl Bank {
    /// A connection, made when it is first used, with the bank's certificate from the network's
    /// directory.
    pub fn new(directory: &Path, agent: &Member) -> Result<Self, DemoError> {
        let id = agent.institution();
        let tls = client::credentials_in(directory, id)?;
        let target = client::target(id, agent.address.to_string());
        let dialer = Dialer::new(tls, Limits::default());
        let health = HealthClient::new(dialer.channel(&target)?);
        Ok(Self { id, client: dialer.agent(&target)?, health })
    }

    /// The connection, for any other call.
    pub fn client(&self) -> AgentClient<Channel> {
        self.client.clone()
    }

    /// Whether the agent says that it is ready, or what it says instead.
    pub async fn ready(&mut self) -> Result<(), String> {
        let answer = self.health.check(HealthCheckRequest::default()).await;
        match answer.map(tonic::Response::into_inner) {
            Ok(HealthCheckResponse { status }) if status == ServingStatus::Serving as i32 => Ok(()),
            Ok(HealthCheckResponse { status }) => Err(format!("health status {status}")),
            Err(status) => Err(status.message().to_owned()),
        }
    }

    /// Names an agent's refusal.
    fn refused(&self, what: impl Into<String>) -> impl FnOnce(tonic::Status) -> DemoError {
        let (bank, what) = (self.id, what.into());
        move |status| DemoError::Call { bank, what, reason: Box::new(status) }
    }

    fn answer(&self, what: impl Into<String>) -> DemoError {
        DemoError::Answer { bank: self.id, what: what.into() }
    }

    fn failed(&self, what: &str, reason: String) -> DemoError {
        DemoError::Failed { bank: self.id, what: what.to_owned(), reason }
    }

    /// Pays, and waits until that is final. Returns the height.
    ///
    /// The instruction has a UETR, so asking again while it is under way pays once.
    pub async fn transfer(
        &mut self,
        name: &str,
        currency: Currency,
        receivers: &[(InstitutionId, u64)],
    ) -> Result<u64, DemoError> {
        let receivers = receivers.iter().map(|(institution, amount)| api::Receiver {
            institution: institution.to_string(),
            amount: currency.format(*amount),
            end_to_end_id: name.to_owned(),
            remittance: String::new(),
        });
        let request = api::TransferRequest {
            uetr: uetr(name).to_string(),
            asset: currency.code().to_owned(),
            receivers: receivers.collect(),
            wait_ms: WAIT_MS,
        };
        loop {
            let answer = self.client.transfer(request.clone()).await;
            let answer = answer.map_err(self.refused(format!("transfer {name}")))?.into_inner();
            let outcome = answer.outcome.ok_or_else(|| self.answer("no outcome"))?;
            match outcome.state() {
                api::outcome::State::Final => return Ok(outcome.height),
                api::outcome::State::Failed => {
                    return Err(self.failed(&format!("transfer {name}"), outcome.reason));
                }
                _ => (),
            }
        }
    }

    /// Puts a payment into the netting queue.
    pub async fn queue(&mut self, payment: &Payment) -> Result<(), DemoError> {
        let request = api::QueuePaymentRequest {
            uetr: uetr(&format!("payment {}", payment.id)).to_string(),
            asset: payment.currency.code().to_owned(),
            payee: payment.payee.to_string(),
            amount: payment.currency.format(payment.amount),
            end_to_end_id: payment.id.clone(),
            remittance: String::new(),
        };
        let answer = self.client.queue_payment(request).await;
        answer.map_err(self.refused(format!("queue payment {}", payment.id)))?;
        Ok(())
    }

    /// All payments of this bank, in queue order.
    pub async fn payments(&mut self) -> Result<Vec<api::Payment>, DemoError> {
        let request = api::ListPaymentsRequest { asset: String::new(), limit: 10_000 };
        let answer = self.client.list_payments(request).await;
        Ok(answer.map_err(self.refused("list payments"))?.into_inner().payments)
    }

    /// Asks for a netting round. Returns the round's id.
    pub async fn request_round(&mut self, currency: Currency) -> Result<String, DemoError> {
        let request = api::RequestRoundRequest { asset: currency.code().to_owned() };
        let answer = self.client.request_round(request).await;
        let what = format!("request a round in {currency}");
        Ok(answer.map_err(self.refused(what))?.into_inner().round_id)
    }

    /// The account in one currency; an untouched one is empty.
    pub async fn account(&mut self, currency: Currency) -> Result<api::AssetBalance, DemoError> {
        let request = api::BalanceRequest { asset: currency.code().to_owned() };
        let answer = self.client.balance(request).await;
        let balances = answer.map_err(self.refused("tell its balance"))?.into_inner().balances;
        let untouched = api::AssetBalance {
            asset: currency.code().to_owned(),
            balance: currency.format(0),
            pending: currency.format(0),
            queue_proven: true,
            ..Default::default()
        };
        let found = balances.into_iter().find(|balance| balance.asset == currency.code());
        Ok(found.unwrap_or(untouched))
    }

    /// The whole statement in one currency.
    pub async fn statement(
        &mut self,
        currency: Currency,
    ) -> Result<Vec<api::StatementLine>, DemoError> {
        let request = api::StatementRequest {
            asset: currency.code().to_owned(),
            from_height: 0,
            limit: 10_000,
        };
        let answer = self.client.statement(request).await;
        Ok(answer.map_err(self.refused("show its statement"))?.into_inner().lines)
    }

    /// Events from the beginning.
    pub async fn watch(&mut self) -> Result<tonic::Streaming<api::Event>, DemoError> {
        let answer = self.client.watch(api::WatchRequest { after: 0 }).await;
        Ok(answer.map_err(self.refused("tell its events"))?.into_inner())
    }

    /// The next event of a stream.
    pub async fn next(
        &self,
        events: &mut tonic::Streaming<api::Event>,
    ) -> Result<api::Event, DemoError> {
        let event = events.message().await.map_err(self.refused("tell its events"))?;
        event.ok_or_else(|| self.answer("the end of its events"))
    }

    /// Offers an exchange.
    pub async fn propose_exchange(
        &mut self,
        name: &str,
        counterparty: InstitutionId,
        give: api::Money,
        get: api::Money,
    ) -> Result<(), DemoError> {
        let request = api::ProposeExchangeRequest {
            uetr: uetr(name).to_string(),
            counterparty: counterparty.to_string(),
            give: Some(give),
            get: Some(get),
            valid_ms: 600_000,
        };
        let answer = self.client.propose_exchange(request).await;
        answer.map_err(self.refused("offer an exchange"))?;
        Ok(())
    }

    /// Accepts an exchange, and waits until it is final. Returns the height.
    pub async fn accept_exchange(
        &mut self,
        name: &str,
        give: api::Money,
        get: api::Money,
    ) -> Result<u64, DemoError> {
        use api::exchange::State;
        let request = api::AcceptExchangeRequest {
            uetr: uetr(name).to_string(),
            give: Some(give),
            get: Some(get),
            wait_ms: WAIT_MS,
        };
        loop {
            let answer = self.client.accept_exchange(request.clone()).await;
            let answer = answer.map_err(self.refused("accept an exchange"))?.into_inner();
            let exchange = answer.exchange.ok_or_else(|| self.answer("no exchange"))?;
            match exchange.state() {
                State::Final => return Ok(exchange.height),
                State::Expired | State::Failed => {
                    return Err(self.failed("exchange", exchange.reason));
                }
                // The agent has answered at once: give it a moment.
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }
}

/// An amount with its currency.
pub fn money(currency: Currency, amount: u64) -> api::Money {
    api::Money { asset: currency.code().to_owned(), amount: currency.format(amount) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uetrs_are_version_4_and_differ() {
        let text = uetr("payment P001").to_string();
        assert_eq!(text.len(), 36);
        assert_eq!(&text[14..15], "4");
        assert!("89ab".contains(&text[19..20]));
        assert_eq!(text, uetr("payment P001").to_string());
        assert_ne!(text, uetr("payment P002").to_string());
    }
}
