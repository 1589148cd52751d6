//! The file of a proposal: JSON that a person can read, around the bytes that count.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::{Purpose, Signature};
use quittance_ledger::build::{BuildError, Unsigned};
use quittance_ledger::ids::{ChainId, Height, InstitutionId};
use quittance_ledger::state::State;
use quittance_ledger::transaction::{
    Action, Body, Change, InstitutionSignature, Transaction, signing_digest,
};
use quittance_ledger::verify::Directory;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::keys::durable::Staged;

/// A proposal with the signatures that it has so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    body: Body,
    signatures: BTreeMap<InstitutionId, InstitutionSignature>,
}

/// The file as it is written. Only bytes count; the summary must say the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProposalFile {
    summary: Summary,
    /// The canonical bytes of the transaction's body, in hexadecimal.
    body: String,
    /// Canonical signatures by institution, in hexadecimal.
    signatures: BTreeMap<InstitutionId, String>,
}

/// What a proposal says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// On which chain.
    pub chain: ChainId,
    /// The digest that everyone signs, in hexadecimal.
    pub digest: String,
    /// The last height at which it may be included.
    pub expiry: Height,
    /// From which height on it holds.
    pub effective: Height,
    /// What it does.
    pub action: SummaryAction,
}

/// What a proposal does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SummaryAction {
    /// The validators decide.
    Decision {
        /// Its number.
        number: u64,
        /// What changes.
        changes: Vec<Change>,
        /// Who signs.
        approvals: Vec<InstitutionId>,
    },
    /// An institution replaces a key.
    KeyRotation {
        /// Who.
        institution: InstitutionId,
        /// What the key is for.
        key: String,
        /// The fingerprint of the new key, in hexadecimal.
        fingerprint: String,
    },
}

/// Why a file is no proposal, or not a good one.
#[derive(Debug, Error)]
pub enum ProposalError {
    /// No file.
    #[error("{path} cannot be read: {reason}", path = .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// Not of the form.
    #[error("{path}: this is not a proposal: {reason}", path = .path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The words are not those of the bytes.
    #[error("{path}: the summary says something else than the bytes that are signed", path = .0.display())]
    Summary(PathBuf),
    /// A signature that does not hold.
    #[error("{path}: the signature of {institution}: {reason}", path = .path.display())]
    Signature {
        /// Which file.
        path: PathBuf,
        /// Whose.
        institution: InstitutionId,
        /// What is wrong.
        reason: String,
    },
    /// Another one.
    #[error("{path} is another proposal: its digest is {found}, not {expected}", path = .path.display())]
    Other {
        /// Which file.
        path: PathBuf,
        /// The one it should be.
        expected: Digest,
        /// The one it is.
        found: Digest,
    },
}

impl Summary {
    /// What the body says; nothing if it is no proposal.
    fn of(body: &Body) -> Option<Self> {
        let (effective, action) = match &body.action {
            Action::Governance(decision) => (
                decision.effective,
                SummaryAction::Decision {
                    number: decision.number,
                    changes: decision.changes.clone(),
                    approvals: decision.approvals.iter().map(|by| by.institution).collect(),
                },
            ),
            Action::KeyRotation(rotation) => (
                rotation.effective,
                SummaryAction::KeyRotation {
                    institution: rotation.institution,
                    key: rotation.key.use_name().to_owned(),
                    fingerprint: rotation.key.fingerprint().to_string(),
                },
            ),
            _ => return None,
        };
        let digest = signing_digest(body, &[]).to_string();
        Some(Self { chain: body.chain, digest, expiry: body.expiry, effective, action })
    }
}

impl Proposal {
    /// Without signatures.
    pub fn new(body: Body) -> Self {
        Self { body, signatures: BTreeMap::new() }
    }

    /// What is proposed.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// What everyone signs.
    pub fn digest(&self) -> Digest {
        signing_digest(&self.body, &[])
    }

    /// Who has signed. Whether the signatures hold is for [`Proposal::verify`].
    pub fn signatures(&self) -> &BTreeMap<InstitutionId, InstitutionSignature> {
        &self.signatures
    }

    /// Who must sign.
    pub fn signers(&self) -> BTreeMap<InstitutionId, Digest> {
        // A body that was checked names them.
        self.body.signers().unwrap_or_default()
    }

