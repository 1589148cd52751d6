use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::seal::{SealingKey, SealingPublicKey};
use quittance_crypto::signature::SigningKey;

use super::*;
use crate::certificate::Validator;
use crate::testing::{SUITE, asset, institution};

const BANK: &str = "BANKDEFF";
const CENTRAL: &str = "CENTXX2A";
const NODE: &str = "NODEXX2A";
const PARTIES: [&str; 3] = ["PARTXX2A", "PARTXX2B", "PARTXX2C"];

fn signing(name: &str, purpose: Purpose) -> SigningKey {
    let seed = Digest::of("test key", &[name.as_bytes(), purpose.label().as_bytes()]);
    SigningKey::from_seed(SUITE, &seed.0)
}

fn signing_key(name: &str, purpose: Purpose) -> PublicKey {
    PublicKey::Signing(purpose, signing(name, purpose).verifying_key())
}

fn sealing_key() -> SealingPublicKey {
    let key = SealingKey::generate(SUITE);
    SealingPublicKey::from_bytes(&key.public_key().to_bytes()).unwrap()
}

fn member(name: &str, role: Role) -> (InstitutionId, GenesisInstitution) {
    let mut keys: Vec<_> = Purpose::ALL.iter().map(|purpose| signing_key(name, *purpose)).collect();
    keys.push(PublicKey::Sealing(sealing_key()));
    (institution(name), GenesisInstitution { roles: [role].into(), keys })
}

fn genesis() -> Genesis {
    let mut institutions =
        BTreeMap::from([member(BANK, Role::Participant), member(CENTRAL, Role::Participant)]);
    institutions.extend(PARTIES.map(|name| member(name, Role::MpcParty)));
    institutions.extend([member(NODE, Role::Validator)]);
    let key = signing(NODE, Purpose::Vote).verifying_key();
    let validator = Validator { institution: institution(NODE), key, power: 1 };
    let parties = PARTIES.map(institution).to_vec();
    let issued = Asset { issuer: institution(CENTRAL), decimals: 2 };
    Genesis {
        name: "Test".to_owned(),
        time: Timestamp(1_700_000_000_000),
        suite: SUITE,
        institutions,
        assets: [(asset("EUR"), issued), (asset("USD"), issued)].into(),
        validators: ValidatorSet::new(vec![validator]).unwrap(),
        committees: [(CommitteeId(1), Committee { parties, threshold: 1 })].into(),
        limits: Limits::default(),
    }
}

fn refuse(change: impl FnOnce(&mut Genesis)) -> GenesisError {
    let mut genesis = genesis();
    change(&mut genesis);
    genesis.check().unwrap_err()
}

fn of<'a>(genesis: &'a mut Genesis, name: &str) -> &'a mut GenesisInstitution {
    genesis.institutions.get_mut(&institution(name)).unwrap()
}

