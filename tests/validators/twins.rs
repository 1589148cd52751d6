//! Two processes vote with one key.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use quittance_rpc::ports::free_range;

use crate::convicted;
use crate::process::Process;
use crate::town::{Town, name};

const PATIENCE: Duration = Duration::from_secs(180);

/// Where nobody listens.
const NOWHERE: &str = "127.0.0.1:1";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// The first validator calls all others. Its twin, a copy of its folder, calls the last two, and takes
/// turns with it there.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_with_one_key_make_no_second_chain_and_are_convicted() {
    let mut town = Town::furnished(4);
    let original = town.home(0);
    let home = original.with_file_name("TWIN");
    let addresses: Vec<String> = (0..4).map(|at| town.address(at).to_owned()).collect();
    let reach = |peers: [usize; 2]| {
        let addresses = addresses.clone();
        move |to: usize| match peers.contains(&to) {
            true => addresses[to].clone(),
            false => NOWHERE.to_owned(),
        }
    };
    let listens = format!("127.0.0.1:{}", free_range(1).unwrap());
    town.configure(0, |file| file.listen.address = listens);
    town.direct(0, reach([2, 3]));
    copy(&original, &home);
    town.configure(0, |file| file.listen.address = addresses[0].clone());
    town.direct(0, reach([1, 2]));
    (0..4).for_each(|at| town.start(at));
    town.settle(1, 2).await;
    let mut twin = Process::start(&home.join("config.toml"), |_| {});
    assert!(twin.address.is_some());
    let began = Instant::now();
    let mut accused = BTreeSet::new();
    for at in (1..4).cycle() {
        town.settle(at, 1).await;
        (1..4).for_each(|at| accused.extend(convicted(&mut town, at)));
        if !accused.is_empty() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "twins have not contradicted each other");
    }
    println!("convicted after {:?}", began.elapsed());
    assert_eq!(accused, BTreeSet::from([name(0)]));
    twin.kill();
    town.settle(1, 2).await;
    town.compare().await;
}
