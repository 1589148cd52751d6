//! Chains whose validators change, and nodes that lie about who they are.

use quittance_crypto::encoding::Encode;
use quittance_ledger::block::Tip;
use quittance_ledger::certificate::CertificateError;
use quittance_ledger::ids::Height;
use quittance_rpc::convert::FinalBlock;
use quittance_rpc::follow::{self, ChainChecker, WrongChain, WrongSet};

use crate::site::*;

#[tokio::test]
async fn a_chain_is_followed_across_changes_of_its_validators() {
    let site = Site::new();
    let blocks = changing_chain(&site.genesis);
    let running = site.serve(StandIn::new(&site.genesis, &blocks), "127.0.0.1:0").await;
    let target = std::slice::from_ref(&running.target);
    let mut following = site.follow(target);
    for block in &blocks {
        assert_eq!(next(&mut following).await.as_ref(), Ok(block));
    }
    // From a block after which others decide, only with them.
    let change = &blocks[5].block.header;
    assert!(ChainChecker::after(change, &set(2)).is_none());
    let checker = ChainChecker::after(change, &set(3)).unwrap();
    let mut later = follow::follow(&site.nodes(target), checker);
    assert_eq!(next(&mut later).await.as_ref(), Ok(&blocks[6]));
    drop((following, later));
    running.stop().await;
}

/// What following a chain ends with in which one block was changed.
async fn with(at: usize, lie: impl FnOnce(&mut FinalBlock, &Site)) -> (usize, WrongChain) {
    let site = Site::new();
    let mut blocks = changing_chain(&site.genesis);
    lie(&mut blocks[at], &site);
    site.wrong(StandIn::new(&site.genesis, &blocks)).await
}

fn wrong_set(height: u64, reason: WrongSet) -> WrongChain {
    WrongChain::Validators { height: Height(height), reason }
}

#[tokio::test]
async fn validators_that_are_not_those_announced_are_refused() {
    let announced = set(2).digest();
    let found = with(2, |block, _| block.next_validators = None).await;
    assert_eq!(found, (2, wrong_set(3, WrongSet::Missing { announced })));
    assert!(found.1.to_string().ends_with("and comes without them"), "{}", found.1);

    let usurpers = set(9).digest();
    let found = with(2, |block, _| block.next_validators = Some(set(9))).await;
    assert_eq!(found, (2, wrong_set(3, WrongSet::Another { found: usurpers })));

    // One block too early, and one too late.
    for (at, by) in [(1, 2), (3, 2), (4, 9)] {
        let found = with(at, |block, _| block.next_validators = Some(set(by))).await;
        let reason = WrongSet::Untimely { found: set(by).digest() };
        assert_eq!(found, (at, wrong_set(at as u64 + 1, reason)));
    }
}

#[tokio::test]
async fn a_block_counts_only_with_the_signatures_of_its_own_validators() {
    let signature = |wrong: &WrongChain| {
        let WrongChain::Certificate { reason, .. } = wrong else { return false };
        matches!(reason, CertificateError::Signature { .. })
    };
    // The set that has been replaced, the next one before its time, and the one after.
    for (at, by) in [(3, 1), (2, 2), (5, 3)] {
        let sign = |block: &mut FinalBlock, site: &Site| {
            let signed = certify(block.block.clone(), &site.genesis, &vote_key(by));
            block.certificate = signed.certificate;
        };
        let (good, wrong) = with(at, sign).await;
        assert!(good == at && signature(&wrong), "{at}: {good} {wrong}");
    }
}

/// Whoever certifies a block may appoint anybody, but only they do.
#[tokio::test]
async fn validators_that_appoint_themselves_are_refused() {
    let site = Site::new();
    let mut blocks = chain(&site.genesis, 1);
    let usurped = change(&Tip::after(&blocks[0].block.header), &site.genesis, 9, 9);
    blocks.push(usurped);
    let (good, wrong) = site.wrong(StandIn::new(&site.genesis, &blocks)).await;
    assert!(good == 1 && matches!(wrong, WrongChain::Certificate { .. }), "{good} {wrong}");
}

#[tokio::test]
async fn a_set_that_does_not_decode_is_refused() {
    let site = Site::new();
    let stand_in = StandIn::new(&site.genesis, &changing_chain(&site.genesis));
    let mut bytes = set(2).to_bytes();
    bytes.push(0);
    stand_in.blocks.lock().unwrap()[2].next_validators = bytes;
    let (good, wrong) = site.wrong(stand_in).await;
    let WrongChain::Malformed { after: Height(2), reason } = &wrong else { panic!("{wrong}") };
    assert_eq!((good, reason.field), (2, "next_validators"));
}
