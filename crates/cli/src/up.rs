//! `quittance up`: all processes of a trial network, until Ctrl-C. One that dies is not started again:
//! who tries a network out may want to see how the others take it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::supervisor::{ProcessError, Supervisor};

/// How long processes may take to end when they are told to.
pub const GRACE: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(100);

/// Why a network does not run any more.
#[derive(Debug, Error)]
pub enum UpError {
    /// Not a folder with a network.
    #[error("{path} holds no network: {reason}", path = .path.display())]
    NoNetwork {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A process did not start, or ended.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file could not be read.
    #[error("{0}")]
    File(#[from] io::Error),
    /// All have ended by themselves.
    #[error("no process is left")]
    NoneLeft,
}

/// The command that an operator would use to run a process, by this same program.
pub fn command(subcommand: &str, config: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(subcommand).arg("--config").arg(config).arg("--stop-with-parent");
    Ok(command)
}

/// The subcommand for the process in a folder of this name.
fn subcommand(folder: &str) -> Option<&'static str> {
    match folder {
        "node" => Some("node"),
        _ if folder.starts_with("node-") => Some("node"),
        "coordinator" => Some("coordinator"),
        _ if folder.starts_with("party-") => Some("mpc-party"),
        _ if folder.starts_with("agent-") => Some("agent"),
        _ => None,
    }
}

/// The words that start the process in a folder of the network in `directory`, for people.
pub fn command_line(directory: &Path, folder: &str) -> Option<String> {
    let config = directory.join(folder).join("config.toml");
    Some(format!("quittance {} --config {}", subcommand(folder)?, config.display()))
}

/// The folders of processes in a network's folder: the nodes first, then the others by name.
pub(crate) fn folders(directory: &Path) -> Result<Vec<(String, &'static str)>, UpError> {
    let no_network = |reason: String| UpError::NoNetwork { path: directory.to_owned(), reason };
    let entries = fs::read_dir(directory).map_err(|error| no_network(error.to_string()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if !entry.path().is_dir() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        found.extend(subcommand(&name).map(|subcommand| (name, subcommand)));
    }
    found.sort_by_key(|(name, subcommand)| (*subcommand != "node", name.clone()));
    match found.first() {
        Some((_, "node")) => Ok(found),
        _ => Err(no_network("there is no folder `node` in it".to_owned())),
    }
}

/// Where the process with this configuration listens.
fn address(config: &Path) -> Result<String, UpError> {
    let text = fs::read_to_string(config)?;
    let table: toml::Table = text.parse().map_err(io::Error::other)?;
    let address = table.get("listen").and_then(|listen| listen.get("address")?.as_str());
    let missing = || io::Error::other(format!("{}: listen.address is missing", config.display()));
    Ok(address.ok_or_else(missing)?.to_owned())
}

/// Runs the network in `directory` until none of its processes is left. One that ends by itself is
/// reported, and the others go on. Dropping the future stops all.
pub async fn run(directory: &Path) -> UpError {
    let mut processes = Supervisor::new(GRACE);
    match start(directory, &mut processes).await {
        Ok(()) => watch(directory, &mut processes).await,
        Err(error) => error,
    }
}

async fn start(directory: &Path, processes: &mut Supervisor) -> Result<(), UpError> {
    for (folder, subcommand) in folders(directory)? {
        let (config, log) = (directory.join(&folder).join("config.toml"), directory.join(&folder));
        let address = address(&config)?;
        processes.start(&folder, command(subcommand, &config)?, &log.join("log"))?;
        // The others are in need of the node; they find each other by themselves.
        while folder == "node" && TcpStream::connect(&address).await.is_err() {
            processes.check()?;
            sleep(POLL).await;
        }
        println!("{folder} at {address}");
    }
    let directory = directory.display();
    println!("All processes run, and log to {directory}/<process>/log. Ctrl-C ends them.");
    println!("How they are: quittance status --dir {directory}");
    Ok(())
}

async fn watch(directory: &Path, processes: &mut Supervisor) -> UpError {
    loop {
        while let Some((folder, error)) = processes.take_ended() {
            println!("\n{error}");
            if let Some(words) = command_line(directory, &folder) {
                println!("The others go on. To start it again: {words}");
            }
        }
        if processes.ids().is_empty() {
            return UpError::NoneLeft;
        }
        sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_comes_first() {
        let home = tempfile::tempdir().unwrap();
        for folder in ["agent-B", "clients", "party-A", "node", "coordinator", "ca", "agent-A"] {
            fs::create_dir(home.path().join(folder)).unwrap();
        }
        fs::write(home.path().join("agent-A.pid"), "1").unwrap();
        assert_eq!(
            folders(home.path()).unwrap(),
            [
                ("node".to_owned(), "node"),
                ("agent-A".to_owned(), "agent"),
                ("agent-B".to_owned(), "agent"),
                ("coordinator".to_owned(), "coordinator"),
                ("party-A".to_owned(), "mpc-party"),
            ]
        );
    }

    #[test]
    fn other_folders_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let reason = |path: &Path| folders(path).unwrap_err().to_string();
        assert!(reason(home.path()).ends_with("there is no folder `node` in it"));
        assert!(reason(&home.path().join("no")).contains("/no holds no network: "));
    }
}
