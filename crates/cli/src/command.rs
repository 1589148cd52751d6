//! Carrying out what the command line asks for.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use quittance_crypto::keyfile::RECOMMENDED_LOG_N;
use quittance_ledger::ids::{Height, InstitutionId};
use quittance_rpc::metrics;
use tokio::runtime::Builder;

use crate::args::{
    Arguments, BenchCommand, Command, DaemonArguments, DemoArguments, KeysCommand,
    TestnetArguments, UpArguments,
};
use crate::bench::{self, BenchError, LoadArguments};
use crate::client::{self, ClientArguments};
use crate::demo::error::DemoError;
use crate::demo::input::Input;
use crate::demo::run::Options;
use crate::demo::{closing, run};
use crate::governance::{self, GovernanceCommand};
use crate::keys;
use crate::status::{self, StatusArguments};
use crate::testnet::plan::Plan;
use crate::testnet::{self, names};
use crate::{log, open_files, parent, up};

type Failure = Box<dyn Error>;

/// Of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs a process of the network until it is told to end. Their crates have the same functions.
macro_rules! daemon {
    ($of:ident, $arguments:ident) => {{
        let run =
            |DaemonArguments { config: file, check, stop_with_parent }| -> Result<(), Failure> {
                let config = $of::Config::load(&file)?;
                let files = open_files::raise(config.name().process);
                if check {
                    if let Err(too_few) = files {
                        eprintln!("{too_few}");
                    }
                    println!(
                        "{}: nothing is wrong; it is that of {}",
                        file.display(),
                        config.name()
                    );
                    return Ok(());
                }
                let reporting = config.reporting.clone();
                log::begin(&reporting)?;
                if let Err(too_few) = files {
                    tracing::warn!("{too_few}");
                }
                let shutdown = parent::shutdown(stop_with_parent);
                let runtime = Builder::new_multi_thread().enable_all().build()?;
                runtime.block_on(async {
                    // Before the rest, which may take long: the chain may be long to read.
                    let name = config.name();
                    let _metrics = match reporting.metrics {
                        Some(address) => Some(metrics::serve(address, name, VERSION).await?),
                        None => None,
                    };
                    Ok($of::run(config, shutdown).await?)
                })
            };
        run($arguments)
    }};
}

/// The whole program.
pub fn run() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(arguments) => demo(&arguments),
        Command::Testnet(arguments) => make_testnet(arguments),
        Command::Up(arguments) => up(&arguments),
        Command::Client(arguments) => call(arguments),
        Command::Bench(BenchCommand::Load(arguments)) => load(&arguments),
        Command::Node(arguments) => daemon!(quittance_node, arguments),
        Command::Agent(arguments) => daemon!(quittance_agent, arguments),
        Command::MpcParty(arguments) => daemon!(quittance_mpc_party, arguments),
        Command::Coordinator(arguments) => daemon!(quittance_coordinator, arguments),
        // That not all is well is no failure of this program: it has been said.
        Command::Status(arguments) => match status(arguments) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error),
        },
        Command::Keys(command) => keys(command),
        Command::Governance(command) => govern(command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn keys(command: KeysCommand) -> Result<(), Failure> {
    let shown = match command {
        KeysCommand::Inspect { file, passphrase } => keys::inspect(&file, passphrase.as_deref())?,
        KeysCommand::Public { file, passphrase, out } => {
            let secret = keys::beside(&file, passphrase);
            keys::public(&file, &secret, out.as_deref())?
        }
        KeysCommand::Create { file, institution, suite, passphrase, draw } => {
            let secret = keys::beside(&file, passphrase);
            let wanted = keys::Wanted { institution, suite, log_n: RECOMMENDED_LOG_N };
            keys::create(&file, &secret, draw, wanted)?
        }
        KeysCommand::Passphrase { file, passphrase, new, draw } => {
            let old = keys::beside(&file, passphrase);
            let new = new.unwrap_or_else(|| keys::renewed(&old));
            let change =
                keys::Change { file: &file, old: &old, new: &new, log_n: RECOMMENDED_LOG_N };
            change.run(draw)?
        }
        KeysCommand::Rotate { file, passphrase, key_use, effective, out, chain } => {
            let secret = keys::beside(&file, passphrase);
            let rotation = keys::Rotation {
                file: &file,
                secret: &secret,
                key_use,
                effective: Height(effective),
                out: &out,
                log_n: RECOMMENDED_LOG_N,
            };
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(rotation.run(&chain.resolve()?))?
        }
    };
    print!("{shown}");
    Ok(())
}

fn govern(command: GovernanceCommand) -> Result<(), Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    print!("{}", runtime.block_on(governance::run(command))?);
    Ok(())
}

