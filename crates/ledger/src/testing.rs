//! Banks and directories for the tests of this crate.

use std::collections::BTreeMap;

use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::note::NoteKey;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::{Purpose, SigningKey, Suite, VerifyingKey};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::build::{EntryDraft, Poster, Receiver, Terms, Unsigned};
use crate::ids::{AccountId, AssetId, ChainId, Height, InstitutionId, Uetr};
use crate::payload::Particulars;
use crate::transaction::{Body, InstitutionSignature, Side, Transaction};
use crate::verify::Directory;

pub(crate) const SUITE: Suite = Suite::MlDsa65MlKem768;

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn asset(text: &str) -> AssetId {
    text.parse().unwrap()
}

pub(crate) fn institution(text: &str) -> InstitutionId {
    text.parse().unwrap()
}

pub(crate) fn chain() -> ChainId {
    ChainId(Digest([7; 32]))
}

pub(crate) struct Bank {
    pub(crate) id: InstitutionId,
    pub(crate) signing: SigningKey,
    pub(crate) fingerprint: Digest,
    pub(crate) sealing: SealingKey,
    pub(crate) note: NoteKey,
}

impl Bank {
    pub(crate) fn new(text: &str) -> Self {
        let id = institution(text);
        let signing = SigningKey::from_seed(SUITE, &Digest::of("test bank", &[text.as_bytes()]).0);
        let fingerprint = signing.verifying_key().fingerprint();
        let note = NoteKey::from_bytes(&Digest::of("test note key", &[text.as_bytes()]).0);
        Self { id, signing, fingerprint, sealing: SealingKey::generate(SUITE), note }
    }

    pub(crate) fn poster<'a>(
        &'a self,
        code: &str,
        side: Side,
        sequence: u64,
        balance: &'a Opening,
    ) -> Poster<'a> {
        Poster {
            chain: chain(),
            account: AccountId { institution: self.id, asset: asset(code) },
            side,
            key_fingerprint: self.fingerprint,
            sequence,
            balance,
            note_key: &self.note,
        }
    }

    pub(crate) fn receives(&self, amount: u64) -> Receiver<'_> {
        let particulars = Particulars::new(Uetr([9; 16]), "INVOICE-1", "für Ware").unwrap();
        let sealing_key = self.sealing.public_key();
        Receiver { institution: self.id, sealing_key, amount, particulars }
    }

    /// A transfer from this bank's account with `balance`, in an entry of its own.
    pub(crate) fn pays(
        &self,
        code: &str,
        balance: u64,
        to: &[Receiver<'_>],
        seed: u64,
    ) -> EntryDraft {
        let mut rng = rng(seed);
        let balance = Opening::new(balance, Blinding::random(&mut rng));
        let poster = self.poster(code, Side::Holder, 4, &balance);
        poster.transfer(&[], to, Uetr([1; 16]), &mut rng).unwrap()
    }

    /// Signs whatever it is, without asking whether it makes sense.
    pub(crate) fn signs(&self, transaction: &Transaction) -> InstitutionSignature {
        InstitutionSignature {
            institution: self.id,
            key_fingerprint: self.fingerprint,
            signature: self.signing.sign(Purpose::Transaction, &transaction.signing_digest()),
        }
    }
}

pub(crate) fn terms() -> Terms {
    Terms { suite: SUITE, chain: chain(), expiry: Height(100) }
}

/// Proves a body with one entry, and signs it by one bank.
pub(crate) fn single(draft: EntryDraft, by: &Bank, seed: u64) -> Transaction {
    let body = terms().entries(vec![draft.entry().clone()]).unwrap();
    let proof = draft.prove(&body, &mut rng(seed)).unwrap().proof;
    signed(Unsigned::new(body, vec![proof]).unwrap(), &[by])
}

pub(crate) fn signed(unsigned: Unsigned, by: &[&Bank]) -> Transaction {
    let signatures = by.iter().map(|bank| unsigned.sign(bank.id, &bank.signing).unwrap()).collect();
    unsigned.assemble(signatures).unwrap()
}

/// The body and the proofs of `transaction`, changed, and signed anew by their rightful owners.
pub(crate) fn resigned(
    transaction: &Transaction,
    change: impl FnOnce(&mut Body),
    by: &[&Bank],
) -> Transaction {
    let mut body = transaction.body().clone();
    change(&mut body);
    let bare = Transaction::new(body.clone(), transaction.proofs().to_vec(), Vec::new());
    let signatures = by.iter().map(|bank| bank.signs(&bare)).collect();
    Transaction::new(body, transaction.proofs().to_vec(), signatures)
}

/// Who has which key, and who issues what.
pub(crate) struct World {
    pub(crate) keys: BTreeMap<(InstitutionId, Digest), VerifyingKey>,
    pub(crate) issuers: BTreeMap<AssetId, InstitutionId>,
}

impl World {
    /// The central bank `CENTXX2A` issues EUR and USD.
    pub(crate) fn new(banks: &[&Bank]) -> Self {
        let key = |bank: &&Bank| ((bank.id, bank.fingerprint), bank.signing.verifying_key());
        let issued = |code: &&str| (asset(code), institution("CENTXX2A"));
        Self {
            keys: banks.iter().map(key).collect(),
            issuers: ["EUR", "USD"].iter().map(issued).collect(),
        }
    }
}

impl Directory for World {
    fn transaction_key(
        &self,
        institution: InstitutionId,
        fingerprint: &Digest,
    ) -> Option<&VerifyingKey> {
        self.keys.get(&(institution, *fingerprint))
    }

    fn issuer(&self, asset: AssetId) -> Option<InstitutionId> {
        self.issuers.get(&asset).copied()
    }
}
