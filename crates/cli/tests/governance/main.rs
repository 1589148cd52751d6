//! Decisions and new keys from the command line, with a validator that runs.
#![allow(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

#[macro_use]
#[path = "../common/mod.rs"]
mod common;
mod forms;
mod liar;
mod site;

use std::fs;

use serde_json::{Value, json};

use liar::{Liar, Shows};
use quittance_rpc::config::Target;
use site::{AHEAD, Site, done, limits, quittance, refused, text};

#[test]
fn limits_hold_from_their_height_on_and_a_suspended_bank_is_known_as_such() {
    let site = Site::running();
    let changes = json!([
        { "set-limits": limits(700) },
        { "suspend": { "institution": "BANKZZ02" } },
    ]);
    let effective = site.decide("one.json", &changes);
    // The same again is harmless; another one with that number is not admitted.
    let (file, dir) = (site.file("one.json"), site.net(""));
    let again = refused(&["governance", "submit", &file, "--dir", &dir]);
    assert!(again.contains("the decision has number 1, the next one is 2"), "{again}");
    let shown = |site: &Site| {
        let form = json!({ "effective": 900_000, "changes": [
            { "set-limits": limits(600) }, { "readmit": { "institution": "BANKZZ02" } },
        ] });
        let (form, out) = (site.write("look-form.json", &form), site.file("look.json"));
        let output =
            quittance(&["governance", "make", &form, "--out", &out, "--dir", &site.net("")]);
        drop(fs::remove_file(out));
        (text(&output.stdout), text(&output.stderr))
    };
    site.wait_for(effective);
    let (after, error) = shown(&site);
    assert!(after.contains("limits: refund_after is 600 instead of 700"), "{after} {error}");
    assert!(after.contains("BANKZZ02 is suspended no more") && after.starts_with("Decision 2\n"));
    // Suspended it is, and cannot be again.
    let form =
        json!({ "effective": 900_000, "changes": [{ "suspend": { "institution": "BANKZZ02" } }] });
    let (form, out) = (site.write("twice-form.json", &form), site.file("twice.json"));
    let twice = refused(&["governance", "make", &form, "--out", &out, "--dir", &dir]);
    assert!(twice.contains("changes[0] (suspend): BANKZZ02 is suspended"), "{twice}");
}

/// A decision is believed to be final by its receipt alone, whatever the node says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lies_about_a_decision_is_not_believed() {
    const NODE: &str = "urn:quittance:VALDZZ01:node";
    let site = Site::running();
    let limits_of = |refund_after| json!([{ "set-limits": limits(refund_after) }]);
    site.sign("first.json", &limits_of(700));
    let said = site.submit("first.json");
    let id = said.split("as transaction ").nth(1).unwrap().split(';').next().unwrap();
    let first = id.parse().unwrap();
    site.sign("second.json", &limits_of(600));

    let (file, genesis) = (site.file("second.json"), site.net("genesis.json"));
    let [certificate, key] = ["tls.pem", "tls.key"].map(|name| site.net(&format!("node/{name}")));
    let ca = site.net("ca/ca.pem");
    let ours = ["--certificate", &certificate, "--key", &key, "--ca", &ca];
    let target = Target { address: site.address(), identity: NODE.parse().unwrap() };
    for (shows, words) in [
        (Shows::Nothing, "the transaction is in no block"),
        (Shows::Another(first), "the node sends a receipt of something else"),
        (Shows::Renamed(first), "the node sends a receipt that does not hold: "),
    ] {
        let address = Liar::start(&site.path("net"), &target, shows).await;
        let there = ["--genesis", &genesis, "--node", &address, "--identity", NODE];
        let submit = ["governance", "submit", &file, "--within", "20"];
        let said = refused(&[&submit[..], &there, &ours].concat());
        assert!(said.contains("the node says that it is final, and does not prove it: "), "{said}");
        assert!(said.contains(words), "{shows:?}: {said}");
        assert!(said.contains("submit the same file again, through another node"), "{said}");
    }
    // It was kept from the chain, which takes it now.
    assert!(site.submit("second.json").starts_with("final in block "));
}

