//! Changes to valid texts: by their structure where they have one (JSON, words), or byte by byte.

use std::ops::Range;

use fastrand::Rng;

/// Numbers that are hard to read, to hold or to add to.
const NUMBERS: [&str; 24] = [
    "0",
    "1",
    "2",
    "3",
    "-1",
    "-0",
    "1.5",
    "1e2",
    "1e99",
    "1e400",
    "00",
    "+1",
    "0x10",
    "100",
    "5000",
    "5001",
    "86400001",
    "4294967296",
    "9007199254740991",
    "9007199254740992",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
];

/// Values of other kinds.
const VALUES: [&str; 20] = [
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"\"",
    "\"A\"",
    "\"B\"",
    "\"C\"",
    "\"Z\"",
    "\"A/alice\"",
    "\"a b\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\u{e9}\u{1f4b0}\"",
    "\"0000000000000001\"",
    "\"\u{202e}\"",
    "[[\"A\",\"B\",1]]",
    "{\"open\":\"A/x\"}",
    "NaN",
];

/// Bytes that mean something to a reader of lines, of JSON or of words.
const BYTES: &[u8] = b"\0\r\n\t \"\\{}[](),:#-+=/.@A0\x7f\x80\xff";

/// Changes a text in one way or in a few; `others` are texts to take parts of.
pub fn mutate(text: &[u8], others: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..[1, 1, 1, 2, 2, 4][rng.usize(..6)] {
        let other = &others[rng.usize(..others.len())];
        text = match rng.u32(..10) {
            0 | 1 => by_bytes(text, other, rng),
            2 if text.contains(&b'\n') => by_lines(&text, rng),
            _ => by_structure(text, other, rng),
        };
        // What is longer only takes longer.
        text.truncate(64 << 10);
    }
    text
}

/// The tokens of a text that may be JSON: brackets, commas, texts, words.
fn tokens(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let begin = at;
        at += 1;
        match text[begin] {
            b'"' => {
                while at < text.len() && text[at] != b'"' {
                    at += 1 + usize::from(text[at] == b'\\');
                }
                at = (at + 1).min(text.len());
            }
            byte if is_word(byte) => {
                while at < text.len() && is_word(text[at]) {
                    at += 1;
                }
            }
            _ => {}
        }
        found.push(begin..at);
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-+._/".contains(&byte)
}

/// Where the value ends that begins with a token: with its last bracket, if it has any; with its value,
/// if it is a key.
fn value_at(text: &[u8], tokens: &[Range<usize>], first: usize) -> Range<usize> {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(first) {
        match text[token.start] {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth -= 1,
            _ => {}
        }
        let followed = tokens.get(index + 1).is_some_and(|next| text[next.start] == b':');
        if depth <= 0 && !followed && text[token.start] != b':' {
            return tokens[first].start..token.end;
        }
    }
    tokens[first].start..text.len()
}

/// A value of a text, or all of it.
fn some_value(text: &[u8], rng: &mut Rng) -> Range<usize> {
    let tokens = tokens(text);
    if tokens.is_empty() {
        0..text.len()
    } else {
        value_at(text, &tokens, rng.usize(..tokens.len()))
    }
}

fn replaced(text: &[u8], range: Range<usize>, by: &[u8]) -> Vec<u8> {
    [&text[..range.start], by, &text[range.end..]].concat()
}

fn by_structure(text: Vec<u8>, other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let tokens = tokens(&text);
    if tokens.is_empty() {
        return by_bytes(text, other, rng);
    }
    let token = tokens[rng.usize(..tokens.len())].clone();
    let value = some_value(&text, rng);
    match rng.u32(..24) {
        0..7 => {
            let is_number = |token: &&Range<usize>| text[token.start].is_ascii_digit();
            let numbers: Vec<&Range<usize>> = tokens.iter().filter(is_number).collect();
            let place = if numbers.is_empty() {
                token
            } else {
                numbers[rng.usize(..numbers.len())].clone()
            };
            let number = near(&text[place.clone()], rng);
            replaced(&text, place, number.as_bytes())
        }
        7..10 => replaced(&text, token, VALUES[rng.usize(..VALUES.len())].as_bytes()),
        10 => replaced(&text, value, VALUES[rng.usize(..VALUES.len())].as_bytes()),
        11 | 12 => replaced(&text, value, b""),
        13..17 => {
            let part = other[some_value(other, rng)].to_vec();
            replaced(&text, value, &part)
        }
        17 | 18 => {
            let another = text[some_value(&text, rng)].to_vec();
            replaced(&text, value, &another)
        }
        19 | 20 => {
            let twice = [&text[value.clone()], b",", &text[value.clone()]].concat();
            replaced(&text, value, &twice)
        }
        21 => {
            let depth = [1, 2, 100, 127, 128, 129, 3_000][rng.usize(..7)];
            let (open, close) = if rng.bool() { ("[", "]") } else { ("{\"a\":", "}") };
            let nested = [
                open.repeat(depth).as_bytes(),
                &text[value.clone()],
                close.repeat(depth).as_bytes(),
            ]
            .concat();
            replaced(&text, value, &nested)
        }
        _ => {
            let long = "x".repeat([1, 15, 16, 17, 64, 65, 80, 300, 5_000][rng.usize(..9)]);
            let long = if text[token.start] == b'"' { format!("\"{long}\"") } else { long };
            replaced(&text, token, long.as_bytes())
        }
    }
}

/// A number that is close to the one that was there, or hard.
fn near(number: &[u8], rng: &mut Rng) -> String {
    let found = std::str::from_utf8(number).ok().and_then(|number| number.parse::<u64>().ok());
    match found.filter(|_| rng.bool()) {
        Some(number) => number.wrapping_add(rng.u64(..5)).wrapping_sub(2).to_string(),
        None => NUMBERS[rng.usize(..NUMBERS.len())].to_owned(),
    }
}

/// Leaves out a line, repeats one, or moves one.
fn by_lines(text: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let (one, other) = (rng.usize(..lines.len()), rng.usize(..lines.len()));
    match rng.u32(..3) {
        0 => drop(lines.remove(one)),
        1 => lines.insert(other, lines[one]),
        _ => lines.swap(one, other),
    }
    lines.join(&b'\n')
}

fn by_bytes(mut text: Vec<u8>, other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let place = rng.usize(..=text.len());
    let span = place..(place + rng.usize(..20)).min(text.len());
    match rng.u32(..7) {
        0 => text.insert(place, BYTES[rng.usize(..BYTES.len())]),
        1 => text.insert(place, rng.u8(..)),
        2 if place < text.len() => text[place] ^= 1 << rng.u32(..8),
        3 => text.truncate(place),
        4 => drop(text.drain(span)),
        5 => {
            let again = text[span].repeat([1, 3, 200][rng.usize(..3)]);
            text.splice(place..place, again);
        }
        _ => {
            text.truncate(place);
            text.extend(&other[rng.usize(..=other.len())..]);
        }
    }
    text
}

/// Makes an input that fails as short as it gets by leaving out parts of it.
pub fn minimise(input: &[u8], fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    const ATTEMPTS: usize = 2_000;
    let mut short = input.to_vec();
    let mut size = short.len() / 2;
    let mut attempts = 0;
    while size > 0 {
        let mut begin = 0;
        while begin < short.len() && attempts < ATTEMPTS {
            attempts += 1;
            let shorter = replaced(&short, begin..(begin + size).min(short.len()), b"");
            if fails(&shorter) { short = shorter } else { begin += size }
        }
        size /= 2;
    }
    short
}
