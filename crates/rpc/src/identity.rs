//! Who a process is: what its certificate says, in URIs among its subject alternative names.
//!
//! | URI | holder |
//! | --- | --- |
//! | `urn:quittance:<institution>:agent` | the agent of an institution |
//! | `urn:quittance:<institution>:node` | a validator |
//! | `urn:quittance:<institution>:party` | an MPC party |
//! | `urn:quittance:<institution>:coordinator` | the coordinator |
//! | `urn:quittance:<institution>:client:<role>` | a client of an institution; role `read`, `initiate`, `approve` or `audit` |
//!
//! A certificate names one process, or one institution's client in one or more roles. All else is
//! refused: no such name, names of several processes or institutions, a malformed name beside a good
//! one. URIs that do not begin with `urn:quittance:` are of no concern here.

use std::fmt;
use std::str::FromStr;

use quittance_ledger::ids::InstitutionId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// How the names of our processes begin.
pub const PREFIX: &str = "urn:quittance:";

/// The kinds of server process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    /// The sidecar of an institution.
    Agent,
    /// A validator.
    Node,
    /// An MPC party.
    Party,
    /// The coordinator of rounds.
    Coordinator,
}

impl Process {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Agent, Self::Node, Self::Party, Self::Coordinator];

    /// The word in the URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Node => "node",
            Self::Party => "party",
            Self::Coordinator => "coordinator",
        }
    }
}

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Look at balances, statements, payments and events.
    Read,
    /// Give instructions.
    Initiate,
    /// Release instructions that need a second person.
    Approve,
    /// Look at everything, and at the chain.
    Audit,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Read, Self::Initiate, Self::Approve, Self::Audit];

    /// The word in the URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Initiate => "initiate",
            Self::Approve => "approve",
            Self::Audit => "audit",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A set of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Roles(u8);

impl Roles {
    /// The set of these.
    pub fn of(roles: &[Role]) -> Self {
        Self(roles.iter().fold(0, |set, role| set | role.bit()))
    }

    /// Whether `role` is one of them.
    pub fn contains(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// The roles in order.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

/// The name of one server process, `urn:quittance:<institution>:<process>`. Serialized as that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessName {
    /// Whose process it is.
    pub institution: InstitutionId,
    /// Which of its processes.
    pub process: Process,
}

/// What a certificate says about its holder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// A server process, which is also a client of other servers.
    Process(ProcessName),
    /// A client of an institution.
    Client {
        /// Whose client.
        institution: InstitutionId,
        /// What it may do; not empty.
        roles: Roles,
    },
}

/// Why the names in a certificate are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// None at all.
    #[error("the certificate carries no {PREFIX} name")]
    None,
    /// Not of the form in the table above.
    #[error("{name:?} is malformed: {reason}")]
    Malformed {
        /// The URI.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two that cannot stand in one certificate.
    #[error("the certificate names both {0} and {1}")]
    Several(Identity, Identity),
}

impl Identity {
    /// The identity in the URIs of one certificate.
    pub fn from_uris<'a>(uris: impl IntoIterator<Item = &'a str>) -> Result<Self, IdentityError> {
        let ours = uris.into_iter().filter(|uri| uri.starts_with(PREFIX));
        let mut all = None;
        for uri in ours {
            let next: Self = uri.parse()?;
            all = Some(match all {
                None => next,
                Some(before) => Self::join(before, next)?,
            });
        }
        all.ok_or(IdentityError::None)
    }

    /// Roles of one client add up; nothing else goes together.
    fn join(one: Self, other: Self) -> Result<Self, IdentityError> {
        match (one, other) {
            (
                Self::Client { institution, roles },
                Self::Client { institution: second, roles: more },
            ) if institution == second => {
                Ok(Self::Client { institution, roles: Roles(roles.0 | more.0) })
            }
            _ => Err(IdentityError::Several(one, other)),
        }
    }

    /// The URIs that say this.
    pub fn uris(&self) -> Vec<String> {
        match self {
            Self::Process(name) => vec![name.to_string()],
            Self::Client { institution, roles } => roles
                .iter()
                .map(|role| format!("{PREFIX}{institution}:client:{}", role.as_str()))
                .collect(),
        }
    }

    /// Whose process or client it is.
    pub fn institution(&self) -> InstitutionId {
        match self {
            Self::Process(name) => name.institution,
            Self::Client { institution, .. } => *institution,
        }
    }

    /// Whether this is a process of the kind `process`.
    pub fn is(&self, process: Process) -> bool {
        matches!(self, Self::Process(name) if name.process == process)
    }

    /// Whether this is a client with that role.
    pub fn has(&self, role: Role) -> bool {
        matches!(self, Self::Client { roles, .. } if roles.contains(role))
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    /// Reads one URI.
    fn from_str(name: &str) -> Result<Self, IdentityError> {
        let malformed = |reason: String| IdentityError::Malformed { name: name.to_owned(), reason };
        let rest = name
            .strip_prefix(PREFIX)
            .ok_or_else(|| malformed(format!("it does not begin with {PREFIX}")))?;
        let mut parts = rest.split(':');
        let institution = parts.next().unwrap_or_default();
        let institution: InstitutionId = institution
            .parse()
            .map_err(|error: quittance_ledger::ids::IdError| malformed(error.to_string()))?;
        match (parts.next(), parts.next(), parts.next()) {
            (Some("client"), Some(role), None) => {
                let role = Role::ALL.into_iter().find(|known| known.as_str() == role);
                let role = role.ok_or_else(|| malformed("unknown role".to_owned()))?;
                Ok(Self::Client { institution, roles: Roles::of(&[role]) })
            }
            (Some("client"), None, _) => Err(malformed("a client needs a role".to_owned())),
            (Some(process), None, _) => {
                let process = Process::ALL.into_iter().find(|known| known.as_str() == process);
                let process = process.ok_or_else(|| malformed("unknown process".to_owned()))?;
                Ok(Self::Process(ProcessName { institution, process }))
            }
            (None, ..) => Err(malformed("the process is missing".to_owned())),
            _ => Err(malformed("too many parts".to_owned())),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uris().join(" "))
    }
}

