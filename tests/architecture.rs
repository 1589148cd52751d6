//! The workspace is what section 3 of the design draws: which crate may see which.
//!
//! Normal and build dependencies follow the drawing without exception. Dev-dependencies follow it
//! too, but for the few in [`DEV_ARROWS`]: what is only linked into a crate's own tests reaches
//! nobody else. `quittance-tests` and `quittance-benches` are not published and may see all.

use std::collections::{BTreeMap, BTreeSet};

use quittance_tests::binaries::cargo;
use serde_json::Value;

/// The arrows of section 3, transitive ones included where the design names them.
const ARROWS: [(&str, &[&str]); 15] = [
    ("crypto", &[]),
    ("circuit", &["crypto"]),
    ("circuit-library", &["circuit"]),
    ("mpc", &["circuit", "crypto"]),
    ("ledger", &["circuit", "crypto"]),
    ("round", &["ledger", "mpc", "circuit", "crypto"]),
    ("storage", &["ledger", "crypto"]),
    ("consensus", &["ledger", "crypto"]),
    ("rpc", &["ledger", "round", "mpc", "circuit", "crypto"]),
    ("node", &["ledger", "consensus", "storage", "rpc", "circuit", "circuit-library", "crypto"]),
    ("agent", DAEMON),
    ("mpc-party", DAEMON),
    ("coordinator", &["round", "ledger", "mpc", "circuit", "circuit-library", "crypto", "rpc"]),
    ("audit", &["ledger", "crypto", "circuit", "circuit-library", "rpc"]),
    (
        "cli",
        &[
            "crypto",
            "circuit",
            "circuit-library",
            "mpc",
            "ledger",
            "round",
            "storage",
            "consensus",
            "rpc",
            "node",
            "agent",
            "mpc-party",
            "coordinator",
            "audit",
        ],
    ),
];

const DAEMON: &[&str] =
    &["round", "ledger", "mpc", "circuit", "circuit-library", "crypto", "rpc", "storage"];

/// Unpublished packages that test or measure all others.
const SEE_ALL: [&str; 2] = ["tests", "benches"];

/// Dev-dependencies beyond the drawing, and why.
const DEV_ARROWS: [(&str, &str, &str); 3] = [
    ("agent", "node", "an agent is tested with a node that it follows"),
    ("mpc", "circuit-library", "the netting runs on shares and must agree with the clear"),
    ("round", "circuit-library", "a whole round is simulated with the netting it is made for"),
];

/// Crates without clock, socket, disk or runtime.
const PURE: [&str; 6] = ["crypto", "circuit", "circuit-library", "mpc", "ledger", "round"];

/// What a pure crate's tree must not hold.
const IMPURE: [&str; 6] = ["tokio", "tonic", "hyper", "mio", "rocksdb", "librocksdb-sys"];

/// Names that say nothing about what is inside.
const VAGUE: [&str; 7] = ["common", "types", "utils", "util", "helpers", "shared", "xtask"];

/// The BFT engine's packages begin with this.
const ENGINE: &str = "informalsystems-malachitebft";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Normal,
    Build,
    Dev,
}

/// What `cargo metadata` tells, as far as it matters here.
#[derive(Clone, Default)]
struct Workspace {
    /// Members with their direct dependencies on members and on others.
    members: BTreeMap<String, BTreeSet<(String, Kind)>>,
    /// Normal dependencies of every package of the graph, by name.
    tree: BTreeMap<String, BTreeSet<String>>,
    /// Members that may be published.
    published: BTreeSet<String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text")).to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is not a list"))
}

impl Workspace {
    fn read() -> Self {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
        let output = cargo()
            .args(["metadata", "--format-version", "1", "--offline", "--manifest-path", manifest])
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self::parse(&serde_json::from_slice(&output.stdout).expect("cargo prints JSON"))
    }

