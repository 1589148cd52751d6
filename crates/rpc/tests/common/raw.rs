//! Clients of other stacks: ordinary TLS, and HTTP/2 frames made by hand (RFC 9113).
#![allow(dead_code, missing_docs, clippy::unwrap_used, reason = "each test file uses its own part")]

use std::io;
use std::iter::once;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quittance_rpc::tls::issue::{Authority, Issued};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_HEADERS: u8 = 4;

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let header = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [header, payload.to_vec()].concat()
}

/// A literal header field without indexing (RFC 7541, section 6.2.2), no Huffman coding.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// The headers of a gRPC call.
pub fn call(path: &str) -> Vec<u8> {
    [
        field(":method", "POST"),
        field(":scheme", "https"),
        field(":path", path),
        field(":authority", "localhost"),
        field("te", "trailers"),
        field("content-type", "application/grpc"),
    ]
    .concat()
}

/// What came of an attack.
#[derive(Debug)]
pub struct Outcome {
    /// The server closed the connection.
    pub closed: bool,
    /// Frames sent until then.
    pub sent: usize,
    /// All that the server said.
    pub answers: Vec<u8>,
}

impl Outcome {
    /// Kinds of the frames that the server sent.
    pub fn kinds(&self) -> Vec<u8> {
        let mut rest = &self.answers[..];
        let mut kinds = Vec::new();
        while rest.len() >= 9 {
            let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
            kinds.push(rest[3]);
            rest = rest.get(9 + length..).unwrap_or_default();
        }
        kinds
    }
}

/// A connection that says what it likes.
pub struct Attacker {
    read: ReadHalf<TlsStream<TcpStream>>,
    write: WriteHalf<TlsStream<TcpStream>>,
}

impl Attacker {
    /// Shakes hands and begins to speak HTTP/2.
    pub async fn connect(address: &str, config: Arc<ClientConfig>) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?, config).await
    }

    /// The same over a connection that stands.
    pub async fn over(stream: TcpStream, config: Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        let (read, mut write) = tokio::io::split(stream);
        write.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        write.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
        write.flush().await?;
        Ok(Self { read, write })
    }

    /// Sends batches of frames until they end, the server closes, or the time is over.
    pub async fn send(
        mut self,
        batches: impl Iterator<Item = Vec<u8>>,
        within: Duration,
    ) -> Outcome {
        let reader = tokio::spawn(async move {
            let mut answers = Vec::new();
            let closed = timeout(within, self.read.read_to_end(&mut answers)).await.is_ok();
            (closed, answers)
        });
        let sent = write_all(&mut self.write, batches, within).await;
        let (closed, answers) = reader.await.unwrap();
        Outcome { closed, sent, answers }
    }

    /// As [`Attacker::send`], with a pause before each batch.
    pub async fn trickle(mut self, batches: impl Iterator<Item = Vec<u8>>, within: Duration) {
        let end = Instant::now() + within;
        let reader = tokio::spawn(async move {
            drop(timeout(within, self.read.read_to_end(&mut Vec::new())).await);
        });
        for batch in batches {
            sleep(Duration::from_millis(20)).await;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || write_all(&mut self.write, once(batch), left).await == 0 {
                break;
            }
        }
        reader.await.unwrap();
    }

    /// As [`Attacker::send`], with a pause before each batch; reads what the server says to forget
    /// it, or not even that. How many bytes it has sent when the server closes, or when it ends.
    pub async fn flood(
        mut self,
        batches: impl Iterator<Item = Vec<u8>>,
        pause: Duration,
        deaf: bool,
        end: Instant,
    ) -> usize {
        let mut sent = 0;
        let writing = async {
            for batch in batches {
                match pause {
                    Duration::ZERO => tokio::task::yield_now().await,
                    pause => sleep(pause).await,
                }
                if self.write.write_all(&batch).await.is_err() || self.write.flush().await.is_err()
                {
                    return;
                }
                sent += batch.len();
            }
            // Nothing left to say: hold the line.
            std::future::pending().await
        };
        let reading = async {
            if deaf {
                std::future::pending::<()>().await;
            }
            drop(tokio::io::copy(&mut self.read, &mut tokio::io::sink()).await);
        };
        tokio::select! {
            () = writing => {}
            () = reading => {}
            () = tokio::time::sleep_until(end.into()) => {}
        }
        sent
    }

    /// As [`Attacker::send`], and reads nothing of what the server says. The count of batches sent.
    pub async fn send_deaf(
        mut self,
        batches: impl Iterator<Item = Vec<u8>>,
        within: Duration,
    ) -> usize {
        let begin = Instant::now();
        let sent = write_all(&mut self.write, batches, within).await;
        sleep(within.saturating_sub(begin.elapsed())).await;
        sent
    }
}

async fn write_all(
    write: &mut WriteHalf<TlsStream<TcpStream>>,
    batches: impl Iterator<Item = Vec<u8>>,
    within: Duration,
) -> usize {
    let mut sent = 0;
    let sending = async {
        for batch in batches {
            if write.write_all(&batch).await.is_err() || write.flush().await.is_err() {
                break;
            }
            sent += 1;
        }
    };
    drop(timeout(within, sending).await);
    sent
}

/// An ordinary TLS client as other stacks have it: checks the host's name, not our identities.
pub fn foreign_client(
    authority: &Authority,
    certificate: Option<&Issued>,
    groups: Vec<&'static dyn rustls::crypto::SupportedKxGroup>,
) -> Arc<rustls::ClientConfig> {
    let certificate =
        certificate.map(|issued| (issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes()));
    foreign_client_of(authority.certificate_pem().as_bytes(), certificate, groups)
}

/// The same with certificates in PEM: that of the authority, and one's own with its key.
pub fn foreign_client_of(
    authority: &[u8],
    certificate: Option<(&[u8], &[u8])>,
    groups: Vec<&'static dyn rustls::crypto::SupportedKxGroup>,
) -> Arc<rustls::ClientConfig> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority).unwrap()).unwrap();
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = groups;
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::from_pem_slice(certificate).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key).unwrap();
            builder.with_client_auth_cert(vec![chain], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}
