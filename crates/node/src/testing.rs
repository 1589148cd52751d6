//! A node's parts without network and threads, for unit tests.

use std::sync::Arc;

use quittance_consensus::{Application, Occasion};
use quittance_crypto::signature::SigningKey;
use quittance_ledger::block::{Block, Header};
use quittance_ledger::build::Terms;
use quittance_ledger::certificate::{Certificate, ValidatorSignature, Vote, VoteKind};
use quittance_ledger::ids::{ChainId, InstitutionId, Timestamp};
use quittance_ledger::transaction::{Transaction, Verified};
use quittance_rpc::convert::TransactionStatus;

use crate::application::Proposer;
use crate::banks::{Banks, SUITE, VALIDATOR, id, terms};
use crate::core::Core;
use crate::pool::{PoolLimits, Source};

/// A chain in a folder of its own, whose pool is verified when [`Fixture::submit`] is called.
pub(crate) struct Fixture {
    pub banks: Banks,
    pub core: Arc<Core>,
    pub proposer: Proposer,
    pub vote: SigningKey,
    _folder: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let (banks, vote) = (Banks::new(), SigningKey::from_seed(SUITE, &[1; 32]));
        let folder = tempfile::tempdir().unwrap();
        let genesis = banks.genesis(&vote);
        let (store, view) = crate::open(folder.path(), &genesis).unwrap();
        let core = Core::new(genesis, store, view, PoolLimits::default());
        let proposer = Proposer::new(core.clone());
        Self { banks, core, proposer, vote, _folder: folder }
    }

    pub(crate) fn chain(&self) -> ChainId {
        self.core.genesis.chain_id()
    }

    pub(crate) fn terms(&self) -> Terms {
        terms(self.chain(), 100)
    }

    /// Submits and verifies; the status after that.
    pub(crate) fn submit(
        &mut self,
        transaction: &Transaction,
        by: InstitutionId,
    ) -> TransactionStatus {
        self.core.submit(transaction.clone(), Source::Caller(by)).unwrap();
        // What is known already does not wait.
        if !self.core.queue.is_empty() {
            self.core.verify_batch(self.core.queue.take().unwrap());
        }
        self.core.status(&transaction.id()).unwrap()
    }

    pub(crate) fn certify(&self, header: &Header, key: &SigningKey) -> Certificate {
        let (height, round, block) = (header.height, 0, header.id());
        let (kind, chain) = (VoteKind::Precommit, header.chain);
        let signature = Vote { chain, height, round, kind, block: Some(block) }.sign(key);
        let signatures = vec![ValidatorSignature { institution: id(VALIDATOR), signature }];
        Certificate { height, round, block, signatures }
    }

    pub(crate) fn propose(&mut self, occasion: Occasion) -> Option<Block<Verified>> {
        self.proposer.propose(Timestamp(1000), occasion).unwrap()
    }

    /// Makes a block of whatever is there.
    pub(crate) fn block(&mut self) -> Block<Verified> {
        let block = self.propose(Occasion::Heartbeat).unwrap();
        let certificate = self.certify(&block.header, &self.vote);
        self.proposer.commit(block.clone(), certificate).unwrap();
        block
    }
}
