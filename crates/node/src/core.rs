//! What the threads and handlers of a node share.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::available_parallelism;
use std::time::Instant;

use metrics::{counter, gauge, histogram};
use quittance_consensus::Bell;
use quittance_ledger::block::{Block, Header, Tip};
use quittance_ledger::certificate::Certificate;
use quittance_ledger::evidence::Evidence;
use quittance_ledger::execute::{ExecutionError, Outcome};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::TransactionId;
use quittance_ledger::state::State;
use quittance_ledger::transaction::{Body, Transaction, Verified};
use quittance_ledger::verify::verify_share;
use quittance_rpc::convert::TransactionStatus;
use quittance_rpc::metrics::{
    NODE_EVIDENCE, NODE_MEMPOOL, NODE_MEMPOOL_BYTES, NODE_VERIFIED, NODE_VERIFYING_TIME,
    chain_is_at,
};
use quittance_storage::{ChainError, ChainStore, Kept};
use rand_core::OsRng;
use thiserror::Error;
use tokio::sync::watch;

use crate::pool::{Full, Load, Pool, PoolLimits, Source, Stage, next_sequence, slots};
use crate::queue::Queue;
use crate::rejection::Rejection;
use crate::watchers::Watchers;

/// The end of the chain: what is final.
pub(crate) struct View {
    pub tip: Tip,
    /// The last block's header with its certificate; `None` before the first.
    pub last: Option<(Header, Certificate)>,
    pub state: State,
}

/// Why a transaction was not taken.
#[derive(Debug, Error)]
pub(crate) enum SubmitError {
    #[error(transparent)]
    Full(#[from] Full),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("the node is stopping")]
    Stopping,
}

pub(crate) struct Core {
    pub genesis: Genesis,
    pub store: ChainStore,
    pub bell: Bell,
    pub watchers: Watchers,
    view: watch::Sender<Arc<View>>,
    pool: Mutex<Pool>,
    /// Where transactions go to be verified; closed once the node is stopping.
    pub queue: Queue,
    /// Takes verified transactions to the other validators, if there are any.
    pub others: OnceLock<Box<dyn PassOn>>,
}

/// A way to the other validators.
pub(crate) trait PassOn: Send + Sync {
    /// Passes a transaction on to all that can be reached. Never waits.
    fn pass_on(&self, transaction: &Transaction<Verified>);
}

impl Core {
    /// A core for a node with one verifier for each processor.
    pub(crate) fn new(
        genesis: Genesis,
        store: ChainStore,
        view: View,
        limits: PoolLimits,
    ) -> Arc<Self> {
        Arc::new(Self {
            genesis,
            store,
            bell: Bell::new(),
            watchers: Watchers::default(),
            view: watch::Sender::new(Arc::new(view)),
            pool: Mutex::new(Pool::new(limits)),
            queue: Queue::new(available_parallelism().unwrap_or(NonZeroUsize::MIN)),
            others: OnceLock::new(),
        })
    }

