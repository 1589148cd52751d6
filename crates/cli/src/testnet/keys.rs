//! Keys of a trial network's institutions, and what the ledger is told of them.

use std::collections::BTreeSet;

use quittance_crypto::keyfile::{KeyFileError, KeyRing};
use quittance_crypto::signature::{Purpose, Suite};
use quittance_ledger::genesis::GenesisInstitution;
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::state::{PublicKey, Role};
use quittance_rpc::identity::Process;
use rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

/// Work factor of the key files. Their passphrases are 256 random bits, which need no slow hash;
/// forty of them open quickly on a small machine.
const LOG_N: u8 = 10;

/// An institution's secrets, and the passphrase of the file that they are kept in.
pub struct Keys {
    ring: KeyRing,
    /// 64 hexadecimal digits.
    pub passphrase: Zeroizing<String>,
}

impl Keys {
    /// Fresh ones from the entropy of the operating system.
    pub fn generate(institution: InstitutionId, suite: Suite) -> Result<Self, KeyFileError> {
        let mut secret = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(secret.as_mut());
        let passphrase = Zeroizing::new(hex::encode(secret.as_slice()));
        Ok(Self { ring: KeyRing::generate(institution.as_str(), suite)?, passphrase })
    }

    /// The encrypted key file.
    pub fn file(&self) -> Result<Vec<u8>, KeyFileError> {
        self.ring.to_encrypted(&self.passphrase, LOG_N)
    }

    /// The institution as the register has it: the role of its process, and the keys for it.
    pub fn registered(&self, process: Process) -> GenesisInstitution {
        use Purpose::{KeyBinding, Receipt, Round, Transaction, Vote};
        let (role, purposes): (_, &[Purpose]) = match process {
            Process::Agent => (Role::Participant, &[Transaction, Round, KeyBinding]),
            Process::Coordinator => (Role::Coordinator, &[Transaction, Round, KeyBinding]),
            Process::Party => (Role::MpcParty, &[Round, Receipt, KeyBinding]),
            // With the first one it approves decisions.
            Process::Node => (Role::Validator, &[Transaction, Vote, KeyBinding]),
        };
        let mut keys: Vec<PublicKey> = purposes
            .iter()
            .map(|purpose| PublicKey::Signing(*purpose, self.verifying_key(*purpose)))
            .collect();
        if process == Process::Agent {
            keys.push(PublicKey::Sealing(self.ring.sealing().public_key().clone()));
        }
        GenesisInstitution { roles: BTreeSet::from([role]), keys }
    }

    /// The public half of the signing key for `purpose`.
    pub fn verifying_key(&self, purpose: Purpose) -> quittance_crypto::signature::VerifyingKey {
        self.ring.signing(purpose).verifying_key()
    }
}
