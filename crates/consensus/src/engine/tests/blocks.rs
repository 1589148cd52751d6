use bytes::Bytes;
use malachite_app_channel::app::engine::host::SyncedValueOutcome;
use quittance_crypto::encoding::Encode;
use quittance_ledger::block::{Block, Header, transactions_root};
use quittance_ledger::certificate::Certificate;
use quittance_ledger::evidence::Evidence;
use quittance_ledger::ids::Timestamp;
use quittance_ledger::transaction::Verified;
use thiserror::Error;

use super::*;
use crate::engine::RunError;
use crate::engine::context::Whole;
use crate::engine::host::Blocks;
use crate::store::{FolderStore, MemoryStore, ProposalStore};
use crate::{Application, Clock, Moment, Occasion};

#[derive(Debug, Error)]
#[error("refused")]
struct Refused;

/// Accepts blocks with an even time, and remembers at which moments it was asked.
#[derive(Default)]
struct Fake {
    tip: u64,
    made: u64,
    moments: Vec<Moment>,
}

fn block(height: u64, time: u64) -> Block<Verified> {
    let header = Header {
        suite: SUITE,
        chain: CHAIN,
        height: Height(height),
        parent: BLOCK,
        transactions_root: transactions_root::<Verified>(&[]),
        state_root: Digest::ZERO,
        time: Timestamp(time),
        validators: Digest::ZERO,
        next_validators: Digest::ZERO,
    };
    Block { header, transactions: vec![] }
}

fn whole(height: u64, time: u64) -> Whole {
    let block = block(height, time);
    let (id, bytes) = (block.id(), block.to_bytes().into());
    Whole { who: name(2), height: Height(height), round: 0, block: id, bytes }
}

impl Application for Fake {
    type Error = Refused;

    fn propose(&mut self, _: Timestamp, _: Occasion) -> Result<Option<Block<Verified>>, Refused> {
        self.made += 1;
        Ok(Some(block(self.tip + 1, 2 * self.made)))
    }

    fn validate(&mut self, block: Block, moment: Moment) -> Result<Block<Verified>, Refused> {
        self.moments.push(moment);
        match block.header.time.0 % 2 {
            0 => Ok(Block { header: block.header, transactions: vec![] }),
            _ => Err(Refused),
        }
    }

    fn commit(&mut self, block: Block<Verified>, _: Certificate) -> Result<(), Refused> {
        self.tip = block.header.height.0;
        Ok(())
    }

    fn tip(&self) -> Height {
        Height(self.tip)
    }

    fn validators(&self) -> ValidatorSet {
        set()
    }

    fn block(&self, height: Height) -> Result<Option<(Bytes, Certificate)>, Refused> {
        Ok((height.0 <= self.tip).then(|| (whole(height.0, 2).bytes, certificate(height.0, BLOCK))))
    }

    fn has_work(&self) -> bool {
        false
    }

    fn report(&mut self, _: Evidence) -> Result<(), Refused> {
        Ok(())
    }
}

fn certificate(height: u64, block: BlockId) -> Certificate {
    Certificate { height: Height(height), round: 0, block, signatures: vec![] }
}

fn memory() -> Blocks {
    Blocks::new(Box::<MemoryStore>::default(), Clock::default())
}

#[test]
fn the_same_block_is_proposed_whenever_it_is_asked_for_also_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let open =
        || Blocks::new(Box::new(FolderStore::open(folder.path()).unwrap()), Clock::default());
    let mut fake = Fake::default();
    let mut blocks = open();
    let place = (Height(1), 0, name(0));
    let first = blocks.propose(&mut fake, place).unwrap().unwrap();
    assert_eq!(blocks.propose(&mut fake, place).unwrap().unwrap(), first);
    drop(blocks);
    let mut blocks = open();
    assert_eq!(blocks.propose(&mut fake, place).unwrap().unwrap(), first);
    assert_eq!(fake.made, 1);
    // Another round is another proposal; another height is not asked for.
    let other = blocks.propose(&mut fake, (Height(1), 4, name(0))).unwrap().unwrap();
    assert_ne!(other.block, first.block);
    assert!(blocks.propose(&mut fake, (Height(2), 0, name(0))).unwrap().is_none());
    // And once it is decided, it is committed without having been looked at by this process.
    blocks.decided(&mut fake, certificate(1, first.block)).unwrap();
    assert_eq!((fake.tip, &fake.moments[..]), (1, &[Moment::Past][..]));
}