#[test]
fn a_genesis_reads_back_from_bytes_and_from_json() {
    let genesis = genesis();
    assert_eq!(genesis.check(), Ok(()));
    assert_eq!(Genesis::from_bytes(&genesis.to_bytes()).as_ref(), Ok(&genesis));
    let json = serde_json::to_string_pretty(&genesis).unwrap();
    assert!(json.contains(r#""suite": "ml-dsa-65+x25519-ml-kem-768""#));
    assert!(json.contains(r#""key-binding": ""#));
    let again: Genesis = serde_json::from_str(&json).unwrap();
    assert_eq!(again.chain_id(), genesis.chain_id());
    let unknown = json.replacen(r#""name""#, r#""nickname""#, 1);
    assert!(serde_json::from_str::<Genesis>(&unknown).is_err());
    let unknown = json.replacen(r#""transaction""#, r#""transactions""#, 1);
    let error = serde_json::from_str::<Genesis>(&unknown).unwrap_err();
    assert!(error.to_string().contains("transactions key: no such use"), "{error}");
}

#[test]
fn the_chain_id_covers_every_part() {
    let one = genesis();
    let mut ids = vec![one.chain_id()];
    let mut change = |change: fn(&mut Genesis)| {
        let mut changed = one.clone();
        change(&mut changed);
        ids.push(changed.chain_id());
    };
    change(|genesis| genesis.name.push('2'));
    change(|genesis| genesis.time.0 += 1);
    change(|genesis| drop(of(genesis, BANK).keys.pop()));
    change(|genesis| assert!(of(genesis, BANK).roles.insert(Role::Coordinator)));
    change(|genesis| assert!(genesis.assets.pop_last().is_some()));
    change(|genesis| drop(genesis.committees.pop_last()));
    change(|genesis| genesis.limits.max_expiry += 1);
    change(|genesis| {
        let mut validators: Vec<Validator> = genesis.validators.clone().into();
        validators[0].power = 2;
        genesis.validators = ValidatorSet::new(validators).unwrap();
    });
    for (index, id) in ids.iter().enumerate() {
        assert!(!ids[index + 1..].contains(id));
    }
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let (bank, central) = (institution(BANK), institution(CENTRAL));
    assert_eq!(refuse(|genesis| genesis.name.clear()), GenesisError::Name);
    assert_eq!(refuse(|genesis| genesis.name = "é".to_owned()), GenesisError::Name);
    assert_eq!(refuse(|genesis| genesis.name = "x".repeat(65)), GenesisError::Name);

    let swap = |genesis: &mut Genesis| of(genesis, BANK).keys.swap(0, 1);
    assert_eq!(refuse(swap), GenesisError::Keys(bank));
    let twice = |genesis: &mut Genesis| {
        let keys = &mut of(genesis, BANK).keys;
        keys[1] = keys[0].clone();
    };
    assert_eq!(refuse(twice), GenesisError::Keys(bank));
    let shared = |genesis: &mut Genesis| {
        let key = of(genesis, BANK).keys[0].clone();
        of(genesis, CENTRAL).keys[0] = key;
    };
    assert_eq!(refuse(shared), GenesisError::SharedKey(central));
    let two_uses = |genesis: &mut Genesis| {
        let key = signing(BANK, Purpose::Transaction).verifying_key();
        of(genesis, BANK).keys[1] = PublicKey::Signing(Purpose::Vote, key);
    };
    assert_eq!(refuse(two_uses), GenesisError::SharedKey(bank));
    let other_suite = |genesis: &mut Genesis| genesis.suite = Suite::MlDsa87MlKem1024;
    assert_eq!(refuse(other_suite), GenesisError::Suite(bank));

    let unsealed = |genesis: &mut Genesis| drop(of(genesis, BANK).keys.pop());
    let missing =
        GenesisError::MissingKey { institution: bank, role: Role::Participant, missing: "sealing" };
    assert_eq!(refuse(unsealed), missing);

    let issued_by_node = |genesis: &mut Genesis| {
        genesis.assets.insert(asset("JPY"), Asset { issuer: institution(NODE), decimals: 0 });
    };
    assert!(matches!(
        refuse(issued_by_node),
        GenesisError::MissingRole { place: "an asset", role: Role::Participant, .. }
    ));
    let fine = |genesis: &mut Genesis| {
        genesis.assets.insert(asset("JPY"), Asset { issuer: institution(CENTRAL), decimals: 20 });
    };
    assert_eq!(refuse(fine), GenesisError::Decimals(asset("JPY")));
}

#[test]
fn validators_and_committees_are_institutions_with_the_role() {
    let demoted = |genesis: &mut Genesis| of(genesis, NODE).roles.clear();
    assert!(matches!(refuse(demoted), GenesisError::MissingRole { role: Role::Validator, .. }));
    let other_key = |genesis: &mut Genesis| {
        let mut validators: Vec<Validator> = genesis.validators.clone().into();
        validators[0].key = signing(NODE, Purpose::Round).verifying_key();
        genesis.validators = ValidatorSet::new(validators).unwrap();
    };
    assert_eq!(refuse(other_key), GenesisError::VoteKey(institution(NODE)));

    let committee = |change: fn(&mut Committee)| {
        refuse(|genesis| change(genesis.committees.get_mut(&CommitteeId(1)).unwrap()))
    };
    let bad = GenesisError::Committee(CommitteeId(1));
    assert_eq!(committee(|committee| committee.threshold = 0), bad);
    assert_eq!(committee(|committee| committee.threshold = 2), bad);
    assert_eq!(committee(|committee| committee.parties[1] = committee.parties[0]), bad);
    assert!(matches!(
        committee(|committee| committee.parties[1] = institution(BANK)),
        GenesisError::MissingRole { role: Role::MpcParty, .. }
    ));
    assert_eq!(
        refuse(|genesis| genesis.limits.block_bytes = 0),
        GenesisError::Limit("block_bytes")
    );
    assert_eq!(
        refuse(|genesis| genesis.limits.block_bytes = (32 << 20) + 1),
        GenesisError::LimitTooHigh("block_bytes")
    );
    assert_eq!(
        refuse(|genesis| genesis.limits.block_transactions = (1 << 14) + 1),
        GenesisError::LimitTooHigh("block_transactions")
    );
}
