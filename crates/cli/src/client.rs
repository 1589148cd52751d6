//! `quittance client`: a bank's own system on the command line.

mod connect;
mod receipt;
mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use quittance_ledger::ids::{AssetId, InstitutionId, Uetr};
use quittance_rpc::client::{ConnectError, Dialer};
use quittance_rpc::convert::FieldError;
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::agent_client::AgentClient;
use quittance_rpc::tls::TlsError;
use rand_core::{OsRng, RngCore};
use thiserror::Error;
use tonic::transport::Channel;

use connect::address_in;
pub use connect::{credentials, credentials_in, target};

/// How long the agent may take with an instruction before it answers, in milliseconds.
const WAIT_MS: u32 = 30_000;

/// Which agent to call, and as whom.
#[derive(Debug, Args)]
pub struct ClientArguments {
    /// The bank.
    #[arg(long, value_name = "ID")]
    pub bank: InstitutionId,
    /// The folder of a network made by `quittance testnet` or `quittance demo`.
    #[arg(long, value_name = "DIR", required_unless_present = "address")]
    pub dir: Option<PathBuf>,
    /// Host and port of the agent instead, with the three files that follow.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "dir")]
    #[arg(requires_all = ["certificate", "key", "ca"])]
    pub address: Option<String>,
    /// Your certificate (PEM).
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    pub key: Option<PathBuf>,
    /// The certification authority of the agent (PEM).
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    pub ca: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub call: Call,
}

/// An asset with an amount, written `EUR:12.50`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Money(AssetId, String);

/// What to ask of the agent.
#[derive(Debug, Subcommand)]
pub enum Call {
    /// What changes nothing.
    #[command(flatten)]
    Ask(Question),
    /// What does.
    #[command(flatten)]
    Instruct(Instruction),
}

/// Calls that change nothing.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// Balances, with the commitments that others see.
    Balance {
        /// Only this asset.
        asset: Option<AssetId>,
    },
    /// Every change of one account.
    Statement {
        /// Which account.
        asset: AssetId,
        /// From this block on.
        #[arg(long, default_value_t = 0)]
        from_height: u64,
    },
    /// Payments in queue order with what became of them.
    Payments {
        /// Only this asset.
        asset: Option<AssetId>,
    },
    /// Exchanges offered and received.
    Exchanges,
    /// Writes a receipt of a final payment, for `quittance-audit receipt verify`.
    Receipt {
        /// The UETR of a transfer, an exchange or a queued payment, made or received.
        uetr: Uetr,
        /// The file to make. One that exists is left as it is.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Prints events as they happen, until Ctrl-C.
    Watch {
        /// Only events after this position.
        #[arg(long, default_value_t = 0)]
        after: u64,
    },
    /// Whom the agent serves and how far it has read the chain.
    Status,
}

/// Calls that change something.
#[derive(Debug, Subcommand)]
pub enum Instruction {
    /// Pays one or more banks at once.
    Transfer {
        /// In which asset.
        asset: AssetId,
        /// Who gets how much: ID=AMOUNT. An amount of 0 hides who is paid.
        #[arg(required = true, value_parser = receiver)]
        receivers: Vec<(InstitutionId, String)>,
        /// A text for the receivers.
        #[arg(long, default_value = "")]
        remittance: String,
        /// The instruction's UETR; giving the same one again pays once. Default: a new one.
        #[arg(long)]
        uetr: Option<Uetr>,
    },
    /// Puts a payment into the netting queue.
    Queue {
        /// In which asset.
        asset: AssetId,
        /// Who is to be paid.
        payee: InstitutionId,
        /// How much, in major units.
        amount: String,
        /// The payment's UETR. Default: a new one.
        #[arg(long)]
        uetr: Option<Uetr>,
    },
    /// Takes a payment out of the queue.
    Cancel {
        /// The payment.
        uetr: Uetr,
    },
    /// Asks for a netting round.
    Round {
        /// In which asset.
        asset: AssetId,
    },
    /// Offers another bank an exchange.
    Propose {
        /// The other bank.
        counterparty: InstitutionId,
        /// What you give: EUR:12.50.
        #[arg(long, value_parser = money)]
        give: Money,
        /// What you get.
        #[arg(long, value_parser = money)]
        get: Money,
        /// How long the offer stands, in seconds.
        #[arg(long, default_value_t = 300)]
        seconds: u32,
        /// The exchange's UETR. Default: a new one.
        #[arg(long)]
        uetr: Option<Uetr>,
    },
    /// Accepts an exchange that another bank has offered.
    Accept {
        /// The exchange.
        uetr: Uetr,
        /// What you give: EUR:12.50.
        #[arg(long, value_parser = money)]
        give: Money,
        /// What you get.
        #[arg(long, value_parser = money)]
        get: Money,
    },
}

