//! Tables of the documentation that tests hold the code against.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    folder.canonicalize().expect("the workspace")
}

/// The rows of the table whose first column has this heading, in a page given by its path within
/// the workspace. Each row by column, without the spaces around.
pub fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(workspace().join(page)).expect("the page");
    let first = format!("| {heading} |");
    let table = text.lines().skip_while(|line| !line.starts_with(&first));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let columns = |line: &str| {
        let line = line.trim_matches(['|', ' ']);
        line.split(" | ").map(|column| column.trim().to_owned()).collect()
    };
    rows.map(columns).collect()
}
