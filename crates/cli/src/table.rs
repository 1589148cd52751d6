//! Plain text tables.

use std::fmt;

/// On which side a column's cells end evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table with a line of headings, printed two blanks in from the left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table. A heading that starts with `>` is of a column of numbers.
    pub fn new(headings: &[&'static str]) -> Self {
        let column = |heading: &&'static str| match heading.strip_prefix('>') {
            Some(heading) => (heading, Align::Right),
            None => (*heading, Align::Left),
        };
        Self { columns: headings.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row; cells that are missing stay empty.
    pub fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.line(cells.map(str::to_owned).into());
    }

    /// Adds a row whose number of cells depends on what is shown.
    pub fn line(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn width(&self, index: usize, heading: &str) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(index));
        cells.map(|cell| width(cell)).chain([width(heading)]).max().unwrap_or(0)
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<(usize, Align)> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, (heading, align))| (self.width(index, heading), *align))
            .collect();
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::new();
            for ((width, align), cell) in columns.iter().zip(cells) {
                line += "  ";
                line += &match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                };
            }
            writeln!(f, "{}", line.trim_end())
        };
        line(&mut self.columns.iter().map(|(heading, _)| *heading))?;
        let rules: Vec<String> = columns.iter().map(|(width, _)| "-".repeat(*width)).collect();
        line(&mut rules.iter().map(String::as_str))?;
        self.rows.iter().try_for_each(|row| line(&mut row.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["bank", ">balance", "note"]);
        table.row(["ALBAZZ21", "1.00", "é"]);
        table.row(["B", "1,000.00", ""]);
        let expected = "  bank       balance  note\n  \
                          --------  --------  ----\n  \
                          ALBAZZ21      1.00  é\n  \
                          B         1,000.00\n";
        assert_eq!(table.to_string(), expected);
        assert!(Table::new(&["a"]).is_empty());
        assert_eq!(Table::new(&["a"]).to_string(), "  a\n  -\n");
    }
}
