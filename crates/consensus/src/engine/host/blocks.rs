//! The blocks that are not decided yet, and those that others ask for.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use malachite_app_channel::app::engine::host::SyncedValueOutcome;
use malachite_app_channel::app::types::ProposedValue;
use malachite_app_channel::app::types::core::{Round, Validity};
use malachite_app_channel::app::types::sync::RawDecidedValue;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::planted;
use quittance_ledger::block::Block;
use quittance_ledger::certificate::Certificate;
use quittance_ledger::ids::{BlockId, Height, InstitutionId};
use quittance_ledger::transaction::Verified;

use super::Result;
use crate::engine::RunError;
use crate::engine::context::{Quittance, Value, Who, Whole};
use crate::engine::convert::block_in;
use crate::store::{ProposalStore, Proposed};
use crate::wire::{DecidedBlock, MAX_RESPONSE_BLOCKS, MAX_RESPONSE_BYTES};
use crate::{Application, Clock, Moment, Occasion};

/// Blocks of the height after the present one that wait for it.
const MAX_EARLY: usize = 4;

/// Height, round and proposer.
pub type Place = (Height, u32, InstitutionId);

/// What validators have proposed at the present height.
pub struct Blocks {
    /// Every block that the engine has been told of, on the disk before it was.
    store: Box<dyn ProposalStore>,
    /// Those that the application has accepted since this process began.
    accepted: BTreeMap<BlockId, Block<Verified>>,
    /// Blocks of the height after, which nobody has looked at.
    early: Vec<Whole>,
    /// The last height whose block was fetched from others.
    fetched: Option<Height>,
    clock: Clock,
}

fn value(whole: &Whole, validity: Validity) -> ProposedValue<Quittance> {
    ProposedValue {
        height: whole.height.into(),
        round: Round::new(whole.round),
        valid_round: Round::Nil,
        proposer: Who(whole.who),
        value: Value(whole.block),
        validity,
    }
}

fn proposed(whole: &Whole) -> Proposed {
    let Whole { who: proposer, height, round, block, ref bytes } = *whole;
    Proposed { height, round, proposer, block, bytes: bytes.clone() }
}

fn whole(proposed: Proposed) -> Whole {
    let Proposed { height, round, proposer: who, block, bytes } = proposed;
    Whole { who, height, round, block, bytes }
}

impl Blocks {
    pub fn new(store: Box<dyn ProposalStore>, clock: Clock) -> Self {
        Self { store, accepted: BTreeMap::new(), early: Vec::new(), fetched: None, clock }
    }

    /// A block for this place: the same one whenever it is asked for.
    pub fn propose<A: Application>(
        &mut self,
        application: &mut A,
        place: Place,
    ) -> Result<Option<Whole>, A> {
        let (height, round, who) = place;
        if height != application.tip().next() {
            return Ok(None);
        }
        let mine = |kept: &Proposed| kept.round == round && kept.proposer == who;
        let kept = self.store.list(height)?.into_iter().find(mine);
        if let Some(kept) = planted!("another-block-when-asked-again", None, kept) {
            return Ok(Some(whole(kept)));
        }
        let made = application.propose(self.clock.now(), Occasion::Heartbeat);
        let Some(made) = made.map_err(RunError::Application)? else { return Ok(None) };
        let (block, bytes) = (made.id(), Bytes::from(made.to_bytes()));
        let whole = Whole { who, height, round, block, bytes };
        self.store.put(&proposed(&whole))?;
        self.accepted.insert(block, made);
        Ok(Some(whole))
    }

    /// A block has come in. The engine learns of it when it has been looked at.
    pub fn received<A: Application>(
        &mut self,
        application: &mut A,
        whole: Whole,
    ) -> Result<Option<ProposedValue<Quittance>>, A> {
        let next = application.tip().next();
        if whole.height == next {
            let fresh = Moment::Fresh(self.clock.now());
            return self.check(application, &whole, fresh).map(Some);
        }
        if whole.height == next.next() && self.early.len() < MAX_EARLY {
            self.early.push(whole);
        }
        Ok(None)
    }

    /// A round has begun: the blocks that were proposed in it before a crash, and those that came
    /// before their height.
    pub fn started<A: Application>(
        &mut self,
        application: &mut A,
        height: Height,
        round: u32,
    ) -> Result<Vec<ProposedValue<Quittance>>, A> {
        if height != application.tip().next() {
            return Ok(Vec::new());
        }
        let mut values = Vec::new();
        for kept in self.store.list(height)? {
            if kept.round == round {
                values.push(self.check(application, &whole(kept), Moment::Past)?);
            }
        }
        for early in std::mem::take(&mut self.early) {
            if early.height == height {
                values.push(self.check(application, &early, Moment::Fresh(self.clock.now()))?);
            }
        }
        Ok(values)
    }

