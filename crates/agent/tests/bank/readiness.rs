//! What both listeners say of an agent that has not caught up with the chain yet.

use std::time::Duration;

use quittance_ledger::ids::InstitutionId;
use quittance_rpc::identity::{Identity, Process, ProcessName, Role, Roles};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use site::TWO;

const AGENT: &str = "quittance.agent.v1.Agent";
const PEER: &str = "quittance.peer.v1.Peer";

type Health = HealthClient<tonic::transport::Channel>;

/// To the bank's listener of the agent of ONE, and to its listener for other agents.
fn clients(site: &Site, one: &Bank) -> [(Health, &'static str); 2] {
    let id = |text: &str| text.parse::<InstitutionId>().unwrap();
    let client = Identity::Client { institution: id(ONE), roles: Roles::of(&[Role::Read]) };
    let other = ProcessName { institution: id(TWO), process: Process::Agent };
    let bank = site.dialer(client).channel(&one.target()).unwrap();
    let peer = site.dialer(Identity::Process(other)).channel(&site.peer(ONE)).unwrap();
    [(HealthClient::new(bank), AGENT), (HealthClient::new(peer), PEER)]
}

async fn told(health: &mut Health, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    health.check(request).await.unwrap().get_ref().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_listeners_are_ready_once_the_agent_has_caught_up() {
    let site = Site::new();
    // There is no node that it could catch up with.
    let one = site.agent(ONE).await;
    let mut clients = clients(&site, &one);
    for (health, service) in &mut clients {
        assert_eq!(told(health, service).await, ServingStatus::NotServing, "{service}");
        assert_eq!(told(health, "").await, ServingStatus::NotServing, "{service}: all");
    }
    let node = site.node().await;
    let one = one.caught_up().await;
    for (health, service) in &mut clients {
        let ready = async {
            while told(health, service).await != ServingStatus::Serving {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ready).await.expect(service);
        assert_eq!(told(health, "").await, ServingStatus::Serving, "{service}: all");
    }
    one.stop().await;
    node.stop().await;
}
