//! Which agent is called, and how a caller proves who it is.

use std::path::Path;

use quittance_ledger::ids::InstitutionId;
use quittance_rpc::config::Target;
use quittance_rpc::identity::{Process, ProcessName};
use quittance_rpc::tls::trust::{Scope, Trust};
use quittance_rpc::tls::{Credentials, Tls};

use super::ClientError;

/// The three files with which a bank's own system proves who it is, and whom it believes.
pub fn credentials(certificate: &Path, key: &Path, ca: &Path) -> Result<Tls, ClientError> {
    let read = |path: &Path| {
        std::fs::read(path)
            .map_err(|error| ClientError::Read { path: path.to_owned(), reason: error.to_string() })
    };
    let mut trust = Trust::new();
    trust.add_pem(&read(ca)?, Scope::Any)?;
    let own = Credentials::from_pem(&read(certificate)?, &read(key)?)?;
    Ok(Tls::new(own, trust).of_any_suite())
}

/// The same from the folder of a trial network.
pub fn credentials_in(directory: &Path, bank: InstitutionId) -> Result<Tls, ClientError> {
    let file = |end: &str| directory.join("clients").join(format!("{bank}.{end}"));
    credentials(&file("pem"), &file("key"), &directory.join("ca/ca.pem"))
}

/// The agent of `bank` at an address.
pub fn target(bank: InstitutionId, address: String) -> Target {
    Target { address, identity: ProcessName { institution: bank, process: Process::Agent } }
}

/// Where a bank's agent in the folder of a trial network listens, from its configuration.
pub(super) fn address_in(directory: &Path, bank: InstitutionId) -> Result<String, ClientError> {
    let path = directory.join(format!("agent-{bank}")).join("config.toml");
    let failed = |reason: String| ClientError::Read { path: path.clone(), reason };
    let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    let config: toml::Table =
        text.parse().map_err(|error: toml::de::Error| failed(error.message().to_owned()))?;
    let address = config.get("listen").and_then(|listen| listen.get("address"));
    let address = address.and_then(toml::Value::as_str).map(str::to_owned);
    address.ok_or_else(|| failed("listen.address is missing".to_owned()))
}