    /// The application's verdict on a block. One that it accepts is on the disk when this returns.
    fn check<A: Application>(
        &mut self,
        application: &mut A,
        whole: &Whole,
        moment: Moment,
    ) -> Result<ProposedValue<Quittance>, A> {
        let (height, round, block) = (whole.height, whole.round, whole.block);
        if let Entry::Vacant(place) = self.accepted.entry(block) {
            let accepted = match judge(application, whole, moment) {
                Ok(accepted) => accepted,
                Err(reason) => {
                    let proposer = whole.who;
                    tracing::warn!(%height, round, %block, %proposer, %reason, "block refused");
                    return Ok(value(whole, Validity::Invalid));
                }
            };
            place.insert(accepted);
        }
        self.store.put(&proposed(whole))?;
        Ok(value(whole, Validity::Valid))
    }

    /// A block that is proposed again in a later round, by `who`.
    pub fn again<E>(
        &mut self,
        (height, round, block): (Height, u32, BlockId),
        who: InstitutionId,
    ) -> std::result::Result<Option<Whole>, RunError<E>>
    where
        E: std::error::Error,
    {
        let kept = self.store.list(height)?.into_iter().find(|kept| kept.block == block);
        Ok(kept.map(|kept| Whole { who, round, ..whole(kept) }))
    }

    /// A block is decided: it becomes part of the chain.
    pub fn decided<A: Application>(
        &mut self,
        application: &mut A,
        certificate: Certificate,
    ) -> Result<(), A> {
        let (height, id) = (certificate.height, certificate.block);
        if height <= application.tip() {
            return Ok(());
        }
        let block = match self.accepted.remove(&id) {
            Some(block) => block,
            None => self.recall(application, height, id)?,
        };
        self.accepted.clear();
        application.commit(block, certificate).map_err(RunError::Application)
    }

    /// A decided block that was accepted before a crash.
    fn recall<A: Application>(
        &mut self,
        application: &mut A,
        height: Height,
        id: BlockId,
    ) -> Result<Block<Verified>, A> {
        let kept = self.store.list(height)?.into_iter().find(|kept| kept.block == id);
        let kept = kept.ok_or(RunError::Missing { height, block: id })?;
        let block = Block::from_bytes(&kept.bytes);
        let block = block.map_err(|_| RunError::Missing { height, block: id })?;
        application.validate(block, Moment::Past).map_err(RunError::Application)
    }

    /// A height is over: what was proposed at it is forgotten. Whether its block was fetched.
    pub fn finalized<E: std::error::Error>(
        &mut self,
        height: Height,
    ) -> std::result::Result<bool, RunError<E>> {
        self.accepted.clear();
        self.early.retain(|early| early.height > height);
        self.store.prune(height)?;
        Ok(self.fetched == Some(height))
    }

    /// Blocks of the chain, for a peer that lacks them: as many as fit a response. One that cannot be
    /// read is a reason to look at the disk, and none to end because a peer asks for it.
    pub fn committed<A: Application>(
        &self,
        application: &A,
        first: Height,
        last: Height,
    ) -> Vec<RawDecidedValue<Quittance>> {
        let mut found = Vec::new();
        let (mut height, mut size) = (first, 0usize);
        while height <= last && found.len() < MAX_RESPONSE_BLOCKS {
            let (block, certificate) = match application.block(height) {
                Ok(Some(stored)) => stored,
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%height, %error, "a block of the chain cannot be read");
                    break;
                }
            };
            size = size.saturating_add(block.len());
            if size > MAX_RESPONSE_BYTES && !found.is_empty() {
                break;
            }
            found.push(block_in(DecidedBlock { block, certificate }));
            height = height.next();
        }
        found
    }

    /// A block that others have decided, whose certificate the engine has verified.
    pub fn synced<A: Application>(
        &mut self,
        application: &mut A,
        (height, round, who): Place,
        bytes: Bytes,
    ) -> Result<SyncedValueOutcome<Quittance>, A> {
        if height != application.tip().next() {
            return Ok(SyncedValueOutcome::LocalTransientError);
        }
        let Ok(block) = Block::from_bytes(&bytes) else {
            return Ok(SyncedValueOutcome::PeerFault);
        };
        let whole = Whole { who, height, round, block: block.id(), bytes };
        self.fetched = Some(height);
        self.check(application, &whole, Moment::Past).map(SyncedValueOutcome::Verdict)
    }
}

/// Decodes a block and has the application check it; otherwise why it is refused.
fn judge<A: Application>(
    application: &mut A,
    whole: &Whole,
    moment: Moment,
) -> std::result::Result<Block<Verified>, String> {
    let block = Block::from_bytes(&whole.bytes).map_err(|error| error.to_string())?;
    let (found, stated) = (block.id(), whole.block);
    if found != stated {
        return Err(format!("it is block {found}"));
    }
    application.validate(block, moment).map_err(|error| error.to_string())
}
