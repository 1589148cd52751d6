//! `quittance demo` as a user runs it: real processes, compared with the plain reference; and none of
//! them left behind, however it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use quittance_cli::demo::input::Input;
use quittance_tests::binaries::program;
use quittance_tests::expected::Expected;
use serde_json::Value;

/// Three banks that owe each other in a circle and could pay nothing one by one. `C1` settles only
/// together with the others, `A2` cannot be paid at all.
const THREE: (&str, &str) = (
    "institution,currency,balance\nAAAAZZ01,EUR,10.00\nBBBBZZ01,EUR,5.50\n",
    "id,payer,payee,currency,amount\n\
     A1,AAAAZZ01,BBBBZZ01,EUR,100.00\n\
     B1,BBBBZZ01,CCCCZZ01,EUR,104.25\n\
     C1,CCCCZZ01,AAAAZZ01,EUR,99.99\n\
     A2,AAAAZZ01,CCCCZZ01,EUR,1000000.00\n\
     A3,AAAAZZ01,BBBBZZ01,EUR,0.01\n",
);

/// Five banks with two circles in euros that share a bank, one of which breaks, and yen, which have
/// no decimals. `EEEEZZ01` has no yen and nothing to pay in them.
const FIVE: (&str, &str) = (
    "institution,currency,balance\n\
     AAAAZZ01,EUR,1.00\nBBBBZZ01,EUR,0.50\nDDDDZZ01,EUR,20.00\n\
     AAAAZZ01,JPY,3\nCCCCZZ01,JPY,1000\n",
    "id,payer,payee,currency,amount\n\
     E1,AAAAZZ01,BBBBZZ01,EUR,250.00\n\
     J1,AAAAZZ01,BBBBZZ01,JPY,7000\n\
     E2,BBBBZZ01,CCCCZZ01,EUR,250.50\n\
     E3,CCCCZZ01,AAAAZZ01,EUR,249.00\n\
     J2,BBBBZZ01,CCCCZZ01,JPY,7000\n\
     E4,AAAAZZ01,DDDDZZ01,EUR,300.00\n\
     E5,DDDDZZ01,EEEEZZ01,EUR,319.00\n\
     E6,EEEEZZ01,AAAAZZ01,EUR,298.00\n\
     J3,CCCCZZ01,AAAAZZ01,JPY,6998\n\
     J4,CCCCZZ01,BBBBZZ01,JPY,5000\n\
     E7,BBBBZZ01,AAAAZZ01,EUR,0.01\n\
     E8,EEEEZZ01,BBBBZZ01,EUR,25.00\n\
     J5,AAAAZZ01,CCCCZZ01,JPY,1\n",
);

/// A folder with input files, and the demonstration's command line for them.
struct Run {
    home: tempfile::TempDir,
}

impl Run {
    fn new((positions, payments): (&str, &str)) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        fs::write(home.path().join("positions.csv"), positions).expect("a file");
        fs::write(home.path().join("payments.csv"), payments).expect("a file");
        Self { home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn input(&self) -> Input {
        let files = [self.path("positions.csv"), self.path("payments.csv")];
        Input::read(&files[0], &files[1]).expect("well-formed")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program("quittance"));
        command.arg("demo");
        for (option, file) in [
            ("--positions", "positions.csv"),
            ("--payments", "payments.csv"),
            ("--json", "out.json"),
            ("--dir", "network"),
        ] {
            command.arg(option).arg(self.path(file));
        }
        command.stdin(Stdio::null());
        command
    }

    /// Runs to the end.
    fn output(&self) -> Output {
        self.command().output().expect("it runs")
    }

    /// Starts, and waits until all processes of the network run.
    fn start(&self, processes: usize) -> Child {
        let mut command = self.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut demo = command.spawn().expect("it starts");
        wait("all processes", || {
            assert!(demo.try_wait().expect("ours").is_none(), "it has ended");
            self.processes().len() >= processes
        });
        demo
    }

    /// The processes that run on this network's files.
    fn processes(&self) -> Vec<(u32, String)> {
        let network = self.path("network");
        let ids = fs::read_dir("/proc")
            .expect("Linux")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let on_it = ids.filter_map(|id| {
            let line = fs::read(Path::new("/proc").join(id.to_string()).join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let daemon = line.contains(&*network.to_string_lossy()) && line.contains("--config");
            daemon.then_some((id, line))
        });
        on_it.collect()
    }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn signal(kind: &str, process: u32) {
    let status = Command::new("kill").args([kind, &process.to_string()]).status();
    assert!(status.expect("kill runs").success());
}

/// The report of a run that went well and is what the reference says.
fn check(run: &Run) -> (String, Value) {
    let output = run.output();
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{errors}");
    assert_eq!(run.processes(), [], "all have ended");
    let report = fs::read(run.path("out.json")).expect("a report");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(Expected::of(&run.input()).differences(&report), [""; 0], "{said}");
    assert_eq!(report["audit"]["verified"], true);
    for round in report["rounds"].as_array().expect("rounds") {
        assert!(round["iterations"].as_u64() > Some(0), "{round}");
        let sent = round["bytes_sent_per_party"].as_array().expect("a list");
        assert!(sent.len() == 3 && sent.iter().all(|bytes| bytes.as_u64() > Some(0)), "{round}");
    }
    (said.into_owned(), report)
}

#[test]
fn a_circle_of_three_settles() {
    let run = Run::new(THREE);
    let (said, report) = check(&run);
    assert_eq!(report["settled"], serde_json::json!(["A1", "B1", "C1"]));
    assert_eq!(report["balances"]["EUR"]["CCCCZZ01"], "4.26");
    assert_eq!(report["rounds"].as_array().map(Vec::len), Some(1));
    assert!(said.contains("1,000,000.00"), "what stayed queued is shown: {said}");
}

#[test]
fn two_currencies_and_five_banks_settle() {
    let run = Run::new(FIVE);
    let (_, report) = check(&run);
    let settled = report["settled"].as_array().expect("a list");
    for id in ["E1", "E2", "E3", "J1", "J2", "J3"] {
        assert!(settled.contains(&id.into()), "{id} settles: {settled:?}");
    }
    assert!(report["queued"].as_array().is_some_and(|queued| !queued.is_empty()));
    let currencies: Vec<_> =
        report["rounds"].as_array().expect("rounds").iter().map(|it| &it["currency"]).collect();
    assert_eq!(currencies, ["EUR", "JPY"]);
}

/// Four validators, the coordinator, three parties, the central bank's agent and three banks'.
const PROCESSES: usize = 12;

#[test]
fn ctrl_c_ends_everything() {
    let run = Run::new(THREE);
    let demo = run.start(PROCESSES);
    signal("-INT", demo.id());
    let output = demo.wait_with_output().expect("it ends");
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("interrupted"), "{errors}");
    assert_eq!(run.processes(), []);
}

#[test]
fn a_process_that_dies_ends_everything_and_is_named() {
    let run = Run::new(THREE);
    let demo = run.start(PROCESSES);
    let processes = run.processes();
    let party = processes.iter().find(|(_, line)| line.contains("party-MPCBZZ01"));
    signal("-KILL", party.expect("it runs").0);
    let output = demo.wait_with_output().expect("it ends");
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("party-MPCBZZ01 ended by itself"), "{errors}");
    assert_eq!(run.processes(), []);
}

#[test]
fn nothing_outlives_a_demonstration_that_is_killed() {
    let run = Run::new(THREE);
    let mut demo = run.start(PROCESSES);
    demo.kill().expect("it runs");
    demo.wait().expect("ours");
    wait("the end of all processes", || run.processes().is_empty());
}
