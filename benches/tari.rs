//! The peer of range proofs: Tari's Bulletproofs+, which verify in batches too.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use rand_core::{OsRng, RngCore};
use tari_bulletproofs_plus::commitment_opening::CommitmentOpening;
use tari_bulletproofs_plus::errors::ProofError;
use tari_bulletproofs_plus::generators::pedersen_gens::ExtensionDegree;
use tari_bulletproofs_plus::range_parameters::RangeParameters;
use tari_bulletproofs_plus::range_proof::{RangeProof, VerifyAction};
use tari_bulletproofs_plus::range_statement::RangeStatement;
use tari_bulletproofs_plus::range_witness::RangeWitness;
use tari_bulletproofs_plus::ristretto::{
    RistrettoRangeProof, create_pedersen_gens_with_extension_degree,
};
use tari_merlin::Transcript;

pub(crate) const NAME: &str = "tari_bulletproofs_plus 0.5.3";

/// Proofs with their commitments, as bytes.
pub(crate) struct Proofs {
    parameters: RangeParameters<RistrettoPoint>,
    items: Vec<(Vec<[u8; 32]>, Vec<u8>)>,
}

impl Proofs {
    /// So many proofs, each of these 64-bit values.
    pub(crate) fn new(count: usize, values: &[u64]) -> Result<Self, ProofError> {
        let bases = create_pedersen_gens_with_extension_degree(ExtensionDegree::DefaultPedersen);
        let parameters = RangeParameters::init(64, values.len(), bases)?;
        let items = (0..count).map(|_| prove(&parameters, values)).collect::<Result<_, _>>()?;
        Ok(Self { parameters, items })
    }

    /// Verifies all in one batch, from their bytes.
    pub(crate) fn verify(&self) -> Result<(), ProofError> {
        let mut statements = Vec::new();
        let mut proofs = Vec::new();
        for (commitments, proof) in &self.items {
            let points = commitments.iter().map(|bytes| CompressedRistretto(*bytes).decompress());
            let points = points.collect::<Option<Vec<_>>>();
            let points = points.ok_or(ProofError::InvalidArgument("no point".to_owned()))?;
            statements.push(statement(&self.parameters, points)?);
            proofs.push(RistrettoRangeProof::from_bytes(proof)?);
        }
        let mut transcripts = vec![transcript(); self.items.len()];
        let action = VerifyAction::VerifyOnly;
        RangeProof::verify_batch(&mut transcripts, &statements, &proofs, action).map(|_| ())
    }
}

fn transcript() -> Transcript {
    Transcript::new(b"bench")
}

fn statement(
    parameters: &RangeParameters<RistrettoPoint>,
    commitments: Vec<RistrettoPoint>,
) -> Result<RangeStatement<RistrettoPoint>, ProofError> {
    let promises = vec![None; commitments.len()];
    RangeStatement::init(parameters.clone(), commitments, promises, None)
}

fn prove(
    parameters: &RangeParameters<RistrettoPoint>,
    values: &[u64],
) -> Result<(Vec<[u8; 32]>, Vec<u8>), ProofError> {
    let mut commitments = Vec::new();
    let mut openings = Vec::new();
    for value in values {
        let mut bytes = [0; 32];
        OsRng.fill_bytes(&mut bytes);
        let blinding = vec![Scalar::from_bytes_mod_order(bytes)];
        commitments.push(parameters.pc_gens().commit(&Scalar::from(*value), &blinding)?);
        openings.push(CommitmentOpening::new(*value, blinding));
    }
    let witness = RangeWitness::init(openings)?;
    let statement = statement(parameters, commitments)?;
    let proof = RistrettoRangeProof::prove(&mut transcript(), &statement, &witness)?;
    let commitments = statement.commitments_compressed.iter().map(|point| point.to_bytes());
    Ok((commitments.collect(), proof.to_bytes()))
}
