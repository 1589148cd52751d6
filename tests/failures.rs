//! Known failures of systems like this one: each has its tests, by name, in the file that
//! `docs/security-tests.md` gives.

use std::fs;

use quittance_tests::tables::{rows, workspace};

/// The tests that a row names: a file, and functions in it.
fn named(tests: &str) -> (String, Vec<String>) {
    let mut quoted = tests.split('`').skip(1).step_by(2).map(str::to_owned);
    let file = quoted.next().unwrap_or_else(|| panic!("no file: {tests}"));
    (file, quoted.collect())
}

/// Whether the source has a test of this name: the attribute comes right before the function, but
/// for other attributes and inside `proptest!`.
fn has_test(source: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    let Some((before, _)) = source.split_once(&function) else { return false };
    let lines = before.rsplit('\n').map(str::trim);
    let attributes = lines.skip(1).take_while(|line| line.starts_with("#["));
    attributes.into_iter().any(|line| line.contains("test"))
}

#[test]
fn every_known_failure_has_its_tests() {
    let rows = rows("docs/security-tests.md", "failure");
    assert!(rows.len() >= 40, "{} rows", rows.len());
    let mut missing = vec![];
    for row in &rows {
        let [failure, _, tests] = &row[..] else { panic!("three columns: {row:?}") };
        let (file, tests) = named(tests);
        let source = fs::read_to_string(workspace().join(&file)).unwrap_or_default();
        assert!(!tests.is_empty(), "{failure}: no test");
        let absent = tests.iter().filter(|test| !has_test(&source, test));
        missing.extend(absent.map(|test| format!("{failure}: {file} has no test {test}")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn what_is_no_test_is_not_taken_for_one() {
    let source =
        "#[test]\n#[ignore]\nfn a() {}\n\nfn b() {}\n// #[test]\nfn c() {}\n#[test]\nfn dd() {}";
    let found = ["a", "b", "c", "d", "dd"].map(|name| has_test(source, name));
    assert_eq!(found, [true, false, false, false, true]);
}

/// Every version of the library in the lock file is free of the branch that compilers inserted
/// into its subtraction (RUSTSEC-2024-0344).
#[test]
fn no_curve25519_dalek_below_4_1_3_is_linked() {
    let lock = fs::read_to_string(workspace().join("Cargo.lock")).expect("the lock file");
    let versions: Vec<[u32; 3]> = lock
        .split("[[package]]")
        .filter(|package| package.contains("name = \"curve25519-dalek\"\n"))
        .map(|package| {
            let version =
                package.split("version = \"").nth(1).and_then(|rest| rest.split('"').next());
            let release = version.and_then(|version| version.split(['-', '+']).next());
            let numbers = release.into_iter().flat_map(|release| release.split('.'));
            let numbers: Vec<u32> = numbers.map(|part| part.parse().expect("a number")).collect();
            numbers.try_into().expect("three numbers")
        })
        .collect();
    assert!(!versions.is_empty());
    assert!(versions.iter().all(|version| *version >= [4, 1, 3]), "{versions:?}");
}
