//! Canonical bytes of receipts and checkpoints.

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use quittance_crypto::signature::Suite;

use super::{
    CHECKPOINT_VERSION, Checkpoint, Claim, MAX_CLAIMS, MAX_RECEIPT_BYTES, MAX_SET_CHANGES,
    NamedTransaction, RECEIPT_VERSION, Receipt, SetChange,
};
use crate::block::Header;
use crate::certificate::{Certificate, ValidatorSet};
use crate::ids::{AccountId, BlockId, ChainId, Height, Timestamp, TransactionId};
use crate::state::Account;
use crate::transaction::{Transaction, expect_version};
use crate::{merkle, tree};

impl Encode for Receipt {
    fn encode(&self, out: &mut Writer) {
        out.u8(RECEIPT_VERSION);
        out.list(&self.changes);
        self.header.encode(out);
        self.certificate.encode(out);
        out.list(&self.claims);
    }
}

impl Decode for Receipt {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = input.offset();
        expect_version(input, RECEIPT_VERSION, "receipt version")?;
        let receipt = Self {
            changes: input.list(MAX_SET_CHANGES, "changes of the validators")?,
            header: Header::decode(input)?,
            certificate: Certificate::decode(input)?,
            claims: input.list(MAX_CLAIMS, "claims")?,
        };
        check_claims(&receipt.claims).map_err(|why| input.invalid("claims", why))?;
        check_length(input.since(start).len())
            .map_err(|problem| input.error_at(start, "receipt", problem))?;
        Ok(receipt)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        check_length(bytes.len()).map_err(|problem| input.error_at(0, "receipt", problem))?;
        let receipt = Self::decode(&mut input)?;
        input.finish()?;
        Ok(receipt)
    }
}

fn check_length(found: usize) -> Result<(), Problem> {
    match found {
        ..=MAX_RECEIPT_BYTES => Ok(()),
        _ => Err(Problem::TooLong { found, limit: MAX_RECEIPT_BYTES }),
    }
}

fn check_claims(claims: &[Claim]) -> Result<(), &'static str> {
    let places: Vec<_> = claims.iter().map(Claim::place).collect();
    match claims.is_empty() {
        true => Err("a receipt of nothing"),
        false if !places.is_sorted_by(|one, two| one < two) => Err("claims not in strict order"),
        false => Ok(()),
    }
}

impl Encode for SetChange {
    fn encode(&self, out: &mut Writer) {
        self.header.encode(out);
        self.certificate.encode(out);
        self.validators.encode(out);
    }
}

impl Decode for SetChange {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            header: Header::decode(input)?,
            certificate: Certificate::decode(input)?,
            validators: ValidatorSet::decode(input)?,
        })
    }
}

impl Encode for Claim {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Transaction { transaction, path } => {
                out.u8(0);
                transaction.encode(out);
                path.encode(out);
            }
            Self::Account { id, account, proof } => {
                out.u8(1);
                id.encode(out);
                out.option(account.as_deref());
                proof.encode(out);
            }
        }
    }
}

impl Decode for Claim {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.tag(2, "claim")? {
            0 => Self::Transaction {
                transaction: NamedTransaction::decode(input)?,
                path: merkle::Proof::decode(input)?,
            },
            _ => Self::Account {
                id: AccountId::decode(input)?,
                account: input.option::<Account>("account")?.map(Box::new),
                proof: tree::Proof::decode(input)?,
            },
        })
    }
}

impl Encode for NamedTransaction {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Id(id) => {
                out.u8(0);
                id.encode(out);
            }
            Self::Complete(transaction) => {
                out.u8(1);
                transaction.encode(out);
            }
        }
    }
}

impl Decode for NamedTransaction {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.tag(2, "transaction or its id")? {
            0 => Self::Id(TransactionId::decode(input)?),
            _ => Self::Complete(Transaction::decode(input)?),
        })
    }
}

impl Encode for Checkpoint {
    fn encode(&self, out: &mut Writer) {
        out.u8(CHECKPOINT_VERSION);
        self.suite.encode(out);
        self.chain.encode(out);
        self.height.encode(out);
        self.block.encode(out);
        self.time.encode(out);
        self.validators.encode(out);
    }
}

impl Decode for Checkpoint {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, CHECKPOINT_VERSION, "checkpoint version")?;
        Ok(Self {
            suite: Suite::decode(input)?,
            chain: ChainId::decode(input)?,
            height: Height::decode(input)?,
            block: BlockId::decode(input)?,
            time: Timestamp::decode(input)?,
            validators: ValidatorSet::decode(input)?,
        })
    }
}
