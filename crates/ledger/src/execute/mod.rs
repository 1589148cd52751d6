//! Execution: what a verified transaction does to a state, and when it may not.
//!
//! Proofs and signatures hold by the type, [`Transaction<Verified>`]. What is left depends on the
//! state: whether keys are current, sequences, locks, pending credits, quotas, and that entries
//! balance, which takes a few point additions. A transaction is first checked as a whole and then
//! written; one that is not valid leaves no trace.
//!
//! A proposer tries transactions one by one with an [`Executor`]; a validator runs a whole block
//! with [`apply`], which accepts exactly what an executor could have produced. Whoever follows final
//! blocks without their accounts keeps the register alone up to date, with [`follow()`].

mod apply;
mod changes;
mod entries;
mod error;
mod follow;
mod governance;
mod overlay;
mod registry;
mod returns;
mod rounds;

use std::cmp::Ordering;

use quittance_crypto::digest::Digest;
use quittance_crypto::planted;
use quittance_crypto::signature::Purpose;

pub use apply::{ApplyError, apply};
pub use error::ExecutionError;
pub use follow::{FollowError, admits, follow};

use crate::ids::{AccountId, AssetId, Height, InstitutionId, Timestamp};
use crate::state::{Asset, Changes, PublicKey, Role, State, StateError};
use crate::transaction::{Action, Transaction, Verified};
use overlay::Overlay;
use registry::Registry;

/// What a transaction may depend on besides the state: the block it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockContext {
    /// The block's height.
    pub height: Height,
    /// The block's time. No rule of this version reads it; conditions of credits will.
    pub time: Timestamp,
}

/// Executes the transactions of one block, one after the other.
///
/// ```
/// # use quittance_ledger::execute::{BlockContext, Executor, Outcome};
/// # use quittance_ledger::state::{State, StateError};
/// # use quittance_ledger::transaction::{Transaction, Verified};
/// /// Keeps what can be executed, in the order given, and drops the rest.
/// fn propose(
///     state: &State,
///     context: BlockContext,
///     candidates: Vec<Transaction<Verified>>,
/// ) -> Result<(Vec<Transaction<Verified>>, Outcome), StateError> {
///     let mut executor = Executor::new(state, context);
///     let mut block = vec![];
///     for candidate in candidates {
///         if executor.execute(&candidate).is_ok() {
///             block.push(candidate);
///         }
///     }
///     Ok((block, executor.finish()?))
/// }
/// ```
pub struct Executor<'a> {
    state: &'a State,
    context: BlockContext,
    overlay: Overlay<'a>,
    registry: Registry<'a>,
    transactions: u32,
    bytes: u64,
}

/// What a block leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it writes, for storage.
    pub changes: Changes,
    /// The state after it.
    pub state: State,
}

impl Outcome {
    /// The root of the state after the block, for its header.
    pub fn root(&self) -> Digest {
        self.state.root()
    }
}

impl<'a> Executor<'a> {
    /// Begins a block on `state`: the records of rounds that ended long ago are dropped.
    pub fn new(state: &'a State, context: BlockContext) -> Self {
        let overlay = Overlay::new(state, context.height);
        let registry = Registry::new(state);
        Self { state, context, overlay, registry, transactions: 0, bytes: 0 }
    }

    /// Executes one more transaction, or says why it is not valid here. Then nothing has changed.
    pub fn execute(&mut self, transaction: &Transaction<Verified>) -> Result<(), ExecutionError> {
        let bytes = self.bytes.saturating_add(transaction.size() as u64);
        self.check_room(bytes)?;
        self.check_frame(transaction)?;
        for signature in transaction.signatures() {
            self.check_key(signature.institution, signature.key_fingerprint)?;
        }
        match &transaction.body().action {
            Action::Entries(entries) => self.execute_entries(entries, transaction.id())?,
            Action::Return(credit_return) => {
                self.execute_return(credit_return, transaction.id())?
            }
            Action::RoundOpen(open) => self.open_round(open, &transaction.body_digest())?,
            Action::RoundJoin(join) => self.join_round(join, transaction.id())?,
            Action::Settlement(settlement) => self.settle_round(settlement, transaction.id())?,
            Action::Governance(governance) => {
                self.registry.schedule(governance, self.context.height)?
            }
            Action::KeyRotation(rotation) => self.registry.rotate(rotation, self.context.height)?,
        }
        self.transactions = self.transactions.saturating_add(1);
        self.bytes = bytes;
        Ok(())
    }

