use std::collections::BTreeSet;

use metrics::counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::identity::Process;

#[test]
fn names_follow_the_conventions() {
    let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len(), "each once");
    for metric in METRICS {
        let (name, total) = (metric.name, metric.name.ends_with("_total"));
        assert!(name.starts_with("quittance_") || name.starts_with("process_"), "{name}");
        assert!(metric.help().ends_with('.') && !metric.help().contains('|'), "{name}");
        match metric.kind {
            Kind::Counter => assert!(total, "{name}"),
            Kind::Histogram => assert!(name.ends_with("_seconds"), "{name}"),
            // What the system counts is read, not counted.
            Kind::Gauge => assert!(!total || name == CPU_TIME, "{name}"),
        }
    }
}

/// The page for operators has a row for each metric, and none for what there is not.
#[test]
fn the_documented_table_is_the_table() {
    let page = include_str!("../../../../docs/operations.md");
    let documented: BTreeSet<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `process_") || line.starts_with("| `quittance_"))
        .collect();
    let expected: BTreeSet<String> = METRICS.iter().map(row).collect();
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    let missing: Vec<_> = expected.difference(&documented).collect();
    let invented: Vec<_> = documented.difference(&expected).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "missing {missing:#?}\ninvented {invented:#?}"
    );
}

fn row(metric: &Metric) -> String {
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let kind = format!("{:?}", metric.kind).to_lowercase();
    let all = [Process::Node, Process::Agent, Process::Party, Process::Coordinator];
    let of: Vec<&str> =
        all.into_iter().filter(|it| metric.is_of(*it)).map(Process::as_str).collect();
    let of = match of.as_slice() {
        [_, _, _, _] => "all".to_owned(),
        ["agent", "party", "coordinator"] => "all but the node".to_owned(),
        these => these.join(", "),
    };
    format!("| `{}` | {kind} | {} | {of} | {} |", metric.name, labels.join(", "), metric.help())
}

/// What is answered to `request`, byte by byte.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A refused request may end in a reset; what came before it is what was answered.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn nothing_but_metrics_is_served() {
    let name = "urn:quittance:AAAAZZ01:node".parse().unwrap();
    let endpoint = serve(([127, 0, 0, 1], 0).into(), name, "1.2.3").await.unwrap();
    counter!(GRPC_CALLS, "method" => "m", "code" => "OK").increment(3);
    chain_is_at(Height(7), Timestamp(1_500));

    let shown = ask(endpoint.address(), "GET /metrics HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert!(shown.starts_with("HTTP/1.1 200 OK\r\n"), "{shown}");
    for line in [
        "# TYPE quittance_grpc_calls_total counter",
        "quittance_grpc_calls_total{method=\"m\",code=\"OK\"} 3",
        "quittance_chain_height 7",
        "quittance_chain_time_seconds 1.5",
        "quittance_connections_open 0",
        "quittance_build_info{version=\"1.2.3\",kind=\"node\",institution=\"AAAAZZ01\"} 1",
    ] {
        assert!(shown.lines().any(|it| it == line), "{line}\n{shown}");
    }
    assert!(!shown.contains("quittance_agent_"), "{shown}");

    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n", "405"),
        ("GET / HTTP/1.1\r\nhost: h\r\n\r\n", "404"),
        ("GET /metrics/../keys.age HTTP/1.1\r\nhost: h\r\n\r\n", "404"),
        (&format!("GET /metrics HTTP/1.1\r\nh: {}\r\n\r\n", "x".repeat(1 << 16)), "431"),
    ] {
        let answer = ask(endpoint.address(), request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
    }
    // One request for each connection; others wait for their place and get it.
    let silent = TcpStream::connect(endpoint.address()).await.unwrap();
    let asked = (0..2 * CONNECTIONS).map(|_| {
        let address = endpoint.address();
        tokio::spawn(async move { ask(address, "GET /metrics HTTP/1.1\r\nhost: h\r\n\r\n").await })
    });
    for asked in asked.collect::<Vec<_>>() {
        assert!(asked.await.unwrap().starts_with("HTTP/1.1 200"));
    }
    drop(silent);
}
