//! Headers, votes, certificates, genesis.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::seal::SealingPublicKey;
use quittance_crypto::signature::{Purpose, Suite};
use quittance_ledger::block::Header;
use quittance_ledger::certificate::{
    Certificate, Validator, ValidatorSet, ValidatorSignature, Vote, VoteKind,
};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{BlockId, CommitteeId, Height, Timestamp};
use quittance_ledger::state::{Asset, Committee, Limits, PublicKey, Role};

use super::{CHAIN, h, hexed, key, n, signature};

#[test]
fn headers_votes_and_certificates() {
    let header = Header {
        suite: Suite::MlDsa65MlKem768,
        chain: CHAIN,
        height: Height(3),
        parent: BlockId(Digest([1; 32])),
        transactions_root: Digest([2; 32]),
        state_root: Digest([3; 32]),
        time: Timestamp(4),
        validators: Digest([5; 32]),
        next_validators: Digest([6; 32]),
    };
    let bytes = [
        &[1, 1][..],
        &[0x11; 32],
        &3u64.to_be_bytes(),
        &[1; 32],
        &[2; 32],
        &[3; 32],
        &4u64.to_be_bytes(),
        &[5; 32],
        &[6; 32],
    ]
    .concat();
    assert_eq!(header.to_bytes(), bytes);
    let id = h("quittance/v1/block", &[&bytes]);
    assert_eq!(header.id().0.0, id);
    assert_eq!(hexed(id), "7279fe829386ae0eec345b1ab2d884b687dc972f78582b8a8155add822b6f60a");

    let vote = Vote {
        chain: CHAIN,
        height: Height(3),
        round: 2,
        kind: VoteKind::Precommit,
        block: Some(BlockId(Digest([7; 32]))),
    };
    let bytes =
        [&[0x11; 32][..], &3u64.to_be_bytes(), &2u32.to_be_bytes(), &[1], &[1], &[7; 32]].concat();
    assert_eq!(vote.to_bytes(), bytes);
    assert_eq!(vote.digest().0, h("quittance/v1/vote-content", &[&bytes]));

    let institution = "NODEXX2A".parse().expect("an id");
    let certificate = Certificate {
        height: Height(3),
        round: 2,
        block: BlockId(Digest([7; 32])),
        signatures: vec![ValidatorSignature { institution, signature: signature() }],
    };
    let bytes = [
        &[1][..],
        &3u64.to_be_bytes(),
        &2u32.to_be_bytes(),
        &[7; 32],
        &n(1),
        b"NODEXX2A\0\0\0",
        &[1],
        &n(3309),
        &[0xbb; 3309],
    ]
    .concat();
    assert_eq!(certificate.to_bytes(), bytes);
    assert_eq!(certificate.vote(CHAIN), vote);

    let set = ValidatorSet::new(vec![Validator { institution, key: key(0xdd), power: 9 }]);
    let bytes =
        [&n(1)[..], b"NODEXX2A\0\0\0", &[1], &n(1952), &[0xdd; 1952], &9u64.to_be_bytes()].concat();
    let set = set.expect("one validator is a set");
    assert_eq!(set.to_bytes(), bytes);
    assert_eq!(set.digest().0, h("quittance/v1/validators", &[&bytes]));
}

#[test]
fn a_genesis() {
    let mut x25519 = [0; 32];
    x25519[0] = 9;
    let sealing_bytes = [&[1][..], &n(1216), &[0; 1184], &x25519].concat();
    let sealing = SealingPublicKey::from_bytes(&sealing_bytes).expect("a key of 1216 bytes");
    let id = |text: &str| text.parse().expect("an id");
    let institution = GenesisInstitution {
        roles: [Role::MpcParty, Role::Participant].into(),
        keys: vec![
            PublicKey::Signing(Purpose::Transaction, key(0xd0)),
            PublicKey::Sealing(sealing),
        ],
    };
    let validators = vec![Validator { institution: id("NODEXX2A"), key: key(0xdd), power: 9 }];
    let limits = Limits {
        pending_per_sender: 1,
        refund_after: 2,
        max_expiry: 3,
        max_round: 4,
        block_transactions: 5,
        block_bytes: 6,
    };
    let issued = Asset { issuer: id("BANKDEFF"), decimals: 2 };
    let committee = Committee { parties: vec![id("PARTXX2B"), id("PARTXX2A")], threshold: 1 };
    let genesis = Genesis {
        name: "Test".to_owned(),
        time: Timestamp(7),
        suite: Suite::MlDsa65MlKem768,
        institutions: [(id("BANKDEFF"), institution)].into(),
        assets: [("EUR".parse().expect("an id"), issued)].into(),
        validators: ValidatorSet::new(validators).expect("a set"),
        committees: [(CommitteeId(8), committee)].into(),
        limits,
    };
    let parts: [&[u8]; 22] = [
        &[1],
        &n(4),
        b"Test",
        &7u64.to_be_bytes(),
        &[1],
        // One institution: two roles, two keys.
        &n(1),
        b"BANKDEFF\0\0\0",
        &[&n(2)[..], &[0, 2]].concat(),
        &n(2),
        &[&[0][..], &key(0xd0).to_bytes()].concat(),
        &[&[255][..], &sealing_bytes].concat(),
        // One asset.
        &n(1),
        b"EUR\0\0\0\0\0\0\0\0\0",
        b"BANKDEFF\0\0\0",
        &[2],
        &genesis.validators.to_bytes(),
        // One committee.
        &[n(1), 8u32.to_be_bytes()].concat(),
        &n(2),
        b"PARTXX2B\0\0\0PARTXX2A\0\0\0",
        &[1],
        &[&1u32.to_be_bytes()[..], &2u64.to_be_bytes(), &3u64.to_be_bytes()].concat(),
        &[&4u64.to_be_bytes()[..], &5u32.to_be_bytes(), &6u32.to_be_bytes()].concat(),
    ];
    let bytes = parts.concat();
    assert_eq!(genesis.to_bytes(), bytes);
    assert_eq!(genesis.chain_id().0.0, h("quittance/v1/genesis", &[&bytes]));
}
