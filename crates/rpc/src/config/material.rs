//! What every daemon reads beside its configuration file: the genesis, and its institution's keys.

use std::path::{Path, PathBuf};

use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Purpose;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::state::PublicKey;

use super::Check;

/// A genesis file is not larger than this.
const MAX_GENESIS_BYTES: u64 = 256 << 20;

/// The passphrase in the text of a passphrase file: all of it but the ends of its last lines.
pub fn passphrase_in(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

impl Check {
    /// The folder named at `key`, which need not exist yet. Other things may be known about it
    /// only by opening what is in it.
    pub fn folder(&mut self, key: &str, path: &Path) -> PathBuf {
        let path = self.path(path);
        if path.exists() && !path.is_dir() {
            self.problem(key, format!("{} is not a folder", path.display()));
        }
        path
    }

    /// The genesis in the JSON file named at `key`, checked.
    pub fn genesis(&mut self, key: &str, path: &Path) -> Option<Genesis> {
        let path = self.path(path);
        let content = std::fs::metadata(&path).and_then(|about| match about.len() {
            0..=MAX_GENESIS_BYTES => std::fs::read(&path),
            _ => Err(std::io::Error::other("it is too large")),
        });
        let genesis = content.map_err(|error| error.to_string()).and_then(|bytes| {
            let genesis: Genesis = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
            genesis.check().map_err(|error| error.to_string())?;
            Ok(genesis)
        });
        let path = path.display();
        self.take(key, genesis.map_err(|error| format!("{path} cannot be used: {error}")))
    }

    /// The keys in the file `keys`, opened with the passphrase in the file `passphrase`, both named
    /// at keys of those names. They must be `institution`'s.
    pub fn key_ring(
        &mut self,
        keys: &Path,
        passphrase: &Path,
        institution: Option<InstitutionId>,
    ) -> Option<KeyRing> {
        let passphrase = self.secret("passphrase", passphrase);
        let file = self.bytes("keys", keys);
        let (passphrase, file) = passphrase.zip(file)?;
        let passphrase = self.take("passphrase", std::str::from_utf8(&passphrase))?;
        let ring = KeyRing::from_encrypted(passphrase_in(passphrase), &file);
        let ring = self.take("keys", ring)?;
        match institution {
            Some(institution) if institution.as_str() != ring.name() => {
                self.problem("keys", format!("they are {}'s, not {institution}'s", ring.name()));
                None
            }
            _ => Some(ring),
        }
    }

    /// Notes each of these keys that is not the one `genesis` registers for the institution, and
    /// that all are of another suite.
    pub fn registered(
        &mut self,
        ring: &KeyRing,
        purposes: &[Purpose],
        institution: InstitutionId,
        genesis: &Genesis,
    ) {
        let Some(registered) = genesis.institutions.get(&institution) else {
            self.problem("institution", format!("{institution} is not in the genesis"));
            return;
        };
        if !self.suite(ring, genesis) {
            return;
        }
        for purpose in purposes {
            let ours = PublicKey::Signing(*purpose, ring.signing(*purpose).verifying_key());
            if !registered.keys.contains(&ours) {
                let reason =
                    format!("the {purpose:?} key is not the one that the genesis registers");
                self.problem("keys", reason);
            }
        }
    }

    /// Checks that keys are of the chain's suite.
    pub fn suite(&mut self, ring: &KeyRing, genesis: &Genesis) -> bool {
        let (ours, chains) = (ring.suite(), genesis.suite);
        if ours != chains {
            self.problem("keys", format!("they are of the suite {ours}, the genesis of {chains}"));
        }
        ours == chains
    }
}
