//! Banks of the load, with the keys of their agents, and transfers that are sealed, proven and
//! signed before the clock starts.

use std::path::Path;

use quittance_crypto::commitment::Opening;
use quittance_crypto::encoding::Encode;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Purpose;
use quittance_ledger::build::{Absorbed, Poster, Receiver, Terms, Unsigned};
use quittance_ledger::ids::{AccountId, AssetId, InstitutionId, Uetr};
use quittance_ledger::payload::{CreditPayload, Particulars};
use quittance_ledger::transaction::{Side, Transaction};
use rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

use super::error::BenchError;
use crate::client;
use crate::testnet::plan::Member;

/// What every bank holds when the load begins, in minor units: enough for any load.
const FUNDS: u64 = 1 << 50;

/// The most that a transfer moves, in minor units.
const MOST: u64 = 1_000_000;

/// Receivers of one transfer of the central bank.
const RECEIVERS: usize = 32;

/// A bank, with one account.
pub struct Bank {
    /// Which.
    pub id: InstitutionId,
    ring: KeyRing,
    asset: AssetId,
    side: Side,
    sequence: u64,
    balance: Opening,
}

impl Bank {
    /// With the keys that its agent has in the network's folder, and an empty account.
    pub fn open(
        directory: &Path,
        agent: &Member,
        asset: AssetId,
        side: Side,
    ) -> Result<Self, BenchError> {
        let folder = agent.path(directory);
        let read = |name: &str| {
            let path = folder.join(name);
            let content = std::fs::read(&path).map(Zeroizing::new);
            content.map_err(|reason| BenchError::File { path, reason })
        };
        let passphrase = read("passphrase")?;
        let passphrase = Zeroizing::new(String::from_utf8_lossy(&passphrase).trim().to_owned());
        let ring = KeyRing::from_encrypted(&passphrase, &read("keys.age")?)?;
        let (id, balance) = (agent.institution(), Opening::zero());
        Ok(Self { id, ring, asset, side, sequence: 0, balance })
    }

    /// A transfer that absorbs on the way; the account goes on from there.
    fn pays(
        &mut self,
        terms: Terms,
        absorbed: &[Absorbed],
        to: &[(&Account, u64)],
    ) -> Result<Transaction, BenchError> {
        let particulars = Particulars::new(uetr(), "LOAD", "")?;
        let receivers: Vec<Receiver<'_>> = to
            .iter()
            .map(|(account, amount)| Receiver {
                institution: account.bank,
                sealing_key: &account.sealing,
                amount: *amount,
                particulars: particulars.clone(),
            })
            .collect();
        let signing = self.ring.signing(Purpose::Transaction);
        let poster = Poster {
            chain: terms.chain,
            account: AccountId { institution: self.id, asset: self.asset },
            side: self.side,
            key_fingerprint: signing.verifying_key().fingerprint(),
            sequence: self.sequence,
            balance: &self.balance,
            note_key: self.ring.note(),
        };
        let draft = poster.transfer(absorbed, &receivers, uetr(), &mut OsRng)?;
        let body = terms.entries(vec![draft.entry().clone()])?;
        let proven = draft.prove(&body, &mut OsRng)?;
        let unsigned = Unsigned::new(body, vec![proven.proof])?;
        let signature = unsigned.sign(self.id, signing)?;
        (self.balance, self.sequence) = (proven.new_balance, self.sequence + 1);
        Ok(unsigned.assemble(vec![signature])?)
    }

    /// Opens the credit that `transaction` gives this bank.
    fn opens(&self, terms: Terms, transaction: &Transaction) -> Result<Absorbed, BenchError> {
        let entries = (0u32..).zip(transaction.body().entries());
        let credits = entries.flat_map(|(entry, it)| {
            let numbered = (0u32..).zip(&it.credits);
            numbered.map(move |(index, credit)| (entry, index, credit))
        });
        let own = credits.into_iter().find(|(.., credit)| credit.institution == self.id);
        let (entry, index, credit) = own.ok_or(BenchError::NotFunded(self.id))?;
        let sealing = self.ring.sealing();
        let payload = CreditPayload::open(terms.chain, self.asset, credit, sealing)?;
        Ok(Absorbed { id: transaction.credit_id(entry, index), opening: payload.opening })
    }
}

/// Whom a bank pays.
pub struct Account {
    bank: InstitutionId,
    sealing: quittance_crypto::seal::SealingPublicKey,
}

impl From<&Bank> for Account {
    fn from(bank: &Bank) -> Self {
        Self { bank: bank.id, sealing: bank.ring.sealing().public_key().clone() }
    }
}

/// A transfer that is ready to be submitted.
pub struct Prepared {
    /// Its complete canonical bytes.
    pub bytes: Vec<u8>,
    /// Which bank pays, by its place among the banks.
    pub payer: usize,
}

/// The central bank's transfers to all banks.
pub fn fund(
    issuer: &mut Bank,
    banks: &[Bank],
    terms: Terms,
) -> Result<Vec<Transaction>, BenchError> {
    let accounts: Vec<Account> = banks.iter().map(Account::from).collect();
    let each = accounts.chunks(RECEIVERS).map(|accounts| {
        let to: Vec<_> = accounts.iter().map(|account| (account, FUNDS)).collect();
        issuer.pays(terms, &[], &to)
    });
    each.collect()
}

/// The next `count` transfers of a bank, each to another bank in turn, of a random amount. The first
/// ever absorbs what `funding` gives the bank.
pub fn lane(
    bank: &mut Bank,
    payees: &[Account],
    funding: &[Transaction],
    count: usize,
    terms: Terms,
    done: &(impl Fn() + Sync),
) -> Result<Vec<Transaction>, BenchError> {
    let others: Vec<&Account> = payees.iter().filter(|payee| payee.bank != bank.id).collect();
    let mut transfers = Vec::with_capacity(count);
    for payee in others.iter().cycle().take(count) {
        let absorbed = match bank.sequence {
            0 => vec![funded(bank, funding, terms)?],
            _ => Vec::new(),
        };
        let amount = 1 + OsRng.next_u64() % MOST;
        transfers.push(bank.pays(terms, &absorbed, &[(payee, amount)])?);
        done();
    }
    Ok(transfers)
}

fn funded(bank: &Bank, funding: &[Transaction], terms: Terms) -> Result<Absorbed, BenchError> {
    let opened = funding.iter().find_map(|transaction| bank.opens(terms, transaction).ok());
    opened.ok_or(BenchError::NotFunded(bank.id))
}

/// As it is submitted.
pub fn prepared(payer: usize, transaction: &Transaction) -> Prepared {
    Prepared { bytes: transaction.to_bytes(), payer }
}

fn uetr() -> Uetr {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    client::version_4(bytes)
}