    /// The end of the chain as it is now.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// The end of the chain, for those who wait for the next block.
    pub(crate) fn follow(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// The pool. Each change of it is complete, so what another thread's panic leaves is sound.
    pub(crate) fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has become of a transaction. While it is being verified it counts as unknown.
    pub(crate) fn status(&self, id: &TransactionId) -> Result<TransactionStatus, ChainError> {
        // In this order: a block is stored before its transactions leave the pool.
        let stage = self.pool().stage(id);
        if let Some(stage) = stage {
            return Ok(match stage {
                Stage::Verifying => TransactionStatus::Unknown,
                Stage::Candidate { expiry } => TransactionStatus::Pending { expiry },
            });
        }
        if let Some((height, index)) = self.store.transaction(id)? {
            return Ok(TransactionStatus::Final { height, index });
        }
        let rejection = self.pool().rejection(id).cloned();
        Ok(rejection.map_or(TransactionStatus::Unknown, |Rejection { code, reason }| {
            TransactionStatus::Rejected { code, reason }
        }))
    }

    /// Keeps evidence that was verified.
    pub(crate) fn keep_evidence(&self, evidence: &Evidence) -> Result<Kept, ChainError> {
        let kept = self.store.keep_evidence(evidence)?;
        self.count_evidence()?;
        Ok(kept)
    }

    /// Says in the metrics how much evidence there is.
    pub(crate) fn count_evidence(&self) -> Result<(), ChainError> {
        gauge!(NODE_EVIDENCE).set(self.store.evidence()?.len() as f64);
        Ok(())
    }

    /// Takes in a transaction, unless it is here already or final. Its status says what becomes of
    /// it; it changes when it has been verified.
    pub(crate) fn submit(
        &self,
        transaction: Transaction,
        source: Source,
    ) -> Result<(), SubmitError> {
        let id = transaction.id();
        if self.pool().stage(&id).is_some() || self.store.transaction(&id)?.is_some() {
            return Ok(());
        }
        let view = self.view();
        if let Err(error) = hopeless(transaction.body(), &view) {
            self.pool().reject(id, Rejection::from(&error));
            self.watchers.notify([&id]);
            return Ok(());
        }
        let mut pool = self.pool();
        if pool.stage(&id).is_some() {
            return Ok(());
        }
        pool.reserve(id, transaction.size(), source)?;
        count_load(&pool);
        let known = pool.verdict(&id).map(|verdict| transaction.clone().recall(&verdict));
        if let Some(Ok(verified)) = known {
            let new = pool.admit(verified.clone(), &view.state);
            drop(pool);
            if new {
                self.pass_on(&verified);
            }
            self.bell.ring();
            return Ok(());
        }
        drop(pool);
        match self.queue.push(transaction) {
            true => Ok(()),
            false => Err(SubmitError::Stopping),
        }
    }

    /// Verifies what is submitted, until [`Core::close`]. Blocks its thread; several may do it at
    /// once.
    pub(crate) fn verify(&self) {
        while let Some(batch) = self.queue.take() {
            self.verify_batch(batch);
        }
    }

    /// Verifies transactions that the pool has taken in; those that hold become candidates.
    pub(crate) fn verify_batch(&self, batch: Vec<Transaction>) {
        let ids: Vec<TransactionId> = batch.iter().map(Transaction::id).collect();
        let (view, began) = (self.view(), Instant::now());
        let verdicts = verify_share(batch, &view.state, &mut OsRng);
        histogram!(NODE_VERIFYING_TIME).record(began.elapsed());
        let valid = verdicts.iter().filter(|verdict| verdict.is_ok()).count();
        count_verdicts("valid", valid);
        count_verdicts("invalid", verdicts.len() - valid);
        let mut new = Vec::new();
        let mut pool = self.pool();
        for (id, verdict) in ids.iter().zip(verdicts) {
            match verdict {
                Ok(verified) => {
                    if pool.admit(verified.clone(), &view.state) {
                        new.push(verified);
                    }
                }
                Err(error) => pool.reject(*id, Rejection::from(&error)),
            }
        }
        drop(pool);
        new.iter().for_each(|transaction| self.pass_on(transaction));
        self.watchers.notify(&ids);
        self.bell.ring();
    }

    fn pass_on(&self, transaction: &Transaction<Verified>) {
        if let Some(others) = self.others.get() {
            others.pass_on(transaction);
        }
    }

    /// Makes a block that is on the disk the end of the chain for everybody.
    pub(crate) fn publish(
        &self,
        block: &Block<Verified>,
        certificate: Certificate,
        outcome: Outcome,
        rejections: Vec<(TransactionId, Rejection)>,
    ) {
        let last = Some((block.header.clone(), certificate));
        let tip = Tip::after(&block.header);
        self.view.send_replace(Arc::new(View { tip, last, state: outcome.state }));
        chain_is_at(block.header.height, block.header.time);
        let included: Vec<TransactionId> = block.transactions.iter().map(Transaction::id).collect();
        let mut pool = self.pool();
        included.iter().for_each(|id| pool.remove(id));
        count_load(&pool);
        drop(pool);
        self.watchers.notify(&included);
        self.reject(rejections);
    }

    /// Lets go of transactions that will not be executed.
    pub(crate) fn reject(&self, rejections: Vec<(TransactionId, Rejection)>) {
        let ids: Vec<TransactionId> = rejections.iter().map(|(id, _)| *id).collect();
        let mut pool = self.pool();
        rejections.into_iter().for_each(|(id, rejection)| pool.reject(id, rejection));
        count_load(&pool);
        drop(pool);
        self.watchers.notify(&ids);
    }

    /// Nothing more is taken in; the threads end.
    pub(crate) fn close(&self) {
        self.queue.close();
        self.bell.stop();
    }
}

/// Says in the metrics how much is in the pool.
fn count_load(pool: &Pool) {
    let Load { transactions, bytes } = pool.load();
    gauge!(NODE_MEMPOOL).set(transactions as f64);
    gauge!(NODE_MEMPOOL_BYTES).set(bytes as f64);
}

fn count_verdicts(verdict: &'static str, count: usize) {
    if count > 0 {
        counter!(NODE_VERIFIED, "verdict" => verdict).increment(count as u64);
    }
}

/// Rules that a transaction can never keep again, found out before the work of verifying it.
fn hopeless(body: &Body, view: &View) -> Result<(), ExecutionError> {
    let chain = view.state.chain();
    if body.chain != chain.id {
        return Err(ExecutionError::WrongChain { expected: chain.id, found: body.chain });
    }
    let (expiry, height) = (body.expiry, view.tip.height().next());
    if height > expiry {
        return Err(ExecutionError::Expired { expiry, height });
    }
    for (account, found) in slots(body, &view.state) {
        let expected = next_sequence(&view.state, &account);
        if found < expected {
            return Err(ExecutionError::StaleSequence { account, expected, found });
        }
    }
    Ok(())
}
