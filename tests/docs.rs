//! Every page of the book is in its summary, and every link of the pages leads somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

/// All Markdown files under a folder.
fn pages(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut found = BTreeSet::new();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            found.append(&mut pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.insert(path);
        }
    }
    found
}

/// The text without what is quoted as code, where brackets mean something else.
fn prose(text: &str) -> String {
    let outside = text.split("```").step_by(2).collect::<String>();
    outside.split('`').step_by(2).collect()
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let outside = text.split("```").step_by(2).collect::<String>();
    let headings = outside.lines().filter(|line| line.starts_with('#'));
    let headings = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let anchor = |heading: String| {
        let kept =
            heading.chars().filter(|symbol| symbol.is_alphanumeric() || " -_".contains(*symbol));
        kept.map(|symbol| if symbol == ' ' { '-' } else { symbol }).collect()
    };
    headings.map(anchor).collect()
}

/// What is wrong with the links of one page.
fn broken(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).expect("a page");
    let wrong = |target: &String| {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let to = match path {
            "" => page.to_owned(),
            path => page.parent().expect("a folder").join(path),
        };
        match fs::read_to_string(&to) {
            Ok(text) => !anchor.is_empty() && !anchors(&text).contains(anchor),
            Err(_) => !to.is_dir(),
        }
    };
    let local = links(&text).into_iter().filter(|target| !target.starts_with("http"));
    local.filter(wrong).map(|target| format!("{}: {target}", page.display())).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = pages(&root().join("docs"));
    pages.insert(root().join("README.md"));
    let broken: Vec<String> = pages.iter().flat_map(|page| broken(page)).collect();
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn every_page_is_in_the_summary() {
    let docs = root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).expect("the summary");
    let listed: BTreeSet<PathBuf> =
        links(&summary).into_iter().map(|link| docs.join(link)).collect();
    let mut pages = pages(&docs);
    assert!(pages.remove(&docs.join("SUMMARY.md")));
    assert_eq!(pages, listed);
}

#[test]
fn a_broken_link_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.md");
    let text = "# One two\n[a](page.md#one-two) [b](gone.md) `[c](code.md)` [d](#no) [e](page.md)";
    fs::write(&page, text).expect("a page");
    let targets: Vec<String> =
        broken(&page).iter().map(|line| line.rsplit(": ").next().unwrap_or("").into()).collect();
    assert_eq!(targets, ["gone.md", "#no"]);
}
