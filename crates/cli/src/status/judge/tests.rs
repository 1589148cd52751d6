use super::*;
use crate::status::Status;
use crate::status::probe::{Facts, NodeAt};
use crate::status::show;
use crate::status::subject::tests::subject;

const NOW: u64 = 1_764_286_812_000;
const LATE: Duration = Duration::from_secs(30);

fn at(height: u64, age_ms: u64) -> Facts {
    Facts {
        height: Some(height),
        block_ms: Some(NOW - age_ms),
        version: Some("0.1.0".to_owned()),
        started_ms: Some(NOW - 7_500_000),
        ..Facts::default()
    }
}

fn told(name: &str, state: State, facts: Facts) -> Asked {
    let place = match name.rsplit(':').next() {
        Some("node") => "127.0.0.1:7000",
        Some("agent") => "127.0.0.1:7007",
        _ => "127.0.0.1:7002",
    };
    Asked::told(subject(&format!("urn:quittance:{name}"), place), state, facts, NOW)
}

/// A node, and somebody else.
fn pair(node: Facts, state: State, facts: Facts) -> Vec<Asked> {
    let at = NodeAt { height: node.height.unwrap(), block_ms: node.block_ms.unwrap() };
    let mut other = told("AAAAZZ01:agent", state, facts);
    other.node = Some(at);
    vec![told("VALDZZ01:node", State::Ready, node), other]
}

fn found(asked: &[Asked]) -> Vec<String> {
    let findings = findings(asked, &[], LATE);
    findings.into_iter().map(|it| format!("{}: {}", it.place, it.what)).collect()
}

#[test]
fn nothing_is_said_when_all_is_well() {
    let mut connected = at(99, 300);
    connected.connected = Some(true);
    assert_eq!(found(&pair(at(99, 300), State::Ready, connected.clone())), [""; 0]);
    // A block or two behind, as one always is; somebody who does not speak with us.
    connected.height = Some(95);
    assert_eq!(found(&pair(at(99, 300), State::Listens, connected)), [""; 0]);
    assert_eq!(found(&pair(at(99, 300), State::Listens, Facts::default())), [""; 0]);
    assert_eq!(found(&[]), [""; 0]);
}

#[test]
fn every_trouble_has_its_words() {
    let agent = "agent AAAAZZ01 at 127.0.0.1:7007: ";
    let one = |node: Facts, state, facts| {
        let mut found = found(&pair(node, state, facts));
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    };
    let ready = |facts| one(at(99, 300), State::Ready, facts);
    for state in [
        State::NotReady,
        State::NotListening,
        State::NotReached,
        State::Silent,
        State::Another,
        State::NotTrusted,
        State::Refused,
    ] {
        assert!(one(at(99, 300), state, Facts::default()).starts_with(agent));
        assert_eq!(state.label(), state.label().to_uppercase(), "what is not well stands out");
    }
    let away = Facts { connected: Some(false), ..at(99, 300) };
    assert_eq!(ready(away), format!("{agent}it gets no blocks from the node"));
    let behind = format!("{agent}it is 39 blocks behind the node, by 40 s");
    assert_eq!(ready(at(60, 40_300)), behind);
    let still = one(at(99, 45_000), State::Ready, at(99, 45_000));
    assert_eq!(
        still,
        "node VALDZZ01 at 127.0.0.1:7000: its last block is 45 s old, longer than the 30 s allowed here"
    );
    let newer = Facts { version: Some("0.2.0".to_owned()), ..at(99, 300) };
    assert_eq!(ready(newer), "the network: programs of 2 versions run at the same time");
    let mut deaf = pair(at(99, 300), State::Ready, at(99, 300));
    deaf[1].metrics = Err("at 127.0.0.1:7017: Connection refused".to_owned());
    assert!(found(&deaf)[0].contains("its metrics do not: at 127.0.0.1:7017"));
}

#[test]
fn a_node_on_an_older_copy_is_to_be_stopped() {
    let mut processes = pair(at(99, 300), State::Ready, at(120, 5_000));
    let node = "node VALDZZ01 at 127.0.0.1:7000: it runs on an older copy of its chain: ";
    let only = format!("{node}it ends at block 99, and another process has block 120");
    assert_eq!(found(&processes), [only]);
    // Said once, however many there are; and not that they do not follow it.
    let mut another = told("BBBBZZ01:agent", State::Ready, at(119, 5_000));
    another.facts.connected = Some(false);
    another.node = processes[1].node;
    processes.push(another);
    let both = format!("{node}it ends at block 99, and other processes have block 120");
    assert_eq!(found(&processes), [both]);
    let advice = &findings(&processes, &[], LATE)[0].advice[0];
    assert!(advice.starts_with("STOP THE NODE AT ONCE"), "{advice}");
}

