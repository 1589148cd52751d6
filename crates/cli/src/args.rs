//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use quittance_crypto::keyfile::KeyUse;
use quittance_crypto::signature::{Purpose, Suite};
use quittance_ledger::ids::{AssetId, InstitutionId};

use crate::bench::LoadArguments;
use crate::client::ClientArguments;
use crate::demo::currency::Currency;
use crate::governance::GovernanceCommand;
use crate::governance::chain::ChainArguments;
use crate::keys;
use crate::status::StatusArguments;

/// Confidential settlement between banks.
#[derive(Debug, Parser)]
#[command(name = "quittance", version, about, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows everything at work: banks, committee, validator and auditor, on this machine.
    Demo(DemoArguments),
    /// Makes the keys, certificates and configurations of a network for trying out.
    Testnet(TestnetArguments),
    /// Starts all processes of such a network, and stops them on Ctrl-C.
    Up(UpArguments),
    /// Shows how the processes of a network are. The exit code is 0 if all are well, else 1.
    Status(StatusArguments),
    /// Calls a bank's agent.
    Client(ClientArguments),
    /// Measures.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Runs a validator.
    Node(DaemonArguments),
    /// Runs the agent of a bank.
    Agent(DaemonArguments),
    /// Runs an MPC party.
    MpcParty(DaemonArguments),
    /// Runs a coordinator.
    Coordinator(DaemonArguments),
    /// Makes key files, looks into them, prints what is public, changes passphrases and keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Makes, signs and submits what the validators decide together.
    #[command(subcommand)]
    Governance(GovernanceCommand),
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Starting balances: a CSV file with the columns institution,currency,balance.
    #[arg(long, value_name = "FILE", requires = "payments")]
    pub positions: Option<PathBuf>,
    /// Payments to settle: a CSV file with the columns id,payer,payee,currency,amount.
    #[arg(long, value_name = "FILE", requires = "positions")]
    pub payments: Option<PathBuf>,
    /// Also writes the results to this file, as JSON.
    #[arg(long, value_name = "OUT")]
    pub json: Option<PathBuf>,
    /// How many validators decide on blocks: one alone, or several that agree.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub validators: u8,
    /// The algorithms of all signatures and seals.
    #[arg(long, default_value_t = Suite::MlDsa65MlKem768)]
    pub suite: Suite,
    /// Where the network is made; must be empty or not there yet. Default: a new folder among the
    /// temporary files.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Arguments of `testnet`.
#[derive(Debug, Args)]
pub struct TestnetArguments {
    /// Where the network is made; must be empty or not there yet.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// How many banks, named BANKZZ01 and so on, beside the central bank.
    #[arg(long, value_name = "N", default_value_t = 4, conflicts_with = "banks")]
    pub institutions: u8,
    /// The names of the banks instead, like BICs.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub banks: Vec<InstitutionId>,
    /// How many validators decide on blocks. More than two thirds of them must run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub validators: u8,
    /// The assets that the central bank issues: EUR, JPY, USD, or any other as CODE:DECIMALS.
    #[arg(long, value_name = "ASSET", value_delimiter = ',', default_value = "EUR,USD")]
    #[arg(value_parser = asset)]
    pub assets: Vec<(AssetId, u8)>,
    /// The first of the consecutive ports of 127.0.0.1 that the processes listen on.
    #[arg(long, value_name = "PORT", default_value_t = 7100)]
    pub base_port: u16,
    /// The chain's name.
    #[arg(long, default_value = "testnet")]
    pub name: String,
    /// The algorithms of all signatures and seals.
    #[arg(long, default_value_t = Suite::MlDsa65MlKem768)]
    pub suite: Suite,
}

/// Arguments of `up`.
#[derive(Debug, Args)]
pub struct UpArguments {
    /// The folder that `quittance testnet` or `quittance demo` has made.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
}

/// Arguments of a process of the network.
#[derive(Debug, Args)]
pub struct DaemonArguments {
    /// Its configuration.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Only check the configuration, and all the files that it names; start nothing.
    #[arg(long)]
    pub check: bool,
    /// Also end when standard input does: for programs that start this one.
    #[arg(long, conflicts_with = "check")]
    pub stop_with_parent: bool,
}

