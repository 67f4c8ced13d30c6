//! Typed lines into words: quotes keep a text together, and `#` begins a comment. Pure.
//!
//! A quote opens at the beginning of a word only, so that the one in `don't` is a letter as any other.

use std::borrow::Cow;

use crate::client::text::cut;

/// A word of a typed line, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub text: Cow<'a, str>,
    /// True if it stood in quotes: then it is a text, whatever it looks like.
    pub quoted: bool,
}

/// A line as far as it has been read.
struct Scan<'a> {
    words: Vec<Word<'a>>,
    /// Where the comment begins, or the line ends.
    end: usize,
    /// The first thing that is wrong with its quotes.
    wrong: Option<String>,
}

/// Splits a line into words.
///
/// # Errors
/// If a quote is not closed, or something stands right behind a closing one.
pub(super) fn words(line: &str) -> Result<Vec<Word<'_>>, String> {
    let Scan { words, wrong, .. } = scan(line);
    wrong.map_or(Ok(words), Err)
}

/// Cuts off a comment: what follows the first `#` that is in no quotes.
pub fn without_comment(line: &str) -> &str {
    &line[..scan(line).end]
}

/// True if a line ends within quotes or a comment.
#[cfg(feature = "line-editing")]
pub(super) fn ends_within(line: &str) -> bool {
    let Scan { end, wrong, .. } = scan(line);
    end < line.len() || wrong.is_some()
}

/// Returns the words of a line that are in no quotes.
pub fn outside_quotes(line: &str) -> String {
    let words = scan(line).words.into_iter().filter(|word| !word.quoted);
    words.map(|word| word.text).collect::<Vec<_>>().join(" ")
}

/// Parts words at the commas that are in no quotes and in no triplet. A triplet, `(A, B, 30)`, becomes one word, which
/// is a part or begins it.
pub(super) fn parts<'a>(words: &'a [Word<'_>]) -> Vec<Vec<Word<'a>>> {
    let mut parts = Parts { done: Vec::new(), last: Vec::new(), triplet: None };
    for Word { text, quoted } in words {
        match quoted {
            true => parts.text(text),
            false => parts.bare(text),
        }
    }
    parts.end()
}

/// The parts of a line as far as it has been read.
struct Parts<'a> {
    done: Vec<Vec<Word<'a>>>,
    last: Vec<Word<'a>>,
    /// A triplet that is not closed yet.
    triplet: Option<String>,
}

impl<'a> Parts<'a> {
    fn text(&mut self, text: &'a str) {
        match &mut self.triplet {
            Some(triplet) => triplet.push_str(text),
            None => self.last.push(Word { text: text.into(), quoted: true }),
        }
    }

    fn bare(&mut self, mut rest: &'a str) {
        while !rest.is_empty() {
            rest = match rest.strip_prefix(',') {
                _ if self.triplet.is_some() => self.inside(rest),
                Some(behind) => {
                    self.begin();
                    behind
                }
                None if rest.starts_with('(') && self.may_open() => {
                    if !self.last.is_empty() {
                        self.begin();
                    }
                    self.triplet = Some(String::new());
                    rest
                }
                None => {
                    let (word, behind) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                    self.last.push(Word { text: word.into(), quoted: false });
                    behind
                }
            };
        }
        if let Some(triplet) = &mut self.triplet {
            triplet.push(' ');
        }
    }

    /// Takes what is in a triplet, and returns what is behind it.
    fn inside(&mut self, rest: &'a str) -> &'a str {
        let (inside, behind) = rest.split_at(rest.find(')').map_or(rest.len(), |at| at + 1));
        if let Some(triplet) = &mut self.triplet {
            triplet.push_str(inside);
        }
        if inside.ends_with(')') {
            self.close();
        }
        behind
    }

    /// True if a triplet may begin here: at the beginning of a part, or right behind another triplet.
    fn may_open(&self) -> bool {
        match &self.last[..] {
            [] => true,
            [only] => !only.quoted && only.text.starts_with('('),
            _ => false,
        }
    }

    fn close(&mut self) {
        if let Some(triplet) = self.triplet.take() {
            self.last.push(Word { text: triplet.into(), quoted: false });
        }
    }

    fn begin(&mut self) {
        self.done.push(std::mem::take(&mut self.last));
    }

    fn end(mut self) -> Vec<Vec<Word<'a>>> {
        self.close();
        self.begin();
        self.done
    }
}

/// Writes a text in quotes, as it can be typed.
pub(super) fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Writes a text as a word that reads as this text: in quotes, unless it needs none.
pub(super) fn as_word(text: &str) -> Cow<'_, str> {
    let parts = |c: char| c.is_whitespace() || c == '#';
    let bare = !text.is_empty() && !text.starts_with(['"', '\'']) && !text.contains(parts);
    if bare { text.into() } else { in_quotes(text).into() }
}

/// Makes a line of words that a shell has split, and taken the quotes off: what follows a flag, and isn't one word, is
/// put in quotes again.
pub fn line_of<'a>(words: &'a [String]) -> String {
    let word = |(place, word): (usize, &'a String)| match place {
        1.. if words[place - 1].starts_with("--") => as_word(word),
        _ => word.into(),
    };
    words.iter().enumerate().map(word).collect::<Vec<_>>().join(" ")
}

fn scan(line: &str) -> Scan<'_> {
    let mut scan = Scan { words: Vec::new(), end: line.len(), wrong: None };
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        match first {
            '#' => {
                scan.end = line.len() - rest.len();
                break;
            }
            '"' | '\'' => match quoted(rest, first) {
                Some((text, length)) => {
                    rest = &rest[length..];
                    let goes_on = |c: char| !c.is_whitespace() && !matches!(c, ',' | '#');
                    if rest.starts_with(goes_on) {
                        let behind =
                            format!("a space is missing behind the quotes of {}", cut(&text));
                        scan.wrong.get_or_insert(behind);
                    }
                    scan.words.push(Word { text, quoted: true });
                }
                None => {
                    let open = format!(
                        "the closing quote of {} is missing: a text is \"invoice 17\" or 'invoice 17'",
                        cut(&rest[1..])
                    );
                    scan.wrong.get_or_insert(open);
                    break;
                }
            },
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || c == '#').unwrap_or(rest.len());
                scan.words.push(Word { text: rest[..end].into(), quoted: false });
                rest = &rest[end..];
            }
        }
        rest = rest.trim_start();
    }
    scan
}

/// Reads the text in quotes with which `rest` begins, and how long it is with them. None if they aren't closed.
fn quoted(rest: &str, quote: char) -> Option<(Cow<'_, str>, usize)> {
    let inside = &rest[1..];
    if quote == '\'' || !inside[..inside.find('"')?].contains('\\') {
        let end = inside.find(quote)?;
        return Some((inside[..end].into(), end + 2));
    }
    let mut text = String::new();
    let mut letters = inside.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((text.into(), at + 2)),
            // Whatever it is, the next one is a letter as any other.
            '\\' => text.push(letters.next()?.1),
            other => text.push(other),
        }
    }
    None
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
