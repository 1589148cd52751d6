//! The chain as an auditor sees it, recorded while a network runs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use quittance_ledger::block::Block;
use quittance_ledger::ids::{Height, InstitutionId, RoundId, TransactionId};
use quittance_ledger::transaction::{Action, Transaction};
use quittance_rpc::follow::{ChainChecker, follow};
use quittance_rpc::nodes::Nodes;
use tokio::time::sleep;

use crate::network::{Network, POLL};

/// All blocks so far, certified, from the first on.
pub struct Tape {
    blocks: Arc<Mutex<Vec<Block>>>,
    task: tokio::task::JoinHandle<()>,
}

/// What the ledger says of one round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnLedger {
    /// No settlement is possible after this height. `None` if the round was never opened.
    pub deadline: Option<Height>,
    /// Its settlements: the ledger's rules allow one.
    pub settlements: Vec<Settled>,
}

/// A settlement on the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// In which block.
    pub height: Height,
    /// The transaction.
    pub transaction: TransactionId,
    /// Who took part.
    pub roster: BTreeSet<InstitutionId>,
}

impl Tape {
    /// Begins to record.
    pub fn record(network: &Network) -> Self {
        let genesis = network.genesis();
        let nodes = Nodes::new(&network.auditor(), &[network.node()]).expect("a node to follow");
        let mut chain = follow(&nodes, ChainChecker::genesis(&genesis));
        let blocks = Arc::new(Mutex::new(Vec::new()));
        let recorded = blocks.clone();
        let task = tokio::spawn(async move {
            loop {
                let next = chain.next().await.expect("the node serves its chain");
                recorded.lock().expect("no panic while locked").push(next.block);
            }
        });
        Self { blocks, task }
    }

    /// The blocks so far.
    pub fn blocks(&self) -> MutexGuard<'_, Vec<Block>> {
        assert!(!self.task.is_finished(), "the chain can not be followed any more");
        self.blocks.lock().expect("no panic while locked")
    }

    /// The height of the last block.
    pub fn height(&self) -> Height {
        self.blocks().last().map_or(Height::GENESIS, |block| block.header.height)
    }

    /// Whether nothing can happen in the round any more.
    pub fn is_over(&self, round: &RoundId) -> bool {
        let OnLedger { deadline, settlements } = self.round(round);
        !settlements.is_empty() || deadline.is_some_and(|deadline| deadline <= self.height())
    }

    /// What has become of a round.
    pub fn round(&self, round: &RoundId) -> OnLedger {
        let mut found = OnLedger::default();
        for block in self.blocks().iter() {
            for transaction in &block.transactions {
                found.note(round, block.header.height, transaction);
            }
        }
        found
    }

    /// Waits until a block of this height is final.
    pub async fn wait_for(&self, height: Height) {
        while self.height() < height {
            sleep(POLL).await;
        }
    }
}

impl OnLedger {
    fn note(&mut self, round: &RoundId, height: Height, transaction: &Transaction) {
        let body = transaction.body();
        match &body.action {
            Action::RoundOpen(terms) if RoundId::of(body.chain, &body.digest()) == *round => {
                self.deadline = Some(terms.deadline);
            }
            Action::Settlement(settlement) if settlement.round == *round => {
                let roster = settlement.entry.postings.iter().map(|it| it.institution).collect();
                let transaction = transaction.id();
                self.settlements.push(Settled { height, transaction, roster });
            }
            _ => (),
        }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.task.abort();
    }
}
