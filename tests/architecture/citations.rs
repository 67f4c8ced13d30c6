//! Documents and sections that the code cites exist.

use std::fs;
use std::path::Path;

use super::sources;

/// Reads a document by the name under which it is cited: with its folder, or alone if it is in `doc/`.
fn read(name: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    read(name).or_else(|| read(&format!("doc/{name}")))
}

/// The documents that a text names, each with what stands behind its name.
fn cited(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices(".md").filter_map(|(at, end)| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-');
        let name = text[..at].chars().rev().take_while(|c| is_name(*c)).count();
        // Its characters are of one byte each.
        let start = at - name;
        // Other things end so, too: `.md` alone, or a path that is put together.
        let is_document = at > start && text[start..at].contains(|c: char| c.is_ascii_uppercase());
        is_document.then(|| {
            let name = text[start..at + end.len()].trim_start_matches('/');
            (name, &text[at + end.len()..])
        })
    })
}

/// The sections of a document that a comment cites as `DOCUMENT, "Section"`, after the document's name.
fn cited_sections(mut rest: &str) -> Vec<&str> {
    let mut sections = Vec::new();
    for opening in [", \"", " and \"", ", \""] {
        let Some(after) = rest.strip_prefix(opening) else { continue };
        let Some((section, behind)) = after.split_once('"') else { break };
        sections.push(section);
        rest = behind;
    }
    sections
}

#[test]
fn what_the_code_cites_exists() {
    let mut sections = 0;
    for source in ["src", "tests", "benches"].into_iter().flat_map(sources) {
        // A citation may go on in the next line of the comment.
        let text =
            source.text.replace("\n//! ", " ").replace("\n/// ", " ").replace("\n    /// ", " ");
        for (document, rest) in cited(&text) {
            let there = read(document);
            assert!(there.is_some(), "{} cites {document}, which is not there", source.path);
            for section in cited_sections(rest) {
                let there = there.as_deref().unwrap_or_default();
                let is_there = there.lines().any(|line| is_heading(line, section));
                let place = &source.path;
                assert!(is_there, "{place} cites {document}, \"{section}\", which is not there");
                sections += 1;
            }
        }
    }
    assert!(sections > 5, "citations are looked for in the wrong way: {sections} found");
}

/// True if a line begins the section: a heading, or a paragraph or item that opens with its name.
fn is_heading(line: &str, section: &str) -> bool {
    let bare = line.trim_start_matches(['#', '-', ' ', '*']);
    let marked = line.starts_with('#') || line.contains("**");
    marked && bare.to_lowercase().starts_with(&section.to_lowercase())
}
