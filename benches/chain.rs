//! A chain to measure with: many banks, one validator, and transfers that it executes.

use std::collections::BTreeSet;
use std::error::Error;
use std::num::NonZeroUsize;
use std::thread::{self, available_parallelism};

use quittance_crypto::commitment::Opening;
use quittance_crypto::digest::Digest;
use quittance_crypto::note::NoteKey;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::{Purpose, SigningKey, Suite, VerifyingKey};
use quittance_ledger::build::{Poster, Receiver, Terms, Unsigned};
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{AccountId, AssetId, Height, InstitutionId, Timestamp, Uetr};
use quittance_ledger::payload::Particulars;
use quittance_ledger::state::{Asset, Limits, PublicKey, Role};
use quittance_ledger::transaction::{Side, Transaction};
use rand_core::OsRng;

pub(crate) const SUITE: Suite = Suite::MlDsa65MlKem768;
pub(crate) const VALIDATOR: &str = "VALDZZ01";

/// A bank with all of its keys.
pub(crate) struct Bank {
    pub(crate) id: InstitutionId,
    signing: SigningKey,
    round: SigningKey,
    sealing: SealingKey,
    note: NoteKey,
}

/// The banks and the genesis that registers them.
pub(crate) struct Chain {
    pub(crate) genesis: Genesis,
    pub(crate) banks: Vec<Bank>,
    asset: AssetId,
}

impl Bank {
    fn new(id: &str) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            id: id.parse()?,
            signing: SigningKey::generate(SUITE),
            round: SigningKey::generate(SUITE),
            sealing: SealingKey::generate(SUITE),
            note: NoteKey::from_bytes(&Digest::of("bench note key", &[]).0),
        })
    }

    fn registered(&self) -> GenesisInstitution {
        let keys = vec![
            PublicKey::Signing(Purpose::Transaction, self.signing.verifying_key()),
            PublicKey::Signing(Purpose::Round, self.round.verifying_key()),
            PublicKey::Sealing(self.sealing.public_key().clone()),
        ];
        GenesisInstitution { roles: BTreeSet::from([Role::Participant]), keys }
    }
}

impl Chain {
    /// With so many banks, at most 4,000, and a validator that votes with `vote`.
    pub(crate) fn new(banks: usize, vote: VerifyingKey) -> Result<Self, Box<dyn Error>> {
        // Three hexadecimal digits make 4,096 branches.
        let bank = |number| Bank::new(&format!("BANKDE2A{number:03X}"));
        let banks = (0..banks).map(bank).collect::<Result<Vec<_>, _>>()?;
        let issuer = Bank::new("CENTDE2A")?;
        let validator = VALIDATOR.parse()?;
        let keys = vec![PublicKey::Signing(Purpose::Vote, vote.clone())];
        let votes = GenesisInstitution { roles: BTreeSet::from([Role::Validator]), keys };
        let participants = banks.iter().chain([&issuer]).map(|bank| (bank.id, bank.registered()));
        let institutions = participants.chain([(validator, votes)]).collect();
        let (asset, issuer) = ("EUR".parse()?, issuer.id);
        let set = vec![Validator { institution: validator, key: vote, power: 1 }];
        let genesis = Genesis {
            name: "bench".into(),
            time: Timestamp(0),
            suite: SUITE,
            institutions,
            assets: [(asset, Asset { issuer, decimals: 2 })].into(),
            validators: ValidatorSet::new(set)?,
            committees: Default::default(),
            limits: Limits::default(),
        };
        Ok(Self { genesis, banks, asset })
    }

    /// `each` transfers of the first `payers` banks, from every one to the next: the first of all
    /// banks, then the second of all, and so on. Made on all processors.
    ///
    /// Every account begins empty and nobody issues anything, so the amounts are zero: no work of
    /// a node depends on an amount.
    pub(crate) fn transfers(&self, payers: usize, each: usize) -> Result<Vec<Transaction>, String> {
        let payers: Vec<usize> = (0..payers).collect();
        let share = payers.len().div_ceil(available_parallelism().map_or(1, NonZeroUsize::get));
        let lane = |payer: &usize| self.lane(*payer, each).map_err(|error| error.to_string());
        let lanes = thread::scope(|scope| {
            let shares: Vec<_> = payers
                .chunks(share)
                .map(|share| scope.spawn(move || share.iter().map(lane).collect::<Vec<_>>()))
                .collect();
            let lanes = shares.into_iter().map(|share| share.join().expect("transfers are made"));
            lanes.flatten().collect::<Result<Vec<_>, _>>()
        })?;
        Ok((0..each).flat_map(|turn| lanes.iter().map(move |lane| lane[turn].clone())).collect())
    }

    fn lane(&self, payer: usize, each: usize) -> Result<Vec<Transaction>, Box<dyn Error>> {
        let (bank, payee) = (&self.banks[payer], &self.banks[(payer + 1) % self.banks.len()]);
        let chain = self.genesis.chain_id();
        let terms = Terms { suite: SUITE, chain, expiry: Height(900) };
        let mut balance = Opening::zero();
        let mut transfers = Vec::with_capacity(each);
        for sequence in 0..each as u64 {
            let poster = Poster {
                chain,
                account: AccountId { institution: bank.id, asset: self.asset },
                side: Side::Holder,
                key_fingerprint: bank.signing.verifying_key().fingerprint(),
                sequence,
                balance: &balance,
                note_key: &bank.note,
            };
            let receiver = Receiver {
                institution: payee.id,
                sealing_key: payee.sealing.public_key(),
                amount: 0,
                particulars: Particulars::new(Uetr([9; 16]), "INVOICE-2026-11", "")?,
            };
            let draft = poster.transfer(&[], &[receiver], Uetr([1; 16]), &mut OsRng)?;
            let body = terms.entries(vec![draft.entry().clone()])?;
            let proven = draft.prove(&body, &mut OsRng)?;
            balance = proven.new_balance;
            let unsigned = Unsigned::new(body, vec![proven.proof])?;
            let signature = unsigned.sign(bank.id, &bank.signing)?;
            transfers.push(unsigned.assemble(vec![signature])?);
        }
        Ok(transfers)
    }
}
