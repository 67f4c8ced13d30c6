//! A table as spreadsheets save it: rows of fields, each with its place in the file.

use std::ops::Range;

use crate::play::wrong::{Place, Wrong};

/// What may stand between two fields; the earlier one where both occur as often.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// Finds lines and columns by offsets into a text.
pub(in crate::play) struct Places<'a> {
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Places<'a> {
    pub(in crate::play) fn of(text: &'a str) -> Places<'a> {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Places { text, lines: [0].into_iter().chain(breaks).collect() }
    }

    /// Returns the place of the byte at this offset.
    pub(super) fn at(&self, offset: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= offset);
        let column = self.text[self.lines[line - 1]..offset].chars().count() + 1;
        Place { line, column }
    }

    /// Returns the place of a part of the text.
    pub(super) fn of_part(&self, part: &str) -> Place {
        self.at(part.as_ptr() as usize - self.text.as_ptr() as usize)
    }
}

/// A field without the spaces and quotes around it: a part of the file's text.
pub(super) type Field<'a> = &'a str;

/// Returns the separator of a table, by its first line that says something.
pub(super) fn separator(line: &str) -> char {
    let mut counts = [0; SEPARATORS.len()];
    outside(line, |character| {
        if let Some(which) = SEPARATORS.iter().position(|one| *one == character) {
            counts[which] += 1;
        }
    });
    let most = counts.iter().copied().max().unwrap_or_default();
    counts.iter().position(|count| *count == most).map_or(',', |which| SEPARATORS[which])
}

/// Looks at each character that stands in no quotes, parentheses and brackets.
fn outside(line: &str, mut look: impl FnMut(char)) {
    let (mut quoted, mut depth) = (false, 0_usize);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            other if depth == 0 => look(other),
            _ => {}
        }
    }
}

/// True if a line says nothing: it is a comment, has only separators, or tells a spreadsheet which one there is.
pub(super) fn is_silent(line: &str) -> bool {
    let is_empty = |c: char| SEPARATORS.contains(&c) || c.is_whitespace();
    line.trim_start().starts_with('#') || line.starts_with("sep=") || line.chars().all(is_empty)
}

/// Cuts a text into rows. A quotation mark that is never closed takes its row with it, but not those
/// that follow.
pub(super) fn rows<'a>(
    text: &'a str,
    separator: char,
    places: &Places<'a>,
    wrongs: &mut Vec<Wrong>,
) -> Vec<Vec<Field<'a>>> {
    let mut rows = Vec::new();
    let mut from = 0;
    while from < text.len() {
        let line_end = text[from..].find('\n').map_or(text.len(), |length| from + length);
        if is_silent(&text[from..line_end]) {
            from = line_end + 1;
            continue;
        }
        match row(text, from, separator) {
            Ok((fields, end)) => {
                rows.push(fields.into_iter().map(|range| field(&text[range])).collect());
                from = end + 1;
            }
            Err(Open { quote, next }) => {
                let what = "this quotation mark is not closed before the next row";
                wrongs.push(Wrong { place: places.at(quote), what: what.into() });
                from = next;
            }
        }
    }
    rows
}

/// A quotation mark that is not closed, and where to go on.
struct Open {
    quote: usize,
    next: usize,
}

/// Finds the fields of the row that begins here, and its end. A line break in quotes is part of a field.
fn row(text: &str, from: usize, separator: char) -> Result<(Vec<Range<usize>>, usize), Open> {
    let mut fields = Vec::new();
    let (mut start, mut quote, mut depth) = (from, None, 0_usize);
    for (at, character) in text[from..].char_indices().map(|(at, c)| (from + at, c)) {
        match (character, quote) {
            ('"', None) => quote = Some(at),
            ('"', Some(_)) => quote = None,
            ('\n', Some(quote)) if begins_row(&text[at + 1..], separator) => {
                return Err(Open { quote, next: at + 1 });
            }
            (_, Some(_)) => {}
            ('\n', None) => {
                fields.push(start..at);
                return Ok((fields, at));
            }
            ('(' | '[' | '{', None) => depth += 1,
            (')' | ']' | '}', None) => depth = depth.saturating_sub(1),
            (other, None) if other == separator && depth == 0 => {
                fields.push(start..at);
                start = at + other.len_utf8();
            }
            _ => {}
        }
    }
    match quote {
        Some(quote) => Err(Open { quote, next: text.len() }),
        None => {
            fields.push(start..text.len());
            Ok((fields, text.len()))
        }
    }
}

/// True if a text begins as a row does whose second field is in quotes: `2,"` or `,"`.
fn begins_row(text: &str, separator: char) -> bool {
    let line = text.lines().next().unwrap_or_default().trim_start();
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    rest.strip_prefix(separator).is_some_and(|rest| rest.trim_start().starts_with('"'))
}

fn field(text: &str) -> Field<'_> {
    let outer = text.trim();
    // An empty field is found at the field's beginning.
    let outer = if outer.is_empty() { &text[..0] } else { outer };
    let inner = outer.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(outer);
    let trimmed = inner.trim();
    if trimmed.is_empty() { &inner[..0] } else { trimmed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<Vec<&str>> {
        let (mut wrongs, places) = (Vec::new(), Places::of(text));
        let first = text.lines().find(|line| !is_silent(line)).unwrap_or_default();
        let rows = rows(text, separator(first), &places, &mut wrongs);
        assert_eq!(wrongs, []);
        rows
    }

    #[test]
    fn rows_are_cut_outside_of_quotes_and_brackets() {
        assert_eq!(
            cut("1, \" (A, B) \" ,[A, B]\n,,\n,x"),
            [vec!["1", "(A, B)", "[A, B]"], vec!["", "x"]]
        );
        assert_eq!(
            cut("1;(A, B, 3);[A]\n;(A, B, 3)"),
            [vec!["1", "(A, B, 3)", "[A]"], vec!["", "(A, B, 3)"]]
        );
        assert_eq!(cut("1\t(A; B)\t[A]"), [["1", "(A; B)", "[A]"]]);
        assert_eq!(
            cut("1,\"(A)\n(B)\",x\n# no\n2,y"),
            [vec!["1", "(A)\n(B)", "x"], vec!["2", "y"]]
        );
    }

    #[test]
    fn an_open_quotation_mark_takes_its_row_alone() {
        let text = "1,\"(A, B\n2,\"(C)\",[A]\n3,\"(D";
        let (mut wrongs, places) = (Vec::new(), Places::of(text));
        assert_eq!(rows(text, ',', &places, &mut wrongs), [["2", "(C)", "[A]"]]);
        let at: Vec<Place> = wrongs.iter().map(|wrong| wrong.place).collect();
        assert_eq!(at, [Place { line: 1, column: 3 }, Place { line: 3, column: 3 }]);
    }

    #[test]
    fn places_count_characters() {
        let text = "é;b\nc";
        let places = Places::of(text);
        assert_eq!(places.of_part(&text[3..]), Place { line: 1, column: 3 });
        assert_eq!(places.of_part(&text[5..]), Place { line: 2, column: 1 });
        assert_eq!(places.of_part(&text[6..]), Place { line: 2, column: 2 });
    }
}
