//! Real objects of every kind, from a small chain and from a whole round: for `make corpus`.

use age::secrecy::SecretString;
use prost::Message;
use quittance_audit::archive;
use quittance_circuit::{Builder, Destination, Owner, Program, Repetition};
use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::field::{Fr, Scalar};
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::range_proof;
use quittance_crypto::range_proof::joint::{Aggregator, Prover};
use quittance_crypto::seal::seal;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::block::{Block, Header};
use quittance_ledger::certificate::Certificate;
use quittance_ledger::ids::{AccountId, CreditId, Height, TransactionId, Uetr};
use quittance_ledger::merkle;
use quittance_ledger::payload::{CreditPayload, Particulars};
use quittance_ledger::state::{Event, EventKind, Key};
use quittance_ledger::transaction::Unverified;
use quittance_mpc::memory::Network;
use quittance_mpc::session::{Binding, Evidence, Frame, Kind};
use quittance_mpc::stock::{Amount, BatchId, Holdings};
use quittance_mpc::{Parties, vss};
use quittance_round::dealing::{Complaint, Publication, PublishedPart};
use quittance_round::envelope::Signed;
use quittance_round::message::{Attempt, Instruction, Reason, Refusal, Report};
use quittance_round::queue::Details;
use quittance_round::receipt::{Disclosure, Queue, Receipt, Statement};
use quittance_rpc::convert::{AccountView, ChainView, FinalBlock, RoundView, TransactionStatus};
use quittance_tests::chain::{self, Chain};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::io::Read;
use zeroize::Zeroizing;

use crate::bank::{payees, round};
use crate::world::{World, result_shares};

mod computation;
mod ledger;
mod replicated;

/// The name of a decoder, and what it has to accept.
type Sample = (&'static str, Vec<u8>);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

/// All of them.
pub fn all() -> Vec<Sample> {
    let chain = Chain::eventful();
    let mut samples = Vec::new();
    samples.extend(ledger::transactions(&chain));
    samples.extend(ledger::blocks(&chain));
    samples.extend(ledger::state(&chain));
    samples.extend(ledger::wire(&chain));
    samples.extend(replicated::decisions(&chain));
    samples.extend(replicated::receipts(&chain));
    samples.extend(replicated::consensus(&chain));
    samples.extend(keys());
    samples.extend(payloads());
    samples.extend(proofs());
    samples.extend(computation::rounds());
    samples.extend(computation::messages());
    samples.extend(computation::circuits());
    samples.extend(computation::stocks());
    samples
}

/// What stands in a key file, decrypted.
fn contents(ring: &KeyRing) -> Vec<u8> {
    let file = ring.to_encrypted("fuzz", 1).unwrap();
    let identity = age::scrypt::Identity::new(SecretString::from("fuzz".to_owned()));
    let decryptor = age::Decryptor::new_buffered(&file[..]).unwrap();
    let identities = std::iter::once(&identity as &dyn age::Identity);
    let mut bytes = Vec::new();
    decryptor.decrypt(identities).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn keys() -> Vec<Sample> {
    let mut samples = Vec::new();
    for suite in [Suite::MlDsa65MlKem768, Suite::MlDsa87MlKem1024] {
        let ring = KeyRing::generate("BANKDEFF", suite).unwrap();
        let signing = ring.signing(Purpose::Vote);
        let sealed = seal(ring.sealing().public_key(), b"place", b"text").unwrap();
        samples.extend([
            ("key-ring", contents(&ring)),
            ("verifying-key", signing.verifying_key().to_bytes()),
            ("sealing-key", ring.sealing().public_key().to_bytes()),
            ("signature", signing.sign(Purpose::Vote, &Digest::ZERO).to_bytes()),
            ("suite", suite.to_bytes()),
            ("sealed", sealed.to_bytes()),
        ]);
    }
    let opening = Opening::random(5, &mut rng());
    samples.extend([
        ("purpose", Purpose::Receipt.to_bytes()),
        ("point", opening.commit().point().to_bytes()),
        ("commitment", opening.commit().to_bytes()),
        ("scalar", Encode::to_bytes(&Scalar::from(7u64))),
        ("field", Fr::from(7u64).to_bytes()),
        ("blinding", opening.blinding.to_bytes()),
        ("opening", opening.to_bytes()),
    ]);
    samples
}

fn particulars() -> Particulars {
    Particulars::new(Uetr([9; 16]), "INVOICE-1", "für Ware").unwrap()
}

fn payloads() -> Vec<Sample> {
    let opening = Opening::new(30, Blinding::from_scalar(Scalar::from(31u64)));
    let credit =
        CreditPayload { opening: opening.clone(), salt: [5; 16], particulars: particulars() };
    // A version, an opening, and what the posting was for; see the formats of the ledger.
    let head = [&[1][..], &opening.to_bytes()].concat();
    let amounts = [&2u32.to_be_bytes()[..], &12u64.to_be_bytes(), &13u64.to_be_bytes()].concat();
    let entry = [&head, &[0, 1][..], &[0xee; 16], &[0x5e; 32], &amounts].concat();
    let settled = [&head, &[1][..], &5u32.to_be_bytes()].concat();
    vec![
        ("self-note", entry),
        ("self-note", settled),
        ("particulars", particulars().to_bytes()),
        ("credit-payload", credit.to_bytes()),
    ]
}

fn proofs() -> Vec<Sample> {
    let mut samples = Vec::new();
    for count in [1u8, 2, 3] {
        let openings: Vec<_> =
            (0..u64::from(count)).map(|value| Opening::random(value, &mut rng())).collect();
        let proof = range_proof::prove(&Digest::ZERO, &openings, &mut rng()).unwrap();
        let statement: Vec<u8> =
            openings.iter().flat_map(|opening| opening.commit().to_bytes()).collect();
        samples.push(("range-proof-bytes", proof.to_bytes()));
        samples.push(("range-proof", [&[count][..], &statement, &proof.to_bytes()].concat()));
    }
    samples
}
