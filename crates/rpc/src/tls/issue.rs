//! Making certificates: a small authority for test networks, and for banks without one.
//!
//! Keys are ECDSA P-256. These signatures are classical, which is enough: they must hold at the
//! moment of a handshake only, while what was said afterwards is protected by the key exchange for
//! as long as it is worth protecting.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::DnsName;
use thiserror::Error;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::identity::Identity;

/// How long an authority's certificate is valid.
pub const AUTHORITY_VALIDITY: Duration = Duration::days(10 * 365);
/// How long a process's or client's certificate is valid.
pub const LEAF_VALIDITY: Duration = Duration::days(365);
/// Certificates begin this long before they are made: clocks differ.
const SKEW: Duration = Duration::minutes(10);

/// Why a certificate could not be made.
#[derive(Debug, Error)]
pub enum IssueError {
    /// Neither an address nor a DNS name.
    #[error("{0:?} is neither an IP address nor a DNS name")]
    Host(String),
    /// From the library.
    #[error("the certificate for {holder} cannot be made: {reason}")]
    Library {
        /// Whose it was to be.
        holder: String,
        /// Why not.
        reason: rcgen::Error,
    },
}

/// A certificate and its private key, both PEM.
pub struct Issued {
    /// The certificate.
    pub certificate_pem: String,
    /// The key, PKCS #8.
    pub key_pem: Zeroizing<String>,
}

/// A certification authority.
pub struct Authority {
    name: String,
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl Authority {
    /// A new authority with a fresh key. `name` becomes its common name.
    pub fn create(name: &str) -> Result<Self, IssueError> {
        Self::create_at(name, OffsetDateTime::now_utc())
    }

    fn create_at(name: &str, now: OffsetDateTime) -> Result<Self, IssueError> {
        let library = |reason| IssueError::Library { holder: name.to_owned(), reason };
        let key = KeyPair::generate().map_err(library)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = now - SKEW;
        params.not_after = now + AUTHORITY_VALIDITY;
        let certificate_pem = params.self_signed(&key).map_err(library)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { name: name.to_owned(), issuer, certificate_pem })
    }

    /// An existing authority, from what [`Authority::certificate_pem`] and [`Authority::key_pem`]
    /// gave.
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, IssueError> {
        let name = "the authority";
        let library = |reason| IssueError::Library { holder: name.to_owned(), reason };
        let key = KeyPair::from_pem(key_pem).map_err(library)?;
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, key).map_err(library)?;
        Ok(Self { name: name.to_owned(), issuer, certificate_pem: certificate_pem.to_owned() })
    }

    /// Its certificate, which others trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Its private key.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// A certificate with a fresh key for `holder`, valid from now on for [`LEAF_VALIDITY`].
    ///
    /// `hosts` are the addresses and DNS names of a server. Our own clients do not look at them;
    /// other gRPC clients do.
    pub fn issue(&self, holder: Identity, hosts: &[&str]) -> Result<Issued, IssueError> {
        let now = OffsetDateTime::now_utc();
        self.issue_between(holder, hosts, now - SKEW, now + LEAF_VALIDITY)
    }

    /// As [`Authority::issue`], valid between two moments.
    pub fn issue_between(
        &self,
        holder: Identity,
        hosts: &[&str],
        not_before: OffsetDateTime,
        not_after: OffsetDateTime,
    ) -> Result<Issued, IssueError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&short_name(&holder));
        params.subject_alt_names = alternative_names(&holder, hosts)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if matches!(holder, Identity::Process(_)) {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.use_authority_key_identifier_extension = true;
        params.not_before = not_before;
        params.not_after = not_after;
        self.sign(&holder.to_string(), params)
    }

    fn sign(&self, holder: &str, params: CertificateParams) -> Result<Issued, IssueError> {
        let library = |reason| IssueError::Library { holder: holder.to_owned(), reason };
        let key = KeyPair::generate().map_err(library)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(library)?;
        let key_pem = Zeroizing::new(key.serialize_pem());
        Ok(Issued { certificate_pem: certificate.pem(), key_pem })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.name)
    }
}

fn common_name(name: &str) -> rcgen::DistinguishedName {
    let mut full = rcgen::DistinguishedName::new();
    full.push(DnType::CommonName, name);
    full
}

/// For people; nobody decides anything by it.
fn short_name(holder: &Identity) -> String {
    match holder {
        Identity::Process(name) => format!("{} {}", name.institution, name.process.as_str()),
        Identity::Client { institution, .. } => format!("{institution} client"),
    }
}

fn alternative_names(holder: &Identity, hosts: &[&str]) -> Result<Vec<SanType>, IssueError> {
    let uri = |uri: String| {
        let name = uri.clone().try_into();
        name.map(SanType::URI).map_err(|reason| IssueError::Library { holder: uri, reason })
    };
    let host = |host: &&str| {
        let unknown = || IssueError::Host((*host).to_owned());
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(SanType::IpAddress(address));
        }
        // The certificate library would take any text.
        let name = DnsName::try_from(*host).map_err(|_| unknown())?;
        name.as_ref().try_into().map(SanType::DnsName).map_err(|_| unknown())
    };
    holder.uris().into_iter().map(uri).chain(hosts.iter().map(host)).collect()
}
