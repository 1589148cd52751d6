//! What is refused, before anything is stored.

use super::*;
use quittance_rpc::identity::{Identity, Process, ProcessName, Role, Roles};
use quittance_rpc::proto::agent::v1::agent_client::AgentClient;
use site::TWO;
use tonic::transport::Channel;

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_checked_before_it_is_stored() {
    let site = Site::new();
    let (node, central, one) = funded(&site).await;
    let good = || transfer(1, vec![receiver(TWO, "1", "")], 0);
    let with = |change: fn(&mut api::TransferRequest)| {
        let mut request = good();
        change(&mut request);
        request
    };
    for (request, word) in [
        (with(|request| request.uetr = "one".into()), "uetr"),
        (with(|request| request.uetr = uetr(1).replace("-4", "-1")), "version 4"),
        (with(|request| request.asset = "XXX".into()), "XXX is not on this chain"),
        (with(|request| request.receivers.clear()), "0 receivers"),
        (with(|request| request.receivers = vec![receiver(TWO, "0", ""); 33]), "33 receivers"),
        (with(|request| request.receivers[0].institution = ONE.into()), "itself"),
        (with(|request| request.receivers[0].institution = "ZZZZDE01".into()), "not registered"),
        (with(|request| request.receivers[0].institution = "VALDZZ01".into()), "no accounts"),
        (with(|request| request.receivers[0].amount = "0.001".into()), "too precise"),
        (with(|request| request.receivers[0].amount = "-1".into()), "negative"),
        (with(|request| request.receivers[0].end_to_end_id = "x".repeat(36)), "end_to_end_id"),
        (with(|request| request.receivers[0].remittance = "two\nlines".into()), "remittance"),
        (with(|request| request.wait_ms = 30_001), "wait_ms"),
    ] {
        let refused = one.transfer(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains(word), "{word}: {refused}");
    }
    // Too much, also together with what is under way; and nothing of it is kept.
    let much = |number, amount| transfer(number, vec![receiver(TWO, amount, "")], 20_000);
    let refused = one.transfer(much(1, "100.01")).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("100.01 EUR needed, 100.00 available"), "{refused}");
    let (first, second) = tokio::join!(one.transfer(much(2, "60")), one.transfer(much(3, "60")));
    assert!(first.is_ok() != second.is_ok(), "one of them is too much");
    let outcome = one.transfer(much(1, "40")).await.unwrap();
    assert_eq!(outcome.state(), api::outcome::State::Final);
    let again = one.transfer(much(4, "0.01")).await;
    assert_eq!(code(again), Some(Code::FailedPrecondition));
    one.stop().await;
    central.stop().await;
    node.stop().await;
}

async fn may(client: &mut AgentClient<Channel>) -> [Option<Code>; 4] {
    let pay = transfer(1, vec![receiver(TWO, "1", "")], 0);
    [
        code(client.transfer(pay).await),
        code(client.cancel_payment(api::CancelPaymentRequest { uetr: uetr(9) }).await),
        code(client.balance(api::BalanceRequest::default()).await),
        code(client.watch(api::WatchRequest { after: 0 }).await),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_kept_apart_and_strangers_out() {
    let site = Site::new();
    let (node, central, one) = funded(&site).await;
    let institution = ONE.parse().unwrap();
    let with = |roles: &[Role]| {
        let identity = Identity::Client { institution, roles: Roles::of(roles) };
        site.dialer(identity).agent(&one.target()).unwrap()
    };
    let denied = Some(Code::PermissionDenied);
    let (read, audit) = (may(&mut with(&[Role::Read])).await, may(&mut with(&[Role::Audit])).await);
    assert_eq!((read, audit), ([denied, denied, None, None], [denied, denied, None, None]));
    assert_eq!(may(&mut with(&[Role::Approve])).await, [denied; 4]);
    let initiate = may(&mut with(&[Role::Initiate])).await;
    assert_eq!(initiate, [None, Some(Code::NotFound), denied, denied]);

    let roles = Roles::of(&Role::ALL);
    let other_bank = Identity::Client { institution: TWO.parse().unwrap(), roles };
    let process = Process::Agent;
    let own_agent = Identity::Process(ProcessName { institution, process });
    for stranger in [other_bank, own_agent] {
        let refused = site.dialer(stranger).connect(&one.target()).await;
        let refused = refused.err().unwrap().to_string();
        assert!(refused.contains("not admitted"), "{refused}");
    }
    // Nor does a client of the bank get in where agents talk to each other.
    let client = Identity::Client { institution, roles };
    let refused = site.dialer(client).connect(&site.peer(ONE)).await;
    assert!(refused.err().unwrap().to_string().contains("not admitted"));
    one.stop().await;
    central.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_chain_has_not_told_yet_is_not_answered() {
    let site = Site::new();
    let mut one = site.agent(ONE).await;
    let refused = one.transfer(transfer(1, vec![receiver(TWO, "1", "")], 0)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("catching up: height 0"), "{refused}");
    let balance = one.client.balance(api::BalanceRequest::default()).await;
    assert_eq!(code(balance), Some(Code::Unavailable));
    let status = one.client.agent_status(api::AgentStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.institution.as_str(), status.height), (ONE, 0));
    assert!(one.client.watch(api::WatchRequest { after: 0 }).await.is_ok());
    let round = one.client.request_round(api::RequestRoundRequest { asset: "EUR".into() }).await;
    assert_eq!(code(round), Some(Code::Unavailable));
    let node = site.node().await;
    let mut one = one.caught_up().await;
    // Nobody is where the coordinator should be.
    let round = one.client.request_round(api::RequestRoundRequest { asset: "EUR".into() }).await;
    let refused = round.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("the coordinator answers"), "{refused}");
    one.stop().await;
    node.stop().await;
}
