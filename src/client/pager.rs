//! Long texts, cut into pages. Pure.

use std::fmt::Write;

/// What a person wants who pressed keys while the next page is offered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// The next page.
    More,
    /// No page more.
    Enough,
    /// No page more, since this begins the next command.
    Typing(String),
    /// Keys that mean nothing here.
    Nothing,
}

/// Says what pressed keys mean while the next page is offered. No key is Ctrl-C, or the end of the input.
pub(super) fn wish(keys: &[u8]) -> Wish {
    const PAGE_DOWN: &[u8] = b"\x1b[6~";
    const DOWN: &[u8] = b"\x1b[B";
    match keys {
        b" " | b"\r" | b"\n" | PAGE_DOWN | DOWN => Wish::More,
        b"" | b"q" | b"Q" | b"\x1b" | b"\x04" => Wish::Enough,
        [first, ..] if first.is_ascii_control() => Wish::Nothing,
        keys => Wish::Typing(String::from_utf8_lossy(keys).into_owned()),
    }
}

/// Cuts a text into pages of at most `rows` lines, one of them for the question whether to go on.
pub(super) fn pages(text: &str, rows: usize, columns: usize) -> Vec<String> {
    let room = rows.saturating_sub(1).max(1);
    let (mut pages, mut left) = (vec![String::new()], room);
    for line in text.lines() {
        let height = line.chars().count().div_ceil(columns).max(1);
        if height > left && left < room {
            pages.push(String::new());
            left = room;
        }
        left = left.saturating_sub(height);
        if let Some(page) = pages.last_mut() {
            // Writing to a text can't fail.
            let _ = writeln!(page, "{line}");
        }
    }
    pages
}

/// Returns as much of a text as fits on a screen of so many lines and columns, with the cursor below it.
pub(super) fn first_page(text: &str, (rows, columns): (usize, usize)) -> String {
    pages(text, rows, columns).swap_remove(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_into_pages_that_leave_a_line_for_the_question() {
        let text = "1\n2\n3\n4\n5\n";
        assert_eq!(pages(text, 4, 80), ["1\n2\n3\n", "4\n5\n"]);
        assert_eq!(pages(text, 6, 80), [text]);
        assert_eq!(pages(text, 3, 80), ["1\n2\n", "3\n4\n", "5\n"]);
        assert_eq!(pages("1\n1234567890\n3\n", 4, 5), ["1\n1234567890\n", "3\n"]);
        assert_eq!(pages(&"x".repeat(100), 2, 5).len(), 1, "a line is never cut");
    }

    #[test]
    fn whoever_goes_on_typing_wants_no_page_and_loses_no_letter() {
        for (keys, meant) in [
            (&b" "[..], Wish::More),
            (b"\r", Wish::More),
            (b"\x1b[6~", Wish::More),
            (b"q", Wish::Enough),
            (b"", Wish::Enough),
            (b"\x1b[A", Wish::Nothing),
            (b"\t", Wish::Nothing),
            (b"b", Wish::Typing("b".into())),
            (b"quit\r", Wish::Typing("quit\r".into())),
        ] {
            assert_eq!(wish(keys), meant, "{keys:?}");
        }
    }
}
