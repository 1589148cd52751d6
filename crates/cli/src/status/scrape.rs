//! Reading the metrics of a process: one request, one answer, the text format of Prometheus.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than any process has to tell.
const MAX_ANSWER: u64 = 4 << 20;

/// What a process has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics(String);

/// Asks the process that serves its metrics at `address`.
pub async fn scrape(address: SocketAddr) -> io::Result<Metrics> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer).await?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(Metrics(body.to_owned())),
        _ => Err(io::Error::other("what answers there does not serve metrics")),
    }
}

impl Metrics {
    /// From the text itself.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text itself.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Every value of a metric, with its labels as they are written.
    fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            match rest.strip_prefix('{') {
                Some(labelled) => labelled.rsplit_once("} "),
                None => Some(("", rest.strip_prefix(' ')?)),
            }
        })
    }

    /// The value of a metric without labels.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.lines(name).find(|(labels, _)| labels.is_empty())?.1.parse().ok()
    }

    /// The same, of what is counted in whole numbers.
    pub fn count(&self, name: &str) -> Option<u64> {
        self.value(name).filter(|value| *value >= 0.0).map(|value| value as u64)
    }

    /// A label of a metric that has one value. Ours have no quotes or commas in them.
    pub fn label(&self, name: &str, label: &str) -> Option<String> {
        let (labels, _) = self.lines(name).next()?;
        labels.split(',').find_map(|pair| {
            let value = pair.strip_prefix(label)?.strip_prefix("=\"")?.strip_suffix('"')?;
            Some(value.to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn what_prometheus_reads_is_read() {
        let metrics = Metrics::from_text(
            "# HELP a_total Something.\n# TYPE a_total counter\na_total 3\n\n\
             a_total_more 9\nb 1764286000.25\n\
             info{version=\"1.2.3\",kind=\"node\",institution=\"VALDZZ01\"} 1\n\
             calls{method=\"m\",code=\"OK\"} 7\n",
        );
        assert_eq!((metrics.count("a_total"), metrics.value("a_total")), (Some(3), Some(3.0)));
        assert_eq!(metrics.value("b"), Some(1_764_286_000.25));
        assert_eq!(metrics.value("calls"), None);
        assert_eq!(metrics.value("gone"), None);
        assert_eq!(metrics.label("info", "kind").as_deref(), Some("node"));
        assert_eq!(metrics.label("info", "version").as_deref(), Some("1.2.3"));
        assert_eq!(metrics.label("info", "color"), None);
    }

    #[tokio::test]
    async fn others_are_not_taken_for_metrics() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        for (answer, good) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\na 1\n", true),
            ("HTTP/1.1 404 Not Found\r\n\r\n", false),
            ("220 mail\r\n", false),
            ("", false),
        ] {
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 256];
                let length = stream.read(&mut request).await.unwrap();
                assert!(request[..length].starts_with(b"GET /metrics HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).await.unwrap();
            };
            let (metrics, ()) = tokio::join!(scrape(address), server);
            assert_eq!(metrics.is_ok(), good, "{answer:?}: {metrics:?}");
            assert!(!good || metrics.unwrap().count("a") == Some(1));
        }
        // Nobody listens there.
        let nobody = scrape(([127, 0, 0, 1], 1).into()).await.unwrap_err();
        assert_eq!(nobody.kind(), io::ErrorKind::ConnectionRefused);
    }
}