/// Why a call was not made, or failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A file could not be read.
    #[error("{path}: {reason}", path = .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A file could not be written.
    #[error("{path}: cannot be written: {reason}", path = .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The agent answers with something else than was asked for.
    #[error("the agent's answer makes no sense: {0}")]
    Answer(#[from] FieldError),
    /// Certificates are of no use.
    #[error("certificates: {0}")]
    Tls(#[from] TlsError),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The agent refuses.
    #[error("refused ({code}): {message}", code = .0.code(), message = .0.message())]
    Refused(Box<tonic::Status>),
}

impl From<tonic::Status> for ClientError {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// Makes the call and prints the answer.
pub async fn run(arguments: ClientArguments) -> Result<(), ClientError> {
    let ClientArguments { bank, dir, address, certificate, key, ca, call } = arguments;
    let (tls, address) = match (dir, address, certificate, key, ca) {
        (None, Some(address), Some(certificate), Some(key), Some(ca)) => {
            (credentials(&certificate, &key, &ca)?, address)
        }
        // The parser lets nothing else pass than a folder or all four.
        (dir, ..) => {
            let dir = dir.unwrap_or_default();
            (credentials_in(&dir, bank)?, address_in(&dir, bank)?)
        }
    };
    let dialer = Dialer::new(tls, Limits::default());
    let target = target(bank, address);
    // What is wrong with the connection shows here, in words.
    dialer.connect(&target).await?;
    let agent = dialer.agent(&target)?;
    let text = match call {
        Call::Ask(question) => ask(agent, question).await?,
        Call::Instruct(instruction) => instruct(agent, instruction).await?,
    };
    print!("{text}");
    Ok(())
}

/// An asset's code, or the empty text for all.
fn code(asset: Option<AssetId>) -> String {
    asset.map(|asset| asset.to_string()).unwrap_or_default()
}

async fn ask(mut agent: AgentClient<Channel>, question: Question) -> Result<String, ClientError> {
    Ok(match question {
        Question::Balance { asset } => {
            let request = api::BalanceRequest { asset: code(asset) };
            show::balance(&agent.balance(request).await?.into_inner())
        }
        Question::Statement { asset, from_height } => {
            let asset = asset.to_string();
            let request = api::StatementRequest { asset, from_height, limit: 10_000 };
            show::statement(&agent.statement(request).await?.into_inner())
        }
        Question::Payments { asset } => {
            let request = api::ListPaymentsRequest { asset: code(asset), limit: 10_000 };
            show::payments(&agent.list_payments(request).await?.into_inner().payments)
        }
        Question::Exchanges => {
            let answer = agent.list_exchanges(api::ListExchangesRequest { limit: 1000 }).await?;
            show::exchanges(&answer.into_inner().exchanges)
        }
        Question::Status => {
            show::status(&agent.agent_status(api::AgentStatusRequest {}).await?.into_inner())
        }
        Question::Receipt { uetr, out } => receipt::export(agent, uetr, &out).await?,
        Question::Watch { after } => watch(agent, after).await?,
    })
}

async fn instruct(
    mut agent: AgentClient<Channel>,
    instruction: Instruction,
) -> Result<String, ClientError> {
    Ok(match instruction {
        Instruction::Transfer { asset, receivers, remittance, uetr } => {
            let receivers = receivers.into_iter().map(|(institution, amount)| api::Receiver {
                institution: institution.to_string(),
                amount,
                end_to_end_id: String::new(),
                remittance: remittance.clone(),
            });
            let request = api::TransferRequest {
                uetr: named(uetr),
                asset: asset.to_string(),
                receivers: receivers.collect(),
                wait_ms: WAIT_MS,
            };
            show::outcome(agent.transfer(request).await?.into_inner().outcome.as_ref())
        }
        Instruction::Queue { asset, payee, amount, uetr } => {
            let request = api::QueuePaymentRequest {
                uetr: named(uetr),
                asset: asset.to_string(),
                payee: payee.to_string(),
                amount,
                ..Default::default()
            };
            show::payments(&[agent.queue_payment(request).await?.into_inner()])
        }
        Instruction::Cancel { uetr } => {
            let request = api::CancelPaymentRequest { uetr: uetr.to_string() };
            show::payments(&[agent.cancel_payment(request).await?.into_inner()])
        }
        Instruction::Round { asset } => {
            let request = api::RequestRoundRequest { asset: asset.to_string() };
            format!("round {}\n", agent.request_round(request).await?.into_inner().round_id)
        }
        Instruction::Propose { counterparty, give, get, seconds, uetr } => {
            let request = api::ProposeExchangeRequest {
                uetr: named(uetr),
                counterparty: counterparty.to_string(),
                give: Some(give.into()),
                get: Some(get.into()),
                valid_ms: seconds.saturating_mul(1000),
            };
            let answer = agent.propose_exchange(request).await?.into_inner();
            show::exchanges(answer.exchange.as_slice())
        }
        Instruction::Accept { uetr, give, get } => {
            let request = api::AcceptExchangeRequest {
                uetr: uetr.to_string(),
                give: Some(give.into()),
                get: Some(get.into()),
                wait_ms: WAIT_MS,
            };
            let answer = agent.accept_exchange(request).await?.into_inner();
            show::exchanges(answer.exchange.as_slice())
        }
    })
}

/// Prints events until their stream ends.
async fn watch(mut agent: AgentClient<Channel>, after: u64) -> Result<String, ClientError> {
    let mut events = agent.watch(api::WatchRequest { after }).await?.into_inner();
    while let Some(event) = events.message().await? {
        print!("{}", show::event(&event));
    }
    Ok(String::new())
}

/// The UETR given, or a new one, which is printed so that the call can be repeated.
fn named(uetr: Option<Uetr>) -> String {
    let uetr = uetr.unwrap_or_else(|| {
        let mut bytes = [0; 16];
        OsRng.fill_bytes(&mut bytes);
        let uetr = version_4(bytes);
        eprintln!("UETR {uetr}");
        uetr
    });
    uetr.to_string()
}

/// Version 4 and variant 1 of RFC 9562 over these bytes.
pub fn version_4(mut bytes: [u8; 16]) -> Uetr {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uetr(bytes)
}

impl From<Money> for api::Money {
    fn from(Money(asset, amount): Money) -> Self {
        Self { asset: asset.to_string(), amount }
    }
}

fn receiver(text: &str) -> Result<(InstitutionId, String), String> {
    let (bank, amount) = text.split_once('=').ok_or("write ID=AMOUNT")?;
    Ok((bank.parse().map_err(|error| format!("{error}"))?, amount.to_owned()))
}

fn money(text: &str) -> Result<Money, String> {
    let (asset, amount) = text.split_once(':').ok_or("write ASSET:AMOUNT")?;
    Ok(Money(asset.parse().map_err(|error| format!("{error}"))?, amount.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_receivers_are_read() {
        assert_eq!(money("EUR:1.50"), Ok(Money("EUR".parse().unwrap(), "1.50".to_owned())));
        assert!(money("EUR").is_err() && money("eur:1").is_err());
        let expected = ("AAAAZZ01".parse().unwrap(), "0".to_owned());
        assert_eq!(receiver("AAAAZZ01=0"), Ok(expected));
        assert!(receiver("AAAAZZ01").is_err() && receiver("A=1").is_err());
    }

    #[test]
    fn new_uetrs_are_version_4() {
        let text = version_4([0xff; 16]).to_string();
        assert_eq!(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(named(None), named(None));
        assert_eq!(named(Some(Uetr([7; 16]))), Uetr([7; 16]).to_string());
    }
}
