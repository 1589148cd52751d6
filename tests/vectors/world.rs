//! The institutions of a chain for the vectors, made from their names.

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::digest::Digest;
use quittance_crypto::note::NoteKey;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{InstitutionId, Timestamp};
use quittance_ledger::state::{Asset, Limits, PublicKey, Role};

use super::Kept;

/// An institution with its secrets.
pub struct Institution {
    pub id: InstitutionId,
    pub suite: Suite,
    pub note: NoteKey,
    /// Of participants alone.
    pub sealing: Option<SealingKey>,
}

impl Institution {
    /// Its keys follow from its name, but for the sealing key, which the libraries make from
    /// entropy of their own and the file keeps.
    pub fn new(name: &str, suite: Suite, sealing: bool, kept: &Kept) -> Self {
        let place = format!("/secrets/{name}/sealing key");
        let holds = |bytes: &[u8]| SealingKey::from_secret_bytes(suite, bytes).is_ok();
        let fresh = || SealingKey::generate(suite).to_secret_bytes().to_vec();
        let sealing = sealing.then(|| {
            let bytes = kept.bytes(&place, holds, fresh);
            SealingKey::from_secret_bytes(suite, &bytes).expect("it holds")
        });
        let note = NoteKey::from_bytes(&seed(name, "note").0);
        Self { id: name.parse().expect("an id"), suite, note, sealing }
    }

    pub fn seed(&self, purpose: Purpose) -> Digest {
        seed(self.id.as_str(), purpose.label())
    }

    pub fn signing(&self, purpose: Purpose) -> SigningKey {
        SigningKey::from_seed(self.suite, &self.seed(purpose).0)
    }

    pub fn sealing(&self) -> &SealingKey {
        self.sealing.as_ref().expect("a participant")
    }

    fn registered(&self, role: Role, purposes: &[Purpose]) -> GenesisInstitution {
        let signing = |purpose: &Purpose| {
            PublicKey::Signing(*purpose, self.signing(*purpose).verifying_key())
        };
        let sealing = self.sealing.iter().map(|key| PublicKey::Sealing(key.public_key().clone()));
        let keys = purposes.iter().map(signing).chain(sealing).collect();
        GenesisInstitution { roles: BTreeSet::from([role]), keys }
    }
}

fn seed(name: &str, what: &str) -> Digest {
    Digest::of("quittance/v1/vectors-seed", &[name.as_bytes(), what.as_bytes()])
}

/// Three banks and a validator. The first bank issues EUR.
pub struct World {
    pub banks: [Institution; 3],
    pub validator: Institution,
    pub genesis: Genesis,
}

impl World {
    pub fn new(suite: Suite, kept: &Kept) -> Self {
        let bank = |name| Institution::new(name, suite, true, kept);
        let banks = ["CENTZZ01", "AAAAZZ01", "BBBBZZ01"].map(bank);
        let validator = Institution::new("VALDZZ01", suite, false, kept);
        let participant = [Purpose::Transaction, Purpose::Round];
        let mut institutions: BTreeMap<_, _> = banks
            .iter()
            .map(|bank| (bank.id, bank.registered(Role::Participant, &participant)))
            .collect();
        let registered = validator.registered(Role::Validator, &[Purpose::Vote]);
        institutions.insert(validator.id, registered);
        let key = validator.signing(Purpose::Vote).verifying_key();
        let voter = Validator { institution: validator.id, key, power: 1 };
        let euro = Asset { issuer: banks[0].id, decimals: 2 };
        let genesis = Genesis {
            name: "vectors".to_owned(),
            time: Timestamp(1_700_000_000_000),
            suite,
            institutions,
            assets: BTreeMap::from([("EUR".parse().expect("an id"), euro)]),
            validators: ValidatorSet::new(vec![voter]).expect("a set"),
            committees: BTreeMap::new(),
            limits: Limits::default(),
        };
        genesis.check().expect("a chain");
        Self { banks, validator, genesis }
    }
}
