//! The chain as consensus sees it.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use metrics::{counter, gauge, histogram};
use quittance_consensus::{Application, Moment, Occasion};
use quittance_crypto::encoding::{Decode, DecodeError, Encode};
use quittance_ledger::block::{Block, BlockError, Header, HeaderError, transactions_root};
use quittance_ledger::certificate::{Certificate, CertificateError, ValidatorSet};
use quittance_ledger::evidence::Evidence;
use quittance_ledger::execute::{
    ApplyError, BlockContext, ExecutionError, Executor, Outcome, apply,
};
use quittance_ledger::ids::{BlockId, Height, Timestamp, TransactionId};
use quittance_ledger::state::StateError;
use quittance_ledger::transaction::{Transaction, Verified};
use quittance_rpc::metrics::{
    NODE_BLOCK_INTERVAL, NODE_CERTIFICATE_BYTES, NODE_ROUND, NODE_ROUNDS, NODE_TRANSACTIONS,
};
use quittance_storage::{ChainError, Kept};
use rand_core::OsRng;
use thiserror::Error;

use crate::core::{Core, View};
use crate::pool::WINDOW;
use crate::rejection::Rejection;

/// How far a proposal's time may be ahead of our clock, in milliseconds.
const CLOCK_TOLERANCE: u64 = 5_000;

/// Why a block was not made, accepted or committed.
#[derive(Debug, Error)]
pub enum ApplicationError {
    /// The block could not be stored.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The state contradicts itself.
    #[error(transparent)]
    State(#[from] StateError),
    /// The header does not follow the last one.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A transaction of the block does not verify.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The block does not follow from the state.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The block comes from the future.
    #[error("the block's time {time} is too far ahead of {now}")]
    Early {
        /// The time in its header.
        time: Timestamp,
        /// Our clock's.
        now: Timestamp,
    },
    /// The certificate is of another block.
    #[error("the certificate is of block {found}, not of {expected}")]
    OtherBlock {
        /// The block that is committed.
        expected: BlockId,
        /// What the certificate names.
        found: BlockId,
    },
    /// The certificate of a block on the disk is damaged.
    #[error("a certificate on the disk cannot be read: {0}")]
    Stored(#[from] DecodeError),
    /// The certificate does not make the block final.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Makes blocks of the pool's transactions, and appends what is decided to the chain.
pub(crate) struct Proposer {
    core: Arc<Core>,
    /// What the last block that was proposed or validated leads to, until it is committed.
    executed: Option<Executed>,
    /// When the last block became final here.
    since: Option<Instant>,
}

struct Executed {
    block: BlockId,
    outcome: Outcome,
    /// Transactions that cannot follow once the block is part of the chain.
    rejections: Vec<(TransactionId, Rejection)>,
}

/// What became of candidates that were tried one after the other.
#[derive(Default)]
struct Tried {
    included: Vec<Transaction<Verified>>,
    rejections: Vec<(TransactionId, Rejection)>,
}

impl Proposer {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, executed: None, since: None }
    }

    /// Counts a block that has become final.
    fn count(&mut self, block: &Block<Verified>, certificate: &Certificate) {
        if let Some(before) = self.since.replace(Instant::now()) {
            histogram!(NODE_BLOCK_INTERVAL).record(before.elapsed());
        }
        counter!(NODE_TRANSACTIONS).increment(block.transactions.len() as u64);
        counter!(NODE_ROUNDS).increment(u64::from(certificate.round).saturating_add(1));
        gauge!(NODE_ROUND).set(certificate.round);
        gauge!(NODE_CERTIFICATE_BYTES).set(certificate.to_bytes().len() as f64);
    }
}

impl Application for Proposer {
    type Error = ApplicationError;

    fn propose(
        &mut self,
        now: Timestamp,
        occasion: Occasion,
    ) -> Result<Option<Block<Verified>>, ApplicationError> {
        let view = self.core.view();
        let height = view.tip.height().next();
        let time = now.max(Timestamp(view.tip.time().0.saturating_add(1)));
        let context = BlockContext { height, time };
        let limit = view.state.limits().block_transactions as usize;
        let candidates = self.core.pool().select(&view.state, height, limit);
        let mut executor = Executor::new(&view.state, context);
        let Tried { included, rejections } = try_all(&mut executor, &candidates);
        if included.is_empty() && occasion == Occasion::Work {
            self.core.reject(rejections);
            return Ok(None);
        }
        let outcome = executor.finish()?;
        let header = header(&view, context, &included, &outcome);
        let block = Block { header, transactions: included };
        self.executed = Some(Executed { block: block.id(), outcome, rejections });
        Ok(Some(block))
    }

