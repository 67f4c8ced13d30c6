//! Who may import whom: between the top folders by a table, and within a folder without a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, sources};

/// The top folders, and what each may import beside itself. No arrow leads up.
const ALLOWED: [(&str, &[&str]); 28] = [
    ("keepalive", &[]),
    ("courtesy", &[]),
    ("explain", &[]),
    ("http", &[]),
    ("mend", &[]),
    ("bank", &[]),
    ("clock", &["bank"]),
    ("wire", &["explain", "bank"]),
    ("store", &["explain", "bank", "keepalive"]),
    ("trace", &["explain", "bank"]),
    ("noise", &["explain", "bank"]),
    ("client", &["bank", "clock", "wire", "noise"]),
    (
        "node",
        &["bank", "clock", "wire", "noise", "store", "trace", "keepalive", "courtesy", "http"],
    ),
    ("keys", &["bank", "noise"]),
    ("tunnel", &["bank", "wire", "noise", "keepalive", "client"]),
    ("audit", &["explain", "bank", "clock", "wire", "store", "client"]),
    ("relay", &["bank", "wire", "store", "client", "audit"]),
    ("web", &["bank", "clock", "wire", "trace", "client", "courtesy", "http"]),
    ("upgrade", &["bank", "store", "audit"]),
    ("play", &["bank", "clock", "wire", "store", "trace", "client"]),
    (
        "cli",
        &[
            "bank", "wire", "noise", "store", "trace", "client", "node", "audit", "play", "mend",
            "keys", "tunnel", "upgrade", "web", "relay",
        ],
    ),
    (
        "lib",
        &[
            "bank", "wire", "noise", "store", "trace", "client", "node", "audit", "play", "mend",
            "keys", "tunnel", "upgrade", "http", "web", "relay",
        ],
    ),
    ("reader", &[]),
    ("notify", &[]),
    ("logging", &["cli"]),
    ("signals", &["logging", "notify"]),
    ("serve", &["cli", "logging", "signals", "notify"]),
    ("main", &["cli", "reader", "logging", "serve"]),
];

/// The module that a file is.
fn module_of(source: &Source) -> String {
    let path = source.path.strip_prefix("src/").expect("a source").trim_end_matches(".rs");
    path.trim_end_matches("/mod").replace('/', "::")
}

/// The code of a file, without comments and without its unit tests.
fn code_of(source: &Source) -> String {
    let code = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The paths that a `use` tree names.
fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, body)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or_default().trim();
        return found.push(format!("{prefix}{name}"));
    };
    let (mut depth, mut from) = (0, 0);
    let body = body.strip_suffix('}').unwrap_or(body);
    for (at, character) in body.char_indices().chain([(body.len(), ',')]) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !body[from..at].trim().is_empty() {
                    expand(&format!("{prefix}{head}"), &body[from..at], found);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
}

/// The paths that a file names from `crate` or `super` on.
fn paths_of(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for piece in code.split("use ").skip(1) {
        if let Some((tree, _)) = piece.split_once(';') {
            expand("", &tree.split_whitespace().collect::<Vec<_>>().join(" "), &mut found);
        }
    }
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let path = |c: &char| c.is_alphanumeric() || matches!(c, '_' | ':');
            found.push(code[at..].chars().take_while(path).collect());
        }
    }
    found
}

/// What each module imports, by module.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources("src");
    let modules: BTreeSet<String> = sources.iter().map(module_of).collect();
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in &sources {
        let module = module_of(source);
        let found = imports.entry(module.clone()).or_default();
        for path in paths_of(&code_of(source)) {
            let mut base: Vec<&str> = module.split("::").collect();
            let mut parts: Vec<&str> = path.split("::").collect();
            match parts.remove(0) {
                "crate" => base.clear(),
                "super" => drop(base.pop()),
                _ => continue,
            }
            while parts.first() == Some(&"super") {
                parts.remove(0);
                base.pop();
            }
            base.extend(parts);
            let ends = (1..=base.len()).rev().map(|end| base[..end].join("::"));
            found.extend(ends.into_iter().find(|path| modules.contains(path)));
        }
        // A folder and what is in it are one: the folder's file names its parts.
        let within = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}::"));
        found.retain(|other| !within(other, &module) && !within(&module, other));
    }
    imports
}

#[test]
fn folders_import_each_other_in_one_direction() {
    let top = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
    for (module, imported) in imports() {
        let from = top(&module);
        let allowed = ALLOWED.iter().find(|(folder, _)| *folder == from);
        let Some((_, allowed)) = allowed else { panic!("{from} is not in the table of folders") };
        for other in imported.iter().filter(|other| top(other) != from) {
            assert!(allowed.contains(&&*top(other)), "{module} may not import {other}");
        }
    }
}

#[test]
fn there_is_no_circle_of_imports() {
    let imports = imports();
    let reached = |from: &str| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&String> = imports[from].iter().collect();
        while let Some(module) = next.pop() {
            if reached.insert(module.clone()) {
                next.extend(&imports[module]);
            }
        }
        reached
    };
    let reach: BTreeMap<&String, BTreeSet<String>> =
        imports.keys().map(|module| (module, reached(module))).collect();
    let mut circles = BTreeSet::new();
    for (module, reached) in reach.iter().filter(|(module, reached)| reached.contains(**module)) {
        let back = reached.iter().filter(|other| reach[other].contains(*module));
        circles.insert(back.cloned().collect::<Vec<_>>());
    }
    assert!(circles.is_empty(), "circles of imports: {circles:?}");
}