#[test]
fn one_look_tells_what_is_wrong_and_what_to_do() {
    let mut dead = told("MPCAZZ01:party", State::NotListening, Facts::default());
    dead.reason = "cannot be reached: Connection refused (os error 111)".to_owned();
    let (config, log) = ("net/party-MPCAZZ01/config.toml".into(), "net/party-MPCAZZ01/log".into());
    dead.subject.home = Some(Home { config, log: Some(log) });
    let mut processes = pair(at(99, 300), State::Ready, at(98, 550));
    processes[1].facts.work = [("transfers", 2), ("payments", 0), ("warnings", 1)].into();
    processes.insert(1, dead);
    let findings = findings(&processes, &[], LATE);
    let status = Status { at_ms: NOW, processes, findings };
    assert_eq!(
        show::text(&status),
        "\
2025-11-27T23:40:12Z

  process    institution  state          block  behind  its age      up for  version  in hand                 at
  ---------  -----------  -------------  -----  ------  -------  ----------  -------  ----------------------  --------------
  node       VALDZZ01     ready             99            0.3 s  2 h 05 min  0.1.0                            127.0.0.1:7000
  MPC party  MPCAZZ01     NOT LISTENING                                                                       127.0.0.1:7002
  agent      AAAAZZ01     ready             98       1    0.6 s  2 h 05 min  0.1.0    2 transfers, 1 warning  127.0.0.1:7007

NOT WELL:

  MPC party MPCAZZ01 at 127.0.0.1:7002
    nothing listens there: Connection refused (os error 111)
    Until it is back no round settles. Transfers and exchanges go on, and queued payments wait.
    Its log: net/party-MPCAZZ01/log
    Start it: quittance mpc-party --config net/party-MPCAZZ01/config.toml
"
    );
    let json: serde_json::Value = serde_json::from_str(&show::json(&status).unwrap()).unwrap();
    assert_eq!((&json["well"], json["processes"].as_array().unwrap().len()), (&false.into(), 3));
    assert_eq!(json["processes"][1]["state"], "not_listening");
    assert_eq!(json["processes"][1]["height"], serde_json::Value::Null);
    assert_eq!(json["processes"][2]["behind"], 1);
    assert_eq!(json["processes"][2]["in_hand"]["transfers"], 2);
    assert!(json["findings"][0]["advice"].as_array().unwrap().len() == 3);
}

/// So many validators with as many others, each connected with all.
fn town(count: u64) -> Vec<Asked> {
    let validator = |at: u64| {
        let facts = Facts {
            peers: Some(count - 1),
            validators: Some(count),
            power: Some(1.0 / count as f64),
            ..at_rest()
        };
        told(&format!("VALDZZ0{}:node", at + 1), State::Ready, facts)
    };
    (0..count).map(validator).collect()
}

fn at_rest() -> Facts {
    at(99, 300)
}

#[test]
fn of_several_validators_one_line_tells_what_is_not_well() {
    let node = |number: u8| format!("node VALDZZ0{number} at 127.0.0.1:7000: ");
    assert_eq!(found(&town(4)), [""; 0]);
    // One may be away, and then somebody has more than it: that is no older copy.
    let mut one = town(4);
    one[3].state = State::Silent;
    one[0].facts.height = Some(90);
    assert_eq!(found(&one), [node(4)]);
    let advice = &findings(&one, &[], LATE)[0].advice[0];
    assert!(advice.starts_with("The others decide without it"), "{advice}");
    let mut two = one;
    two[2].state = State::NotListening;
    let all = found(&two);
    assert_eq!(all.len(), 3, "{all:?}");
    let few = "the validators: only 2 of 4 are up: not more than two thirds of the voting power";
    assert_eq!(all[0], few);

    let with = |change: fn(&mut Facts)| {
        let mut town = town(4);
        change(&mut town[1].facts);
        found(&town)
    };
    let partly = with(|facts| facts.peers = Some(2));
    assert_eq!(partly, [node(2) + "it is connected with 2 of 3 others: still a quorum"]);
    let cut = with(|facts| facts.peers = Some(1));
    let none = "it is connected with 1 of 3 others: no quorum: it decides nothing";
    assert_eq!(cut, [node(2) + none]);
    let late = with(|facts| (facts.height, facts.block_ms) = (Some(59), Some(NOW - 50_300)));
    assert_eq!(late, [node(2) + "it is 40 blocks behind the others, by 50 s"]);
    let left = with(|facts| (facts.power, facts.peers) = (Some(0.0), Some(0)));
    assert!(left[0].contains("it is no validator"), "{left:?}");

    let mut still = town(4);
    still.iter_mut().for_each(|it| it.facts.block_ms = Some(NOW - 45_000));
    assert_eq!(found(&still), ["the validators: enough are up, and their last block is 45 s old"]);
    // Weights count, not heads.
    let mut heavy = town(4);
    heavy[0].facts.power = Some(0.7);
    heavy.iter_mut().skip(1).for_each(|it| it.facts.power = Some(0.1));
    heavy[0].state = State::Silent;
    assert!(
        found(&heavy)[0].starts_with("the validators: only 3 of 4 are up"),
        "{heavy}",
        heavy = found(&heavy)[0]
    );
}

#[test]
fn the_table_shows_with_whom_validators_are_connected() {
    let mut processes = town(4);
    processes[2].facts.peers = Some(2);
    processes[2].facts.work = [("contradictions", 2)].into();
    let status = Status { at_ms: NOW, findings: findings(&processes, &[], LATE), processes };
    let text = show::text(&status);
    println!("{text}");
    let row = text.lines().find(|line| line.contains("VALDZZ03")).unwrap();
    assert!(row.contains("2 of 3") && row.contains("2 contradictions"), "{row}");
    let json: serde_json::Value = serde_json::from_str(&show::json(&status).unwrap()).unwrap();
    assert_eq!(
        (&json["processes"][2]["peers"], &json["processes"][2]["validators"]),
        (&2.into(), &4.into())
    );
}
