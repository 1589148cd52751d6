//! Whom to ask: from a network's folder, from configurations of processes, or from a directory.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use quittance_ledger::ids::InstitutionId;
use quittance_rpc::config::{self, ConfigError, Listen, TlsFiles};
use quittance_rpc::directory::Directory;
use quittance_rpc::identity::{Identity, Process, ProcessName};
use quittance_rpc::metrics::MetricsSection;
use quittance_rpc::tls::Tls;
use serde::Deserialize;

use crate::client;
use crate::up::{self, UpError};

/// One process to be asked.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Who must answer.
    pub name: ProcessName,
    /// Where.
    pub address: String,
    /// As whom it is asked.
    pub caller: Tls,
    /// Where it serves its metrics, if that is known.
    pub metrics: Option<SocketAddr>,
    /// Its files, if they are on this machine.
    pub home: Option<Home>,
}

/// The files of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Its configuration.
    pub config: PathBuf,
    /// Where `quittance up` lets it log, if there is such a file.
    pub log: Option<PathBuf>,
}

/// A configuration that does not tell whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub config: PathBuf,
    /// All that is wrong.
    pub reason: String,
}

/// All that are to be asked.
#[derive(Debug, Default)]
pub struct Subjects {
    /// Each process once.
    pub processes: Vec<Subject>,
    /// Configurations that could not be read.
    pub broken: Vec<Broken>,
}

/// What configurations of all kinds have, as far as it matters here.
#[derive(Deserialize)]
struct LocalFile {
    listen: Listen,
    listen_peers: Option<Listen>,
    metrics: Option<MetricsSection>,
    tls: TlsFiles,
    directory: Option<PathBuf>,
}

/// A process of this machine, by its configuration.
struct Local {
    name: ProcessName,
    listen: SocketAddr,
    listen_peers: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    tls: Tls,
    directory: Option<Directory>,
    home: Home,
}

/// Where processes stand in lists: the node first, then those that need it.
pub fn place(name: &ProcessName) -> (u8, InstitutionId) {
    let kind = match name.process {
        Process::Node => 0,
        Process::Coordinator => 1,
        Process::Party => 2,
        Process::Agent => 3,
    };
    (kind, name.institution)
}

/// Where a listener is reached from its own machine.
pub(crate) fn reachable(listener: SocketAddr) -> SocketAddr {
    match listener {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

impl Local {
    fn load(config: &Path) -> Result<Self, ConfigError> {
        let (read, mut check): (LocalFile, _) = config::read(config)?;
        let listen = read.listen.check("listen", &mut check);
        let peers = read.listen_peers.map(|peers| peers.check("listen_peers", &mut check));
        let metrics = read.metrics.map(|metrics| metrics.check("metrics", &mut check));
        let tls = read.tls.check("tls", None, None, &mut check);
        let name = tls.as_ref().and_then(|tls| match tls.identity() {
            Identity::Process(name) => Some(name),
            client => {
                check.problem("tls.certificate", format!("it names {client}, not a process"));
                None
            }
        });
        let directory = read.directory.map(|path| check.directory("directory", &path));
        let log = config.with_file_name("log");
        let home = Home { config: config.to_owned(), log: log.exists().then_some(log) };
        check.finish(listen.zip(tls).zip(name).map(|((listen, tls), name)| Self {
            name,
            listen: reachable(listen.socket),
            listen_peers: peers.flatten().map(|peers| reachable(peers.socket)),
            metrics: metrics.flatten().map(reachable),
            tls: tls.of_any_suite(),
            directory: directory.flatten(),
            home,
        }))
    }

    /// To be asked as `caller` at its main listener.
    fn asked_by(&self, caller: Tls) -> Subject {
        Subject {
            name: self.name,
            address: self.listen.to_string(),
            caller,
            metrics: self.metrics,
            home: Some(self.home.clone()),
        }
    }

    /// To be asked by whom it admits, as far as certificates at hand allow. `client` is one of the
    /// bank's own systems, `member` one of somebody who takes part in rounds.
    fn subject(&self, client: Option<Tls>, member: Option<&Tls>) -> Subject {
        match (self.name.process, client, self.listen_peers) {
            (Process::Agent, Some(client), _) => self.asked_by(client),
            (Process::Agent, None, Some(peers)) => {
                Subject { address: peers.to_string(), ..self.asked_by(self.tls.clone()) }
            }
            (Process::Coordinator, ..) => self.asked_by(member.unwrap_or(&self.tls).clone()),
            _ => self.asked_by(self.tls.clone()),
        }
    }
}

impl Subjects {
    /// Every process of a network made by `quittance testnet`.
    pub fn in_folder(directory: &Path) -> Result<Self, UpError> {
        let folders = up::folders(directory)?;
        let config = |(folder, _): (String, _)| directory.join(folder).join("config.toml");
        let client = |bank| client::credentials_in(directory, bank).ok();
        Ok(Self::of_locals(folders.into_iter().map(config), client))
    }

    /// The processes with these configurations, and all that are in their directories.
    pub fn of_configurations(files: &[PathBuf]) -> Self {
        Self::of_locals(files.iter().cloned(), |_| None)
    }

    /// Every process in a directory, asked by `caller`.
    pub fn in_directory(file: &Path, caller: &Tls) -> Result<Self, ConfigError> {
        let mut subjects = Self::default();
        subjects.add_remotes(&Directory::load(file)?, caller);
        Ok(subjects)
    }

    fn of_locals(
        files: impl Iterator<Item = PathBuf>,
        client: impl Fn(InstitutionId) -> Option<Tls>,
    ) -> Self {
        let (mut locals, mut subjects) = (Vec::new(), Self::default());
        for config in files {
            match Local::load(&config) {
                Ok(local) => locals.push(local),
                Err(error) => {
                    subjects.broken.push(Broken { config, reason: error.to_string() });
                }
            }
        }
        let member = locals
            .iter()
            .find(|local| matches!(local.name.process, Process::Party | Process::Agent));
        let member = member.map(|local| &local.tls);
        for local in &locals {
            let client = match local.name.process {
                Process::Agent => client(local.name.institution),
                _ => None,
            };
            subjects.add(local.subject(client, member));
        }
        for local in &locals {
            if let Some(directory) = &local.directory {
                subjects.add_remotes(directory, member.unwrap_or(&local.tls));
            }
        }
        subjects
    }

    fn add_remotes(&mut self, directory: &Directory, caller: &Tls) {
        let Directory { node, coordinator, validators, parties, agents, .. } = directory;
        let others = validators.values().chain(parties.values()).chain(agents.values());
        let targets = [node, coordinator].into_iter().chain(others);
        for target in targets {
            self.add(Subject {
                name: target.identity,
                address: target.address.clone(),
                caller: caller.clone(),
                metrics: None,
                home: None,
            });
        }
    }

    /// Adds a process that is not there yet.
    fn add(&mut self, subject: Subject) {
        if self.processes.iter().all(|other| other.name != subject.name) {
            self.processes.push(subject);
        }
    }
}

#[cfg(test)]
pub(in crate::status) mod tests;