impl FromStr for ProcessName {
    type Err = IdentityError;

    fn from_str(name: &str) -> Result<Self, IdentityError> {
        match name.parse()? {
            Identity::Process(process) => Ok(process),
            Identity::Client { .. } => Err(IdentityError::Malformed {
                name: name.to_owned(),
                reason: "a server process is expected, not a client".to_owned(),
            }),
        }
    }
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}:{}", self.institution, self.process.as_str())
    }
}

impl Serialize for ProcessName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ProcessName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// `Debug` is the text.
macro_rules! debug_as_text {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

debug_as_text!(Identity, ProcessName);

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str) -> Result<Identity, String> {
        Identity::from_uris([name]).map_err(|error| error.to_string())
    }

    #[test]
    fn every_name_reads_back() {
        let institution: InstitutionId = "BANKDEFF".parse().unwrap();
        let processes = Process::ALL
            .map(|process| Identity::Process(ProcessName { institution, process }))
            .into_iter();
        let clients = (1u8..16).map(|bits| Identity::Client { institution, roles: Roles(bits) });
        for identity in processes.chain(clients) {
            let uris = identity.uris();
            assert_eq!(Identity::from_uris(uris.iter().map(String::as_str)), Ok(identity));
        }
        assert_eq!(
            one("urn:quittance:BANKDEFF500:node").unwrap().institution().as_str(),
            "BANKDEFF500"
        );
    }

    #[test]
    fn malformed_names_are_refused_by_reason() {
        for (name, reason) in [
            ("urn:quittance:", "is not an institution id"),
            ("urn:quittance:bankdeff:agent", "is not an institution id"),
            ("urn:quittance:BANKDEFF", "the process is missing"),
            ("urn:quittance:BANKDEFF:", "unknown process"),
            ("urn:quittance:BANKDEFF:Agent", "unknown process"),
            ("urn:quittance:BANKDEFF:agent ", "unknown process"),
            ("urn:quittance:BANKDEFF:agent:", "too many parts"),
            ("urn:quittance:BANKDEFF:agent:read", "too many parts"),
            ("urn:quittance:BANKDEFF:client", "a client needs a role"),
            ("urn:quittance:BANKDEFF:client:", "unknown role"),
            ("urn:quittance:BANKDEFF:client:root", "unknown role"),
            ("urn:quittance:BANKDEFF:client:read:audit", "too many parts"),
            ("https://example.org", "carries no urn:quittance: name"),
            ("URN:QUITTANCE:BANKDEFF:agent", "carries no urn:quittance: name"),
        ] {
            let error = one(name).unwrap_err();
            assert!(error.contains(reason), "{name}: {error}");
        }
    }

    #[test]
    fn names_that_contradict_each_other_are_refused() {
        let agent = "urn:quittance:BANKDEFF:agent";
        for other in [
            "urn:quittance:BANKFRPP:agent",
            "urn:quittance:BANKDEFF:node",
            "urn:quittance:BANKDEFF:agent",
            "urn:quittance:BANKDEFF:client:read",
        ] {
            let result = Identity::from_uris([agent, other]);
            assert!(matches!(result, Err(IdentityError::Several(..))), "{other}");
        }
        let clients = ["urn:quittance:BANKDEFF:client:read", "urn:quittance:BANKFRPP:client:read"];
        assert!(matches!(Identity::from_uris(clients), Err(IdentityError::Several(..))));
        // A malformed name is not outweighed by a good one; a stranger's URI is ignored.
        assert!(Identity::from_uris([agent, "urn:quittance:BANKDEFF:root"]).is_err());
        assert!(Identity::from_uris([agent, "spiffe://example.org/x"]).is_ok());
    }

    #[test]
    fn roles_are_kept_apart() {
        let uris = ["urn:quittance:BANKDEFF:client:read", "urn:quittance:BANKDEFF:client:approve"];
        let client = Identity::from_uris(uris).unwrap();
        assert!(client.has(Role::Read) && client.has(Role::Approve));
        assert!(!client.has(Role::Initiate) && !client.has(Role::Audit));
        assert!(Process::ALL.into_iter().all(|process| !client.is(process)));

        let agent = one("urn:quittance:BANKDEFF:agent").unwrap();
        assert!(agent.is(Process::Agent) && !agent.is(Process::Node));
        assert!(Role::ALL.into_iter().all(|role| !agent.has(role)));
    }

    #[test]
    fn a_server_is_named_by_a_process_only() {
        assert!("urn:quittance:BANKDEFF:agent".parse::<ProcessName>().is_ok());
        let error = "urn:quittance:BANKDEFF:client:read".parse::<ProcessName>().unwrap_err();
        assert!(error.to_string().contains("a server process is expected"));
    }
}
