//! What is wrong with a text that should be JSON, in words for people. Pure.

/// Explains a JSON error in bounded length: a hostile line may be long, but the words about it must not
/// be.
pub(crate) fn explain(error: &serde_json::Error) -> String {
    const MAX_CHARS: usize = 300;
    let what = in_words(&without_places(&error.to_string()));
    let mut short: String = what.chars().take(MAX_CHARS).collect();
    if short.len() < what.len() {
        short.push('…');
    }
    match error.line() {
        0 => short,
        1 => format!("{short} (at character {})", error.column()),
        line => format!("{short} (at character {} of line {line})", error.column()),
    }
}

/// Takes out the places that a parser names, each as it counts: all is on one line, and one place is enough.
fn without_places(text: &str) -> String {
    const PLACE: &str = " at line ";
    let mut rest = text;
    let mut kept = String::new();
    while let Some(at) = rest.find(PLACE) {
        let (before, place) = rest.split_at(at);
        let end = place[PLACE.len()..]
            .find(|c: char| !(c.is_ascii_digit() || c == ' '))
            .map(|end| end + PLACE.len());
        let column = end.and_then(|end| place[end..].strip_prefix("column "));
        kept.push_str(before);
        match column {
            Some(column) => rest = column.trim_start_matches(|c: char| c.is_ascii_digit()),
            None => {
                kept.push_str(PLACE);
                rest = &place[PLACE.len()..];
            }
        }
    }
    kept + rest
}

/// Says in plain words what a parser says in its own.
fn in_words(text: &str) -> String {
    const WORDS: [(&str, &str); 16] = [
        ("invalid type: ", "found "),
        ("invalid value: ", "found "),
        ("found string ", "found the text "),
        ("found integer ", "found the number "),
        ("found floating point ", "found the number "),
        ("found boolean ", "found "),
        ("found map", "found an object"),
        ("found sequence", "found a list"),
        (", expected u64", ", expected a whole number from 0"),
        (", expected u8", ", expected a whole number from 0"),
        (", expected a string", ", expected a text"),
        (", expected a boolean", ", expected true or false"),
        (", expected a sequence", ", expected a list"),
        ("EOF while parsing an object", "the line ends within an object"),
        ("EOF while parsing a list", "the line ends within a list"),
        ("EOF while parsing a", "the line ends within a"),
    ];
    // What somebody sent may hold the same words; then it is shown in others, which harms nobody.
    WORDS
        .iter()
        .fold(text.to_owned(), |text, (of_parser, plain)| text.replacen(of_parser, plain, 1))
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