    fn parse(metadata: &Value) -> Self {
        let ids: BTreeSet<String> = list(&metadata["workspace_members"]).iter().map(text).collect();
        let mut workspace = Self::default();
        let mut names = BTreeMap::new();
        for package in list(&metadata["packages"]) {
            let name = text(&package["name"]);
            names.insert(text(&package["id"]), name.clone());
            if ids.contains(&text(&package["id"])) {
                if package["publish"] != Value::Array(vec![]) {
                    workspace.published.insert(name.clone());
                }
                let direct = list(&package["dependencies"]).iter();
                let direct = direct.map(|it| (text(&it["name"]), kind(&it["kind"]))).collect();
                workspace.members.insert(name, direct);
            }
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            let normal = list(&node["deps"]).iter().filter(|dependency| {
                list(&dependency["dep_kinds"]).iter().any(|it| kind(&it["kind"]) == Kind::Normal)
            });
            let normal = normal.map(|dependency| names[&text(&dependency["pkg"])].clone());
            // Two versions of one package count as one.
            workspace.tree.entry(names[&text(&node["id"])].clone()).or_default().extend(normal);
        }
        workspace
    }

    /// A package and all that is linked with it.
    fn reach(&self, from: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::from([from.to_owned()]);
        let mut open = vec![from.to_owned()];
        while let Some(name) = open.pop() {
            for next in self.tree.get(&name).into_iter().flatten() {
                if reached.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        reached
    }

    /// Everything that is not as it is drawn.
    fn violations(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (member, dependencies) in &self.members {
            found.extend(self.arrows(member, dependencies));
            found.extend(self.heavy(member, dependencies));
        }
        let tree = |crates: &[&str], banned: &dyn Fn(&str) -> bool| {
            let mut found = BTreeSet::new();
            for short in crates {
                for name in self.reach(&full(short)).iter().filter(|name| banned(name)) {
                    found.insert(format!("{short} must not be linked with {name}"));
                }
            }
            found
        };
        found.extend(tree(&PURE, &|name| IMPURE.contains(&name)));
        found.extend(tree(&["audit"], &|name| {
            name.contains("rocksdb")
                || name.starts_with(ENGINE)
                || [full("storage"), full("consensus")].iter().any(|own| own == name)
        }));
        let published = self.published.iter();
        found.extend(published.map(|member| format!("{member} could be published")));
        found
    }

    /// Dependencies on members that are not drawn.
    fn arrows(&self, member: &str, dependencies: &BTreeSet<(String, Kind)>) -> BTreeSet<String> {
        let short = member.strip_prefix("quittance-").unwrap_or(member);
        if VAGUE.contains(&short) {
            return BTreeSet::from([format!("{member} has a name that says nothing")]);
        }
        if SEE_ALL.contains(&short) {
            return BTreeSet::new();
        }
        let Some((_, drawn)) = ARROWS.iter().find(|(name, _)| *name == short) else {
            return BTreeSet::from([format!("{member} is not drawn")]);
        };
        let own = dependencies.iter().filter(|(name, _)| self.members.contains_key(name));
        let undrawn = own.filter(|(name, kind)| {
            let target = name.strip_prefix("quittance-").unwrap_or(name);
            let only_tests = DEV_ARROWS.iter().any(|(from, to, _)| (*from, *to) == (short, target));
            !(drawn.contains(&target) || (*kind == Kind::Dev && only_tests))
        });
        undrawn.map(|(name, kind)| format!("{member} -> {name} ({kind:?}) is not drawn")).collect()
    }

    /// The database and the engine, seen by others than the crate that wraps each.
    fn heavy(&self, member: &str, dependencies: &BTreeSet<(String, Kind)>) -> BTreeSet<String> {
        let seen = dependencies.iter().map(|(name, _)| name);
        let heavy = seen.filter(|name| {
            (*name == "rocksdb" && member != full("storage"))
                || (name.starts_with(ENGINE) && member != full("consensus"))
        });
        heavy.map(|name| format!("{member} must not see {name}")).collect()
    }
}

fn full(short: &str) -> String {
    format!("quittance-{short}")
}

fn kind(value: &Value) -> Kind {
    match value.as_str() {
        None => Kind::Normal,
        Some("build") => Kind::Build,
        Some("dev") => Kind::Dev,
        Some(other) => panic!("unknown kind of dependency: {other}"),
    }
}

#[test]
fn the_workspace_is_as_drawn() {
    let violations = Workspace::read().violations();
    assert!(violations.is_empty(), "{violations:#?}");
}

/// Each rule is broken once in a copy of the real workspace, and found.
#[test]
fn each_rule_can_fail() {
    let workspace = Workspace::read();
    let broken = |change: &dyn Fn(&mut Workspace)| {
        let mut workspace = workspace.clone();
        change(&mut workspace);
        workspace.violations().into_iter().collect::<Vec<_>>()
    };
    let depend = |workspace: &mut Workspace, from: &str, on: &str, kind| {
        let on = if on == "rocksdb" || on.starts_with(ENGINE) { on.to_owned() } else { full(on) };
        workspace.members.entry(full(from)).or_default().insert((on.clone(), kind));
        if kind == Kind::Normal {
            workspace.tree.entry(full(from)).or_default().insert(on);
        }
    };
    let engine = format!("{ENGINE}-app");

    for kind in [Kind::Build, Kind::Dev] {
        let found = broken(&|w| depend(w, "crypto", "circuit", kind));
        let expected = format!("quittance-crypto -> quittance-circuit ({kind:?}) is not drawn");
        assert_eq!(found, [expected]);
    }
    assert_eq!(broken(&|w| depend(w, "mpc", "circuit-library", Kind::Dev)), [""; 0]);
    assert_eq!(
        broken(&|w| depend(w, "mpc", "circuit-library", Kind::Build)),
        ["quittance-mpc -> quittance-circuit-library (Build) is not drawn"]
    );
    assert_eq!(
        broken(&|w| depend(w, "cli", "rocksdb", Kind::Dev)),
        ["quittance-cli must not see rocksdb"]
    );
    assert_eq!(
        broken(&|w| depend(w, "cli", &engine, Kind::Dev)),
        [format!("quittance-cli must not see {engine}")]
    );
    assert!(
        broken(&|w| depend(w, "ledger", "rocksdb", Kind::Normal))
            .contains(&"ledger must not be linked with rocksdb".to_owned())
    );
    let hidden = |w: &mut Workspace| {
        w.tree.entry("thiserror".to_owned()).or_default().insert("tokio".to_owned());
    };
    assert!(broken(&hidden).contains(&"crypto must not be linked with tokio".to_owned()));
    assert_eq!(
        broken(&|w| w.members.extend([(full("common"), BTreeSet::new())])),
        ["quittance-common has a name that says nothing"]
    );
    assert_eq!(
        broken(&|w| w.members.extend([(full("swap"), BTreeSet::new())])),
        ["quittance-swap is not drawn"]
    );
    assert_eq!(
        broken(&|w| w.published.extend([full("cli")])),
        ["quittance-cli could be published"]
    );
}

/// An auditor that shared the validators' database would fail with it.
#[test]
fn the_auditor_stands_alone() {
    let mut workspace = Workspace::default();
    workspace.tree.insert(full("audit"), BTreeSet::from([full("rpc")]));
    assert!(workspace.violations().is_empty());
    workspace.tree.insert(full("rpc"), BTreeSet::from([full("storage")]));
    workspace.tree.insert(full("storage"), BTreeSet::from(["rocksdb".to_owned()]));
    let found: Vec<String> = workspace.violations().into_iter().collect();
    assert_eq!(
        found,
        [
            "audit must not be linked with quittance-storage",
            "audit must not be linked with rocksdb",
        ]
    );
}