/// Says how a network is. True if all is well.
fn status(arguments: StatusArguments) -> Result<bool, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    Ok(runtime.block_on(status::run(arguments))?)
}

fn make_testnet(arguments: TestnetArguments) -> Result<(), Failure> {
    let TestnetArguments { dir, institutions, mut banks, .. } = arguments;
    let TestnetArguments { validators, assets, base_port, name, suite, .. } = arguments;
    if banks.is_empty() {
        let named = names::banks(institutions).map(|id| id.parse::<InstitutionId>());
        banks = named.collect::<Result<_, _>>()?;
    }
    let plan = Plan { name, suite, banks, assets, validators, base_port };
    let members = testnet::create(&plan, &dir)?;
    print!("{}", closing::made(&dir, &members));
    Ok(())
}

fn up(arguments: &UpArguments) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            error = up::run(&arguments.dir) => Err(error.into()),
            () = parent::interrupted() => Ok(()),
        }
    })
}

fn call(arguments: ClientArguments) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(client::run(arguments))?)
}

fn load(arguments: &LoadArguments) -> Result<(), Failure> {
    if let Some(path) = &arguments.json {
        writable(path)?;
    }
    let directory = arguments.dir.clone().unwrap_or_else(|| temporary("load"));
    // Transfers that are due are submitted by one thread; others read what comes back.
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = bench::run(arguments, &directory) => report,
            () = parent::interrupted() => Err(BenchError::Interrupted),
        }
    });
    if arguments.dir.is_none() && report.is_ok() {
        fs::remove_dir_all(&directory)?;
    }
    let report =
        report.map_err(|error| format!("{error}\nThe logs are in {}", directory.display()))?;
    if let Some(path) = &arguments.json {
        fs::write(path, report.to_json()?)?;
    }
    print!("{}", report.to_text());
    Ok(())
}

/// An error if no file can be made there: found out now, and not after minutes of work.
fn writable(path: &Path) -> Result<(), Failure> {
    let opened = fs::File::options().create(true).append(true).open(path);
    opened.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(())
}

fn demo(arguments: &DemoArguments) -> Result<(), Failure> {
    let (input, bilateral) = match (&arguments.positions, &arguments.payments) {
        (Some(positions), Some(payments)) => (Input::read(positions, payments)?, false),
        _ => (Input::sample()?, true),
    };
    if let Some(path) = &arguments.json {
        writable(path)?;
    }
    let directory = arguments.dir.clone().unwrap_or_else(|| temporary("demo"));
    let DemoArguments { suite, validators, .. } = *arguments;
    let auditor = auditor()?;
    let options = Options { input, bilateral, suite, validators, directory, auditor };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = run::run(&options) => report,
            () = parent::interrupted() => Err(DemoError::Interrupted),
        }
    })?;
    if let Some(path) = &arguments.json {
        fs::write(path, report.to_json()?)?;
    }
    let bank = report.view.institution;
    print!("{}{}", report.to_text(), closing::done(&report.directory, &program()?, bank));
    Ok(())
}

/// This program.
fn program() -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe()?)
}

/// The auditor's program, which is built beside this one.
fn auditor() -> Result<PathBuf, Failure> {
    Ok(program()?.with_file_name("quittance-audit"))
}

/// A folder among the temporary files that is not there yet.
fn temporary(what: &str) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = format!("quittance-{what}-{}-{}", now.as_secs(), std::process::id());
    std::env::temp_dir().join(Path::new(&name))
}
