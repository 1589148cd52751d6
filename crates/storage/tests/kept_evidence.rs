//! Evidence beside the chain: kept once for each place, bounded, and there after a restart.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with the tests of the chain")]
mod common;

use common::genesis;
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::certificate::{Vote, VoteKind};
use quittance_ledger::evidence::{Evidence, SignedStatement, Statement};
use quittance_ledger::ids::{BlockId, Height, InstitutionId};
use quittance_ledger::proposal::Proposal;
use quittance_storage::{ChainStore, Kept, MAX_EVIDENCE, MAX_EVIDENCE_PER_VALIDATOR};

fn validator(number: usize) -> InstitutionId {
    format!("VA{}XX2A", [number / 26, number % 26].map(letter).iter().collect::<String>())
        .parse()
        .unwrap()
}

fn letter(number: usize) -> char {
    char::from(b'A' + u8::try_from(number).unwrap())
}

/// Makes statements; the signatures are all the same one, which nobody here verifies.
struct Accuser {
    signature: quittance_crypto::signature::Signature,
}

impl Accuser {
    fn new() -> Self {
        let key = SigningKey::from_seed(Suite::MlDsa65MlKem768, &[1; 32]);
        Self { signature: key.sign(Purpose::Vote, &Digest::ZERO) }
    }

    fn accuse(&self, who: InstitutionId, statements: [Statement; 2]) -> Evidence {
        let [one, other] = statements
            .map(|statement| SignedStatement { statement, signature: self.signature.clone() });
        Evidence::new(who, one, other).unwrap()
    }

    fn votes(&self, who: InstitutionId, height: u64, round: u32, kind: VoteKind) -> Evidence {
        let vote = |block| {
            let chain = genesis("one").chain_id();
            Statement::Vote(Vote { chain, height: Height(height), round, kind, block })
        };
        self.accuse(who, [vote(None), vote(Some(BlockId(Digest([3; 32]))))])
    }

    fn proposals(&self, who: InstitutionId, height: u64, round: u32) -> Evidence {
        let proposal = |number| {
            let (chain, block) = (genesis("one").chain_id(), BlockId(Digest([number; 32])));
            let height = Height(height);
            Statement::Proposal(Proposal { chain, height, round, block, valid_round: None })
        };
        self.accuse(who, [proposal(1), proposal(2)])
    }
}

#[test]
fn evidence_is_kept_once_for_each_place_and_is_there_after_a_restart() {
    let (folder, by) = (tempfile::tempdir().unwrap(), Accuser::new());
    let open = || ChainStore::open(folder.path(), &genesis("one")).unwrap().0;
    let (one, two) = (validator(1), validator(2));
    let expected = vec![
        by.proposals(one, 8, 0),
        by.votes(one, 8, 0, VoteKind::Prevote),
        by.votes(one, 8, 0, VoteKind::Precommit),
        by.votes(one, 8, 1, VoteKind::Prevote),
        by.votes(one, 256, 0, VoteKind::Prevote),
        by.votes(two, 8, 0, VoteKind::Prevote),
    ];
    let store = open();
    assert!(store.evidence().unwrap().is_empty());
    for evidence in expected.iter().rev() {
        assert_eq!(store.keep_evidence(evidence).unwrap(), Kept::New);
        assert_eq!(store.keep_evidence(evidence).unwrap(), Kept::Known);
    }
    assert_eq!(store.evidence().unwrap(), expected);
    drop(store);
    let store = open();
    assert_eq!(store.evidence().unwrap(), expected);
    assert_eq!(store.keep_evidence(&expected[0]).unwrap(), Kept::Known);
}

#[test]
fn nobody_fills_the_disk_or_the_place_of_others() {
    let (folder, by) = (tempfile::tempdir().unwrap(), Accuser::new());
    let (store, _) = ChainStore::open(folder.path(), &genesis("one")).unwrap();
    let keep = |who, height| {
        store.keep_evidence(&by.votes(validator(who), height, 0, VoteKind::Prevote)).unwrap()
    };
    for who in 0..MAX_EVIDENCE / MAX_EVIDENCE_PER_VALIDATOR {
        let heights = 1..=MAX_EVIDENCE_PER_VALIDATOR as u64;
        heights.for_each(|height| assert_eq!(keep(who, height), Kept::New));
        assert_eq!(keep(who, 1_000), Kept::Full, "all of {who}");
    }
    assert_eq!(keep(99, 1), Kept::Full, "all there is");
    assert_eq!(keep(0, 1), Kept::Known);
    assert_eq!(store.evidence().unwrap().len(), MAX_EVIDENCE);
}