    /// Ends the block: the decisions for the next height take effect.
    ///
    /// # Errors
    /// Never for a state that was built from genesis by blocks; an error says that the base
    /// contradicts itself.
    pub fn finish(mut self) -> Result<Outcome, StateError> {
        self.registry.turn(self.context.height.next());
        let (mut changes, pending) = self.overlay.finish();
        self.registry.finish(&mut changes);
        let state = State::install(Some(self.state), &changes, pending)?;
        Ok(Outcome { changes, state })
    }

    fn check_room(&self, bytes: u64) -> Result<(), ExecutionError> {
        let limits = self.state.limits();
        if self.transactions >= limits.block_transactions || bytes > limits.block_bytes.into() {
            return Err(ExecutionError::BlockFull);
        }
        Ok(())
    }

    /// The right chain and suite, not expired, not too far ahead.
    fn check_frame(&self, transaction: &Transaction<Verified>) -> Result<(), ExecutionError> {
        let body = transaction.body();
        let chain = self.state.chain();
        if planted!("other-chain-accepted", false, body.chain != chain.id) {
            return Err(ExecutionError::WrongChain { expected: chain.id, found: body.chain });
        }
        if body.suite != chain.suite {
            return Err(ExecutionError::WrongSuite { expected: chain.suite, found: body.suite });
        }
        let (expiry, height) = (body.expiry, self.context.height);
        if planted!("expiry-ignored", false, height > expiry) {
            return Err(ExecutionError::Expired { expiry, height });
        }
        let latest = height.plus(self.state.limits().max_expiry);
        match expiry <= latest {
            true => Ok(()),
            false => Err(ExecutionError::ExpiryTooFar { expiry, latest }),
        }
    }

    /// `institution` is not suspended, and the key that it signs with is its current one for
    /// transactions.
    fn check_key(
        &self,
        institution: InstitutionId,
        fingerprint: Digest,
    ) -> Result<(), ExecutionError> {
        let register = self.state.institution(&institution);
        let register = register.ok_or(ExecutionError::UnknownInstitution { institution })?;
        self.check_not_suspended(institution)?;
        let unknown = ExecutionError::UnknownKey { institution, fingerprint };
        match register.key(&fingerprint).ok_or(unknown)?.key() {
            PublicKey::Signing(Purpose::Transaction, _) => {}
            _ => return Err(ExecutionError::KeyOfOtherPurpose { institution, fingerprint }),
        }
        let current = register.signing_key(Purpose::Transaction, self.context.height);
        let is_current = current.is_some_and(|current| current.fingerprint() == fingerprint);
        match planted!("key-currency-not-checked", true, is_current) {
            true => Ok(()),
            false => Err(ExecutionError::KeyNotCurrent { institution, fingerprint }),
        }
    }

    fn check_not_suspended(&self, institution: InstitutionId) -> Result<(), ExecutionError> {
        let suspended = self.state.suspended(&institution).is_some();
        match planted!("suspension-ignored", false, suspended) {
            false => Ok(()),
            true => Err(ExecutionError::Suspended { institution }),
        }
    }

    /// The asset is known and not retired.
    fn live_asset(&self, asset: AssetId) -> Result<&Asset, ExecutionError> {
        let found = self.asset(asset)?;
        match self.state.retired(&asset) {
            None => Ok(found),
            Some(_) => Err(ExecutionError::AssetRetired { asset }),
        }
    }

    fn asset(&self, asset: AssetId) -> Result<&Asset, ExecutionError> {
        self.state.asset(&asset).ok_or(ExecutionError::UnknownAsset { asset })
    }

    /// Accounts are held by participants, and by the issuer in its own asset; not by the suspended.
    fn check_holder(&self, account: AccountId) -> Result<(), ExecutionError> {
        let AccountId { institution, asset } = account;
        let register = self.state.institution(&institution);
        let register = register.ok_or(ExecutionError::UnknownInstitution { institution })?;
        self.check_not_suspended(institution)?;
        let issues = self.asset(asset)?.issuer == institution;
        match issues || register.roles.contains(&Role::Participant) {
            true => Ok(()),
            false => Err(ExecutionError::NotAParticipant { account }),
        }
    }
}

/// `found` must be the account's next sequence number.
fn check_sequence(account: AccountId, used: u64, found: u64) -> Result<(), ExecutionError> {
    let expected = used.saturating_add(1);
    match planted!("sequence-not-checked", Ordering::Equal, found.cmp(&expected)) {
        Ordering::Less => Err(ExecutionError::StaleSequence { account, expected, found }),
        Ordering::Greater => Err(ExecutionError::SkippedSequence { account, expected, found }),
        Ordering::Equal => Ok(()),
    }
}