    fn validate(
        &mut self,
        block: Block,
        moment: Moment,
    ) -> Result<Block<Verified>, ApplicationError> {
        let view = self.core.view();
        view.tip.check(&block.header)?;
        let time = block.header.time;
        if let Moment::Fresh(now) = moment
            && time.0 > now.0.saturating_add(CLOCK_TOLERANCE)
        {
            return Err(ApplicationError::Early { time, now });
        }
        let known = |id: &TransactionId| self.core.pool().verdict(id);
        let block = block.verify(&view.state, known, &mut OsRng)?;
        let outcome = apply(&view.state, &block)?;
        self.executed = Some(Executed { block: block.id(), outcome, rejections: Vec::new() });
        Ok(block)
    }

    fn commit(
        &mut self,
        block: Block<Verified>,
        certificate: Certificate,
    ) -> Result<(), ApplicationError> {
        let view = self.core.view();
        let id = block.id();
        if certificate.block != id || certificate.height != block.header.height {
            let (expected, found) = (id, certificate.block);
            return Err(ApplicationError::OtherBlock { expected, found });
        }
        certificate.verify(view.state.chain().id, view.state.validators())?;
        let (outcome, rejections) = match self.executed.take() {
            Some(executed) if executed.block == id => (executed.outcome, executed.rejections),
            _ => {
                view.tip.check(&block.header)?;
                (apply(&view.state, &block)?, Vec::new())
            }
        };
        self.core.store.append(&block, &certificate, &outcome.changes)?;
        let (height, transactions) = (block.header.height, block.transactions.len());
        self.count(&block, &certificate);
        self.core.publish(&block, certificate, outcome, rejections);
        tracing::debug!(%height, transactions, "block is final");
        Ok(())
    }

    fn tip(&self) -> Height {
        self.core.view().tip.height()
    }

    fn validators(&self) -> ValidatorSet {
        self.core.view().state.validators().clone()
    }

    fn block(&self, height: Height) -> Result<Option<(Bytes, Certificate)>, ApplicationError> {
        let Some(stored) = self.core.store.block(height)? else { return Ok(None) };
        let certificate = Certificate::from_bytes(&stored.certificate)?;
        Ok(Some((stored.block.into(), certificate)))
    }

    fn has_work(&self) -> bool {
        let view = self.core.view();
        let next = view.tip.height().next();
        !self.core.pool().select(&view.state, next, 1).is_empty()
    }

    fn report(&mut self, evidence: Evidence) -> Result<(), ApplicationError> {
        let (validator, height) = (evidence.institution(), evidence.height());
        match self.core.keep_evidence(&evidence)? {
            Kept::New => tracing::error!(
                %validator,
                %height,
                "a validator contradicts itself: the evidence is stored, for `quittance-audit \
                 evidence fetch`"
            ),
            Kept::Full => tracing::warn!(
                %validator,
                %height,
                "a validator contradicts itself once more than evidence is stored"
            ),
            Kept::Known => {}
        }
        Ok(())
    }
}

/// Executes what can be executed.
fn try_all(executor: &mut Executor<'_>, candidates: &[Transaction<Verified>]) -> Tried {
    let mut tried = Tried::default();
    for candidate in candidates {
        match executor.execute(candidate) {
            Ok(()) => tried.included.push(candidate.clone()),
            Err(ExecutionError::BlockFull) if !tried.included.is_empty() => break,
            // One before it has failed; it waits for another in its place.
            Err(ExecutionError::SkippedSequence { expected, found, .. })
                if found.saturating_sub(expected) <= WINDOW => {}
            Err(error) => {
                tracing::debug!(transaction = %candidate.id(), %error, "rejected");
                tried.rejections.push((candidate.id(), Rejection::from(&error)));
            }
        }
    }
    tried
}

/// The header of the block that executing `transactions` after `view` has led to.
fn header(
    view: &View,
    context: BlockContext,
    transactions: &[Transaction<Verified>],
    outcome: &Outcome,
) -> Header {
    let chain = view.state.chain();
    Header {
        suite: chain.suite,
        chain: chain.id,
        height: context.height,
        parent: view.tip.block(),
        transactions_root: transactions_root(transactions),
        state_root: outcome.root(),
        time: context.time,
        validators: view.tip.validators(),
        next_validators: outcome.state.validators().digest(),
    }
}
