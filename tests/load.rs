//! `quittance bench load` as a user runs it: four validators, a small load, and what it says.

use std::process::{Command, Output};

use quittance_tests::binaries::program;
use serde_json::Value;

fn load(arguments: &[&str]) -> Output {
    let mut command = Command::new(program("quittance"));
    command.args(["bench", "load"]).args(arguments).output().expect("it runs")
}

#[test]
fn every_transfer_of_a_load_becomes_final_and_is_accounted_for() {
    let home = tempfile::tempdir().expect("a folder");
    let file = |name: &str| home.path().join(name).display().to_string();
    let (json, network) = (file("out.json"), file("network"));
    let numbers = ["--agents", "3", "--rate", "25", "--duration", "2", "--singles", "4"];
    let output = load(&[&numbers[..], &["--json", &json, "--dir", &network]].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let report: Value =
        serde_json::from_slice(&std::fs::read(json).expect("a report")).expect("JSON");
    let count = |name: &str| report[name].as_u64().expect("a number");
    let numbers = ["validators", "agents", "transfers", "singles", "refused_for_now"];
    assert_eq!(numbers.map(count), [4, 3, 50, 4, 0], "{report}");
    assert!(count("blocks") > 1 && count("blocks") <= 50, "{report}");
    // They are due within two seconds, the last 40 ms before the end of that.
    let rate = report["final_per_second"].as_f64().expect("a number");
    assert!(rate > 0.5 && rate < 25.6, "{report}");
    for finality in [&report["single"], &report["finality"]] {
        for part in ["total", "sending", "admission", "waiting", "agreement"] {
            let spread = ["p50_ms", "p95_ms", "p99_ms", "max_ms"]
                .map(|rank| finality[part][rank].as_f64().expect("a number"));
            assert!(spread.is_sorted(), "{part}: {report}");
        }
        let (total, agreed) = (&finality["total"]["max_ms"], &finality["agreement"]["max_ms"]);
        assert!(total.as_f64() >= agreed.as_f64() && agreed.as_f64() > Some(0.0), "{report}");
    }
    assert!(said.contains("transfers final in a second"), "{said}");
}

#[test]
fn a_load_that_makes_no_sense_is_refused_at_once() {
    for (arguments, reason) in [
        (&["--agents", "1"][..], "--agents: a load has 2 to 40 banks, not 1"),
        (&["--rate", "0"], "--rate and --duration: both must be at least 1"),
        (&["--rate", "100000", "--duration", "3"], "300050 transfers are too many to prepare"),
        (&["--validators", "0"], "a network has 1 to 16 validators, not 0"),
    ] {
        let output = load(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(reason), "{arguments:?}: {said}");
    }
}