#[test]
fn an_institution_replaces_its_own_key_once_its_height_has_come() {
    let site = Site::running();
    let (keys, dir) = (site.net("agent-BANKZZ01/keys.age"), site.net(""));
    let before = done(&["keys", "inspect", &keys]);
    let effective = (site.height() + AHEAD).to_string();
    let out = site.file("rotation.json");
    let rotate = |out: &str, used_for: &str, effective: &str| {
        let arguments = ["keys", "rotate", &keys, "--use", used_for, "--effective", effective];
        quittance(&[&arguments[..], &["--out", out, "--dir", &dir]].concat())
    };
    let made = rotate(&out, "transaction", &effective);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(text(&made.stdout).contains("BANKZZ01: has signed"), "{}", text(&made.stdout));
    // The file has one more key; what it had stays.
    let after = done(&["keys", "inspect", &keys]);
    assert_eq!(after.lines().count(), before.lines().count() + 1);
    assert!(before.lines().all(|line| after.contains(line)));
    // Interrupted here, the same key is taken again.
    let other = site.file("again.json");
    assert!(rotate(&other, "transaction", &effective).status.success());
    assert_eq!(done(&["keys", "inspect", &keys]), after);

    let submitted = done(&["governance", "submit", &out, "--dir", &dir]);
    assert!(submitted.contains(&format!("takes effect at height {effective}")), "{submitted}");
    let pending = rotate(&site.file("second.json"), "transaction", "900000");
    assert!(
        text(&pending.stderr).contains("the chain would refuse it"),
        "{}",
        text(&pending.stderr)
    );
    site.wait_for(effective.parse().unwrap());
    // Now the new key signs: for another one of the same file.
    let sealing = rotate(&site.file("sealing.json"), "sealing", "900000");
    assert!(sealing.status.success(), "{}", text(&sealing.stderr));
    let file: Value =
        serde_json::from_slice(&fs::read(site.path("sealing.json")).unwrap()).unwrap();
    let first: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    let new = first["summary"]["action"]["key-rotation"]["fingerprint"].as_str().unwrap();
    assert!(file["body"].as_str().unwrap().contains(new));

    let party = site.net("party-MPCAZZ01/keys.age");
    let none = refused(&[
        "keys",
        "rotate",
        &party,
        "--use",
        "round",
        "--effective",
        "900000",
        "--out",
        &site.file("party.json"),
        "--dir",
        &dir,
    ]);
    assert!(none.contains("has no transaction key on this chain, and can sign nothing"), "{none}");
}

#[test]
fn several_operators_sign_copies_and_a_quorum_is_needed() {
    let site = Site::of_files("4");
    let genesis = site.net("genesis.json");
    let form = json!({
        "effective": 500,
        "changes": [{ "put-validator": { "institution": "VALDZZ01", "power": 2 } }],
        "approvals": ["VALDZZ01", "VALDZZ02", "VALDZZ03"],
    });
    let made = site.make_offline("one.json", &form);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let shown = text(&made.stdout);
    assert!(shown.contains("validator VALDZZ01 has voting power 2 instead of 1"), "{shown}");
    let (one, two) = (site.file("one.json"), site.file("two.json"));
    fs::copy(&one, &two).unwrap();
    let keys = |number: u8| match number {
        1 => site.net("node/keys.age"),
        _ => site.net(&format!("node-VALDZZ0{number}/keys.age")),
    };
    let sign = |file: &str, number: u8| {
        quittance(&["governance", "sign", file, "--keys", &keys(number), "--genesis", &genesis])
    };
    assert!(sign(&one, 1).status.success() && sign(&two, 2).status.success());
    let stranger = sign(&one, 4);
    let said = text(&stranger.stderr);
    assert!(
        said.contains("VALDZZ04 does not sign it; those who do: VALDZZ01, VALDZZ02, VALDZZ03"),
        "{said}"
    );
    let joined = done(&["governance", "join", &one, &two]);
    assert!(joined.contains("has the signatures of VALDZZ01, VALDZZ02\n"), "{joined}");
    let shown = done(&["governance", "show", &one, "--genesis", &genesis]);
    assert!(shown.contains("VALDZZ02 (voting power 1 of 4): has signed\n"), "{shown}");
    assert!(shown.contains("VALDZZ03 (voting power 1 of 4): has not signed yet\n"), "{shown}");
    let nowhere = refused(&["governance", "submit", &one, "--genesis", &genesis]);
    assert!(nowhere.contains("a node is needed"), "{nowhere}");

    // Another proposal is not joined, and too few are not asked.
    let other = json!({ "effective": 501, "changes": form["changes"] });
    assert!(site.make_offline("other.json", &other).status.success());
    let mixed = refused(&["governance", "join", &one, &site.file("other.json")]);
    assert!(mixed.contains("other.json is another proposal"), "{mixed}");
    let few = json!({ "effective": 500, "changes": form["changes"], "approvals": ["VALDZZ01", "VALDZZ02"] });
    assert!(site.refusal(&few).contains("approvals: they have voting power 2 of 4, not more than"));
}