/// Subcommands of `bench`.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Puts a load of transfers on validators of its own, and shows how soon they are final.
    Load(LoadArguments),
}

/// Subcommands of `keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Shows whose keys a file holds, and the fingerprints of the public ones.
    Inspect {
        /// The key file.
        file: PathBuf,
        /// The file with its passphrase. Default: `passphrase` beside the key file.
        #[arg(long, value_name = "FILE")]
        passphrase: Option<PathBuf>,
    },
    /// Prints the public keys of a key file and their fingerprints as JSON, for a genesis.
    Public {
        /// The key file.
        file: PathBuf,
        /// The file with its passphrase. Default: `passphrase` beside the key file.
        #[arg(long, value_name = "FILE")]
        passphrase: Option<PathBuf>,
        /// Make a file of them instead. One that exists is left as it is.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Makes fresh keys for all purposes, in a new file that only its owner may read.
    Create {
        /// The key file to make. One that exists is left as it is.
        file: PathBuf,
        /// Whose keys they are.
        #[arg(long, value_name = "ID")]
        institution: InstitutionId,
        /// Their algorithms: those of the chain.
        #[arg(long, default_value_t = Suite::MlDsa65MlKem768)]
        suite: Suite,
        /// The file with a passphrase of yours. Default: `passphrase` beside the key file.
        #[arg(long, value_name = "FILE")]
        passphrase: Option<PathBuf>,
        /// Draw a passphrase of 256 bits, and make its file.
        #[arg(long)]
        draw: bool,
    },
    /// Changes the passphrase of a key file. Interrupted at whatever moment, give it again.
    Passphrase {
        /// The key file.
        file: PathBuf,
        /// The file with its passphrase; it will hold the new one. Default: `passphrase` beside the
        /// key file.
        #[arg(long, value_name = "FILE")]
        passphrase: Option<PathBuf>,
        /// The file with the new passphrase, which then takes the place of the other. Default: the
        /// name of the other with `.new` at its end.
        #[arg(long, value_name = "FILE")]
        new: Option<PathBuf>,
        /// Draw a new passphrase of 256 bits, and make its file.
        #[arg(long)]
        draw: bool,
    },
    /// Adds a fresh key to a key file, and makes the signed transaction that registers it in place
    /// of the present one. Interrupted at whatever moment, give it again.
    Rotate {
        /// The key file.
        file: PathBuf,
        /// The file with its passphrase. Default: `passphrase` beside the key file.
        #[arg(long, value_name = "FILE")]
        passphrase: Option<PathBuf>,
        /// What the key is for: transaction, vote, round, receipt, key-binding or sealing.
        #[arg(long = "use", value_name = "USE", value_parser = key_use)]
        key_use: KeyUse,
        /// The height from which on the new key counts, and the old one no more.
        #[arg(long, value_name = "HEIGHT")]
        effective: u64,
        /// The transaction's file to make, for `quittance governance submit`.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The chain on which the institution is registered.
        #[command(flatten)]
        chain: ChainArguments,
    },
}

/// Reads what a key is for.
fn key_use(text: &str) -> Result<KeyUse, String> {
    let mut purposes = Purpose::ALL.into_iter();
    match purposes.find(|purpose| keys::purpose_name(*purpose) == text) {
        Some(purpose) => Ok(KeyUse::Signing(purpose)),
        None if text == "sealing" => Ok(KeyUse::Sealing),
        None => {
            let known = Purpose::ALL.map(keys::purpose_name).join(", ");
            Err(format!("keys are for one of: {known}, sealing"))
        }
    }
}

