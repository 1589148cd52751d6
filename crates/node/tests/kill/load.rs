//! A bank that sends transactions, through any number of the node's lives.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use quittance_crypto::encoding::Encode;
use quittance_ledger::block::Tip;
use quittance_ledger::execute::apply;
use quittance_ledger::ids::{Height, TransactionId};
use quittance_ledger::state::State;
use quittance_ledger::transaction::Transaction;
use quittance_rpc::convert::TransactionStatus;
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;
use tokio::time::timeout;

use crate::common::banks::{ISSUER, rng, terms};
use crate::common::{Client, Site};
use crate::process::Process;

/// Transactions that are made at a time.
const NEW: usize = 3;

/// Credits that the ledger lets wait for one receiver; later transactions only count up.
const CREDITS: usize = 60;

/// How long a transaction may wait, in blocks.
const EXPIRY: u64 = 900;

pub struct Load {
    pub site: Site,
    pub random: ChaCha20Rng,
    /// All that were ever sent, in their order.
    sent: Vec<Transaction>,
    /// Where the node has said that they are.
    acknowledged: BTreeMap<TransactionId, (Height, u32)>,
    height: u64,
}

impl Load {
    pub fn new(seed: u64) -> Self {
        let site = Site::new("127.0.0.1:0");
        let mut file = site.file("127.0.0.1:0");
        // Below a folder of its own, which is the disk of some tests.
        file.data = "disk/data".into();
        site.configure(&file);
        std::fs::create_dir(site.config().with_file_name("disk")).unwrap();
        let (sent, acknowledged) = (vec![], BTreeMap::new());
        Self { site, random: rng(seed), sent, acknowledged, height: 0 }
    }

    /// What counts as the node's disk.
    pub fn disk(&self) -> PathBuf {
        self.site.config().with_file_name("disk")
    }

    /// How many transactions the node has said to be final.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    fn make(&mut self) {
        let terms = terms(self.site.chain(), self.height + EXPIRY);
        let banks = &mut self.site.banks;
        let to = [(&banks.a, 1)];
        let to = if self.sent.len() < CREDITS { &to[..] } else { &[] };
        self.sent.push(banks.issuer.pays(terms, to));
    }

    /// Sends what was not acknowledged and ever more, until `patience` is over or the node has
    /// ended; in most lives that time begins with the first answers. Whether something was under
    /// way at the end.
    pub async fn life(&mut self, process: &mut Process, patience: Duration) -> bool {
        let Some(address) = process.address else { return false };
        let mut client = self.site.client(address, ISSUER);
        if !self.check(&mut client, process).await {
            return false;
        }
        self.make();
        if !self.random.next_u32().is_multiple_of(4) && !self.send(&mut client).await {
            return false;
        }
        let work = async {
            while self.send(&mut client).await {
                (0..NEW).for_each(|_| self.make());
            }
        };
        let _ = timeout(patience, work).await;
        self.sent.len() > self.acknowledged.len()
    }

    /// What was acknowledged last is still so. False if the node ends meanwhile.
    async fn check(&mut self, client: &mut Client, process: &mut Process) -> bool {
        let request = quittance_rpc::proto::node::v1::ChainStatusRequest {};
        while client.0.chain_status(request).await.is_err() {
            if process.ends_within(Duration::ZERO) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for transaction in self.sent.iter().rev().take(20) {
            let Some((height, index)) = self.acknowledged.get(&transaction.id()) else { continue };
            self.height = self.height.max(height.0);
            let expected = TransactionStatus::Final { height: *height, index: *index };
            match client.try_status(transaction.id(), 0).await {
                Ok(status) => assert_eq!(status, expected),
                Err(_) => return false,
            }
        }
        true
    }

    /// Whether the node was there until the end.
    async fn send(&mut self, client: &mut Client) -> bool {
        let open: Vec<&Transaction> =
            self.sent.iter().filter(|it| !self.acknowledged.contains_key(&it.id())).collect();
        for transaction in &open {
            if client.submit_bytes(transaction.to_bytes()).await.is_err() {
                return false;
            }
        }
        for transaction in open {
            match client.try_status(transaction.id(), 30_000).await {
                Ok(TransactionStatus::Final { height, index }) => {
                    self.acknowledged.insert(transaction.id(), (height, index));
                }
                // A node that ends answers those who wait with what it knows.
                Ok(TransactionStatus::Pending { .. } | TransactionStatus::Unknown) | Err(_) => {
                    return false;
                }
                Ok(other) => panic!("{other:?}"),
            }
        }
        true
    }

    /// One more life, in which everything settles; then the chain is replayed. What was
    /// acknowledged is where it was said to be, and each transaction has happened once. Returns how
    /// many there were.
    pub async fn end(&mut self) -> usize {
        let mut process = Process::start(&self.site.config(), |_| {});
        let address: SocketAddr = process.address.expect("the node starts");
        let mut client = self.site.client(address, ISSUER);
        assert!(self.check(&mut client, &mut process).await);
        assert!(self.send(&mut client).await);
        self.replay(&mut client).await;
        self.sent.len()
    }

    async fn replay(&mut self, client: &mut Client) {
        let end = client.chain().await.height;
        let genesis = &self.site.genesis;
        let (mut tip, mut state) = (Tip::genesis(genesis), State::genesis(genesis).unwrap());
        let mut found = BTreeMap::new();
        for next in client.blocks(1, end.0).await {
            tip.check(&next.block.header).unwrap();
            next.certificate.verify(self.site.chain(), state.validators()).unwrap();
            let block = next.block.verify(&state, |_| None, &mut self.random).unwrap();
            for (index, transaction) in (0..).zip(&block.transactions) {
                let before = found.insert(transaction.id(), (block.header.height, index));
                assert_eq!(before, None, "a transaction has happened twice");
            }
            state = apply(&state, &block).unwrap().state;
            tip = Tip::after(&block.header);
        }
        assert_eq!(found, self.acknowledged);
        assert_eq!(found.len(), self.sent.len());
        let account = state.account(&self.site.banks.issuer.account()).unwrap();
        assert_eq!(account.sequence, self.site.banks.issuer.sequence);
    }
}
