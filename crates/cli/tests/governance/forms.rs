//! What an operator writes, and what is said about it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::site::{Site, done, limits, refused, text};

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