/// Reads `EUR` or `XAU:4`.
fn asset(text: &str) -> Result<(AssetId, u8), String> {
    let (code, decimals) = match text.split_once(':') {
        Some((code, decimals)) => {
            let decimals = decimals
                .parse()
                .map_err(|_| format!("{decimals:?} is not a number of decimals from 0 to 255"))?;
            (code, decimals)
        }
        None => {
            let known: Currency = text.parse().map_err(|_| {
                format!("the decimals of {text:?} are not known: write {text}:2 or the like")
            })?;
            (text, known.decimals())
        }
    };
    Ok((code.parse::<AssetId>().map_err(|error| error.to_string())?, decimals))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        let words = std::iter::once("quittance").chain(line.split_whitespace());
        Arguments::try_parse_from(words).map(|it| it.command).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_testnet_is_described_in_full() {
        let line = "testnet --dir D --banks AAAAZZ01,BBBBZZ01 --assets EUR,JPY,XAU:4";
        let Ok(Command::Testnet(arguments)) = parse(line) else { panic!() };
        assert_eq!(arguments.banks.len(), 2);
        let decimals: Vec<u8> = arguments.assets.iter().map(|(_, decimals)| *decimals).collect();
        assert_eq!(decimals, [2, 0, 4]);
        let Ok(Command::Testnet(arguments)) = parse("testnet --dir D") else { panic!() };
        assert_eq!((arguments.institutions, arguments.assets.len()), (4, 2));
        for (bad, reason) in [
            ("testnet", "--dir"),
            ("testnet --dir D --assets GBP", "the decimals of \"GBP\" are not known"),
            ("testnet --dir D --assets gbp:2", "is not an asset id"),
            ("testnet --dir D --banks aaaazz01", "is not an institution id"),
            ("testnet --dir D --institutions 3 --banks AAAAZZ01", "cannot be used with"),
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(reason), "{bad}: {error}");
        }
    }

    #[test]
    fn a_client_needs_a_folder_or_files() {
        assert!(parse("client --bank AAAAZZ01 --dir D balance").is_ok());
        assert!(parse("client --bank AAAAZZ01 --dir D transfer EUR BBBBZZ01=1 CCCCZZ01=0").is_ok());
        let files = "client --bank AAAAZZ01 --address a:1 --certificate c --key k --ca a status";
        assert!(parse(files).is_ok());
        assert!(parse("client --bank AAAAZZ01 status").unwrap_err().contains("--dir"));
        let partial = "client --bank AAAAZZ01 --address a:1 --certificate c status";
        assert!(parse(partial).unwrap_err().contains("--key"));
        assert!(parse("client --bank AAAAZZ01 --dir D transfer EUR").is_err());
    }

    #[test]
    fn a_status_needs_somebody_to_ask() {
        let Ok(Command::Status(arguments)) = parse("status --config A --config B --late 90") else {
            panic!()
        };
        assert_eq!((arguments.config.len(), arguments.within, arguments.late), (2, 3, 90));
        assert!(parse("status --dir D --json").is_ok());
        assert!(parse("status --directory F --certificate c --key k --ca a").is_ok());
        assert!(parse("status").unwrap_err().contains("<--dir <DIR>|--config <FILE>|"));
        assert!(parse("status --dir D --config F").unwrap_err().contains("cannot be used with"));
        assert!(parse("status --directory F").unwrap_err().contains("--certificate"));
        assert!(parse("status --dir D --key k").is_err());
        assert!(parse("status --dir D --within 0").is_err());
    }

    #[test]
    fn a_load_says_what_it_needs() {
        let parsed = parse("bench load --rate 100 --duration 3 --json OUT");
        let Ok(Command::Bench(BenchCommand::Load(arguments))) = parsed else { panic!() };
        assert_eq!((arguments.validators, arguments.rate, arguments.agents), (4, 100, 20));
        assert!(parse("bench").unwrap_err().contains("load"));
        assert!(parse("bench load --rate -1").is_err());
    }

    #[test]
    fn a_check_starts_nothing() {
        assert!(parse("agent --config F --check").is_ok());
        let both = parse("agent --config F --check --stop-with-parent").unwrap_err();
        assert!(both.contains("cannot be used with"), "{both}");
    }

    #[test]
    fn positions_and_payments_go_together() {
        assert!(parse("demo").is_ok());
        assert!(parse("demo --positions P --payments Q --json OUT").is_ok());
        assert!(parse("demo --positions P").unwrap_err().contains("--payments"));
        assert!(parse("demo --payments Q").unwrap_err().contains("--positions"));
    }
}
