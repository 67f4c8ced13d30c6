//! Tests of [`super::explain`].

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
        (r#"{"id":"x"}"#, "found the text \"x\", expected a whole number from 0 (at character 9"),
        (r#"{"id":-1}"#, "found the number `-1`, expected a whole number from 0 (at"),
        (r#"{"id":1.5}"#, "found the number `1.5`, expected a whole number"),
        (r#"{"id":{}}"#, "found an object, expected a whole number"),
        (r#"{"id":1,"name":[]}"#, "found a list, expected a text"),
        (r#"{"id":1,"flag":"at line 5"}"#, "found the text \"at line 5\", expected true or false"),
        (r#"{"id":1,"list":7}"#, "found the number `7`, expected a list"),
        (r#"{"id":1"#, "the line ends within an object (at character 7)"),
        (r#"{"id":1,"nam":0}"#, "unknown field `nam`, expected one of `id`"),
    ] {
        let error = serde_json::from_str::<Fields>(line).unwrap_err();
        let told = explain(&error);
        assert!(told.starts_with(said), "{line}: {told}");
        for word in [" column ", "u64", "EOF", "invalid type", "sequence"] {
            assert!(!told.contains(word), "{line}: {told}");
        }
    }
}

#[test]
fn a_text_of_several_lines_has_places_in_them() {
    let error = serde_json::from_str::<Fields>("{\n\"id\":\n7").unwrap_err();
    assert_eq!(explain(&error), "the line ends within an object (at character 1 of line 3)");
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
