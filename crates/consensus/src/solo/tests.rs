use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::Suite;
use quittance_ledger::block::{Block, transactions_root};
use quittance_ledger::certificate::Validator;
use quittance_ledger::evidence::Evidence;
use quittance_ledger::ids::{BlockId, ChainId, Height, Timestamp};
use quittance_ledger::transaction::Verified;

use super::*;
use crate::Moment;

const SUITE: Suite = Suite::MlDsa65MlKem768;
const CHAIN: ChainId = ChainId(Digest([7; 32]));

fn id(text: &str) -> InstitutionId {
    text.parse().unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(SUITE, &[seed; 32])
}

fn validators(powers: &[(&str, u8, u64)]) -> ValidatorSet {
    let validator = |(who, seed, power): &(&str, u8, u64)| Validator {
        institution: id(who),
        key: key(*seed).verifying_key(),
        power: *power,
    };
    ValidatorSet::new(powers.iter().map(validator).collect()).unwrap()
}

/// What it was asked, and what was committed.
type Said = (Occasion, Option<(Block<Verified>, Certificate)>);

/// Makes empty blocks at heartbeats only, and tells what it was asked.
struct Fake {
    tell: Sender<Said>,
    height: Height,
    fail_at: Option<Height>,
    /// Who decides after the height.
    change: Option<(Height, ValidatorSet)>,
}

#[derive(Debug, Error)]
#[error("the disk is gone")]
struct DiskGone;

impl Application for Fake {
    type Error = DiskGone;

    fn propose(
        &mut self,
        now: Timestamp,
        occasion: Occasion,
    ) -> Result<Option<Block<Verified>>, DiskGone> {
        if occasion == Occasion::Work {
            self.tell.send((occasion, None)).unwrap();
            return Ok(None);
        }
        let header = Header {
            suite: SUITE,
            chain: CHAIN,
            height: self.height.next(),
            parent: BlockId(Digest::ZERO),
            transactions_root: transactions_root::<Verified>(&[]),
            state_root: Digest::ZERO,
            time: now,
            validators: Digest::ZERO,
            next_validators: Digest::ZERO,
        };
        Ok(Some(Block { header, transactions: vec![] }))
    }

    fn validate(&mut self, _: Block, _: Moment) -> Result<Block<Verified>, DiskGone> {
        Err(DiskGone)
    }

    fn tip(&self) -> Height {
        self.height
    }

    fn validators(&self) -> ValidatorSet {
        match &self.change {
            Some((after, set)) if self.height >= *after => set.clone(),
            _ => validators(&[("VALAXX2A", 1, 1)]),
        }
    }

    fn block(&self, _: Height) -> Result<Option<(Bytes, Certificate)>, DiskGone> {
        Err(DiskGone)
    }

    fn has_work(&self) -> bool {
        false
    }

    fn report(&mut self, _: Evidence) -> Result<(), DiskGone> {
        Err(DiskGone)
    }

    fn commit(&mut self, block: Block<Verified>, certificate: Certificate) -> Result<(), DiskGone> {
        if self.fail_at == Some(block.header.height) {
            return Err(DiskGone);
        }
        self.height = block.header.height;
        let _ = self.tell.send((Occasion::Heartbeat, Some((block, certificate))));
        Ok(())
    }
}

type Told = Receiver<Said>;

type Ended = Result<(), RunError<DiskGone>>;

fn start(heartbeat: Duration, fail_at: Option<Height>) -> (Bell, Told, JoinHandle<Ended>) {
    run(heartbeat, fail_at, None)
}

fn run(
    heartbeat: Duration,
    fail_at: Option<Height>,
    change: Option<(Height, ValidatorSet)>,
) -> (Bell, Told, JoinHandle<Ended>) {
    let pace = Pace { min_interval: Duration::from_millis(5), heartbeat };
    let set = validators(&[("VALAXX2A", 1, 1)]);
    let solo = Solo::new(&set, id("VALAXX2A"), key(1), pace, Clock::default()).unwrap();
    let ((tell, told), bell) = (channel(), Bell::new());
    let mut fake = Fake { tell, height: Height(0), fail_at, change };
    let own = bell.clone();
    (bell, told, std::thread::spawn(move || solo.run(&mut fake, &own)))
}

