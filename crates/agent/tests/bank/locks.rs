//! An account that a round has locked.

use std::time::Duration;

use super::*;
use api::outcome::State;
use quittance_crypto::digest::Digest;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::{Purpose, Suite};
use quittance_ledger::build::{Terms, Unsigned};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{CommitteeId, Height, InstitutionId, RoundId};
use quittance_ledger::state::{Committee, PublicKey, Role};
use quittance_ledger::transaction::{Action, RoundJoin, RoundOpen, Transaction};
use quittance_rpc::identity::{Identity, Process, ProcessName};
use quittance_rpc::nodes::Nodes;
use quittance_rpc::submit::{Outcome, Submitter};
use site::TWO;

const COORDINATOR: &str = "CORDZZ01";
const PARTIES: [&str; 3] = ["MPCAZZ01", "MPCBZZ01", "MPCCZZ01"];

fn registered(ring: &KeyRing, role: Role) -> GenesisInstitution {
    let public =
        |purpose: &Purpose| PublicKey::Signing(*purpose, ring.signing(*purpose).verifying_key());
    GenesisInstitution { roles: [role].into(), keys: Purpose::ALL.iter().map(public).collect() }
}

/// Adds a coordinator, and a committee that does nothing, to the genesis.
fn with_committee(site: &Site) -> (Genesis, KeyRing) {
    let file = site.file(ONE, "../genesis.json");
    let mut genesis: Genesis = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let ring = |who: &str| KeyRing::generate(who, Suite::MlDsa65MlKem768).unwrap();
    let coordinator = ring(COORDINATOR);
    let member = registered(&coordinator, Role::Coordinator);
    genesis.institutions.insert(COORDINATOR.parse().unwrap(), member);
    for party in PARTIES {
        let member = registered(&ring(party), Role::MpcParty);
        genesis.institutions.insert(party.parse().unwrap(), member);
    }
    let parties = PARTIES.iter().map(|party| party.parse().unwrap()).collect();
    genesis.committees.insert(CommitteeId(1), Committee { parties, threshold: 1 });
    std::fs::write(file, serde_json::to_vec(&genesis).unwrap()).unwrap();
    (genesis, coordinator)
}

fn signed(genesis: &Genesis, expiry: u64, action: Action, ring: &KeyRing) -> Transaction {
    let (suite, chain) = (genesis.suite, genesis.chain_id());
    let body = Terms { suite, chain, expiry: Height(expiry) }.act(action).unwrap();
    let unsigned = Unsigned::new(body, Vec::new()).unwrap();
    let who: InstitutionId = ring.name().parse().unwrap();
    let signature = unsigned.sign(who, ring.signing(Purpose::Transaction)).unwrap();
    unsigned.assemble(vec![signature]).unwrap()
}

fn fingerprint(ring: &KeyRing) -> Digest {
    ring.signing(Purpose::Transaction).verifying_key().fingerprint()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_from_a_locked_account_is_accepted_and_carried_out_afterwards() {
    let site = Site::new();
    let (genesis, coordinator) = with_committee(&site);
    let (node, central, mut one) = funded(&site).await;
    let (institution, process) = (ONE.parse().unwrap(), Process::Agent);
    let dialer = site.dialer(Identity::Process(ProcessName { institution, process }));
    let submitter = Submitter::new(&Nodes::new(&dialer, &[site.node_target()]).unwrap());

    let balance = one.client.balance(api::BalanceRequest::default()).await.unwrap();
    let height = balance.get_ref().height;
    let open = RoundOpen {
        salt: [5; 16],
        opener: COORDINATOR.parse().unwrap(),
        key_fingerprint: fingerprint(&coordinator),
        asset: "EUR".parse().unwrap(),
        program: Digest::of("no program", &[]),
        committee: CommitteeId(1),
        minimum_roster: 2,
        attempts: 1,
        join_until: Height(height + 15),
        deadline: Height(height + 30),
    };
    let open = signed(&genesis, height + 10, Action::RoundOpen(open), &coordinator);
    let round = RoundId::of(genesis.chain_id(), &open.body_digest());
    let opened = submitter.settle(&open).await.unwrap();
    assert!(matches!(opened, Outcome::Final { .. }), "{opened:?}");
    let ring = std::fs::read(site.file(ONE, "keys.age")).unwrap();
    let ring = KeyRing::from_encrypted("secret", &ring).unwrap();
    let join = RoundJoin {
        round,
        institution,
        key_fingerprint: fingerprint(&ring),
        sequence: 2,
        queue_root: Digest::of("no queue", &[]),
        bucket: 8,
        note: vec![1, 2, 3],
    };
    let join = signed(&genesis, height + 14, Action::RoundJoin(join), &ring);
    let joined = submitter.settle(&join).await.unwrap();
    assert!(matches!(joined, Outcome::Final { .. }), "{joined:?}");
    let locked = || async {
        let mut client = one.client.clone();
        let balance = client.balance(api::BalanceRequest { asset: "EUR".into() }).await.unwrap();
        balance.into_inner().balances.remove(0).locked_by_round
    };
    while locked().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(locked().await, round.to_string());
    let status = one.client.clone().agent_status(api::AgentStatusRequest {}).await.unwrap();
    assert_eq!(status.get_ref().rounds, [round.to_string()]);

    let request = |wait_ms| transfer(1, vec![receiver(TWO, "30", "")], wait_ms);
    let outcome = one.transfer(request(200)).await.unwrap();
    assert_eq!((outcome.state(), outcome.reason.as_str()), (State::Accepted, ""));
    let too_much = one.transfer(transfer(2, vec![receiver(TWO, "71", "")], 0)).await;
    assert_eq!(code(too_much), Some(Code::FailedPrecondition), "70.00 are left");
    let outcome = one.transfer(request(20_000)).await.unwrap();
    assert_eq!(outcome.state(), State::Final, "{}", outcome.reason);
    assert!(outcome.height > height + 30, "after the lock");
    one.holds("EUR", "70.00").await;
    one.stop().await;
    central.stop().await;
    node.stop().await;
}
