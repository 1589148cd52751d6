//! Who takes part in the tests: institutions, their keys, and the genesis that names them.

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::digest::Digest;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::{Purpose, Signature, SigningKey, Suite, VerifyingKey};
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{AccountId, AssetId, CommitteeId, Height, InstitutionId, Timestamp};
use quittance_ledger::state::{Asset, Committee, Limits, PublicKey, Role};
use quittance_ledger::verify::Directory;

pub const SUITE: Suite = Suite::MlDsa65MlKem768;

/// Small, so that tests reach them.
pub const LIMITS: Limits = Limits {
    pending_per_sender: 3,
    refund_after: 3,
    max_expiry: 20,
    max_round: 10,
    block_transactions: 100,
    block_bytes: 1 << 20,
};

pub const BANKS: [&str; 5] = ["AAAADEFF", "BBBBFRPP", "CCCCNL2A", "DDDDBEBB", "EEEEESMM"];
pub const ISSUER: &str = "ZBNKXX2A";
pub const COORDINATOR: &str = "COORXX2A";
pub const PARTIES: [&str; 3] = ["MPCAXX2A", "MPCBXX2A", "MPCCXX2A"];
/// Validators with their powers: the first two together have more than two thirds, the first and
/// the last exactly two thirds.
pub const VALIDATORS: [(&str, u64); 3] = [("VALIXX2A", 3), ("VALJXX2A", 2), ("VALKXX2A", 1)];
/// Has the role and the keys of a validator, and is none.
pub const SPARE: &str = "VALSXX2A";
/// Not in the register; its keys are in the ring.
pub const NEWCOMER: &str = "NEWBXX2A";

/// Known to the tests' directory, not to the state.
pub const FOREIGN_ASSET: &str = "XXX";

pub fn id(text: &str) -> InstitutionId {
    text.parse().unwrap()
}

pub fn asset(text: &str) -> AssetId {
    text.parse().unwrap()
}

pub fn account(institution: &str, code: &str) -> AccountId {
    AccountId { institution: id(institution), asset: asset(code) }
}

/// All keys of all institutions, also some that the register does not know.
#[derive(Default)]
pub struct Keyring {
    signing: BTreeMap<Digest, SigningKey>,
    verifying: BTreeMap<(InstitutionId, Digest), VerifyingKey>,
}

impl Directory for Keyring {
    fn transaction_key(&self, by: InstitutionId, fingerprint: &Digest) -> Option<&VerifyingKey> {
        self.verifying.get(&(by, *fingerprint))
    }

    fn issuer(&self, _: AssetId) -> Option<InstitutionId> {
        Some(id(ISSUER))
    }
}

/// The key of this name, whether anybody knows it or not.
pub fn signing_key(who: InstitutionId, name: &str) -> SigningKey {
    let seed = Digest::of("test key", &[who.as_str().as_bytes(), name.as_bytes()]);
    SigningKey::from_seed(SUITE, &seed.0)
}

impl Keyring {
    /// Signs as a transaction, with the key of this fingerprint.
    pub fn sign(&self, fingerprint: Digest, digest: &Digest) -> Signature {
        self.signing[&fingerprint].sign(Purpose::Transaction, digest)
    }

    fn add(&mut self, who: InstitutionId, name: &str) -> VerifyingKey {
        let key = signing_key(who, name);
        let public = key.verifying_key();
        self.verifying.insert((who, public.fingerprint()), public.clone());
        self.signing.insert(public.fingerprint(), key);
        public
    }
}

/// The fingerprint of an institution's key: `transaction`, `round`, `next` (its transaction key
/// from height [`ROTATION`] on, for the last bank) or `stranger` (never registered).
pub fn key(who: &str, name: &str) -> Digest {
    signing_key(id(who), name).verifying_key().fingerprint()
}

/// The height from which the last of [`BANKS`] has a new transaction key.
pub const ROTATION: Height = Height(8);

fn roles(who: &str) -> BTreeSet<Role> {
    let role = match who {
        COORDINATOR => Role::Coordinator,
        SPARE => Role::Validator,
        _ if VALIDATORS.iter().any(|(validator, _)| *validator == who) => Role::Validator,
        _ if PARTIES.contains(&who) => Role::MpcParty,
        _ => Role::Participant,
    };
    [role].into()
}

/// The genesis of the tests; its keys go into the ring.
pub fn genesis(keyring: &mut Keyring) -> Genesis {
    let mut institutions = BTreeMap::new();
    let validators = VALIDATORS.iter().map(|(validator, _)| validator);
    let all = BANKS.iter().chain(&PARTIES).chain(&[ISSUER, COORDINATOR, SPARE, NEWCOMER]);
    for who in all.chain(validators) {
        let mut keys = vec![];
        for (purpose, name) in [
            (Purpose::Transaction, "transaction"),
            (Purpose::Vote, "vote"),
            (Purpose::Round, "round"),
            (Purpose::Receipt, "receipt"),
        ] {
            keys.push(PublicKey::Signing(purpose, keyring.add(id(who), name)));
        }
        keyring.add(id(who), "stranger");
        keyring.add(id(who), "next");
        keys.push(PublicKey::Sealing(SealingKey::generate(SUITE).public_key().clone()));
        institutions.insert(id(who), GenesisInstitution { roles: roles(who), keys });
    }
    institutions.remove(&id(NEWCOMER));
    let validator = |(who, power): &(&str, u64)| {
        let key = signing_key(id(who), "vote").verifying_key();
        Validator { institution: id(who), key, power: *power }
    };
    let issued = Asset { issuer: id(ISSUER), decimals: 2 };
    let parties = PARTIES.map(id).to_vec();
    Genesis {
        name: "test".into(),
        time: Timestamp(0),
        suite: SUITE,
        institutions,
        assets: [(asset("EUR"), issued), (asset("USD"), issued)].into(),
        validators: ValidatorSet::new(VALIDATORS.iter().map(validator).collect()).unwrap(),
        committees: [(CommitteeId(1), Committee { parties, threshold: 1 })].into(),
        limits: LIMITS,
    }
}