const LONG: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_secs(20);

#[test]
fn only_who_is_alone_decides_alone() {
    let pace = Pace { min_interval: LONG, heartbeat: LONG };
    let of = |set: &[_], who, seed| {
        Solo::new(&validators(set), id(who), key(seed), pace, Clock::default()).map(|_| ())
    };
    let (one, two) = (("VALAXX2A", 1, 5), ("VALBXX2A", 2, 1));
    assert_eq!(of(&[one], "VALAXX2A", 1), Ok(()));
    assert_eq!(of(&[one], "VALAXX2A", 2), Err(SoloError::OtherKey(id("VALAXX2A"))));
    assert_eq!(of(&[one], "VALCXX2A", 1), Err(SoloError::NotAValidator(id("VALCXX2A"))));
    // Also the one that is a quorum by itself.
    for (who, seed) in [("VALAXX2A", 1), ("VALBXX2A", 2)] {
        let error = SoloError::NotAlone { institution: id(who), validators: 2 };
        assert_eq!(of(&[one, two], who, seed), Err(error));
    }
}

#[test]
fn whoever_is_not_alone_any_more_stops_before_the_first_block_that_is_not_its_own() {
    let one = ("VALAXX2A", 1, 5);
    let alone = SoloError::NotAlone { institution: id("VALAXX2A"), validators: 2 };
    let changes = [
        (vec![one, ("VALBXX2A", 2, 1)], alone),
        (vec![("VALAXX2A", 2, 5)], SoloError::OtherKey(id("VALAXX2A"))),
        (vec![("VALBXX2A", 2, 1)], SoloError::NotAValidator(id("VALAXX2A"))),
    ];
    for (set, expected) in changes {
        let change = Some((Height(3), validators(&set)));
        let (_bell, told, engine) = run(Duration::from_millis(5), None, change);
        let error = engine.join().unwrap().unwrap_err();
        let RunError::NotAlone { height: Height(4), source } = error else { panic!("{error}") };
        assert_eq!(source, expected);
        let heights = told.iter().filter_map(|(_, made)| Some(made?.0.header.height.0));
        assert_eq!(heights.collect::<Vec<_>>(), [1, 2, 3]);
    }
}

#[test]
fn certificates_verify_against_the_set_and_no_other() {
    let (bell, told, engine) = start(Duration::from_millis(20), None);
    let set = validators(&[("VALAXX2A", 1, 1)]);
    let other = validators(&[("VALAXX2A", 2, 1)]);
    for height in 1..=3 {
        let (block, certificate) = told.recv_timeout(SOON).unwrap().1.unwrap();
        assert_eq!(block.header.height, Height(height));
        assert_eq!((certificate.block, certificate.height), (block.id(), Height(height)));
        assert_eq!(certificate.verify(CHAIN, &set), Ok(()));
        assert!(certificate.verify(CHAIN, &other).is_err());
        assert!(certificate.verify(ChainId(Digest::ZERO), &set).is_err());
    }
    bell.stop();
    engine.join().unwrap().unwrap();
}

#[test]
fn rings_ask_for_work_and_silence_does_not() {
    let (bell, told, engine) = start(LONG, None);
    assert_eq!(told.recv_timeout(SOON).unwrap().0, Occasion::Heartbeat);
    assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
    bell.ring();
    assert_eq!(told.recv_timeout(SOON).unwrap().0, Occasion::Work);
    assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
    bell.stop();
    engine.join().unwrap().unwrap();
}

#[test]
fn a_failed_commit_ends_the_engine() {
    let (_bell, told, engine) = start(Duration::from_millis(10), Some(Height(2)));
    assert!(engine.join().unwrap().is_err());
    assert_eq!(told.iter().count(), 1);
}
