//! Where a chain comes from: a node, or a file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use quittance_audit::archive::{ArchiveError, Reader};
use quittance_audit::evidence::{Dossier, MAX_CASES};
use quittance_crypto::encoding::Decode;
use quittance_ledger::block::Block;
use quittance_ledger::certificate::Certificate;
use quittance_ledger::evidence::Evidence;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{AccountId, AssetId, Height, IdError};
use quittance_ledger::receipt::Receipt;
use quittance_rpc::client::{ConnectError, Dialer};
use quittance_rpc::config::Target;
use quittance_rpc::genesis::{GenesisError, fetch};
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::node::v1::{
    BlocksRequest, BlocksResponse, ChainStatusRequest, EvidenceRequest,
};
use quittance_rpc::receipt::{self, Query, Subject};
use quittance_rpc::tls::trust::{Scope, Trust};
use quittance_rpc::tls::{Credentials, Tls, TlsError};
use thiserror::Error;

/// A node, and the certificate to show it.
#[derive(Debug, Args)]
#[group(requires_all = ["node", "identity", "ca", "certificate", "key"])]
pub struct NodeArguments {
    /// Host and port of a node.
    #[arg(long, value_name = "HOST:PORT")]
    node: Option<String>,
    /// Who the node must be: urn:quittance:<institution>:node.
    #[arg(long, value_name = "URN")]
    identity: Option<String>,
    /// The certification authority of the network (PEM).
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Your certificate (PEM).
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Why a chain cannot be read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// An option is missing or wrong.
    #[error("--{option}: {problem}")]
    Option {
        /// Which one.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A certificate or key is of no use.
    #[error("certificates: {0}")]
    Tls(#[from] TlsError),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The node refuses or breaks off.
    #[error("the node answers: {0}")]
    Node(Box<tonic::Status>),
    /// The node does not send the genesis of its chain.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The node does not send the receipt.
    #[error(transparent)]
    Receipt(#[from] receipt::ReceiptError),
    /// The node sends what does not decode.
    #[error("the node sends a malformed {what}: {problem}")]
    Malformed {
        /// What does not decode.
        what: &'static str,
        /// And why.
        problem: String,
    },
    /// The file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: ArchiveError,
    },
}

impl From<tonic::Status> for SourceError {
    fn from(status: tonic::Status) -> Self {
        Self::Node(Box::new(status))
    }
}

/// A chain that is being read.
pub enum Source {
    /// From a file.
    File { path: PathBuf, reader: Reader<BufReader<File>>, genesis: Genesis },
    /// From a node: its blocks up to its tip at the beginning.
    Node { blocks: Option<tonic::Streaming<BlocksResponse>>, genesis: Genesis },
}

impl Source {
    /// Opens a file.
    pub fn file(path: &Path) -> Result<Self, SourceError> {
        let failed = |source| SourceError::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(|error| failed(error.into()))?;
        let (reader, genesis) = Reader::begin(BufReader::new(file)).map_err(failed)?;
        Ok(Self::File { path: path.to_owned(), reader, genesis })
    }

    /// Connects to a node.
    pub async fn node(arguments: &NodeArguments) -> Result<Self, SourceError> {
        let dialer = Dialer::new(arguments.tls()?, Limits::default());
        let target = arguments.target()?;
        dialer.connect(&target).await?;
        let mut client = dialer.node(&target)?;
        let status = client.chain_status(ChainStatusRequest {}).await?.into_inner();
        let genesis = fetch(&mut client, decode("chain id", &status.chain_id)?).await?;
        let blocks = match status.height {
            0 => None,
            to_height => {
                let request = BlocksRequest { from_height: 1, to_height };
                Some(client.blocks(request).await?.into_inner())
            }
        };
        Ok(Self::Node { blocks, genesis })
    }

    /// The genesis as the source tells it.
    pub fn genesis(&self) -> &Genesis {
        match self {
            Self::File { genesis, .. } | Self::Node { genesis, .. } => genesis,
        }
    }

    /// The next block.
    pub async fn next(&mut self) -> Result<Option<(Block, Certificate)>, SourceError> {
        match self {
            Self::File { path, reader, .. } => {
                let failed = |source| SourceError::File { path: path.clone(), source };
                reader.block().map_err(failed)
            }
            Self::Node { blocks: None, .. } => Ok(None),
            Self::Node { blocks: Some(blocks), .. } => match blocks.message().await? {
                None => Ok(None),
                Some(response) => {
                    let block = decode("block", &response.block)?;
                    Ok(Some((block, decode("certificate", &response.certificate)?)))
                }
            },
        }
    }
}

/// Asks a node for a receipt. What it answers is decoded, and not verified.
pub async fn fetch_receipt(
    arguments: &NodeArguments,
    query: &Query,
) -> Result<Receipt, SourceError> {
    let dialer = Dialer::new(arguments.tls()?, Limits::default());
    let target = arguments.target()?;
    dialer.connect(&target).await?;
    Ok(receipt::fetch(&mut dialer.node(&target)?, query).await?)
}

/// Asks a node for all evidence of heights after `from`, with what shows who the validators were.
/// What it answers is decoded, and not verified.
pub async fn fetch_evidence(
    arguments: &NodeArguments,
    from: Height,
) -> Result<Option<Dossier>, SourceError> {
    let dialer = Dialer::new(arguments.tls()?, Limits::default());
    let target = arguments.target()?;
    dialer.connect(&target).await?;
    let mut client = dialer.node(&target)?;
    let status = client.chain_status(ChainStatusRequest {}).await?.into_inner();
    let chain = decode("chain id", &status.chain_id)?;
    let mut evidence: Vec<Evidence> = Vec::new();
    let mut stream = client.evidence(EvidenceRequest {}).await?.into_inner();
    while let Some(next) = stream.message().await? {
        evidence.push(decode("evidence", &next.evidence)?);
        if evidence.len() > MAX_CASES {
            let problem = format!("more than {MAX_CASES}");
            return Err(SourceError::Malformed { what: "list of evidence", problem });
        }
    }
    evidence.retain(|each| each.height() > from);
    evidence.sort_by_key(Evidence::height);
    let Some(last) = evidence.last() else { return Ok(None) };
    // Any account's receipt shows how the validators have changed.
    let account = AccountId { institution: last.institution(), asset: any_asset()? };
    let query = Query { subject: Subject::Account(account), from };
    let mut changes = receipt::fetch(&mut client, &query).await?.changes;
    changes.retain(|change| change.header.height < last.height());
    let mut blocks = Vec::new();
    for height in evidence.iter().map(Evidence::height).collect::<BTreeSet<_>>() {
        let request = BlocksRequest { from_height: height.0, to_height: height.0 };
        let missing = || SourceError::Malformed { what: "block", problem: "it is missing".into() };
        let mut stream = client.blocks(request).await?.into_inner();
        let answer = stream.message().await?.ok_or_else(missing)?;
        let block: Block = decode("block", &answer.block)?;
        blocks.push((block.header, decode("certificate", &answer.certificate)?));
    }
    Ok(Some(Dossier { chain, changes, blocks, evidence }))
}

fn any_asset() -> Result<AssetId, SourceError> {
    let malformed =
        |error: IdError| SourceError::Malformed { what: "asset", problem: format!("{error}") };
    "EUR".parse().map_err(malformed)
}

fn decode<T: Decode>(what: &'static str, bytes: &[u8]) -> Result<T, SourceError> {
    let malformed = |error| SourceError::Malformed { what, problem: format!("{error}") };
    T::from_bytes(bytes).map_err(malformed)
}

impl NodeArguments {
    fn target(&self) -> Result<Target, SourceError> {
        let identity = required("identity", self.identity.as_ref())?;
        let identity = identity.parse().map_err(|error| SourceError::Option {
            option: "identity",
            problem: format!("{error}"),
        })?;
        Ok(Target { address: required("node", self.node.as_ref())?.clone(), identity })
    }

    fn tls(&self) -> Result<Tls, SourceError> {
        let certificate = read("certificate", self.certificate.as_ref())?;
        let key = read("key", self.key.as_ref())?;
        let mut trust = Trust::new();
        trust.add_pem(&read("ca", self.ca.as_ref())?, Scope::Any)?;
        Ok(Tls::new(Credentials::from_pem(&certificate, &key)?, trust).of_any_suite())
    }
}

fn required<'a, T>(option: &'static str, value: Option<&'a T>) -> Result<&'a T, SourceError> {
    value.ok_or_else(|| SourceError::Option { option, problem: "is needed".to_owned() })
}

fn read(option: &'static str, path: Option<&PathBuf>) -> Result<Vec<u8>, SourceError> {
    let path = required(option, path)?;
    std::fs::read(path).map_err(|error| SourceError::Option {
        option,
        problem: format!("{}: {error}", path.display()),
    })
}
