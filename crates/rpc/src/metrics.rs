//! Metrics of a process, for Prometheus.
//!
//! ```toml
//! [metrics]
//! listen = "127.0.0.1:9464"
//! ```
//!
//! Without this section nothing is counted. With it, `GET /metrics` over plain HTTP/1.1 shows what
//! [`METRICS`] lists, and nothing else is served: no other path or method, [`CONNECTIONS`] at a
//! time, each for one request and [`TIME`] at most. There are no names of counterparties, no
//! amounts and no ids in it, but an agent's counters do tell how busy its bank is: so it belongs on
//! a loopback or private interface, and any other is warned of.
//!
//! Code counts with the macros of the crate `metrics`, under the names here:
//!
//! ```
//! use metrics::gauge;
//! gauge!(quittance_rpc::metrics::CHAIN_HEIGHT).set(7.0);
//! ```

mod process;
mod table;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use quittance_ledger::ids::{Height, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{interval, sleep, timeout};

use crate::config::Check;
use crate::identity::ProcessName;
use crate::server::is_private;

pub use table::*;

/// Requests that are answered at a time; others wait to be accepted.
pub const CONNECTIONS: usize = 8;

/// The longest that one request may take, from connection to answer.
pub const TIME: Duration = Duration::from_secs(5);

/// The largest head of a request, in bytes: the least that hyper knows.
const HEAD: usize = 8 << 10;

/// How often what histograms have gathered is put into buckets, so that it does not pile up.
const UPKEEP: Duration = Duration::from_secs(5);

/// Upper bounds of the buckets of all histograms, in seconds.
const BUCKETS: [f64; 18] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 120.0, 300.0,
];

/// The section `[metrics]` of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSection {
    /// Where metrics are served: an IP address and a port.
    pub listen: String,
}

impl MetricsSection {
    /// Checks the section at `key`.
    pub fn check(&self, key: &str, check: &mut Check) -> Option<SocketAddr> {
        let address = self.listen.parse().map_err(|_| {
            format!("{:?} is not an IP address with a port, such as 127.0.0.1:9464", self.listen)
        });
        check.take(format!("{key}.listen"), address)
    }
}

/// Why metrics are not served.
#[derive(Debug, Error)]
pub enum MetricsError {
    /// The address is in use, or not ours.
    #[error("metrics cannot be served at {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// As the system puts it.
        reason: io::Error,
    },
    /// Somebody else counts in this process already. Cannot happen in a daemon.
    #[error("metrics cannot be counted: {0}")]
    Recorder(String),
}

/// Where metrics are served. Dropping it ends that.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    task: AbortHandle,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Endpoint {
    /// The address; with the port that the system chose, if that was left to it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Begins to count, and to serve what is counted. Once in the life of a program; needs a tokio
/// runtime. `version` is that of the program.
pub async fn serve(
    address: SocketAddr,
    name: ProcessName,
    version: &'static str,
) -> Result<Endpoint, MetricsError> {
    let listen = |reason| MetricsError::Listen { address, reason };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    if !is_private(address.ip()) {
        tracing::warn!(
            %address,
            "metrics are served to everybody who reaches this address, which is neither a loopback \
             nor a private one"
        );
    }
    let recorder = recorder()?;
    describe(name, version);
    let task = tokio::spawn(run(listener, recorder)).abort_handle();
    tracing::info!(%address, "metrics are served");
    Ok(Endpoint { address, task })
}

/// Notes how far this process knows the chain, and the time of its last block.
pub fn chain_is_at(height: Height, time: Timestamp) {
    gauge!(CHAIN_HEIGHT).set(height.0 as f64);
    gauge!(CHAIN_TIME).set(time.0 as f64 / 1000.0);
}

/// Adds what a library counts by itself to the page, in the text format of OpenMetrics; the first
/// source that is named counts.
pub fn append(source: fn() -> String) {
    let _ = APPENDED.set(source);
}

static APPENDED: OnceLock<fn() -> String> = OnceLock::new();

/// The page. Prometheus's format has no end mark, other than OpenMetrics.
fn render(recorder: &PrometheusHandle) -> String {
    let mut text = recorder.render();
    let appended = APPENDED.get().map(|source| source()).unwrap_or_default();
    let lines = appended.lines().filter(|line| !line.starts_with("# EOF"));
    lines.for_each(|line| text.extend([line, "\n"]));
    text
}

/// What counts in this process. Tests run several daemons in one.
fn recorder() -> Result<PrometheusHandle, MetricsError> {
    static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let failed = |error: &dyn std::fmt::Display| MetricsError::Recorder(error.to_string());
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).map_err(|e| failed(&e))?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| failed(&error))?;
    Ok(installed.insert(handle).clone())
}

/// Describes the metrics of a process, and shows those without labels from the start.
fn describe(name: ProcessName, version: &'static str) {
    for metric in METRICS.iter().filter(|metric| metric.is_of(name.process)) {
        let help = metric.help();
        let bare = metric.labels.is_empty();
        match metric.kind {
            Kind::Counter => {
                describe_counter!(metric.name, help);
                if bare {
                    counter!(metric.name).increment(0);
                }
            }
            Kind::Gauge => {
                describe_gauge!(metric.name, help);
                if bare {
                    gauge!(metric.name).increment(0.0);
                }
            }
            Kind::Histogram => {
                describe_histogram!(metric.name, Unit::Seconds, help);
                if bare {
                    drop(metrics::histogram!(metric.name));
                }
            }
        }
    }
    let (kind, institution) = (name.process.as_str(), name.institution.to_string());
    gauge!(BUILD_INFO, "version" => version, "kind" => kind, "institution" => institution).set(1.0);
    gauge!(START_TIME).set(process::now());
}

/// Answers one request after the other, a few at a time.
async fn run(listener: TcpListener, recorder: PrometheusHandle) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut upkeep = interval(UPKEEP);
    loop {
        let accepted = tokio::select! {
            _ = upkeep.tick() => {
                recorder.run_upkeep();
                continue;
            }
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                let recorder = recorder.clone();
                tokio::spawn(async move {
                    // A caller that is slow or writes nonsense has only itself to blame.
                    let _ = timeout(TIME, answer(stream, recorder)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept connections for metrics");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// A connection once there is a place for it. Safe to cancel.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

/// Answers the one request of a connection.
async fn answer(stream: TcpStream, recorder: PrometheusHandle) -> Result<(), hyper::Error> {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(request.method(), request.uri().path(), &recorder);
        async move { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(TIME)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn respond(method: &Method, path: &str, recorder: &PrometheusHandle) -> Response<Full<Bytes>> {
    let (status, text) = match (method, path) {
        (&Method::GET, "/metrics") => {
            process::read();
            (StatusCode::OK, render(recorder))
        }
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "only /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests;
