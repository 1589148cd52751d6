//! Planted defects: each is listed with the test that kills it, each test does so, and no program
//! that serves can hold one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use quittance_crypto::planted::{COMPILED_IN, VARIABLE};
use quittance_tests::binaries;
use quittance_tests::tables::{rows, workspace};
use serde_json::Value;

const FEATURE: &str = "quittance-crypto/planted-defects";

/// Far above what any of the tests takes: a defect that makes its test wait for ever is an error.
const PATIENCE: Duration = Duration::from_secs(300);

/// A test program: the folder of its crate, and `lib` or the name of the integration test.
type Program = (String, String);

/// A row of the table: a defect and the test that must notice it.
struct Defect {
    name: String,
    program: Program,
    test: String,
}

/// The table of `docs/security-tests.md`.
fn listed() -> Vec<Defect> {
    let rows = rows("docs/security-tests.md", "defect");
    let defect = |row: Vec<String>| {
        let [name, _, killer] = <[String; 3]>::try_from(row).expect("three columns");
        let killer: Vec<&str> = killer.trim_matches('`').split(' ').collect();
        let [package, target, test] = killer[..] else { panic!("{killer:?} is no test") };
        let program = (package.to_owned(), target.to_owned());
        Defect { name: name.trim_matches('`').to_owned(), program, test: test.to_owned() }
    };
    rows.into_iter().map(defect).collect()
}

