//! Files and functions are small enough to read.

use super::sources;

/// Lines of a source file. A longer one wants to be two.
const MAX_LINES: usize = 420;
/// Lines of a function: about a screen.
const MAX_FUNCTION: usize = 60;

/// Functions that may be longer, and why.
const LONGER: [(&str, &str, usize); 6] = [
    // What follows from a block is one transaction: each line belongs to it.
    ("src/bank/server/consensus/appending.rs", "append", 72),
    // Takes a recovery apart into a server, field by field.
    ("src/bank/server/recovery/mod.rs", "finish", 75),
    // A list of comparisons, one for each thing that a store keeps beside its chain.
    ("src/audit/kept.rs", "check", 66),
    // One arm for each warning.
    ("src/bank/note.rs", "fmt", 75),
    // Starts every thread of a node, each with its channels.
    ("src/node/mod.rs", "spawn_all", 66),
    // One arm for each kind of thing that comes in.
    ("src/node/transport.rs", "admit", 72),
];

#[test]
fn files_are_small() {
    for source in ["src", "tests", "benches"].into_iter().flat_map(sources) {
        let lines = source.text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", source.path);
    }
}

#[test]
fn functions_are_small() {
    let mut longest = (0, String::new());
    for source in sources("src").iter().filter(|source| !source.path.ends_with("_tests.rs")) {
        for (name, lines) in functions(&source.text) {
            let longer =
                LONGER.iter().find(|(path, of, _)| (*path, *of) == (&*source.path, &*name));
            let most = longer.map_or(MAX_FUNCTION, |(.., most)| *most);
            assert!(lines <= most, "{}: {name} has {lines} lines", source.path);
            longest = longest.max((lines, format!("{}: {name}", source.path)));
        }
    }
    println!("the longest function is {}, {} lines", longest.1, longest.0);
}

/// The functions of a file with their lengths. Relies on how rustfmt indents.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let head = code.split_once("fn ").filter(|(before, _)| {
            before.split_whitespace().all(|word| word.starts_with("pub") || word == "const")
        });
        let Some((_, rest)) = head else { continue };
        let indent = &line[..line.len() - code.len()];
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let end = format!("{indent}}}");
        let one_line = line.ends_with('}') || line.ends_with(';');
        let length = lines[start..].iter().position(|line| *line == end).map_or(1, |at| at + 1);
        found.push((name, if one_line { 1 } else { length }));
    }
    found
}
