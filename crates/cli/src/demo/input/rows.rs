//! Lines of a CSV file, each on its own.
//!
//! No field may contain a line break, so each line is handed to the CSV reader by itself. Its
//! number is then exact whatever stands on the lines before it, an unclosed quote included.

use csv::{ReaderBuilder, StringRecord, Terminator};

use super::{Place, Reason, Source};

/// One line: its place, and its fields or why it has none.
pub type Row<const N: usize> = (Place, Result<[String; N], Reason>);

/// The lines of `source` after the first, which must name the columns. Blank lines are left out.
pub fn rows<const N: usize>(source: &Source, columns: [&str; N]) -> Vec<Row<N>> {
    let mut lines = numbered_lines(source);
    let Some((place, header)) = lines.next() else { return Vec::new() };
    if fields(header) != Ok(columns.map(str::to_owned)) {
        return vec![(place, Err(Reason::Header { expected: columns.join(",") }))];
    }
    let filled = lines.filter(|(_, line)| !line.is_empty());
    filled.map(|(place, line)| (place, fields(line))).collect()
}

/// The lines without their ends (LF or CR LF) and without a byte order mark; at least one.
fn numbered_lines(source: &Source) -> impl Iterator<Item = (Place, &[u8])> {
    let bytes = source.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&source.bytes);
    bytes.split(|byte| *byte == b'\n').zip(1..).map(|(line, number)| {
        let place = Place { file: source.name.clone(), line: number };
        (place, line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// The fields of one line.
fn fields<const N: usize>(line: &[u8]) -> Result<[String; N], Reason> {
    // A carriage return inside a line is part of a field, not the end of a record.
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .terminator(Terminator::Any(b'\n'))
        .from_reader(line);
    let mut record = StringRecord::new();
    reader.read_record(&mut record).map_err(|_| Reason::Encoding)?;
    let row: Vec<String> = record.iter().map(str::to_owned).collect();
    let found = row.len();
    row.try_into().map_err(|_| Reason::Fields { found, expected: N })
}
