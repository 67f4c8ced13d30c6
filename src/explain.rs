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
    const WORDS: [(&str, &str); 17] = [
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
        (", expected struct ", ", expected an object: a "),
        (", expected a boolean", ", expected true or false"),
        (", expected a sequence", ", expected a list"),
        ("EOF while parsing an object", "the text ends within an object"),
        ("EOF while parsing a list", "the text ends within a list"),
        ("EOF while parsing a", "the text ends within a"),
    ];
    // What somebody sent may hold the same words; then it is shown in others, which harms nobody.
    WORDS
        .iter()
        .fold(text.to_owned(), |text, (of_parser, plain)| text.replacen(of_parser, plain, 1))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Fields {
        id: u64,
        name: Option<String>,
        flag: Option<bool>,
        list: Option<Vec<u8>>,
    }

    #[test]
    fn no_word_of_the_parser_is_left() {
        for (line, said) in [
            (
                r#"{"id":"x"}"#,
                "found the text \"x\", expected a whole number from 0 (at character 9",
            ),
            (r#"{"id":-1}"#, "found the number `-1`, expected a whole number from 0 (at"),
            (r#"{"id":1.5}"#, "found the number `1.5`, expected a whole number"),
            (r#"{"id":{}}"#, "found an object, expected a whole number"),
            ("7", "found the number `7`, expected an object: a Fields"),
            (r#"{"id":1,"name":[]}"#, "found a list, expected a text"),
            (
                r#"{"id":1,"flag":"at line 5"}"#,
                "found the text \"at line 5\", expected true or false",
            ),
            (r#"{"id":1,"list":7}"#, "found the number `7`, expected a list"),
            (r#"{"id":1"#, "the text ends within an object (at character 7)"),
            (r#"{"id":1,"nam":0}"#, "unknown field `nam`, expected one of `id`"),
        ] {
            let error = serde_json::from_str::<Fields>(line).unwrap_err();
            let told = explain(&error);
            assert!(told.starts_with(said), "{line}: {told}");
            for word in [" column ", "u64", "EOF", "invalid type", "sequence", "struct"] {
                assert!(!told.contains(word), "{line}: {told}");
            }
        }
    }

    #[test]
    fn a_text_of_several_lines_has_places_in_them() {
        let error = serde_json::from_str::<Fields>("{\n\"id\":\n7").unwrap_err();
        assert_eq!(explain(&error), "the text ends within an object (at character 1 of line 3)");
    }

    #[test]
    fn a_place_within_a_place_is_told_once() {
        let inner = serde_json::from_str::<Fields>(r#"{"id":"x"}"#).unwrap_err();
        let outer =
            <serde_json::Error as serde::de::Error>::custom(format_args!("part 2: {inner}; so"));
        let told = explain(&outer);
        assert!(
            told.starts_with("part 2: found the text \"x\", expected a whole number from 0; so"),
            "{told}"
        );
    }
}
