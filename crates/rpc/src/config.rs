//! The parts of configuration files that all daemons share.
//!
//! Files are TOML. Paths in them are relative to the file. An unknown key is an error. A file is
//! read in two steps: its form ([`read`]; the first error ends it, with line and column), then its
//! content (a [`Check`] collects everything that is wrong, and reports it at once, each time with
//! file, key and reason).
//!
//! ```toml
//! [listen]
//! address = "127.0.0.1:7101"
//! # key_exchange = "classical"      # bank-facing listeners only; default "hybrid"
//!
//! [tls]
//! certificate = "tls/agent.pem"
//! key = "tls/agent.key"             # readable by its owner only
//!
//! [[tls.trust]]
//! file = "tls/ca.pem"
//! # institutions = ["BANKDEFF"]     # default: any
//!
//! [node]
//! address = "127.0.0.1:7001"
//! identity = "urn:quittance:NODEXXAA:node"
//! ```

mod material;
mod reporting;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use quittance_ledger::genesis::Genesis;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::identity::{Identity, ProcessName};
use crate::tls::trust::{Scope, Trust};
use crate::tls::{Credentials, KeyExchange, Tls, TlsError};

pub use material::passphrase_in;
pub use reporting::{LogFormat, Reporting};

/// Certificate and key files are not larger than this.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// One thing that is wrong in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `tls.trust[0].file`; or `line 3, column 7`.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

/// All that is wrong in a configuration file. Displayed with one line for each problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { key, reason }) in self.problems.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}: {key}: {reason}", self.file.display())?;
        }
        Ok(())
    }
}

/// Reads the form of a configuration file, and begins the check of its content.
pub fn read<T: DeserializeOwned>(file: &Path) -> Result<(T, Check), ConfigError> {
    let mut check = Check { file: file.to_owned(), problems: Vec::new() };
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            check.problem("file", format!("cannot be read: {error}"));
            return Err(check.error());
        }
    };
    match toml::from_str(&text) {
        Ok(config) => Ok((config, check)),
        Err(error) => {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            check.problem(format!("line {line}, column {column}"), error.message());
            Err(check.error())
        }
    }
}

/// The check of a configuration's content: collects what is wrong.
#[derive(Debug)]
pub struct Check {
    file: PathBuf,
    problems: Vec<Problem>,
}

impl Check {
    /// Notes that something is wrong at `key`.
    pub fn problem(&mut self, key: impl Into<String>, reason: impl fmt::Display) {
        self.problems.push(Problem { key: key.into(), reason: reason.to_string() });
    }

    /// The value, or `None` with the error noted at `key`.
    pub fn take<T>(
        &mut self,
        key: impl Into<String>,
        result: Result<T, impl fmt::Display>,
    ) -> Option<T> {
        result.map_err(|error| self.problem(key, error)).ok()
    }

    /// `path` as seen from where the process runs.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.file.parent().map_or_else(|| path.to_owned(), |directory| directory.join(path))
    }

    /// The content of the small file named at `key`.
    pub fn bytes(&mut self, key: &str, path: &Path) -> Option<Zeroizing<Vec<u8>>> {
        let path = self.path(path);
        let content = std::fs::metadata(&path).and_then(|about| match about.len() {
            0..=MAX_FILE_BYTES => std::fs::read(&path).map(Zeroizing::new),
            _ => Err(std::io::Error::other("it is larger than 1 MiB")),
        });
        let content =
            content.map_err(|error| format!("{} cannot be read: {error}", path.display()));
        self.take(key, content)
    }

    /// As [`Check::bytes`], for a secret: nobody but its owner may read the file.
    pub fn secret(&mut self, key: &str, path: &Path) -> Option<Zeroizing<Vec<u8>>> {
        let content = self.bytes(key, path)?;
        let path = self.path(path);
        if let Some(mode) = open_to_others(&path) {
            let path = path.display();
            self.problem(key, format!("{path} is readable by others (mode {mode:03o}): chmod 600"));
            return None;
        }
        Some(content)
    }

    /// The value if nothing was wrong, else everything that was.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            None if self.problems.is_empty() => {
                self.problem("file", "is incomplete");
                Err(self.error())
            }
            _ => Err(self.error()),
        }
    }

    fn error(self) -> ConfigError {
        ConfigError { file: self.file, problems: self.problems }
    }
}

