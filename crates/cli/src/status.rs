//! `quittance status`: how the processes of a network are, on one screen.
//!
//! - [`subject`]: whom to ask, where and as whom.
//! - [`probe`]: asking one process, over gRPC and by its metrics ([`scrape`]).
//! - [`judge`]: what is not well, and what to do about it.
//! - [`show`]: the table, and the same as JSON.
//!
//! All processes are asked at the same time, and none is waited for longer than a few seconds: the
//! answer must come when half of them are dead.

pub mod judge;
pub mod probe;
pub mod scrape;
pub mod show;
pub mod subject;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{ArgGroup, Args};
use quittance_rpc::config::ConfigError;
use thiserror::Error;
use tokio::task::JoinSet;

use crate::client::ClientError;
use crate::up::UpError;

use judge::Finding;
use probe::{Asked, NodeWatch};
use subject::Subjects;

/// Whom to ask, and how patiently.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("whom").required(true).args(["dir", "config", "directory"])))]
pub struct StatusArguments {
    /// The folder of a network made by `quittance testnet` or `quittance demo`: all its processes.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The configuration of a process on this machine: that process, and all that its directory
    /// names, asked with its certificate. May be given several times.
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// A directory of processes: all of them, asked with the certificate in the files that follow.
    #[arg(long, value_name = "FILE", requires_all = ["certificate", "key", "ca"])]
    pub directory: Option<PathBuf>,
    /// Your certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "directory")]
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "directory")]
    pub key: Option<PathBuf>,
    /// The certification authority of the processes (PEM).
    #[arg(long, value_name = "FILE", requires = "directory")]
    pub ca: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// The longest wait for a process, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60))]
    pub within: u64,
    /// How old the last block may be, in seconds. More than the node's `heartbeat_ms`.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub late: u64,
}

/// Why nobody was asked.
#[derive(Debug, Error)]
pub enum StatusError {
    /// The folder holds no network.
    #[error(transparent)]
    Folder(#[from] UpError),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] ConfigError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] ClientError),
    /// The answer has no JSON. Cannot happen.
    #[error("the status cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// What is known of a network.
pub struct Status {
    /// When it was asked, in milliseconds since 1970.
    pub at_ms: u64,
    /// Every process, the node first.
    pub processes: Vec<Asked>,
    /// What is not well; nothing if all is.
    pub findings: Vec<Finding>,
}

/// Asks and prints. True if all is well.
pub async fn run(arguments: StatusArguments) -> Result<bool, StatusError> {
    let (json, within) = (arguments.json, Duration::from_secs(arguments.within));
    let late = Duration::from_secs(arguments.late);
    let status = ask(subjects(arguments)?, within, late).await;
    match json {
        true => println!("{}", show::json(&status)?),
        false => print!("{}", show::text(&status)),
    }
    Ok(status.findings.is_empty())
}

fn subjects(arguments: StatusArguments) -> Result<Subjects, StatusError> {
    let StatusArguments { dir, config, directory, certificate, key, ca, .. } = arguments;
    match (dir, directory, certificate, key, ca) {
        (Some(dir), ..) => Ok(Subjects::in_folder(&dir)?),
        (None, Some(directory), Some(certificate), Some(key), Some(ca)) => {
            let tls = crate::client::credentials(&certificate, &key, &ca)?;
            Ok(Subjects::in_directory(&directory, &tls)?)
        }
        // The parser lets nothing else pass than configurations.
        _ => Ok(Subjects::of_configurations(&config)),
    }
}

/// Asks all processes at the same time, each for at most `within`. A last block older than `late`
/// is a finding.
pub async fn ask(subjects: Subjects, within: Duration, late: Duration) -> Status {
    let mut tasks = JoinSet::new();
    for subject in subjects.processes {
        tasks.spawn(probe::ask(subject, within));
    }
    let (mut processes, mut node) = (Vec::new(), NodeWatch::default());
    while let Some(asked) = tasks.join_next().await {
        // A probe panics by a defect only.
        let Ok(asked) = asked else { continue };
        node.meet(&asked);
        processes.push(asked);
        // The node again after every answer: so nobody seems to have more of the chain than the
        // node because the node was asked first, or less because others took their time.
        if let Some(now) = node.look().await {
            let waiting = processes.iter_mut().filter(|asked| asked.node.is_none());
            waiting.for_each(|asked| asked.node = Some(now));
        }
    }
    processes.sort_by_key(|asked| subject::place(&asked.subject.name));
    let findings = judge::findings(&processes, &subjects.broken, late);
    Status { at_ms: now_ms(), processes, findings }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}
