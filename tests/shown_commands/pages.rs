//! The pages' blocks with commands, and how lines are compared with what a page shows.

use std::fs;
use std::path::Path;

use crate::support::walkthrough::are_lines;

/// A block of a page that holds a command.
#[derive(Clone, Debug)]
pub struct Block {
    /// The page, such as `doc/USING.md`.
    pub page: String,
    /// Its lines, without the blanks that make it a block.
    pub lines: Vec<String>,
}

/// A command of a block, whose prompt it stands behind, and what the page says that it prints.
#[derive(Debug)]
pub struct Step {
    /// The server's letter, or `$`; nothing where the page shows no prompt.
    pub prompt: String,
    pub command: String,
    pub says: Vec<String>,
}

/// What a line without a prompt begins with if it is a command.
const PROGRAMS: [&str; 16] = [
    "./run.sh",
    "./dev.sh",
    "redis-server",
    "redis-cli",
    "cargo ",
    "target/release/",
    "paxos-banking ",
    "docker ",
    "kill ",
    "curl ",
    "nc ",
    "python3 ",
    "printf ",
    "ACL SETUSER",
    "sentinel ",
    "echo ",
];

/// The prompt of a line, and what stands behind it.
fn prompt_of(line: &str) -> Option<(&str, &str)> {
    let (prompt, command) = line.split_once(' ')?;
    let before = prompt.strip_suffix(['$', '>', '#'])?;
    let is_server = before.len() == 1 && before.chars().all(|c| c.is_ascii_uppercase());
    let is_machine = ["", "each", "desk"].contains(&before) || before.starts_with("10.0.0.");
    match (prompt.ends_with('#') && before.is_empty(), is_server || is_machine) {
        (false, true) => Some((if before.is_empty() { "$" } else { before }, command)),
        _ => None,
    }
}

fn is_command(line: &str) -> bool {
    let line = line.trim_start();
    prompt_of(line).is_some() || PROGRAMS.iter().any(|program| line.starts_with(program))
}

impl Block {
    /// Its first command.
    pub fn first(&self) -> &str {
        let first = self.lines.iter().find(|line| is_command(line));
        first.expect("a block with a command").trim_start()
    }

    /// Its commands. What a second server says stands in a column further to the right.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<(usize, Step)> = Vec::new();
        for line in &self.lines {
            let text = line.trim_start();
            let column = line.len() - text.len();
            let step = |prompt: &str, command: &str| Step {
                prompt: prompt.to_owned(),
                command: command.to_owned(),
                says: Vec::new(),
            };
            match (prompt_of(text), steps.last_mut()) {
                (Some((prompt, command)), _) => steps.push((column, step(prompt, command))),
                (None, _) if is_command(line) => steps.push((column, step("", text))),
                (None, Some((column, last))) => {
                    last.says.push(line.get(*column..).unwrap_or("").to_owned())
                }
                (None, None) => {}
            }
        }
        steps.into_iter().map(|(_, step)| step).collect()
    }
}

/// All pages: README.md, and those in doc/.
pub fn pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = fs::read_dir(root.join("doc")).unwrap().map(|file| file.unwrap().file_name());
    let mut pages: Vec<String> = names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("doc/{name}"))
        .collect();
    pages.push("README.md".to_owned());
    pages.sort();
    pages
}

/// The text of a page.
pub fn text_of(page: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap()
}

/// The blocks of a page that hold a command.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_within = false;
    for line in text_of(page).lines() {
        match line.strip_prefix("    ") {
            Some(line) if is_within => blocks.last_mut().unwrap().lines.push(line.to_owned()),
            Some(line) => {
                blocks.push(Block { page: page.to_owned(), lines: vec![line.to_owned()] });
                is_within = true;
            }
            // An empty line ends no block.
            None if line.is_empty() => {}
            None => is_within = false,
        }
    }
    blocks.retain(|block| block.lines.iter().any(|line| is_command(line)));
    blocks
}

/// A line without what differs each time: hashes, times and rates.
pub fn steady(line: &str) -> String {
    let line = &without_dates(line);
    let words: Vec<&str> = line.split(' ').collect();
    let steady = (0..words.len()).map(|at| match is_figure(words[at], words.get(at + 1)) {
        true => "#".to_owned(),
        false => without_hashes(words[at]),
    });
    let line = steady.collect::<Vec<_>>().join(" ");
    // The unit depends on the number.
    ["µs", "ms", "s"].iter().fold(line, |line, unit| line.replace(&format!("# {unit}"), "#"))
}

/// A line with @ for each date of these years, and for each date with a time of day.
fn without_dates(line: &str) -> String {
    const DATE: &str = "20nn-nn-nn";
    const TIME: &str = "20nn-nn-nnTnn:nn:nnZ";
    let mut steady = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let is_like = |form: &&&str| {
            let like = |(is, form): (u8, u8)| is == form || (form == b'n' && is.is_ascii_digit());
            rest.len() >= form.len() && rest.bytes().zip(form.bytes()).all(like)
        };
        let (written, length) = match [TIME, DATE].iter().find(is_like) {
            Some(form) => ('@', form.len()),
            None => (first, first.len_utf8()),
        };
        steady.push(written);
        rest = &rest[length..];
    }
    steady
}

/// True if the word is a time, or a number whose unit follows.
fn is_figure(word: &str, next: Option<&&str>) -> bool {
    let word = word.trim_start_matches('(').trim_end_matches([',', ';', ')']);
    let (digits, unit): (String, String) =
        word.chars().partition(|c| c.is_ascii_digit() || *c == '.');
    let unit_of = |text: &str| ["ms", "s", "µs", "m", "h", "min"].contains(&text);
    let follows = next.is_some_and(|next| {
        let next = next.trim_end_matches([',', ';', ')', ':']);
        unit_of(next) || next == "entries/s"
    });
    !digits.is_empty() && (unit_of(&unit) || (unit.is_empty() && follows))
}

/// A word with # for each hash in it.
fn without_hashes(word: &str) -> String {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let mut steady = String::new();
    let mut rest = word;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_hex(c)).unwrap_or(rest.len());
        match end {
            8.. => steady.push('#'),
            _ => steady.push_str(&rest[..end]),
        }
        rest = &rest[end..];
        if let Some(other) = rest.chars().next() {
            // What follows # is the number of a request.
            steady.push(other);
            rest = &rest[other.len_utf8()..];
        }
    }
    steady
}

/// True if what was printed is what the page shows, where … stands for anything.
pub fn is_shown(says: &[String], printed: &str) -> bool {
    let says: Vec<String> = says.iter().map(|line| steady(line)).collect();
    let printed: Vec<String> = printed.lines().map(steady).collect();
    are_lines(&says, &printed.iter().map(String::as_str).collect::<Vec<_>>())
}