#[test]
fn a_proposal_for_another_chain_or_with_anything_changed_is_refused() {
    let (site, other) = (Site::of_files("1"), Site::of_files("1"));
    let form = json!({ "effective": 500, "changes": [{ "retire-asset": { "asset": "USD" } }] });
    assert!(site.make_offline("one.json", &form).status.success());
    let (one, genesis) = (site.file("one.json"), site.net("genesis.json"));
    let keys = site.net("node/keys.age");
    done(&["governance", "sign", &one, "--keys", &keys, "--genesis", &genesis]);
    let wrong = refused(&[
        "governance",
        "sign",
        &one,
        "--keys",
        &keys,
        "--genesis",
        &other.net("genesis.json"),
    ]);
    assert!(wrong.contains("the proposal is for chain "), "{wrong}");

    let good: Value = serde_json::from_slice(&fs::read(&one).unwrap()).unwrap();
    let show = |value: &Value| {
        let file = site.write("changed.json", value);
        refused(&["governance", "show", &file, "--genesis", &genesis])
    };
    let mut changed = good.clone();
    changed["summary"]["effective"] = json!(501);
    assert!(show(&changed).contains("the summary says something else than the bytes"));
    let mut changed = good.clone();
    changed["summary"]["action"]["decision"]["changes"][0]["retire-asset"]["asset"] = json!("EUR");
    assert!(show(&changed).contains("the summary says something else than the bytes"));
    let mut changed = good.clone();
    changed["comment"] = json!("harmless");
    assert!(show(&changed).contains("unknown field `comment`"));
    // One bit of the bytes: no proposal any more, or one that says something else.
    let body = good["body"].as_str().unwrap();
    for at in (0..body.len()).step_by(17) {
        let digit = if body.as_bytes()[at] == b'0' { "1" } else { "0" };
        let mut changed = good.clone();
        changed["body"] = json!(format!("{}{digit}{}", &body[..at], &body[at + 1..]));
        let said = show(&changed);
        let known = ["not a proposal", "the summary says something else", "for chain"];
        assert!(known.iter().any(|reason| said.contains(reason)), "{at}: {said}");
    }
    let signature = good["signatures"]["VALDZZ01"].as_str().unwrap();
    let mut changed = good.clone();
    let digit = if signature.ends_with('0') { "1" } else { "0" };
    changed["signatures"]["VALDZZ01"] =
        json!(format!("{}{digit}", &signature[..signature.len() - 1]));
    assert!(show(&changed).contains("the signature of VALDZZ01: "));
    let mut changed = good.clone();
    changed["signatures"]["BANKZZ01"] = json!(signature);
    assert!(show(&changed).contains("signatures.BANKZZ01: it is not to be signed by BANKZZ01"));
}
