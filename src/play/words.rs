//! A line of a scenario file, word by word.

use std::str::FromStr;

use crate::bank::ids::ServerId;
use crate::play::cast::Cast;
use crate::play::wrong::{Place, Wrong};

/// A word of a line, and its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub text: &'a str,
    pub column: usize,
}

/// A line, word by word.
pub(super) struct Words<'a> {
    pub line: usize,
    words: Vec<Word<'a>>,
    next: usize,
    /// The column after the last word.
    end: usize,
}

impl<'a> Words<'a> {
    /// Splits a text that begins at this column.
    pub(super) fn of(text: &'a str, line: usize, column: usize) -> Words<'a> {
        let mut words = Vec::new();
        let mut start = None;
        let characters = text.char_indices().chain([(text.len(), ' ')]);
        for ((index, character), column) in characters.zip(column..) {
            match (character.is_whitespace(), start) {
                (false, None) => start = Some((index, column)),
                (true, Some((from, column))) => {
                    words.push(Word { text: &text[from..index], column });
                    start = None;
                }
                _ => {}
            }
        }
        let end = words.last().map_or(column, |last| last.column + last.text.chars().count());
        Words { line, words, next: 0, end }
    }

    /// Takes the next word, if there is one.
    pub(super) fn take(&mut self) -> Option<Word<'a>> {
        let word = self.words.get(self.next).copied();
        self.next += usize::from(word.is_some());
        word
    }

    /// Returns the next word, and leaves it.
    pub(super) fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).map(|word| word.text)
    }

    /// Takes the next word if it is `text`.
    pub(super) fn take_if(&mut self, text: &str) -> bool {
        let is_next = self.peek() == Some(text);
        self.next += usize::from(is_next);
        is_next
    }

    /// Takes a value. The error says what was expected.
    pub(super) fn value<T: FromStr<Err: ToString>>(&mut self, right: &str) -> Result<T, Wrong> {
        let word = self.take().ok_or_else(|| self.missing(right))?;
        word.text.parse().map_err(|error: T::Err| {
            let error = error.to_string();
            self.wrong(
                word,
                if error.contains(word.text) { error } else { found(word.text, &error) },
            )
        })
    }

    /// Takes a server's name.
    pub(super) fn server(&mut self, right: &str, cast: &mut Cast) -> Result<ServerId, Wrong> {
        let column = self.column();
        let server = self.value(right)?;
        cast.acts(&server, Place { line: self.line, column });
        Ok(server)
    }

    /// Returns the column where the next word is, or would be.
    pub(super) fn column(&self) -> usize {
        self.words.get(self.next).map_or(self.end, |word| word.column)
    }

    /// Returns the column where the first word is.
    pub(super) fn first_column(&self) -> usize {
        self.words.first().map_or(self.end, |word| word.column)
    }

    /// Checks that no word is left.
    pub(super) fn end(&mut self, right: &str) -> Result<(), Wrong> {
        match self.take() {
            None => Ok(()),
            Some(word) => Err(self.wrong(word, found(word.text, &format!("expected: {right}")))),
        }
    }

    pub(super) fn missing(&self, right: &str) -> Wrong {
        Wrong::new(self.line, self.end, format!("the line ends here; expected: {right}"))
    }

    pub(super) fn wrong(&self, word: Word<'_>, what: impl Into<String>) -> Wrong {
        Wrong::new(self.line, word.column, what)
    }
}

/// Says what was found, cut to what shows which word is meant, and what is right.
pub(super) fn found(word: &str, right: &str) -> String {
    format!("{:?}: {right}", word.chars().take(80).collect::<String>())
}
