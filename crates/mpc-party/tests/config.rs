//! The configuration file: what is wrong is said all at once.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod common;

use common::*;
use quittance_mpc_party::Config;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_reported_with_file_and_key() {
    let world = World::new(2).await;
    let file = world.config(PARTIES[0]);
    let text = std::fs::read_to_string(&file).unwrap();
    let problems = |text: String| {
        std::fs::write(&file, text).unwrap();
        let error = Config::load(&file).err().unwrap();
        let problems = error.problems.into_iter();
        problems.map(|problem| format!("{}: {}", problem.key, problem.reason)).collect::<Vec<_>>()
    };
    assert!(Config::load(&file).unwrap().reporting.log.is_none());

    // Somebody else's name, with this party's keys and certificate.
    let found = problems(text.replace("\"MPCAZZ01\"", "\"BANKZZ01\""));
    for expected in [
        "keys: they are MPCAZZ01's, not BANKZZ01's",
        "tls.certificate: it names urn:quittance:MPCAZZ01:party, not urn:quittance:BANKZZ01:party",
    ] {
        assert!(found.iter().any(|problem| problem == expected), "{expected}: {found:#?}");
    }
    let found = problems(text.replace("compute_ms = 60000", "compute_ms = 0"));
    assert_eq!(found, ["compute_ms: must be between 1 and 3600000"]);
    let found = problems(text.replace("compute_ms", "compute_minutes"));
    assert!(found[0].contains("unknown field `compute_minutes`"), "{found:?}");

    let found = problems(text.replace("batches = 0", "batches = 65"));
    assert_eq!(found, ["preprocessing.batches: must be at most 64"]);
    let nothing = text.replace("comparisons = 40\nbits = 1000", "comparisons = 0\nbits = 0");
    std::fs::write(&file, &nothing).unwrap();
    assert!(Config::load(&file).is_ok(), "none is to be made");
    let found = problems(nothing.replace("batches = 0", "batches = 1"));
    let reason = "comparisons or bits must be above 0; batches = 0 turns it off";
    assert_eq!(found, [format!("preprocessing.comparisons: {reason}")]);

    // A colleague who is nowhere.
    let directory = file.parent().unwrap().parent().unwrap().join("directory.toml");
    let listed = std::fs::read_to_string(&directory).unwrap();
    let without: String = listed
        .lines()
        .filter(|line| !line.contains("MPCCZZ01"))
        .map(|l| format!("{l}\n"))
        .collect();
    std::fs::write(&directory, without).unwrap();
    assert_eq!(problems(text), ["directory: it does not say where MPCCZZ01 is"]);
}