/// The names in all `planted!` of the crates.
fn planted(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            planted(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            let uses = text.split("planted!(").skip(1);
            let names =
                uses.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn the_table_lists_what_is_planted() {
    let mut found = vec![];
    planted(&workspace().join("crates"), &mut found);
    found.retain(|name| name != "its name");
    let distinct: BTreeSet<String> = found.iter().cloned().collect();
    assert_eq!(distinct.len(), found.len(), "a name is planted twice");
    let listed: Vec<Defect> = listed();
    let names: BTreeSet<String> = listed.iter().map(|defect| defect.name.clone()).collect();
    assert_eq!(names.len(), listed.len(), "a name is listed twice");
    assert_eq!(names, distinct);
    assert!(names.len() >= 20);
}

/// The feature is in nobody's default, and nobody's dependency asks for it.
#[test]
fn no_package_turns_the_feature_on() {
    const { assert!(!COMPILED_IN) };
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let mut declared = 0;
    for package in packages {
        for (feature, enables) in package["features"].as_object().expect("features") {
            declared += usize::from(feature == "planted-defects");
            assert!(!enables.to_string().contains("planted"), "{}: {feature}", package["name"]);
        }
        let dependencies = package["dependencies"].to_string();
        assert!(!dependencies.contains("planted"), "{} asks for defects", package["name"]);
    }
    assert_eq!(declared, 1, "crypto alone has the feature");
}

#[test]
#[ignore = "builds the tests a second time and takes minutes: `make defects`"]
fn each_defect_is_killed_by_its_test() {
    let defects = listed();
    let programs = build(&defects);
    let mut problems = healthy(&defects, &programs);
    let (queue, verdicts) = (Mutex::new(defects.iter()), Mutex::new(vec![]));
    let work = || {
        loop {
            let Some(defect) = queue.lock().expect("no worker panics").next() else { break };
            let start = Instant::now();
            let tests = [defect.test.as_str()];
            let verdict = run(&programs, &defect.program, &tests, Some(&defect.name));
            let verdict = (defect, verdict, start.elapsed());
            verdicts.lock().expect("no worker panics").push(verdict);
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    for (defect, verdict, time) in verdicts.into_inner().expect("no worker panics") {
        let killed = matches!(verdict, Verdict::Counted { passed: 0, failed: 1 });
        println!("{:<36} {:>6.1} s  {verdict:?}", defect.name, time.as_secs_f64());
        if !killed {
            problems.push(format!("{}: {} {verdict:?}", defect.name, defect.test));
        }
    }
    println!("{} defects planted, {} not killed", defects.len(), problems.len());
    assert!(problems.is_empty(), "{problems:#?}");
}

/// With the feature, neither program that is shipped can be built. Together with a small test, so
/// that cargo chooses the features of libraries as for the other builds, and finds them built.
#[test]
#[ignore = "builds the programs' packages with defects: `make defects`"]
fn no_program_can_be_built_with_defects() {
    for program in ["quittance-audit", "quittance"] {
        let arguments = ["build", "--workspace", "--release", "--locked", "--features", FEATURE];
        let output = cargo(&[&arguments[..], &["--bin", program, "--test", "sample"]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{program} was built with defects");
        assert!(errors.contains("no program that serves may hold defects"), "{errors}");
    }
}

/// What became of a run of tests.
#[derive(Debug)]
enum Verdict {
    /// The program counted them.
    Counted { passed: usize, failed: usize },
    /// It ended in another way: by a signal, or without a summary.
    #[expect(dead_code, reason = "shown by Debug")]
    Ended(ExitStatus),
    /// It did not end.
    Silent,
}

fn cargo(arguments: &[&str]) -> std::process::Output {
    let mut command = binaries::cargo();
    command.args(arguments).current_dir(workspace());
    command.output().expect("cargo runs")
}

/// Builds the programs of all tests that are named, with the feature.
fn build(defects: &[Defect]) -> BTreeMap<Program, PathBuf> {
    let programs: BTreeSet<&Program> = defects.iter().map(|defect| &defect.program).collect();
    let targets = programs.iter().filter(|(_, target)| target != "lib");
    let targets: BTreeSet<String> = targets.map(|(_, target)| format!("--test={target}")).collect();
    // The whole workspace: any other choice of packages could choose other features for those that
    // all share, and compile them anew.
    let fixed = ["test", "--workspace", "--release", "--locked", "--no-run"];
    let chosen = ["--message-format=json", "--features", FEATURE, "--lib"];
    let arguments: Vec<&str> =
        fixed.into_iter().chain(chosen).chain(targets.iter().map(String::as_str)).collect();
    let output = cargo(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    let artifacts = messages.lines().filter_map(|line| artifact(&serde_json::from_str(line).ok()?));
    let built: BTreeMap<Program, PathBuf> = artifacts.collect();
    assert!(programs.iter().all(|program| built.contains_key(*program)), "{built:?}");
    built
}

/// The test program that a message of cargo is about, if it is about one.
fn artifact(message: &Value) -> Option<(Program, PathBuf)> {
    let executable = PathBuf::from(message["executable"].as_str()?);
    let package = Path::new(message["manifest_path"].as_str()?).parent()?.file_name()?.to_str()?;
    let target = match message["target"]["kind"][0].as_str()? {
        "test" => message["target"]["name"].as_str()?,
        _ => "lib",
    };
    Some(((package.to_owned(), target.to_owned()), executable))
}

/// Every test named passes while no defect is on; otherwise what it says.
fn healthy(defects: &[Defect], programs: &BTreeMap<Program, PathBuf>) -> Vec<String> {
    let mut tests: BTreeMap<&Program, BTreeSet<&str>> = BTreeMap::new();
    for defect in defects {
        tests.entry(&defect.program).or_default().insert(&defect.test);
    }
    let problem = |(program, tests): (&Program, BTreeSet<&str>)| {
        let tests: Vec<&str> = tests.into_iter().collect();
        match run(programs, program, &tests, None) {
            Verdict::Counted { passed, failed: 0 } if passed == tests.len() => None,
            verdict => Some(format!("without a defect, {program:?} {tests:?}: {verdict:?}")),
        }
    };
    tests.into_iter().filter_map(problem).collect()
}

/// Runs exactly these tests of a program, with at most one defect on.
fn run(
    programs: &BTreeMap<Program, PathBuf>,
    program: &Program,
    tests: &[&str],
    defect: Option<&str>,
) -> Verdict {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("output");
    let output = File::create(&path).expect("a file");
    let mut command = Command::new(&programs[program]);
    command.args(tests).args(["--exact", "--include-ignored"]).env_remove(VARIABLE);
    command.envs(defect.map(|name| (VARIABLE, name)));
    command.current_dir(workspace().join("crates").join(&program.0));
    command.stderr(output.try_clone().expect("a file")).stdout(output);
    let mut child = command.spawn().expect("a test program");
    let start = Instant::now();
    let status = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break status,
            None if start.elapsed() > PATIENCE => {
                child.kill().expect("a child");
                child.wait().expect("a child");
                return Verdict::Silent;
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    let output = String::from_utf8_lossy(&fs::read(&path).expect("the output")).into_owned();
    counts(&output)
        .map_or(Verdict::Ended(status), |(passed, failed)| Verdict::Counted { passed, failed })
}

/// Reads `test result: ok. 1 passed; 0 failed; ...`.
fn counts(output: &str) -> Option<(usize, usize)> {
    let summary = output.lines().rev().find_map(|line| line.strip_prefix("test result: "))?;
    let mut numbers = summary.split([' ', '.', ';']).filter_map(|word| word.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}