    /// Who must sign and has not.
    pub fn missing(&self) -> Vec<InstitutionId> {
        let mut signers = self.signers();
        signers.retain(|id, _| !self.signatures.contains_key(id));
        signers.into_keys().collect()
    }

    /// Takes a signature, in place of an earlier one of the same institution.
    pub fn add(&mut self, signature: InstitutionSignature) {
        self.signatures.insert(signature.institution, signature);
    }

    /// Takes the signatures of another copy, which is in the file `path`.
    pub fn join(&mut self, path: &Path, other: &Self) -> Result<(), ProposalError> {
        let (expected, found) = (self.digest(), other.digest());
        if expected != found {
            return Err(ProposalError::Other { path: path.to_owned(), expected, found });
        }
        other.signatures.values().cloned().for_each(|signature| self.add(signature));
        Ok(())
    }

    /// The transaction, if all have signed.
    pub fn transaction(&self) -> Result<Transaction, BuildError> {
        let unsigned = Unsigned::new(self.body.clone(), Vec::new())?;
        unsigned.assemble(self.signatures.values().cloned().collect())
    }

    /// Whether each signature holds under the key that the body names and the register has. `path`
    /// is the file for the error.
    pub fn verify(&self, path: &Path, register: &State) -> Result<(), ProposalError> {
        let digest = self.digest();
        for InstitutionSignature { institution, key_fingerprint, signature } in
            self.signatures.values()
        {
            let failed = |reason: String| {
                let institution = *institution;
                ProposalError::Signature { path: path.to_owned(), institution, reason }
            };
            let key = register.transaction_key(*institution, key_fingerprint);
            let key = key.ok_or_else(|| failed(format!("{key_fingerprint} is not a key of it")))?;
            let verdict = key.verify(Purpose::Transaction, &digest, signature);
            verdict.map_err(|error| failed(error.to_string()))?;
        }
        Ok(())
    }

    /// Reads a file. What a person reads in it is what the bytes say.
    pub fn read(path: &Path) -> Result<Self, ProposalError> {
        let failed = |reason: String| ProposalError::Form { path: path.to_owned(), reason };
        let text = std::fs::read(path)
            .map_err(|reason| ProposalError::Read { path: path.to_owned(), reason })?;
        let file: ProposalFile =
            serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
        let in_field =
            |name: &str, error: &dyn std::fmt::Display| failed(format!("{name}: {error}"));
        let bytes = hex::decode(&file.body).map_err(|error| in_field("body", &error))?;
        let body = Body::from_bytes(&bytes).map_err(|error| in_field("body", &error))?;
        body.check().map_err(|error| in_field("body", &error))?;
        let summary = Summary::of(&body);
        let summary = summary.ok_or_else(|| failed("body: neither a decision nor a key".into()))?;
        if summary != file.summary {
            return Err(ProposalError::Summary(path.to_owned()));
        }
        let signers = body.signers().map_err(|error| in_field("body", &error))?;
        let mut proposal = Self::new(body);
        for (institution, text) in file.signatures {
            let field = format!("signatures.{institution}");
            let key_fingerprint = *signers.get(&institution).ok_or_else(|| {
                failed(format!("{field}: it is not to be signed by {institution}"))
            })?;
            let bytes = hex::decode(text).map_err(|error| in_field(&field, &error))?;
            let signature =
                Signature::from_bytes(&bytes).map_err(|error| in_field(&field, &error))?;
            proposal.add(InstitutionSignature { institution, key_fingerprint, signature });
        }
        Ok(proposal)
    }

    fn staged(&self, path: &Path) -> io::Result<Staged> {
        let summary = Summary::of(&self.body);
        let summary = summary.ok_or_else(|| io::Error::other("neither a decision nor a key"))?;
        let signatures = self.signatures.iter();
        let signatures =
            signatures.map(|(id, by)| (*id, hex::encode(Encode::to_bytes(&by.signature))));
        let body = hex::encode(self.body.to_bytes());
        let file = ProposalFile { summary, body, signatures: signatures.collect() };
        let text = serde_json::to_string_pretty(&file)? + "\n";
        Staged::public(path, text.as_bytes())
    }

    /// Makes a new file of it.
    pub fn create(&self, path: &Path) -> io::Result<()> {
        self.staged(path)?.create(path)
    }

    /// Writes it in place of its file, as a whole.
    pub fn replace(&self, path: &Path) -> io::Result<()> {
        self.staged(path)?.replace(path)
    }
}
