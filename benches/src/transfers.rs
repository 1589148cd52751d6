//! Transfers between banks of a chain that need not exist: for verification and proving.

use std::collections::BTreeMap;
use std::error::Error;

use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::note::NoteKey;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::{SigningKey, Suite, VerifyingKey};
use quittance_ledger::build::{EntryDraft, Poster, Receiver, Terms, Unsigned};
use quittance_ledger::ids::{AccountId, AssetId, ChainId, Height, InstitutionId, Uetr};
use quittance_ledger::payload::Particulars;
use quittance_ledger::transaction::{Side, Transaction};
use quittance_ledger::verify::Directory;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const SUITE: Suite = Suite::MlDsa65MlKem768;
const CHAIN: ChainId = ChainId(Digest([7; 32]));

/// A bank with all of its keys.
pub struct Bank {
    id: InstitutionId,
    signing: SigningKey,
    sealing: SealingKey,
    note: NoteKey,
}

/// Banks that pay one another in one asset.
pub struct Banks {
    asset: AssetId,
    issuer: InstitutionId,
    banks: Vec<Bank>,
    keys: BTreeMap<(InstitutionId, Digest), VerifyingKey>,
}

impl Banks {
    /// So many banks, fewer than 1,000.
    pub fn new(count: usize) -> Result<Self, Box<dyn Error>> {
        let bank = |number| -> Result<Bank, Box<dyn Error>> {
            let signing = SigningKey::generate(SUITE);
            let note = NoteKey::from_bytes(&Digest::of("bench note key", &[]).0);
            let id = format!("BANKDE2A{number:03}").parse()?;
            Ok(Bank { id, signing, sealing: SealingKey::generate(SUITE), note })
        };
        let banks = (0..count).map(bank).collect::<Result<Vec<_>, _>>()?;
        let key = |bank: &Bank| {
            let key = bank.signing.verifying_key();
            ((bank.id, key.fingerprint()), key)
        };
        let keys = banks.iter().map(key).collect();
        Ok(Self { asset: "EUR".parse()?, issuer: "CENTDE2A".parse()?, banks, keys })
    }

    /// A complete transfer of one bank to the next, from nothing but openings and keys: one
    /// posting, one credit, sealed, proven and signed.
    pub fn transfer(&self, payer: usize, seed: u64) -> Result<Transaction, Box<dyn Error>> {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let bank = &self.banks[payer % self.banks.len()];
        let draft = self.draft(bank, &self.banks[(payer + 1) % self.banks.len()], rng)?;
        let terms = Terms { suite: SUITE, chain: CHAIN, expiry: Height(100) };
        let body = terms.entries(vec![draft.entry().clone()])?;
        let proof = draft.prove(&body, rng)?.proof;
        let unsigned = Unsigned::new(body, vec![proof])?;
        let signature = unsigned.sign(bank.id, &bank.signing)?;
        Ok(unsigned.assemble(vec![signature])?)
    }

    fn draft(
        &self,
        payer: &Bank,
        payee: &Bank,
        rng: &mut ChaCha20Rng,
    ) -> Result<EntryDraft, Box<dyn Error>> {
        let balance = Opening::new(1_000_000_000, Blinding::random(rng));
        let poster = Poster {
            chain: CHAIN,
            account: AccountId { institution: payer.id, asset: self.asset },
            side: Side::Holder,
            key_fingerprint: payer.signing.verifying_key().fingerprint(),
            sequence: 4,
            balance: &balance,
            note_key: &payer.note,
        };
        let receiver = Receiver {
            institution: payee.id,
            sealing_key: payee.sealing.public_key(),
            amount: 1_234_567,
            particulars: Particulars::new(Uetr([9; 16]), "INVOICE-2026-11", "")?,
        };
        Ok(poster.transfer(&[], &[receiver], Uetr([1; 16]), rng)?)
    }
}

impl Directory for Banks {
    fn transaction_key(
        &self,
        institution: InstitutionId,
        fingerprint: &Digest,
    ) -> Option<&VerifyingKey> {
        self.keys.get(&(institution, *fingerprint))
    }

    fn issuer(&self, _: AssetId) -> Option<InstitutionId> {
        Some(self.issuer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_verify() {
        let banks = Banks::new(2).unwrap();
        for payer in 0..2 {
            assert!(banks.transfer(payer, 1).unwrap().verify(&banks).is_ok());
        }
    }
}
