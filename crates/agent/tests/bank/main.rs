//! The agent of a bank between the bank's own systems and a node, over TLS.
#![allow(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

#[path = "../exchanges/site.rs"]
mod site;

mod burst;
mod config;
mod credits;
mod durability;
mod faults;
mod locks;
mod queue;
mod readiness;
mod refusals;
mod transfers;

use quittance_node::NodeError;
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::event::Event as What;
use tonic::{Code, Status};

use site::{Bank, CENTRAL, ONE, Running, Site, uetr};

/// A node, and the agents of the central bank and of ONE, which has 100.00 EUR.
async fn funded(site: &Site) -> (Running<NodeError>, Bank, Bank) {
    let node = site.node().await;
    let mut central = site.agent(CENTRAL).await.caught_up().await;
    let mut one = site.agent(ONE).await.caught_up().await;
    central.pay(200, ONE, "EUR", "100").await;
    one.holds("EUR", "100.00").await;
    (node, central, one)
}

fn receiver(institution: &str, amount: &str, remittance: &str) -> api::Receiver {
    api::Receiver {
        institution: institution.to_owned(),
        amount: amount.to_owned(),
        end_to_end_id: "INVOICE-1".to_owned(),
        remittance: remittance.to_owned(),
    }
}

fn transfer(number: u8, receivers: Vec<api::Receiver>, wait_ms: u32) -> api::TransferRequest {
    api::TransferRequest { uetr: uetr(number), asset: "EUR".to_owned(), receivers, wait_ms }
}

fn code<T>(result: Result<T, Status>) -> Option<Code> {
    result.err().map(|status| status.code())
}

impl Bank {
    async fn transfer(&self, request: api::TransferRequest) -> Result<api::Outcome, Status> {
        let response = self.client.clone().transfer(request).await?;
        Ok(response.into_inner().outcome.unwrap())
    }

    async fn payments(&self) -> Vec<api::Payment> {
        let request = api::ListPaymentsRequest::default();
        self.client.clone().list_payments(request).await.unwrap().into_inner().payments
    }

    /// The first `count` events after a position.
    async fn events(&self, after: u64, count: usize) -> Vec<api::Event> {
        let mut stream =
            self.client.clone().watch(api::WatchRequest { after }).await.unwrap().into_inner();
        let mut events = Vec::new();
        while events.len() < count {
            events.push(stream.message().await.unwrap().unwrap());
        }
        events
    }

    /// Watches from the beginning until an event is as wanted.
    async fn until_event(&self, wanted: impl Fn(&What) -> bool) -> api::Event {
        let mut stream =
            self.client.clone().watch(api::WatchRequest { after: 0 }).await.unwrap().into_inner();
        loop {
            let event = stream.message().await.unwrap().unwrap();
            if event.event.as_ref().is_some_and(&wanted) {
                return event;
            }
        }
    }
}