/// The mode of a file if group or others may do anything with it.
#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Elsewhere the system's own access control is all there is.
#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Option<u32> {
    None
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// An IP address and a port, such as `127.0.0.1:7101`.
    pub address: String,
    /// Which key exchanges are accepted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub key_exchange: KeyExchange,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A checked [`Listen`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress {
    /// Address and port.
    pub socket: SocketAddr,
    /// Which key exchanges are accepted.
    pub key_exchange: KeyExchange,
}

impl Listen {
    /// Checks the section at `key`.
    pub fn check(&self, key: &str, check: &mut Check) -> Option<ListenAddress> {
        let socket = self.address.parse().map_err(|_| {
            format!("{:?} is not an IP address with a port, such as 127.0.0.1:7101", self.address)
        });
        let socket = check.take(format!("{key}.address"), socket)?;
        Some(ListenAddress { socket, key_exchange: self.key_exchange })
    }
}

/// A server to connect to: where it is, and who it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// Host and port.
    pub address: String,
    /// `urn:quittance:<institution>:<process>`.
    pub identity: String,
}

/// A checked [`Remote`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host and port.
    pub address: String,
    /// The only process that will be spoken to there.
    pub identity: ProcessName,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.identity, self.address)
    }
}

impl Remote {
    /// Checks the section at `key`.
    pub fn check(&self, key: &str, check: &mut Check) -> Option<Target> {
        let identity = check.take(format!("{key}.identity"), self.identity.parse());
        let well_formed = self.address.rsplit_once(':').is_some_and(|(host, port)| {
            let odd = |symbol: char| symbol.is_whitespace() || "/@?#".contains(symbol);
            !host.is_empty()
                && !host.contains(odd)
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        let address = if well_formed {
            Ok(self.address.clone())
        } else {
            Err(format!("{:?} is not a host with a port, such as 127.0.0.1:7101", self.address))
        };
        let address = check.take(format!("{key}.address"), address)?;
        identity.map(|identity| Target { address, identity })
    }
}

/// A process's certificate, key and trusted authorities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM: the process's certificate, then those between it and an authority.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// The authorities that others' certificates must come from.
    pub trust: Vec<TrustedAuthority>,
}

/// A certification authority, and for whom it may speak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedAuthority {
    /// PEM: its certificate, or several.
    pub file: PathBuf,
    /// The institutions whose processes it may name. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub institutions: Option<Vec<String>>,
}

impl TlsFiles {
    /// Reads the files of the section at `key`. `expected` is whom the certificate must name;
    /// `None` if any name will do. The genesis says which key exchange is spoken.
    pub fn check(
        &self,
        key: &str,
        expected: Option<ProcessName>,
        genesis: Option<&Genesis>,
        check: &mut Check,
    ) -> Option<Tls> {
        let (own, secret) = (format!("{key}.certificate"), format!("{key}.key"));
        let credentials =
            check.bytes(&own, &self.certificate).zip(check.secret(&secret, &self.key));
        let credentials = credentials.and_then(|(chain, private)| {
            let credentials = Credentials::from_pem(&chain, &private);
            let of_the_key = matches!(
                credentials,
                Err(TlsError::KeyMismatch | TlsError::Pem { what: "private key", .. })
            );
            check.take(if of_the_key { &secret } else { &own }, credentials)
        });
        let mut trust = Trust::new();
        if self.trust.is_empty() {
            check.problem(format!("{key}.trust"), "no certification authority is trusted");
        }
        for (index, authority) in self.trust.iter().enumerate() {
            authority.check(&format!("{key}.trust[{index}]"), check, &mut trust);
        }
        let mut tls = Tls::new(credentials?, trust);
        if let Some(genesis) = genesis {
            tls = tls.of_suite(genesis.suite);
        }
        match expected.map(Identity::Process) {
            Some(expected) if expected != tls.identity() => {
                check.problem(own, format!("it names {}, not {expected}", tls.identity()));
                None
            }
            _ => Some(tls),
        }
    }
}

impl TrustedAuthority {
    /// Adds the authority to `trust`.
    fn check(&self, key: &str, check: &mut Check, trust: &mut Trust) {
        let scope = match &self.institutions {
            None => Some(Scope::Any),
            Some(institutions) => {
                let these: Result<_, _> = institutions.iter().map(|id| id.parse()).collect();
                check.take(format!("{key}.institutions"), these).map(Scope::Institutions)
            }
        };
        let key = format!("{key}.file");
        let pem = check.bytes(&key, &self.file);
        if let Some((pem, scope)) = pem.zip(scope) {
            let file = check.path(&self.file);
            let added = trust.add_pem(&pem, scope);
            check.take(key, added.map_err(|error| format!("{}: {error}", file.display())));
        }
    }
}
