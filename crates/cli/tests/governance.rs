//! Decisions and new keys from the command line, with a validator that runs.
#![allow(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Blocks that a decision leaves to everybody who is to sign and submit it, on a busy machine. The
/// validator makes four in a second when there is nothing to do.
const AHEAD: u64 = 120;

fn quittance(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quittance")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The output of a command that must succeed.
fn done(arguments: &[&str]) -> String {
    let output = quittance(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What a command that must fail says.
fn refused(arguments: &[&str]) -> String {
    let output = quittance(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

/// A network of two banks; its validator runs if it is wanted.
struct Site {
    home: tempfile::TempDir,
    node: Option<Child>,
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(node) = &mut self.node {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

impl Site {
    /// The files alone, with so many validators.
    fn of_files(validators: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let port = quittance_rpc::ports::free_range(24).unwrap().to_string();
        let dir = home.path().join("net").display().to_string();
        let network = ["--institutions", "2", "--validators", validators, "--base-port", &port];
        done(&[&["testnet", "--dir", &dir][..], &network].concat());
        Self { home, node: None }
    }

    fn running() -> Self {
        let mut site = Self::of_files("1");
        site.start();
        site
    }

    fn start(&mut self) {
        let config = self.net("node/config.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_quittance"));
        command.args(["node", "--config", &config, "--stop-with-parent"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.node = Some(command.spawn().unwrap());
        let read = fs::read_to_string(&config).unwrap();
        let address = read.lines().find_map(|line| line.strip_prefix("address = \"")).unwrap();
        let address = address.trim_end_matches('"').to_owned();
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < deadline, "the validator does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn net(&self, name: &str) -> String {
        self.file(&format!("net/{name}"))
    }

    fn write(&self, name: &str, value: &Value) -> String {
        fs::write(self.path(name), serde_json::to_vec_pretty(value).unwrap()).unwrap();
        self.file(name)
    }

    /// Makes a proposal with the genesis alone.
    fn make_offline(&self, name: &str, form: &Value) -> Output {
        let form = self.write("form.json", form);
        let (out, genesis) = (self.file(name), self.net("genesis.json"));
        quittance(&["governance", "make", &form, "--out", &out, "--genesis", &genesis])
    }

    /// Why a form is refused.
    fn refusal(&self, form: &Value) -> String {
        let output = self.make_offline("refused.json", form);
        assert_eq!(output.status.code(), Some(1), "{form}");
        assert!(!self.path("refused.json").exists());
        text(&output.stderr)
    }

    /// How far the chain is, as a proposal that is made there says.
    fn height(&self) -> u64 {
        let far =
            json!({ "effective": 900_000, "changes": [{ "retire-asset": { "asset": "USD" } }] });
        let (form, out) = (self.write("height-form.json", &far), self.file("height.json"));
        let shown = done(&["governance", "make", &form, "--out", &out, "--dir", &self.net("")]);
        fs::remove_file(out).unwrap();
        number_after(&shown, "the chain is at ")
    }

    fn wait_for(&self, height: u64) {
        let deadline = Instant::now() + Duration::from_secs(300);
        while self.height() < height {
            assert!(Instant::now() < deadline, "height {height} does not come");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Makes, signs and submits a decision of the one validator; at which height it takes effect.
    fn decide(&self, name: &str, changes: &Value) -> u64 {
        let effective = self.height() + AHEAD;
        let form = self.write("form.json", &json!({ "effective": effective, "changes": changes }));
        let (file, dir) = (self.file(name), self.net(""));
        let shown = done(&["governance", "make", &form, "--out", &file, "--dir", &dir]);
        assert!(shown.contains("VALDZZ01 (voting power 1 of 1): has not signed yet"), "{shown}");
        let unsigned = refused(&["governance", "submit", &file, "--dir", &dir]);
        assert!(
            unsigned.contains("voting power 0 of 1 has signed, which is not more than"),
            "{unsigned}"
        );
        assert!(unsigned.contains("missing: VALDZZ01"), "{unsigned}");
        let keys = self.net("node/keys.age");
        let signed = done(&["governance", "sign", &file, "--keys", &keys, "--dir", &dir]);
        assert!(signed.contains("VALDZZ01 (voting power 1 of 1): has signed"), "{signed}");
        let submitted = done(&["governance", "submit", &file, "--dir", &dir]);
        assert!(
            submitted.contains(&format!("it takes effect at height {effective}")),
            "{submitted}"
        );
        effective
    }
}

fn number_after(text: &str, words: &str) -> u64 {
    let rest = text.split(words).nth(1).unwrap();
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

fn limits(refund_after: u64) -> Value {
    json!({
        "pending_per_sender": 64, "refund_after": refund_after, "max_expiry": 1000,
        "max_round": 10000, "block_transactions": 10000, "block_bytes": 16777216,
    })
}

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

#[test]
fn what_is_wrong_in_a_form_is_named() {
    let site = Site::of_files("1");
    let decide = |changes: Value| site.refusal(&json!({ "effective": 500, "changes": changes }));
    let said = site.refusal(&json!({ "effective": 500, "changes": [], "height": 3 }));
    assert!(said.contains("unknown field `height`") && said.contains("line"), "{said}");
    let said = decide(json!([{ "suspend": { "institution": "BANKZZ02", "why": "" } }]));
    assert!(said.contains("form.json: unknown field `why`"), "{said}");
    let said = decide(json!([{ "put-validator": { "institution": "VALDZZ01", "power": "two" } }]));
    assert!(said.contains("power: invalid type: string \"two\""), "{said}");
    let said = decide(json!([{ "sack": { "institution": "BANKZZ02" } }]));
    assert!(said.contains("unknown variant `sack`, expected one of `put-validator`"), "{said}");
    let said = decide(json!([{ "suspend": { "institution": "bank" } }]));
    assert!(said.contains("institution: \"bank\" is not an institution id"), "{said}");
    assert!(decide(json!([])).contains("changes: the decision changes nothing"));
    let said = decide(
        json!([{ "retire-asset": { "asset": "EUR" } }, { "suspend": { "institution": "NOBOZZ99" } }]),
    );
    assert!(said.contains("changes[1] (suspend): NOBOZZ99 is not registered"), "{said}");
    let mut none = limits(600);
    none["block_bytes"] = json!(0);
    let said = decide(json!([{ "set-limits": none }]));
    assert!(said.contains("changes[0] (set-limits): limit block_bytes must not be zero"), "{said}");
    let terms = json!({ "issuer": "CBNKZZ01", "decimals": 20 });
    let said = decide(json!([{ "list-asset": { "asset": "XAU", "terms": terms } }]));
    assert!(said.contains("decimals"), "{said}");
    let early = site
        .refusal(&json!({ "effective": 1, "changes": [{ "retire-asset": { "asset": "EUR" } }] }));
    assert!(early.contains("effective: must be above 1: the chain is at 0"), "{early}");
    let missing = refused(&["governance", "make", "nowhere.json", "--out", "x", "--genesis", "g"]);
    assert!(missing.contains("nowhere.json cannot be read"), "{missing}");
}

/// Each kind of change has a form; what a person reads says what it does.
#[test]
fn every_kind_of_change_is_made_and_shown() {
    let site = Site::of_files("1");
    let keys = site.file("new.age");
    let secret = site.file("new-passphrase");
    done(&[
        "keys",
        "create",
        &keys,
        "--institution",
        "NEWBZZ01",
        "--passphrase",
        &secret,
        "--draw",
    ]);
    let public: Value =
        serde_json::from_str(&done(&["keys", "public", &keys, "--passphrase", &secret])).unwrap();
    let lost = json!({ "round": public["keys"]["receipt"] });
    let of_bank = |uses: &[&str]| -> Value {
        uses.iter()
            .map(|used_for| ((*used_for).to_owned(), public["keys"][used_for].clone()))
            .collect()
    };
    let committee = json!({ "parties": ["MPCAZZ01", "MPCBZZ01", "MPCCZZ01"], "threshold": 1 });
    let program = "ab".repeat(32);
    let changes = json!([
        { "put-validator": { "institution": "VALDZZ01", "power": 7 } },
        { "admit": { "institution": "NEWBZZ01", "roles": ["participant"],
                     "keys": of_bank(&["transaction", "round", "sealing"]) } },
        { "suspend": { "institution": "BANKZZ02" } },
        { "readmit": { "institution": "BANKZZ02" } },
        { "set-roles": { "institution": "BANKZZ02", "roles": ["participant", "coordinator"] } },
        { "replace-key": { "institution": "BANKZZ01", "key": lost } },
        { "list-asset": { "asset": "XAU", "terms": { "issuer": "BANKZZ01", "decimals": 4 } } },
        { "retire-asset": { "asset": "USD" } },
        { "put-committee": { "id": 2, "committee": committee } },
        { "remove-committee": { "id": 1 } },
        { "set-limits": limits(601) },
        { "set-settlement-rule": { "programs": [program], "attachment": true } },
    ]);
    let made = site.make_offline("all.json", &json!({ "effective": 500, "changes": changes }));
    let shown = text(&made.stdout);
    assert!(made.status.success(), "{}", text(&made.stderr));
    for line in [
        "1. validator VALDZZ01 has voting power 7 instead of 1",
        "2. NEWBZZ01 is admitted; roles: participant; keys: transaction ",
        "3. BANKZZ02 is suspended: it signs nothing and is credited nothing",
        "4. BANKZZ02 is suspended no more",
        "5. BANKZZ02 has the roles: participant, coordinator; instead of: participant",
        "6. the round key of BANKZZ01 is ",
        "7. XAU is listed: issued by BANKZZ01, with 4 decimals",
        "8. USD is retired: it is neither issued nor netted any more",
        "9. committee 2 is MPCAZZ01, MPCBZZ01, MPCCZZ01 with threshold 1",
        "10. committee 1 computes no new rounds",
        "11. limits: refund_after is 601 instead of 600",
        "12. rounds may name the programs abab",
        "included  at a height from 1 to 499, or never",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    // The other two depend on what is there.
    let said =
        site.refusal(&json!({ "effective": 500, "changes": [{ "withdraw": { "number": 3 } }] }));
    assert!(
        said.contains("changes[0] (withdraw): decision 3 does not wait for its height"),
        "{said}"
    );
    let said = site.refusal(&json!({ "effective": 500, "changes": [{ "remove-validator": { "institution": "VALDZZ01" } }] }));
    assert!(said.contains("changes[0] (remove-validator): "), "{said}");
}

/// The example of the guide is one that can be used.
#[test]
fn the_example_of_the_guide_is_made_and_signed() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/governance.md");
    let guide = fs::read_to_string(guide).unwrap();
    let example = guide.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let form: Value = serde_json::from_str(example).unwrap();
    let site = Site::of_files("1");
    let made = site.make_offline("example.json", &form);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let (file, genesis) = (site.file("example.json"), site.net("genesis.json"));
    let keys = site.net("node/keys.age");
    let signed = done(&["governance", "sign", &file, "--keys", &keys, "--genesis", &genesis]);
    assert!(signed.ends_with("VALDZZ01 has signed.\n"), "{signed}");
}
