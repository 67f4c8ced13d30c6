//! Documents and sections that the code cites exist.

use std::fs;
use std::path::Path;

use super::sources;

fn read(document: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).ok()
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
    let mut cited = 0;
    for source in ["src", "tests", "benches"].into_iter().flat_map(sources) {
        // A citation may go on in the next line of the comment.
        let text =
            source.text.replace("\n//! ", " ").replace("\n/// ", " ").replace("\n    /// ", " ");
        for (name, document) in [("DESIGN.md", "doc/DESIGN.md"), ("README", "README.md")] {
            for (at, _) in text.match_indices(name) {
                let rest = text[at + name.len()..].trim_start_matches(".md");
                let there = read(document);
                assert!(there.is_some(), "{} cites {document}, which is not there", source.path);
                for section in cited_sections(rest) {
                    let there = there.as_deref().unwrap_or_default();
                    assert!(
                        there.lines().any(|line| is_heading(line, section)),
                        "{} cites {document}, \"{section}\", which is not there",
                        source.path
                    );
                    cited += 1;
                }
            }
        }
    }
    assert!(cited > 5, "citations are looked for in the wrong way: {cited} found");
}

/// True if a line begins the section: a heading, or a paragraph or item that opens with its name.
fn is_heading(line: &str, section: &str) -> bool {
    let bare = line.trim_start_matches(['#', '-', ' ', '*']);
    let marked = line.starts_with('#') || line.contains("**");
    marked && bare.to_lowercase().starts_with(&section.to_lowercase())
}
