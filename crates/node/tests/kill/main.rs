//! The node killed without warning, again and again: what was final stays final.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::banks::{ISSUER, rng};
use common::{Client, Site};
use quittance_ledger::block::Tip;
use quittance_ledger::execute::apply;
use quittance_ledger::ids::{Height, TransactionId};
use quittance_ledger::state::State;
use quittance_node::Config;
use quittance_rpc::convert::TransactionStatus;
use rand_core::RngCore;

const CONFIG: &str = "QUITTANCE_TEST_NODE";

/// Not a test of its own: the process that is killed.
#[test]
#[ignore = "run by the test below, as a process of its own"]
fn node_process() {
    let Some(config) = std::env::var_os(CONFIG) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config::load(config.as_ref()).unwrap();
    runtime.block_on(quittance_node::run(config, std::future::pending())).unwrap();
}

/// Killed when dropped.
struct Process(Child);

impl Process {
    fn start(site: &Site) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["node_process", "--exact", "--ignored", "--nocapture"]);
        command.env(CONFIG, site.config()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Process {
    /// `SIGKILL`: nothing of the process runs after it.
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn connected(site: &Site, address: SocketAddr) -> Client {
    let mut client = site.client(address, ISSUER);
    for _ in 0..400 {
        let status = client.0.chain_status(quittance_rpc::proto::node::v1::ChainStatusRequest {});
        if status.await.is_ok() {
            return client;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the node does not answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_final_before_a_kill_is_final_after_it() {
    let address =
        SocketAddr::from((Ipv4Addr::LOCALHOST, quittance_rpc::ports::free_range(1).unwrap()));
    let mut site = Site::new(&address.to_string());
    let terms = site.terms();
    let mut random = rng(4);
    let mut acknowledged: Vec<(TransactionId, Height, u32)> = vec![];
    let mut transfers = vec![];
    for _ in 0..6 {
        let process = Process::start(&site);
        let mut client = connected(&site, address).await;
        for (id, height, index) in &acknowledged {
            let status = TransactionStatus::Final { height: *height, index: *index };
            assert_eq!(client.status(*id).await, status);
        }
        // What was submitted and never acknowledged may have landed or not; it is sent again.
        for _ in 0..8 {
            transfers.push(site.banks.issuer.pays(terms, &[(&site.banks.a, 1)]));
        }
        let patience = Duration::from_millis(50 + u64::from(random.next_u32() % 100));
        let life = async {
            for transfer in &transfers {
                client.submit(transfer).await;
            }
            for transfer in &transfers {
                if let TransactionStatus::Final { height, index } = client.outcome(transfer).await
                    && !acknowledged.iter().any(|(id, ..)| *id == transfer.id())
                {
                    acknowledged.push((transfer.id(), height, index));
                }
            }
        };
        // Killed in the middle of it, or shortly after.
        let _ = tokio::time::timeout(patience, life).await;
        drop(process);
    }

    let process = Process::start(&site);
    let mut client = connected(&site, address).await;
    for transfer in &transfers {
        client.settle(transfer).await;
    }
    assert!(!acknowledged.is_empty(), "every kill came too early");
    let end = client.chain().await.height;
    let (mut tip, mut state) =
        (Tip::genesis(&site.genesis), State::genesis(&site.genesis).unwrap());
    for next in client.blocks(1, end.0).await {
        tip.check(&next.block.header).unwrap();
        next.certificate.verify(site.chain(), state.validators()).unwrap();
        let block = next.block.verify(&state, |_| None, &mut random).unwrap();
        for (id, _, index) in
            acknowledged.iter().filter(|(_, height, _)| *height == block.header.height)
        {
            assert_eq!(block.transactions[*index as usize].id(), *id);
        }
        state = apply(&state, &block).unwrap().state;
        tip = Tip::after(&block.header);
    }
    let account = state.account(&site.banks.issuer.account()).unwrap();
    assert_eq!(account.sequence, site.banks.issuer.sequence);
    drop(process);
}
