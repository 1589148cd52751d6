//! The peer of transfers: what a confidential transfer of Solana's Token-2022 proves, by the crate
//! `solana-zk-sdk`.
//!
//! A transfer of an amount in two parts (16 and 32 bits) comes with three proofs: the new balance's
//! ciphertext equals a commitment; both parts' ciphertexts are valid for sender, receiver and
//! auditor; balance, both parts and padding are in range, 128 bits together. The sender's Ed25519
//! signature is left out, in the peer's favour.

use std::error::Error;

use bytemuck::{Pod, bytes_of, pod_read_unaligned};
use solana_zk_elgamal_proof_interface::proof_data::{
    BatchedGroupedCiphertext3HandlesValidityProofData as ValidityProof,
    BatchedRangeProofU128Data as RangeProof,
    CiphertextCommitmentEqualityProofData as EqualityProof,
};
use solana_zk_sdk::encryption::elgamal::ElGamalKeypair;
use solana_zk_sdk::encryption::grouped_elgamal::GroupedElGamal;
use solana_zk_sdk::encryption::pedersen::{Pedersen, PedersenOpening};
use solana_zk_sdk::zk_elgamal_proof_program::{
    VerifyZkProof, build_batched_grouped_ciphertext_3_handles_validity_proof_data,
    build_batched_range_proof_u128_data, build_ciphertext_commitment_equality_proof_data,
};

pub(crate) const NAME: &str = "solana-zk-sdk 8.1.0";

/// Those who take part.
pub(crate) struct Accounts {
    sender: ElGamalKeypair,
    receiver: ElGamalKeypair,
    auditor: ElGamalKeypair,
}

/// The three proofs as bytes, with the ciphertexts and keys that they are about.
pub(crate) struct Transfer {
    equality: Vec<u8>,
    validity: Vec<u8>,
    range: Vec<u8>,
}

impl Accounts {
    pub(crate) fn new() -> Self {
        let [sender, receiver, auditor] = [(); 3].map(|()| ElGamalKeypair::new_rand());
        Self { sender, receiver, auditor }
    }

    /// Encrypts and proves a transfer.
    pub(crate) fn transfer(&self) -> Result<Transfer, Box<dyn Error>> {
        let (balance, low, high) = (998_765_433, 0xd687, 0x12);
        let (sender, receiver, auditor) =
            (self.sender.pubkey(), self.receiver.pubkey(), self.auditor.pubkey());

        let encrypted = sender.encrypt(balance);
        let (balance_commitment, balance_opening) = Pedersen::new(balance);
        let equality = build_ciphertext_commitment_equality_proof_data(
            &self.sender,
            &encrypted,
            &balance_commitment,
            &balance_opening,
            balance,
        )?;

        let (low_opening, high_opening) =
            (PedersenOpening::new_rand(), PedersenOpening::new_rand());
        let keys = [sender, receiver, auditor];
        let low_encrypted = GroupedElGamal::encrypt_with(keys, low, &low_opening);
        let high_encrypted = GroupedElGamal::encrypt_with(keys, high, &high_opening);
        let validity = build_batched_grouped_ciphertext_3_handles_validity_proof_data(
            sender,
            receiver,
            auditor,
            &low_encrypted,
            &high_encrypted,
            low,
            high,
            &low_opening,
            &high_opening,
        )?;

        let (padding_commitment, padding_opening) = Pedersen::new(0_u64);
        let range = build_batched_range_proof_u128_data(
            vec![
                &balance_commitment,
                &low_encrypted.commitment,
                &high_encrypted.commitment,
                &padding_commitment,
            ],
            vec![balance, low, high, 0],
            vec![64, 16, 32, 16],
            vec![&balance_opening, &low_opening, &high_opening, &padding_opening],
        )?;
        let [equality, validity, range] =
            [bytes_of(&equality), bytes_of(&validity), bytes_of(&range)].map(<[u8]>::to_vec);
        Ok(Transfer { equality, validity, range })
    }
}

impl Transfer {
    /// Verifies it from its bytes.
    pub(crate) fn verify(&self) -> Result<(), Box<dyn Error>> {
        fn read<T: Pod>(bytes: &[u8]) -> T {
            pod_read_unaligned(bytes)
        }
        read::<EqualityProof>(&self.equality).verify_proof()?;
        read::<ValidityProof>(&self.validity).verify_proof()?;
        read::<RangeProof>(&self.range).verify_proof()?;
        Ok(())
    }

    /// The length of the three proofs, ciphertexts and keys included.
    pub(crate) fn size(&self) -> usize {
        self.equality.len() + self.validity.len() + self.range.len()
    }
}