#[test]
fn a_block_is_kept_before_the_engine_learns_that_it_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let mut blocks =
        Blocks::new(Box::new(FolderStore::open(folder.path()).unwrap()), Clock::default());
    let mut fake = Fake::default();
    let valid = blocks.received(&mut fake, whole(1, 2)).unwrap().unwrap();
    assert!(valid.validity.is_valid());
    let kept = FolderStore::open(folder.path()).unwrap().list(Height(1)).unwrap();
    assert_eq!((kept.len(), kept[0].block), (1, whole(1, 2).block));

    // Refused: by the application, for its bytes, or for being another than is said.
    let garbage = Whole { bytes: Bytes::from_static(b"garbage"), ..whole(1, 4) };
    let swapped = Whole { bytes: whole(1, 6).bytes, ..whole(1, 4) };
    for bad in [whole(1, 3), garbage, swapped] {
        let stated = bad.block;
        let value = blocks.received(&mut fake, bad).unwrap().unwrap();
        assert!(value.validity.is_invalid());
        assert_eq!(value.value.0, stated);
    }
    assert_eq!(FolderStore::open(folder.path()).unwrap().list(Height(1)).unwrap().len(), 1);
}

#[test]
fn the_clock_has_a_say_in_fresh_proposals_alone() {
    let mut fake = Fake::default();
    let folder = tempfile::tempdir().unwrap();
    let open =
        || Blocks::new(Box::new(FolderStore::open(folder.path()).unwrap()), Clock::default());
    let mut blocks = open();
    blocks.received(&mut fake, whole(1, 2)).unwrap();
    assert!(matches!(fake.moments[..], [Moment::Fresh(_)]));
    // After a crash.
    let mut blocks = open();
    let seen = blocks.started(&mut fake, Height(1), 0).unwrap();
    assert_eq!(seen.len(), 1);
    assert!(matches!(fake.moments[..], [_, Moment::Past]));
    assert!(open().started(&mut fake, Height(1), 1).unwrap().is_empty());
    // From others who have decided it.
    let place = (Height(1), 0, name(2));
    let synced = blocks.synced(&mut fake, place, whole(1, 8).bytes).unwrap();
    assert!(matches!(synced, SyncedValueOutcome::Verdict(value) if value.validity.is_valid()));
    assert!(matches!(fake.moments[..], [_, _, Moment::Past]));
    let garbage = blocks.synced(&mut fake, place, Bytes::from_static(b"garbage")).unwrap();
    assert!(matches!(garbage, SyncedValueOutcome::PeerFault));
    let far = (Height(3), 0, name(2));
    let far = blocks.synced(&mut fake, far, whole(3, 8).bytes).unwrap();
    assert!(matches!(far, SyncedValueOutcome::LocalTransientError));
}

#[test]
fn blocks_of_the_next_height_wait_for_it() {
    let (mut fake, mut blocks) = (Fake::default(), memory());
    assert!(blocks.received(&mut fake, whole(2, 4)).unwrap().is_none());
    assert!(blocks.received(&mut fake, whole(3, 4)).unwrap().is_none());
    assert!(fake.moments.is_empty());
    let first = blocks.received(&mut fake, whole(1, 2)).unwrap().unwrap();
    blocks.decided(&mut fake, certificate(1, first.value.0)).unwrap();
    blocks.finalized::<Refused>(Height(1)).unwrap();
    let seen = blocks.started(&mut fake, Height(2), 0).unwrap();
    assert_eq!((seen.len(), seen[0].value.0), (1, whole(2, 4).block));
    assert!(blocks.started(&mut fake, Height(3), 0).unwrap().is_empty());
}

#[test]
fn a_block_is_proposed_again_in_the_name_of_who_does_it() {
    let (mut fake, mut blocks) = (Fake::default(), memory());
    blocks.received(&mut fake, whole(1, 2)).unwrap();
    let again = (Height(1), 5, whole(1, 2).block);
    let found = blocks.again::<Refused>(again, name(3)).unwrap().unwrap();
    assert_eq!(found, Whole { who: name(3), round: 5, ..whole(1, 2) });
    assert!(blocks.again::<Refused>((Height(1), 5, BLOCK), name(3)).unwrap().is_none());
}

#[test]
fn a_decision_about_a_block_that_is_not_here_ends_the_engine() {
    let (mut fake, mut blocks) = (Fake::default(), memory());
    let lost = blocks.decided(&mut fake, certificate(1, BLOCK));
    assert!(matches!(lost, Err(RunError::Missing { block: BLOCK, .. })));
    // One that is committed already is no news.
    fake.tip = 1;
    blocks.decided(&mut fake, certificate(1, BLOCK)).unwrap();
}

#[test]
fn peers_are_given_what_there_is() {
    let (fake, blocks) = (Fake { tip: 30, ..Fake::default() }, memory());
    let count = |first, last| blocks.committed(&fake, Height(first), Height(last)).len();
    assert_eq!(count(1, 5), 5);
    assert_eq!(count(28, 40), 3);
    assert_eq!(count(31, 40), 0);
    assert_eq!(count(1, u64::MAX), crate::wire::MAX_RESPONSE_BLOCKS);
}
